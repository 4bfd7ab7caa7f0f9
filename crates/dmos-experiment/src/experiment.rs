//! Experiments: cases, strategies and seeds, all read and checked before anything is run.

use std::fmt;
use std::path::{Path, PathBuf};

use dmos_compare::{Axes, Combination, ResultMetric, RunMetric};
use dmos_core::faults::OpGenerator;
use dmos_core::strategy::{
    Descriptor, DetectorChoice, Family, FlowChoice, LeaderChoice, StrategyCall, StrategyChoice, StrategyError,
};
use dmos_core::time::Rate;
use dmos_core::{Registry, Scenario};
use dmos_scenario::experiment::Variation;
use dmos_scenario::file::StrategyField;
use dmos_scenario::renamed::suggestion;
use dmos_scenario::{
    DEFAULT_DETECTOR, DEFAULT_FLOW, DEFAULT_LEADER, LoadedExperiment, Override, ScenarioError, Seeds,
    Strategies, explain,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Default seeds of an experiment.
pub const SEEDS: Seeds = Seeds { first: 1, last: 30 };

/// Denotes all strategies that need no parameters.
const ALL: &str = "all";

/// Denotes the strategy of each scenario.
const OWN: &str = "own";

/// An experiment: everything that determines the runs, and nothing else.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Purpose of the experiment.
    pub about: String,
    /// The scenario files.
    pub scenarios: Vec<ScenarioText>,
    /// Scenarios, each with one setting of the varied factors.
    pub cases: Vec<Case>,
    /// Flow strategies.
    pub flows: Vec<StrategySelector>,
    /// Leader strategies.
    pub leaders: Vec<StrategySelector>,
    /// Failure detectors.
    pub detectors: Vec<StrategySelector>,
    /// Seeds.
    pub seeds: Seeds,
    /// Baseline.
    pub baseline: Combination,
    /// Names of the metrics to rank by.
    pub metrics: Vec<String>,
}

/// A scenario file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioText {
    /// File name as given.
    pub file: String,
    /// Content of the file.
    pub text: String,
}

/// A scenario with settings.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Name of the case.
    pub name: String,
    /// Index of the scenario.
    pub scenario: usize,
    /// Settings that override the scenario's.
    pub settings: Vec<Override>,
}

/// A strategy of an experiment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StrategySelector {
    /// The strategy of each scenario.
    Own,
    /// A given strategy.
    Call(StrategyCall),
}

impl fmt::Display for StrategySelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str(OWN),
            Self::Call(call) => call.fmt(f),
        }
    }
}

impl From<StrategyCall> for StrategySelector {
    fn from(call: StrategyCall) -> Self {
        if call.name == OWN && call.params.is_empty() { Self::Own } else { Self::Call(call) }
    }
}

impl Serialize for StrategySelector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Own => serializer.serialize_str(OWN),
            Self::Call(call) => StrategyField(call.clone()).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for StrategySelector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StrategyField::deserialize(deserializer).map(|StrategyField(call)| call.into())
    }
}

/// Options from outside the files, which override an experiment file.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Options {
    /// Flow strategies.
    pub flows: Option<Strategies>,
    /// Leader strategies.
    pub leaders: Option<Strategies>,
    /// Failure detectors.
    pub detectors: Option<Strategies>,
    /// Seeds.
    pub seeds: Option<Seeds>,
    /// The baseline: a flow strategy, optionally followed by a leader strategy and a failure detector, each after a `/`.
    pub baseline: Option<String>,
    /// Metrics to rank by.
    pub metrics: Vec<String>,
    /// Settings for all scenarios, applied after those of the experiment file and before its varied factors.
    pub settings: Vec<Override>,
}

/// Error of preparing an experiment.
#[derive(Debug, Error)]
pub enum ExperimentError {
    /// A file is invalid.
    #[error(transparent)]
    File(#[from] ScenarioError),
    /// Other input is invalid.
    #[error("{0}")]
    Input(String),
}

/// An experiment that was read and checked.
#[derive(Debug)]
pub struct CheckedExperiment {
    /// The experiment.
    pub experiment: Experiment,
    /// The prepared experiment.
    pub prepared: PreparedExperiment,
    /// Human-readable warnings.
    pub warnings: Vec<String>,
}

/// An experiment with all scenarios and strategies constructed.
#[derive(Clone, Debug)]
pub struct PreparedExperiment {
    axes: Axes,
    cases: Vec<PreparedCase>,
}

#[derive(Clone, Debug)]
struct PreparedCase {
    scenario: Scenario,
    flows: Vec<FlowChoice>,
    leaders: Vec<LeaderChoice>,
    detectors: Vec<DetectorChoice>,
}

impl Experiment {
    /// Reads an experiment from scenario files, or from the experiment file that `paths` names.
    ///
    /// # Errors
    /// If a file cannot be read or is invalid, or a strategy, a metric or the baseline is.
    pub fn read(
        paths: &[PathBuf],
        options: Options,
        registry: &Registry,
    ) -> Result<CheckedExperiment, ExperimentError> {
        let mut texts = Vec::new();
        for path in paths {
            texts.push((path.display().to_string(), dmos_scenario::read_text(path)?));
        }
        Self::of(texts, options, registry)
    }

    /// Reads an experiment from texts, each with its file name.
    ///
    /// # Errors
    /// If a text, a strategy, a metric or the baseline is invalid.
    pub fn of(
        texts: Vec<(String, String)>,
        options: Options,
        registry: &Registry,
    ) -> Result<CheckedExperiment, ExperimentError> {
        let (file, texts) = with_named_scenarios(texts)?;
        let cases = cases(&texts, file.as_ref(), &options)?;
        let scenarios = texts.into_iter().map(|(file, text)| ScenarioText { file, text }).collect();
        let from_file = file.as_ref().map(|file| file.file.clone()).unwrap_or_default();
        // Problems in the experiment file are reported with their place.
        let error_at = |key: &str, is_option: bool, message: String| match &file {
            Some(file) if !is_option => ExperimentError::File(file.error(&[key], message)),
            _ => ExperimentError::Input(message),
        };
        let named = |family| match family {
            Family::Flow => (&options.flows, &from_file.flow),
            Family::Leader => (&options.leaders, &from_file.leader),
            Family::Detector => (&options.detectors, &from_file.detector),
        };
        let names_none = Family::ALL.into_iter().map(named).all(|both| both == (&None, &None));
        let chosen = |family| {
            let (option, listed) = named(family);
            let or = if names_none && family == Family::Flow { ALL } else { OWN };
            let or = || vec![StrategyCall { name: or.to_owned(), params: Vec::new() }];
            let calls =
                option.as_ref().or(listed.as_ref()).map_or_else(or, |Strategies(calls)| calls.clone());
            choices(family, calls, registry)
                .map_err(|message| error_at(family.name(), option.is_some(), message))
        };
        let (flows, leaders) = (chosen(Family::Flow)?, chosen(Family::Leader)?);
        let detectors = chosen(Family::Detector)?;
        let name = options.baseline.as_ref().or(from_file.baseline.as_ref());
        let baseline =
            name.map_or(Ok(Combination::default()), |name| baseline(name, &flows, &leaders, &detectors));
        let baseline =
            baseline.map_err(|message| error_at("baseline", options.baseline.is_some(), message))?;
        let mut metrics =
            if options.metrics.is_empty() { from_file.metrics } else { options.metrics.clone() };
        if metrics.is_empty() {
            metrics.push(RunMetric::CompleteSets.name().to_owned());
        }
        find_metrics(&metrics)
            .map_err(|message| error_at("metrics", !options.metrics.is_empty(), message))?;
        let seeds = options.seeds.or(from_file.seeds).unwrap_or(SEEDS);
        let experiment = Self {
            about: from_file.about,
            scenarios,
            cases,
            flows,
            leaders,
            detectors,
            seeds,
            baseline,
            metrics,
        };
        let mut warnings = Vec::new();
        let prepared = experiment.prepare(registry, &mut warnings)?;
        warnings.dedup();
        Ok(CheckedExperiment { experiment, prepared, warnings })
    }

    /// Returns the axes, with names for output.
    #[must_use]
    pub fn axes(&self) -> Axes {
        let names = |choices: &[StrategySelector]| choices.iter().map(ToString::to_string).collect();
        Axes {
            cases: self.cases.iter().map(|case| case.name.clone()).collect(),
            flows: names(&self.flows),
            leaders: names(&self.leaders),
            detectors: names(&self.detectors),
            seeds: self.seeds.iter().collect(),
        }
    }

    /// Returns the metrics to rank by.
    ///
    /// # Errors
    /// If a name is unknown.
    pub fn metrics(&self) -> Result<Vec<ResultMetric>, ExperimentError> {
        find_metrics(&self.metrics).map_err(ExperimentError::Input)
    }

    /// Constructs and checks everything that is run; adds oddities to `warnings`.
    ///
    /// # Errors
    /// If anything is invalid.
    pub fn prepare(
        &self,
        registry: &Registry,
        warnings: &mut Vec<String>,
    ) -> Result<PreparedExperiment, ExperimentError> {
        let mut cases = Vec::new();
        for case in &self.cases {
            let Some(ScenarioText { file, text }) = self.scenarios.get(case.scenario) else {
                let message = format!("case `{}` belongs to a scenario that is missing", case.name);
                return Err(ExperimentError::Input(message));
            };
            let name = dmos_scenario::stem(Path::new(file));
            let loaded = dmos_scenario::parse(file, &name, text.clone(), &case.settings, registry)?;
            warnings.extend(loaded.warnings.into_iter().map(|warning| format!("{}: {warning}", case.name)));
            let scenario = loaded.scenario;
            let network = &*scenario.network;
            let flow = |call: &_| registry.flow(call, network);
            let leader = |call: &_| registry.leader(call, network);
            let detector = |call: &_| registry.detector(call, network);
            cases.push(PreparedCase {
                flows: prepared(Family::Flow, &self.flows, &scenario.flow, flow, &case.name)?,
                leaders: prepared(Family::Leader, &self.leaders, &scenario.leader, leader, &case.name)?,
                detectors: prepared(
                    Family::Detector,
                    &self.detectors,
                    &scenario.detector,
                    detector,
                    &case.name,
                )?,
                scenario,
            });
        }
        Ok(PreparedExperiment { axes: self.axes(), cases })
    }
}

impl PreparedExperiment {
    /// Returns the axes.
    #[must_use]
    pub fn axes(&self) -> &Axes {
        &self.axes
    }

    /// Returns conditions that limit the conclusions.
    #[must_use]
    pub fn cautions(&self) -> Vec<String> {
        let repeats =
            |op_generator: &OpGenerator| op_generator.failures != Rate::NEVER && op_generator.seed.is_some();
        let cases = self.axes.cases.iter().zip(&self.cases);
        let alike = cases.filter(|(_, case)| case.scenario.faults.op_generator.as_ref().is_some_and(repeats));
        let alike: Vec<&str> = alike.map(|(name, _)| name.as_str()).collect();
        if alike.is_empty() || self.axes.seeds.len() == 1 {
            return Vec::new();
        }
        vec![format!(
            "CAUTION: in {} the op generator has a fixed seed, so all runs share one sequence of failures, and \
             differences may be specific to it; use `--set faults.op_generator.seed=null` to vary it by seed",
            alike.join(", ")
        )]
    }

    /// Returns the scenario of a run.
    #[must_use]
    pub fn scenario(&self, run: usize) -> Scenario {
        let cell = self.axes.cell(run);
        let case = &self.cases[cell.case];
        Scenario {
            seed: self.axes.seeds[cell.seed],
            flow: case.flows[cell.flow].clone(),
            leader: case.leaders[cell.leader].clone(),
            detector: case.detectors[cell.detector].clone(),
            ..case.scenario.clone()
        }
    }
}

/// Texts, each with its file name.
type Texts = Vec<(String, String)>;

/// Returns the experiment file among texts, if there is one, with the texts of the scenarios that it names.
fn with_named_scenarios(mut texts: Texts) -> Result<(Option<LoadedExperiment>, Texts), ExperimentError> {
    let Some((origin, text)) = texts.iter().find(|(_, text)| LoadedExperiment::is_experiment(text)) else {
        return Ok((None, texts));
    };
    if texts.len() > 1 {
        let message =
            format!("`{origin}` is an experiment file, which names its own scenarios; pass it alone");
        return Err(ExperimentError::Input(message));
    }
    let file = LoadedExperiment::parse(origin, text)?;
    texts.clear();
    for path in file.scenarios() {
        texts.push((path.display().to_string(), dmos_scenario::read_text(&path)?));
    }
    Ok((Some(file), texts))
}

fn find_metrics(names: &[String]) -> Result<Vec<ResultMetric>, String> {
    let find = |name: &String| {
        ResultMetric::named(name).ok_or_else(|| {
            match suggestion(name, ResultMetric::all().map(ResultMetric::name)) {
                Some(near) => format!("there is no metric `{name}`; did you mean `{near}`?"),
                None => format!("there is no metric `{name}`; docs/comparing.md lists all metrics"),
            }
        })
    };
    names.iter().map(find).collect()
}

/// Returns the cases: every scenario with every combination of the varied factors.
fn cases(
    texts: &[(String, String)],
    file: Option<&LoadedExperiment>,
    options: &Options,
) -> Result<Vec<Case>, ExperimentError> {
    let set = file.map_or(Ok(Vec::new()), LoadedExperiment::settings)?;
    let none = vec![Variation { name: String::new(), settings: Vec::new() }];
    let variations = file.map_or(Ok(none), LoadedExperiment::variations)?;
    let mut cases: Vec<Case> = Vec::new();
    for (scenario, (origin, text)) in texts.iter().enumerate() {
        for variation in &variations {
            let settings: Vec<Override> =
                set.iter().chain(&options.settings).chain(&variation.settings).cloned().collect();
            // Only the name is needed here; the file is checked later.
            let name = dmos_scenario::read(origin, text, &settings)?.name;
            let name = name.unwrap_or_else(|| dmos_scenario::stem(Path::new(origin)));
            let name = match variation.name.as_str() {
                "" => name,
                varied => format!("{name} [{varied}]"),
            };
            if cases.iter().any(|case| case.name == name) {
                let message = format!("two scenarios are named `{name}`; rename or remove one");
                return Err(ExperimentError::Input(message));
            }
            cases.push(Case { name, scenario, settings });
        }
    }
    Ok(cases)
}

/// Returns the strategies of one family on a network, each of which `choose` finds by its call.
fn prepared<S: ?Sized>(
    family: Family,
    selectors: &[StrategySelector],
    own: &StrategyChoice<S>,
    choose: impl Fn(&StrategyCall) -> Result<StrategyChoice<S>, StrategyError>,
    case: &str,
) -> Result<Vec<StrategyChoice<S>>, ExperimentError> {
    let select = |selector: &StrategySelector| match selector {
        StrategySelector::Own => Ok(own.clone()),
        StrategySelector::Call(call) => choose(call).map_err(|error| {
            let problem = explain(&error);
            ExperimentError::Input(format!("{family} strategy `{call}`, in {case}: {problem}"))
        }),
    };
    selectors.iter().map(select).collect()
}

/// Returns the names of all strategies of a family that need no parameters, the default first.
fn all(family: Family, registry: &Registry) -> Vec<&'static str> {
    fn names<S: ?Sized>(all: &[&'static Descriptor<S>], default: &str) -> Vec<&'static str> {
        let alone = all.iter().filter(|descriptor| descriptor.stands_alone());
        let mut names: Vec<_> = alone.map(|descriptor| descriptor.name).collect();
        names.sort_by_key(|name| *name != default);
        names
    }
    match family {
        Family::Flow => names(registry.flows(), DEFAULT_FLOW),
        Family::Leader => names(registry.leaders(), DEFAULT_LEADER),
        Family::Detector => names(registry.detectors(), DEFAULT_DETECTOR),
    }
}

/// Returns the strategies of one family.
fn choices(
    family: Family,
    calls: Vec<StrategyCall>,
    registry: &Registry,
) -> Result<Vec<StrategySelector>, String> {
    let mut choices: Vec<StrategySelector> = Vec::new();
    for call in calls {
        let expanded = if call.name == ALL && call.params.is_empty() {
            let alone = |name: &&str| StrategyCall { name: (*name).to_owned(), params: Vec::new() };
            all(family, registry).iter().map(alone).collect()
        } else {
            vec![call]
        };
        for choice in expanded.into_iter().map(StrategySelector::from) {
            if choices.contains(&choice) {
                return Err(format!("the {family} strategy `{choice}` is listed twice"));
            }
            choices.push(choice);
        }
    }
    if choices.is_empty() {
        return Err(format!("name at least one {family} strategy"));
    }
    Ok(choices)
}

/// Parses a baseline: a flow strategy, optionally followed by a leader strategy and a failure detector.
fn baseline(
    name: &str,
    flows: &[StrategySelector],
    leaders: &[StrategySelector],
    detectors: &[StrategySelector],
) -> Result<Combination, String> {
    let mut parts = name.split('/');
    let mut find = |family: Family, choices: &[StrategySelector]| {
        let Some(name) = parts.next() else { return Ok(0) };
        choices.iter().position(|choice| choice.to_string() == name.trim()).ok_or_else(|| {
            let names = choices.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            format!("the baseline's {family} strategy `{name}` is not part of the comparison: {names}")
        })
    };
    let (flow, leader) = (find(Family::Flow, flows)?, find(Family::Leader, leaders)?);
    let detector = find(Family::Detector, detectors)?;
    match parts.next() {
        None => Ok(Combination { flow, leader, detector }),
        Some(rest) => Err(format!("`{rest}` is too much: a baseline has at most three parts")),
    }
}
