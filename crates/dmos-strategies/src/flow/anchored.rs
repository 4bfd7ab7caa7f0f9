//! Consistent hashing: the set of live nodes determines all suppliers.
//!
//! Each requirement of each consumer visits the producers of its item, alive or not, in its own pseudo-random
//! order, and takes the first that is alive and feasible. Nothing is stored for an edge, any node can compute
//! its own suppliers from the set of live nodes, a failure moves only the consumers of the failed node, and
//! its return moves them back. The price is balance: loads vary as with balls in bins, and the plan records
//! the largest load relative to the even one.
//!
//! The fixed set of all producers is the anchor of AnchorHash (G. Mendelson, S. Vargaftik, K. Barabash, D. H.
//! Lorenz, I. Keslassy and A. Orda, "AnchorHash: a scalable consistent hash", IEEE/ACM Transactions on
//! Networking 29(2), 2021). Its method of skipping failed nodes depends on the order of failures, on which
//! nodes would have to agree; the probe sequence is therefore that of DxHash (C. Dong and F. Wang, "DxHash: a
//! scalable consistent hashing based on the pseudo-random sequence", 2021), which only depends on the set of
//! live nodes. On average it takes at most as many steps as there are producers per live one.

use dmos_core::strategy::{
    FlowDescriptor, FlowStrategy, Guarantee, Meter, NoFlow, PlanRequest, Rating, register_flow,
};
use dmos_core::{Flow, ItemId, NodeId, NodeSet, Requirement, SupplyEdge};
use dmos_graph::Feasibility;

register_flow!(FlowDescriptor {
    name: "anchored",
    summary: "consistent hashing (AnchorHash, DxHash): suppliers depend on the live nodes alone, and a failure moves only the consumers of the failed node",
    source: "Mendelson et al. 2021, AnchorHash; the probe sequence of Dong and Wang 2021, DxHash",
    notes: "finds a flow if one exists; minimal disruption, and the same plan again after recovery; uneven loads; per edge, O(sqrt(producers of the item)) expected steps",
    guarantees: |_| &[Guarantee::FindsFlow],
    params: &[],
    build: |_| Box::new(Anchored { loads: Vec::new() }),
});

struct Anchored {
    /// By node, the number of supply edges leaving it in the last plan.
    loads: Vec<u32>,
}

impl FlowStrategy for Anchored {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let network = request.network;
        let producers = Feasibility::of_request(request);
        meter.charge(producers.steps())?;
        // With a prime number of slots, a probe sequence visits every slot before it repeats.
        let slots: Vec<_> =
            network.items().map(|item| next_prime(network.producers(item).len() as u64)).collect();
        let mut loads = vec![0; network.node_count()];
        let mut planned = NodeSet::none(network.node_count());
        let mut edges = Vec::new();
        let mut consumers: Vec<NodeId> =
            producers.finals(network)?.iter().flat_map(|&item| producers.of_item(item)).copied().collect();
        while let Some(consumer) = consumers.pop() {
            if !planned.insert(consumer) {
                continue;
            }
            for &Requirement { item, .. } in network.requirements(consumer) {
                let (all, feasible) = (network.producers(item), producers.suppliers(consumer, item));
                let (producer, steps) = first_feasible(all, slots[item.index()], consumer, item, &feasible);
                meter.charge(steps)?;
                edges.push(SupplyEdge { consumer, item, producer });
                loads[producer.index()] += 1;
                consumers.push(producer);
            }
        }
        self.loads = loads;
        self.note_balance(request, &producers, meter);
        Ok(Flow::new(edges))
    }

    fn rating(&self, node: NodeId) -> Option<Rating> {
        let load = f64::from(*self.loads.get(node.index())?);
        Some(Rating { measure: "consumers", more: "more loaded", value: load })
    }
}

impl Anchored {
    /// Records the largest load relative to that of an even plan.
    fn note_balance(&self, request: &PlanRequest<'_>, producers: &Feasibility, meter: &mut Meter) {
        let network = request.network;
        let most_uneven = network.items().filter_map(|item| {
            let loads = producers.of_item(item).iter().map(|node| u64::from(self.loads[node.index()]));
            let (largest, total) = (loads.clone().max()?, loads.sum::<u64>());
            let even = total.div_ceil(producers.of_item(item).len() as u64);
            Some((largest - even, largest, even, item))
        });
        if let Some((above, largest, even, item)) = most_uneven.max() {
            meter.note("excess_load", above);
            let item = network.item_name(item);
            meter.remark(format!(
                "most uneven load at `{item}`: {largest} consumers at one producer, {even} if balanced"
            ));
        }
    }
}

/// Returns the first feasible one of these producers in the order of this requirement, and the number of
/// steps, by double hashing over `slots` slots. `feasible` are the feasible producers in ascending order; at
/// least one.
///
/// If few producers are feasible, the position of each in the probe sequence is computed instead, which is
/// faster: on average at most as many steps as the square root of the producers.
fn first_feasible(
    producers: &[NodeId],
    slots: u64,
    consumer: NodeId,
    item: ItemId,
    feasible: &[NodeId],
) -> (NodeId, u64) {
    let hash = mix((consumer.index() as u64) << 32 | item.index() as u64);
    let (start, stride) = (hash % slots, 1 + mix(hash) % slots.saturating_sub(1).max(1));
    let count = feasible.len() as u64;
    if count * count < slots {
        let back = inverse(stride, slots);
        let nth = |node: &NodeId| {
            let slot = producers.binary_search(node).expect("every feasible node is a producer") as u64;
            (slot + slots - start) % slots * back % slots
        };
        let first = feasible.iter().copied().min_by_key(nth);
        return (first.expect("an item that is needed can be made by one of its producers"), count);
    }
    for nth in 0..slots {
        let slot = (start + nth * stride) % slots;
        if let Some(&node) = producers.get(slot as usize).filter(|node| feasible.binary_search(node).is_ok())
        {
            return (node, nth + 1);
        }
    }
    unreachable!("an item that is needed can be made by one of its producers")
}

/// Returns the multiplicative inverse modulo a prime (Fermat's little theorem).
fn inverse(number: u64, prime: u64) -> u64 {
    let (mut power, mut base, mut exponent) = (1, number % prime, prime - 2);
    while exponent > 0 {
        if exponent % 2 == 1 {
            power = power * base % prime;
        }
        base = base * base % prime;
        exponent /= 2;
    }
    power
}

/// Returns the finaliser of SplitMix64 (Steele, Lea and Flood 2014): every output bit depends on every input
/// bit.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn next_prime(number: u64) -> u64 {
    let is_prime = |n: &u64| *n >= 2 && (2..).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    (number..).find(is_prime).expect("primes are unbounded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_producer_is_reached() {
        for count in 1..40 {
            let producers: Vec<_> = (0..count).map(NodeId::new).collect();
            for &alive in &producers {
                let slots = next_prime(count as u64);
                assert_eq!(
                    first_feasible(&producers, slots, NodeId::new(7), ItemId::new(3), &[alive]).0,
                    alive
                );
            }
        }
        assert_eq!([0, 1, 2, 3, 4, 8, 90, 100].map(next_prime), [2, 2, 2, 3, 5, 11, 97, 101]);
    }

    #[test]
    fn both_methods_find_the_same_first_node() {
        let producers: Vec<_> = (0..100).map(|node| NodeId::new(node * 3)).collect();
        let find = |consumer, feasible: &[NodeId]| {
            first_feasible(&producers, 101, NodeId::new(consumer), ItemId::new(1), feasible).0
        };
        for consumer in 0..500 {
            // With ten feasible producers positions are computed, with eleven the sequence is followed: the
            // eleventh is either first or not.
            let few: Vec<_> = (0..10).map(|nth| producers[nth * 7]).collect();
            for extra in [1, 30, 99].map(|extra| producers[extra]) {
                let mut more = few.clone();
                more.push(extra);
                more.sort_unstable();
                let (by_places, by_walk) = (find(consumer, &few), find(consumer, &more));
                assert!(by_walk == by_places || by_walk == extra);
            }
        }
        assert!((1..101).all(|number| number * inverse(number, 101) % 101 == 1));
    }
}
