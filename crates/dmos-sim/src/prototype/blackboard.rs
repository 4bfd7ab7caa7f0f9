//! The prototype's blackboard: shared files that all nodes see at once.

use dmos_node::Notice;

/// The newest notice of each kind. It survives every crash.
#[derive(Default)]
pub(crate) struct Blackboard {
    leader: Option<Notice>,
    flow: Option<Notice>,
    removed: Vec<Notice>,
}

impl Blackboard {
    /// Posts a notice and returns whether it was new.
    pub(crate) fn post(&mut self, notice: &Notice) -> bool {
        match notice {
            Notice::Leader(_, term) => {
                let is_new = !matches!(self.leader, Some(Notice::Leader(_, known)) if known >= *term);
                if is_new {
                    self.leader = Some(notice.clone());
                }
                is_new
            }
            Notice::Flow(version, _) => {
                let is_new = !matches!(self.flow, Some(Notice::Flow(known, _)) if known >= *version);
                if is_new {
                    self.flow = Some(notice.clone());
                }
                is_new
            }
            Notice::Removed(_) => {
                let is_new = !self.removed.contains(notice);
                if is_new {
                    self.removed.push(notice.clone());
                }
                is_new
            }
            Notice::Rejoined(node) => {
                let before = self.removed.len();
                self.removed.retain(|removed| *removed != Notice::Removed(*node));
                self.removed.len() < before
            }
        }
    }

    /// Returns all posted notices.
    pub(crate) fn notices(&self) -> Vec<Notice> {
        self.leader.iter().chain(&self.removed).chain(&self.flow).cloned().collect()
    }

    /// Returns whether a node was removed from the membership.
    pub(crate) fn is_removed(&self, node: dmos_core::NodeId) -> bool {
        self.removed.contains(&Notice::Removed(node))
    }
}
