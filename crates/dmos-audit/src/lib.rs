//! Auditors: they see everything that happens in a run and check what must always hold.
//!
//! An [`Auditor`] is told of one [`Observation`] after the other, by whoever drives the nodes, and believes
//! nobody: it keeps books of its own, made from what became durable, and compares them with what nodes hold
//! and do. One property, one file.
//!
//! | module | its properties |
//! |---|---|
//! | [`observation`] | none: what auditors are told |
//! | `material` | each batch is in one place, used up once at most, and made by its recipe |
//! | `material/recovery` | logs recover, and add up when they are compacted |
//! | `material/scrap` | what a crash destroyed is found, and nothing else; who has retired makes nothing |
//! | `material/limits` | promises and logs stay within their limits |
//! | `material/promises` | what was promised comes in after the last fault |
//! | `leadership` | one leader per term, and newer flows win |
//! | `flow` | plans use the living, fit their recipes, and are found if there are any |
//! | `progress` | production resumes after the last fault |
//! | `sights` | states that a search should come to |
//! | `violations` | none: collects what is found |
//!
//! Architecture invariant: nothing here knows who drives the nodes, or any strategy by name.

mod flow;
mod leadership;
mod material;
pub mod observation;
mod progress;
mod sights;
mod violations;

use dmos_core::record::{MaterialBalance, Violation};
use dmos_core::{NodeId, NodeMetrics, Property, Scenario, Time};
use dmos_node::{Holdings, LogRecord, Report};

pub use observation::Observation;
pub use progress::resume_bound;

use violations::Violations;

/// All auditors of one run.
pub struct Auditor<'a> {
    violations: Violations,
    material: material::Material<'a>,
    leadership: leadership::Leadership,
    flow: flow::Flows<'a>,
    progress: progress::Progress<'a>,
    sights: sights::Sights<'a>,
}

/// A node at the end of a run.
pub struct NodeAtEnd<'a> {
    /// What it holds by its own account; none if it is down.
    pub holdings: Option<Holdings>,
    /// Its metrics.
    pub metrics: &'a NodeMetrics,
}

/// What auditors have to say at the end.
pub struct Audit {
    /// Where all batches are.
    pub material: MaterialBalance,
    /// What should never have happened.
    pub violations: Vec<Violation>,
    /// The states that were come to, and how often.
    pub reached: Vec<(Property, u64)>,
    /// Why nobody looked whether production resumes, if the scenario is healed and nobody did.
    pub liveness_not_checked: Option<String>,
}

impl<'a> Auditor<'a> {
    /// Auditors of a run of `scenario`.
    #[must_use]
    pub fn new(scenario: &'a Scenario) -> Self {
        Self {
            violations: Violations::default(),
            material: material::Material::new(scenario),
            leadership: leadership::Leadership::new(scenario),
            flow: flow::Flows::new(scenario),
            progress: progress::Progress::new(scenario),
            sights: sights::Sights::new(&scenario.network),
        }
    }

    /// Something happened at `node`.
    pub fn observe(&mut self, at: Time, node: NodeId, observation: &Observation<'_>) {
        self.violations.now = at;
        let violations = &mut self.violations;
        match observation {
            Observation::Started { recovering, log } => {
                self.sights.started(node, log);
                self.material.started(node, *recovering);
                self.progress.started(node);
            }
            Observation::Holds(holdings) => {
                if !holdings.in_transit.is_empty() {
                    self.sights.saw(Property::ShipmentResumed);
                }
                self.material.recovered(violations, node, holdings);
            }
            Observation::Compacted { before, state } => {
                self.material.compacted(violations, node, before, state);
            }
            Observation::Crashed(crashed) => {
                self.sights.crashed(node, *crashed);
                self.progress.crashed(node);
            }
            Observation::Durable(record) => {
                self.material.appended(violations, node, record);
                self.progress.appended(at, node, record);
            }
            Observation::LostAppend(record) => {
                if matches!(record, LogRecord::Made { .. }) {
                    self.sights.saw(Property::ProductionInterrupted);
                }
            }
            Observation::Reported(report) => self.reported(node, report),
        }
    }

    /// The run ends because so many events happened at one instant that there is no end to them.
    pub fn time_stands_still(&mut self, at: Time, events: u64) {
        self.violations.now = at;
        self.violations.add(Property::TimeAdvances, || {
            format!("{events} events at this instant, and no end; let messages take some time")
        });
    }

    fn reported(&mut self, node: NodeId, report: &Report) {
        match report {
            Report::TookOffice(term) => {
                self.leadership.took_office(&mut self.violations, node, *term);
                self.sights.took_office(node);
                self.progress.took_office(self.violations.now, node, *term);
            }
            Report::Adopted(version) => self.leadership.adopted(&mut self.violations, node, *version),
            Report::Struck(_) => {}
            Report::Planned(plan) => {
                self.flow.planned(&mut self.violations, node, plan);
                self.sights.planned(plan);
            }
        }
    }

    /// Ends the audit.
    #[must_use]
    pub fn finish<'n>(mut self, end: Time, node: impl Fn(NodeId) -> NodeAtEnd<'n>) -> Audit {
        self.violations.now = end;
        let network = self.material.network();
        let nodes: Vec<NodeAtEnd<'_>> = network.nodes().map(node).collect();
        self.sights.count_metrics(nodes.iter().map(|node| node.metrics));
        let resumed = self.progress.finish(&mut self.violations, end);
        self.sights.saw_times(Property::Resumed, u64::from(resumed == Ok(true)));
        let material = self.material.finish(&mut self.violations, end, &nodes);
        Audit {
            material,
            violations: self.violations.into_vec(),
            reached: self.sights.into_vec(),
            liveness_not_checked: resumed.err(),
        }
    }
}
