//! The prototype's race: all candidates write their name to one place, and the last writer leads.
//!
//! There is one race and no further election. A process that reads right after its own write finds its own
//! name and starts to plan; most of those plans are discarded, because another process has written by the
//! time they are ready. A process that recovers from a crash leaves the name unchanged; only the last writer
//! writes its own again. The order of writes is a race of processes, so the last writer is a parameter here,
//! and so is the number of processes that find their own name.

use dmos_core::strategy::{
    Election, ElectionConfig, ElectionEffects, ElectionInput, Guarantee, LeaderDescriptor, LeaderStrategy,
    ParamKind, ParamSpec, Params, register_leader,
};
use dmos_core::{NodeId, Term, Time};

register_leader!(LeaderDescriptor {
    name: "last-writer",
    summary: "the prototype's race: the last node to write its name leads indefinitely",
    source: "the published prototype",
    notes: "none: a failed leader is not replaced",
    guarantees: |_| &[Guarantee::OneLeaderPerTerm, Guarantee::LinearMessages],
    params: &[
        ParamSpec {
            name: "last",
            summary: "name of the last writer; without one, the last candidate",
            kind: ParamKind::Node
        },
        ParamSpec {
            name: "planners",
            summary: "number of nodes that consider themselves leader at the start and plan, the last writer included",
            kind: ParamKind::Integer { min: 1, max: u64::MAX, default: 1 },
        },
    ],
    build: |params: &Params| Box::new(LastWriter {
        last: params.node("last"),
        planners: params.integer("planners")
    }),
});

struct LastWriter {
    last: NodeId,
    planners: u64,
}

impl LeaderStrategy for LastWriter {
    fn election(&self, config: ElectionConfig) -> Box<dyn Election> {
        let is_candidate = config.candidates.binary_search(&self.last).is_ok();
        let last = if is_candidate { self.last } else { config.candidates[config.candidates.len() - 1] };
        let others = config.candidates.iter().filter(|&&node| node != last);
        let place = others.clone().position(|&node| node == config.me).map(|place| place as u64);
        let count = others.count() as u64;
        let rank = match place {
            Some(place) => is_spread(place, count, self.planners - 1).then_some(place + 1),
            None => Some(count + 1),
        };
        Box::new(Writer { me: config.me, rank, ranks: count + 2 })
    }
}

/// Returns whether the index `place` among `count` belongs to `chosen` ones that are spread evenly.
fn is_spread(place: u64, count: u64, chosen: u64) -> bool {
    let chosen = u128::from(chosen.min(count));
    let before = |place: u64| u128::from(place) * chosen / u128::from(count);
    before(place + 1) > before(place)
}

/// Declares itself leader once, at its start, if it is one of the early writers.
#[derive(Clone, Debug)]
struct Writer {
    me: NodeId,
    /// Its position in the order of writes, or `None` if it reads another name.
    rank: Option<u64>,
    ranks: u64,
}

impl Election for Writer {
    fn handle(&mut self, _: Time, input: ElectionInput<'_>, effects: &mut ElectionEffects) {
        let (ElectionInput::Start { durable }, Some(rank)) = (input, self.rank) else {
            return;
        };
        let earlier = durable.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
        // Only the last writer writes again when it recovers, in a term above all earlier ones.
        if earlier > 0 && rank + 1 < self.ranks {
            return;
        }
        effects.durable = Some((earlier + 1).to_le_bytes().into());
        effects.leader = Some((self.me, Term(earlier * self.ranks + rank)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the nodes that lead after their start, with their terms, if they have written `written` times before.
    fn leaders(last: usize, planners: u64, nodes: usize, written: Option<u64>) -> Vec<(usize, u64)> {
        let strategy = LastWriter { last: NodeId::new(last), planners };
        let candidates: std::sync::Arc<[_]> = (0..nodes).map(NodeId::new).collect();
        let durable = written.map(u64::to_le_bytes);
        let input = ElectionInput::Start { durable: durable.as_ref().map(|bytes| &bytes[..]) };
        let start = |me: &NodeId| {
            let mut effects = ElectionEffects::default();
            let config = ElectionConfig { me: *me, candidates: candidates.clone(), seed: 1 };
            strategy.election(config).handle(Time::ZERO, input, &mut effects);
            effects.leader.map(|(node, term)| (node.index(), term.0))
        };
        candidates.iter().filter_map(start).collect()
    }

    #[test]
    fn only_the_last_writer_writes_again() {
        assert_eq!(leaders(3, 4, 4, None), [(0, 1), (1, 2), (2, 3), (3, 4)]);
        assert_eq!(leaders(3, 4, 4, Some(1)), [(3, 5 + 4)]);
        assert_eq!(leaders(3, 4, 4, Some(2)), [(3, 2 * 5 + 4)]);
    }

    #[test]
    fn the_requested_number_of_nodes_plan_and_the_last_has_the_latest_term() {
        for planners in 1..=8 {
            let found = leaders(6, planners, 8, None);
            assert_eq!(found.len() as u64, planners);
            assert_eq!(found.iter().max_by_key(|leader| leader.1).map(|leader| leader.0), Some(6));
        }
        assert_eq!(leaders(6, 100, 8, None).len(), 8);
        assert_eq!(leaders(0, 1, 1, None), [(0, 1)]);
        assert_eq!(leaders(9, 1, 4, None), [(3, 4)], "the last candidate in place of one that is none");
    }
}
