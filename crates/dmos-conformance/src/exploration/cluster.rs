//! A state of three candidates: what can happen in it, and what must not.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use dmos_core::strategy::{Election, ElectionConfig, ElectionEffects, ElectionInput, LeaderStrategy};
use dmos_core::{NodeId, Span, Term, Time};

use super::{Bounds, Properties};

/// Number of candidates.
pub const CANDIDATES: usize = 3;

/// Maximum number of events of an election in which nothing fails.
const SETTLING_EVENTS: usize = 200;

/// Time that a restart takes.
const RESTART: Span = Span::from_secs(1);

/// For each candidate, the number of its restarts that someone has heard of, directly or by others.
type Heard = [u8; CANDIDATES];

/// A message that was sent.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Message {
    from: usize,
    to: usize,
    bytes: Box<[u8]>,
    /// Restarts that the sender had heard of.
    heard: Heard,
}

/// An event that changes a state.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// Delivers a message, of which a duplicate may remain.
    Deliver {
        message: Rc<Message>,
        again: bool,
    },
    Expire {
        candidate: usize,
        timer: u32,
    },
    Restart(usize),
    Suspect {
        candidate: usize,
        other: usize,
    },
    Trust {
        candidate: usize,
        other: usize,
    },
    Learn {
        candidate: usize,
        leader: NodeId,
        term: Term,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deliver { message, again } => {
                let Message { from, to, bytes, .. } = &**message;
                write!(
                    f,
                    "{to} receives {bytes:?} from {from}{}",
                    if *again { ", not for the last time" } else { "" }
                )
            }
            Self::Expire { candidate, timer } => write!(f, "timer {timer} of {candidate} expires"),
            Self::Restart(candidate) => write!(f, "{candidate} restarts"),
            Self::Suspect { candidate, other } => write!(f, "{candidate} suspects {other}"),
            Self::Trust { candidate, other } => write!(f, "{candidate} hears from {other} again"),
            Self::Learn { candidate, leader, term } => {
                write!(f, "{candidate} learns that {} leads in term {term}", leader.index())
            }
        }
    }
}

#[derive(Clone)]
struct Candidate {
    election: Box<dyn Election>,
    /// Hash of the election's text, which distinguishes its states.
    digest: u64,
    restarts: u8,
    durable: Option<Rc<[u8]>>,
    /// Pending timers: the time at which each is due, and its number.
    timers: BTreeSet<(Time, u32)>,
    /// Number of timers that may still expire, and of restarts.
    timers_left: u8,
    restarts_left: u8,
    leader: Option<(NodeId, Term)>,
    suspects: [bool; CANDIDATES],
    heard: Heard,
    /// For each other candidate, the number of this candidate's restarts that it had heard of when it sent a message that
    /// has arrived since the last start; none without such a message.
    heard_by: [Option<u8>; CANDIDATES],
}

/// A state of all candidates and of the network.
#[derive(Clone)]
pub(super) struct Cluster {
    now: Time,
    candidates: [Rc<Candidate>; CANDIDATES],
    /// Messages in flight, in the order of their sending; equal ones once.
    messages: Rc<Vec<Rc<Message>>>,
    in_order: bool,
    /// The leader of each term, with the number of its restarts when it became leader.
    led: Rc<BTreeMap<Term, (usize, u8)>>,
    isolated: Option<usize>,
    duplicates_left: u8,
    suspicions_left: u8,
    learned_left: u8,
}

impl Cluster {
    /// Returns three candidates that have just started.
    pub(super) fn start(strategy: &dyn LeaderStrategy, bounds: Bounds) -> Self {
        let candidate = |me| {
            Rc::new(Candidate {
                election: election(strategy, me),
                digest: 0,
                restarts: 0,
                durable: None,
                timers: BTreeSet::new(),
                timers_left: bounds.timers[me],
                restarts_left: bounds.restarts[me],
                leader: None,
                suspects: [false; CANDIDATES],
                heard: Heard::default(),
                heard_by: [None; CANDIDATES],
            })
        };
        let mut cluster = Self {
            now: Time::ZERO,
            candidates: [candidate(0), candidate(1), candidate(2)],
            messages: Rc::default(),
            led: Rc::default(),
            in_order: bounds.in_order,
            isolated: bounds.isolated.filter(|_| !bounds.settled),
            duplicates_left: bounds.duplicates,
            suspicions_left: bounds.suspicions,
            learned_left: bounds.learned,
        };
        let none = Properties { term_of_its_own: false, majority: false };
        (0..CANDIDATES).for_each(|me| drop(cluster.pass(me, ElectionInput::Start { durable: None }, none)));
        if bounds.settled {
            cluster.settle(strategy, none);
            cluster.isolated = bounds.isolated;
        }
        cluster
    }

    /// Delivers all messages, and lets timers expire in time, until all candidates know the same leader.
    fn settle(&mut self, strategy: &dyn LeaderStrategy, properties: Properties) {
        let bounds = self.candidates.each_ref().map(|it| it.timers_left);
        for _ in 0..SETTLING_EVENTS {
            let agree = |it: &Rc<Candidate>| it.leader.is_some() && it.leader == self.candidates[0].leader;
            let has_settled = self.candidates.iter().all(agree);
            let due = |(candidate, it): (usize, &Rc<Candidate>)| {
                it.timers.first().map(|&(at, timer)| (at, Event::Expire { candidate, timer }))
            };
            let timers = self.candidates.iter().enumerate().filter_map(due);
            let next = match self.messages.first() {
                Some(message) => Event::Deliver { message: Rc::clone(message), again: false },
                None if has_settled => break,
                None => match timers.min_by_key(|(at, _)| *at) {
                    Some((_, event)) => event,
                    None => break,
                },
            };
            if let Event::Expire { candidate, .. } = next {
                Rc::make_mut(&mut self.candidates[candidate]).timers_left = 1;
            }
            drop(self.handle(strategy, &next, properties));
        }
        for (it, timers) in self.candidates.iter_mut().zip(bounds) {
            Rc::make_mut(it).timers_left = timers;
        }
    }

    /// Returns a number that distinguishes this state from others.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for it in &self.candidates {
            let Candidate { digest, restarts, durable, timers, timers_left, restarts_left, leader, .. } =
                &**it;
            (digest, restarts, durable, timers, timers_left, restarts_left, leader).hash(&mut hasher);
            (it.suspects, it.heard, it.heard_by).hash(&mut hasher);
        }
        (self.now, &*self.led).hash(&mut hasher);
        match self.in_order {
            true => self.messages.hash(&mut hasher),
            false => self.messages.iter().collect::<BTreeSet<_>>().hash(&mut hasher),
        }
        (self.duplicates_left, self.suspicions_left, self.learned_left).hash(&mut hasher);
        hasher.finish()
    }

    /// Returns whether a candidate considers itself leader.
    pub(super) fn has_leader(&self) -> bool {
        let leads =
            |(me, it): (usize, &Rc<Candidate>)| it.leader.is_some_and(|leader| leader.0.index() == me);
        self.candidates.iter().enumerate().any(leads)
    }

    /// Returns all events that can happen next.
    pub(super) fn events(&self) -> Vec<Event> {
        let mut events: Vec<Event> = self
            .messages
            .iter()
            .map(|message| Event::Deliver { message: Rc::clone(message), again: false })
            .collect();
        if self.duplicates_left > 0 {
            events.extend(
                self.messages
                    .iter()
                    .map(|message| Event::Deliver { message: Rc::clone(message), again: true }),
            );
        }
        for (candidate, it) in self.candidates.iter().enumerate() {
            if it.timers_left > 0 {
                events.extend(it.timers.iter().map(|&(_, timer)| Event::Expire { candidate, timer }));
            }
            if it.restarts_left > 0 {
                events.push(Event::Restart(candidate));
            }
            for other in (0..CANDIDATES).filter(|&other| other != candidate) {
                match it.suspects[other] {
                    true => events.push(Event::Trust { candidate, other }),
                    false if self.suspicions_left > 0 => events.push(Event::Suspect { candidate, other }),
                    false => {}
                }
                if let Some((leader, term)) = self.candidates[other].leader.filter(|_| self.learned_left > 0)
                {
                    events.push(Event::Learn { candidate, leader, term });
                }
            }
        }
        events
    }

    /// Returns whether an event of another history can happen here.
    pub(super) fn can_happen(&self, event: &Event) -> bool {
        match *event {
            Event::Deliver { ref message, again } => {
                self.messages.contains(message) && (!again || self.duplicates_left > 0)
            }
            Event::Expire { candidate, timer } => {
                self.candidates[candidate].timers.iter().any(|pending| pending.1 == timer)
            }
            Event::Trust { candidate, other } => self.candidates[candidate].suspects[other],
            Event::Learn { leader, term, .. } => {
                self.led.get(&term).is_some_and(|led| led.0 == leader.index())
            }
            Event::Restart(_) | Event::Suspect { .. } => true,
        }
    }

    /// Handles an event. Returns the violation of a property, if there is one.
    pub(super) fn handle(
        &mut self,
        strategy: &dyn LeaderStrategy,
        event: &Event,
        properties: Properties,
    ) -> Option<String> {
        match *event {
            Event::Deliver { ref message, again } => {
                match again {
                    true => self.duplicates_left -= 1,
                    false => self.take(message),
                }
                let receiver = Rc::make_mut(&mut self.candidates[message.to]);
                for (ours, theirs) in receiver.heard.iter_mut().zip(message.heard) {
                    *ours = theirs.max(*ours);
                }
                let heard_by = &mut receiver.heard_by[message.from];
                *heard_by = (*heard_by).max(Some(message.heard[message.to]));
                let input = ElectionInput::Message { from: NodeId::new(message.from), bytes: &message.bytes };
                self.pass(message.to, input, properties)
            }
            Event::Expire { candidate, timer } => {
                let it = Rc::make_mut(&mut self.candidates[candidate]);
                let due = it.timers.iter().find(|pending| pending.1 == timer).copied();
                if let Some(due) = due {
                    it.timers.remove(&due);
                    self.now = self.now.max(due.0);
                }
                it.timers_left -= 1;
                self.pass(candidate, ElectionInput::Timer(timer), properties)
            }
            Event::Restart(candidate) => {
                Rc::make_mut(&mut self.candidates[candidate]).restarts_left -= 1;
                self.now = self.now + RESTART;
                self.restart(strategy, candidate, properties)
            }
            Event::Suspect { candidate, other } => {
                self.suspicions_left -= 1;
                Rc::make_mut(&mut self.candidates[candidate]).suspects[other] = true;
                self.pass(candidate, ElectionInput::Suspected(NodeId::new(other)), properties)
            }
            Event::Trust { candidate, other } => {
                Rc::make_mut(&mut self.candidates[candidate]).suspects[other] = false;
                self.pass(candidate, ElectionInput::Trusted(NodeId::new(other)), properties)
            }
            Event::Learn { candidate, leader, term } => {
                self.learned_left -= 1;
                self.pass(candidate, ElectionInput::LeaderLearned(leader, term), properties)
            }
        }
    }

    /// Removes a message from the network, with those that it has overtaken if they arrive in order.
    fn take(&mut self, taken: &Message) {
        let messages = Rc::make_mut(&mut self.messages);
        let Some(at) = messages.iter().position(|message| **message == *taken) else { return };
        let mut index = 0;
        let in_order = self.in_order;
        messages.retain(|message| {
            let is_overtaken = in_order && index < at && (message.from, message.to) == (taken.from, taken.to);
            index += 1;
            !is_overtaken && index != at + 1
        });
    }

    /// Discards the volatile state of a candidate and starts it again.
    fn restart(
        &mut self,
        strategy: &dyn LeaderStrategy,
        me: usize,
        properties: Properties,
    ) -> Option<String> {
        let it = Rc::make_mut(&mut self.candidates[me]);
        it.restarts += 1;
        (it.election, it.leader) = (election(strategy, me), None);
        it.timers.clear();
        (it.suspects, it.heard, it.heard_by) = ([false; CANDIDATES], Heard::default(), [None; CANDIDATES]);
        it.heard[me] = it.restarts;
        let durable = it.durable.clone();
        self.pass(me, ElectionInput::Start { durable: durable.as_deref() }, properties)
    }

    /// Passes an input to an election and executes its effects.
    fn pass(&mut self, me: usize, input: ElectionInput<'_>, properties: Properties) -> Option<String> {
        let it = Rc::make_mut(&mut self.candidates[me]);
        let mut effects = ElectionEffects::default();
        it.election.handle(self.now, input, &mut effects);
        it.digest = digest(&*it.election);
        if let Some(durable) = effects.durable {
            it.durable = Some(durable.into());
        }
        it.timers.extend(effects.timers.iter().map(|&(after, timer)| (self.now + after, timer)));
        let heard = it.heard;
        if !effects.sends.is_empty() {
            let isolated = self.isolated;
            let arrives = |to: &NodeId| isolated.is_none_or(|it| it != me && it != to.index());
            let sends = effects.sends.into_iter().filter(|(to, _)| arrives(to));
            let sent = sends.map(|(to, bytes)| Rc::new(Message { from: me, to: to.index(), bytes, heard }));
            let messages = Rc::make_mut(&mut self.messages);
            for message in sent {
                if !messages.contains(&message) {
                    messages.push(message);
                }
            }
        }
        if effects.steps_down && it.leader.is_some_and(|leader| leader.0.index() == me) {
            it.leader = None;
        }
        let (leader, term) =
            effects.leader.filter(|leader| it.leader.is_none_or(|known| known.1 < leader.1))?;
        it.leader = Some((leader, term));
        self.check_leader(me, leader.index(), term, properties)
    }

    /// Checks a leader that a candidate has learned or become.
    fn check_leader(
        &mut self,
        me: usize,
        leader: usize,
        term: Term,
        properties: Properties,
    ) -> Option<String> {
        let restarts = self.candidates[leader].restarts;
        let (other, earlier) = *Rc::make_mut(&mut self.led).entry(term).or_insert((leader, restarts));
        if properties.term_of_its_own && other != leader {
            return Some(format!(
                "{leader} leads in term {term} according to {me}, but {other} has led in it"
            ));
        }
        if leader != me {
            return None;
        }
        if properties.term_of_its_own && earlier < restarts {
            return Some(format!("{me} leads in term {term}, which was announced before its last restart"));
        }
        let it = &self.candidates[me];
        let supporters = it.heard_by.iter().filter(|heard| **heard == Some(it.restarts)).count();
        let has_majority = supporters + 1 > CANDIDATES / 2;
        (properties.majority && !has_majority)
            .then(|| format!("{me} leads in term {term} without a majority that has heard of its last start"))
    }
}

fn election(strategy: &dyn LeaderStrategy, me: usize) -> Box<dyn Election> {
    let candidates: Arc<[NodeId]> = (0..CANDIDATES).map(NodeId::new).collect();
    strategy.election(ElectionConfig { me: NodeId::new(me), candidates, seed: 1 })
}

fn digest(election: &dyn Election) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{election:?}").hash(&mut hasher);
    hasher.finish()
}
