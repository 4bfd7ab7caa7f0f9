//! Random numbers: one stream per purpose and node, so that a draw here does not shift a draw there.

use dmos_core::{Distribution, NodeId, Span};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// What a stream is for. The numbers are part of every result: never reuse one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// How long a node's messages take.
    Message = 1,
    /// How long the transits to a node take.
    Transit = 2,
    /// When a node begins its heartbeats.
    Phase = 3,
    /// What befalls a node's messages.
    MessageFault = 4,
    /// How long they are held back.
    HeldMessage = 5,
    /// When a node fails.
    RandomFailures = 6,
    /// What a crash does to a node's disk.
    Crash = 7,
    /// Which appends fail.
    Append = 8,
    /// How wrong a node's clock is.
    Clock = 9,
    /// Whom a fault of the script hits.
    Script = 10,
    /// In which order events of the same instant happen.
    SameTimeOrder = 11,
    /// How long a node is down.
    Repair = 12,
    /// Between which effects a crash comes.
    CrashPoint = 13,
}

/// Returns the stream of one purpose and node under a run's seed, in one of the node's incarnations.
pub(crate) fn stream(seed: u64, purpose: Purpose, node: NodeId, incarnation: u32) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    key[16..24].copy_from_slice(&(node.index() as u64).to_le_bytes());
    key[24..28].copy_from_slice(&incarnation.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// Draws durations by a distribution, for each node from its own stream.
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
        Self::with_index(distribution, seed, purpose, nodes, 0)
    }

    /// As [`Sampler::new`], with streams of their own for each of several distributions of one purpose.
    pub(crate) fn with_index(
        distribution: &Distribution,
        seed: u64,
        purpose: Purpose,
        nodes: impl Iterator<Item = NodeId>,
        incarnation: u32,
    ) -> Self {
        match distribution {
            Distribution::Fixed(span) => Self::Fixed(*span),
            distribution => Self::Random {
                distribution: distribution.clone(),
                streams: nodes.map(|node| stream(seed, purpose, node, incarnation)).collect(),
            },
        }
    }

    #[inline]
    pub(crate) fn draw(&mut self, node: NodeId) -> Span {
        match self {
            Self::Fixed(span) => *span,
            Self::Random { distribution, streams } => draw(distribution, &mut streams[node.index()]),
        }
    }
}

/// Draws a duration by a distribution. Logarithms and the like are those of `libm`, alike on every machine.
pub(crate) fn draw(distribution: &Distribution, stream: &mut ChaCha8Rng) -> Span {
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

/// Above zero and up to one.
fn share(stream: &mut ChaCha8Rng) -> f64 {
    1.0 - stream.random::<f64>()
}

/// Exponential with a mean of one, by inversion.
fn exponential(stream: &mut ChaCha8Rng) -> f64 {
    -libm::log(share(stream))
}

/// Standard normal (Box and Muller 1958); the second of the pair is not used.
fn normal(stream: &mut ChaCha8Rng) -> f64 {
    let radius = libm::sqrt(2.0 * exponential(stream));
    radius * libm::cos(2.0 * std::f64::consts::PI * share(stream))
}

fn times(span: Span, factor: f64) -> Span {
    Span::from_nanos((span.as_nanos() as f64 * factor) as u64)
}

/// A node's pause before its heartbeats in one of its incarnations: anything from zero up to `period`.
pub(crate) fn phase(seed: u64, node: NodeId, incarnation: u32, period: Span) -> Span {
    let mut stream = stream(seed, Purpose::Phase, node, incarnation);
    Span::from_nanos(stream.random_range(0..period.as_nanos().max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_the_same_everywhere_and_differ_from_each_other() {
        let first =
            |seed, purpose, node| stream(seed, purpose, NodeId::new(node), 0).random_range(0..1_000_000_u64);
        assert_eq!(first(1, Purpose::Transit, 0), GOLDEN);
        let others =
            [first(2, Purpose::Transit, 0), first(1, Purpose::Phase, 0), first(1, Purpose::Transit, 1)];
        assert!(!others.contains(&GOLDEN));
    }

    #[test]
    fn laws_have_their_means_and_spreads() {
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
            let drawn: Vec<f64> =
                (0..40_000).map(|_| draw(&distribution, &mut stream).as_secs_f64()).collect();
            let average = drawn.iter().sum::<f64>() / drawn.len() as f64;
            let variance = drawn.iter().map(|x| (x - average).powi(2)).sum::<f64>() / drawn.len() as f64;
            assert!((average - 100.0).abs() < 3.0, "{distribution:?}: {average}");
            assert!(
                (variance.sqrt() / deviation - 1.0).abs() < 0.05,
                "{distribution:?}: {}",
                variance.sqrt()
            );
            assert_eq!(distribution.mean(), mean);
        }
    }

    /// Pins the generator: a change here changes every result.
    const GOLDEN: u64 = 329_749;
}
