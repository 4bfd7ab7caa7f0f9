//! Tests of the suite itself: intentionally broken strategies are detected, each by the intended check.

use std::sync::atomic::{AtomicUsize, Ordering};

use dmos_conformance::{CheckOutcome, Report, check_detector, check_flow, check_leader};
use dmos_core::strategy::{
    ArrivalHistory, DetectorConfig, DetectorDescriptor, DetectorStrategy, Election, ElectionConfig,
    ElectionEffects, ElectionInput, FlowDescriptor, FlowStrategy, Guarantee, LeaderDescriptor,
    LeaderStrategy, Meter, NoFlow, PlanRequest, register_detector, register_flow, register_leader,
};
use dmos_core::{BrokenLinks, Flow, NodeId, NodeSet, Share, Span, Term, Time};
use dmos_graph::Feasibility;
use dmos_testkit::{call, registry};

/// Returns the flow by the producers at one index among those that can supply each consumer, if these nodes are
/// alive.
fn flow(request: &PlanRequest<'_>, alive: &NodeSet, place: usize) -> Result<Flow, NoFlow> {
    let producers = Feasibility::with_links(request.network, alive, request.broken_links);
    let at_place = |nodes: &[NodeId]| nodes[place % nodes.len()];
    let ends = producers.finals(request.network)?.into_iter().map(|item| at_place(producers.of_item(item)));
    let supplier = |consumer, item| at_place(&producers.suppliers(consumer, item));
    Ok(Flow::upstream_of(request.network, ends.collect(), supplier))
}

type Plan = fn(&PlanRequest<'_>, &mut Meter) -> Result<Flow, NoFlow>;

struct Broken(Plan);

impl FlowStrategy for Broken {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        meter.charge(request.network.node_count() as u64)?;
        (self.0)(request, meter)
    }
}

macro_rules! broken {
    ($name:literal, $plan:expr) => {
        register_flow!(FlowDescriptor {
            name: $name,
            summary: "deliberately incorrect",
            source: "none",
            notes: "violates its guarantees",
            guarantees: |_| &[Guarantee::FindsFlow, Guarantee::LinearTime],
            params: &[],
            build: |_| Box::new(Broken($plan)),
        });
    };
}

broken!("ignores-failures", |request, _| { flow(request, &NodeSet::all(request.network.node_count()), 0) });

broken!("ignores-broken-links", |request, _| {
    flow(&PlanRequest { broken_links: &BrokenLinks::NONE, ..*request }, request.alive, 0)
});

broken!("gives-up-after-failure", |request, _| {
    let flow = flow(request, request.alive, 0)?;
    // Fails with a single failed node.
    if request.alive.len() < request.network.node_count() {
        return Err(NoFlow::Infeasible(request.network.final_items()[0]));
    }
    Ok(flow)
});

broken!("nondeterministic", |request, _| {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    flow(request, request.alive, CALLS.fetch_add(1, Ordering::Relaxed))
});

broken!("wrong-shares", |request, _| {
    let flow = flow(request, request.alive, 0)?;
    Ok(Flow::with_shares(flow.edges().iter().map(|&edge| (edge, Share::from_millionths(999_999))).collect()))
});

broken!("omits-the-source", |request, _| {
    let flow = flow(request, request.alive, 0)?;
    Ok(Flow::new(flow.edges().iter().skip(1).copied().collect()))
});

broken!("quadratic-time", |request, meter| {
    meter.charge((request.network.node_count() as u64).pow(2))?;
    flow(request, request.alive, 0)
});

broken!("over-budget", |_, meter| {
    meter.charge(1)?;
    Err(NoFlow::BudgetExhausted { budget: 1_000 })
});

broken!("panics", |request, _| {
    assert!(request.alive.len() > 1, "at least two nodes are alive");
    flow(request, request.alive, 0)
});

broken!("correct", |request, _| flow(request, request.alive, 0));

fn check(name: &str) -> Report {
    let registry = registry();
    check_flow(&registry, &call(name)).expect("a registered strategy")
}

fn failed(report: &Report) -> Vec<&'static str> {
    let failed = report.checks.iter().filter(|check| matches!(check.outcome, CheckOutcome::Failed(_)));
    failed.map(|check| check.requirement).collect()
}

#[test]
fn broken_flow_strategies_are_caught() {
    let valid = "flows are valid, and found if they exist";
    for (name, requirement) in [
        ("ignores-failures", valid),
        ("gives-up-after-failure", valid),
        ("over-budget", valid),
        ("panics", valid),
        ("wrong-shares", valid),
        ("omits-the-source", valid),
        ("ignores-broken-links", "no supply edge uses a broken link"),
        ("nondeterministic", "the same request gives the same answer"),
        ("quadratic-time", "linear time, where it is guaranteed"),
    ] {
        let report = check(name);
        assert!(failed(&report).contains(&requirement), "{report}");
        assert!(!report.has_passed());
    }
    // A correct but slow strategy only fails the check for linear time.
    assert_eq!(failed(&check("quadratic-time")).len(), 1);
    check("correct").assert_passed();
}

/// Every candidate leads, in the same term.
struct EveryCandidate;

impl LeaderStrategy for EveryCandidate {
    fn election(&self, config: ElectionConfig) -> Box<dyn Election> {
        Box::new(SelfElecting(config))
    }
}

#[derive(Clone, Debug)]
struct SelfElecting(ElectionConfig);

impl Election for SelfElecting {
    fn handle(&mut self, _: Time, input: ElectionInput<'_>, effects: &mut ElectionEffects) {
        if let ElectionInput::Start { .. } = input {
            effects.leader = Some((self.0.me, Term(1)));
        }
    }
}

/// The last candidate leads, and is never replaced.
struct Last;

impl LeaderStrategy for Last {
    fn election(&self, config: ElectionConfig) -> Box<dyn Election> {
        Box::new(OnlyIfLast(config))
    }
}

#[derive(Clone, Debug)]
struct OnlyIfLast(ElectionConfig);

impl Election for OnlyIfLast {
    fn handle(&mut self, _: Time, input: ElectionInput<'_>, effects: &mut ElectionEffects) {
        if let (ElectionInput::Start { durable }, true) =
            (input, self.0.candidates.last() == Some(&self.0.me))
        {
            let term = durable.map_or(1, |bytes| u64::from(bytes[0]) + 1);
            effects.durable = Some(Box::new([term as u8]));
            effects.leader = Some((self.0.me, Term(term)));
        }
    }
}

/// The last candidate leads, and becomes leader again and again.
struct RepeatedlyElected;

impl LeaderStrategy for RepeatedlyElected {
    fn election(&self, config: ElectionConfig) -> Box<dyn Election> {
        Box::new(RepeatedElection(config, 0))
    }
}

#[derive(Clone, Debug)]
struct RepeatedElection(ElectionConfig, u64);

impl Election for RepeatedElection {
    fn handle(&mut self, _: Time, input: ElectionInput<'_>, effects: &mut ElectionEffects) {
        match input {
            ElectionInput::Start { durable } => {
                self.1 = durable.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
            }
            ElectionInput::Timer(_) => {}
            _ => return,
        }
        if self.0.candidates.last() == Some(&self.0.me) {
            self.1 = self.0.own_term_after(self.1);
            effects.durable = Some(self.1.to_le_bytes().into());
            effects.leader = Some((self.0.me, Term(self.1)));
            effects.timers.push((Span::from_secs(20), 0));
        }
    }
}

const GUARANTEES: &[Guarantee] = &[Guarantee::OneLeaderPerTerm, Guarantee::OneLeaderEventually];

register_leader!(LeaderDescriptor {
    name: "all-candidates-lead",
    summary: "deliberately incorrect",
    source: "none",
    notes: "violates its guarantees",
    guarantees: |_| GUARANTEES,
    params: &[],
    build: |_| Box::new(EveryCandidate),
});

register_leader!(LeaderDescriptor {
    name: "restless",
    summary: "deliberately incorrect",
    source: "none",
    notes: "violates its guarantees",
    guarantees: |_| GUARANTEES,
    params: &[],
    build: |_| Box::new(RepeatedlyElected),
});

register_leader!(LeaderDescriptor {
    name: "never-replaced",
    summary: "deliberately incorrect",
    source: "none",
    notes: "violates its guarantees",
    guarantees: |_| GUARANTEES,
    params: &[],
    build: |_| Box::new(Last),
});

#[test]
fn broken_leader_strategies_are_caught() {
    let registry = registry();
    let check = |name: &str| check_leader(&registry, &call(name), 300).expect("a registered strategy");
    // Without a leader neither the flow nor the consumers of a supplier change: whichever shows first is reported.
    for (name, properties) in [
        ("all-candidates-lead", &["one_leader_per_term"][..]),
        ("never-replaced", &["production_resumes", "orders_filled"]),
        ("restless", &["leadership_settles"]),
    ] {
        let report = check(name);
        let CheckOutcome::Failed(words) = &report.checks[0].outcome else {
            panic!("{report}");
        };
        assert!(properties.iter().any(|property| words.contains(property)), "{report}");
    }
}

/// Tolerates the same silence of every node, and states another as its longest.
struct Constant {
    tolerated: Span,
    stated: Span,
}

impl DetectorStrategy for Constant {
    fn history(&self, _: &DetectorConfig) -> Box<dyn ArrivalHistory> {
        Box::new(Tolerated(self.tolerated))
    }

    fn silence_max(&self, _: &DetectorConfig) -> Span {
        self.stated
    }
}

struct Tolerated(Span);

impl ArrivalHistory for Tolerated {
    fn on_response(&mut self, _: Time) -> Span {
        self.0
    }
}

register_detector!(DetectorDescriptor {
    name: "patient",
    summary: "deliberately incorrect",
    source: "broken on purpose, in tests only",
    notes: "tolerates a longer silence than it states",
    guarantees: |_| &[Guarantee::Accuracy],
    params: &[],
    build: |_| Box::new(Constant { tolerated: Span::from_secs(19), stated: Span::from_secs(1) }),
});

register_detector!(DetectorDescriptor {
    name: "impatient",
    summary: "deliberately incorrect",
    source: "broken on purpose, in tests only",
    notes: "suspects healthy nodes",
    guarantees: |_| &[Guarantee::Accuracy],
    params: &[],
    build: |_| Box::new(Constant { tolerated: Span::from_secs(1), stated: Span::from_secs(1) }),
});

#[test]
fn broken_failure_detectors_are_caught() {
    let registry = registry();
    for (name, requirement) in [
        ("patient", "every crash is suspected within the longest tolerated silence"),
        ("impatient", "no node is suspected while nothing fails and delays are constant"),
    ] {
        let report = check_detector(&registry, &call(name)).expect("a registered strategy");
        assert!(failed(&report).contains(&requirement), "{report}");
    }
}
