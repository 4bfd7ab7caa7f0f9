//! Auditors: they see everything that happens in a run and check what must always hold.
//!
//! An [`InvariantChecker`] is told of one [`Observation`] after the other, by whoever drives the nodes, and believes
//! nobody: it keeps books of its own, made from what became durable, and compares them with what nodes hold
//! and do. One property, one file.
//!
//! | module | its properties |
//! |---|---|
//! | [`observation`] | none: what the invariant checker are told |
//! | `material` | each batch is in one place, consumed once at most, and made by its recipe |
//! | `material/recovery` | logs recover, and add up when they are compacted |
//! | `material/scrap` | what a crash destroyed is found, and nothing else; who has retired makes nothing |
//! | `material/limits` | promises and logs stay within their limits |
//! | `material/shipments` | what was committed comes in after the last fault |
//! | `leadership` | one leader per term, and newer flows win |
//! | `flow` | plans use the living, fit their recipes, and are found if there are any |
//! | `progress` | production resumes after the last fault |
//! | `coverage` | states that a search should come to |
//! | `violations` | none: collects what is found |
//!
//! Architecture invariant: nothing here knows who drives the nodes, or any strategy by name.

mod coverage;
mod flow;
mod leadership;
mod material;
pub mod observation;
mod progress;
mod violations;

use dmos_core::record::{MaterialBalance, Violation};
use dmos_core::{NodeId, NodeMetrics, Property, Scenario, Time};
use dmos_node::{Holdings, LogRecord, Report};

pub use observation::Observation;
pub use progress::resume_bound;

use violations::Violations;

/// All the invariant checker of one run.
pub struct InvariantChecker<'a> {
    violations: Violations,
    material: material::Material<'a>,
    leadership: leadership::Leadership,
    flow: flow::Flows<'a>,
    progress: progress::Progress<'a>,
    coverage: coverage::CoverageTracker<'a>,
}

/// A node at the end of a run.
pub struct NodeAtEnd<'a> {
    /// What it holds by its own account; none if it is down.
    pub holdings: Option<Holdings>,
    /// Its metrics.
    pub metrics: &'a NodeMetrics,
}

/// What the invariant checker have to say at the end.
pub struct AuditReport {
    /// Where all batches are.
    pub material: MaterialBalance,
    /// What should never have happened.
    pub violations: Vec<Violation>,
    /// The states that were come to, and how often.
    pub coverage: Vec<(Property, u64)>,
    /// Why nobody looked whether production resumes, if the scenario is healed and nobody did.
    pub liveness_not_checked: Option<String>,
}

impl<'a> InvariantChecker<'a> {
    /// Auditors of a run of `scenario`.
    #[must_use]
    pub fn new(scenario: &'a Scenario) -> Self {
        Self {
            violations: Violations::default(),
            material: material::Material::new(scenario),
            leadership: leadership::Leadership::new(scenario),
            flow: flow::Flows::new(scenario),
            progress: progress::Progress::new(scenario),
            coverage: coverage::CoverageTracker::new(&scenario.network),
        }
    }

    /// Something happened at `node`.
    pub fn observe(&mut self, at: Time, node: NodeId, observation: &Observation<'_>) {
        self.violations.now = at;
        let violations = &mut self.violations;
        match observation {
            Observation::Started { recovering, log } => {
                self.coverage.on_started(node, log);
                self.material.on_started(node, *recovering);
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
                self.progress.on_crashed(node);
            }
            Observation::Durable(record) => {
                self.material.on_durable(violations, node, record);
                self.progress.on_durable(at, node, record);
            }
            Observation::LostAppend(record) => {
                if matches!(record, LogRecord::Made { .. }) {
                    self.coverage.record(Property::ProductionInterrupted);
                }
            }
            Observation::Reported(report) => self.on_reported(node, report),
        }
    }

    /// The run ends because so many events happened at one instant that there is no end to them.
    pub fn on_endless_instant(&mut self, at: Time, events: u64) {
        self.violations.now = at;
        self.violations.add(Property::TimeAdvances, || {
            format!("{events} events at this instant, and no end; let messages take some time")
        });
    }

    fn on_reported(&mut self, node: NodeId, report: &Report) {
        match report {
            Report::BecameLeader(term) => {
                self.leadership.on_became_leader(&mut self.violations, node, *term);
                self.coverage.on_became_leader(node);
                self.progress.on_became_leader(self.violations.now, node, *term);
            }
            Report::Adopted(version) => self.leadership.on_adopted(&mut self.violations, node, *version),
            Report::Removed(_) => {}
            Report::Planned(plan) => {
                self.flow.on_planned(&mut self.violations, node, plan);
                self.coverage.on_planned(plan);
            }
        }
    }

    /// Ends the audit.
    #[must_use]
    pub fn finish<'n>(mut self, end: Time, node: impl Fn(NodeId) -> NodeAtEnd<'n>) -> AuditReport {
        self.violations.now = end;
        let network = self.material.network();
        let nodes: Vec<NodeAtEnd<'_>> = network.nodes().map(node).collect();
        self.coverage.count_metrics(nodes.iter().map(|node| node.metrics));
        let resumed = self.progress.finish(&mut self.violations, end);
        self.coverage.record_times(Property::Resumed, u64::from(resumed == Ok(true)));
        let material = self.material.finish(&mut self.violations, end, &nodes);
        AuditReport {
            material,
            violations: self.violations.into_vec(),
            coverage: self.coverage.into_vec(),
            liveness_not_checked: resumed.err(),
        }
    }
}
