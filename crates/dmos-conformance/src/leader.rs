//! Conformance of leader strategies.

use dmos_core::strategy::{Guarantee, LeaderChoice, StrategyCall, StrategyError};
use dmos_core::{FaultKind, Metric, Registry};
use dmos_scenario::Override;
use dmos_search::{Search, SearchSummary, Subject};

use crate::exploration::{Bounds, Properties, explore};
use crate::networks::layered;
use crate::report::{Check, CheckOutcome, Report};

/// Checks the leader strategy that `call` names in a number of generated runs: crashes with and without
/// recovery, lost, delayed and duplicated messages, partitions, torn logs, clock drift, and elections among
/// one to all nodes.
///
/// Its elections are also explored, in up to hundreds of thousands of states ([`exploration`](crate::exploration)).
///
/// The invariant checker verifies its guarantees: at most one leader per term; once nothing fails any more, a
/// leader under which production resumes within a bound. Runs are identical on any number of cores.
///
/// # Errors
/// If there is no such strategy, or it does not accept these parameters.
pub fn check_leader(registry: &Registry, call: &StrategyCall, runs: u64) -> Result<Report, StrategyError> {
    let network = layered(1, 1, 0);
    let choice = registry.leader(call, &network)?;
    let mut set = vec![Override::option("leader", &call.to_string())];
    // Only the leader strategy is tested: flows are planned by a strategy that guarantees one.
    let finds_flow = |flow: &str| {
        let choice = registry.flow(&StrategyCall { name: flow.to_owned(), params: Vec::new() }, &network);
        choice.is_ok_and(|choice| choice.guarantees(Guarantee::FindsFlow))
    };
    let requirement = "its guarantees hold under crashes, losses and partitions";
    let messages = Check {
        requirement: "messages in proportion to the candidates, where it is guaranteed",
        outcome: match choice.guarantees(Guarantee::LinearMessages) {
            true => linear_messages(call, registry),
            false => CheckOutcome::NotApplicable("it is not guaranteed".to_owned()),
        },
    };
    let explored = Check {
        requirement: "its guarantees hold in every explored order of events",
        outcome: explored(&choice),
    };
    let report = |outcome| {
        let checks = vec![Check { requirement, outcome }, explored, messages];
        Report { strategy: choice.to_string(), checks }
    };
    let Some(flow) = registry.flows().iter().find(|flow| finds_flow(flow.name)) else {
        let words =
            "runs need a flow strategy, but none is linked; link one with `use dmos_strategies as _;`";
        return Ok(report(CheckOutcome::Failed(words.to_owned())));
    };
    set.push(Override::option("flow", flow.name));
    let subject = Subject::Anything(set);
    let search = Search { subject: &subject, seed: 4, first: 0, registry };
    let summary = search.run(runs, || true, |_| ());
    let guaranteed =
        [Guarantee::OneLeaderPerTerm, Guarantee::OneLeaderEventually, Guarantee::LeaderByMajority];
    let guaranteed: Vec<_> =
        guaranteed.into_iter().filter(|guarantee| choice.guarantees(*guarantee)).collect();
    let outcome = match summary {
        _ if guaranteed.is_empty() => CheckOutcome::NotApplicable("it guarantees nothing".to_owned()),
        Ok(summary) => outcome(&summary, &guaranteed),
        Err(error) => CheckOutcome::Failed(error.to_string()),
    };
    Ok(report(outcome))
}

/// Explores elections among three candidates within each of the [`Bounds::ALL`].
fn explored(choice: &LeaderChoice) -> CheckOutcome {
    let properties = Properties {
        term_of_its_own: choice.guarantees(Guarantee::OneLeaderPerTerm),
        majority: choice.guarantees(Guarantee::LeaderByMajority),
    };
    if !properties.term_of_its_own && !properties.majority {
        return CheckOutcome::NotApplicable("it guarantees nothing".to_owned());
    }
    let (mut states, mut transitions, mut complete) = (0, 0, 0);
    for bounds in Bounds::ALL {
        let exploration = explore(&*choice.build(), bounds, properties);
        if let Some(counterexample) = exploration.counterexample {
            return CheckOutcome::Failed(counterexample.to_string());
        }
        states += exploration.states;
        transitions += exploration.transitions;
        complete += usize::from(exploration.is_complete);
    }
    CheckOutcome::Passed(format!(
        "{states} states and {transitions} transitions in {} explorations, {complete} of them complete",
        Bounds::ALL.len()
    ))
}

/// Compares the election messages of few candidates and of many while nothing fails.
fn linear_messages(call: &StrategyCall, registry: &Registry) -> CheckOutcome {
    let messages = |candidates: usize| {
        let text = format!(
            "network: {{nodes: [{{makes: item, count: {candidates}}}]}}\n\
             duration: 10min\nmeasure_from: 5min\ncandidates: all\n"
        );
        let set = [Override::option("leader", &call.to_string())];
        let loaded = dmos_scenario::parse("scenario", "scenario", text, &set, registry);
        let trial = loaded
            .map(|loaded| dmos_search::trial::run(&loaded.scenario, false))
            .map_err(|error| error.to_string())?;
        let record = trial.record.ok_or_else(|| "a run failed".to_owned())?;
        let sent = record.nodes.iter().map(|node| node.get(Metric::ElectionMessageSent));
        Ok::<u64, String>(sent.sum())
    };
    match (messages(FEW), messages(FEW * MORE)) {
        (Ok(few), Ok(many)) if many <= few * MORE as u64 * 2 => CheckOutcome::Passed(format!(
            "{few} messages of {FEW} candidates in five minutes, {many} of {}",
            FEW * MORE
        )),
        (Ok(few), Ok(many)) => {
            CheckOutcome::Failed(format!("{few} messages of {FEW} candidates, but {many} of {}", FEW * MORE))
        }
        (Err(error), _) | (_, Err(error)) => CheckOutcome::Failed(error),
    }
}

/// A small number of candidates.
const FEW: usize = 5;

/// Factor to a larger number of candidates.
const MORE: usize = 6;

fn outcome(summary: &SearchSummary, guaranteed: &[Guarantee]) -> CheckOutcome {
    if let Some(found) = &summary.found {
        let (number, failure) = (found.number, &found.failure);
        return CheckOutcome::Failed(format!("run {number}: {failure}\n{}", found.file.to_yaml()));
    }
    let effective = |kind| summary.faults.get(&kind).map_or(0, |count| count.1);
    let guaranteed: Vec<_> = guaranteed.iter().map(ToString::to_string).collect();
    CheckOutcome::Passed(format!(
        "{} ({} runs, {} crashes, {} partitions)",
        guaranteed.join("; "),
        summary.runs,
        effective(FaultKind::Crash),
        effective(FaultKind::Partition),
    ))
}
