//! Generates scenarios: the same number yields the same scenario everywhere.

mod faults;
mod network;
mod production;
mod sites;

use std::num::NonZeroU32;
use std::sync::Arc;

use dmos_audit::{WorkDelays, resume_bound};
use dmos_core::scenario::SameTimeOrder;
use dmos_core::settings::{Dissemination, FailureReports, Mailbox, PlanningMode, Production, Protocol, Work};
use dmos_core::strategy::{Descriptor, Guarantee, ParamKind, StrategyCall};
use dmos_core::{Distribution, Network, Registry, Scenario, Span};
use dmos_scenario::file::{CandidatesField, DelaysField, DistributionField, StrategyField};
use dmos_scenario::{Override, ScenarioError, ScenarioFile};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// Maximum length of the fault-free phase at the end. Where more would be needed, liveness is not checked.
const QUIET_MAX: Span = Span::from_secs(4_500);

/// Sites have random numbers of their own, so that they change nothing else.
const SITES_SEED: u64 = 0x5173_5000;

/// The subject of a search.
#[derive(Clone, Debug)]
pub enum Subject {
    /// Everything is random, except for these settings.
    Anything(Vec<Override>),
    /// The faults, the seed, the duration and the same-time order are random, except for these settings;
    /// everything else is as in this file.
    FaultsOf(Box<ScenarioFile>, Arc<Network>, Vec<Override>),
}

/// The random generator of one scenario, with shorthands.
struct Generator(ChaCha8Rng);

impl Generator {
    fn new(seed: u64, number: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&number.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Returns `true` with a probability of `share` percent.
    fn percent(&mut self, share: u32) -> bool {
        self.0.random_range(0..100) < share
    }

    /// Returns a number in a range, with both ends included.
    fn between(&mut self, from: u64, to: u64) -> u64 {
        self.0.random_range(from..=to)
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.0.random_range(0..all.len() as u64) as usize]
    }

    /// Returns a duration in a range, with both ends included, in hundredths of a second.
    fn span(&mut self, from_ms: u64, to_ms: u64) -> Span {
        Span::from_millis(self.between(from_ms / 10, to_ms / 10) * 10)
    }

    /// Returns a fraction, in thousandths.
    fn share(&mut self, max_thousandths: u64) -> f64 {
        self.between(0, max_thousandths) as f64 / 1000.0
    }

    fn nonzero(&mut self, from: u32, to: u32) -> Option<NonZeroU32> {
        NonZeroU32::new(self.between(u64::from(from), u64::from(to)) as u32)
    }
}

impl Subject {
    /// Generates the scenario with this number under a seed.
    ///
    /// It has a phase of faults, followed by a fault-free phase that is long enough for production to resume.
    /// In a few scenarios messages are slower than any timeout and nothing is ever healed; there, only safety
    /// is checked.
    ///
    /// # Errors
    /// If the settings make it invalid. Generated values alone are valid.
    pub fn generate(
        &self,
        seed: u64,
        number: u64,
        registry: &Registry,
    ) -> Result<ScenarioFile, ScenarioError> {
        let mut rng = Generator::new(seed, number);
        let mut file = match self {
            Self::Anything(_) => {
                let mut file = self.set(anything(&mut rng, registry), registry)?;
                if self.is_server(&mut rng, &file.protocol) {
                    production::server(&mut rng, &mut file);
                } else {
                    production::polled(&mut rng, &mut file);
                }
                let mut of_sites = Generator::new(seed.wrapping_add(SITES_SEED), number);
                if of_sites.percent(15) {
                    sites::generate(&mut of_sites, &mut file);
                }
                self.set(file, registry)?
            }

            Self::FaultsOf(file, ..) => (**file).clone(),
        };
        file.name = Some(format!("fuzz-{seed}-{number}"));
        file.seed = rng.between(1, 1_000_000);
        let faulty = rng.span(20_000, 240_000);
        file.duration = faulty;
        let base = resolve(&file, registry)?;
        let network = match self {
            Self::Anything(_) => &base.network,
            Self::FaultsOf(_, network, _) => network,
        };
        file.faults = faults::generate(&mut rng, network, faulty);
        if rng.percent(60) {
            file.same_time_order = SameTimeOrder::Shuffled;
        }
        if matches!(self, Self::Anything(_)) && rng.percent(2) {
            exceed_timeouts(&mut rng, &mut file);
            return self.set(file, registry);
        }
        file.faults.heal_at = Some(faulty);
        let delays = expected_delays(&file);
        let mut bound = resume_bound(&resolve(&file, registry)?, delays);
        // Lots and slow machines fill a long chain slowly.
        for simplify in [production::single_batches, production::short_runs] {
            let is_long = bound.is_some_and(|bound| bound * 2 > QUIET_MAX);
            if is_long && file.protocol.production == Production::Server && matches!(self, Self::Anything(_))
            {
                simplify(&mut file);
                bound = resume_bound(&resolve(&file, registry)?, delays);
            }
        }
        let bound = bound.filter(|bound| *bound * 2 <= QUIET_MAX);
        file.duration = faulty + bound.map_or(Span::from_secs(60), |bound| bound * 2);
        self.set(file, registry)
    }

    /// Chooses the model of production, unless the settings do.
    fn is_server(&self, rng: &mut Generator, protocol: &Protocol) -> bool {
        let (Self::Anything(set) | Self::FaultsOf(_, _, set)) = self;
        let is_set = set.iter().any(|setting| setting.determines(&["protocol", "production"]));
        match is_set {
            true => protocol.production == Production::Server,
            false => rng.percent(50) && production::fits_server(protocol),
        }
    }

    /// Applies the settings, which override generated values.
    fn set(&self, file: ScenarioFile, registry: &Registry) -> Result<ScenarioFile, ScenarioError> {
        let (Self::Anything(set) | Self::FaultsOf(_, _, set)) = self;
        if set.is_empty() {
            return Ok(file);
        }
        let text = file.to_yaml();
        dmos_scenario::parse("generated.yaml", "generated.yaml", text.clone(), set, registry)?;
        dmos_scenario::read("generated.yaml", &text, set)
    }
}

/// Returns the scenario of a generated file.
fn resolve(file: &ScenarioFile, registry: &Registry) -> Result<Scenario, ScenarioError> {
    dmos_scenario::parse("generated.yaml", "generated.yaml", file.to_yaml(), &[], registry)
        .map(|loaded| loaded.scenario)
}

/// Returns the delays of work for which a generated run is made long enough. Where they turn out longer, liveness is not
/// judged.
fn expected_delays(file: &ScenarioFile) -> WorkDelays {
    match file.work.is_instant() {
        true => WorkDelays::default(),
        false => WorkDelays {
            input: Span::from_millis(500),
            plan: file.work.planning_step.of(100),
            drops_messages: false,
        },
    }
}

fn anything(rng: &mut Generator, registry: &Registry) -> ScenarioFile {
    let mut file = ScenarioFile::new(network::generate(rng), Span::from_secs(1));
    let nodes = file.network.nodes.as_ref().map_or(0, Vec::len) as u64;
    file.flow = Some(strategy(rng, registry.flows()));
    file.leader = Some(strategy(rng, registry.leaders()));
    if rng.percent(70) {
        file.candidates = NonZeroU32::new(rng.between(1, nodes) as u32).map(CandidatesField::Count);
    }
    file.protocol = protocol(rng);
    file.delays = delays(rng);
    prefer_guarantees(rng, &mut file, registry);
    if rng.percent(50) {
        file.detector = Some(strategy(rng, registry.detectors()));
    }
    if rng.percent(8) {
        file.work = work(rng);
    }
    file
}

/// Chooses once more for a strategy that does not guarantee a flow or a leader: with it, liveness cannot be judged.
fn prefer_guarantees(rng: &mut Generator, file: &mut ScenarioFile, registry: &Registry) {
    let Ok(scenario) = resolve(file, registry) else {
        return;
    };
    if !scenario.flow.guarantees(Guarantee::FindsFlow) {
        file.flow = Some(strategy(rng, registry.flows()));
    }
    let leads = [Guarantee::OneLeaderEventually, Guarantee::LeaderByMajority];
    if !leads.into_iter().any(|guarantee| scenario.leader.guarantees(guarantee)) {
        file.leader = Some(strategy(rng, registry.leaders()));
    }
}

/// Chooses any registered strategy without required parameters; boolean parameters are random, all others
/// have their defaults.
fn strategy<S: ?Sized>(rng: &mut Generator, all: &[&'static Descriptor<S>]) -> StrategyField {
    let all: Vec<_> = all.iter().filter(|descriptor| descriptor.stands_alone()).collect();
    let descriptor = **rng.one_of(&all);
    let flags = descriptor.params.iter().filter(|spec| matches!(spec.kind, ParamKind::Flag { .. }));
    let params = flags.map(|spec| (spec.name.to_owned(), rng.percent(25).to_string())).collect();
    StrategyField(StrategyCall { name: descriptor.name.to_owned(), params })
}

/// Generates a protocol that loses nothing, without the lossy quirks of the prototype.
fn protocol(rng: &mut Generator) -> Protocol {
    let mut protocol = Protocol { stock_limit: rng.nonzero(1, 3), ..Protocol::default() };
    if rng.percent(40) {
        protocol.heartbeat = rng.span(500, 4_000);
        protocol.suspect_after = protocol.heartbeat * rng.between(2, 6);
    }
    if rng.percent(40) {
        protocol.retry_after = Some(rng.span(300, 6_000));
        protocol.retry_max = rng.span(5_000, 30_000);
    }
    if rng.percent(20) {
        protocol.mailbox_limit = rng.nonzero(5, 100);
    }
    if rng.percent(60) {
        protocol.compact_after = rng.nonzero(1, 60);
    }
    if rng.percent(20) {
        protocol.neighbours_every = rng.nonzero(1, 4).unwrap_or(NonZeroU32::MIN);
    }
    if rng.percent(20) {
        (protocol.start_delay, protocol.production_delay) = (rng.span(0, 3_000), rng.span(0, 3_000));
    }
    if rng.percent(20) {
        protocol.planning = PlanningMode::Blocking;
    }
    if rng.percent(10) {
        protocol.failure_reports = FailureReports::EveryReport;
    }
    if rng.percent(20) {
        protocol.mailbox = Mailbox::SurvivesCrash;
    }
    protocol
}

/// Generates delays: messages are fast enough for an answer within any timeout; transits need not be.
fn delays(rng: &mut Generator) -> DelaysField {
    let message = match rng.between(0, 3) {
        0 => None,
        1 => Some(Distribution::Fixed(rng.span(0, 50))),
        2 => Some(Distribution::Uniform(Span::ZERO, rng.span(10, 100))),
        _ => Some(Distribution::Exponential(rng.span(10, 20))),
    };
    let transit = match rng.between(0, 24) {
        0..=7 => None,
        8..=15 => Some(Distribution::Fixed(rng.span(0, 2_000))),
        16..=23 => Some(Distribution::Uniform(Span::ZERO, rng.span(100, 3_000))),
        _ => Some(Distribution::LogNormal { mean: rng.span(200, 800), sigma: 0.5 }),
    };
    let between_starts = rng.percent(30).then(|| rng.span(0, 2_000));
    DelaysField {
        between_starts,
        message: message.map(DistributionField),
        transit: transit.map(DistributionField),
    }
}

/// Makes messages slower than timeouts allow, and removes the healing of faults.
fn exceed_timeouts(rng: &mut Generator, file: &mut ScenarioFile) {
    let message = match rng.between(0, 2) {
        0 => Distribution::Uniform(Span::ZERO, rng.span(1_000, 10_000)),
        1 => Distribution::Exponential(rng.span(200, 3_000)),
        _ => Distribution::LogNormal { mean: rng.span(100, 1_000), sigma: 2.0 },
    };
    file.delays.message = Some(DistributionField(message));
    file.duration = file.duration * 2;
    if rng.percent(20) {
        file.protocol.dissemination = Dissemination::Blackboard;
    }
}

fn work(rng: &mut Generator) -> Work {
    let mut work = Work { cycle: rng.span(0, 40), message: rng.span(0, 20), ..Work::default() };
    work.append_per_log_entry = Span::from_nanos(rng.between(0, 100_000));
    work.send = Span::from_nanos(rng.between(0, 1_000_000));
    let step = *rng.one_of(&["1us", "1ms", "20ms", "100ms"]);
    work.planning_step = step.parse().expect("a cost");
    if rng.percent(50) {
        work.shared_cpu = rng.nonzero(1, 3).map(|cores| dmos_core::settings::SharedCpu { cores });
    }
    work
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_scenarios_round_trip() {
        let registry = dmos_testkit::registry();
        let generate = |seed, number| {
            Subject::Anything(Vec::new())
                .generate(seed, number, &registry)
                .unwrap_or_else(|error| panic!("{error}"))
        };
        for number in 0..300 {
            let file = generate(7, number);
            let again = dmos_scenario::read("generated.yaml", &file.to_yaml(), &[]);
            assert_eq!(again.as_ref().ok(), Some(&file), "{}", file.to_yaml());
        }
        assert_eq!(generate(1, 0), generate(1, 0));
        assert_ne!(generate(1, 0), generate(2, 0));
    }
}
