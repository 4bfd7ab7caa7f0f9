//! The arguments as they are typed.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use dmos_core::Span;
use dmos_core::strategy::StrategyCall;
use dmos_scenario::{Override, Seeds, Strategies};

/// Simulates self-organising factory networks and compares the algorithms that run them.
#[derive(Debug, Parser)]
#[command(name = "dmos", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Simulate scenarios and print the metric table of each run.
    Run(RunArguments),
    /// Compare strategies on scenarios: which wins, by how much, and how sure that is.
    Compare(CompareArguments),
    /// Take out each node in turn: which of them a network cannot do without.
    Criticality(CriticalityArguments),
    /// Make the runs of a comparison on other machines, in shards.
    Sweep(SweepArguments),
    /// Check scenarios without running them.
    Check(CheckArguments),
    /// Show who makes what out of what.
    Network(NetworkArguments),
    /// Plan the flow once, and say why it is as it is.
    Plan(PlanArguments),
    /// List the strategies there are, show, check or begin one.
    Strategies(StrategiesArguments),
    /// Search for a run in which something is lost: draw scenarios and faults, run them, and audit them.
    Fuzz(FuzzArguments),
    /// Measure how fast this program is on this machine, in under a minute.
    Bench(BenchArguments),
    /// Make a scenario that fails small, while it still fails in the same way.
    Shrink(ShrinkArguments),
}

/// What changes a scenario from the command line.
#[derive(Debug, Args)]
pub(crate) struct Changes {
    /// Plan flows with this strategy: `name` or `name:parameter=value,...`.
    #[arg(long, value_name = "NAME")]
    flow: Option<String>,
    /// Find the leader with this strategy: `name` or `name:parameter=value,...`.
    #[arg(long, value_name = "NAME")]
    leader: Option<String>,
    /// Run this long, for example `90s` or `10min`.
    #[arg(long)]
    duration: Option<String>,
    /// Set any field of the scenario, for example `network.generate.types=12`.
    #[arg(long, value_name = "PATH=VALUE", value_parser = Override::parse)]
    set: Vec<Override>,
}

impl Changes {
    /// In the order in which they apply: what has an option of its own comes last.
    pub(crate) fn overrides(&self) -> Vec<Override> {
        let options = [("flow", &self.flow), ("leader", &self.leader), ("duration", &self.duration)];
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
    /// The seed, or several as `1..5`, both ends included.
    #[arg(long, value_name = "N|A..B")]
    pub(crate) seed: Option<Seeds>,
    /// How to print.
    #[arg(long, default_value = "table")]
    pub(crate) format: Format,
    /// Write a run directory; with several runs, one below it for each.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Print ours beside a published table in the same columns; with several seeds, their mean.
    #[arg(long, value_name = "TABLE.csv")]
    pub(crate) against: Option<PathBuf>,
    /// Write every event of the run to this file, one line each; for one scenario and one seed.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Make each run twice, and compare them event by event.
    #[arg(long)]
    pub(crate) twice: bool,
    /// Exit with 1 if the invariant checker find anything, or a planner failed.
    #[arg(long)]
    pub(crate) strict: bool,
}

/// What is compared.
#[derive(Debug, Args)]
pub(crate) struct ExperimentArguments {
    /// Scenario files, or one experiment's file.
    #[arg(value_name = "SCENARIO|EXPERIMENT")]
    pub(crate) files: Vec<PathBuf>,
    /// Flow strategies, between commas; `all`, or `own` for what each scenario says.
    #[arg(long, value_name = "A,B,...")]
    pub(crate) flow: Option<Strategies>,
    /// Leader strategies, likewise.
    #[arg(long, value_name = "X,Y,...")]
    pub(crate) leader: Option<Strategies>,
    /// Seeds, both ends included [default: 1..30].
    #[arg(long, value_name = "A..B")]
    pub(crate) seeds: Option<Seeds>,
    /// What the others are compared with: `flow/leader`, or `flow` [default: the first of each].
    #[arg(long, value_name = "A/X")]
    pub(crate) baseline: Option<String>,
    /// Rank by this; may be given several times [default: finished_goods].
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) metric: Vec<String>,
    /// Run each this long, for example `90s` or `10min`.
    #[arg(long)]
    pub(crate) duration: Option<String>,
    /// Set any field of every scenario, for example `protocol.cycle=2s`.
    #[arg(long, value_name = "PATH=VALUE", value_parser = Override::parse)]
    pub(crate) set: Vec<Override>,
}

/// How an answer is printed.
#[derive(Debug, Args)]
pub(crate) struct AnswerArguments {
    /// How to print; `runs` prints the metrics of every run as CSV.
    #[arg(long, default_value = "table")]
    pub(crate) format: AnswerFormat,
    /// Show so many rows of each table, and the baseline; 0 shows all.
    #[arg(long, default_value_t = 12, value_name = "N")]
    pub(crate) top: usize,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArguments {
    #[command(flatten)]
    pub(crate) experiment: ExperimentArguments,
    /// Run the experiment of these earlier results again, and exit with 1 if anything got worse.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["files", "flow", "leader", "seeds", "baseline", "metric", "duration", "set"])]
    pub(crate) against: Option<PathBuf>,
    /// How many runs at once; one for each core by default. The answer is the same.
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Keep results there as they finish; what is there already is not run again.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) answer: AnswerArguments,
}

#[derive(Debug, Args)]
pub(crate) struct CriticalityArguments {
    /// Scenario file; what fails in it does not.
    pub(crate) scenario: PathBuf,
    #[command(flatten)]
    pub(crate) changes: Changes,
    /// Take out each two nodes as well.
    #[arg(long)]
    pub(crate) pairs: bool,
    /// When nodes are taken out [default: after a quarter of the duration].
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<Span>,
    /// The seed [default: the scenario's].
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// How many runs at once; one for each core by default.
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Show so many rows of each table; 0 shows all.
    #[arg(long, default_value_t = 30, value_name = "N")]
    pub(crate) top: usize,
    /// How to print.
    #[arg(long, default_value = "table")]
    pub(crate) format: Format,
}

#[derive(Debug, Args)]
pub(crate) struct SweepArguments {
    #[command(subcommand)]
    pub(crate) command: SweepCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SweepCommand {
    /// List the runs of a comparison, cut into shards, in a manifest.
    Plan {
        #[command(flatten)]
        experiment: ExperimentArguments,
        /// How many shards: 4 to 10 for each that runs at once, each of at least half a minute.
        #[arg(long, value_name = "N")]
        shards: NonZeroUsize,
        /// The manifest to write.
        #[arg(long, short, value_name = "MANIFEST")]
        out: PathBuf,
    },
    /// Make the runs of one shard. Exit code 0: done, 1: some runs failed, 2: bad input, 75: interrupted.
    Run {
        /// The manifest.
        #[arg(long)]
        manifest: PathBuf,
        /// Which shard, from 0; `auto` takes the number of the batch engine's task.
        #[arg(long, value_name = "I|auto")]
        shard: Shard,
        /// Where results are kept.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// How many runs at once; one for each core by default.
        #[arg(long, value_name = "N")]
        jobs: Option<NonZeroUsize>,
    },
    /// Say how far a sweep is; exit with 3 if it is not complete.
    Status {
        /// Where results are kept.
        dir: PathBuf,
        /// The manifest, if nothing may have been run yet.
        #[arg(long)]
        manifest: Option<PathBuf>,
        /// Print only which shards are not complete, as `3,7,12-14`.
        #[arg(long)]
        missing: bool,
    },
    /// Put the results together and print the answer; exit with 3 if runs are missing.
    Merge {
        /// Where results are kept.
        #[arg(required = true, value_name = "DIR")]
        dirs: Vec<PathBuf>,
        /// Answer from what is there.
        #[arg(long)]
        allow_missing: bool,
        #[command(flatten)]
        answer: AnswerArguments,
    },
    /// Print a script for a batch engine; nothing is run.
    Emit {
        /// For which engine.
        engine: Engine,
        /// The manifest, as tasks find it.
        #[arg(long)]
        manifest: PathBuf,
        /// Where tasks keep results.
        #[arg(long, default_value = "results", value_name = "DIR")]
        out: PathBuf,
        /// Number of runs at once in a task, and so many cores for it.
        #[arg(long, default_value = "1", value_name = "N")]
        jobs: NonZeroUsize,
    },
}

/// Which shard to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shard {
    /// The number of the batch engine's task.
    Auto,
    /// This one.
    Number(usize),
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            number => match number.parse() {
                Ok(number) => Ok(Self::Number(number)),
                Err(_) => Err("it is the number of a shard, or `auto`".to_owned()),
            },
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// How to print.
    #[arg(long, default_value = "table")]
    pub(crate) format: PlanFormat,
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
pub(crate) enum AnswerFormat {
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
    /// How to print.
    #[arg(long, default_value = "text")]
    pub(crate) format: NetworkFormat,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    /// Scenario file.
    pub(crate) scenario: PathBuf,
    #[command(flatten)]
    pub(crate) changes: Changes,
    /// Let this node die after a first plan, and plan again.
    #[arg(long, value_name = "NODE")]
    pub(crate) without: Vec<String>,
    /// Say what is different from the plan of another strategy: `name` or `name:parameter=value,...`.
    #[arg(long, value_name = "OTHER")]
    pub(crate) diff: Option<StrategyCall>,
    /// List so many of the cheapest plans with one producer for each item, whatever the strategy.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub(crate) best: usize,
    /// How to print.
    #[arg(long, default_value = "table")]
    pub(crate) format: GraphFormat,
}

#[derive(Debug, Args)]
pub(crate) struct StrategiesArguments {
    #[command(subcommand)]
    pub(crate) command: Option<StrategiesCommand>,
    /// How to print.
    #[arg(long, default_value = "table")]
    pub(crate) format: PlanFormat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StrategiesCommand {
    /// Show all there is to know of a strategy.
    Show {
        /// The strategy.
        name: String,
        /// How to print.
        #[arg(long, default_value = "table")]
        format: PlanFormat,
    },
    /// Check whether a strategy keeps the contract; exit with 1 if it does not.
    Check {
        /// The strategy: `name` or `name:parameter=value,...`.
        #[arg(value_name = "NAME")]
        call: StrategyCall,
        /// Number of runs to make with a leader strategy.
        #[arg(long, default_value_t = 2_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        runs: u64,
    },
    /// Write a small crate with a strategy of your own, to begin from.
    New(NewArguments),
}

#[derive(Debug, Args)]
pub(crate) struct NewArguments {
    /// The name of the strategy and its crate.
    pub(crate) name: String,
    /// What it plans.
    #[arg(long, default_value = "flow")]
    pub(crate) kind: Family,
    /// The directory to write the crate into, below its name.
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// A checkout of DMOS to build with, if it is not where this program was built from.
    #[arg(long, value_name = "DIR")]
    pub(crate) sources: Option<PathBuf>,
}

/// The two families of strategies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Family {
    Flow,
    Leader,
}

#[derive(Debug, Args)]
pub(crate) struct FuzzArguments {
    /// Scenario file whose faults and seed are drawn; without one, everything is.
    pub(crate) scenario: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) changes: Changes,
    /// The most runs to make.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    pub(crate) runs: u64,
    /// The longest to search, in real time, for example `10min`. How far it gets depends on the machine.
    #[arg(long, value_name = "TIME")]
    pub(crate) time: Option<Span>,
    /// How many runs at once; one for each core by default. The result is the same.
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// The seed of everything drawn.
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub(crate) seed: u64,
    /// The number of the first run, to go on with a search or to look at one run.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) first: u64,
    /// Where to write a scenario that fails.
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// How to print.
    #[arg(long, default_value = "table")]
    pub(crate) format: PlanFormat,
}

#[derive(Debug, Args)]
pub(crate) struct ShrinkArguments {
    /// Scenario file that fails.
    pub(crate) scenario: PathBuf,
    #[command(flatten)]
    pub(crate) changes: Changes,
    /// The most runs to make.
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    pub(crate) runs: u64,
    /// Where to write the small scenario; `SCENARIO.small.yaml` by default.
    #[arg(long, short, value_name = "FILE")]
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
pub(crate) enum GraphFormat {
    Table,
    Json,
    /// For Graphviz.
    Dot,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum PlanFormat {
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
