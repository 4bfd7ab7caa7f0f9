//! `dmos bench`: the speed of this program on this machine, in under a minute.
//!
//! Each value is the best of several rounds, because disturbances only ever make a round slower.

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use dmos_core::strategy::{Change, FlowStrategy, Meter, PlanRequest, StrategyCall};
use dmos_core::{Flow, FlowChange, Network, NodeSet, Registry, Scenario};
use dmos_experiment::execute::{RunResult, execute, threads};
use dmos_experiment::{Experiment, Options, PreparedExperiment};
use dmos_graph::paths::Paths;
use dmos_graph::{Complexity, Generate};
use dmos_report::comparison::short;
use dmos_report::table;
use dmos_scenario::Override;
use serde_json::{Map, Number, Value};

use crate::args::{BenchArguments, TableOrJson};
use crate::error::CliError;
use crate::output::{eprint_message, print, print_json};

/// One measurement.
struct Measurement {
    name: String,
    value: f64,
    what: &'static str,
}

pub(crate) fn run(arguments: &BenchArguments, registry: &Registry) -> Result<(), CliError> {
    let mut metrics = Vec::new();
    let mut note = |name: &str, value: f64, what| {
        eprint_message(&format!("{name}: {}", short(value)));
        metrics.push(Measurement { name: name.to_owned(), value, what });
    };
    let seed = generate(20, 2, Complexity::High)?;
    for (name, what) in [
        ("memoized", "first plan for the prototype's network of 20 items"),
        (
            "exhaustive",
            "the same by the prototype's search, call by call; list scans are counted, not executed",
        ),
    ] {
        let (alive, mut planner) = (NodeSet::all(seed.node_count()), planner(name, &seed, registry)?);
        let request = PlanRequest::first(&seed, &alive);
        let took = best(|| drop(black_box(plan(&mut *planner, &request))));
        note(&format!("bootstrap_{name}_20_ns"), took.as_secs_f64() * 1e9, what);
    }
    million_nodes(registry, &mut note)?;
    let paths = Paths::new(&seed);
    let mut count = 0_u64;
    let took = once(|| {
        let mut walk = paths.walk();
        while let Some(path) = walk.next() {
            count += u64::from(!black_box(path).is_empty());
        }
    });
    note("paths_per_s", count as f64 / took.as_secs_f64(), "paths of that network enumerated");
    for (name, types, per_type, duration) in
        [("38", 20, 2, 7_200), ("1000", 335, 3, 300), ("100000", 1_000, 100, 60)]
    {
        let scenario = protocol(types, per_type, duration, registry)?;
        let mut events = 0;
        let took = best(|| events = dmos_sim::run(&scenario).events);
        note(
            &format!("protocol_events_per_s_{name}"),
            events as f64 / took.as_secs_f64(),
            "events of complete runs, with protocol, log and invariant checkers",
        );
    }
    for jobs in [NonZeroUsize::MIN, NonZeroUsize::MIN.saturating_add(1)] {
        let rate = runs(jobs, registry)?;
        let plural = if jobs == NonZeroUsize::MIN { "" } else { "s" };
        note(
            &format!("runs_per_s_{jobs}_job{plural}"),
            rate,
            "complete runs of the prototype's small experiment in `dmos compare`",
        );
    }
    match arguments.format {
        TableOrJson::Table => {
            let rows = metrics.iter().map(|f| vec![f.name.clone(), short(f.value), f.what.to_owned()]);
            print(&table::with_verdict(&["", "", ""], rows))
        }
        TableOrJson::Json => {
            let number = |value: f64| Number::from_f64(value).map_or(Value::Null, Value::Number);
            let pairs = metrics.into_iter().map(|metric| (metric.name, number(metric.value)));
            print_json(&Value::Object(pairs.collect::<Map<_, _>>()))
        }
    }
}

fn generate(types: u32, nodes_per_type: u32, complexity: Complexity) -> Result<Network, CliError> {
    let network = Generate { types, nodes_per_type, complexity, seed: 0 }.network();
    network.map_err(|error| CliError::Input(error.to_string()))
}

fn planner(name: &str, network: &Network, registry: &Registry) -> Result<Box<dyn FlowStrategy>, CliError> {
    let call = StrategyCall { name: name.to_owned(), params: Vec::new() };
    let choice = registry.flow(&call, network).map_err(|error| CliError::Input(error.to_string()))?;
    Ok(choice.build())
}

fn plan(planner: &mut dyn FlowStrategy, request: &PlanRequest<'_>) -> Flow {
    planner.plan(request, &mut Meter::new(u64::MAX)).unwrap_or_default()
}

/// 10,000 items with 100 producers each: built, planned, and repaired after failures and returns.
fn million_nodes(
    registry: &Registry,
    note: &mut impl FnMut(&str, f64, &'static str),
) -> Result<(), CliError> {
    let millis = |took: Duration| took.as_secs_f64() * 1e3;
    let built = || generate(10_000, 100, Complexity::Low);
    note(
        "million_nodes_build_ms",
        millis(best(|| drop(black_box(built())))),
        "10,000 items with 100 nodes each",
    );
    let network = built()?;
    let mut alive = NodeSet::all(network.node_count());
    let mut memoized = planner("memoized", &network, registry)?;
    let first = PlanRequest::first(&network, &alive);
    let took = best(|| drop(black_box(plan(&mut *memoized, &first))));
    note("million_nodes_plan_ms", millis(took), "first plan for one million nodes");
    let mut sticky = planner("sticky", &network, registry)?;
    let mut active = plan(&mut *sticky, &first);
    // Every node fails and returns in turn, including the only source and the only final producer.
    let (mut took, mut repairs) = (Duration::ZERO, 0_u32);
    let (mut took_of_assigned, mut of_assigned) = (Duration::ZERO, 0_u32);
    for node in network.nodes() {
        let works = active.is_assigned(node);
        for change in [Change::Failed(node), Change::Rejoined(node)] {
            match change {
                Change::Failed(_) => alive.remove(node),
                _ => alive.insert(node),
            };
            let request = PlanRequest {
                active: Some(&active),
                changes: &[change],
                ..PlanRequest::first(&network, &alive)
            };
            let mut answer = None;
            let this = once(|| answer = sticky.replan(&request, &mut Meter::new(u64::MAX)).ok());
            (took, repairs) = (took + this, repairs + 1);
            if works {
                (took_of_assigned, of_assigned) = (took_of_assigned + this, of_assigned + 1);
            }
            if let Some(change) = answer.filter(|change| *change != FlowChange::default()) {
                active = active.changed(&change);
            }
        }
    }
    let micros = |took: Duration, repairs: u32| took.as_secs_f64() * 1e6 / f64::from(repairs);
    let what = "plan repair by `sticky` after a failure or a recovery, each node in turn";
    note("million_nodes_repair_us", micros(took, repairs), what);
    let what = "the same for nodes that are assigned when they fail, the single source included";
    note("million_nodes_repair_of_assigned_us", micros(took_of_assigned, of_assigned), what);
    Ok(())
}

/// Returns a fault-free scenario on a network with a number of items and producers per item.
fn protocol(types: u32, per_type: u32, seconds: u32, registry: &Registry) -> Result<Scenario, CliError> {
    let text = include_str!("../../../../benches/scenarios/protocol.yaml").to_owned();
    let settings = [
        format!("network.generate.types={types}"),
        format!("network.generate.nodes_per_type={per_type}"),
        format!("duration={seconds}s"),
    ];
    let settings = settings.iter().map(|setting| Override::parse(setting)).collect::<Result<Vec<_>, _>>();
    let settings = settings.map_err(CliError::Input)?;
    Ok(dmos_scenario::parse("protocol.yaml", "protocol", text, &settings, registry)?.scenario)
}

/// Measures the number of runs of the prototype's small experiment per second.
fn runs(jobs: NonZeroUsize, registry: &Registry) -> Result<f64, CliError> {
    let prepared = small(registry)?;
    let pool =
        threads(Some(jobs)).map_err(|error| CliError::Output(format!("cannot start threads: {error}")))?;
    let all: Vec<usize> = (0..RUNS * jobs.get()).collect();
    let nothing = |_: RunResult| Ok::<(), CliError>(());
    let mut result = Ok(());
    let took = best(|| result = execute(&prepared, &all, &pool, &AtomicBool::new(false), nothing));
    result?;
    Ok(all.len() as f64 / took.as_secs_f64())
}

/// Number of runs for each job.
const RUNS: usize = 200;

fn small(registry: &Registry) -> Result<PreparedExperiment, CliError> {
    let text = include_str!("../../../../scenarios/seed/small-no-fail.yaml");
    let seeds = Some(dmos_scenario::Seeds { first: 1, last: 2 * RUNS as u64 });
    let own = Some("own".parse().map_err(CliError::Input)?);
    let options = Options { flows: own, seeds, ..Options::default() };
    let texts = vec![("small-no-fail.yaml".to_owned(), text.to_owned())];
    Ok(Experiment::of(texts, options, registry)?.prepared)
}

/// Approximate duration of a round, and the maximum number of rounds for each measurement.
const ROUND: Duration = Duration::from_millis(300);
const ROUNDS: u32 = 5;

/// Returns the shortest duration of `work`.
fn best(mut work: impl FnMut()) -> Duration {
    let first = once(&mut work);
    let times = (ROUND.as_nanos() / first.as_nanos().max(1)).clamp(1, 1 << 20) as u32;
    let rounds = if first > ROUND * 4 { 1 } else { ROUNDS };
    let round = |_| once(|| (0..times).for_each(|_| work())) / times;
    (0..rounds).map(round).min().unwrap_or(first).min(first)
}

/// Measures the real time of `work`, which is part of no simulation result.
#[expect(clippy::disallowed_methods)]
fn once(work: impl FnOnce()) -> Duration {
    let begun = std::time::Instant::now();
    work();
    begun.elapsed()
}
