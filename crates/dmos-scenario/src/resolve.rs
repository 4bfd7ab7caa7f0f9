//! Converts a scenario file to a valid scenario.

mod distributions;
mod faults;
mod names;
mod production;
mod sites;
mod traps;

use std::sync::Arc;

use dmos_core::scenario::spread_candidates;
use dmos_core::settings::{PLANNING_BUDGET, Protocol};
use dmos_core::strategy::{StrategyCall, StrategyError};
use dmos_core::{Network, Registry, Scenario, Span};
use dmos_graph::{DescriptionPath, NetworkDescription, NodeDescription};
use dmos_util::suggestion::nearest;

use crate::document::{Document, Path, steps};
use crate::error::ScenarioError;
pub(crate) use names::Names;
pub use names::unknown_node;

use crate::file::{CandidatesField, NetworkField, NodeField, Quantities, ScenarioFile, StrategyField};

/// Default flow strategy.
pub const DEFAULT_FLOW: &str = "memoized";

/// Default leader strategy.
pub const DEFAULT_LEADER: &str = "bully";

/// Default failure detector.
pub const DEFAULT_DETECTOR: &str = "fixed-timeout";

/// Default number of candidates. Three of seven can fail without losing the majority; more only add messages.
const DEFAULT_CANDIDATES: usize = 7;

/// Maximum number of problems with a suggestion: suggestions are slow to compute, and further ones are not
/// read.
const SUGGESTIONS: usize = 10;

/// Problems found so far, each with its path.
type Problems = Vec<(Path, String)>;

/// Checks a file, applies defaults and builds the scenario.
pub(crate) fn resolve(
    file: ScenarioFile,
    name: &str,
    document: &Document<'_>,
    registry: &Registry,
) -> Result<(Scenario, Vec<String>), ScenarioError> {
    let mut problems = Problems::new();
    production::check(&file.network, &file.protocol, &mut problems);
    let groups = production::groups(&file.network, &file.protocol);
    let sites = sites::sites(&file.network);
    let (network, mut warnings) = network(file.network).map_err(|problems| document.error(problems))?;
    let process_times = production::process_times(&groups, &network);
    let network = network.with_process_times(|node| process_times.of(node).mean());
    if file.name.as_ref().is_some_and(|name| !is_file_name(name)) {
        let message =
            "a name consists of 1 to 100 letters, digits, `-`, `_` and `.`, and does not start with `.`";
        problems.push((steps!["name"], message.to_owned()));
    }
    periods(&file.protocol, file.duration, file.sample_every, &mut problems);
    if file.measure_from >= file.duration && !file.duration.is_zero() {
        let message = format!(
            "`measure_from` must be before the end of the run at {}; change it or `duration`",
            file.duration
        );
        problems.push((steps!["measure_from"], message));
    }
    let between_starts = file.delays.between_starts.unwrap_or_default();
    let routes = sites::routes(sites, file.sites, file.delays, &mut problems, &mut warnings);
    let faults = faults::faults(file.faults, &network, file.duration, &mut problems, &mut warnings);
    warnings.extend(traps::silence(&file.protocol));
    warnings.extend(traps::retransmission(&file.protocol, &routes));
    warnings.extend(traps::recoveries(&faults, &network));
    let flow = registry.flow(&call(file.flow, DEFAULT_FLOW), &network);
    let leader = registry.leader(&call(file.leader, DEFAULT_LEADER), &network);
    let detector = registry.detector(&call(file.detector, DEFAULT_DETECTOR), &network);
    let mut strategy_problem =
        |field: &str, error: &StrategyError| problems.push((strategy_path(field, error), explain(error)));
    let flow = flow.map_err(|error| strategy_problem("flow", &error));
    let leader = leader.map_err(|error| strategy_problem("leader", &error));
    let detector = detector.map_err(|error| strategy_problem("detector", &error));
    let nodes = network.node_count();
    let candidates = candidates(file.candidates, nodes, &mut problems);
    warnings.extend(leader.as_ref().ok().and_then(|leader| traps::candidates(leader, candidates)));
    let (Ok(flow), Ok(leader), Ok(detector), true) = (flow, leader, detector, problems.is_empty()) else {
        return Err(document.error(problems));
    };
    let scenario = Scenario {
        name: file.name.unwrap_or_else(|| if is_file_name(name) { name } else { "scenario" }.to_owned()),
        about: file.about,
        network: Arc::new(network),
        duration: file.duration,
        measure_from: file.measure_from,
        seed: file.seed,
        flow,
        planning_budget: file.planning_budget.unwrap_or(PLANNING_BUDGET),
        leader,
        detector,
        candidates: spread_candidates(nodes, candidates),
        protocol: file.protocol,
        between_starts,
        routes: Arc::new(routes),
        process_times,
        work: file.work,
        faults,
        same_time_order: file.same_time_order,
        sample_every: file.sample_every.unwrap_or(Span::from_secs(10)),
    };
    Ok((scenario, warnings))
}

/// Returns the number of candidates.
fn candidates(field: Option<CandidatesField>, nodes: usize, problems: &mut Problems) -> usize {
    match field {
        None => nodes.min(DEFAULT_CANDIDATES),
        Some(CandidatesField::All) => nodes,
        Some(CandidatesField::Count(count)) => {
            let count = count.get() as usize;
            if count > nodes {
                let problem = format!("{count} candidates, but the network has {nodes} nodes");
                problems.push((steps!["candidates"], problem));
            }
            count
        }
    }
}

/// Returns whether a name is a valid directory name on every system.
fn is_file_name(name: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=100).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain)
}

fn network(field: NetworkField) -> Result<(Network, Vec<String>), Problems> {
    if field.final_items.as_ref().is_some_and(Quantities::is_empty) {
        let message = "no final item is listed; without `final`, it is the item of the last node".to_owned();
        return Err(vec![(steps!["network", "final"], message)]);
    }
    let final_items = field.final_items.unwrap_or_default().0;
    let description = match (field.generate, field.named, field.nodes) {
        (Some(generate), None, None) => {
            if !final_items.is_empty() {
                let message = "a generated network's final item is its last; remove `final`".to_owned();
                return Err(vec![(steps!["network", "final"], message)]);
            }
            let network = generate.network();
            return network
                .map(|network| (network, Vec::new()))
                .map_err(|error| vec![(steps!["network", "generate"], error.to_string())]);
        }
        (None, Some(named), None) => NetworkDescription { final_items, ..named.description() },
        (None, None, Some(nodes)) => {
            NetworkDescription { nodes: nodes.into_iter().map(describe).collect(), final_items }
        }
        _ => {
            let message = "give exactly one of `generate`, `named` and `nodes`".to_owned();
            return Err(vec![(steps!["network"], message)]);
        }
    };
    let (network, warnings) = description.build().map_err(|problems| {
        problems
            .into_iter()
            .map(|(place, problem)| (network_path(place), problem.to_string()))
            .collect::<Problems>()
    })?;
    Ok((network, warnings.iter().map(ToString::to_string).collect()))
}

fn describe(node: NodeField) -> NodeDescription {
    NodeDescription {
        name: node.name.unwrap_or_else(|| node.makes.item.clone()),
        count: node.count,
        makes: node.makes.item,
        quantity: node.makes.quantity,
        needs: node.needs.0,
        cost: node.cost,
    }
}

fn network_path(place: DescriptionPath) -> Path {
    match place {
        DescriptionPath::Nodes => steps!["network", "nodes"],
        DescriptionPath::Node(node) => steps!["network", "nodes", node],
        DescriptionPath::Need(node, need) => steps!["network", "nodes", node, "needs", need],
        DescriptionPath::FinalItem(item) => steps!["network", "final", item],
    }
}

fn call(field: Option<StrategyField>, default: &str) -> StrategyCall {
    field.map_or_else(|| StrategyCall { name: default.to_owned(), params: Vec::new() }, |field| field.0)
}

/// Returns the path of the part of a strategy that an error concerns.
fn strategy_path(field: &str, error: &StrategyError) -> Path {
    match error {
        StrategyError::UnknownName { .. } => steps![field, "name"],
        StrategyError::UnknownParam { param, .. } | StrategyError::ParamTwice { param, .. } => {
            steps![field, param.as_str()]
        }
        StrategyError::BadValue { param, .. } => steps![field, *param],
        _ => steps![field],
    }
}

/// Describes the error of a strategy call, and suggests a similar name.
#[must_use]
pub fn explain(error: &StrategyError) -> String {
    let near = match error {
        StrategyError::UnknownName { name, known, .. } => nearest(name, known.iter().copied()),
        StrategyError::UnknownParam { param, known, .. } => nearest(param, known.iter().copied()),
        _ => None,
    };
    near.map_or_else(|| error.to_string(), |near| format!("{error}; did you mean `{near}`?"))
}

/// Checks that periods are long enough.
fn periods(protocol: &Protocol, duration: Span, sample_every: Option<Span>, problems: &mut Problems) {
    let checks = [
        (steps!["protocol", "cycle"], Some(protocol.cycle)),
        (steps!["protocol", "heartbeat"], Some(protocol.heartbeat)),
        (steps!["protocol", "suspect_after"], Some(protocol.suspect_after)),
        (steps!["protocol", "retry_after"], protocol.retry_after),
        (steps!["protocol", "retry_max"], Some(protocol.retry_max)),
    ];
    let short = checks.into_iter().filter(|(_, span)| span.is_some_and(|span| span < PERIOD_MIN));
    problems.extend(short.map(|(path, _)| at_least(path, PERIOD_MIN)));
    if duration.is_zero() {
        problems.push(at_least(steps!["duration"], Span::from_nanos(1)));
    }
    let sample_min = Span::from_nanos(duration.as_nanos() / SAMPLES_MAX + 1);
    if sample_every.is_some_and(|span| span < sample_min) {
        problems.push(at_least(steps!["sample_every"], sample_min));
    }
}

/// Minimum period: shorter ones would produce more events than progress.
const PERIOD_MIN: Span = Span::from_millis(1);

/// Maximum number of samples in a time series.
const SAMPLES_MAX: u64 = 1_000_000;

fn at_least(path: Path, min: Span) -> (Path, String) {
    let name = path.last().map(ToString::to_string).unwrap_or_default();
    (path, format!("`{name}` must be at least {min}"))
}
