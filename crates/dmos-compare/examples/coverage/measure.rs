//! Coverage of intervals, and false alarms and power of verdicts, measured on samples of known populations.
//!
//! `differences.csv` has real populations: differences of two strategies on sixty seeds, as of November 2026.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use dmos_compare::statistics::interval::Interval;
use dmos_compare::statistics::resampling::{Errors, Resamples};
use dmos_compare::statistics::{Differences, holm, test};
use dmos_compare::verdict::Direction;
use dmos_compare::{Better, Verdict};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rayon::prelude::*;

/// Rows of a table in which the family-wise rate is measured.
const ROWS: usize = 10;

/// Number of samples of a cell.
const SAMPLES: u64 = 2_000;

/// True difference for which power is measured, in standard errors.
const EFFECT: f64 = 2.8;

/// Population of differences.
pub(crate) struct Population {
    name: String,
    draw: Box<dyn Fn(&mut ChaCha8Rng) -> f64 + Sync>,
    mean: f64,
    deviation: f64,
}

/// Returns a standard normal variate (Box and Muller 1958).
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - random.random::<f64>()));
    radius * libm::cos(std::f64::consts::TAU * random.random::<f64>())
}

fn population(
    name: &str,
    mean: f64,
    deviation: f64,
    draw: impl Fn(&mut ChaCha8Rng) -> f64 + Sync + 'static,
) -> Population {
    Population { name: name.to_owned(), draw: Box::new(draw), mean, deviation }
}

/// Returns the population with some probability of a value instead of one.
fn rare(name: &str, probability: f64, value: f64) -> Population {
    let mean = 1.0 + probability * (value - 1.0);
    let deviation = (value - 1.0).abs() * (probability * (1.0 - probability)).sqrt();
    population(name, mean, deviation, move |random| if random.random_bool(probability) { value } else { 1.0 })
}

/// Returns the artificial populations: the normal and the exponential distribution first.
pub(crate) fn artificial() -> Vec<Population> {
    let log_normal = |name: &str, sigma: f64| {
        let mean = libm::exp(sigma * sigma / 2.0);
        let deviation = mean * (libm::exp(sigma * sigma) - 1.0).sqrt();
        population(name, mean, deviation, move |random| libm::exp(sigma * normal(random)))
    };
    vec![
        population("normal", 0.0, 1.0, normal),
        population("exponential", 1.0, 1.0, |random| -libm::log(1.0 - random.random::<f64>())),
        log_normal("log-normal, sigma 1", 1.0),
        log_normal("log-normal, sigma 1.5", 1.5),
        population("whole numbers from -2 to 2", 0.0, 2.0_f64.sqrt(), |random| {
            f64::from(random.random_range(-2..=2_i32))
        }),
        population("tied: half are 0, others normal", 0.0, 0.5_f64.sqrt(), |random| {
            if random.random_bool(0.5) { 0.0 } else { normal(random) }
        }),
        population("zero-inflated: 80 % are 0, others exponential", 0.2, (0.4_f64 - 0.04).sqrt(), |random| {
            if random.random_bool(0.8) { 0.0 } else { -libm::log(1.0 - random.random::<f64>()) }
        }),
        rare("90 % are +1, 10 % are -9", 0.1, -9.0),
        rare("97 % are +1, 3 % are -32", 0.03, -32.0),
    ]
}

/// Returns the populations of `differences.csv`.
pub(crate) fn real() -> Vec<Population> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/coverage/differences.csv");
    let text = fs::read_to_string(path).expect("the file of differences");
    let mut by_name: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let [scenario, metric, strategy, baseline, _, difference] = line.split(',').collect::<Vec<_>>()[..]
        else {
            panic!("six columns: {line}")
        };
        let name = format!("{scenario}, `{metric}`: {strategy} - {baseline}");
        by_name.entry(name).or_default().push(difference.parse().expect("a number"));
    }
    let of = |(name, values): (String, Vec<f64>)| {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count;
        let draw = move |random: &mut ChaCha8Rng| values[random.random_range(0..values.len())];
        population(&name, mean, variance.sqrt(), draw)
    };
    by_name.into_iter().map(of).collect()
}

/// Fractions of the samples of a cell.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cell {
    /// Samples without an interval, because all differences are the same.
    pub(crate) constant: f64,
    /// Intervals that contain the true mean, of all intervals.
    pub(crate) covered: f64,
    /// Claims where the true mean is zero.
    pub(crate) alarms: f64,
    /// Claims restricted to the seeds seen, likewise.
    pub(crate) alarms_in_seeds_seen: f64,
    /// Claims of either kind where the true mean is 2.8 standard errors from zero.
    pub(crate) power: f64,
    /// The same by Student's test alone.
    pub(crate) power_of_student: f64,
}

/// Differences with their interval and p value.
struct Judged {
    differences: Differences,
    errors: Option<Errors>,
    p: f64,
}

impl Judged {
    fn of(values: Vec<f64>, resamples: &Resamples) -> Self {
        let differences = Differences::new(vec![values]);
        let errors = resamples.errors(&differences);
        let p = test::p_value(&differences, errors.as_ref());
        Self { differences, errors, p }
    }

    fn verdict(&self, p_corrected: f64, comparisons: usize) -> Verdict {
        let interval = Interval::of(&self.differences, self.errors.as_ref());
        let count = self.differences.count();
        Verdict::new(&self.differences, interval, p_corrected, Better::More, 0.0, comparisons, count)
    }
}

/// Returns the differences of a sample from a true mean of zero.
fn sample(population: &Population, seeds: usize, random: &mut ChaCha8Rng) -> Vec<f64> {
    (0..seeds).map(|_| (population.draw)(random) - population.mean).collect()
}

/// Measures a cell; power by a quarter of the samples.
pub(crate) fn measure(population: &Population, seeds: usize, samples: u64) -> Cell {
    let resamples = Resamples::new(vec![seeds]);
    let one = |number: u64| {
        let mut random = ChaCha8Rng::seed_from_u64(number);
        let values = sample(population, seeds, &mut random);
        let null = Judged::of(values.clone(), &resamples);
        let interval = Interval::of(&null.differences, null.errors.as_ref());
        let verdict = null.verdict(null.p, 1);
        let share = |holds: bool| f64::from(u8::from(holds));
        let mut cell = Cell {
            constant: share(interval.is_none()),
            covered: share(interval.is_some_and(|interval| interval.low <= 0.0 && 0.0 <= interval.high)),
            alarms: share(matches!(verdict, Verdict::Different(_))),
            alarms_in_seeds_seen: share(matches!(verdict, Verdict::DifferentInSeedsSeen(_))),
            ..Cell::default()
        };
        if number.is_multiple_of(4) {
            let effect = EFFECT * population.deviation / (seeds as f64).sqrt();
            let shifted = Judged::of(values.iter().map(|value| value + effect).collect(), &resamples);
            let verdict = shifted.verdict(shifted.p, 1);
            let is_claim =
                !matches!(verdict, Verdict::Constant(_)) && verdict.direction() == Some(Direction::Better);
            cell.power = 4.0 * share(is_claim);
            let student = Interval::of(&shifted.differences, None);
            cell.power_of_student = 4.0 * share(student.is_some_and(|interval| interval.low > 0.0));
        }
        cell
    };
    let all: Vec<Cell> = (0..samples).into_par_iter().map(one).collect();
    let mean = |of: fn(&Cell) -> f64| all.iter().map(of).sum::<f64>() / samples as f64;
    let constant = mean(|cell| cell.constant);
    Cell {
        constant,
        covered: mean(|cell| cell.covered) / (1.0 - constant),
        alarms: mean(|cell| cell.alarms),
        alarms_in_seeds_seen: mean(|cell| cell.alarms_in_seeds_seen),
        power: mean(|cell| cell.power),
        power_of_student: mean(|cell| cell.power_of_student),
    }
}

/// Returns the fractions of tables with a false claim in any of ten rows: without restriction, and restricted to the seeds
/// seen.
pub(crate) fn family_wise(population: &Population, seeds: usize, tables: u64) -> (f64, f64) {
    let resamples = Resamples::new(vec![seeds]);
    let one = |number: u64| {
        let mut random = ChaCha8Rng::seed_from_u64(number);
        let rows: Vec<Judged> =
            (0..ROWS).map(|_| Judged::of(sample(population, seeds, &mut random), &resamples)).collect();
        let corrected = holm::corrected(&rows.iter().map(|row| row.p).collect::<Vec<_>>());
        let verdicts: Vec<Verdict> =
            rows.iter().zip(corrected).map(|(row, p)| row.verdict(p, ROWS)).collect();
        let any = |of: fn(&Verdict) -> bool| u32::from(verdicts.iter().any(of));
        (
            any(|verdict| matches!(verdict, Verdict::Different(_))),
            any(|verdict| matches!(verdict, Verdict::DifferentInSeedsSeen(_))),
        )
    };
    let all: Vec<(u32, u32)> = (0..tables).into_par_iter().map(one).collect();
    let share = |of: fn(&(u32, u32)) -> u32| f64::from(all.iter().map(of).sum::<u32>()) / tables as f64;
    (share(|any| any.0), share(|any| any.1))
}

/// Returns a row of the table of populations, for this number of seeds.
pub(crate) fn row(population: &Population, seeds: usize) -> String {
    let cell = measure(population, seeds, SAMPLES);
    let shares = [
        cell.covered,
        cell.alarms,
        cell.alarms_in_seeds_seen,
        cell.power,
        cell.power_of_student,
        cell.constant,
    ];
    format!("| {} | {seeds} | {} |\n", population.name, shares.map(percent).join(" | "))
}

/// Returns a row of the table of tables with ten rows, for this number of seeds.
pub(crate) fn family_row(population: &Population, seeds: usize) -> String {
    let (alarms, in_seeds_seen) = family_wise(population, seeds, SAMPLES / 2);
    format!("| {} | {seeds} | {} | {} |\n", population.name, percent(alarms), percent(in_seeds_seen))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
