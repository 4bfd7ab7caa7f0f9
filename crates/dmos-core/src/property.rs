//! The properties that the invariant checker verifies, by name and kind.

use serde::Serialize;

/// Kind of a property.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PropertyKind {
    /// Holds at every moment; a counterexample is a violation.
    Safety,
    /// Holds eventually; failing to hold within its bound is a violation.
    Liveness,
    /// Occurs in some runs. It shows that a search reaches interesting states; its absence from a single run
    /// is not a violation.
    Coverage,
}

macro_rules! properties {
    ($($id:ident $name:literal $kind:ident $doc:literal;)*) => {
        /// A property that the invariant checker verifies or counts.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Property {
            $(#[doc = $doc] $id,)*
        }

        impl Property {
            /// All properties, in the order of their table.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];

            /// Returns the name used in every output.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$id => $name,)* }
            }

            /// Returns the kind of the property.
            #[must_use]
            pub fn kind(self) -> PropertyKind {
                match self { $(Self::$id => PropertyKind::$kind,)* }
            }

            /// Returns the definition.
            #[must_use]
            pub fn definition(self) -> &'static str {
                match self { $(Self::$id => $doc,)* }
            }
        }
    };
}

properties! {
    BatchInOnePlace "batch_in_one_place" Safety
        "Every batch is in exactly one place: in stock, in transit, in an input buffer, consumed or scrapped; no node holds one that is elsewhere.";
    BatchConsumedOnce "batch_consumed_once" Safety
        "No batch is consumed twice.";
    MadeByRecipe "made_by_recipe" Safety
        "Every production run consumes received batches, in the quantities of the recipe at its start.";
    RunTakesItsTime "run_takes_its_time" Safety
        "A node processes one production run at a time, and none ends before its process time has passed.";
    ShippedAsOrdered "shipped_as_ordered" Safety
        "No supplier ships more to a consumer than it has ordered since its last crash, and none fills an order from before that crash once it knows of it.";
    ScrapRecorded "scrap_recorded" Safety
        "Batches destroyed by a crash, and only those, are logged as scrap before anything else happens at the node.";
    RetiredNodeIdle "retired_node_idle" Safety
        "A retired node makes no batches and commits none.";
    WithinLimits "within_limits" Safety
        "No node commits more than `commitment_limit` batches to one consumer, and no log grows far beyond its content and `compact_after`.";
    OneLeaderPerTerm "one_leader_per_term" Safety
        "No two nodes lead in the same term, if the leader strategy guarantees that.";
    NewerFlowWins "newer_flow_wins" Safety
        "No node replaces a flow by an earlier one, not even after a crash.";
    PlanUsesLiveNodes "plan_uses_live_nodes" Safety
        "No plan assigns a node outside the planner's membership view.";
    PlanAvoidsBrokenLinks "plan_avoids_broken_links" Safety
        "No plan supplies a node over a link that the planner believes broken.";
    FlowMatchesRecipes "flow_matches_recipes" Safety
        "Every supply edge leads from a producer of an item to a node that requires it, and a node with suppliers has one for every item that it requires.";
    FlowFound "flow_found" Safety
        "A plan finds a flow if the nodes believed alive can make a final item, if the flow strategy guarantees that.";
    LogRecovers "log_recovers" Safety
        "After a crash a node holds exactly what its log held at the last durable point, and a compacted log holds exactly what the log held before.";
    TimeAdvances "time_advances" Safety
        "Time advances: the number of events at one instant is bounded. If it is not, the run ends there.";
    ProductionResumes "production_resumes" Liveness
        "After the last fault is healed, each final item is made again within a bound, if the nodes that are up can make it.";
    LeadershipSettles "leadership_settles" Liveness
        "Within a bound after the last fault is healed, leadership no longer changes, if the leader strategy guarantees a leader.";
    ShipmentsDelivered "shipments_delivered" Liveness
        "After the last fault is healed, a batch committed by a node that is up to one that is up arrives within a bound.";
    OrdersFilled "orders_filled" Liveness
        "After the last fault is healed, no order waits beyond a bound while its supplier has batches in stock or ships more to others than their planned rates allow, if the leader strategy guarantees a leader.";
    LeaderCrashed "leader_crashed" Coverage
        "A leader crashed.";
    PlanInterrupted "plan_interrupted" Coverage
        "A leader crashed while planning.";
    LeaderReplaced "leader_replaced" Coverage
        "A node other than the first leader became leader.";
    LiveNodeRemoved "live_node_removed" Coverage
        "A plan excluded a node that was up.";
    FailedNodePlanned "failed_node_planned" Coverage
        "A plan assigned a node that was down, because its failure was not yet known.";
    Infeasible "infeasible" Coverage
        "A plan found that no final item can be made.";
    OlderAssignmentRefused "older_assignment_refused" Coverage
        "A node refused an assignment of an older flow than its own.";
    ShipmentResumed "shipment_resumed" Coverage
        "A producer recovered from a crash with committed batches to ship.";
    DuplicateRecognised "duplicate_recognised" Coverage
        "A batch was announced that had been announced before.";
    TransitInterrupted "transit_interrupted" Coverage
        "A node crashed while a batch was in transit to it.";
    ProductionInterrupted "production_interrupted" Coverage
        "A crash lost the last records of a production run, so that nothing was made.";
    TornAppendFound "torn_append_found" Coverage
        "A node started from a log whose last frame was torn.";
    CompactedLogRead "compacted_log_read" Coverage
        "A node started from a log that had been compacted.";
    RequestRedirected "request_redirected" Coverage
        "A request was redirected to another supplier after a timeout or because its supplier was suspected.";
    RecipePlanned "recipe_planned" Coverage
        "A leader planned with a changed recipe.";
    Resumed "resumed" Coverage
        "Production was observed after the last fault.";
}

impl Serialize for Property {
    /// Serializes the property as its name.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
