//! Warnings of settings that are valid and rarely meant.

use dmos_core::faults::{Fault, Faults, Target};
use dmos_core::settings::{Production, Protocol};
use dmos_core::strategy::{Guarantee, LeaderChoice};
use dmos_core::{Network, NodeId, Routes, Span};

/// Returns a warning if nodes are suspected before they can answer.
pub(super) fn silence(protocol: &Protocol) -> Option<String> {
    (protocol.suspect_after < protocol.heartbeat).then(|| {
        "`suspect_after` is shorter than `heartbeat`: every monitored node will be suspected".to_owned()
    })
}

/// Returns a warning if messages are retransmitted before an answer can arrive.
pub(super) fn retransmission(protocol: &Protocol, routes: &Routes) -> Option<String> {
    let retry_after = protocol.retry_after?;
    let longest = |delay: fn(&dmos_core::Route) -> Span| routes.all().map(delay).max().unwrap_or_default();
    let round_trip = longest(|route| route.message().upper()) * 2;
    let transit = longest(|route| route.transit().upper());
    // A polled consumer confirms a batch when it arrives, a server when it is announced.
    let (answer, what) = match protocol.production {
        Production::Polled => (round_trip + transit, "a round trip and the transit of a batch"),
        Production::Server => (round_trip, "a round trip"),
    };
    (retry_after < answer).then(|| {
        format!(
            "`retry_after` is {retry_after}, but {what} can take {answer}: messages are sent again before the answer arrives"
        )
    })
}

/// Number of candidates beyond which elections are slow.
const MANY_CANDIDATES: usize = 500;

/// Number of candidates beyond which messages between all pairs of them are a burden.
const MANY_PAIRS: usize = 30;

/// Returns a warning if a leader strategy sends many messages because there are many candidates.
pub(super) fn candidates(leader: &LeaderChoice, candidates: usize) -> Option<String> {
    let name = leader.brief();
    if !leader.guarantees(Guarantee::LinearMessages) && candidates > MANY_PAIRS {
        return Some(format!(
            "the messages of `{name}` can grow with the square of its {candidates} candidates; limit them with `candidates`"
        ));
    }
    (candidates > MANY_CANDIDATES)
        .then(|| format!("{candidates} candidates make elections slow; limit them with `candidates`"))
}

/// Returns a warning for each scripted recovery of a node that no fault takes down.
pub(super) fn recoveries(faults: &Faults, network: &Network) -> Vec<String> {
    let fails = |node: NodeId| {
        let by_chance = faults.op_generator.is_some()
            || faults.disks.append_failure > 0.0
            || faults.random_failures.iter().any(|entry| entry.nodes.contains(&node));
        by_chance || faults.script.iter().any(|scripted| takes_down(&scripted.fault, node, network))
    };
    let recovered = faults.script.iter().filter_map(|scripted| match scripted.fault {
        Fault::Recover(Target::Node(node)) => Some(node),
        _ => None,
    });
    let never = recovered.filter(|&node| !fails(node));
    never
        .map(|node| format!("`{}` is recovered, but nothing makes it fail", network.node_name(node)))
        .collect()
}

/// Returns whether a fault can take a node down.
fn takes_down(fault: &Fault, node: NodeId, network: &Network) -> bool {
    let (Fault::Fail(target, _) | Fault::FailAppend(target)) = fault else {
        return false;
    };
    match target {
        Target::Node(other) => *other == node,
        Target::Item(item) | Target::ProducerOf(item) => network.makes(node) == *item,
        Target::Leader | Target::Busiest | Target::AnyNode => true,
    }
}
