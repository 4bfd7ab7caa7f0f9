//! The invariant checker: observes all events of a run and checks the properties of the system.
//!
//! A driver reports each [`Observation`] to the [`InvariantChecker`]. The checker trusts no node: it keeps
//! accounts of its own from durable records, and compares them with what nodes hold and do. Each group of
//! properties has its own file.
//!
//! | module | properties |
//! |---|---|
//! | [`observation`] | none: the observations |
//! | `material` | each batch is in one place, consumed at most once, and made by its recipe |
//! | `material/ranges` | the same for ranges of batches |
//! | `material/recovery` | logs recover, and compaction preserves them |
//! | `material/scrap` | scrap is exactly what crashes destroyed; retired nodes make nothing |
//! | `material/limits` | commitments and logs stay within their limits |
//! | `material/shipments` | committed batches arrive after the last fault |
//! | `material/orders` | suppliers ship what was ordered, and pass no order over |
//! | `leadership` | one leader per term, and newer flows win |
//! | `flow` | plans assign live nodes, match recipes, and are found if there are any |
//! | `progress` | production resumes after the last fault |
//! | `bound` | none: the time within which it does |
//! | `coverage` | states that a search should reach |
//! | `violations` | none: the list of violations |
//!
//! Architecture invariant: this crate does not depend on the driver of the nodes, and names no strategy.

mod bound;
mod coverage;
mod flow;
mod leadership;
mod material;
pub mod observation;
mod progress;
mod violations;

use dmos_core::record::{MaterialBalance, Violation};
use dmos_core::{NodeId, NodeMetrics, Property, Scenario, Span, Time};
use dmos_node::{Holdings, LogRecord, Report};

pub use bound::{WorkDelays, resume_bound};
pub use observation::Observation;

use violations::Violations;

/// Checks all properties of one run.
pub struct InvariantChecker<'a> {
    scenario: &'a Scenario,
    /// Delays after the last fault was healed.
    delays: WorkDelays,
    violations: Violations,
    material: material::Material<'a>,
    leadership: leadership::Leadership<'a>,
    flow: flow::Flows<'a>,
    progress: progress::Progress<'a>,
    coverage: coverage::CoverageTracker<'a>,
}

/// A node at the end of a run.
pub struct NodeAtEnd<'a> {
    /// Batches that the node holds according to itself, or `None` if it is down.
    pub holdings: Option<Holdings>,
    /// Its metrics.
    pub metrics: &'a NodeMetrics,
}

/// Results of the checks at the end of a run.
pub struct AuditReport {
    /// Location of all batches.
    pub material: MaterialBalance,
    /// Violated invariants.
    pub violations: Vec<Violation>,
    /// Coverage properties that were reached, and how often.
    pub coverage: Vec<(Property, u64)>,
    /// Liveness properties that were judged.
    pub judged: Vec<Property>,
    /// Reason why the liveness properties were not checked, if the scenario has a `heal_at`.
    pub liveness_not_checked: Option<String>,
}

impl<'a> InvariantChecker<'a> {
    /// Creates the checker for a run of `scenario`.
    #[must_use]
    pub fn new(scenario: &'a Scenario) -> Self {
        Self {
            scenario,
            delays: WorkDelays::default(),
            violations: Violations::default(),
            material: material::Material::new(scenario),
            leadership: leadership::Leadership::new(scenario),
            flow: flow::Flows::new(scenario),
            progress: progress::Progress::new(scenario),
            coverage: coverage::CoverageTracker::new(&scenario.network),
        }
    }

    /// Handles an observation at `node`.
    pub fn observe(&mut self, at: Time, node: NodeId, observation: &Observation<'_>) {
        self.violations.now = at;
        let violations = &mut self.violations;
        match observation {
            Observation::Started { recovering, log } => {
                self.coverage.on_started(node, log);
                self.material.on_started(at, node, *recovering);
                self.progress.on_started(node);
            }
            Observation::Holds(holdings) => {
                if !holdings.in_transit.is_empty() {
                    self.coverage.record(Property::ShipmentResumed);
                }
                self.material.on_recovered(violations, node, holdings);
            }
            Observation::Compacted { before, state } => {
                self.material.on_compacted(violations, node, before, state);
            }
            Observation::Crashed(crashed) => {
                self.coverage.on_crashed(node, *crashed);
                self.material.on_crashed(node);
                self.progress.on_crashed(node);
            }
            Observation::Durable(record) => {
                self.material.on_durable(violations, node, record);
                self.progress.on_durable(at, node, record);
            }
            Observation::LostAppend(record) => {
                if matches!(record, LogRecord::Made { .. } | LogRecord::Ran { .. }) {
                    self.coverage.record(Property::ProductionInterrupted);
                }
            }
            Observation::RunStarted { ends } => self.material.on_run_started(violations, node, *ends),
            Observation::Reported(report) => self.on_reported(node, report),
        }
    }

    /// Handles the end of an input's handling, `delay` after its arrival at a node.
    pub fn on_handled(&mut self, at: Time, delay: Span) {
        if self.is_healed(at) {
            self.delays.input = self.delays.input.max(delay);
        }
    }

    /// Handles a message that is dropped because the mailbox of its receiver is full.
    pub fn on_dropped(&mut self, at: Time) {
        self.delays.drops_messages |= self.is_healed(at);
    }

    fn is_healed(&self, at: Time) -> bool {
        self.scenario.faults.heal_at.is_some_and(|healed| healed <= at)
    }

    /// Handles a run in which virtual time no longer advances: `events` events occurred at one time.
    pub fn on_zero_delay_loop(&mut self, at: Time, events: u64) {
        self.violations.now = at;
        self.violations.add(Property::TimeAdvances, || {
            format!("virtual time does not advance: {events} events at one time; use a nonzero message delay")
        });
    }

    fn on_reported(&mut self, node: NodeId, report: &Report) {
        match report {
            Report::BecameLeader(term) => {
                self.leadership.on_became_leader(&mut self.violations, node, *term);
                self.coverage.on_became_leader(node);
                self.progress.on_became_leader(self.violations.now, node, *term);
            }
            Report::Adopted(version) => {
                self.leadership.on_adopted(&mut self.violations, node, *version);
                self.material.on_adopted(self.violations.now, node);
            }
            Report::Ordered { supplier, order } => {
                self.material.on_ordered(self.violations.now, node, *supplier, *order);
            }
            Report::SteppedDown(_) | Report::Suspected { .. } | Report::Removed(_) => {}
            Report::Planned(plan) => {
                if self.is_healed(self.violations.now) {
                    self.delays.plan = self.delays.plan.max(plan.duration);
                }
                self.flow.on_planned(&mut self.violations, node, plan);
                self.coverage.on_planned(plan);
            }
        }
    }

    /// Finishes the checks at the end of the run.
    #[must_use]
    pub fn finish<'n>(mut self, end: Time, node: impl Fn(NodeId) -> NodeAtEnd<'n>) -> AuditReport {
        self.violations.now = end;
        let network = self.material.network();
        let nodes: Vec<NodeAtEnd<'_>> = network.nodes().map(node).collect();
        self.coverage.count_metrics(nodes.iter().map(|node| node.metrics));
        let mut judged = Vec::new();
        // Without a leader, a consumer and its supplier may follow different flows for ever.
        let has_leader = self.progress.leader_is_guaranteed().is_ok();
        let bound = resume_bound(self.scenario, self.delays);
        let resumed = self.progress.finish(&mut self.violations, end, bound, &mut judged);
        self.coverage.record_times(Property::Resumed, u64::from(resumed == Ok(true)));
        if self.material.check_shipments(&mut self.violations, end, bound, &nodes) {
            judged.push(Property::ShipmentsDelivered);
        }
        let flow = self.flow.active();
        if has_leader && self.material.check_orders(&mut self.violations, end, bound, &nodes, flow) {
            judged.push(Property::OrdersFilled);
        }
        let material = self.material.finish(&mut self.violations, &nodes);
        AuditReport {
            material,
            violations: self.violations.into_vec(),
            coverage: self.coverage.into_vec(),
            judged,
            liveness_not_checked: resumed.err(),
        }
    }
}
