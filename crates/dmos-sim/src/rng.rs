//! Random numbers: one stream per purpose and node, so that an additional number here does not shift the
//! numbers there.

use std::sync::Arc;

use dmos_core::scenario::ProcessTimes;
use dmos_core::{Distribution, NodeId, Route, Routes, Scenario, Span};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// Purpose of a stream. The numbers are part of every result and must never be reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// Delays of a node's messages.
    Message = 1,
    /// Transit times to a node.
    Transit = 2,
    /// Phase of a node's heartbeats.
    Phase = 3,
    /// Faults of a node's messages.
    MessageFault = 4,
    /// Additional delays of a node's messages.
    ReorderedMessage = 5,
    /// Times of a node's failures.
    RandomFailures = 6,
    /// Effect of a crash on a node's disk.
    Crash = 7,
    /// Failures of appends.
    Append = 8,
    /// Rate of a node's clock.
    Clock = 9,
    /// Targets of a scripted fault.
    Script = 10,
    /// Order of events at the same time.
    SameTimeOrder = 11,
    /// Repair times of a node.
    Repair = 12,
    /// Effect before which a node crashes.
    CrashPoint = 13,
    /// Process times of a node's production runs.
    ProcessTime = 14,
}

/// Returns the stream of one purpose and node under a run's seed. The substream distinguishes
/// incarnations, or entries of a list.
pub(crate) fn stream(seed: u64, purpose: Purpose, node: NodeId, substream: u32) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    key[16..24].copy_from_slice(&(node.index() as u64).to_le_bytes());
    key[24..28].copy_from_slice(&substream.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// Samples durations from a distribution, with one stream per node.
pub(crate) enum Sampler {
    Fixed(Span),
    Random { distribution: Distribution, streams: Vec<ChaCha8Rng> },
}

impl Sampler {
    pub(crate) fn new(
        distribution: &Distribution,
        seed: u64,
        purpose: Purpose,
        nodes: impl Iterator<Item = NodeId>,
    ) -> Self {
        Self::with_substream(distribution, seed, purpose, nodes, 0)
    }

    /// Like [`Sampler::new`], with separate streams for each of several distributions with the same purpose.
    pub(crate) fn with_substream(
        distribution: &Distribution,
        seed: u64,
        purpose: Purpose,
        nodes: impl Iterator<Item = NodeId>,
        substream: u32,
    ) -> Self {
        match distribution {
            Distribution::Fixed(span) => Self::Fixed(*span),
            distribution => Self::Random {
                distribution: distribution.clone(),
                streams: nodes.map(|node| stream(seed, purpose, node, substream)).collect(),
            },
        }
    }

    #[inline]
    pub(crate) fn sample(&mut self, node: NodeId) -> Span {
        match self {
            Self::Fixed(span) => *span,
            Self::Random { distribution, streams } => sample(distribution, &mut streams[node.index()]),
        }
    }
}

/// Samples delays of transport by route, with one stream per node: a different route changes the duration of a
/// transport, and not the random numbers of the others.
pub(crate) enum RouteSampler {
    /// The same distribution for all routes.
    Uniform(Sampler),
    ByRoute {
        routes: Arc<Routes>,
        delay: fn(&Route) -> &Distribution,
        streams: Vec<ChaCha8Rng>,
    },
}

impl RouteSampler {
    pub(crate) fn new(
        routes: &Arc<Routes>,
        delay: fn(&Route) -> &Distribution,
        seed: u64,
        purpose: Purpose,
        nodes: impl Iterator<Item = NodeId>,
    ) -> Self {
        let first = delay(routes.default_route());
        if routes.all().all(|route| delay(route) == first) {
            return Self::Uniform(Sampler::new(first, seed, purpose, nodes));
        }
        let streams = nodes.map(|node| stream(seed, purpose, node, 0)).collect();
        Self::ByRoute { routes: Arc::clone(routes), delay, streams }
    }

    /// Samples the delay from one node to another, from the stream of `node`.
    #[inline]
    pub(crate) fn sample(&mut self, node: NodeId, from: NodeId, to: NodeId) -> Span {
        match self {
            Self::Uniform(sampler) => sampler.sample(node),
            Self::ByRoute { routes, delay, streams } => {
                sample(delay(routes.route(from, to)), &mut streams[node.index()])
            }
        }
    }
}

/// Samples process times: one stream per production run, so that a repeated run takes the same time.
pub(crate) struct ProcessTimeSampler<'a> {
    times: &'a ProcessTimes,
    seed: u64,
}

impl<'a> ProcessTimeSampler<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        Self { times: &scenario.process_times, seed: scenario.seed }
    }

    /// Samples the process time of a run; at least a microsecond.
    pub(crate) fn sample(&self, node: NodeId, run: u32) -> Span {
        let span = match self.times.of(node) {
            Distribution::Fixed(span) => *span,
            distribution => sample(distribution, &mut stream(self.seed, Purpose::ProcessTime, node, run)),
        };
        span.max(Span::from_nanos(1_000))
    }
}

/// Samples a duration. Logarithms and other functions are those of `libm`, identical on every machine.
pub(crate) fn sample(distribution: &Distribution, stream: &mut ChaCha8Rng) -> Span {
    match distribution {
        Distribution::Fixed(span) => *span,
        Distribution::Choice(spans) => spans[stream.random_range(0..spans.len() as u64) as usize],
        Distribution::Uniform(from, to) => {
            Span::from_nanos(stream.random_range(from.as_nanos()..=to.as_nanos()))
        }
        Distribution::Exponential(mean) => times(*mean, exponential(stream)),
        Distribution::Weibull { mean, shape } => {
            let scale = 1.0 / libm::tgamma(1.0 + 1.0 / shape);
            times(*mean, scale * libm::pow(exponential(stream), 1.0 / shape))
        }
        Distribution::LogNormal { mean, sigma } => {
            times(*mean, libm::exp(sigma * normal(stream) - sigma * sigma / 2.0))
        }
    }
}

/// Samples uniformly from (0, 1].
fn share(stream: &mut ChaCha8Rng) -> f64 {
    1.0 - stream.random::<f64>()
}

/// Samples an exponential with mean 1, by inversion.
fn exponential(stream: &mut ChaCha8Rng) -> f64 {
    -libm::log(share(stream))
}

/// Samples a standard normal (Box and Muller 1958); the second value of the pair is not used.
fn normal(stream: &mut ChaCha8Rng) -> f64 {
    let radius = libm::sqrt(2.0 * exponential(stream));
    radius * libm::cos(2.0 * std::f64::consts::PI * share(stream))
}

fn times(span: Span, factor: f64) -> Span {
    Span::from_nanos((span.as_nanos() as f64 * factor) as u64)
}

/// Samples the phase of a node's heartbeats in one substream, from zero up to `period`.
pub(crate) fn phase(seed: u64, node: NodeId, substream: u32, period: Span) -> Span {
    let mut stream = stream(seed, Purpose::Phase, node, substream);
    Span::from_nanos(stream.random_range(0..period.as_nanos().max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_reproducible_and_distinct() {
        let first =
            |seed, purpose, node| stream(seed, purpose, NodeId::new(node), 0).random_range(0..1_000_000_u64);
        assert_eq!(first(1, Purpose::Transit, 0), GOLDEN);
        let others =
            [first(2, Purpose::Transit, 0), first(1, Purpose::Phase, 0), first(1, Purpose::Transit, 1)];
        assert!(!others.contains(&GOLDEN));
    }

    #[test]
    fn distributions_have_their_means_and_deviations() {
        let mean = Span::from_secs(100);
        let distributions = [
            (Distribution::Exponential(mean), 100.0),
            (Distribution::Weibull { mean, shape: 2.0 }, 52.3),
            (Distribution::Weibull { mean, shape: 0.7 }, 146.2),
            (Distribution::LogNormal { mean, sigma: 0.5 }, 53.3),
            (Distribution::Uniform(Span::ZERO, mean * 2), 57.7),
        ];
        for (distribution, deviation) in distributions {
            let mut stream = stream(7, Purpose::RandomFailures, NodeId::new(0), 0);
            let samples: Vec<f64> =
                (0..40_000).map(|_| sample(&distribution, &mut stream).as_secs_f64()).collect();
            let average = samples.iter().sum::<f64>() / samples.len() as f64;
            let variance = samples.iter().map(|x| (x - average).powi(2)).sum::<f64>() / samples.len() as f64;
            assert!((average - 100.0).abs() < 3.0, "{distribution:?}: {average}");
            assert!(
                (variance.sqrt() / deviation - 1.0).abs() < 0.05,
                "{distribution:?}: {}",
                variance.sqrt()
            );
            assert_eq!(distribution.mean(), mean);
        }
    }

    /// Pins the generator: any change here changes every result.
    const GOLDEN: u64 = 329_749;
}
