//! A leader strategy: the last candidate leads whenever it is up, and no other candidate ever does.

use dmos_core::strategy::*;
use dmos_core::{Term, Time};

register_leader!(LeaderDescriptor {
    name: "last-appointed",
    summary: "fixed leader: the last candidate, while it is up",
    source: "an example",
    notes: "at most one leader per term; none while the last candidate is down",
    guarantees: |_| &[Guarantee::OneLeaderPerTerm, Guarantee::LinearMessages],
    params: &[],
    build: |_| Box::new(Strategy),
});

struct Strategy;

impl LeaderStrategy for Strategy {
    fn election(&self, config: ElectionConfig) -> Box<dyn Election> {
        Box::new(Candidate(config))
    }
}

#[derive(Clone, Debug)]
struct Candidate(ElectionConfig);

impl Election for Candidate {
    fn handle(&mut self, _: Time, input: ElectionInput<'_>, effects: &mut ElectionEffects) {
        let is_last = self.0.candidates.last() == Some(&self.0.me);
        if let (true, ElectionInput::Start { durable }) = (is_last, input) {
            let known = durable.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
            let term = self.0.own_term_after(known);
            effects.durable = Some(term.to_le_bytes().into());
            effects.leader = Some((self.0.me, Term(term)));
        }
    }
}
