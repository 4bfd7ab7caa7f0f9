//! Flow strategies: who supplies whom.

use thiserror::Error;

use crate::flow::{Flow, FlowChange};
use crate::ids::{ItemId, NodeId};
use crate::network::Network;
use crate::node_set::NodeSet;
use crate::time::Span;

/// Plans flows for one leader, which keeps it from plan to plan.
///
/// A plan must depend on the requests alone: no clock, no ambient randomness.
pub trait FlowStrategy: Send {
    /// Plans a flow from live nodes only, counting elementary steps on `meter` as it goes.
    ///
    /// # Errors
    /// [`NoFlow`] says why there is none; the leader then puts an empty flow in force, or keeps the
    /// old one if the search was given up.
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow>;

    /// Plans anew, and says what is to be changed in the flow in force: there is one.
    ///
    /// Without a way of its own a strategy plans the whole, and is compared with what is in force. One that
    /// remembers may count on this: the flow in force is what its last plan that was no error came to, and the
    /// changes are all since then.
    ///
    /// # Errors
    /// As [`FlowStrategy::plan`].
    ///
    /// # Panics
    /// If no flow is in force.
    fn replan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<FlowChange, NoFlow> {
        let active = request.active.expect("replanning changes a flow");
        Ok(active.change_to(&self.plan(request, meter)?))
    }

    /// By what the last plan judged a node, if it did: for explanations only.
    fn rating(&self, _node: NodeId) -> Option<Rating> {
        None
    }
}

/// By what a planner judges a node.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rating {
    /// What it measures, with its unit: `cost`, `first batch after s`.
    pub measure: &'static str,
    /// What a node is that measures more than another one: `dearer`, `later`.
    pub more: &'static str,
    /// How much of it.
    pub value: f64,
}

/// What a planner may go by.
#[derive(Clone, Copy, Debug)]
pub struct PlanRequest<'a> {
    /// The network with all its nodes.
    pub network: &'a Network,
    /// The nodes believed alive.
    pub alive: &'a NodeSet,
    /// The flow that this planner put in force before, if any.
    pub active: Option<&'a Flow>,
    /// What has changed since then.
    pub changes: &'a [Change],
    /// How long things take, on average.
    pub mean_durations: MeanDurations,
    /// The number from which a planner draws whatever it draws; the same for all plans of a run.
    pub seed: u64,
}

impl<'a> PlanRequest<'a> {
    /// A first plan, at the mean_durations of one second a cycle and a transit.
    #[must_use]
    pub fn first(network: &'a Network, alive: &'a NodeSet) -> Self {
        Self { network, alive, active: None, changes: &[], mean_durations: MeanDurations::default(), seed: 1 }
    }
}

/// How long things take, on average: what a planner may reckon with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MeanDurations {
    /// One manufacture cycle.
    pub cycle: Span,
    /// From a batch's announcement at the consumer to its arrival.
    pub transit: Span,
}

impl Default for MeanDurations {
    fn default() -> Self {
        Self { cycle: Span::from_secs(1), transit: Span::from_secs(1) }
    }
}

/// What makes a new plan necessary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// A node was struck from the living, or has retired.
    Failed(NodeId),
    /// A node came back, or joined.
    Rejoined(NodeId),
    /// A node's recipe was changed: the network of this request is not that of the one before.
    RecipeChanged(NodeId),
}

impl Change {
    /// The node that has changed.
    #[must_use]
    pub fn node(self) -> NodeId {
        match self {
            Self::Failed(node) | Self::Rejoined(node) | Self::RecipeChanged(node) => node,
        }
    }
}

/// Why there is no flow.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum NoFlow {
    /// A final item cannot be made from the nodes alive.
    #[error("item {0} cannot be made from the nodes that are alive")]
    Infeasible(ItemId),
    /// No node is alive.
    #[error("no node is alive")]
    NoNodeAlive,
    /// The search was given up.
    #[error(
        "the planning budget of {budget} steps ran out; raise `planning_budget` or choose another strategy"
    )]
    BudgetExhausted {
        /// The budget.
        budget: u64,
    },
    /// The planner itself failed: it is a program of its own, and has crashed, hung or answered nonsense.
    #[error("the planner `{planner}` failed: {problem}")]
    PlannerFailed {
        /// The planner.
        planner: String,
        /// What is wrong with it, in words.
        problem: String,
    },
}

impl NoFlow {
    /// Whether it says nothing of the network: the search did not come to its end.
    #[must_use]
    pub fn is_inconclusive(&self) -> bool {
        matches!(self, Self::BudgetExhausted { .. } | Self::PlannerFailed { .. })
    }

    /// The same in words, with an item by its name.
    #[must_use]
    pub fn explain(&self, network: &Network) -> String {
        match self {
            Self::Infeasible(item) => {
                format!("item `{}` cannot be made from the nodes that are alive", network.item_name(*item))
            }
            error => error.to_string(),
        }
    }
}

/// Counts a planner's elementary steps, up to a budget.
#[derive(Clone, Debug)]
pub struct Meter {
    budget: u64,
    steps: u64,
    counters: Vec<(&'static str, u64)>,
    remarks: Vec<String>,
}

impl Meter {
    /// A meter that stops a plan after `budget` steps.
    #[must_use]
    pub fn new(budget: u64) -> Self {
        Self { budget, steps: 0, counters: Vec::new(), remarks: Vec::new() }
    }

    /// Counts `steps` more.
    ///
    /// # Errors
    /// [`NoFlow::BudgetExhausted`] once the budget is spent; the steps are counted up to it.
    pub fn charge(&mut self, steps: u64) -> Result<(), NoFlow> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > self.budget {
            self.steps = self.budget;
            return Err(NoFlow::BudgetExhausted { budget: self.budget });
        }
        Ok(())
    }

    /// How many more steps the budget allows.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.budget - self.steps
    }

    /// Notes a metric of interest under a name, beside the steps.
    pub fn note(&mut self, name: &'static str, value: u64) {
        self.counters.push((name, value));
    }

    /// Says something of the plan that no metric can: what bounds it, whether it is the best.
    pub fn remark(&mut self, words: String) {
        self.remarks.push(words);
    }

    /// What was said, in the order in which it was.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Steps counted so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The metrics noted, in the order in which they were.
    #[must_use]
    pub fn counters(&self) -> &[(&'static str, u64)] {
        &self.counters
    }

    /// The metric noted under `name`, zero if there is none.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.iter().find(|counter| counter.0 == name).map_or(0, |counter| counter.1)
    }
}
