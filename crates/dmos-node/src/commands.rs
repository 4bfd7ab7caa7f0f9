//! Commands to a running node, and their propagation to the leader.
//!
//! A command is logged before anything else. The node then sends its configuration to the leader until the
//! leader acknowledges it, and again to every new leader.

use std::sync::Arc;

use dmos_core::{NodeId, Term};

use crate::context::Context;
use crate::interface::Timer;
use crate::log::LogRecord;
use crate::message::Message;
use crate::node_config::{Command, NodeConfig};
use crate::retransmission::Retransmission;

/// The node's configuration, and the state of its propagation.
#[derive(Default)]
pub(crate) struct Commands {
    config: Arc<NodeConfig>,
    /// Copy of `config.retired`, kept here because each production cycle reads it.
    retired: bool,
    /// Term of the leader that acknowledged last, and the number of commands that it acknowledged.
    acknowledged: Option<(Term, u32)>,
    /// The last configuration sent, and the term of the leader.
    sent: Option<(Term, Retransmission)>,
    timer_is_set: bool,
}

impl Commands {
    /// Creates the state at a start, with the configuration from the log.
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

    /// Sends the configuration to the leader, unless it was acknowledged or sent recently.
    pub(crate) fn send_config(&mut self, cx: &mut Context<'_>, leader: Option<(NodeId, Term)>) {
        let commands = self.config.commands;
        let knows = |term: Term| self.acknowledged == Some((term, commands));
        if commands == 0 || leader.is_some_and(|(node, term)| node == cx.me || knows(term)) {
            return;
        }
        if let Some((leader, term)) = leader {
            let sent = self.sent.filter(|sent| sent.0 == term);
            // Configurations are retransmitted even where `retry_after` turns all other retransmission off.
            let default = cx.protocol.heartbeat;
            if sent.is_none_or(|(_, sent)| sent.is_due_or(cx.now, cx.protocol, default)) {
                let next = sent.map_or(Retransmission::new(cx.now), |(_, sent)| sent.again(cx.now));
                cx.send_again(leader, Message::NodeConfig(Arc::clone(&self.config)), next.retries());
                self.sent = Some((term, next));
            }
        }
        if !self.timer_is_set {
            self.timer_is_set = true;
            let sent = self.sent.map_or(Retransmission::new(cx.now), |(_, sent)| sent);
            cx.set_timer(sent.timeout(cx.protocol).unwrap_or(cx.protocol.heartbeat), Timer::SendNodeConfig);
        }
    }

    /// Handles the retransmission timer.
    pub(crate) fn on_timer(&mut self, cx: &mut Context<'_>, leader: Option<(NodeId, Term)>) {
        self.timer_is_set = false;
        self.send_config(cx, leader);
    }

    /// Handles the acknowledgement of a number of commands by the leader of a term.
    pub(crate) fn on_acknowledged(&mut self, term: Term, commands: u32) {
        self.acknowledged = Some((term, commands));
    }
}
