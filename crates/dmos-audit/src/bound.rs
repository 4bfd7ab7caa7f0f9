//! The time within which production resumes after the last fault, from the settings of a scenario and the delays of work.

use std::collections::BTreeMap;

use dmos_core::faults::Fault;
use dmos_core::settings::{Production, Receiving, Requests};
use dmos_core::{Distribution, ItemId, Network, NodeId, Requirement, Route, Scenario, Span};

/// Delays of work, as measured after the last fault. They are zero where work takes no time.
///
/// No simple bound covers the wait for a busy node, which depends on the number of messages. So waits are measured: an
/// input that is never handled and a plan that is never ready do not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WorkDelays {
    /// Longest time from the arrival of an input at a node until it was handled.
    pub input: Span,
    /// Longest time from the start of a plan until it was ready.
    pub plan: Span,
    /// True if a full mailbox has dropped a message: its node has more work than it can do.
    pub drops_messages: bool,
}

/// Returns the time within which a batch of each final item must be made, whatever happened before. Returns
/// `None` if there is no bound: nothing is retransmitted, buffers are unlimited, a distribution has a long tail, messages
/// can accumulate because transits block or inputs are requested in every cycle, or work takes so much time that
/// live nodes are suspected or mailboxes overflow.
///
/// The bound allows for detecting failures, electing a leader, distributing assignments, and then for every
/// buffer to be filled before the final node receives anything.
#[must_use]
pub fn resume_bound(scenario: &Scenario, delays: WorkDelays) -> Option<Span> {
    let protocol = &scenario.protocol;
    if protocol.production == Production::Server {
        return server_resume_bound(scenario, delays);
    }
    let piles_up = protocol.receiving == Receiving::Blocking || protocol.requests == Requests::EveryCycle;
    if piles_up {
        return None;
    }
    let retry = protocol.retry_after?.max(protocol.retry_max);
    let (message, transit) = longest_delays(scenario, delays)?;
    let settle = settling_time(scenario, delays, retry, message);
    let network = &*scenario.network;
    let production_time = network.nodes().map(|node| network.process_time(node)).max().unwrap_or_default();
    let period = (production_time + delays.input) * 2 + transit + message * 4;
    let limit = u64::from(protocol.stock_limit?.get());
    Some(settle + period * runs_to_fill(scenario, limit))
}

/// Returns the longest time from the sending of a message until it is handled and the longest transit time of all routes,
/// if they are bounded and live nodes answer in time.
fn longest_delays(scenario: &Scenario, delays: WorkDelays) -> Option<(Span, Span)> {
    let longest = |delay: fn(&Route) -> &Distribution| {
        let of_routes = scenario.routes.all().map(|route| longest(delay(route)));
        of_routes.collect::<Option<Vec<Span>>>()?.into_iter().max()
    };
    // The sender's queue of outgoing messages delays it as well.
    let message = longest(Route::message)? + delays.input * 2;
    let is_answered = delays.input.is_zero() || message * 2 < scenario.protocol.suspect_after;
    (is_answered && !delays.drops_messages).then_some((message, longest(Route::transit)? + delays.input))
}

/// Returns a time within which failures are detected and confirmed, broken links are tested, a leader is elected, plans
/// no longer wait for the end of a hold time, and assignments are distributed.
fn settling_time(scenario: &Scenario, delays: WorkDelays, retry: Span, message: Span) -> Span {
    let protocol = &scenario.protocol;
    let rounds = protocol.heartbeat * u64::from(protocol.neighbours_every.get());
    let confirmation = protocol.heartbeat;
    let hold = protocol.suspect_after.max(protocol.heartbeat);
    // A plan may be under way when a leader is elected, when a change is found, and when the last one is.
    let plans = delays.plan * 4;
    // A link that has broken several times works again after eight answers.
    let repair = protocol.heartbeat * 8;
    (scenario.silence_max() + rounds) * 3 + confirmation + repair + hold + plans + retry * 5 + message * 20
}

/// Returns [`resume_bound`] under `production: server`: the time in which one producer of each item, one after
/// the other, fills all buffers.
fn server_resume_bound(scenario: &Scenario, delays: WorkDelays) -> Option<Span> {
    let protocol = &scenario.protocol;
    let retry = protocol.retry_after?.max(protocol.retry_max);
    let (message, transit) = longest_delays(scenario, delays)?;
    let lead = transit + message * 4;
    let network = &*scenario.network;
    let limit = u64::from(protocol.stock_limit?.get());
    let changed = changed_recipes(scenario);
    let mut needed = vec![0_u64; network.item_count()];
    let mut total = settling_time(scenario, delays, retry, message);
    for &item in network.topological_order().iter().rev() {
        let producers = network.producers(item);
        let yields = producers.iter().map(|&node| u64::from(network.yield_per_run(node)));
        let (least, most) = (yields.clone().min().unwrap_or(1), yields.max().unwrap_or(1));
        let batches = needed[item.index()].saturating_add(limit.max(2 * most) + most);
        let runs = batches.div_ceil(least);
        let of_run = |&node: &NodeId| {
            let times = scenario.process_times.of(node);
            Some((times.mean() + delays.input) * runs * 2 + longest(times)?)
        };
        let process = producers.iter().map(of_run).collect::<Option<Vec<_>>>()?.into_iter().max();
        // With inputs for a number of runs only, every so many runs wait for a transport.
        let waits = protocol.runs_ahead.map_or(3, |ahead| runs.div_ceil(u64::from(ahead.get())) + 1);
        total = total + process.unwrap_or_default() + lead * waits;
        for (required, quantity) in largest_requirements(network, &changed, producers) {
            let consumers = producers.len() as u64;
            let level = level_bound(scenario, ItemId::new(required), item, quantity, lead);
            let more = runs.saturating_mul(quantity).saturating_add(consumers.saturating_mul(level));
            needed[required] = needed[required].saturating_add(more);
        }
    }
    Some(total)
}

/// Returns an upper bound of the level to which a producer of `item` orders a required item.
fn level_bound(scenario: &Scenario, required: ItemId, item: ItemId, quantity: u64, lead: Span) -> u64 {
    let network = &*scenario.network;
    if let Some(ahead) = scenario.protocol.runs_ahead {
        return quantity * u64::from(ahead.get());
    }
    let runs = |node: NodeId| {
        let mean = network.process_time(node).as_nanos().max(1_000);
        lead.as_nanos() / mean + 1
    };
    let taken = network.producers(item).iter().map(|&node| runs(node) * quantity).max().unwrap_or(0);
    let yields = |node: NodeId| u64::from(network.yield_per_run(node));
    let made = network.producers(required).iter().map(|&node| runs(node) * yields(node)).sum();
    let reserve = |&node: &NodeId| quantity.max(u64::from(network.lot(node)));
    let reserves: u64 = network.producers(required).iter().map(reserve).sum();
    quantity + taken.min(made) + reserves.max(quantity)
}

/// Returns the maximum of a distribution; five times the mean for an unbounded one, unless it has a long
/// tail.
fn longest(distribution: &Distribution) -> Option<Span> {
    match distribution {
        Distribution::Fixed(span) => Some(*span),
        Distribution::Choice(spans) => Some(spans.iter().copied().max().unwrap_or_default()),
        Distribution::Uniform(_, to) => Some(*to),
        Distribution::Weibull { shape, .. } if *shape < 0.8 => None,
        Distribution::LogNormal { sigma, .. } if *sigma > 0.7 => None,
        distribution => Some(distribution.mean() * 5),
    }
}

/// Returns the maximum number of consecutive production runs needed to fill every buffer and make one final
/// batch.
fn runs_to_fill(scenario: &Scenario, limit: u64) -> u64 {
    let network = &*scenario.network;
    let mut needed = vec![0_u64; network.item_count()];
    let mut total = 0_u64;
    let changed = changed_recipes(scenario);
    for &item in network.topological_order().iter().rev() {
        let is_final = network.final_items().contains(&item);
        let batches = needed[item.index()] + if is_final { 1 } else { limit };
        let producers = network.producers(item);
        let yields = producers.iter().map(|&node| u64::from(network.yield_per_run(node))).min().unwrap_or(1);
        let runs = batches.div_ceil(yields);
        total = total.saturating_add(runs);
        for (required, quantity) in largest_requirements(network, &changed, producers) {
            let more = runs.saturating_mul(quantity);
            needed[required] = needed[required].saturating_add(more);
        }
    }
    total
}

/// Returns the maximum inputs of a production run of any of the producers, by item.
fn largest_requirements(
    network: &Network,
    changed: &[(NodeId, &[Requirement])],
    producers: &[NodeId],
) -> BTreeMap<usize, u64> {
    let mut largest_requirements = BTreeMap::new();
    let later = changed.iter().filter(|(node, _)| producers.contains(node)).map(|(_, requires)| *requires);
    let recipes = producers.iter().map(|&node| network.requirements(node)).chain(later);
    for required in recipes.flatten() {
        let most = largest_requirements.entry(required.item.index()).or_insert(0);
        *most = u64::from(required.quantity).max(*most);
    }
    largest_requirements
}

fn changed_recipes(scenario: &Scenario) -> Vec<(NodeId, &[Requirement])> {
    scenario
        .faults
        .script
        .iter()
        .filter_map(|scripted| match &scripted.fault {
            Fault::Recipe(node, requires) => Some((*node, &requires[..])),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROTOCOL: &str = "heartbeat: 2s, suspect_after: 10s, neighbours_every: 3, retry_max: 20s";

    /// Returns the bound in milliseconds for wood, two makers of doors and a house, which take three seconds per run.
    fn of_house(protocol: &str, input: u64, rest: &str) -> Option<u64> {
        let time = if protocol.contains("polled") { "cycles: 3" } else { "process_time: 3s" };
        let scenario = dmos_testkit::scenario(&format!(
            "network:\n  nodes:\n  - {{makes: {{wood: 2}}, {time}}}\n\
             \x20 - {{makes: door, needs: {{wood: 3}}, {time}, count: 2}}\n\
             \x20 - {{makes: house, needs: {{door: 2}}, {time}}}\n\
             duration: 1h\ndelays: {{message: 100ms, transit: 2s}}\nprotocol: {{{PROTOCOL}, {protocol}}}\n{rest}"
        ));
        let delays = WorkDelays { input: Span::from_millis(input), ..WorkDelays::default() };
        resume_bound(&scenario, delays).map(|bound| bound.as_nanos() / 1_000_000)
    }

    /// Three times ten seconds of silence and six for the next selection of neighbours, a round of confirmation and eight
    /// of repair, ten seconds of hold time, five retransmissions after twenty seconds, and twenty messages.
    const SETTLES: u64 = 3 * 16_000 + 9 * 2_000 + 10_000 + 100_000 + 2_000;

    #[test]
    fn polled_production_fills_the_stocks_one_after_the_other() {
        // One house, 2 doors for it and 7 in stock, and wood for 9 doors and 7 in stock, of which a run makes 2. Each run
        // waits for two runs, a transit and four messages.
        assert_eq!(
            of_house("stock_limit: 7, production: polled", 0, ""),
            Some(SETTLES + (1 + 9 + 17) * 8_400)
        );
        let recipe = "faults: {script: [{at: 1s, recipe: {node: house, needs: {door: 5}}}]}\n";
        assert_eq!(
            of_house("stock_limit: 7, production: polled", 0, recipe),
            Some(SETTLES + (1 + 12 + 22) * 8_400),
            "a later recipe"
        );
        // An input takes a tenth of a second: three for a message, 2.1 s for a transit and 3.1 s for a production run.
        assert_eq!(
            of_house("stock_limit: 7, production: polled", 100, ""),
            Some(SETTLES + 4_000 + (1 + 9 + 17) * 9_500)
        );
    }

    #[test]
    fn servers_fill_buffers_and_levels_one_after_the_other() {
        // 8, 32 and 61 runs, each for twice its time, and once more, and three lead times of 2.4 s.
        let runs = [8, 32, 61].map(|runs| runs * 6_000 + 3_000 + 3 * 2_400);
        assert_eq!(of_house("stock_limit: 7", 0, ""), Some(SETTLES + runs.iter().sum::<u64>()));
        // With inputs for two runs, every other run waits for a transport.
        let runs = [(8, 5), (28, 15), (53, 28)].map(|(runs, waits)| runs * 6_000 + 3_000 + waits * 2_400);
        assert_eq!(
            of_house("stock_limit: 7, runs_ahead: 2", 0, ""),
            Some(SETTLES + runs.iter().sum::<u64>())
        );
        // An input takes a tenth of a second: three for a message, and 3.3 s of lead time.
        let runs = [8, 34, 66].map(|runs| runs * 6_200 + 3_000 + 3 * 3_300);
        assert_eq!(of_house("stock_limit: 7", 100, ""), Some(SETTLES + 4_000 + runs.iter().sum::<u64>()));
    }

    #[test]
    fn the_smallest_yield_counts_for_the_runs_and_the_largest_for_the_surplus() {
        let scenario = dmos_testkit::scenario(&format!(
            "network:\n  nodes:\n  - {{makes: wood, process_time: 3s}}\n  - {{name: mill, makes: {{wood: 9}}, process_time: 3s}}\n\
             \x20 - {{makes: door, needs: {{wood: 3}}, process_time: 3s}}\n\
             duration: 1h\ndelays: {{message: 100ms, transit: 2s}}\nprotocol: {{{PROTOCOL}, stock_limit: 7}}\n"
        ));
        let bound = resume_bound(&scenario, WorkDelays::default()).map(|bound| bound.as_nanos() / 1_000_000);
        // 8 doors. Wood for them, up to a level of a run, a run that another takes during a lead time, and the larger of a
        // run and a lot for each supplier; up to two runs in stock and a run of surplus.
        let wood = 8 * 3 + (3 + 3 + 3 + 9) + (2 * 9 + 9);
        let runs: u64 = [8, wood].map(|runs| runs * 6_000 + 3_000 + 3 * 2_400).iter().sum();
        assert_eq!(bound, Some(SETTLES + runs));
    }

    #[test]
    fn there_is_no_bound_without_limits_and_retransmissions() {
        for production in ["polled", "server"] {
            let of = |settings| of_house(&format!("production: {production}, {settings}"), 0, "");
            assert!(of("stock_limit: 7").is_some());
            assert_eq!(of("stock_limit: 7, retry_after: null"), None);
            assert_eq!(of("stock_limit: null"), None);
        }
        assert_eq!(of_house("production: polled, receiving: blocking", 0, ""), None);
        assert_eq!(of_house("production: polled, requests: every_cycle", 0, ""), None);
    }

    #[test]
    fn long_tails_have_no_longest_value() {
        let (one, two) = (Span::from_secs(1), Span::from_secs(2));
        let longest = |distribution| longest(&distribution).map(|span| span.as_secs_f64());
        assert_eq!(longest(Distribution::Fixed(two)), Some(2.0));
        assert_eq!(longest(Distribution::Choice(vec![one, two, one])), Some(2.0));
        assert_eq!(longest(Distribution::Uniform(one, two)), Some(2.0));
        assert_eq!(longest(Distribution::Exponential(one)), Some(5.0));
        assert_eq!(longest(Distribution::Weibull { mean: one, shape: 0.8 }), Some(5.0));
        assert_eq!(longest(Distribution::Weibull { mean: one, shape: 0.7 }), None);
        assert_eq!(longest(Distribution::LogNormal { mean: one, sigma: 0.7 }), Some(5.0));
        assert_eq!(longest(Distribution::LogNormal { mean: one, sigma: 0.8 }), None);
    }

    fn bound(lines: &str, input: u64, plan: u64) -> Option<Span> {
        let (input, plan) = (Span::from_millis(input), Span::from_millis(plan));
        bound_with(lines, WorkDelays { input, plan, drops_messages: false })
    }

    fn bound_with(lines: &str, delays: WorkDelays) -> Option<Span> {
        let scenario = dmos_testkit::scenario(&format!(
            "network: {{nodes: [{{makes: wood}}, {{makes: door, needs: [wood]}}]}}\nduration: 1h\n{lines}"
        ));
        resume_bound(&scenario, delays)
    }

    #[test]
    fn the_bound_grows_with_the_delays_of_work() {
        for lines in ["", "protocol: {production: polled}\n"] {
            let instant = bound(lines, 0, 0).expect("a bound");
            let planning = bound(lines, 0, 7_000).expect("a bound");
            assert_eq!(planning - instant, Span::from_secs(28), "four plans");
            let busy = bound(lines, 100, 0).expect("a bound");
            assert!(busy > instant + Span::from_secs(4), "twenty messages, each delayed at both ends");
            assert!(busy < instant * 2, "{busy}");
        }
    }

    #[test]
    fn there_is_no_bound_if_answers_come_too_late() {
        assert!(bound("protocol: {suspect_after: 10s}\n", 2_400, 0).is_some());
        assert_eq!(bound("protocol: {suspect_after: 10s}\n", 2_500, 0), None);
        let slow = "delays: {message: 1s}\nprotocol: {suspect_after: 10s}\n";
        assert!(bound(slow, 1_999, 0).is_some());
        assert_eq!(bound(slow, 2_000, 0), None, "an answer comes at the time of the suspicion");
    }

    #[test]
    fn there_is_no_bound_if_mailboxes_overflow() {
        for lines in ["", "protocol: {production: polled}\n"] {
            assert!(bound(lines, 100, 0).is_some());
            let delays =
                WorkDelays { input: Span::from_millis(100), drops_messages: true, ..WorkDelays::default() };
            assert_eq!(bound_with(lines, delays), None);
        }
    }
}
