//! Command-line arguments: the place for a new flag.
//!
//! Options are grouped by headings, and every command has examples and its exit codes in its help.

mod help;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand, ValueEnum};
use dmos_core::Span;
use dmos_core::strategy::{Family, StrategyCall};
use dmos_scenario::{Override, Seeds, Strategies};

use help::{
    CHECK_HELP, COMPARE_HELP, CRITICALITY_HELP, EXIT_CODES, FUZZ_HELP, NETWORK_HELP, PLAN_HELP, RUN_HELP,
    SHRINK_HELP, STRATEGIES_HELP, SWEEP_HELP,
};

/// Former names of options, for suggestions.
const RENAMED: &[(&str, &str)] = &[("--twice", "--check-determinism")];

impl Arguments {
    /// Parses the arguments of this process. Exits on an error, with a suggestion for a former option.
    pub(crate) fn of_process() -> Self {
        Self::try_parse().unwrap_or_else(|mut error| {
            let unknown = match (error.kind(), error.get(ContextKind::InvalidArg)) {
                (ErrorKind::UnknownArgument, Some(ContextValue::String(option))) => option.clone(),
                _ => error.exit(),
            };
            if let Some((_, present)) = RENAMED.iter().find(|(former, _)| *former == unknown) {
                error.insert(ContextKind::SuggestedArg, ContextValue::String((*present).to_owned()));
            }
            error.exit()
        })
    }
}

/// Heading of options that change the scenario.
const SCENARIO: &str = "Scenario options";

/// Heading of options that choose what is compared.
const EXPERIMENT: &str = "Experiment options";

/// Heading of options that control execution without affecting the result.
const EXECUTION: &str = "Execution options";

/// Heading of options that control the output.
const OUTPUT: &str = "Output options";

/// Simulates self-organising factory networks and compares the algorithms that run them.
#[derive(Debug, Parser)]
#[command(name = "dmos", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Simulate scenarios and print the metrics of each run.
    #[command(after_help = RUN_HELP)]
    Run(RunArguments),
    /// Compare strategies on scenarios, paired by seed.
    #[command(after_help = COMPARE_HELP)]
    Compare(CompareArguments),
    /// Rank nodes by the production lost when each is removed.
    #[command(after_help = CRITICALITY_HELP)]
    Criticality(CriticalityArguments),
    /// Run a comparison in shards on other machines.
    #[command(after_help = SWEEP_HELP)]
    Sweep(SweepArguments),
    /// Validate scenario and experiment files without running them.
    #[command(after_help = CHECK_HELP)]
    Check(CheckArguments),
    /// Show the supply network: items, producers and recipes.
    #[command(after_help = NETWORK_HELP)]
    Network(NetworkArguments),
    /// Plan the flow once, and explain the choice of suppliers.
    #[command(after_help = PLAN_HELP)]
    Plan(PlanArguments),
    /// List strategies; show, check or create one.
    #[command(after_help = STRATEGIES_HELP)]
    Strategies(StrategiesArguments),
    /// Randomised fault-injection testing: generate scenarios, run them, check invariants.
    #[command(after_help = FUZZ_HELP)]
    Fuzz(FuzzArguments),
    /// Measure the speed of this program on this machine, in under a minute.
    Bench(BenchArguments),
    /// Shrink a failing scenario while it fails in the same way.
    #[command(after_help = SHRINK_HELP)]
    Shrink(ShrinkArguments),
}

/// Options that change the scenario.
#[derive(Debug, Args)]
#[command(next_help_heading = SCENARIO)]
pub(crate) struct Changes {
    /// Flow strategy: `name` or `name:parameter=value,...`.
    #[arg(long, value_name = "NAME")]
    flow: Option<String>,
    /// Leader strategy: `name` or `name:parameter=value,...`.
    #[arg(long, value_name = "NAME")]
    leader: Option<String>,
    /// Failure detector: `name` or `name:parameter=value,...`.
    #[arg(long, value_name = "NAME")]
    detector: Option<String>,
    /// Duration of the run, for example `90s` or `10min`.
    #[arg(long)]
    duration: Option<String>,
    /// Set any field of the scenario, for example `network.generate.types=12`; repeatable.
    #[arg(long, value_name = "PATH=VALUE", value_parser = Override::parse)]
    set: Vec<Override>,
}

impl Changes {
    /// Returns the settings in the order in which they apply; options of their own come last.
    pub(crate) fn overrides(&self) -> Vec<Override> {
        let options = [
            ("flow", &self.flow),
            ("leader", &self.leader),
            ("detector", &self.detector),
            ("duration", &self.duration),
        ];
        let given = options.iter().filter_map(|(name, value)| Some(Override::option(name, value.as_ref()?)));
        self.set.iter().cloned().chain(given).collect()
    }
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// Scenario files.
    #[arg(required = true, value_name = "SCENARIO")]
    pub(crate) scenarios: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) changes: Changes,
    /// Seed, or a range such as `1..5` with both ends included.
    #[arg(long, help_heading = SCENARIO, value_name = "N|A..B")]
    pub(crate) seed: Option<Seeds>,
    /// Output format; `csv` and `json` contain the metrics of nodes.
    #[arg(help_heading = OUTPUT, long, default_value = "table")]
    pub(crate) format: Format,
    /// Print the metrics of nodes in place of the report.
    #[arg(help_heading = OUTPUT, long)]
    pub(crate) metrics: bool,
    /// List all nodes in the report.
    #[arg(help_heading = OUTPUT, long)]
    pub(crate) all: bool,
    /// Write a run directory; with several runs, one subdirectory for each.
    #[arg(help_heading = OUTPUT, long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Replace directories of earlier runs; others are never replaced.
    #[arg(help_heading = OUTPUT, long, requires = "out")]
    pub(crate) force: bool,
    /// Compare with a published table in the same columns; several seeds are averaged.
    #[arg(help_heading = OUTPUT, long, value_name = "TABLE.csv")]
    pub(crate) against: Option<PathBuf>,
    /// Write one line per event of the run to this file; for one scenario and one seed.
    #[arg(help_heading = OUTPUT, long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Execute each run twice and compare all events.
    #[arg(help_heading = EXECUTION, long)]
    pub(crate) check_determinism: bool,
    /// Exit with 1 if an invariant is violated.
    #[arg(help_heading = EXECUTION, long)]
    pub(crate) strict: bool,
}

/// Options that choose what is compared.
#[derive(Debug, Args)]
#[command(next_help_heading = EXPERIMENT)]
pub(crate) struct ExperimentArguments {
    /// Scenario files, or one experiment file.
    #[arg(help_heading = "Arguments", value_name = "SCENARIO|EXPERIMENT")]
    pub(crate) files: Vec<PathBuf>,
    /// Flow strategies separated by commas; `all`, or `own` for that of each scenario.
    #[arg(long, value_name = "A,B,...")]
    pub(crate) flow: Option<Strategies>,
    /// Leader strategies, in the same form.
    #[arg(long, value_name = "X,Y,...")]
    pub(crate) leader: Option<Strategies>,
    /// Failure detectors, in the same form.
    #[arg(long, value_name = "V,W,...")]
    pub(crate) detector: Option<Strategies>,
    /// Range of seeds, with both ends included [default: 1..30].
    #[arg(long, value_name = "A..B")]
    pub(crate) seeds: Option<Seeds>,
    /// Baseline of the comparison: `flow`, `flow/leader` or `flow/leader/detector` [default: the first of each].
    #[arg(long, value_name = "A/X/V")]
    pub(crate) baseline: Option<String>,
    /// Metric to rank by; repeatable [default: complete_sets].
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) metric: Vec<String>,
    /// Duration of each run, for example `90s` or `10min`.
    #[arg(long)]
    pub(crate) duration: Option<String>,
    /// Set any field of every scenario, for example `protocol.cycle=2s`; repeatable.
    #[arg(long, value_name = "PATH=VALUE", value_parser = Override::parse)]
    pub(crate) set: Vec<Override>,
}

/// Options for the output of a comparison.
#[derive(Debug, Args)]
#[command(next_help_heading = OUTPUT)]
pub(crate) struct ComparisonOutput {
    /// Output format; `runs` prints the metrics of every run as CSV.
    #[arg(long, default_value = "table")]
    pub(crate) format: ComparisonFormat,
    /// Number of rows shown of each table, besides the baseline; 0 shows all.
    #[arg(long, default_value_t = 12, value_name = "N")]
    pub(crate) top: usize,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArguments {
    #[command(flatten)]
    pub(crate) experiment: ExperimentArguments,
    /// Repeat the experiment of these earlier results, and exit with 1 if a metric deteriorated.
    #[arg(help_heading = EXPERIMENT, long, value_name = "DIR", conflicts_with_all = ["files", "flow", "leader", "detector", "seeds", "baseline", "metric", "duration", "set"])]
    pub(crate) against: Option<PathBuf>,
    /// Number of concurrent runs [default: one per core]. It does not affect the result.
    #[arg(help_heading = EXECUTION, long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Store results in this directory as runs finish; existing results are reused.
    #[arg(help_heading = OUTPUT, long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: ComparisonOutput,
}

#[derive(Debug, Args)]
pub(crate) struct CriticalityArguments {
    /// Scenario file; its faults are ignored.
    pub(crate) scenario: PathBuf,
    #[command(flatten)]
    pub(crate) changes: Changes,
    /// Remove each pair of nodes as well.
    #[arg(help_heading = EXPERIMENT, long)]
    pub(crate) pairs: bool,
    /// Time of the removal [default: after a quarter of the duration].
    #[arg(help_heading = EXPERIMENT, long, value_name = "TIME")]
    pub(crate) at: Option<Span>,
    /// Seed [default: the scenario's].
    #[arg(help_heading = SCENARIO, long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Number of concurrent runs [default: one per core].
    #[arg(help_heading = EXECUTION, long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Number of rows shown of each table; 0 shows all.
    #[arg(help_heading = OUTPUT, long, default_value_t = 30, value_name = "N")]
    pub(crate) top: usize,
    /// Output format.
    #[arg(help_heading = OUTPUT, long, default_value = "table")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct SweepArguments {
    #[command(subcommand)]
    pub(crate) command: SweepCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SweepCommand {
    /// Write a manifest: the runs of a comparison, split into shards.
    Plan {
        #[command(flatten)]
        experiment: ExperimentArguments,
        /// Number of shards: 4 to 10 per concurrent task, each of at least half a minute.
        #[arg(help_heading = EXECUTION, long, value_name = "N")]
        shards: NonZeroUsize,
        /// Manifest to be written.
        #[arg(help_heading = OUTPUT, long, short, value_name = "MANIFEST")]
        out: PathBuf,
    },
    /// Run one shard. Exit codes: 0 done, 1 some runs failed, 2 invalid input, 75 interrupted.
    Run {
        /// Manifest.
        #[arg(long)]
        manifest: PathBuf,
        /// Number of the shard, from 0; `auto` takes the number of the batch engine's task.
        #[arg(long, value_name = "I|auto")]
        shard: Shard,
        /// Directory of results.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Number of concurrent runs [default: one per core].
        #[arg(help_heading = EXECUTION, long, value_name = "N")]
        jobs: Option<NonZeroUsize>,
    },
    /// Show the progress of a sweep; exit with 3 if it is incomplete.
    Status {
        /// Directory of results.
        dir: PathBuf,
        /// Manifest, for a sweep that may not have started.
        #[arg(long)]
        manifest: Option<PathBuf>,
        /// Print only the numbers of the incomplete shards, such as `3,7,12-14`.
        #[arg(long)]
        missing: bool,
    },
    /// Merge the results and print the comparison; exit with 3 if runs are missing.
    Merge {
        /// Directory of results.
        #[arg(required = true, value_name = "DIR")]
        dirs: Vec<PathBuf>,
        /// Compare the available runs even if some are missing.
        #[arg(long)]
        allow_missing: bool,
        #[command(flatten)]
        output: ComparisonOutput,
    },
    /// Print a script for a batch engine, without running anything.
    Emit {
        /// Batch engine.
        engine: Engine,
        /// Path of the manifest for the tasks.
        #[arg(long)]
        manifest: PathBuf,
        /// Directory of results for the tasks.
        #[arg(long, default_value = "results", value_name = "DIR")]
        out: PathBuf,
        /// Number of concurrent runs, and of cores, of a task.
        #[arg(long, default_value = "1", value_name = "N")]
        jobs: NonZeroUsize,
    },
}

/// The shard to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shard {
    /// The number of the batch engine's task.
    Auto,
    /// The shard with this number.
    Number(usize),
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            number => match number.parse() {
                Ok(number) => Ok(Self::Number(number)),
                Err(_) => Err("expected the number of a shard, or `auto`".to_owned()),
            },
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// Output format.
    #[arg(help_heading = OUTPUT, long, default_value = "table")]
    pub(crate) format: TableOrJson,
}

/// Batch engines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Engine {
    Slurm,
    Hyperqueue,
    Kubernetes,
    /// GNU parallel.
    Parallel,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum ComparisonFormat {
    Table,
    Markdown,
    Csv,
    Json,
    Runs,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// Scenario files.
    #[arg(required = true, value_name = "SCENARIO")]
    pub(crate) scenarios: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) changes: Changes,
}

#[derive(Debug, Args)]
pub(crate) struct NetworkArguments {
    /// Scenario file.
    pub(crate) scenario: PathBuf,
    #[command(flatten)]
    pub(crate) changes: Changes,
    /// Output format.
    #[arg(help_heading = OUTPUT, long, default_value = "text")]
    pub(crate) format: NetworkFormat,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    /// Scenario file.
    pub(crate) scenario: PathBuf,
    #[command(flatten)]
    pub(crate) changes: Changes,
    /// Let this node fail after a first plan, and replan; repeatable.
    #[arg(help_heading = SCENARIO, long, value_name = "NODE")]
    pub(crate) without: Vec<String>,
    /// Compare with the plan of another strategy: `name` or `name:parameter=value,...`.
    #[arg(help_heading = OUTPUT, long, value_name = "OTHER")]
    pub(crate) diff: Option<StrategyCall>,
    /// Number of cheapest plans to list, with one producer for each item, whatever the strategy.
    #[arg(help_heading = OUTPUT, long, value_name = "COUNT", default_value_t = 0)]
    pub(crate) best: usize,
    /// Output format.
    #[arg(help_heading = OUTPUT, long, default_value = "table")]
    pub(crate) format: PlanFormat,
}

#[derive(Debug, Args)]
pub(crate) struct StrategiesArguments {
    #[command(subcommand)]
    pub(crate) command: Option<StrategiesCommand>,
    /// Output format.
    #[arg(help_heading = OUTPUT, long, default_value = "table")]
    pub(crate) format: TableOrJson,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StrategiesCommand {
    /// Show the description of a strategy.
    Show {
        /// Name of the strategy.
        name: String,
        /// Output format.
        #[arg(help_heading = OUTPUT, long, default_value = "table")]
        format: TableOrJson,
    },
    /// Check the conformance of a strategy to the contract; exit with 1 if a check fails.
    Check {
        /// Strategy: `name` or `name:parameter=value,...`.
        #[arg(value_name = "NAME")]
        call: StrategyCall,
        /// Number of runs with a leader strategy.
        #[arg(long, default_value_t = 2_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        runs: u64,
    },
    /// Create a crate with a strategy as a starting point.
    New(NewArguments),
}

#[derive(Debug, Args)]
pub(crate) struct NewArguments {
    /// Name of the strategy and its crate.
    pub(crate) name: String,
    /// Family of the strategy.
    #[arg(long, default_value = "flow", value_parser = family_parser())]
    pub(crate) kind: Family,
    /// Parent directory of the crate.
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Checkout of DMOS to build with [default: the one this program was built from].
    #[arg(long, value_name = "DIR")]
    pub(crate) sources: Option<PathBuf>,
}

/// Returns a parser of families, which lists them in the help.
fn family_parser() -> impl TypedValueParser<Value = Family> {
    let find = |name: String| Family::ALL.into_iter().find(|family| family.name() == name);
    PossibleValuesParser::new(Family::ALL.map(Family::name))
        .map(move |name| find(name).unwrap_or(Family::Flow))
}

#[derive(Debug, Args)]
pub(crate) struct FuzzArguments {
    /// Scenario file for which only faults and seed are generated; without it, everything is.
    pub(crate) scenario: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) changes: Changes,
    /// Maximum number of runs.
    #[arg(help_heading = EXECUTION, long, default_value_t = 1_000, value_name = "N")]
    pub(crate) runs: u64,
    /// Time limit in real time, for example `10min`. The progress then depends on the machine.
    #[arg(help_heading = EXECUTION, long, value_name = "TIME")]
    pub(crate) time: Option<Span>,
    /// Number of concurrent runs [default: one per core]. It does not affect the result.
    #[arg(help_heading = EXECUTION, long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Seed of the generated scenarios.
    #[arg(help_heading = EXPERIMENT, long, default_value_t = 1, value_name = "S")]
    pub(crate) seed: u64,
    /// Number of the first run, to continue a search or to repeat one run.
    #[arg(help_heading = EXPERIMENT, long, default_value_t = 0, value_name = "N")]
    pub(crate) first: u64,
    /// Directory for a failing scenario.
    #[arg(help_heading = OUTPUT, long, default_value = ".", value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Output format.
    #[arg(help_heading = OUTPUT, long, default_value = "table")]
    pub(crate) format: TableOrJson,
}

#[derive(Debug, Args)]
pub(crate) struct ShrinkArguments {
    /// Failing scenario file.
    pub(crate) scenario: PathBuf,
    #[command(flatten)]
    pub(crate) changes: Changes,
    /// Maximum number of runs.
    #[arg(help_heading = EXECUTION, long, default_value_t = 20_000, value_name = "N")]
    pub(crate) runs: u64,
    /// File for the shrunk scenario [default: SCENARIO.small.yaml].
    #[arg(help_heading = OUTPUT, long, short, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Format {
    Table,
    Csv,
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum NetworkFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum PlanFormat {
    Table,
    Json,
    /// The DOT language of Graphviz.
    Dot,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum TableOrJson {
    Table,
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_argument_definitions_are_consistent() {
        Arguments::command().debug_assert();
    }
}
