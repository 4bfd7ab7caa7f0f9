//! Auditors: they see everything that happens in a run and check what must always hold.
//!
//! An [`Auditor`] is told of one [`Observation`] after the other, by whoever drives the nodes, and believes
//! nobody: it keeps books of its own, made from what became durable, and compares them with what nodes hold
//! and do. One property, one file.
//!
//! | module | its properties |
//! |---|---|
//! | [`observation`] | none: what auditors are told |
//! | `goods` | each batch is in one place, used up once at most, and made by its recipe |
//! | `goods/recovery` | logs recover, and add up when they are compacted |
//! | `goods/scrap` | what a crash destroyed is found, and nothing else; who has retired makes nothing |
//! | `goods/limits` | promises and logs stay within their limits |
//! | `goods/promises` | what was promised comes in after the last fault |
//! | `leadership` | one leader per term, and newer flows win |
//! | `flow` | plans use the living, fit their recipes, and are found if there are any |
//! | `progress` | production resumes after the last fault |
//! | `sights` | states that a search should come to |
//! | `findings` | none: collects what is found |
//!
//! Architecture invariant: nothing here knows who drives the nodes, or any strategy by name.

mod findings;
mod flow;
mod goods;
mod leadership;
pub mod observation;
mod progress;
mod sights;

use dmos_core::record::{Finding, GoodsAudit};
use dmos_core::{NodeId, NodeMetrics, Property, Scenario, Time};
use dmos_node::{Holdings, LogRecord, Report};

pub use observation::Observation;
pub use progress::resume_bound;

use findings::Findings;

/// All auditors of one run.
pub struct Auditor<'a> {
    findings: Findings,
    goods: goods::Goods<'a>,
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
    pub goods: GoodsAudit,
    /// What should never have happened.
    pub findings: Vec<Finding>,
    /// The states that were come to, and how often.
    pub reached: Vec<(Property, u64)>,
    /// Why nobody looked whether production resumes, if the scenario is healed and nobody did.
    pub not_checked: Option<String>,
}

impl<'a> Auditor<'a> {
    /// Auditors of a run of `scenario`.
    #[must_use]
    pub fn new(scenario: &'a Scenario) -> Self {
        Self {
            findings: Findings::default(),
            goods: goods::Goods::new(scenario),
            leadership: leadership::Leadership::new(scenario),
            flow: flow::Flows::new(scenario),
            progress: progress::Progress::new(scenario),
            sights: sights::Sights::new(&scenario.network),
        }
    }

    /// Something happened at `node`.
    pub fn observe(&mut self, at: Time, node: NodeId, observation: &Observation<'_>) {
        self.findings.now = at;
        let findings = &mut self.findings;
        match observation {
            Observation::Started { recovering, log } => {
                self.sights.started(node, log);
                self.goods.started(node, *recovering);
                self.progress.started(node);
            }
            Observation::Holds(holdings) => {
                if !holdings.under_way.is_empty() {
                    self.sights.saw(Property::PromiseRepeated);
                }
                self.goods.recovered(findings, node, holdings);
            }
            Observation::Compacted { before, state } => {
                self.goods.compacted(findings, node, before, state);
            }
            Observation::Crashed(crashed) => {
                self.sights.crashed(node, *crashed);
                self.progress.crashed(node);
            }
            Observation::Durable(record) => {
                self.goods.appended(findings, node, record);
                self.progress.appended(at, node, record);
            }
            Observation::LostAppend(record) => {
                if matches!(record, LogRecord::Made { .. }) {
                    self.sights.saw(Property::MakingCutOff);
                }
            }
            Observation::Reported(report) => self.reported(node, report),
        }
    }

    /// The run ends because so many events happened at one instant that there is no end to them.
    pub fn time_stands_still(&mut self, at: Time, events: u64) {
        self.findings.now = at;
        self.findings.add(Property::TimePasses, || {
            format!("{events} events at this instant, and no end; let messages take some time")
        });
    }

    fn reported(&mut self, node: NodeId, report: &Report) {
        match report {
            Report::TookOffice(term) => {
                self.leadership.took_office(&mut self.findings, node, *term);
                self.sights.took_office(node);
                self.progress.took_office(self.findings.now, node, *term);
            }
            Report::Adopted(stamp) => self.leadership.adopted(&mut self.findings, node, *stamp),
            Report::Struck(_) => {}
            Report::Planned(plan) => {
                self.flow.planned(&mut self.findings, node, plan);
                self.sights.planned(plan);
            }
        }
    }

    /// Ends the audit.
    #[must_use]
    pub fn finish<'n>(mut self, end: Time, node: impl Fn(NodeId) -> NodeAtEnd<'n>) -> Audit {
        self.findings.now = end;
        let network = self.goods.network();
        let nodes: Vec<NodeAtEnd<'_>> = network.nodes().map(node).collect();
        self.sights.count_metrics(nodes.iter().map(|node| node.metrics));
        let resumed = self.progress.finish(&mut self.findings, end);
        self.sights.saw_times(Property::Resumed, u64::from(resumed == Ok(true)));
        let goods = self.goods.finish(&mut self.findings, end, &nodes);
        Audit {
            goods,
            findings: self.findings.into_vec(),
            reached: self.sights.into_vec(),
            not_checked: resumed.err(),
        }
    }
}
