//! Spreading of consumers over suppliers in proportion to capacity.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use dmos_core::{ItemId, Network, NodeId, Share, SupplyEdge};

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
