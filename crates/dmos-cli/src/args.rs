//! The arguments as they are typed.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use dmos_core::Span;
use dmos_core::strategy::StrategyCall;
use dmos_scenario::{Override, Seeds};

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
    /// Make each run twice, and compare them event by event.
    #[arg(long)]
    pub(crate) twice: bool,
    /// Exit with 1 if the auditors find anything, or a planner failed.
    #[arg(long)]
    pub(crate) strict: bool,
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
        /// How many runs to make with a leader strategy.
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
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
