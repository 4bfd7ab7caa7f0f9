//! Follows orders: what an op_generator changes at a node while it runs, and how the leader hears of it.
//!
//! An order is entered in the log before anything else, and the node tells the leader where it stands
//! until the leader acknowledges it; a new leader is told anew.

use std::sync::Arc;

use dmos_core::{NodeId, Span, Term, Time};

use crate::context::Context;
use crate::interface::Timer;
use crate::log::LogRecord;
use crate::message::Message;
use crate::standing::{Order, Standing};

/// Where this node stands, and who knows.
#[derive(Default)]
pub(crate) struct Orders {
    standing: Arc<Standing>,
    /// The same as in the standing, beside everything else: each cycle asks for it.
    retired: bool,
    /// The leader's term, and how many orders it has acknowledged.
    acknowledged: Option<(Term, u32)>,
    /// When the leader was told last, in which term, and how often.
    told: Option<(Term, Time, u32)>,
    timer_is_set: bool,
}

impl Orders {
    /// After a crash, or at the beginning.
    pub(crate) fn new(standing: Standing) -> Self {
        let retired = standing.retired;
        Self { standing: Arc::new(standing), retired, ..Self::default() }
    }

    pub(crate) fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    pub(crate) fn retired(&self) -> bool {
        self.retired
    }

    pub(crate) fn follow(&mut self, cx: &mut Context<'_>, order: &Order) {
        let mut standing = (*self.standing).clone();
        standing.follow(order);
        cx.append(LogRecord::Ordered(order.clone()));
        self.retired = standing.retired;
        self.standing = Arc::new(standing);
        self.told = None;
    }

    /// Tells the leader, unless it knows or was told a moment ago.
    pub(crate) fn tell(&mut self, cx: &mut Context<'_>, leader: Option<(NodeId, Term)>) {
        let orders = self.standing.orders;
        let knows = |term: Term| self.acknowledged == Some((term, orders));
        if orders == 0 || leader.is_some_and(|(node, term)| node == cx.me || knows(term)) {
            return;
        }
        if let Some((leader, term)) = leader {
            let told = self.told.filter(|told| told.0 == term);
            let tries = told.map_or(0, |told| told.2 + 1);
            if told.is_none_or(|(_, at, tries)| cx.now.since(at) >= self.pause(cx, tries)) {
                cx.send(leader, Message::Standing(Arc::clone(&self.standing)));
                self.told = Some((term, cx.now, tries));
            }
        }
        if !self.timer_is_set {
            self.timer_is_set = true;
            let tries = self.told.map_or(0, |told| told.2);
            cx.set_timer(self.pause(cx, tries), Timer::Tell);
        }
    }

    /// Also where nothing else is ever sent again, an order is.
    fn pause(&self, cx: &Context<'_>, tries: u32) -> Span {
        cx.patience(tries).unwrap_or(cx.protocol.heartbeat)
    }

    /// It is time to look whether the leader knows.
    pub(crate) fn wake(&mut self, cx: &mut Context<'_>, leader: Option<(NodeId, Term)>) {
        self.timer_is_set = false;
        self.tell(cx, leader);
    }

    /// The leader of a term knows of that many orders.
    pub(crate) fn acknowledge(&mut self, term: Term, orders: u32) {
        self.acknowledged = Some((term, orders));
    }
}
