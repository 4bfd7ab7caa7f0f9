//! Virtual time in whole nanoseconds, and durations and rates written with units.
//!
//! Time is an integer, so the order of events never depends on rounding.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Sub};

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// A point in virtual time: nanoseconds since the start of the run. The maximum is 584 years.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(u64);

impl Time {
    /// The start of a run.
    pub const ZERO: Self = Self(0);

    /// Returns the time this many nanoseconds after the start.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Returns the nanoseconds since the start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the seconds since the start, for display.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        Span(self.0).as_secs_f64()
    }

    /// Returns the time elapsed since `earlier`, or zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Serialize for Time {
    /// Serializes the time as a duration since the start.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Span(self.0).serialize(serializer)
    }
}

impl Add<Span> for Time {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

/// A duration in whole nanoseconds.
///
/// In scenario files it is written as a number with a unit: `1s`, `500ms`, `2min`, `1.5h`.
///
/// ```
/// use dmos_core::Span;
/// assert_eq!("1.5s".parse(), Ok(Span::from_millis(1500)));
/// assert_eq!(Span::from_millis(1500).to_string(), "1.5s");
/// assert!("3".parse::<Span>().unwrap_err().to_string().contains("unit"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Span(u64);

impl Span {
    /// The zero duration.
    pub const ZERO: Self = Self(0);

    /// Returns a duration of this many nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Returns a duration of this many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// Returns a duration of this many seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000_000_000)
    }

    /// Returns the duration in nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the duration in seconds, for display.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Returns whether the duration is zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl Add for Span {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Span {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Span {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Mul<u64> for Span {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        Self(self.0.saturating_mul(times))
    }
}

impl Sum for Span {
    fn sum<I: Iterator<Item = Self>>(spans: I) -> Self {
        spans.fold(Self::ZERO, Add::add)
    }
}

/// Error of parsing a number with a unit.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum UnitError {
    /// The number has no unit.
    #[error("`{0}` has no unit; write for example `{0}s` or `{0}ms`")]
    MissingUnit(String),
    /// The unit is unknown.
    #[error("`{unit}` is not a unit of time; use ns, us, ms, s, min, h or d")]
    UnknownUnit {
        /// The text in place of a unit.
        unit: String,
    },
    /// The text is not a decimal number.
    #[error("`{0}` does not begin with a number; write for example `1.5s`")]
    NotANumber(String),
    /// The number is negative.
    #[error("`{0}` is negative; a duration or rate is zero or more")]
    Negative(String),
    /// The number has more digits than the resolution can represent.
    #[error("`{text}` is finer than {resolution}")]
    TooFine {
        /// The text as written.
        text: String,
        /// The resolution.
        resolution: &'static str,
    },
    /// The duration does not fit 64 bits.
    #[error("`{0}` is too long; a run lasts at most 500 years")]
    TooLong(String),
    /// The rate has no period.
    #[error("`{0}` is not a rate; write for example `1/min` or `0.5/s`")]
    NotARate(String),
}

const UNITS: [(&str, u128); 7] = [
    ("ns", 1_000),
    ("us", 1_000_000),
    ("ms", 1_000_000_000),
    ("s", 1_000_000_000_000),
    ("min", 60_000_000_000_000),
    ("h", 3_600_000_000_000_000),
    ("d", 86_400_000_000_000_000),
];

const PICOS_MAX: u128 = 500 * 366 * 86_400_000_000_000_000;

fn picos_per(unit: &str) -> Option<u128> {
    UNITS.iter().find(|(name, _)| *name == unit).map(|&(_, picos)| picos)
}

/// Splits `1.5s` into its number and its unit.
fn split_unit(text: &str) -> Result<(&str, &str), UnitError> {
    if text.starts_with('-') {
        return Err(UnitError::Negative(text.to_owned()));
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    match (number.is_empty(), unit.trim()) {
        (true, _) => Err(UnitError::NotANumber(text.to_owned())),
        (false, "") => Err(UnitError::MissingUnit(text.to_owned())),
        (false, unit) => Ok((number, unit)),
    }
}

/// Parses a decimal number of units of `unit` picoseconds exactly, without floating point.
fn exact_picos(text: &str, number: &str, unit: u128) -> Result<u128, UnitError> {
    let digits = number.replace('_', "");
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let not_a_number = || UnitError::NotANumber(text.to_owned());
    let too_long = || UnitError::TooLong(text.to_owned());
    if whole.is_empty() || fraction.contains('.') {
        return Err(not_a_number());
    }
    let fraction = fraction.trim_end_matches('0');
    if whole.len() > 24 || fraction.len() > 17 {
        return Err(too_long());
    }
    let scale = 10_u128.pow(fraction.len() as u32);
    let parse = |part: &str| {
        if part.is_empty() { Ok(0) } else { part.parse::<u128>().map_err(|_| not_a_number()) }
    };
    let whole = parse(whole)?.checked_mul(unit).filter(|&picos| picos <= PICOS_MAX).ok_or_else(too_long)?;
    let part = parse(fraction)? * unit;
    if !part.is_multiple_of(scale) {
        return Err(UnitError::TooFine { text: text.to_owned(), resolution: "a picosecond" });
    }
    Ok(whole + part / scale)
}

fn parse_picos(text: &str) -> Result<u128, UnitError> {
    let text = text.trim();
    let (number, unit) = split_unit(text)?;
    let picos = picos_per(unit).ok_or_else(|| UnitError::UnknownUnit { unit: unit.to_owned() })?;
    exact_picos(text, number, picos)
}

fn format_picos(picos: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if picos == 0 {
        return f.write_str("0s");
    }
    // Chooses the largest unit up to seconds that needs at most three decimals, so that files stay readable.
    let &(name, unit) = UNITS[..4]
        .iter()
        .rev()
        .find(|&&(_, unit)| picos >= unit && (picos * 1000).is_multiple_of(unit))
        .unwrap_or(&UNITS[0]);
    let thousandths = picos * 1000 / unit;
    let fraction = format!("{:03}", thousandths % 1000);
    match fraction.trim_end_matches('0') {
        "" => write!(f, "{}{name}", thousandths / 1000),
        fraction => write!(f, "{}.{fraction}{name}", thousandths / 1000),
    }
}

impl std::str::FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let picos = parse_picos(text)?;
        if !picos.is_multiple_of(1000) {
            return Err(UnitError::TooFine { text: text.to_owned(), resolution: "a nanosecond" });
        }
        u64::try_from(picos / 1000).map(Self).map_err(|_| UnitError::TooLong(text.to_owned()))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        format_picos(u128::from(self.0) * 1000, f)
    }
}

/// CPU time of one elementary step, in picoseconds: a step can be shorter than a nanosecond.
///
/// Written like a duration: `16.5ns`, `800ns`. The maximum is one day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct StepCost {
    picos: u64,
}

impl StepCost {
    /// Returns the cost of this many steps, rounded down to whole nanoseconds.
    #[must_use]
    pub fn of(self, steps: u64) -> Span {
        let nanos = u128::from(self.picos) * u128::from(steps) / 1000;
        Span(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl std::str::FromStr for StepCost {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        u64::try_from(parse_picos(text)?)
            .map(|picos| Self { picos })
            .map_err(|_| UnitError::TooLong(text.to_owned()))
    }
}

impl fmt::Display for StepCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        format_picos(u128::from(self.picos), f)
    }
}

/// Average frequency of an event: a number of occurrences per period, such as `1/min`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rate {
    times: f64,
    period: Span,
}

impl Rate {
    /// The rate of an event that never occurs.
    pub const NEVER: Self = Self { times: 0.0, period: Span::from_secs(1) };

    /// Returns the average number of occurrences in a duration.
    #[must_use]
    pub fn times_in(self, span: Span) -> f64 {
        self.times * (span.as_nanos() as f64 / self.period.as_nanos() as f64)
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self::NEVER
    }
}

impl std::str::FromStr for Rate {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let not_a_rate = || UnitError::NotARate(text.to_owned());
        let (times, period) = text.split_once('/').ok_or_else(not_a_rate)?;
        let times: f64 = times.trim().parse().map_err(|_| not_a_rate())?;
        if times < 0.0 {
            return Err(UnitError::Negative(text.to_owned()));
        }
        let period = period.trim();
        let period: Span =
            if picos_per(period).is_some() { format!("1{period}").parse()? } else { period.parse()? };
        if !times.is_finite() || period.is_zero() {
            return Err(not_a_rate());
        }
        Ok(Self { times, period })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.times, self.period)
    }
}

/// Deserializes a value that is written as text with a unit, and reports a bare number as an error.
struct WithUnit<T> {
    expected: &'static str,
    parse: fn(&str) -> Result<T, UnitError>,
}

impl<T> Visitor<'_> for WithUnit<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        (self.parse)(&number.to_string()).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        (self.parse)(&number.to_string()).map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        (self.parse)(&number.to_string()).map_err(E::custom)
    }
}

macro_rules! serde_with_unit {
    ($type:ty, $expected:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(WithUnit { expected: $expected, parse: str::parse::<$type> })
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

serde_with_unit!(Span, "a duration with a unit, such as `1s` or `500ms`");
serde_with_unit!(StepCost, "a duration with a unit, such as `16.5ns`");
serde_with_unit!(Rate, "a rate such as `1/min`");

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, nanos: u64) {
        assert_eq!(text.parse(), Ok(Span::from_nanos(nanos)), "{text}");
    }

    #[test]
    fn durations_are_read_exactly() {
        check("1s", 1_000_000_000);
        check("500ms", 500_000_000);
        check("2min", 120_000_000_000);
        check("1.5h", 5_400_000_000_000);
        check("0.3s", 300_000_000);
        check("1_000us", 1_000_000);
        check("7 d", 7 * 86_400_000_000_000);
        check("0s", 0);
    }

    #[test]
    fn times_are_in_nanoseconds() {
        let time = Time::ZERO + Span::from_millis(1_500);
        assert_eq!((time.as_nanos(), time.as_secs_f64()), (1_500_000_000, 1.5));
        assert_eq!(time, Time::from_nanos(1_500_000_000));
        check("183000d", 183_000 * 86_400_000_000_000);
    }

    #[test]
    fn sums_and_differences_stay_in_range() {
        let [one, two] = [1, 2].map(Span::from_nanos);
        let most = Span::from_nanos(u64::MAX);
        let mut sum = one;
        sum += two;
        assert_eq!((sum, [one, two, two].into_iter().sum::<Span>()), (one * 3, one * 5));
        assert_eq!((one - two, most + one, most * 2), (Span::ZERO, most, most));
        assert!(Span::ZERO.is_zero() && !one.is_zero());
    }

    #[test]
    fn every_parse_error_is_named() {
        for (text, part) in [
            ("5", "no unit"),
            ("5 parsecs", "not a unit"),
            ("-1s", "negative"),
            ("soon", "number"),
            ("1.2.3s", "number"),
            ("0.1ns", "finer"),
            (".5s", "number"),
            ("999999d", "too long"),
            ("183001d", "too long"),
            ("999999999999999999999999999999999999999999999999s", "too long"),
            ("1000000000000000000000000ns", "too long"),
            ("0.100000000000000001h", "too long"),
            ("99999999999999999999999999999999s", "too long"),
        ] {
            let message = text.parse::<Span>().expect_err(text).to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn durations_are_written_as_they_are_read() {
        for text in ["0s", "1s", "1.5s", "500ms", "65ms", "1.1ms", "16.5us", "3ns", "597s", "3600s"] {
            assert_eq!(text.parse::<Span>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn steps_can_cost_fractions_of_a_nanosecond() {
        let cost: StepCost = "16.5ns".parse().expect("a cost");
        assert_eq!(cost.of(566_597_659), Span::from_nanos(9_348_861_373));
        assert_eq!(cost.to_string(), "16.5ns");
        let fine: StepCost = "0.00000000000000125d".parse().expect("seventeen decimals");
        assert_eq!(fine.to_string(), "0.108ns");
    }

    #[test]
    fn rates_have_a_period() {
        let rate: Rate = "2/min".parse().expect("a valid rate");
        assert!((rate.times_in(Span::from_secs(30)) - 1.0).abs() < 1e-12);
        let rate: Rate = "1/10s".parse().expect("a valid rate");
        assert!((rate.times_in(Span::from_secs(30)) - 3.0).abs() < 1e-12);
        assert_eq!("0/min".parse::<Rate>().map(|rate| rate.times_in(Span::from_secs(9))), Ok(0.0));
        for wrong in ["1", "-1/min", "1/0s", "x/min", "inf/s", "1/fortnight"] {
            assert!(wrong.parse::<Rate>().is_err(), "{wrong}");
        }
    }
}
