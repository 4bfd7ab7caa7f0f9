//! Examples and exit codes at the end of the help of each command.

/// Exit codes shared by all commands.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
  0   success
  1   a check found something, a run failed, or output could not be written
  2   invalid input; nothing was run
  3   incomplete results
  75  interrupted by a signal; run the same command again to continue";

pub(super) const RUN_HELP: &str = "\
Examples:
  dmos run scenarios/door-factory-failures.yaml
  dmos run SCENARIO --seed 1..10 --format json
  dmos run SCENARIO --flow balanced:max_suppliers=3 --leader raft --out results/first
  dmos run SCENARIO --set protocol.cycle=2s --trace events.txt

Exit codes:
  0   success
  1   a planner failed; with --strict: an invariant was violated; or output could not be written
  2   invalid input; nothing was run";

pub(super) const COMPARE_HELP: &str = "\
Examples:
  dmos compare scenarios/*.yaml --flow all --seeds 1..30
  dmos compare SCENARIO --leader bully,raft --baseline memoized/bully --metric loss
  dmos compare experiments/failure-rates.yaml --out results
  dmos compare --against results

Exit codes:
  0   success
  1   a run failed, or with --against a metric deteriorated
  2   invalid input; nothing was run
  75  interrupted; with --out the same command continues";

pub(super) const CRITICALITY_HELP: &str = "\
Examples:
  dmos criticality SCENARIO --flow memoized
  dmos criticality SCENARIO --pairs --at 5min --format csv";

pub(super) const SWEEP_HELP: &str = "\
Examples:
  dmos sweep plan SCENARIO --flow all --shards 64 -o manifest.json
  dmos sweep emit slurm --manifest manifest.json > sweep.sbatch
  dmos sweep run --manifest manifest.json --shard 3 --out results
  dmos sweep status results
  dmos sweep merge results";

pub(super) const CHECK_HELP: &str = "\
Examples:
  dmos check scenarios/*.yaml
  dmos check SCENARIO --set faults.heal_at=5min

Exit codes:
  0   all files are valid
  2   a file is invalid";

pub(super) const NETWORK_HELP: &str = "\
Examples:
  dmos network SCENARIO
  dmos network SCENARIO --format json";

pub(super) const PLAN_HELP: &str = "\
Examples:
  dmos plan SCENARIO --flow max-throughput
  dmos plan SCENARIO --without hinge-1 --diff memoized
  dmos plan SCENARIO --best 5
  dmos plan SCENARIO --format dot | dot -Tsvg > plan.svg";

pub(super) const STRATEGIES_HELP: &str = "\
Examples:
  dmos strategies
  dmos strategies show raft
  dmos strategies check balanced:max_suppliers=3
  dmos strategies new my-planner --kind flow";

pub(super) const FUZZ_HELP: &str = "\
Examples:
  dmos fuzz --runs 10000
  dmos fuzz SCENARIO --time 10min --seed 7

Exit codes:
  0   no violation found
  1   a violation was found; the scenario and the command that replays it are printed
  2   invalid input; nothing was run";

pub(super) const SHRINK_HELP: &str = "\
Examples:
  dmos shrink failing.yaml -o small.yaml

Exit codes:
  0   the scenario was shrunk
  1   the scenario does not fail
  2   invalid input; nothing was run";
