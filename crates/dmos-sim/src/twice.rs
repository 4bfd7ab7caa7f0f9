//! Checks that a run is the same when it is run again, event by event.

use std::fmt::{self, Debug, Write};
use std::hash::{DefaultHasher, Hasher};

use dmos_core::{RunRecord, Scenario, Time};

use crate::simulator::run_watched;

/// A run's events, as one number each.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trace {
    hashes: Vec<u64>,
}

impl Trace {
    /// How many events there were.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there were none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// One number for all events and their order. It means something only to the same build.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hashes.iter().for_each(|hash| hasher.write_u64(*hash));
        hasher.finish()
    }
}

/// The first event in which two runs of one scenario differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The how-manieth event, from 1.
    pub number: usize,
    /// What it was in the second run, with its time; none if that run had ended.
    pub second: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.second {
            Some(event) => write!(f, "event {} differs when run again: {event}", self.number),
            None => write!(f, "run again, there is no event {}", self.number),
        }
    }
}

/// Runs a scenario twice and compares event by event, and the records.
///
/// # Errors
/// The first event that differs.
pub fn run_twice(scenario: &Scenario) -> Result<(RunRecord, Trace), Difference> {
    let mut first = Trace::default();
    let record = run_watched(scenario, |at, event| first.hashes.push(hash(at, event)));
    let (mut count, mut difference) = (0, None);
    let again = run_watched(scenario, |at, event| {
        let is_same = first.hashes.get(count) == Some(&hash(at, event));
        count += 1;
        if !is_same && difference.is_none() {
            let second = Some(format!("at {} s, {event:?}", at.as_secs_f64()));
            difference = Some(Difference { number: count, second });
        }
    });
    if difference.is_none() && (count < first.len() || again != record) {
        difference = Some(Difference { number: count + 1, second: None });
    }
    difference.map_or(Ok((record, first)), Err)
}

/// Feeds text to a hasher.
struct Hashed(DefaultHasher);

impl Write for Hashed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

fn hash(at: Time, event: &dyn Debug) -> u64 {
    // `DefaultHasher::new` has fixed keys: unlike those of maps, its hashes are the same each time.
    let mut hashed = Hashed(DefaultHasher::new());
    write!(hashed, "{} {event:?}", at.as_nanos()).expect("hashing text cannot fail");
    hashed.0.finish()
}
