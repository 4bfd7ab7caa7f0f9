//! Follows commands: what an op generator changes at a node while it runs, and how the leader hears of it.
//!
//! An command is entered in the log before anything else, and the node tells the leader where it stands
//! until the leader acknowledges it; a new leader is sent anew.

use std::sync::Arc;

use dmos_core::{NodeId, Span, Term, Time};

use crate::context::Context;
use crate::interface::Timer;
use crate::log::LogRecord;
use crate::message::Message;
use crate::node_config::{Command, NodeConfig};

/// Where this node stands, and who knows.
#[derive(Default)]
pub(crate) struct Commands {
    config: Arc<NodeConfig>,
    /// The same as in the config, beside everything else: each cycle asks for it.
    retired: bool,
    /// The leader's term, and how many commands it has acknowledged.
    acknowledged: Option<(Term, u32)>,
    /// When the leader was sent last, in which term, and how often.
    sent: Option<(Term, Time, u32)>,
    timer_is_set: bool,
}

impl Commands {
    /// After a crash, or at the beginning.
    pub(crate) fn new(config: NodeConfig) -> Self {
        let retired = config.retired;
        Self { config: Arc::new(config), retired, ..Self::default() }
    }

    pub(crate) fn config(&self) -> &Arc<NodeConfig> {
        &self.config
    }

    pub(crate) fn retired(&self) -> bool {
        self.retired
    }

    pub(crate) fn on_command(&mut self, cx: &mut Context<'_>, command: &Command) {
        let mut config = (*self.config).clone();
        config.apply(command);
        cx.append(LogRecord::Commanded(command.clone()));
        self.retired = config.retired;
        self.config = Arc::new(config);
        self.sent = None;
    }

    /// Tells the leader, unless it knows or was sent a moment ago.
    pub(crate) fn send_config(&mut self, cx: &mut Context<'_>, leader: Option<(NodeId, Term)>) {
        let commands = self.config.commands;
        let knows = |term: Term| self.acknowledged == Some((term, commands));
        if commands == 0 || leader.is_some_and(|(node, term)| node == cx.me || knows(term)) {
            return;
        }
        if let Some((leader, term)) = leader {
            let sent = self.sent.filter(|sent| sent.0 == term);
            let tries = sent.map_or(0, |sent| sent.2 + 1);
            if sent.is_none_or(|(_, at, tries)| cx.now.since(at) >= self.retry_interval(cx, tries)) {
                cx.send(leader, Message::NodeConfig(Arc::clone(&self.config)));
                self.sent = Some((term, cx.now, tries));
            }
        }
        if !self.timer_is_set {
            self.timer_is_set = true;
            let tries = self.sent.map_or(0, |sent| sent.2);
            cx.set_timer(self.retry_interval(cx, tries), Timer::SendNodeConfig);
        }
    }

    /// Also where nothing else is ever sent again, an command is.
    fn retry_interval(&self, cx: &Context<'_>, tries: u32) -> Span {
        cx.patience(tries).unwrap_or(cx.protocol.heartbeat)
    }

    /// It is time to look whether the leader knows.
    pub(crate) fn on_timer(&mut self, cx: &mut Context<'_>, leader: Option<(NodeId, Term)>) {
        self.timer_is_set = false;
        self.send_config(cx, leader);
    }

    /// The leader of a term knows of that many commands.
    pub(crate) fn on_acknowledged(&mut self, term: Term, commands: u32) {
        self.acknowledged = Some((term, commands));
    }
}
