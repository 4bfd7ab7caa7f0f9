//! What all see at once: the prototype's shared files.

use dmos_node::Notice;

/// The newest of each kind of notice. It survives every crash.
#[derive(Default)]
pub(crate) struct Board {
    leader: Option<Notice>,
    flow: Option<Notice>,
    struck: Vec<Notice>,
}

impl Board {
    /// Puts up a notice; true if it is news.
    pub(crate) fn post(&mut self, notice: &Notice) -> bool {
        match notice {
            Notice::Leader(_, term) => {
                let news = !matches!(self.leader, Some(Notice::Leader(_, known)) if known >= *term);
                if news {
                    self.leader = Some(notice.clone());
                }
                news
            }
            Notice::Flow(version, _) => {
                let news = !matches!(self.flow, Some(Notice::Flow(known, _)) if known >= *version);
                if news {
                    self.flow = Some(notice.clone());
                }
                news
            }
            Notice::Struck(_) => {
                let news = !self.struck.contains(notice);
                if news {
                    self.struck.push(notice.clone());
                }
                news
            }
            Notice::Readmitted(node) => {
                let before = self.struck.len();
                self.struck.retain(|struck| *struck != Notice::Struck(*node));
                self.struck.len() < before
            }
        }
    }

    /// Everything that is up.
    pub(crate) fn notices(&self) -> Vec<Notice> {
        self.leader.iter().chain(&self.struck).chain(&self.flow).cloned().collect()
    }

    /// Whether a node is struck from the living.
    pub(crate) fn is_struck(&self, node: dmos_core::NodeId) -> bool {
        self.struck.contains(&Notice::Struck(node))
    }
}
