//! Lasting faults of links, against a run in which these links are broken from the beginning; and the table of them in
//! the documentation.
//!
//! `DMOS_UPDATE_DOCS=1 cargo test -p dmos-cli --test connectivity` writes the table.

use std::collections::BTreeMap;

use dmos_core::{Metric, RunRecord};

/// The leader strategies that replace a leader.
const STRATEGIES: [&str; 5] = ["bully", "ring", "raft", "lowest-id", "ballot"];

/// Maximum number of removals, and of plans after the first, because of one lasting fault.
const MOST: u64 = 10;

/// A directed link from the first node to the second that fails.
type Cut = (usize, usize);

/// A network with all nodes as candidates.
struct Factory {
    nodes: &'static str,
    names: &'static [&'static str],
}

const FACTORIES: [Factory; 3] = [
    Factory {
        nodes: "{name: s, makes: a, count: 2}, {name: m, makes: b, needs: [a], count: 2}, {name: f, makes: c, needs: [b]}",
        names: &["s-1", "s-2", "m-1", "m-2", "f"],
    },
    Factory {
        nodes: "{name: s, makes: a, count: 3}, {name: m, makes: b, needs: [a], count: 2}, {name: f, makes: c, needs: [b], count: 2}",
        names: &["s-1", "s-2", "s-3", "m-1", "m-2", "f-1", "f-2"],
    },
    Factory {
        nodes: "{name: s, makes: a, count: 3}, {name: g, makes: g, count: 2}, {name: m, makes: b, needs: [a, g], count: 2}, \
                {name: f, makes: c, needs: [b], count: 2}",
        names: &["s-1", "s-2", "s-3", "g-1", "g-2", "m-1", "m-2", "f-1", "f-2"],
    },
];

/// Returns all pairs of different nodes below `count`, the lower first.
fn pairs(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).flat_map(move |b| (0..b).map(move |a| (a, b)))
}

fn both_ways(links: impl IntoIterator<Item = (usize, usize)>) -> Vec<Cut> {
    links.into_iter().flat_map(|(a, b)| [(a, b), (b, a)]).collect()
}

/// Returns the cuts that leave a chain of the nodes in this order.
fn all_but_chain(order: &[usize]) -> Vec<Cut> {
    let is_kept = |a, b| order.windows(2).any(|pair| pair == [a, b] || pair == [b, a]);
    both_ways(pairs(order.len()).filter(|&(a, b)| !is_kept(a, b)))
}

/// Returns the order of a chain, number `nth` of some.
fn chain(count: usize, nth: usize) -> Vec<usize> {
    // Multiples of a number without a common divisor visit every node once.
    let steps: Vec<usize> = (1..count)
        .filter(|step| (1..=count).all(|d| d == 1 || !count.is_multiple_of(d) || step % d > 0))
        .collect();
    (0..count).map(|place| (nth + place * steps[nth % steps.len()]) % count).collect()
}

/// Returns the faults of a network of `count` nodes by kind; of the large networks some of them.
fn faults(count: usize) -> Vec<(&'static str, Vec<Cut>)> {
    let some = |nth: &usize| count < 6 || nth.is_multiple_of(3);
    let picked = |all: Vec<Vec<Cut>>| {
        all.into_iter().enumerate().filter(move |(nth, _)| some(nth)).map(|(_, cuts)| cuts)
    };
    let mut faults = Vec::new();
    let mut add = |kind, all: Vec<Vec<Cut>>| faults.extend(picked(all).map(|cuts| (kind, cuts)));
    add("one broken link", pairs(count).map(|link| both_ways([link])).collect());
    add("a one-way link", pairs(count).flat_map(|(a, b)| [vec![(a, b)], vec![(b, a)]]).collect());
    let others = |node| (0..count).filter(move |&other| other != node);
    add(
        "a node that receives nothing",
        (0..count).map(|node| others(node).map(|other| (other, node)).collect()).collect(),
    );
    add(
        "a node whose messages are lost",
        (0..count).map(|node| others(node).map(|other| (node, other)).collect()).collect(),
    );
    let around = |hub| both_ways(pairs(count).filter(move |&(a, b)| a != hub && b != hub));
    add("a hub", (0..count).map(around).collect());
    add("a chain", (0..count).map(|nth| all_but_chain(&chain(count, nth))).collect());
    let minority = |first: usize| {
        let is_in = move |node: usize| (node + count - first) % count < count / 2;
        both_ways(pairs(count).filter(move |&(a, b)| is_in(a) != is_in(b)))
    };
    add("a minority cut off", (0..count).map(minority).collect());
    if count < 6 {
        let two = pairs(pairs(count).count()).map(|(first, second)| {
            both_ways(
                pairs(count)
                    .enumerate()
                    .filter(|(nth, _)| *nth == first || *nth == second)
                    .map(|(_, link)| link),
            )
        });
        add("two broken links", two.collect());
    }
    faults
}

/// Runs ten minutes in which these links fail at a time.
fn run(factory: &Factory, leader: &str, cuts: &[Cut], at: &str) -> RunRecord {
    let name = |node: usize| factory.names[node];
    let cuts = cuts.iter().map(|&(from, to)| {
        format!("{{at: {at}, one_way_partition: {{from: [{}], to: [{}]}}}}", name(from), name(to))
    });
    let script = cuts.collect::<Vec<_>>().join(", ");
    let nodes = factory.nodes;
    dmos_sim::run(&dmos_testkit::scenario(&format!(
        "network: {{nodes: [{nodes}]}}\nduration: 10min\ncandidates: all\nleader: {leader}\nfaults: {{script: [{script}]}}"
    )))
}

/// The worst results of a kind of fault.
#[derive(Clone, Copy)]
struct Worst {
    faults: usize,
    /// Finished goods relative to those with the links broken from the beginning.
    output: f64,
    removals: u64,
    plans: u64,
}

fn judge(strategy: &str) -> BTreeMap<&'static str, Worst> {
    let mut all: BTreeMap<&str, Worst> = BTreeMap::new();
    for factory in &FACTORIES {
        for (kind, cuts) in faults(factory.names.len()) {
            let (record, from_start) =
                (run(factory, strategy, &cuts, "60s"), run(factory, strategy, &cuts, "0s"));
            let sum = |metric| record.nodes.iter().map(|node| node.get(metric)).sum::<u64>();
            let goods = |record: &RunRecord| {
                record.nodes.iter().map(|node| node.get(Metric::FinishedGoodsMade)).sum::<u64>()
            };
            let output = match goods(&from_start) {
                0 => 1.0,
                possible => goods(&record) as f64 / possible as f64,
            };
            let (removals, plans) = (sum(Metric::NodesDeterminedCrashed), sum(Metric::PlansComputed) - 1);
            let is_fine = output >= 0.9 && removals <= MOST && plans <= MOST && record.violations.is_empty();
            assert!(
                is_fine,
                "{strategy}, {kind}, {cuts:?} of {:?}: {output}, {removals} removals, {plans} plans, {:?}",
                factory.names, record.violations
            );
            let worst = all.entry(kind).or_insert(Worst { faults: 0, output: 1.0, removals: 0, plans: 0 });
            worst.faults += 1;
            worst.output = worst.output.min(output);
            worst.removals = worst.removals.max(removals);
            worst.plans = worst.plans.max(plans);
        }
    }
    all
}

fn table(by_strategy: &[(&str, BTreeMap<&str, Worst>)]) -> String {
    let mut text = String::from("| links that fail | faults |");
    by_strategy.iter().for_each(|(strategy, _)| text += &format!(" `{strategy}` |"));
    text += &format!("\n|---|---|{}\n", "---|".repeat(by_strategy.len()));
    for (kind, Worst { faults, .. }) in &by_strategy[0].1 {
        text += &format!("| {kind} | {faults} |");
        for (_, worst) in by_strategy {
            let Worst { output, removals, plans, .. } = worst[kind];
            text += &format!(" {:.0} %, {removals}, {plans} |", (output * 100.0).floor());
        }
        text += "\n";
    }
    text
}

#[test]
fn lasting_faults_of_links_cost_little_and_few_plans() {
    let judged: Vec<_> = std::thread::scope(|scope| {
        let threads = STRATEGIES.map(|strategy| scope.spawn(move || (strategy, judge(strategy))));
        threads
            .map(|thread| thread.join().expect("a failed assertion is printed above"))
            .into_iter()
            .collect()
    });
    let (begin, end) = ("<!-- links: begin -->\n", "<!-- links: end -->");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/auditing.md");
    let there = std::fs::read_to_string(path).expect("the document is there");
    let (before, rest) = there.split_once(begin).expect("the table begins");
    let (_, after) = rest.split_once(end).expect("the table ends");
    let made = format!("{before}{begin}{}{end}{after}", table(&judged));
    if std::env::var_os("DMOS_UPDATE_DOCS").is_some() {
        std::fs::write(path, &made).expect("the document can be written");
    } else {
        assert!(there == made, "the table is out of date: run this test with DMOS_UPDATE_DOCS=1");
    }
}

/// Returns finished goods, removals and plans after the first, of a run with a fault after a minute.
fn outcome(settings: &str, fault: &str) -> (u64, u64, u64) {
    let nodes = FACTORIES[0].nodes;
    let record = dmos_sim::run(&dmos_testkit::scenario(&format!(
        "network: {{nodes: [{nodes}]}}\nduration: 10min\n{settings}\nfaults: {{script: [{{at: 60s, {fault}}}]}}"
    )));
    let sum = |metric| record.nodes.iter().map(|node| node.get(metric)).sum::<u64>();
    let plans = sum(Metric::PlansComputed) - 1;
    (sum(Metric::FinishedGoodsMade), sum(Metric::NodesDeterminedCrashed), plans)
}

/// Finished goods of ten minutes in which nothing fails.
const WITHOUT_FAULTS: u64 = 595;

#[test]
fn a_plan_goes_around_a_broken_supply_link_at_once() {
    for strategy in STRATEGIES {
        let settings = format!("candidates: 5\nleader: {strategy}");
        let (goods, removals, plans) = outcome(&settings, "partition: [[s-1], [m-1]]");
        assert!(
            goods >= WITHOUT_FAULTS * 95 / 100 && removals == 0 && plans <= 1,
            "{strategy}: {goods}, {plans}"
        );
    }
}

#[test]
fn a_broken_link_off_the_flow_costs_nothing() {
    for strategy in STRATEGIES {
        let settings = format!("candidates: 5\nleader: {strategy}");
        let (goods, removals, plans) = outcome(&settings, "partition: [[s-1], [f]]");
        assert!(
            goods >= WITHOUT_FAULTS * 99 / 100 && removals == 0 && plans <= 1,
            "{strategy}: {goods}, {plans}"
        );
    }
}

#[test]
fn a_node_that_receives_nothing_is_removed_once_and_nothing_flaps() {
    for strategy in STRATEGIES {
        let settings = format!("leader: {strategy}\ndelays: {{message: 200ms}}");
        let fault = "one_way_partition: {from: [s-1, s-2, m-2, f], to: [m-1]}";
        let (goods, removals, plans) = outcome(&settings, fault);
        // The node itself believes that all others have failed.
        assert!(
            goods >= WITHOUT_FAULTS * 9 / 10 && removals <= 5 && plans <= 6,
            "{strategy}: {goods}, {removals}, {plans}"
        );
    }
}

#[test]
fn a_link_that_loses_half_of_its_messages_does_not_change_the_plan_for_ever() {
    for strategy in STRATEGIES {
        let settings = format!("leader: {strategy}");
        let fault = "lossy_links: {from: [s-1, m-1], to: [m-1, s-1], loss: 0.5}";
        let (goods, removals, plans) = outcome(&settings, fault);
        assert!(
            goods >= WITHOUT_FAULTS * 6 / 10 && removals == 0 && plans <= 14,
            "{strategy}: {goods}, {removals}, {plans}"
        );
    }
}
