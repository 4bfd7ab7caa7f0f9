//! `dmos strategies`: lists strategies, shows and checks one, and creates a crate for a new one.

mod create;

use dmos_conformance::{Check, CheckOutcome};
use dmos_core::strategy::{Descriptor, Family, ParamSpec, StrategyCall, StrategyChoice, StrategyError};
use dmos_core::{Network, Registry};
use dmos_graph::NamedNetwork;
use dmos_report::table;
use dmos_util::suggestion::nearest;
use serde::Serialize;

use crate::args::{StrategiesArguments, StrategiesCommand, TableOrJson};
use crate::error::CliError;
use crate::output::{print, print_json};

/// Serializable form of a descriptor.
#[derive(Serialize)]
struct StrategyEntry {
    family: &'static str,
    name: &'static str,
    summary: &'static str,
    source: &'static str,
    notes: &'static str,
    /// Guarantees with default parameters, verified in every run.
    guarantees: Vec<String>,
    parameters: Vec<ParameterEntry>,
}

#[derive(Serialize)]
struct ParameterEntry {
    name: &'static str,
    summary: &'static str,
    values: String,
}

impl StrategyEntry {
    /// Describes a strategy with default parameters, if it needs no others.
    fn new<S: ?Sized>(family: Family, descriptor: &Descriptor<S>, choice: Option<StrategyChoice<S>>) -> Self {
        let parameter = |spec: &ParamSpec| ParameterEntry {
            name: spec.name,
            summary: spec.summary,
            values: spec.kind.to_string(),
        };
        let guarantees = choice.map_or(&[][..], |choice| choice.all_guarantees());
        Self {
            family: family.name(),
            name: descriptor.name,
            summary: descriptor.summary,
            source: descriptor.source,
            notes: descriptor.notes,
            guarantees: guarantees.iter().map(ToString::to_string).collect(),
            parameters: descriptor.params.iter().map(parameter).collect(),
        }
    }
}

pub(crate) fn run(arguments: &StrategiesArguments, registry: &Registry) -> Result<(), CliError> {
    match &arguments.command {
        None => list(arguments.format, registry),
        Some(StrategiesCommand::Show { name, format }) => show(name, *format, registry),
        Some(StrategiesCommand::Check { call, runs }) => check(call, *runs, registry),
        Some(StrategiesCommand::New(arguments)) => create::run(arguments, registry),
    }
}

/// Returns every strategy by family and name.
fn entries(registry: &Registry) -> Vec<StrategyEntry> {
    let network = any_network();
    let call = |name: &str| StrategyCall { name: name.to_owned(), params: Vec::new() };
    let flows = registry.flows().iter().map(|descriptor| {
        StrategyEntry::new(Family::Flow, descriptor, registry.flow(&call(descriptor.name), &network).ok())
    });
    let leaders = registry.leaders().iter().map(|descriptor| {
        StrategyEntry::new(Family::Leader, descriptor, registry.leader(&call(descriptor.name), &network).ok())
    });
    let detectors = registry.detectors().iter().map(|descriptor| {
        let choice = registry.detector(&call(descriptor.name), &network).ok();
        StrategyEntry::new(Family::Detector, descriptor, choice)
    });
    flows.chain(leaders).chain(detectors).collect()
}

/// Returns a network for checking parameters; any network will do.
fn any_network() -> Network {
    NamedNetwork::ThreeNodes.description().build().expect("a named network is a network").0
}

fn list(format: TableOrJson, registry: &Registry) -> Result<(), CliError> {
    let entries = entries(registry);
    match format {
        TableOrJson::Json => print_json(&entries),
        TableOrJson::Table => {
            let row =
                |entry: &StrategyEntry| vec![entry.family.into(), entry.name.into(), entry.summary.into()];
            print(&table::text_columns(&["family", "strategy", "summary"], entries.iter().map(row)))
        }
    }
}

fn show(name: &str, format: TableOrJson, registry: &Registry) -> Result<(), CliError> {
    let all = entries(registry);
    let found: Vec<_> = all.iter().filter(|entry| entry.name == name).collect();
    if found.is_empty() {
        return Err(unknown(name, &all));
    }
    match format {
        TableOrJson::Json => print_json(&found),
        TableOrJson::Table => print(&found.into_iter().map(text).collect::<Vec<_>>().join("\n")),
    }
}

fn unknown(name: &str, all: &[StrategyEntry]) -> CliError {
    let hint = match nearest(name, all.iter().map(|entry| entry.name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`dmos strategies` lists them".to_owned(),
    };
    CliError::Input(format!("there is no strategy `{name}`; {hint}"))
}

fn text(entry: &StrategyEntry) -> String {
    let StrategyEntry { family, name, summary, source, notes, guarantees, parameters } = entry;
    let mut text = format!("{name}: {summary}\n\n");
    let mut line = |what: &str, words: &str| text.push_str(&format!("{what:<12}{words}\n"));
    line("family", family);
    line("source", source);
    line("notes", notes);
    let guaranteed = if guarantees.is_empty() { "nothing".to_owned() } else { guarantees.join("; ") };
    line("guarantees", &guaranteed);
    let first = parameters.first().map(|parameter| format!(":{}=...", parameter.name)).unwrap_or_default();
    line("use", &format!("--{family} {name}{first}"));
    let rows = parameters
        .iter()
        .map(|parameter| vec![parameter.name.into(), parameter.values.clone(), parameter.summary.into()]);
    if !parameters.is_empty() {
        text.push('\n');
        text.push_str(&table::text_columns(&["parameter", "values", "description"], rows));
    }
    text
}

fn check(call: &StrategyCall, runs: u64, registry: &Registry) -> Result<(), CliError> {
    let is_in = |family| registry.names(family).contains(&call.name.as_str());
    let [is_flow, is_leader, is_detector] = Family::ALL.map(is_in);
    let mut has_passed = true;
    // Each line is printed as soon as it is known; an output error is reported after the checks.
    let mut printed = Ok(());
    let mut show = |check: &Check| {
        has_passed &= !matches!(check.outcome, CheckOutcome::Failed(_));
        if printed.is_ok() {
            printed = print(&format!("{check}\n"));
        }
    };
    let refused = |error: StrategyError| CliError::Input(error.to_string());
    if is_flow {
        dmos_conformance::check_flow_watched(registry, call, &mut show).map_err(refused)?;
    }
    if is_leader {
        let report = dmos_conformance::check_leader(registry, call, runs).map_err(refused)?;
        report.checks.iter().for_each(&mut show);
    }
    if is_detector {
        let report = dmos_conformance::check_detector(registry, call).map_err(refused)?;
        report.checks.iter().for_each(&mut show);
    }
    if !is_flow && !is_leader && !is_detector {
        return Err(unknown(&call.name, &entries(registry)));
    }
    printed?;
    if has_passed { Ok(()) } else { Err(CliError::Found(format!("`{call}` violates the contract"))) }
}
