//! Conformance of flow strategies.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dmos_core::settings::PLANNING_BUDGET;
use dmos_core::strategy::{Change, FlowChoice, Guarantee, Meter, PlanRequest, StrategyCall, StrategyError};
use dmos_core::{Flow, Network, NoFlow, NodeSet, Registry};
use dmos_graph::Feasibility;

use crate::networks::{
    layered, random_alive, random_broken_links, random_network, random_node, varied, without_source,
};
use crate::report::{Check, CheckOutcome, Report};

/// Number of generated networks on which a strategy is tested.
const NETWORKS: u64 = 400;

/// Number of consecutive failures and returns on each of some networks.
const CHANGES: u64 = 30;

/// Maximum number of steps of a plan in linear time, for each entry of a recipe, each node and each edge.
const LINEAR_FACTOR: u64 = 16;

/// Checks the flow strategy that `call` names.
///
/// # Errors
/// If there is no such strategy, or it does not accept these parameters.
pub fn check_flow(registry: &Registry, call: &StrategyCall) -> Result<Report, StrategyError> {
    check_flow_watched(registry, call, |_| {})
}

/// Like [`check_flow`], and passes each check to `watch` as soon as it is done: an external program may be
/// slow.
///
/// # Errors
/// As [`check_flow`].
pub fn check_flow_watched(
    registry: &Registry,
    call: &StrategyCall,
    mut watch: impl FnMut(&Check),
) -> Result<Report, StrategyError> {
    let choice = registry.flow(call, &layered(1, 1, 0))?;
    let on = |network: &Network| registry.flow(call, network);
    let found = match choice.guarantees(Guarantee::FindsFlow) {
        true => "flows are valid, and found if they exist",
        false => "flows are valid; finding them is not guaranteed",
    };
    type CheckFn<'a> = &'a dyn Fn() -> Result<CheckOutcome, StrategyError>;
    let checks: [(&'static str, CheckFn<'_>); 8] = [
        (found, &|| sweep(NETWORKS, |number| valid(&on, number))),
        ("the same request gives the same answer", &|| sweep(NETWORKS / 4, |number| repeatable(&on, number))),
        ("plans after failures and returns are valid", &|| {
            sweep(NETWORKS / 4, |number| valid_after_changes(&on, number))
        }),
        ("no supply edge uses a broken link", &|| {
            sweep(NETWORKS / 4, |number| avoids_broken_links(&on, number))
        }),
        ("one node, and no node alive", &|| smallest(&on)),
        ("a failed sole source, 8 levels deep, 3 producers each", &|| failed_source(&on)),
        ("a million possible edges", &|| million_edges(&on)),
        ("linear time, where it is guaranteed", &|| linear(&choice, &on)),
    ];
    let mut report = Report { strategy: choice.to_string(), checks: Vec::new() };
    for (requirement, check) in checks {
        let panicked = |_| Ok(CheckOutcome::Failed("it panicked; the message is above".to_owned()));
        let outcome = catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(panicked)?;
        let check = Check { requirement, outcome };
        watch(&check);
        report.checks.push(check);
    }
    Ok(report)
}

/// Chooses the strategy for a network.
type Chooser<'a> = dyn Fn(&Network) -> Result<FlowChoice, StrategyError> + 'a;

type Verdict = Result<Result<(), String>, StrategyError>;

/// Runs a check for each number below `count`, until one fails.
fn sweep(count: u64, check: impl Fn(u64) -> Verdict) -> Result<CheckOutcome, StrategyError> {
    for number in 0..count {
        let panicked = |_| Ok(Err("it panicked; the message is above".to_owned()));
        if let Err(problem) = catch_unwind(AssertUnwindSafe(|| check(number))).unwrap_or_else(panicked)? {
            return Ok(CheckOutcome::Failed(format!("on network {number}: {problem}")));
        }
    }
    Ok(CheckOutcome::Passed(format!("on {count} networks")))
}

fn outcome(verdict: Result<(), String>, words: &str) -> CheckOutcome {
    match verdict {
        Ok(()) => CheckOutcome::Passed(words.to_owned()),
        Err(problem) => CheckOutcome::Failed(problem),
    }
}

fn plan(choice: &FlowChoice, request: &PlanRequest<'_>) -> (Result<Flow, NoFlow>, Meter) {
    let mut meter = Meter::new(PLANNING_BUDGET.get());
    let answer = choice.build().plan(request, &mut meter);
    (answer, meter)
}

fn valid(on: &Chooser<'_>, number: u64) -> Verdict {
    let network = random_network(number);
    let choice = on(&network)?;
    let mut planner = choice.build();
    for round in 0..4 {
        let alive = random_alive(&network, number * 4 + round);
        let mut meter = Meter::new(PLANNING_BUDGET.get());
        let request = PlanRequest::first(&network, &alive);
        let answer = planner.plan(&request, &mut meter);
        if let Err(problem) = judge(&choice, &request, &answer, &meter) {
            return Ok(Err(problem));
        }
    }
    Ok(Ok(()))
}

/// Maximum number of nodes of a network on which a planner that guarantees a flow may not give up.
const SMALL: usize = 100;

/// Checks an answer, after the steps on the meter.
///
/// # Errors
/// If the answer is wrong: a description of the problem.
pub fn judge(
    choice: &FlowChoice,
    request: &PlanRequest<'_>,
    answer: &Result<Flow, NoFlow>,
    meter: &Meter,
) -> Result<(), String> {
    let network = request.network;
    let makeable_finals = Feasibility::of_request(request).finals(network).unwrap_or_default();
    let guaranteed = choice.guarantees(Guarantee::FindsFlow);
    let flow = match answer {
        Err(NoFlow::BudgetExhausted { budget }) if meter.steps() < *budget => {
            return Err(format!("it reports an exhausted budget of {budget} after {} steps", meter.steps()));
        }
        Err(NoFlow::BudgetExhausted { .. }) if guaranteed && network.node_count() <= SMALL => {
            return Err(format!("its budget ran out on a network of {} nodes", network.node_count()));
        }
        Err(NoFlow::BudgetExhausted { .. }) => return Ok(()),
        Err(no_flow @ NoFlow::PlannerFailed { .. }) => return Err(no_flow.to_string()),
        Err(no_flow) => {
            return match makeable_finals.first() {
                Some(item) if guaranteed => {
                    Err(format!("item {item} can be made, but the answer is: {no_flow}"))
                }
                _ => Ok(()),
            };
        }
        Ok(flow) => flow,
    };
    // Without the guarantee, a node without suppliers may be assigned.
    let faults = flow.violations(network, request.alive, request.broken_links, !guaranteed);
    if let Some(fault) = faults.first() {
        return Err(fault.to_string());
    }
    for item in makeable_finals.into_iter().filter(|_| guaranteed) {
        let mut producers = network.producers(item).iter();
        let is_made = producers.any(|&node| {
            request.alive.contains(node) && (flow.is_assigned(node) || network.requirements(node).is_empty())
        });
        if !is_made {
            return Err(format!("no node makes the final item {item}, although it can be made"));
        }
    }
    Ok(())
}

fn repeatable(on: &Chooser<'_>, number: u64) -> Verdict {
    let network = random_network(number);
    let choice = on(&network)?;
    let alive = random_alive(&network, number);
    let request = PlanRequest::first(&network, &alive);
    let (first, meter) = plan(&choice, &request);
    let (again, meter_again) = plan(&choice, &request);
    if first != again {
        return Ok(Err("a repeated request has a different answer".to_owned()));
    }
    if meter.steps() != meter_again.steps() {
        return Ok(Err("a repeated request takes a different number of steps".to_owned()));
    }
    Ok(Ok(()))
}

/// Tests one planner through failures and returns, as a leader uses it.
fn valid_after_changes(on: &Chooser<'_>, number: u64) -> Verdict {
    let network = random_network(number);
    let choice = on(&network)?;
    let mut planner = choice.build();
    let mut alive = NodeSet::all(network.node_count());
    let mut active: Option<Flow> = None;
    let mut changes = Vec::new();
    for step in 0..CHANGES {
        let mut meter = Meter::new(PLANNING_BUDGET.get());
        let request = PlanRequest {
            active: active.as_ref(),
            changes: &changes,
            ..PlanRequest::first(&network, &alive)
        };
        let answer = match &active {
            Some(flow) => planner.replan(&request, &mut meter).map(|change| flow.changed(&change)),
            None => planner.plan(&request, &mut meter),
        };
        if let Err(problem) = judge(&choice, &request, &answer, &meter) {
            return Ok(Err(format!("after {step} failures and returns: {problem}")));
        }
        if !answer.as_ref().is_err_and(NoFlow::is_inconclusive) {
            active = Some(answer.unwrap_or_default());
            changes.clear();
        }
        // Occasionally two changes at once.
        for nth in 0..1 + u64::from(step % 4 == 3) {
            let node = random_node(&network, (number * CHANGES + step) * 2 + nth);
            changes.retain(|change: &Change| change.node() != Some(node));
            changes.push(if alive.remove(node) {
                Change::Failed(node)
            } else {
                alive.insert(node);
                Change::Rejoined(node)
            });
        }
    }
    Ok(Ok(()))
}

/// Tests one planner while links break and work again, as a leader uses it.
fn avoids_broken_links(on: &Chooser<'_>, number: u64) -> Verdict {
    let network = random_network(number);
    let choice = on(&network)?;
    let mut planner = choice.build();
    let mut active: Option<Flow> = None;
    let alive = NodeSet::all(network.node_count());
    for step in 0..CHANGES {
        let mut meter = Meter::new(PLANNING_BUDGET.get());
        let broken_links = random_broken_links(&network, number * CHANGES + step);
        let request = PlanRequest {
            active: active.as_ref(),
            changes: &[Change::LinksChanged],
            broken_links: &broken_links,
            ..PlanRequest::first(&network, &alive)
        };
        let answer = match &active {
            Some(flow) => planner.replan(&request, &mut meter).map(|change| flow.changed(&change)),
            None => planner.plan(&request, &mut meter),
        };
        if let Err(problem) = judge(&choice, &request, &answer, &meter) {
            return Ok(Err(format!("with {} broken links: {problem}", broken_links.len())));
        }
        if !answer.as_ref().is_err_and(NoFlow::is_inconclusive) {
            active = Some(answer.unwrap_or_default());
        }
    }
    Ok(Ok(()))
}

fn smallest(on: &Chooser<'_>) -> Result<CheckOutcome, StrategyError> {
    let network = layered(1, 1, 0);
    let choice = on(&network)?;
    for alive in [NodeSet::all(1), NodeSet::none(1)] {
        let request = PlanRequest::first(&network, &alive);
        let (answer, meter) = plan(&choice, &request);
        if let Err(problem) = judge(&choice, &request, &answer, &meter) {
            return Ok(CheckOutcome::Failed(problem));
        }
        if alive.is_empty() && answer.as_ref().is_ok_and(|flow| !flow.is_empty()) {
            return Ok(CheckOutcome::Failed("no node is alive, but there is a flow".to_owned()));
        }
    }
    Ok(CheckOutcome::Passed("both are answered".to_owned()))
}

fn failed_source(on: &Chooser<'_>) -> Result<CheckOutcome, StrategyError> {
    let network = layered(9, 3, 8);
    let choice = on(&network)?;
    let alive = without_source(&network);
    let request = PlanRequest::first(&network, &alive);
    let (answer, meter) = plan(&choice, &request);
    let words = match &answer {
        Err(NoFlow::BudgetExhausted { budget }) if meter.steps() == *budget => {
            return Ok(CheckOutcome::Passed(format!("reports that its budget of {budget} steps ran out")));
        }
        Err(_) => format!("reports that there is no flow, after {} steps", meter.steps()),
        Ok(flow) if flow.is_empty() => "plans nothing".to_owned(),
        Ok(_) => "plans without a source, as its guarantees allow".to_owned(),
    };
    Ok(outcome(judge(&choice, &request, &answer, &meter), &words))
}

fn million_edges(on: &Chooser<'_>) -> Result<CheckOutcome, StrategyError> {
    let network = layered(2, 1_000, 1);
    let choice = on(&network)?;
    let alive = NodeSet::all(network.node_count());
    let request = PlanRequest::first(&network, &alive);
    let (answer, meter) = plan(&choice, &request);
    let words = match &answer {
        Ok(flow) => format!("{} chosen in {} steps", flow.edges().len(), meter.steps()),
        Err(no_flow) => no_flow.to_string(),
    };
    Ok(outcome(judge(&choice, &request, &answer, &meter), &words))
}

/// Tests the number of steps on growing networks, with all nodes alive and with one in ten.
fn linear(choice: &FlowChoice, on: &Chooser<'_>) -> Result<CheckOutcome, StrategyError> {
    if !choice.guarantees(Guarantee::LinearTime) {
        return Ok(CheckOutcome::NotApplicable("it is not guaranteed".to_owned()));
    }
    let mut words = Vec::new();
    let alike = [(100, 10), (1_000, 10), (1_000, 100)].map(|(items, producers)| layered(items, producers, 2));
    let differ = [(100, 10), (1_000, 10)].map(|(items, producers)| varied(items, producers));
    for network in alike.iter().chain(&differ) {
        let choice = on(network)?;
        for one_in in [1, 10] {
            let mut alive = NodeSet::all(network.node_count());
            for item in network.items() {
                let failed = network.producers(item).iter().filter(|node| node.index() % one_in != 0);
                failed.for_each(|&node| {
                    alive.remove(node);
                });
            }
            let (answer, meter) = plan(&choice, &PlanRequest::first(network, &alive));
            let edges = answer.map_or(0, |flow| flow.edges().len());
            let entries: usize = network.nodes().map(|node| network.requirements(node).len()).sum();
            let size = (network.node_count() + entries + edges) as u64;
            let steps = meter.steps();
            if steps > size * LINEAR_FACTOR || steps < edges as u64 {
                return Ok(CheckOutcome::Failed(format!(
                    "{steps} steps for {edges} edges among {} nodes with {entries} requirements",
                    network.node_count()
                )));
            }
            words.push(format!("{:.1}", steps as f64 / size as f64));
        }
    }
    Ok(CheckOutcome::Passed(format!(
        "steps per entry, node and edge, for growing networks: {}",
        words.join(", ")
    )))
}
