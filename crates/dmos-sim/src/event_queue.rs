//! The event queue: ordered by time, then by insertion, unless the same-time order is shuffled.
//!
//! A calendar queue (Brown, "Calendar queues", 1988): pending events are in buckets that each span a short
//! time, unsorted within a bucket except for events at the same time, and only the current bucket is sorted.
//! The cost of an event therefore does not depend on the number of pending events. Sorting uses keys of one
//! word and merges runs: with few constant delays, a bucket has one run for each delay. A bucket is a ring of
//! chunks of several events; chunks are passed between buckets, so the total memory is that of the maximum
//! number of pending events, and the events of a bucket are contiguous. Events inserted into the current
//! bucket have their keys in a small heap beside it; events beyond the last bucket are in a separate heap,
//! from which they are moved into buckets in time.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use dmos_core::Time;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

/// Number of buckets: a power of two.
const BUCKETS: u64 = 1 << 15;

/// Bits of the time within a bucket: a bucket spans 2^19 ns, half a millisecond, so that most new events
/// belong to a later one. All buckets together span 17 seconds; few events are later: scripted faults,
/// repairs, slow timers.
const WIDTH_BITS: u32 = 19;

/// Bits of an entry's number that count insertions: 10^12, more than any run has.
const COUNT_BITS: u32 = 40;

/// Bits of an entry's number above these, which are random if the same-time order is shuffled.
const TIE_BITS: u32 = 13;

/// Bits of a key that hold the place in the current bucket: the lower half.
const PLACE_BITS: u32 = u64::BITS - WIDTH_BITS - TIE_BITS;
const _: () = assert!(PLACE_BITS == u32::BITS);

/// Number of events in a chunk: with the simulator's events a chunk is four cache lines.
const CHUNK: usize = 6;

/// Marks the absence of a chunk.
const NONE: u32 = u32::MAX;

/// Sort key within the current bucket: the bits of the time, the random bits, and the place. Among equal
/// times and random bits, the first inserted has the lowest place.
type Key = u64;

/// Pending events.
pub struct EventQueue<E> {
    /// Last chunk of each bucket, the only one with free places, which links to the first one. A time's
    /// bucket is given by its upper bits.
    buckets: Box<[u32]>,
    /// One bit for each bucket that is not empty.
    occupied: Box<[u64]>,
    chunks: Vec<Chunk<E>>,
    /// First chunk of the free list.
    free: u32,
    /// Upper bits of the times in the current bucket.
    current_bucket: u64,
    /// Events of the current bucket by place, including those already taken.
    current: Vec<Entry<E>>,
    /// Sorted keys of the events that were in the bucket when it became current.
    sorted: Vec<Key>,
    /// Number of sorted keys already taken.
    taken: usize,
    /// Keys of events inserted since.
    late: BinaryHeap<Reverse<Key>>,
    /// Events beyond the last bucket.
    overflow: BinaryHeap<Reverse<Entry<E>>>,
    /// Bucket to which the first of them would belong, or the maximum if there are none.
    overflow_start: u64,
    /// An event that is often rescheduled; there is at most one.
    tick: Option<Entry<E>>,
    inserted: u64,
    /// Source of the random order of events at the same time, if it is shuffled.
    same_time_order: Option<ChaCha8Rng>,
}

/// Storage for several events of one bucket.
#[repr(C, align(64))]
struct Chunk<E> {
    /// Number of events in the chunk.
    len: u32,
    /// Next chunk in the ring of the same bucket, or in the free list.
    next: u32,
    entries: [Entry<E>; CHUNK],
}

/// A pending event.
#[derive(Clone, Copy)]
struct Entry<E> {
    at: Time,
    /// Insertion number and, above its bits, random bits if the same-time order is shuffled: zero for events
    /// that come first.
    number: u64,
    event: E,
}

impl<E> Entry<E> {
    fn order(&self) -> (Time, u64) {
        (self.at, self.number)
    }

    /// Returns the bucket to which the entry belongs.
    fn bucket(&self) -> u64 {
        self.at.as_nanos() >> WIDTH_BITS
    }

    /// Returns the sort key within the bucket, for an entry at this place.
    #[inline]
    fn key(&self, place: u32) -> Key {
        let within = self.at.as_nanos() << (u64::BITS - WIDTH_BITS);
        within | self.number >> COUNT_BITS << PLACE_BITS | u64::from(place)
    }
}

impl<E> Chunk<E> {
    /// Returns the events of the chunk, in the order of insertion.
    fn filled(&self) -> &[Entry<E>] {
        &self.entries[..self.len as usize]
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

impl<E: Copy> EventQueue<E> {
    /// Returns an empty queue; with a generator, events at the same time come in random order.
    #[must_use]
    pub fn new(same_time_order: Option<ChaCha8Rng>) -> Self {
        Self {
            buckets: vec![NONE; BUCKETS as usize].into(),
            occupied: vec![0; BUCKETS as usize / 64].into(),
            chunks: Vec::new(),
            free: NONE,
            current_bucket: 0,
            current: Vec::new(),
            sorted: Vec::new(),
            taken: 0,
            late: BinaryHeap::new(),
            overflow: BinaryHeap::new(),
            overflow_start: u64::MAX,
            tick: None,
            inserted: 0,
            same_time_order,
        }
    }

    /// Schedules `event` at `at`, which must not precede the last event taken, or the `end` of a call of
    /// [`EventQueue::pop_until`] that returned `None`.
    #[inline(always)]
    pub fn push(&mut self, at: Time, event: E) {
        let number = self.next_number();
        self.insert(Entry { at, number, event });
    }

    /// Schedules an event before all others at the same time, in the order of insertion even if the others
    /// are shuffled.
    pub fn push_first(&mut self, at: Time, event: E) {
        let number = self.next_number_with_tie(0);
        self.insert(Entry { at, number, event });
    }

    /// Reschedules the tick, or cancels it if `at` is `None`.
    pub fn put_tick(&mut self, at: Option<Time>, event: E) {
        self.tick = at.map(|at| Entry { at, number: self.next_number(), event });
    }

    #[inline]
    fn next_number(&mut self) -> u64 {
        let tie = self
            .same_time_order
            .as_mut()
            .map_or(0, |same_time_order| same_time_order.random_range(1..1 << TIE_BITS));
        self.next_number_with_tie(tie)
    }

    #[inline]
    fn next_number_with_tie(&mut self, tie: u64) -> u64 {
        let number = tie << COUNT_BITS | self.inserted;
        self.inserted += 1;
        number
    }

    #[inline(always)]
    fn insert(&mut self, entry: Entry<E>) {
        if entry.bucket().wrapping_sub(self.current_bucket + 1) < BUCKETS - 1 {
            self.put_into_bucket(entry);
        } else {
            self.insert_elsewhere(entry);
        }
    }

    #[inline(never)]
    fn insert_elsewhere(&mut self, entry: Entry<E>) {
        let bucket = entry.bucket();
        if bucket <= self.current_bucket {
            debug_assert_eq!(bucket, self.current_bucket, "event scheduled in the past");
            self.late.push(Reverse(entry.key(place(self.current.len()))));
            self.current.push(entry);
        } else {
            self.overflow_start = self.overflow_start.min(bucket);
            self.overflow.push(Reverse(entry));
        }
    }

    /// Inserts an entry into its bucket, which is within reach.
    #[inline]
    fn put_into_bucket(&mut self, entry: Entry<E>) {
        let last = &mut self.buckets[slot(entry.bucket())];
        match self.chunks.get_mut(*last as usize) {
            Some(chunk) if chunk.len < CHUNK as u32 => {
                chunk.entries[chunk.len as usize] = entry;
                chunk.len += 1;
            }
            _ => self.put_into_new_chunk(entry),
        }
    }

    #[inline(never)]
    fn put_into_new_chunk(&mut self, entry: Entry<E>) {
        let slot = slot(entry.bucket());
        let new = self.chunk_with(entry);
        let last = std::mem::replace(&mut self.buckets[slot], new);
        self.occupied[slot / 64] |= 1 << (slot % 64);
        let first = match self.chunks.get_mut(last as usize) {
            Some(last) => std::mem::replace(&mut last.next, new),
            None => new,
        };
        self.chunks[new as usize].next = first;
    }

    /// Returns a chunk that holds one event and belongs to no bucket.
    fn chunk_with(&mut self, entry: Entry<E>) -> u32 {
        match self.chunks.get_mut(self.free as usize) {
            Some(chunk) => {
                (chunk.len, chunk.entries[0]) = (1, entry);
                std::mem::replace(&mut self.free, chunk.next)
            }
            None => {
                // The other places are never read.
                self.chunks.push(Chunk { len: 1, next: NONE, entries: [entry; CHUNK] });
                place(self.chunks.len() - 1)
            }
        }
    }

    /// Removes and returns the next event with its time, unless it is later than `end`.
    #[inline]
    pub fn pop_until(&mut self, end: Time) -> Option<(Time, E)> {
        if self.taken == self.sorted.len() && self.late.is_empty() {
            self.advance_bucket(end);
        }
        if self.tick.is_some() || !self.late.is_empty() {
            return self.pop_among_all(end);
        }
        let &key = self.sorted.get(self.taken)?;
        let at = self.time_of(key);
        (at <= end).then(|| {
            self.taken += 1;
            (at, self.current_entry(key).event)
        })
    }

    /// Removes and returns the next event where several sources may hold it.
    #[inline(never)]
    fn pop_among_all(&mut self, end: Time) -> Option<(Time, E)> {
        let sorted = self.sorted.get(self.taken).copied();
        let late = self.late.peek().map(|Reverse(key)| *key);
        let key = sorted.into_iter().chain(late).min();
        let next = key.map(|key| self.current_entry(key));
        if self.tick.as_ref().is_some_and(|tick| next.is_none_or(|next| tick < next)) {
            return self.tick.take_if(|tick| tick.at <= end).map(|tick| (tick.at, tick.event));
        }
        let key = key.filter(|&key| self.time_of(key) <= end)?;
        if Some(key) == late {
            self.late.pop();
        } else {
            self.taken += 1;
        }
        Some((self.time_of(key), self.current_entry(key).event))
    }

    /// Returns the time of a key in the current bucket.
    #[inline]
    fn time_of(&self, key: Key) -> Time {
        let within = key >> (u64::BITS - WIDTH_BITS);
        Time::from_nanos(self.current_bucket << WIDTH_BITS | within)
    }

    /// Returns the event of a key in the current bucket.
    #[inline]
    fn current_entry(&self, key: Key) -> &Entry<E> {
        &self.current[key as u32 as usize]
    }

    /// Returns all pending events, in no particular order.
    pub fn pending(&self) -> impl Iterator<Item = E> {
        let current_bucket = self.sorted[self.taken..].iter().chain(self.late.iter().map(|Reverse(key)| key));
        let current_bucket = current_bucket.map(|&key| self.current_entry(key));
        let overflow = self.overflow.iter().map(|Reverse(entry)| entry);
        let to_come = self.buckets.iter().flat_map(|&last| ring(&self.chunks, last)).flat_map(Chunk::filled);
        current_bucket.chain(overflow).chain(to_come).chain(&self.tick).map(|entry| entry.event)
    }

    /// Advances to the next bucket that is not empty, unless that is later than `end`.
    #[inline(never)]
    fn advance_bucket(&mut self, end: Time) {
        let bucket = self.next_occupied().min(self.overflow_start);
        let bucket = self.tick.as_ref().map_or(bucket, |tick| bucket.min(tick.bucket()));
        if bucket > end.as_nanos() >> WIDTH_BITS {
            return;
        }
        self.current_bucket = bucket;
        if self.overflow_start - bucket < BUCKETS {
            self.refill_from_overflow();
        }
        self.current.clear();
        self.sorted.clear();
        self.taken = 0;
        let slot = slot(bucket);
        let last = std::mem::replace(&mut self.buckets[slot], NONE);
        self.occupied[slot / 64] &= !(1 << (slot % 64));
        for chunk in ring(&self.chunks, last) {
            for entry in chunk.filled() {
                self.sorted.push(entry.key(place(self.current.len())));
                self.current.push(*entry);
            }
        }
        if let Some(last) = self.chunks.get_mut(last as usize) {
            std::mem::swap(&mut last.next, &mut self.free);
        }
        if self.sorted.len() > 1 {
            self.sorted.sort();
        }
    }

    /// Moves events that have come within reach into their buckets: in the order of insertion, and before an
    /// event inserted later can be put there.
    #[cold]
    fn refill_from_overflow(&mut self) {
        let reach = self.current_bucket + BUCKETS;
        while let Some(Reverse(entry)) = self.overflow.peek() {
            let bucket = entry.bucket();
            if bucket >= reach {
                self.overflow_start = bucket;
                return;
            }
            if let Some(Reverse(entry)) = self.overflow.pop() {
                self.put_into_bucket(entry);
            }
        }
        self.overflow_start = u64::MAX;
    }

    /// Returns the next bucket after the current one that is not empty, or the maximum if there is none.
    fn next_occupied(&self) -> u64 {
        // Both are powers of two, so their remainders are masks.
        let (first, words) = (self.current_bucket + 1, self.occupied.len());
        let (word, bit) = (first as usize / 64, first % 64);
        let from = first - bit;
        let found = |nth: usize, bits: u64| from + nth as u64 * 64 + u64::from(bits.trailing_zeros());
        // The first word is examined twice: from its bit on, and at the end up to that bit.
        let ahead = u64::MAX << bit;
        let here = self.occupied[word & (words - 1)];
        if here & ahead != 0 {
            return found(0, here & ahead);
        }
        for nth in 1..words {
            let bits = self.occupied[(word + nth) & (words - 1)];
            if bits != 0 {
                return found(nth, bits);
            }
        }
        if here & !ahead != 0 { found(words, here & !ahead) } else { u64::MAX }
    }
}

/// Returns the chunks of a bucket, given its last one, from the first to the last.
fn ring<E>(chunks: &[Chunk<E>], last: u32) -> impl Iterator<Item = &Chunk<E>> {
    let mut next = chunks.get(last as usize).map(|last| last.next);
    std::iter::from_fn(move || {
        let at = next?;
        let chunk = &chunks[at as usize];
        next = (at != last).then_some(chunk.next);
        Some(chunk)
    })
}

/// Returns the index of a bucket.
#[inline]
fn slot(bucket: u64) -> usize {
    (bucket % BUCKETS) as usize
}

/// Converts an index to its stored form.
fn place(index: usize) -> u32 {
    let place = u32::try_from(index).ok().filter(|place| *place < NONE);
    place.expect("fewer than 2^32 - 1 events are in one bucket, or chunks in all")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn orders_by_time_then_insertion() {
        let mut queue = EventQueue::new(None);
        for (at, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b'), (9, 'e')] {
            queue.push(Time::from_nanos(at), event);
        }
        let until = Time::from_nanos(5);
        let order: String = std::iter::from_fn(|| queue.pop_until(until)).map(|(_, event)| event).collect();
        assert_eq!(order, "abcd");
        assert_eq!(queue.pop_until(Time::from_nanos(9)), Some((Time::from_nanos(9), 'e')));
    }

    #[test]
    fn shuffles_only_the_same_time_order() {
        use rand::SeedableRng;
        let order = |seed| {
            let mut queue = EventQueue::new(Some(ChaCha8Rng::seed_from_u64(seed)));
            "bcdefg".chars().for_each(|event| queue.push(Time::from_nanos(5), event));
            queue.push(Time::from_nanos(9), 'h');
            queue.push_first(Time::from_nanos(5), 'a');
            let until = Time::from_nanos(9);
            std::iter::from_fn(|| queue.pop_until(until)).map(|(_, event)| event).collect::<String>()
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        assert!((0..9).all(|seed| order(seed).starts_with('a') && order(seed).ends_with('h')));
    }

    /// An operation on a queue.
    #[derive(Clone, Debug)]
    enum Step {
        /// Schedules an event this long after now.
        Push(u64),
        PushFirst(u64),
        PutTick(Option<u64>),
        /// Takes the next event.
        Pop,
        /// Takes the next event up to this long after now; if there is none, the time advances to that.
        PopUntil(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        // Delays of every size: within a bucket, within reach, far beyond; and identical ones.
        let delay = || {
            prop_oneof![
                Just(0),
                Just(1_000_000),
                (0..4_u64).prop_map(|times| times * 10_000_000_000),
                0..300_000_u64,
                0..20_000_000_000_u64,
                (0..50_u32).prop_map(|bits| 1 << bits)
            ]
        };
        prop_oneof![
            4 => delay().prop_map(Step::Push),
            1 => delay().prop_map(Step::PushFirst),
            1 => proptest::option::of(delay()).prop_map(Step::PutTick),
            3 => Just(Step::Pop),
            1 => delay().prop_map(Step::PopUntil),
        ]
    }

    proptest! {
        /// Compares the queue with a plain heap of times, random bits and insertion numbers.
        #[test]
        fn agrees_with_a_plain_heap(
            steps in proptest::collection::vec(step(), 1..400),
            shuffles in proptest::option::of(any::<u64>()),
        ) {
            use rand::SeedableRng;
            let mut same_time_order = shuffles.map(ChaCha8Rng::seed_from_u64);
            let mut queue = EventQueue::new(shuffles.map(ChaCha8Rng::seed_from_u64));
            let mut tie = || same_time_order.as_mut().map_or(0, |same_time_order| same_time_order.random_range(1..1_u64 << TIE_BITS));
            let mut heap = BinaryHeap::new();
            let mut tick = None;
            let (mut now, mut inserted) = (0, 0);
            let pops = vec![Step::Pop; steps.len() + 1];
            for (nth, step) in steps.into_iter().chain(pops).enumerate() {
                match step {
                    Step::Push(delay) => {
                        queue.push(Time::from_nanos(now + delay), inserted);
                        heap.push(Reverse((now + delay, tie(), inserted)));
                        inserted += 1;
                    }
                    Step::PushFirst(delay) => {
                        queue.push_first(Time::from_nanos(now + delay), inserted);
                        heap.push(Reverse((now + delay, 0, inserted)));
                        inserted += 1;
                    }
                    Step::PutTick(delay) => {
                        let at = delay.map(|delay| now + delay);
                        queue.put_tick(at.map(Time::from_nanos), inserted);
                        tick = at.map(|at| (at, tie(), inserted));
                        inserted += u64::from(at.is_some());
                    }
                    Step::Pop | Step::PopUntil(_) => {
                        let until = if let Step::PopUntil(delay) = step { Some(now + delay) } else { None };
                        let end = until.unwrap_or(u64::MAX);
                        let next = heap.peek().map(|Reverse(next)| *next);
                        let expected = next.into_iter().chain(tick).min().filter(|next| next.0 <= end);
                        if expected.is_some() && expected == tick {
                            tick = None;
                        } else if expected.is_some() {
                            heap.pop();
                        }
                        let popped = queue.pop_until(Time::from_nanos(end));
                        let popped = popped.map(|(at, event)| (at.as_nanos(), event));
                        prop_assert_eq!(popped, expected.map(|(at, _, event)| (at, event)));
                        now = popped.map(|popped| popped.0).or(until).unwrap_or(now);
                    }
                }
                // Examining all buckets is slow.
                if nth % 64 != 0 {
                    continue;
                }
                let mut pending: Vec<_> = queue.pending().collect();
                pending.sort_unstable();
                let mut expected: Vec<_> = heap.iter().map(|Reverse(entry)| entry.2).collect();
                expected.extend(tick.map(|tick| tick.2));
                expected.sort_unstable();
                prop_assert_eq!(pending, expected);
            }
        }
    }
}
