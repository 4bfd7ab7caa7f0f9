//! Spreading of consumers over suppliers in proportion to capacity.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use dmos_core::{ItemId, Network, NodeId, Share, SupplyEdge};
use dmos_graph::Feasibility;

use super::wide::Wide;

/// Returns the number of batches that a node makes per second at full speed.
pub(crate) fn capacity(network: &Network, node: NodeId) -> Wide {
    let process_time = network.process_time(node).as_nanos().max(1);
    Wide::from(network.yield_per_run(node)) * Wide::from(1_000_000_000_u64) / Wide::from(process_time)
}

/// Converts numbers to integers in the same proportions, of which the largest is 2^40 and none is zero.
pub(crate) fn weights(numbers: &[Wide]) -> Vec<u64> {
    let largest = numbers.iter().copied().fold(Wide::ZERO, |a, b| if a < b { b } else { a });
    let scale = Wide::from(1_u64 << 40) / largest;
    numbers.iter().map(|&number| ((number * scale).to_f64() as u64).max(1)).collect()
}

/// Assigns one supplier to each consumer so that loads are balanced by capacity: the supplier that will be
/// least utilised, largest demands first (R. L. Graham, "Bounds on multiprocessing timing anomalies", 1969).
/// Equal demands on equal capacities are distributed round-robin.
///
/// Calls `assign` with the indices of consumer and supplier. Returns the number of steps.
pub(crate) fn one_each(demands: &[u64], capacities: &[u64], mut assign: impl FnMut(usize, usize)) -> u64 {
    let are_equal = |numbers: &[u64]| numbers.windows(2).all(|pair| pair[0] == pair[1]);
    if are_equal(demands) && are_equal(capacities) {
        for consumer in 0..demands.len() {
            assign(consumer, consumer % capacities.len());
        }
        return demands.len() as u64;
    }
    let mut order: Vec<usize> = (0..demands.len()).collect();
    order.sort_by_key(|&consumer| Reverse(demands[consumer]));
    // Relative loads, in units fine enough to distinguish all of them.
    let key = |load: u64, supplier: usize| u128::from(load) * (1 << 60) / u128::from(capacities[supplier]);
    let mut loads: BinaryHeap<_> =
        (0..capacities.len()).map(|supplier| Reverse((key(0, supplier), supplier, 0_u64))).collect();
    for consumer in order {
        let Reverse((_, supplier, load)) = loads.pop().expect("there is a supplier");
        assign(consumer, supplier);
        let load = load + demands[consumer];
        loads.push(Reverse((key(load, supplier), supplier, load)));
    }
    demands.len() as u64 * (1 + u64::from(capacities.len().ilog2()))
}

/// Divides demands among suppliers exactly in proportion to capacity, with fewer pieces than there are
/// consumers and suppliers together: demands and capacities are laid along two lines of equal length, and
/// each is cut where the other ends (wrap-around rule: R. McNaughton, "Scheduling with deadlines and loss
/// functions", Management Science 6, 1959).
///
/// Calls `assign` with the index of a consumer, and all its suppliers with their shares.
pub(crate) fn wrap_around(
    demands: &[u64],
    capacities: &[u64],
    mut assign: impl FnMut(usize, &[(usize, Share)]),
) {
    let sum = |numbers: &[u64]| numbers.iter().map(|&number| u128::from(number)).sum::<u128>();
    let (demanded, available) = (sum(demands), sum(capacities));
    let (mut consumed, mut supplier, mut supplied) = (0, 0, u128::from(capacities[0]) * demanded);
    let mut pieces: Vec<(usize, u128)> = Vec::new();
    for (consumer, &demand) in demands.iter().enumerate() {
        let end = consumed + u128::from(demand) * available;
        while supplied < end && supplier + 1 < capacities.len() {
            if supplied > consumed {
                pieces.push((supplier, supplied - consumed));
                consumed = supplied;
            }
            supplier += 1;
            supplied += u128::from(capacities[supplier]) * demanded;
        }
        pieces.push((supplier, end - consumed));
        consumed = end;
        assign(consumer, &shares(&pieces));
        pieces.clear();
    }
}

/// Divides demands among suppliers like [`wrap_around`], where some consumers cannot use some suppliers. Returns
/// whether all suppliers are utilised equally. `restriction` returns the suppliers that a consumer can use, at least
/// one, or `None` for all.
pub(crate) fn spread(
    demands: &[u64],
    capacities: &[u64],
    restriction: impl Fn(usize) -> Option<Vec<usize>>,
    mut assign: impl FnMut(usize, &[(usize, Share)]),
) -> bool {
    let mut left = Remaining::of(demands, capacities);
    let is_exact = left.take_restricted(usize::MAX, restriction, &mut assign);
    let (suppliers, capacities) = left.suppliers();
    let others: Vec<u64> = left.consumers.iter().map(|&consumer| demands[consumer]).collect();
    if !others.is_empty() {
        wrap_around(&others, &capacities, |nth, shares| {
            let shares: Vec<_> = shares.iter().map(|&(at, share)| (suppliers[at], share)).collect();
            assign(left.consumers[nth], &shares);
        });
    }
    is_exact
}

/// Suppliers' capacity that is not assigned yet, and the consumers that share it.
pub(crate) struct Remaining<'a> {
    demands: &'a [u64],
    capacities: &'a [u64],
    /// By supplier, in units in which all capacity equals all demand; empty if nothing is assigned.
    left: Vec<u128>,
    /// Consumers without a supplier, in ascending order.
    pub(crate) consumers: Vec<usize>,
}

impl<'a> Remaining<'a> {
    pub(crate) fn of(demands: &'a [u64], capacities: &'a [u64]) -> Self {
        Self { demands, capacities, left: Vec::new(), consumers: (0..demands.len()).collect() }
    }

    /// Supplies the consumers that cannot use every supplier, each by at most `most` suppliers. Those with the least
    /// capacity to choose from come first; each takes what is left of its largest suppliers. Returns whether no
    /// supplier is overloaded.
    pub(crate) fn take_restricted(
        &mut self,
        most: usize,
        restriction: impl Fn(usize) -> Option<Vec<usize>>,
        mut assign: impl FnMut(usize, &[(usize, Share)]),
    ) -> bool {
        let mut restricted = Vec::new();
        self.consumers.retain(|&consumer| {
            let suppliers = restriction(consumer);
            restricted.extend(suppliers.into_iter().map(|suppliers| (consumer, suppliers)));
            restricted.last().is_none_or(|(last, _)| *last != consumer)
        });
        if restricted.is_empty() {
            return true;
        }
        let sum = |numbers: &[u64]| numbers.iter().map(|&number| u128::from(number)).sum::<u128>();
        let (demanded, available) = (sum(self.demands), sum(self.capacities));
        self.left = self.capacities.iter().map(|&capacity| u128::from(capacity) * demanded).collect();
        let choice = |suppliers: &[usize]| suppliers.iter().map(|&at| self.left[at]).sum::<u128>();
        restricted.sort_by_key(|(_, suppliers)| choice(suppliers));
        let mut is_exact = true;
        for (consumer, mut suppliers) in restricted {
            suppliers.sort_by_key(|&at| Reverse(self.left[at]));
            let (pieces, fits) = self.take(u128::from(self.demands[consumer]) * available, &suppliers, most);
            is_exact &= fits;
            assign(consumer, &shares(&pieces));
        }
        is_exact
    }

    /// Takes a quantity from the first `most` of these suppliers. Returns the pieces, and whether nothing is missing;
    /// otherwise the first supplier is overloaded.
    fn take(&mut self, mut needed: u128, suppliers: &[usize], most: usize) -> (Vec<(usize, u128)>, bool) {
        let mut pieces = Vec::new();
        for &at in suppliers.iter().take(most) {
            let piece = needed.min(self.left[at]);
            if piece > 0 {
                pieces.push((at, piece));
                (needed, self.left[at]) = (needed - piece, self.left[at] - piece);
            }
        }
        match pieces.first_mut() {
            Some(largest) => largest.1 += needed,
            None => pieces.push((suppliers[0], needed)),
        }
        (pieces, needed == 0)
    }

    /// Supplies the other consumers, each by at most `most` suppliers. Returns the number of steps.
    pub(crate) fn take_rest(&self, most: usize, mut assign: impl FnMut(usize, &[(usize, Share)])) -> u64 {
        let demands: Vec<u64> = self.consumers.iter().map(|&consumer| self.demands[consumer]).collect();
        let (mut suppliers, mut capacities) = self.suppliers();
        if demands.is_empty() {
            return self.demands.len() as u64;
        }
        if most == 1 {
            return one_each(&demands, &capacities, |nth, at| {
                assign(self.consumers[nth], &[(suppliers[at], Share::WHOLE)]);
            });
        }
        // If there are too many producers for the maximum number of suppliers, the largest are used.
        let mut largest: Vec<_> = suppliers.into_iter().zip(capacities).collect();
        largest.sort_by_key(|&(_, capacity)| Reverse(capacity));
        (suppliers, capacities) = largest.into_iter().unzip();
        let (usable, mut steps) = usable(&demands, &capacities, most as u64);
        wrap_around(&demands, &capacities[..usable], |nth, shares| {
            let shares: Vec<_> = shares.iter().map(|&(at, share)| (suppliers[at], share)).collect();
            assign(self.consumers[nth], &shares);
            steps += shares.len() as u64;
        });
        steps + self.demands.len() as u64
    }

    /// Returns the suppliers with remaining capacity, and that capacity in proportion; all with their whole capacity
    /// if nothing is assigned, or nothing is left.
    pub(crate) fn suppliers(&self) -> (Vec<usize>, Vec<u64>) {
        let unit = self.left.iter().max().map_or(1, |largest| (largest >> 40).max(1));
        let left = self.left.iter().map(|left| u64::try_from(left / unit).unwrap_or(u64::MAX));
        let with_rest: (Vec<usize>, Vec<u64>) = left.enumerate().filter(|(_, left)| *left > 0).unzip();
        match with_rest.0.is_empty() {
            true => ((0..self.capacities.len()).collect(), self.capacities.to_vec()),
            false => with_rest,
        }
    }
}

/// Returns the indices of the producers that a consumer can use, or `None` if no broken link restricts it.
pub(crate) fn restriction(
    feasible: &Feasibility,
    producers: &[NodeId],
    consumer: NodeId,
    item: ItemId,
) -> Option<Vec<usize>> {
    let usable = |&at: &usize| feasible.has_working_link(producers[at], consumer);
    feasible.is_restricted(consumer, item).then(|| (0..producers.len()).filter(usable).collect())
}

/// Returns the shares of pieces; pieces below one millionth are left out.
fn shares(pieces: &[(usize, u128)]) -> Vec<(usize, Share)> {
    if let [(supplier, _)] = pieces {
        return vec![(*supplier, Share::WHOLE)];
    }
    let total: u128 = pieces.iter().map(|piece| piece.1).sum();
    let unit = (total / 1_000_000_000).max(1);
    let weights: Vec<u64> = pieces.iter().map(|piece| (piece.1 / unit) as u64).collect();
    let suppliers = pieces.iter().map(|piece| piece.0);
    suppliers.zip(Share::split(&weights)).filter(|(_, share)| *share != Share::STANDBY).collect()
}

/// Returns the number of suppliers, largest first, that can be used if no consumer may have more than `most`
/// suppliers, and the number of steps. The number is at least 1; `most` is at least 2.
pub(crate) fn usable(demands: &[u64], sorted_capacities: &[u64], most: u64) -> (usize, u64) {
    let mut steps = 0;
    let mut fits = |count: usize| {
        steps += (demands.len() + count) as u64;
        let mut fits = true;
        wrap_around(demands, &sorted_capacities[..count], |_, suppliers| {
            fits &= suppliers.len() as u64 <= most;
        });
        fits
    };
    let (mut good, mut bad) = (1, sorted_capacities.len() + 1);
    // Usually all can be used.
    if fits(sorted_capacities.len()) {
        good = sorted_capacities.len();
    } else {
        bad = sorted_capacities.len();
    }
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if fits(middle) { good = middle } else { bad = middle }
    }
    (good, steps)
}

/// Returns the edges from suppliers with shares to a consumer.
pub(crate) fn edges<'a>(
    consumer: NodeId,
    item: ItemId,
    producers: &'a [NodeId],
    shares: &'a [(usize, Share)],
) -> impl Iterator<Item = (SupplyEdge, Share)> + 'a {
    shares.iter().map(move |&(at, share)| (SupplyEdge { consumer, item, producer: producers[at] }, share))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_wrapped_load_is_in_proportion_to_capacity(
            demands in proptest::collection::vec(1_u64..1_000, 1..20),
            capacities in proptest::collection::vec(1_u64..1_000, 1..20),
        ) {
            let mut loads = vec![0.0; capacities.len()];
            let mut pieces = 0;
            wrap_around(&demands, &capacities, |consumer, suppliers| {
                let total: u32 = suppliers.iter().map(|(_, share)| share.millionths()).sum();
                assert_eq!(total, Share::WHOLE.millionths());
                pieces += suppliers.len();
                for (supplier, share) in suppliers {
                    loads[*supplier] += f64::from(share.millionths()) / 1e6 * demands[consumer] as f64;
                }
            });
            prop_assert!(pieces < demands.len() + capacities.len());
            let (demanded, available): (u64, u64) = (demands.iter().sum(), capacities.iter().sum());
            for (load, capacity) in loads.iter().zip(&capacities) {
                let due = demanded as f64 * *capacity as f64 / available as f64;
                prop_assert!((load - due).abs() <= 1e-5 * demanded as f64 + 1e-3, "{} for {}", load, due);
            }
        }

        #[test]
        fn restricted_consumers_have_usable_suppliers_and_loads_stay_in_proportion(
            demands in proptest::collection::vec(1_u64..1_000, 1..12),
            capacities in proptest::collection::vec(1_u64..1_000, 2..12),
            unusable in proptest::collection::btree_map(0_usize..12, 0_usize..12, 1..4),
        ) {
            let (suppliers, mut loads) = (capacities.len(), vec![0.0; capacities.len()]);
            let usable = |consumer: usize| {
                let broken = unusable.get(&consumer).filter(|&&at| at < suppliers);
                broken.map(|&broken| (0..suppliers).filter(|&at| at != broken).collect())
            };
            let mut supplied = vec![false; demands.len()];
            let is_exact = spread(&demands, &capacities, usable, |consumer, shares| {
                supplied[consumer] = true;
                let total: u32 = shares.iter().map(|(_, share)| share.millionths()).sum();
                assert_eq!(total, Share::WHOLE.millionths());
                for &(at, share) in shares {
                    assert!(usable(consumer).is_none_or(|usable: Vec<usize>| usable.contains(&at)));
                    loads[at] += f64::from(share.millionths()) / 1e6 * demands[consumer] as f64;
                }
            });
            prop_assert!(supplied.iter().all(|&is_supplied| is_supplied));
            let (demanded, available): (u64, u64) = (demands.iter().sum(), capacities.iter().sum());
            for (load, capacity) in loads.iter().zip(&capacities).filter(|_| is_exact) {
                let due = demanded as f64 * *capacity as f64 / available as f64;
                prop_assert!((load - due).abs() <= 1e-5 * demanded as f64 + 1e-3, "{} for {}", load, due);
            }
        }

        #[test]
        fn max_suppliers_is_respected(
            demands in proptest::collection::vec(1_u64..100, 1..12),
            mut capacities in proptest::collection::vec(1_u64..100, 1..12),
            most in 2_u64..5,
        ) {
            capacities.sort_unstable_by_key(|&capacity| Reverse(capacity));
            let used = &capacities[..usable(&demands, &capacities, most).0];
            wrap_around(&demands, used, |_, suppliers| assert!(suppliers.len() as u64 <= most));
        }

        #[test]
        fn single_suppliers_are_loaded_evenly(consumers in 1_usize..50, suppliers in 1_usize..12) {
            let mut loads = vec![0_usize; suppliers];
            one_each(&vec![3; consumers], &vec![5; suppliers], |_, supplier| loads[supplier] += 1);
            prop_assert!(loads.iter().max().expect("several nodes") - loads.iter().min().expect("several nodes") <= 1);
        }
    }
}
