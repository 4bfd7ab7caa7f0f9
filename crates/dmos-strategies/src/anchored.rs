//! Suppliers by consistent hashing: who is alive says who supplies whom.
//!
//! Each requirement of each consumer walks the makers of its item, dead and alive, in a pseudo-random order of
//! its own, and takes the first that is alive and can be supplied. Nothing is stored for an edge, any node can
//! compute its own suppliers from who is alive, a death moves only the consumers of the dead, and when it
//! returns they return to it. What that gives up is balance: loads scatter as balls in bins, and the plan
//! notes the largest load beside the even one.
//!
//! The fixed set of all makers, dead and alive, is the anchor of AnchorHash (G. Mendelson, S. Vargaftik,
//! K. Barabash, D. H. Lorenz, I. Keslassy and A. Orda, "AnchorHash: a scalable consistent hash", IEEE/ACM
//! Transactions on Networking 29(2), 2021). Its way of stepping over the dead depends on the order in which they
//! died, on which nodes would have to agree; so the walk is that of DxHash (C. Dong and F. Wang, "DxHash: a
//! scalable consistent hashing based on the pseudo-random sequence", 2021), which depends on who is alive alone.
//! It takes as many steps as there are makers for each one alive, on average.

use dmos_core::strategy::{
    FlowDescriptor, FlowStrategy, Meter, NoFlow, PlanRequest, Promise, Rating, register_flow,
};
use dmos_core::{Flow, ItemId, NodeId, NodeSet, Requirement, SupplyEdge};
use dmos_graph::Makers;

register_flow!(FlowDescriptor {
    name: "anchored",
    summary: "consistent hashing: who is alive says who supplies whom, and a death moves only its own consumers",
    source: "Mendelson et al. 2021, AnchorHash; the walk of Dong and Wang 2021, DxHash",
    guarantee: "finds a flow if one exists; minimal disruption, and the old plan after recovery; loads are uneven",
    promises: |_| &[Promise::FindsFlow, Promise::LinearTime],
    params: &[],
    build: |_| Box::new(Anchored { loads: Vec::new() }),
});

struct Anchored {
    /// By node, how many supply edges leave it in the last plan.
    loads: Vec<u32>,
}

impl FlowStrategy for Anchored {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        let network = request.network;
        let makers = Makers::of(network, request.alive);
        meter.charge(makers.steps())?;
        let mut able = NodeSet::none(network.node_count());
        for &node in network.items().flat_map(|item| makers.of_item(item)) {
            able.insert(node);
        }
        // A prime number of places, so that a walk comes to every place before it repeats itself.
        let places: Vec<_> =
            network.items().map(|item| next_prime(network.producers(item).len() as u64)).collect();
        let mut loads = vec![0; network.node_count()];
        let mut planned = NodeSet::none(network.node_count());
        let mut edges = Vec::new();
        let mut consumers: Vec<NodeId> =
            makers.finals(network)?.iter().flat_map(|&item| makers.of_item(item)).copied().collect();
        while let Some(consumer) = consumers.pop() {
            if !planned.insert(consumer) {
                continue;
            }
            for &Requirement { item, .. } in network.requirements(consumer) {
                let (makers, places) = (network.producers(item), places[item.index()]);
                let (producer, steps) = first_able(makers, places, consumer, item, &able);
                meter.charge(steps)?;
                edges.push(SupplyEdge { consumer, item, producer });
                loads[producer.index()] += 1;
                consumers.push(producer);
            }
        }
        self.loads = loads;
        self.note_balance(request, &makers, meter);
        Ok(Flow::new(edges))
    }

    fn rating(&self, node: NodeId) -> Option<Rating> {
        let load = f64::from(*self.loads.get(node.index())?);
        Some(Rating { measure: "consumers", more: "more loaded", value: load })
    }
}

impl Anchored {
    /// Notes the load that is the most above that of an even plan, and the even one.
    fn note_balance(&self, request: &PlanRequest<'_>, makers: &Makers, meter: &mut Meter) {
        let most_uneven = request.network.items().filter_map(|item| {
            let loads = makers.of_item(item).iter().map(|node| u64::from(self.loads[node.index()]));
            let (largest, total) = (loads.clone().max()?, loads.sum::<u64>());
            let even = total.div_ceil(makers.of_item(item).len() as u64);
            Some((largest - even, largest, even))
        });
        if let Some((_, largest, even)) = most_uneven.max() {
            meter.note("largest_load", largest);
            meter.note("even_load", even);
        }
    }
}

/// The first of these makers that is able, in the order of this requirement, and the steps it took to find: by
/// double hashing over so many places.
fn first_able(
    makers: &[NodeId],
    places: u64,
    consumer: NodeId,
    item: ItemId,
    able: &NodeSet,
) -> (NodeId, u64) {
    let hash = mix((consumer.index() as u64) << 32 | item.index() as u64);
    let (start, stride) = (hash % places, 1 + mix(hash) % places.saturating_sub(1).max(1));
    for nth in 0..places {
        let place = (start + nth * stride) % places;
        if let Some(&node) = makers.get(place as usize).filter(|&&node| able.contains(node)) {
            return (node, nth + 1);
        }
    }
    unreachable!("an item that is needed can be made by one of its makers")
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): every bit of the result depends on every bit.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn next_prime(number: u64) -> u64 {
    let is_prime = |n: &u64| *n >= 2 && (2..).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    (number..).find(is_prime).expect("there is always another prime")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_maker_is_come_to() {
        for count in 1..40 {
            let makers: Vec<_> = (0..count).map(NodeId::new).collect();
            for &alive in &makers {
                let mut able = NodeSet::none(count);
                able.insert(alive);
                let places = next_prime(count as u64);
                assert_eq!(first_able(&makers, places, NodeId::new(7), ItemId::new(3), &able).0, alive);
            }
        }
        assert_eq!([0, 1, 2, 3, 4, 8, 90, 100].map(next_prime), [2, 2, 2, 3, 5, 11, 97, 101]);
    }
}
