//! The flow strategy that consults an external program.

use std::time::Duration;

use dmos_core::strategy::{
    Change, FlowDescriptor, FlowStrategy, Meter, NoFlow, ParamKind, ParamSpec, Params, PlanRequest,
    register_flow,
};
use dmos_core::{Flow, NodeId, Span};
use dmos_graph::Feasibility;

use crate::pool;
use crate::process::Process;
use crate::protocol::{AnswerLine, flow, network_line, request_line};

register_flow!(FlowDescriptor {
    name: "exec",
    summary: "external program in any language, consulted by lines of JSON",
    source: "the program",
    notes: "only valid flows that make a final item are accepted, everything else is a failed plan; deterministic if the program is",
    guarantees: |_| &[],
    params: &[
        ParamSpec {
            name: "command",
            summary: "program and arguments, separated by spaces; executed without a shell",
            kind: ParamKind::Text,
        },
        ParamSpec {
            name: "limit",
            summary: "wall-clock time limit of an answer",
            kind: ParamKind::Duration { min: Span::from_millis(1), default: Span::from_secs(10) },
        },
    ],
    build: |params: &Params| Box::new(Exec {
        command: params.text("command").to_owned(),
        limit: Duration::from_nanos(params.duration("limit").as_nanos()),
        process: None,
        plans: 0,
    }),
});

struct Exec {
    command: String,
    limit: Duration,
    process: Option<Process>,
    plans: u64,
}

impl FlowStrategy for Exec {
    fn plan(&mut self, request: &PlanRequest<'_>, meter: &mut Meter) -> Result<Flow, NoFlow> {
        // A failed program is dropped, which ends it; the next plan starts it again.
        let mut process = self.process.take();
        self.plans += 1;
        let answer = self.ask(&mut process, request).map_err(|problem| self.failure(problem))?;
        let steps = answer.steps.unwrap_or_else(|| answer.edges.as_ref().map_or(0, Vec::len) as u64);
        meter.charge(steps)?;
        if let Some(remark) = answer.remark {
            meter.remark(remark);
        }
        let planned = match (answer.edges, answer.no_flow) {
            (Some(edges), None) => flow(&edges).and_then(|flow| valid(flow, request)),
            (None, Some(words)) => {
                meter.remark(words);
                self.process = process;
                return Err(match request.alive.is_empty() {
                    true => NoFlow::NoNodeAlive,
                    false => NoFlow::Infeasible(request.network.final_items()[0]),
                });
            }
            _ => Err("an answer has either `edges` or `no_flow`".to_owned()),
        };
        let planned = planned.map_err(|problem| self.failure(problem))?;
        self.process = process;
        Ok(planned)
    }
}

impl Drop for Exec {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            pool::give_back(&self.command, process);
        }
    }
}

/// Returns the flow if it can be activated: it is valid, and makes a final item if one can be made.
fn valid(flow: Flow, request: &PlanRequest<'_>) -> Result<Flow, String> {
    let network = request.network;
    if let Some(fault) = flow.violations(network, request.alive, request.broken_links, false).first() {
        return Err(format!("its flow is invalid: {}", fault.explain(network)));
    }
    let producers = Feasibility::of_request(request);
    let finals = producers.finals(network).unwrap_or_default();
    let makes = |&node: &NodeId| flow.is_assigned(node) || network.requirements(node).is_empty();
    match finals.first() {
        Some(&item) if !finals.iter().any(|&item| producers.of_item(item).iter().any(makes)) => {
            Err(format!("its flow makes no final item although `{}` can be made", network.item_name(item)))
        }
        _ => Ok(flow),
    }
}

impl Exec {
    fn ask(&self, process: &mut Option<Process>, request: &PlanRequest<'_>) -> Result<AnswerLine, String> {
        let is_new = process.is_none() || request.active.is_none();
        let is_changed = request.changes.iter().any(|change| matches!(change, Change::RecipeChanged(_)));
        let mut lines = if is_new || is_changed { network_line(request, is_new) } else { String::new() };
        lines.push_str(&request_line(request, self.plans));
        let running = match process {
            Some(running) => running,
            None => process.insert(pool::take(&self.command)?),
        };
        let line = running.ask(lines, self.limit)?;
        let answer: AnswerLine = serde_json::from_str(&line).map_err(|error| {
            let start: String = line.trim_end().chars().take(80).collect();
            format!("its answer violates the protocol: {error} in `{start}`")
        })?;
        if answer.plan != self.plans {
            return Err(format!("it answers request {} instead of {}", answer.plan, self.plans));
        }
        Ok(answer)
    }

    fn failure(&self, problem: String) -> NoFlow {
        NoFlow::PlannerFailed { planner: self.command.clone(), problem }
    }
}
