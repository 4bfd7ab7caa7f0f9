//! Conformance of failure detectors.

use dmos_core::strategy::{Guarantee, StrategyCall, StrategyError};
use dmos_core::{NodeId, Registry, RunRecord, Span, Time};
use dmos_scenario::Override;

use crate::networks::layered;
use crate::report::{Check, CheckOutcome, Report};

/// Checks the failure detector that `call` names in short runs of a chain of nodes.
///
/// | requirement | runs |
/// |---|---|
/// | completeness: each crash is detected, within the longest silence that it states | crashes at many times, with and without losses |
/// | accuracy: no node is suspected while nothing fails and delays are constant | delays from zero to several heartbeat intervals |
///
/// # Errors
/// If there is no such failure detector, or it does not accept these parameters.
pub fn check_detector(registry: &Registry, call: &StrategyCall) -> Result<Report, StrategyError> {
    let choice = registry.detector(call, &layered(1, 1, 0))?;
    let accuracy = match choice.guarantees(Guarantee::Accuracy) {
        true => accuracy(registry, call),
        false => CheckOutcome::NotApplicable("it is not guaranteed".to_owned()),
    };
    let checks = vec![
        Check {
            requirement: "every crash is suspected within the longest tolerated silence",
            outcome: completeness(registry, call),
        },
        Check {
            requirement: "no node is suspected while nothing fails and delays are constant",
            outcome: accuracy,
        },
    ];
    Ok(Report { strategy: choice.to_string(), checks })
}

/// A chain of three nodes, whose middle one has a neighbour on each side.
const CHAIN: &str = "network: {nodes: [{makes: ore}, {makes: steel, needs: {ore: 1}}, {makes: gear, needs: {steel: 1}}]}\n\
                     protocol: {heartbeat: 2s, suspect_after: 10s}\n";

/// The node in the middle of the chain.
const MIDDLE: NodeId = NodeId::new(1);

fn run(registry: &Registry, call: &StrategyCall, lines: &str) -> Result<(RunRecord, Span), String> {
    let set = [Override::option("detector", &call.to_string())];
    let loaded = dmos_scenario::parse("scenario", "scenario", format!("{CHAIN}{lines}"), &set, registry)
        .map_err(|error| error.to_string())?;
    let scenario = loaded.scenario;
    // The rounds of a node are one heartbeat interval apart.
    let bound = scenario.silence_max() + scenario.protocol.heartbeat;
    match dmos_search::trial::run(&scenario, false).record {
        Some(record) => Ok((record, bound)),
        None => Err("a run failed".to_owned()),
    }
}

fn completeness(registry: &Registry, call: &StrategyCall) -> CheckOutcome {
    let (mut crashes, mut slowest) = (0, Span::ZERO);
    for loss in [0.0, 0.2] {
        for second in (31..=121).step_by(9) {
            let lines = format!(
                "duration: 4min\nseed: {second}\nfaults: {{script: [{{at: {second}s, crash: steel}}], messages: {{loss: {loss}}}}}\n"
            );
            let (record, bound) = match run(registry, call, &lines) {
                Ok(run) => run,
                Err(error) => return CheckOutcome::Failed(error),
            };
            // A healthy node may be under suspicion already when it crashes.
            let (earliest, crash) = (Span::from_secs(second) - bound, Span::from_secs(second));
            let of_node = record.suspicions.iter().filter(|suspicion| suspicion.node == MIDDLE);
            let times = of_node.map(|suspicion| suspicion.at.since(Time::ZERO));
            match times.filter(|&at| at >= earliest).min() {
                Some(at) if at - crash <= bound => slowest = slowest.max(at - crash),
                Some(at) => {
                    let after = at - crash;
                    return CheckOutcome::Failed(format!(
                        "a crash at {second} s was suspected after {after}, not {bound}"
                    ));
                }
                None => return CheckOutcome::Failed(format!("a crash at {second} s was never suspected")),
            }
            crashes += 1;
        }
    }
    CheckOutcome::Passed(format!("{crashes} crashes, the slowest after {slowest}"))
}

fn accuracy(registry: &Registry, call: &StrategyCall) -> CheckOutcome {
    for delay in ["0s", "10ms", "700ms", "1s", "2s", "4s"] {
        let lines = format!("duration: 20min\ndelays: {{message: {delay}}}\n");
        let record = match run(registry, call, &lines) {
            Ok((record, _)) => record,
            Err(error) => return CheckOutcome::Failed(error),
        };
        if let Some(suspicion) = record.suspicions.first() {
            let at = suspicion.at.since(Time::ZERO);
            return CheckOutcome::Failed(format!(
                "a healthy node was suspected at {at} with a delay of {delay}"
            ));
        }
    }
    CheckOutcome::Passed("twenty minutes at each of six delays".to_owned())
}
