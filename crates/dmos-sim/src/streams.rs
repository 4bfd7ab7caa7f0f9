//! Random numbers: one stream per purpose and node, so that a draw here does not shift a draw there.

use dmos_core::settings::Law;
use dmos_core::{NodeId, Span};
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
}

/// The stream of one purpose and node under a run's seed, in one of the node's lives.
pub(crate) fn stream(seed: u64, purpose: Purpose, node: NodeId, life: u32) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    key[16..24].copy_from_slice(&(node.index() as u64).to_le_bytes());
    key[24..28].copy_from_slice(&life.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// Draws durations by a law, for each node from its own stream.
pub(crate) enum Sampler {
    Fixed(Span),
    Drawn { law: Law, streams: Vec<ChaCha8Rng> },
}

impl Sampler {
    pub(crate) fn new(law: &Law, seed: u64, purpose: Purpose, nodes: impl Iterator<Item = NodeId>) -> Self {
        match law {
            Law::Fixed(span) => Self::Fixed(*span),
            law => Self::Drawn {
                law: law.clone(),
                streams: nodes.map(|node| stream(seed, purpose, node, 0)).collect(),
            },
        }
    }

    pub(crate) fn draw(&mut self, node: NodeId) -> Span {
        match self {
            Self::Fixed(span) => *span,
            Self::Drawn { law, streams } => draw(law, &mut streams[node.index()]),
        }
    }
}

fn draw(law: &Law, stream: &mut ChaCha8Rng) -> Span {
    match law {
        Law::Fixed(span) => *span,
        Law::Choice(spans) => spans[stream.random_range(0..spans.len() as u64) as usize],
        Law::Uniform(from, to) => Span::from_nanos(stream.random_range(from.as_nanos()..=to.as_nanos())),
    }
}

/// A node's pause before its heartbeats in one of its lives: anything from zero up to `period`.
pub(crate) fn phase(seed: u64, node: NodeId, life: u32, period: Span) -> Span {
    let mut stream = stream(seed, Purpose::Phase, node, life);
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

    /// Pins the generator: a change here changes every result.
    const GOLDEN: u64 = 329_749;
}
