//! `dmos strategies`: lists the strategies there are, from their descriptors.

use dmos_core::Registry;
use dmos_core::strategy::Descriptor;
use dmos_report::table;
use serde::Serialize;

use crate::args::{PlanFormat, StrategiesArguments};
use crate::failure::Failure;
use crate::output::{print, print_json};

#[derive(Serialize)]
struct StrategyEntry {
    family: &'static str,
    name: &'static str,
    summary: &'static str,
    source: &'static str,
    guarantee: &'static str,
    parameters: Vec<ParameterEntry>,
}

#[derive(Serialize)]
struct ParameterEntry {
    name: &'static str,
    summary: &'static str,
    values: String,
}

fn entry<S: ?Sized>(family: &'static str, descriptor: &Descriptor<S>) -> StrategyEntry {
    let parameter = |spec: &dmos_core::strategy::ParamSpec| ParameterEntry {
        name: spec.name,
        summary: spec.summary,
        values: spec.kind.to_string(),
    };
    StrategyEntry {
        family,
        name: descriptor.name,
        summary: descriptor.summary,
        source: descriptor.source,
        guarantee: descriptor.guarantee,
        parameters: descriptor.params.iter().map(parameter).collect(),
    }
}

pub(crate) fn run(arguments: &StrategiesArguments, registry: &Registry) -> Result<(), Failure> {
    let flows = registry.flows().iter().map(|descriptor| entry("flow", descriptor));
    let leaders = registry.leaders().iter().map(|descriptor| entry("leader", descriptor));
    let entries: Vec<_> = flows.chain(leaders).collect();
    match arguments.format {
        PlanFormat::Json => print_json(&entries),
        PlanFormat::Table => print(&text(&entries)),
    }
}

fn text(entries: &[StrategyEntry]) -> String {
    let row = |entry: &StrategyEntry| vec![entry.family.into(), entry.name.into(), entry.summary.into()];
    let mut text = table::words(&["family", "strategy", "what it does"], entries.iter().map(row));
    let parameters =
        entries.iter().flat_map(|entry| entry.parameters.iter().map(move |parameter| (entry, parameter)));
    let rows = parameters.map(|(entry, parameter)| {
        vec![entry.name.into(), parameter.name.into(), parameter.values.clone(), parameter.summary.into()]
    });
    text.push('\n');
    text.push_str(&table::words(&["strategy", "parameter", "values", "what it does"], rows));
    text
}
