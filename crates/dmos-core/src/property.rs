//! What auditors check, by name and kind.

use serde::Serialize;

/// How a property is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PropertyKind {
    /// It holds at every moment; once it does not, that is a violation.
    Safety,
    /// It holds in the end; if it does not, that is a violation.
    Liveness,
    /// It comes about now and then. It proves that a search got to where it might hurt; that it does not
    /// come about in one run is no violation.
    Coverage,
}

macro_rules! properties {
    ($($id:ident $name:literal $kind:ident $doc:literal;)*) => {
        /// Something that auditors check or watch for.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Property {
            $(#[doc = $doc] $id,)*
        }

        impl Property {
            /// All there are, in the order of their table.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];

            /// The name in every output.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$id => $name,)* }
            }

            /// How it is meant.
            #[must_use]
            pub fn kind(self) -> PropertyKind {
                match self { $(Self::$id => PropertyKind::$kind,)* }
            }

            /// What it says.
            #[must_use]
            pub fn definition(self) -> &'static str {
                match self { $(Self::$id => $doc,)* }
            }
        }
    };
}

properties! {
    BatchInOnePlace "batch_in_one_place" Safety
        "Every batch is in one place: in stock, under way, in a dock, used up or scrapped; nobody has one that is elsewhere.";
    BatchConsumedOnce "batch_consumed_once" Safety
        "No batch is used up twice.";
    MadeByRecipe "made_by_recipe" Safety
        "What is made is made out of received batches, as many of each item as the recipe of that moment says.";
    ScrapRecorded "scrap_recorded" Safety
        "What a crash destroyed is entered as scrap before anything else happens at the node, and nothing else is.";
    RetiredNodeIdle "retired_node_idle" Safety
        "A node that has retired makes nothing and promises nothing.";
    WithinLimits "within_limits" Safety
        "No node promises one consumer more than `promise_limit`, and no log grows far beyond what it holds and `compact_after`.";
    OneLeaderPerTerm "one_leader_per_term" Safety
        "No two nodes lead in the same term, if the leader strategy promises that.";
    NewerFlowWins "newer_flow_wins" Safety
        "No node gives up a flow for an earlier one, not even after a crash.";
    PlanUsesLiveNodes "plan_uses_live_nodes" Safety
        "No plan uses a node that the planner takes for dead.";
    FlowMatchesRecipes "flow_matches_recipes" Safety
        "Every supply edge leads from a producer of an item to a node that requires it, and a node that is supplied is supplied with all it requires.";
    FlowFound "flow_found" Safety
        "A plan finds a flow if the nodes taken for living can make a final item, if the flow strategy promises that.";
    LogRecovers "log_recovers" Safety
        "After a crash a node has what its log held at the last durable point, and a compacted log adds up to what it held: no more, no less.";
    TimeAdvances "time_advances" Safety
        "Time passes: nodes do not answer each other without end at one instant. If they do, the run ends there.";
    ProductionResumes "production_resumes" Liveness
        "After the last fault is healed, batches of each final item are made again within a bound, if the nodes that are up can make them.";
    LeadershipSettles "leadership_settles" Liveness
        "Within a bound after the last fault is healed, nobody takes office any more, if the leader strategy promises a leader.";
    ShipmentsDelivered "shipments_delivered" Liveness
        "After the last fault is healed, a batch promised by a node that is up to one that is up comes in within a bound.";
    LeaderCrashed "leader_crashed" Coverage
        "A node crashed that led.";
    PlanInterrupted "plan_interrupted" Coverage
        "A leader crashed while it planned.";
    LeaderReplaced "leader_replaced" Coverage
        "Another node took office after the first leader.";
    LiveNodeRemoved "live_node_removed" Coverage
        "A node was planned without although it was up.";
    FailedNodePlanned "failed_node_planned" Coverage
        "A plan counted on a node that was down: its death was not known yet.";
    Infeasible "infeasible" Coverage
        "A plan found that nothing can be made.";
    OlderAssignmentRefused "older_assignment_refused" Coverage
        "A node refused a part of an older flow than its own.";
    ShipmentResumed "shipment_resumed" Coverage
        "A producer came back from a crash with promises to keep.";
    DuplicateRecognised "duplicate_recognised" Coverage
        "A batch was announced that had come before.";
    TransitInterrupted "transit_interrupted" Coverage
        "A node crashed with a batch in transit to it.";
    ProductionInterrupted "production_interrupted" Coverage
        "A crash took the last records of a making, so that nothing was made.";
    TornAppendFound "torn_append_found" Coverage
        "A node started from a log whose last record was torn.";
    CompactedLogRead "compacted_log_read" Coverage
        "A node started from a log that had been compacted.";
    OrderRedirected "order_redirected" Coverage
        "A request that was not answered in time, or whose supplier was suspected, went to another supplier.";
    RecipePlanned "recipe_planned" Coverage
        "A leader planned with a changed recipe.";
    Resumed "resumed" Coverage
        "Production was looked for after the last fault, and was there.";
}

impl Serialize for Property {
    /// As its name.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
