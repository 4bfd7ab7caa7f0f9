//! Flow strategies: planners that assign suppliers to consumers.

use thiserror::Error;

use crate::broken_links::BrokenLinks;
use crate::flow::{Flow, FlowChange, FlowRates};
use crate::ids::{ItemId, NodeId};
use crate::network::Network;
use crate::node_set::NodeSet;
use crate::routes::Routes;

/// A planner. A leader keeps one instance for all plans of its term.
///
/// A plan must depend on its requests alone: no clock, no ambient randomness.
///
/// ```
/// use dmos_core::strategy::{FlowStrategy, Meter, NoFlow, PlanRequest};
/// use dmos_core::{Flow, SupplyEdge};
///
/// /// The first live producer of each requirement of each live node, by a link that works.
/// struct FirstFit;
///
/// impl FlowStrategy for FirstFit {
///     fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
///         let (network, mut edges) = (request.network, Vec::new());
///         for consumer in network.nodes().filter(|&node| request.alive.contains(node)) {
///             for required in network.requirements(consumer) {
///                 meter.charge(1)?;
///                 let mut producers = network.producers(required.item).iter().copied();
///                 let live = producers.find(|&node| request.is_usable(node, consumer));
///                 let producer = live.ok_or(NoFlow::Infeasible(required.item))?;
///                 edges.push(SupplyEdge { producer, consumer, item: required.item });
///             }
///         }
///         Ok(Flow::new(edges))
///     }
/// }
/// ```
pub trait FlowStrategy: Send {
    /// Plans a flow from live nodes only, and counts elementary steps on `meter`.
    ///
    /// # Errors
    /// [`NoFlow`] states the reason; the leader then activates an empty flow, or keeps the active one if the
    /// search was inconclusive.
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow>;

    /// Replans: returns the change to the active flow.
    ///
    /// By default the whole flow is planned anew and compared with the active one. A strategy with state can
    /// rely on this: the active flow is the result of its last conclusive plan, and the changes are all
    /// changes since then.
    ///
    /// # Errors
    /// As [`FlowStrategy::plan`].
    ///
    /// # Panics
    /// If there is no active flow.
    fn replan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<FlowChange, NoFlow> {
        let active = request.active.expect("replanning changes a flow");
        Ok(active.change_to(&self.plan(request, meter)?))
    }

    /// Returns the rates of the last plan, if the strategy plans them. Otherwise they are derived from the shares
    /// of the flow ([`FlowRates::derive`]).
    fn rates(&self) -> Option<&FlowRates> {
        None
    }

    /// Returns the throughput that no plan can exceed, if the strategy can compute it. Used for explanations
    /// only.
    fn bound(&self, _request: &PlanRequest<'_>) -> Option<ThroughputBound> {
        None
    }

    /// Returns the score of a node in the last plan, if there is one. Used for explanations only.
    fn rating(&self, _node: NodeId) -> Option<Rating> {
        None
    }
}

/// The throughput that the machines of a network allow.
#[derive(Clone, PartialEq, Debug)]
pub struct ThroughputBound {
    /// Complete sets of final items per second that no plan can exceed.
    pub sets_per_second: f64,
    /// Nodes that set the bound, in ascending order: more speed of all of them raises it, more speed of any others
    /// does not. Empty if they are not known.
    pub bottleneck: Vec<NodeId>,
}

/// Score of a node, as judged by a planner.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rating {
    /// The measure with its unit: `cost`, `first batch after s`.
    pub measure: &'static str,
    /// Adjective for a node with a higher score: `more expensive`, `later`.
    pub more: &'static str,
    /// The score.
    pub value: f64,
}

/// Input of a planner.
#[derive(Clone, Copy, Debug)]
pub struct PlanRequest<'a> {
    /// The network with all its nodes.
    pub network: &'a Network,
    /// Nodes believed to be alive.
    pub alive: &'a NodeSet,
    /// Links known to be broken, which no supply edge may use.
    pub broken_links: &'a BrokenLinks,
    /// The flow that this planner activated before, if any.
    pub active: Option<&'a Flow>,
    /// Changes since then.
    pub changes: &'a [Change],
    /// Transit times and costs between nodes.
    pub routes: &'a Routes,
    /// Seed of the planner's random choices; the same for all plans of a run.
    pub seed: u64,
}

impl<'a> PlanRequest<'a> {
    /// Returns a first request, with the default route between all nodes.
    ///
    /// ```
    /// use dmos_core::strategy::PlanRequest;
    /// use dmos_core::{ItemId, Network, NodeSet, Recipe, network::Names};
    /// let recipes = [Recipe::of(ItemId::new(0), [])].into_iter();
    /// let network = Network::new(Names::Numbers(1), Names::Numbers(1), recipes, vec![ItemId::new(0)]).unwrap();
    /// let alive = NodeSet::all(1);
    /// assert!(PlanRequest::first(&network, &alive).active.is_none());
    /// ```
    #[must_use]
    pub fn first(network: &'a Network, alive: &'a NodeSet) -> Self {
        const ROUTES: &Routes = &Routes::DEFAULT;
        const LINKS: &BrokenLinks = &BrokenLinks::NONE;
        Self { network, alive, broken_links: LINKS, active: None, changes: &[], routes: ROUTES, seed: 1 }
    }

    /// Returns whether a producer is alive and has a working link to a consumer.
    #[must_use]
    pub fn is_usable(&self, producer: NodeId, consumer: NodeId) -> bool {
        self.alive.contains(producer) && !self.broken_links.contains(producer, consumer)
    }
}

/// A change that makes a new plan necessary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// A node was removed from the membership, or has retired.
    Failed(NodeId),
    /// A node rejoined, or joined for the first time.
    Rejoined(NodeId),
    /// A node's recipe changed: the network of this request differs from that of the one before.
    RecipeChanged(NodeId),
    /// Links have broken or work again.
    LinksChanged,
}

impl Change {
    /// Returns the affected node, if it is a single one.
    #[must_use]
    pub fn node(self) -> Option<NodeId> {
        match self {
            Self::Failed(node) | Self::Rejoined(node) | Self::RecipeChanged(node) => Some(node),
            Self::LinksChanged => None,
        }
    }
}

/// Reason why there is no flow.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum NoFlow {
    /// A final item cannot be made by the nodes alive over the links that work.
    #[error("item {0} cannot be made by the nodes that are alive")]
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
    /// The planner, an external program, crashed, hung or gave an invalid answer.
    #[error("the planner `{planner}` failed: {problem}")]
    PlannerFailed {
        /// The planner.
        planner: String,
        /// Description of the problem.
        problem: String,
    },
}

impl NoFlow {
    /// Returns whether the search did not come to an end, so that nothing is known about the network.
    #[must_use]
    pub fn is_inconclusive(&self) -> bool {
        matches!(self, Self::BudgetExhausted { .. } | Self::PlannerFailed { .. })
    }

    /// Returns a description with the item by name.
    #[must_use]
    pub fn explain(&self, network: &Network) -> String {
        match self {
            Self::Infeasible(item) => {
                format!("item `{}` cannot be made by the nodes that are alive", network.item_name(*item))
            }
            error => error.to_string(),
        }
    }
}

/// Counts a planner's elementary steps, up to a budget.
///
/// ```
/// use dmos_core::Meter;
/// let mut meter = Meter::new(10);
/// assert!(meter.charge(8).is_ok());
/// assert!(meter.charge(8).is_err());
/// assert_eq!(meter.steps(), 10);
/// ```
#[derive(Clone, Debug)]
pub struct Meter {
    budget: u64,
    steps: u64,
    counters: Vec<(&'static str, u64)>,
    remarks: Vec<String>,
}

impl Meter {
    /// Returns a meter that stops a plan after `budget` steps.
    #[must_use]
    pub fn new(budget: u64) -> Self {
        Self { budget, steps: 0, counters: Vec::new(), remarks: Vec::new() }
    }

    /// Counts `steps` steps.
    ///
    /// # Errors
    /// [`NoFlow::BudgetExhausted`] once the budget is exceeded; the count then equals the budget.
    pub fn charge(&mut self, steps: u64) -> Result<(), NoFlow> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > self.budget {
            self.steps = self.budget;
            return Err(NoFlow::BudgetExhausted { budget: self.budget });
        }
        Ok(())
    }

    /// Returns the number of steps left in the budget.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.budget - self.steps
    }

    /// Records a named counter beside the steps.
    pub fn note(&mut self, name: &'static str, value: u64) {
        self.counters.push((name, value));
    }

    /// Adds a remark on the plan that no counter can express, for example its bottleneck.
    pub fn remark(&mut self, words: String) {
        self.remarks.push(words);
    }

    /// Returns the remarks in the order in which they were made.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// Returns the number of steps counted so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns the counters in the order in which they were recorded.
    #[must_use]
    pub fn counters(&self) -> &[(&'static str, u64)] {
        &self.counters
    }

    /// Returns the counter named `name`, or zero if there is none.
    #[must_use]
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.iter().find(|counter| counter.0 == name).map_or(0, |counter| counter.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Names, Recipe, SupplyEdge};

    fn network() -> Network {
        let wood = ItemId::new(0);
        let names = (Names::Words(vec!["wood".to_owned()]), Names::Numbers(3));
        let recipes = [0, 1, 2].map(|_| Recipe::of(wood, [])).into_iter();
        Network::new(names.0, names.1, recipes, vec![wood]).expect("a valid network")
    }

    #[test]
    fn a_supplier_is_usable_if_it_is_alive_and_its_link_works() {
        let network = network();
        let [dead, cut, other] = [0, 1, 2].map(NodeId::new);
        let mut alive = NodeSet::all(3);
        alive.remove(dead);
        let broken_links: BrokenLinks = [(cut, other)].into_iter().collect();
        let request = PlanRequest { broken_links: &broken_links, ..PlanRequest::first(&network, &alive) };
        assert!(!request.is_usable(dead, other));
        assert!(!request.is_usable(cut, other) && !request.is_usable(other, cut));
        assert!(request.is_usable(cut, dead));
    }

    /// Plans one supply edge.
    struct OneEdge(SupplyEdge);

    impl FlowStrategy for OneEdge {
        fn plan(&mut self, _: &PlanRequest<'_>, _: &mut Meter) -> Result<Flow, NoFlow> {
            Ok(Flow::new(vec![self.0]))
        }
    }

    #[test]
    fn a_strategy_replans_from_scratch_unless_it_knows_better() {
        let network = network();
        let edge = |producer| SupplyEdge {
            producer: NodeId::new(producer),
            consumer: NodeId::new(2),
            item: ItemId::new(0),
        };
        let alive = NodeSet::all(3);
        let active = Flow::new(vec![edge(1)]);
        let request = PlanRequest { active: Some(&active), ..PlanRequest::first(&network, &alive) };
        let mut strategy = OneEdge(edge(0));
        let change = strategy.replan(&request, &mut Meter::new(1)).expect("a change");
        assert_eq!((change.removed.as_slice(), change.added.len()), (&[edge(1)][..], 1));
        assert!(strategy.rates().is_none() && strategy.bound(&request).is_none());
        assert!(strategy.rating(NodeId::new(0)).is_none());
    }

    #[test]
    fn a_meter_stops_at_its_budget() {
        let mut meter = Meter::new(10);
        assert_eq!(meter.charge(8), Ok(()));
        assert_eq!((meter.steps(), meter.left()), (8, 2));
        assert_eq!(meter.charge(2), Ok(()));
        assert_eq!(meter.charge(1), Err(NoFlow::BudgetExhausted { budget: 10 }));
        assert_eq!((meter.steps(), meter.left()), (10, 0));
        assert_eq!(meter.charge(u64::MAX), Err(NoFlow::BudgetExhausted { budget: 10 }));
    }

    #[test]
    fn a_meter_keeps_counters_and_remarks() {
        let mut meter = Meter::new(1);
        assert_eq!((meter.counters(), meter.remarks()), (&[][..], &[][..]));
        meter.note("edges", 4);
        meter.note("paths", 7);
        meter.remark("slow".to_owned());
        assert_eq!(meter.counters(), [("edges", 4), ("paths", 7)]);
        assert_eq!(["edges", "paths", "cost"].map(|name| meter.counter(name)), [4, 7, 0]);
        assert_eq!(meter.remarks(), ["slow"]);
    }

    #[test]
    fn a_reason_names_the_item() {
        let explained = |reason: NoFlow| (reason.explain(&network()), reason.is_inconclusive());
        let infeasible = explained(NoFlow::Infeasible(ItemId::new(0)));
        assert_eq!(infeasible, ("item `wood` cannot be made by the nodes that are alive".to_owned(), false));
        assert_eq!(explained(NoFlow::NoNodeAlive), ("no node is alive".to_owned(), false));
        let (text, is_inconclusive) = explained(NoFlow::BudgetExhausted { budget: 5 });
        assert!(text.contains("budget of 5 steps") && is_inconclusive, "{text}");
    }

    #[test]
    fn most_changes_concern_one_node() {
        let node = NodeId::new(3);
        let changes =
            [Change::Failed(node), Change::Rejoined(node), Change::RecipeChanged(node), Change::LinksChanged];
        assert_eq!(changes.map(Change::node), [Some(node), Some(node), Some(node), None]);
    }
}
