//! Every property can fail: the checker reports counterexamples, and only those.

use std::sync::Arc;

use dmos_audit::observation::{LogAtStart, StateAtCrash};
use dmos_audit::{InvariantChecker, NodeAtEnd, Observation, WorkDelays, resume_bound};
use dmos_core::settings::Production;
use dmos_core::{
    BatchId, Flow, FlowVersion, ItemId, NodeId, NodeMetrics, NodeSet, Property, Scenario, SerialSet, Span,
    SupplyEdge, Term, Time,
};
use dmos_node::{Holdings, LogRecord, PlanReport, Report};

/// Returns a scenario with wood, two doors made of wood, and a house made of a door; healed after ten
/// seconds.
fn scenario() -> Scenario {
    let text = "network: {nodes: [{makes: wood}, {makes: door, needs: [wood], count: 2}, {makes: house, needs: [door]}]}
duration: 1h
flow: {name: memoized, substitute_ends: false}
faults: {heal_at: 10s}";
    dmos_testkit::scenario(text)
}

/// An event: time in seconds, node, and observation.
type Event<'a> = (u64, usize, Observation<'a>);

fn audit(scenario: &Scenario, events: &[Event<'_>]) -> Vec<Property> {
    let mut checker = InvariantChecker::new(scenario);
    for (second, node, observation) in events {
        checker.observe(at(*second), NodeId::new(*node), observation);
    }
    let metrics = NodeMetrics::new(Production::Server);
    let end = |_| NodeAtEnd { holdings: None, metrics: &metrics };
    let audit = checker.finish(Time::ZERO + scenario.duration, end);
    audit.violations.iter().map(|violation| violation.property).collect()
}

fn at(second: u64) -> Time {
    Time::ZERO + Span::from_secs(second)
}

fn report(second: u64, node: usize, report: &Report) -> Event<'_> {
    (second, node, Observation::Reported(report))
}

/// Returns a plan among the nodes `alive` with these edges (producer, consumer, item), or without a flow.
fn plan(scenario: &Scenario, alive: &[usize], edges: Option<&[(usize, usize, usize)]>) -> Report {
    let mut set = NodeSet::none(4);
    for &node in alive {
        set.insert(NodeId::new(node));
    }
    let edge = |&(producer, consumer, item): &(usize, usize, usize)| SupplyEdge {
        producer: NodeId::new(producer),
        consumer: NodeId::new(consumer),
        item: ItemId::new(item),
    };
    Report::Planned(Box::new(PlanReport {
        duration: Span::ZERO,
        steps: 1,
        network: Arc::clone(&scenario.network),
        alive: set,
        broken_links: [(NodeId::new(0), NodeId::new(2))].into_iter().collect(),
        flow: edges
            .map(|edges| Arc::new(Flow::new(edges.iter().map(edge).collect())))
            .ok_or(dmos_core::NoFlow::Infeasible(ItemId::new(2))),
        active: true,
    }))
}

#[test]
fn two_leaders_of_one_term_are_found() {
    let scenario = scenario();
    let (first, second) = (Report::BecameLeader(Term(3)), Report::BecameLeader(Term(4)));
    let fine = [report(1, 2, &first), report(2, 2, &first), report(3, 1, &second)];
    assert_eq!(audit(&scenario, &fine), []);
    let two = [report(1, 2, &first), report(2, 1, &first)];
    assert_eq!(audit(&scenario, &two), [Property::OneLeaderPerTerm]);
}

#[test]
fn an_older_flow_in_place_of_a_newer_is_found() {
    let scenario = scenario();
    let adopted = |term, version| Report::Adopted(FlowVersion { term: Term(term), number: version });
    let (old, new, newest) = (adopted(3, 2), adopted(3, 3), adopted(4, 1));
    assert_eq!(audit(&scenario, &[report(1, 0, &old), report(2, 0, &new), report(3, 0, &newest)]), []);
    let crash = (2, 0, Observation::Crashed(StateAtCrash::default()));
    let back = [report(1, 0, &new), crash, report(3, 0, &old)];
    assert_eq!(audit(&scenario, &back), [Property::NewerFlowWins], "also after a crash");
}

#[test]
fn invalid_plans_are_found() {
    let scenario = scenario();
    let found = |alive: &[usize], edges: Option<&[(usize, usize, usize)]>| {
        audit(&scenario, &[report(1, 3, &plan(&scenario, alive, edges))])
    };
    let whole: &[_] = &[(0, 1, 0), (1, 3, 1)];
    assert_eq!(found(&[0, 1, 3], Some(whole)), []);
    assert_eq!(found(&[0, 3], Some(whole)), [Property::PlanUsesLiveNodes]);
    let over_broken_link: &[_] = &[(0, 2, 0), (2, 3, 1)];
    assert_eq!(found(&[0, 2, 3], Some(over_broken_link)), [Property::PlanAvoidsBrokenLinks]);
    assert_eq!(
        found(&[0, 1, 3], Some(&[(1, 3, 1)])),
        [Property::FlowMatchesRecipes],
        "the door producer has no wood"
    );
    assert_eq!(
        found(&[0, 1, 3], Some(&[(0, 1, 0), (0, 3, 1)])),
        [Property::FlowMatchesRecipes],
        "wood is no door"
    );
    assert_eq!(found(&[0, 3], None), [], "without a door producer there is no flow");
    assert_eq!(found(&[0, 2, 3], None), [], "the other door producer has a broken link to the wood");
    assert_eq!(found(&[0, 1, 3], None), [Property::FlowFound]);
}

#[test]
fn a_wrong_recovery_is_found() {
    let scenario = scenario();
    let made =
        LogRecord::Made { first: BatchId { producer: NodeId::new(0), serial: 0 }, count: 1, inputs: 0 };
    let recovers = |stock: Vec<(u32, u32)>| {
        let holdings = Holdings { stock: SerialSet::from(stock), ..Holdings::default() };
        let started = Observation::Started { recovering: true, log: LogAtStart::default() };
        let events =
            [(1, 0, Observation::Durable(&made)), (2, 0, started), (2, 0, Observation::Holds(holdings))];
        audit(&scenario, &events)
    };
    assert_eq!(recovers(vec![(0, 1)]), []);
    assert_eq!(recovers(vec![]), [Property::LogRecovers], "a batch is missing");
    assert_eq!(recovers(vec![(0, 2)]), [Property::LogRecovers], "there is a surplus batch");
}

#[test]
fn production_that_does_not_resume_is_found() {
    let scenario = scenario();
    let bound = resume_bound(&scenario, WorkDelays::default()).expect("work takes no time").as_nanos()
        / 1_000_000_000;
    assert!((60..3_600 / 4).contains(&bound), "{bound}");
    let started = |node| (0, node, Observation::Started { recovering: false, log: LogAtStart::default() });
    let house =
        |serial| LogRecord::Made { first: BatchId { producer: NodeId::new(3), serial }, count: 1, inputs: 0 };
    let houses: Vec<LogRecord> = (0..1_000).map(house).collect();
    // Houses are made from nothing here, which violates another property.
    let resumes = |down: &[usize], until: u64| {
        let mut events: Vec<_> = (0..4).map(started).collect();
        events.extend(down.iter().map(|&node| (5, node, Observation::Crashed(StateAtCrash::default()))));
        let makes = houses.iter().zip((0..until).step_by(60));
        events.extend(makes.map(|(record, second)| (second, 3, Observation::Durable(record))));
        !audit(&scenario, &events).contains(&Property::ProductionResumes)
    };
    assert!(resumes(&[], 3_600));
    assert!(!resumes(&[], 3_600 - 2 * bound), "production stops before the end");
    assert!(!resumes(&[], 0), "production never starts");
    assert!(resumes(&[1, 2], 0), "infeasible, so no violation is expected");
    assert!(!resumes(&[1], 0), "feasible, so a violation is expected");
}

/// Returns the liveness properties that are judged in an idle run of this length with some delays of work.
fn judged(seconds: u64, prepare: impl Fn(&mut InvariantChecker<'_>)) -> Vec<Property> {
    let mut scenario = scenario();
    scenario.duration = Span::from_secs(seconds);
    let mut checker = InvariantChecker::new(&scenario);
    prepare(&mut checker);
    for node in scenario.network.nodes() {
        let started = Observation::Started { recovering: false, log: LogAtStart::default() };
        checker.observe(at(0), node, &started);
    }
    let metrics = NodeMetrics::new(Production::Server);
    let end = |_| NodeAtEnd { holdings: Some(Holdings::default()), metrics: &metrics };
    checker.finish(at(seconds), end).judged
}

#[test]
fn nothing_is_judged_if_work_takes_too_long_after_the_last_fault() {
    let all = judged(3_600, |_| ()).len();
    assert_eq!(judged(3_600, |checker| checker.on_dropped(at(9))).len(), all);
    assert!(judged(3_600, |checker| checker.on_dropped(at(10))).len() < all);
    let late = Span::from_secs(60);
    assert_eq!(judged(3_600, |checker| checker.on_handled(at(9), late)).len(), all);
    assert!(judged(3_600, |checker| checker.on_handled(at(10), late)).len() < all);
}

#[test]
fn a_short_run_says_nothing_about_liveness() {
    assert_eq!(judged(20, |_| ()), []);
    let all = [
        Property::LeadershipSettles,
        Property::ProductionResumes,
        Property::ShipmentsDelivered,
        Property::OrdersFilled,
    ];
    assert_eq!(judged(3_600, |_| ()), all);
}
