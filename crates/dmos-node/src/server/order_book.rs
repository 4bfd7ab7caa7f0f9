//! The order book of a supplier: open orders of its consumers, and the order in which they are served.
//!
//! An order is a cumulative total, so that a repeated one has no further effect: what a consumer is owed is
//! its total less what was shipped to it. Waiting consumers are served by start-time fair queueing (Goyal,
//! Vin and Cheng, "Start-time fair queuing", SIGCOMM 1996): in proportion to their planned rates, and without
//! idling while one of them waits.

use std::collections::BTreeSet;

use dmos_core::NodeId;
use dmos_core::flow::PlannedRate;
use litemap::LiteMap;
use serde::{Deserialize, Serialize};

/// Virtual time per batch at a rate of one billionth per second. Lower rates count as this one.
const UNIT: u128 = 1 << 80;

/// A consumer's latest order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Number of times that the consumer had recovered from a crash.
    pub incarnation: u32,
    /// Number of the order within the incarnation; later ones replace earlier ones.
    pub number: u32,
    /// Number of batches ordered in this incarnation.
    pub total: u32,
}

/// State of a consumer's orders at a supplier.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct OrderStatus {
    /// The consumer's latest incarnation that has ordered.
    pub incarnation: u32,
    /// Number of its latest order; 0 if it has not ordered.
    pub number: u32,
    /// Batches shipped to the incarnation.
    pub shipped: u32,
}

/// The outcome of entering an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entry {
    /// A later order is known and stays.
    Outdated,
    /// The order is entered.
    Entered,
    /// The order is entered, and is the first one of a new incarnation.
    NewIncarnation,
}

/// Account of one consumer.
#[derive(Clone, Copy, Default, Debug)]
struct Account {
    incarnation: u32,
    number: u32,
    ordered: u32,
    shipped: u32,
    /// Planned rate of consumption, or `None` if the assignment does not name the consumer.
    rate: Option<PlannedRate>,
    /// Virtual time at which its last batch ended, or at which its next one starts if it waits.
    tag: u128,
}

impl Account {
    fn is_waiting(&self) -> bool {
        self.ordered > self.shipped && self.rate.is_some()
    }
}

/// Open orders of all consumers.
#[derive(Default, Debug)]
pub(crate) struct OrderBook {
    accounts: LiteMap<NodeId, Account>,
    /// Waiting consumers by the start of their next batch.
    waiting: BTreeSet<(u128, NodeId)>,
    virtual_time: u128,
}

impl OrderBook {
    /// Restores the number of batches shipped to a consumer in its latest incarnation.
    pub(crate) fn restore(&mut self, consumer: NodeId, incarnation: u32, shipped: u32) {
        let account = self.accounts.entry(consumer).or_default();
        (account.incarnation, account.shipped, account.ordered) = (incarnation, shipped, shipped);
    }

    /// Enters an order, unless a later one is known. A new incarnation voids the orders of earlier ones, which
    /// must be logged, so that a late order of them is not filled after a crash.
    pub(crate) fn enter(&mut self, consumer: NodeId, order: Order) -> Entry {
        let account = self.accounts.entry(consumer).or_default();
        if (order.incarnation, order.number) < (account.incarnation, account.number) {
            return Entry::Outdated;
        }
        let is_restarted = order.incarnation > account.incarnation;
        if is_restarted {
            (account.incarnation, account.shipped) = (order.incarnation, 0);
        }
        account.number = order.number;
        // What was shipped cannot be cancelled.
        account.ordered = order.total.max(account.shipped);
        self.requeue(consumer);
        if is_restarted { Entry::NewIncarnation } else { Entry::Entered }
    }

    /// Replaces the consumers and their rates by those of an assignment. Orders of other consumers are
    /// suspended: a consumer that has not adopted that flow does not know of it, and a later flow may name it
    /// again.
    pub(crate) fn assign(&mut self, consumers: impl IntoIterator<Item = (NodeId, PlannedRate)>) {
        // Tags change below, and an entry under an old tag would be served once more.
        self.waiting.clear();
        for account in self.accounts.iter_mut().map(|(_, account)| account) {
            account.rate = None;
        }
        let consumers: Vec<_> = consumers.into_iter().collect();
        let highest = consumers.iter().map(|(_, rate)| *rate).max().unwrap_or_default();
        for (consumer, rate) in consumers {
            // The consumer of a standby orders only if its other suppliers have failed, and then needs everything.
            let rate = if rate == PlannedRate::default() { highest } else { rate };
            let account = self.accounts.entry(consumer).or_default();
            account.rate = Some(rate);
            // A batch served at a rate of almost nothing must not delay the next one at a new rate.
            account.tag = account.tag.min(self.virtual_time.saturating_add(step(rate)));
        }
        let all: Vec<NodeId> = self.accounts.keys().copied().collect();
        all.into_iter().for_each(|consumer| self.requeue(consumer));
    }

    /// Updates the place of a consumer among those that wait.
    fn requeue(&mut self, consumer: NodeId) {
        let Some(account) = self.accounts.get_mut(&consumer) else {
            return;
        };
        self.waiting.remove(&(account.tag, consumer));
        if account.is_waiting() {
            account.tag = account.tag.max(self.virtual_time);
            self.waiting.insert((account.tag, consumer));
        }
    }

    /// Allots up to `stock` batches. Lists the number of batches for each consumer, in the order in which they
    /// are first served.
    pub(crate) fn allot(&mut self, stock: u64, allotted: &mut Vec<(NodeId, u32)>) {
        allotted.clear();
        for _ in 0..stock {
            let Some((tag, consumer)) = self.waiting.pop_first() else {
                break;
            };
            self.virtual_time = tag;
            let account = self.accounts.entry(consumer).or_default();
            account.tag = tag + step(account.rate.unwrap_or_default());
            account.shipped += 1;
            if account.is_waiting() {
                self.waiting.insert((account.tag, consumer));
            }
            match allotted.iter_mut().find(|(other, _)| *other == consumer) {
                Some((_, count)) => *count += 1,
                None => allotted.push((consumer, 1)),
            }
        }
    }

    /// Returns what is known of a consumer's orders.
    pub(crate) fn status(&self, consumer: NodeId) -> OrderStatus {
        let account = self.accounts.get(&consumer).copied().unwrap_or_default();
        OrderStatus { incarnation: account.incarnation, number: account.number, shipped: account.shipped }
    }

    /// Returns the batches shipped to each consumer in its latest incarnation.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = (NodeId, (u32, u32))> + '_ {
        let is_known = |(_, account): &(&NodeId, &Account)| account.shipped > 0 || account.incarnation > 0;
        let shipped = self.accounts.iter().filter(is_known);
        shipped.map(|(consumer, account)| (*consumer, (account.incarnation, account.shipped)))
    }
}

/// Returns the difference between the tags of two consecutive batches at a rate; a rate of zero counts as the least.
fn step(rate: PlannedRate) -> u128 {
    (UNIT / u128::from(rate.billionths().max(1))).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(index: usize) -> NodeId {
        NodeId::new(index)
    }

    fn order(number: u32, total: u32) -> Order {
        Order { incarnation: 0, number, total }
    }

    /// Returns a book whose consumers 0, 1 and so on have these rates per second.
    fn book(rates: &[f64]) -> OrderBook {
        let mut book = OrderBook::default();
        let rates = rates.iter().map(|&rate| PlannedRate::per_second(rate)).enumerate();
        book.assign(rates.map(|(index, rate)| (node(index), rate)));
        book
    }

    fn allotted(book: &mut OrderBook, stock: u64) -> Vec<(usize, u32)> {
        let mut allotted = Vec::new();
        book.allot(stock, &mut allotted);
        allotted.into_iter().map(|(consumer, count)| (consumer.index(), count)).collect()
    }

    #[test]
    fn waiting_consumers_are_served_at_their_rates() {
        let mut book = book(&[3.0, 1.0]);
        book.enter(node(0), order(1, 1_000));
        book.enter(node(1), order(1, 1_000));
        let mut totals = [0; 2];
        for _ in 0..200 {
            for (consumer, count) in allotted(&mut book, 1) {
                totals[consumer] += count;
            }
        }
        assert_eq!(totals, [150, 50]);
        assert_eq!(allotted(&mut book, 8), [(0, 6), (1, 2)], "a lot is divided at once");
    }

    #[test]
    fn a_consumer_with_a_new_rate_does_not_pay_for_the_old_one() {
        let mut book = book(&[1e-9, 1.0]);
        book.enter(node(0), order(1, 1_000));
        assert_eq!(allotted(&mut book, 1), [(0, 1)]);
        book.enter(node(1), order(1, 1_000));
        let rates = [1.0, 1.0].map(PlannedRate::per_second).into_iter().enumerate();
        book.assign(rates.map(|(index, rate)| (node(index), rate)));
        assert_eq!(allotted(&mut book, 10).iter().map(|(_, count)| *count).collect::<Vec<_>>(), [5, 5]);
    }

    #[test]
    fn a_consumer_that_waits_while_its_rate_changes_gets_no_more_than_it_ordered() {
        let mut book = book(&[1e-9]);
        book.enter(node(0), order(1, 5));
        assert_eq!(allotted(&mut book, 2), [(0, 2)]);
        book.assign([(node(0), PlannedRate::per_second(1.0))]);
        assert_eq!((allotted(&mut book, 10), allotted(&mut book, 10)), (vec![(0, 3)], vec![]));
    }

    #[test]
    fn the_consumer_of_a_standby_is_served() {
        let mut book = book(&[0.0, 2.0, 1.0]);
        for consumer in 0..3 {
            book.enter(node(consumer), order(1, 1_000));
        }
        assert_eq!(allotted(&mut book, 10), [(0, 4), (1, 4), (2, 2)]);
    }

    #[test]
    fn a_consumer_gains_nothing_by_ordering_late() {
        let mut book = book(&[1.0, 1.0]);
        book.enter(node(0), order(1, 1_000));
        assert_eq!(allotted(&mut book, 100), [(0, 100)], "nothing is kept for consumers without orders");
        book.enter(node(1), order(1, 1_000));
        let served = allotted(&mut book, 10);
        assert!(served == [(0, 5), (1, 5)] || served == [(1, 5), (0, 5)], "{served:?}");
    }

    #[test]
    fn a_repeated_order_has_no_further_effect() {
        let mut book = book(&[1.0]);
        assert_eq!([1, 2].map(|_| book.enter(node(0), order(1, 3))), [Entry::Entered; 2]);
        assert_eq!(allotted(&mut book, 10), [(0, 3)]);
        assert_eq!(book.enter(node(0), order(1, 3)), Entry::Entered);
        assert_eq!(allotted(&mut book, 10), []);
        assert_eq!(book.enter(node(0), order(2, 5)), Entry::Entered);
        assert_eq!(
            book.enter(node(0), order(1, 3)),
            Entry::Outdated,
            "a late order does not replace a later one"
        );
        assert_eq!(allotted(&mut book, 10), [(0, 2)]);
    }

    #[test]
    fn only_the_remainder_can_be_cancelled() {
        let mut book = book(&[1.0]);
        book.enter(node(0), order(1, 8));
        assert_eq!(allotted(&mut book, 5), [(0, 5)]);
        book.enter(node(0), order(2, 2));
        assert_eq!(
            (allotted(&mut book, 5), book.status(node(0))),
            (vec![], OrderStatus { incarnation: 0, number: 2, shipped: 5 })
        );
    }

    #[test]
    fn a_new_incarnation_voids_earlier_orders() {
        let mut book = book(&[1.0]);
        book.enter(node(0), order(7, 8));
        assert_eq!(allotted(&mut book, 2), [(0, 2)]);
        assert_eq!(book.enter(node(0), Order { incarnation: 1, ..order(0, 3) }), Entry::NewIncarnation);
        assert_eq!(book.enter(node(0), order(8, 9)), Entry::Outdated, "an order of the earlier incarnation");
        assert_eq!(allotted(&mut book, 10), [(0, 3)]);
    }

    #[test]
    fn a_resent_order_is_not_shipped_twice_after_a_recovery() {
        let mut book = book(&[1.0]);
        book.enter(node(0), order(1, 8));
        allotted(&mut book, 5);
        let shipped: Vec<_> = book.shipped().collect();
        let mut recovered = OrderBook::default();
        shipped.into_iter().for_each(|(consumer, (incarnation, count))| {
            recovered.restore(consumer, incarnation, count);
        });
        recovered.assign([(node(0), PlannedRate::per_second(1.0))]);
        assert_eq!(allotted(&mut recovered, 10), [], "the order is not known any more");
        recovered.enter(node(0), order(1, 8));
        assert_eq!(allotted(&mut recovered, 10), [(0, 3)]);
    }

    #[test]
    fn a_consumer_to_which_nothing_was_shipped_is_listed_from_its_first_recovery_on() {
        let mut book = book(&[1.0, 1.0, 1.0]);
        book.enter(node(0), order(1, 2));
        book.enter(node(1), Order { incarnation: 3, ..order(1, 2) });
        assert!(book.shipped().eq([(node(1), (3, 0))]));
        allotted(&mut book, 1);
        assert!(book.shipped().eq([(node(0), (0, 1)), (node(1), (3, 0))]));
    }

    #[test]
    fn orders_of_consumers_that_are_not_named_are_suspended() {
        let mut book = OrderBook::default();
        book.enter(node(0), order(1, 4));
        book.enter(node(1), order(1, 4));
        assert_eq!(allotted(&mut book, 10), []);
        book.assign([(node(0), PlannedRate::per_second(1.0))]);
        assert_eq!(allotted(&mut book, 10), [(0, 4)]);
        book.assign([(node(1), PlannedRate::per_second(1.0))]);
        assert_eq!(allotted(&mut book, 10), [(1, 4)]);
    }

    #[test]
    fn a_rate_of_zero_is_served_last_but_served() {
        let mut book = book(&[0.0, 1.0]);
        book.enter(node(0), order(1, 2));
        book.enter(node(1), order(1, 1_000));
        let total: u32 = allotted(&mut book, 1_002).iter().map(|(_, count)| count).sum();
        assert_eq!(total, 1_002);
    }
}
