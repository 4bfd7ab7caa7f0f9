//! Criticality analysis: the effect of removing each node from a network.
//!
//! The scenario is run without faults, and then once for each node, with that node permanently down. The loss
//! of output is the node's impact; divided by the largest impact it is its risk exposure index (Simchi-Levi,
//! Schmidt and Wei, "From superstorms to factory fires: managing unpredictable supply-chain disruptions",
//! 2014, where the impact accumulates over the time to recover; here nothing recovers).

use dmos_compare::statistics::survival::Episode;
use dmos_compare::{ResultMetric, RunMetric, RunSummary};
use dmos_core::faults::{FailureMode, Fault, ScriptedFault, Target, Trigger};
use dmos_core::{Faults, ItemId, NodeId, NodeSet, RunRecord, Scenario, Time};
use dmos_graph::Feasibility;
use dmos_util::panics::caught;
use rayon::ThreadPool;
use rayon::prelude::*;

/// Criticality of the nodes of a network.
#[derive(Clone, PartialEq, Debug)]
pub struct Criticality {
    /// Time of the removal.
    pub at: Time,
    /// Complete sets of final items with all nodes.
    pub complete_sets: u64,
    /// Impact of each node, most critical first.
    pub nodes: Vec<NodeImpact>,
    /// Impact of each pair, in the order of the impact beyond that of the single nodes; empty if not
    /// requested.
    pub pairs: Vec<NodeImpact>,
    /// Items with a single producer, and that producer.
    pub sole_sources: Vec<(ItemId, NodeId)>,
}

/// The effect of removing one or two nodes.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeImpact {
    /// The removed nodes.
    pub nodes: Vec<NodeId>,
    /// Items that cannot be made any more.
    pub infeasible_items: Vec<ItemId>,
    /// Time from the removal until the output falls below three quarters; `None` if the output is undefined.
    pub time_to_survive: Option<Episode>,
    /// Lost output in seconds of the mean output with all nodes; `None` if nothing is made even then.
    pub loss: Option<f64>,
    /// Complete sets of final items.
    pub complete_sets: u64,
    /// Complete sets lost in comparison with all nodes.
    pub impact: u64,
    /// Impact divided by the largest impact of a single node; zero if that is zero.
    pub exposure: f64,
    /// For a pair, the impact beyond the sum of the two nodes' impacts.
    pub interaction: Option<i64>,
    /// Description of the failure, if the run failed.
    pub failed: Option<String>,
}

/// Removes each node of a scenario in turn, and with `pairs` each pair of nodes as well.
///
/// A node removed at `at` stays down. All other faults of the scenario are left out.
#[must_use]
pub fn criticality(scenario: &Scenario, at: Time, pairs: bool, pool: &ThreadPool) -> Criticality {
    let network = &*scenario.network;
    let fault_free = Scenario { faults: scenario.faults.fault_free(), ..scenario.clone() };
    let with_all = dmos_sim::run(&fault_free);
    let producers = Feasibility::of(network, &NodeSet::all(network.node_count()));
    let without = |nodes: Vec<NodeId>| remove(&fault_free, &with_all, &producers, nodes, at);
    let all = || network.nodes().collect::<Vec<_>>();
    let mut nodes: Vec<NodeImpact> =
        pool.install(|| all().into_par_iter().map(|node| without(vec![node])).collect());
    let mut two: Vec<NodeImpact> = Vec::new();
    if pairs {
        let each = |&one: &NodeId| {
            all().into_iter().filter(move |&other| other > one).map(move |other| vec![one, other])
        };
        let combinations: Vec<Vec<NodeId>> = all().iter().flat_map(each).collect();
        two = pool.install(|| combinations.into_par_iter().map(without).collect());
        for pair in &mut two {
            let alone: u64 = pair.nodes.iter().map(|node| nodes[node.index()].impact).sum();
            pair.interaction = Some(pair.impact.cast_signed() - alone.cast_signed());
        }
    }
    let largest = nodes.iter().map(|impact| impact.impact).max().unwrap_or(0).max(1) as f64;
    for impact in nodes.iter_mut().chain(&mut two) {
        impact.exposure = impact.impact as f64 / largest;
    }
    nodes.sort_by_key(|impact| std::cmp::Reverse(impact.impact));
    // Pairs with a critical node provide no new information.
    two.sort_by_key(|impact| std::cmp::Reverse((impact.interaction, impact.impact)));
    let sole = |item: ItemId| match producers.of_item(item) {
        [only] => Some((item, *only)),
        _ => None,
    };
    Criticality {
        at,
        complete_sets: with_all.complete_sets(network),
        nodes,
        pairs: two,
        sole_sources: network.items().filter_map(sole).collect(),
    }
}

fn remove(
    fault_free: &Scenario,
    with_all: &RunRecord,
    producers: &Feasibility,
    nodes: Vec<NodeId>,
    at: Time,
) -> NodeImpact {
    let network = &*fault_free.network;
    let mut alive = NodeSet::all(network.node_count());
    for &node in &nodes {
        alive.remove(node);
    }
    let left = Feasibility::of(network, &alive);
    let infeasible_items =
        network.items().filter(|&item| producers.can_make(item) && !left.can_make(item)).collect();
    let crash = |&node: &NodeId| ScriptedFault {
        trigger: Trigger::At(at),
        fault: Fault::Fail(Target::Node(node), FailureMode::Crash),
        duration: None,
    };
    let mut faults = Faults { script: fault_free.faults.script.clone(), ..fault_free.faults.clone() };
    faults.script.extend(nodes.iter().map(crash));
    let scenario = Scenario { faults, ..fault_free.clone() };
    let run = caught(|| {
        let record = dmos_sim::run(&scenario);
        (RunSummary::of(&scenario, &record, with_all), record.complete_sets(network))
    });
    let (summary, complete_sets, failed) = match run {
        Ok((summary, sets)) => (Some(summary), sets, None),
        Err(why) => (None, 0, Some(why)),
    };
    let summary = summary.as_ref();
    NodeImpact {
        nodes,
        infeasible_items,
        time_to_survive: summary
            .and_then(|summary| summary.episodes(RunMetric::TimeToSurvive).first().copied()),
        loss: summary.and_then(|summary| summary.number(ResultMetric::Run(RunMetric::Loss))),
        complete_sets,
        impact: with_all.complete_sets(network).saturating_sub(complete_sets),
        exposure: 0.0,
        interaction: None,
        failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execute::threads;
    use dmos_core::Span;

    #[test]
    fn a_sole_source_is_most_critical_and_redundant_nodes_are_not() {
        let text = "network: {nodes: [{makes: ore}, {makes: steel, needs: [ore], count: 2}, {makes: knife, needs: [steel]}]}\n\
                    duration: 10min\nseed: 3\nfaults: {script: [{at: 1min, crash: ore}]}\n";
        let scenario = dmos_testkit::scenario(text);
        let at = Time::ZERO + Span::from_secs(150);
        let pool = threads(None).expect("a thread pool");
        let found = criticality(&scenario, at, true, &pool);
        let network = &*scenario.network;
        let name = |impact: &NodeImpact| {
            let names = impact.nodes.iter().map(|&node| network.node_name(node).into_owned());
            names.collect::<Vec<_>>().join("+")
        };
        let sole: Vec<_> = found.sole_sources.iter().map(|(item, _)| network.item_name(*item)).collect();
        assert_eq!(sole, ["ore", "knife"]);
        let most: Vec<_> = found.nodes[..2].iter().map(name).collect();
        assert_eq!(
            most.iter().map(String::as_str).collect::<std::collections::BTreeSet<_>>(),
            ["knife", "ore"].into()
        );
        assert!((found.nodes[0].exposure - 1.0).abs() < 1e-12);
        let spare = found.nodes.iter().find(|impact| name(impact) == "steel-1").expect("a listed node");
        assert!(spare.infeasible_items.is_empty() && spare.exposure < 0.2, "{spare:?}");
        let both =
            found.pairs.iter().find(|impact| name(impact) == "steel-1+steel-2").expect("a listed node");
        assert_eq!(both.infeasible_items.len(), 2);
        assert!(both.interaction.expect("an interaction of a pair") > 100, "{both:?}");
    }

    /// With several final items, nodes matter for the item that limits the number of complete sets.
    #[test]
    fn every_final_item_counts() {
        let text = "network: {nodes: [{makes: design}, {makes: wafer}, {makes: chip, needs: {wafer: 8}}], final: [design, chip]}\n\
                    duration: 10min\n";
        let scenario = dmos_testkit::scenario(text);
        let pool = threads(None).expect("a thread pool");
        let found = criticality(&scenario, Time::ZERO + Span::from_secs(150), false, &pool);
        // Without wafers no chips are made; the designs of 150 s suffice for the chips of ten minutes.
        let exposures: Vec<f64> = found.nodes.iter().map(|impact| impact.exposure).collect();
        assert!(found.complete_sets > 60, "{}", found.complete_sets);
        assert!(
            matches!(exposures[..], [first, second, 0.0] if first == 1.0 && second > 0.9),
            "{exposures:?}"
        );
    }
}
