//! Generated factories with routes, weights and alternative recipes, against the bound and the bottleneck that
//! `max-throughput` states.

use dmos_core::strategy::{PlanRequest, ThroughputBound};
use dmos_core::{Network, NodeId, NodeSet, Scenario};
use dmos_testkit::flow_strategy;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// Number of generated factories in the check of all.
const ALL: u64 = 200;

/// Minimum number of production runs of each planned machine in a window.
const WINDOW_RUNS: f64 = 60.0;

/// Maximum number of production runs and of batches of all nodes in a window.
const WINDOW_SIZE_MAX: f64 = 120_000.0;

/// Ratios of the mean transit to the median process time.
const TRANSITS: [f64; 3] = [0.0, 1.0, 30.0];

const SITES: [&str; 3] = ["north", "south", "east"];

/// A node: item, yield, inputs with quantities, process time in microseconds, site.
struct Machine {
    item: usize,
    makes: u32,
    needs: Vec<(usize, u32)>,
    process_time: f64,
    site: usize,
}

/// A generated factory.
struct Factory {
    machines: Vec<Machine>,
    /// Final items with weights.
    finals: Vec<(usize, u32)>,
    /// Transit time in microseconds from site to site.
    transits: [[f64; 3]; 3],
}

/// A plan of a factory.
struct Plan {
    bound: ThroughputBound,
    /// By node, planned production runs per second.
    runs: Vec<f64>,
}

impl Factory {
    fn generate(seed: u64) -> Self {
        (0..).find_map(|attempt| Self::attempt(seed, attempt)).expect("some attempt is small enough")
    }

    /// Generates a factory, unless its windows would be too long.
    fn attempt(seed: u64, attempt: u64) -> Option<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed * 1_000 + attempt);
        let mut factory = Self::structure(&mut rng);
        for machine in &mut factory.machines {
            machine.process_time = (1e6 * 10f64.powf(rng.random_range(-1.0..=2.0))).round();
        }
        if seed.is_multiple_of(2) {
            factory.balance(&mut rng);
        }
        let mut times: Vec<f64> = factory.machines.iter().map(|machine| machine.process_time).collect();
        times.sort_by(f64::total_cmp);
        let mean = TRANSITS[usize::try_from(seed / 2 % 3).expect("one of three")] * times[times.len() / 2];
        factory.transits.as_flattened_mut().iter_mut().for_each(|transit| {
            *transit = (mean * rng.random_range(0.5..=1.5)).round();
        });
        let plan = factory.plan();
        let window = factory.window(&plan);
        let batches = |(machine, runs): (&Machine, &f64)| {
            let inputs: u32 = machine.needs.iter().map(|(_, quantity)| quantity).sum();
            runs * window * f64::from(1 + inputs.max(machine.makes) / 10)
        };
        let size: f64 = factory.machines.iter().zip(&plan.runs).map(batches).sum();
        (size <= WINDOW_SIZE_MAX).then_some(factory)
    }

    /// Generates two to eight tiers of items, each with one to three machines, some of which have recipes of
    /// their own.
    fn structure(rng: &mut ChaCha8Rng) -> Self {
        let depth = rng.random_range(2..=8);
        let (mut machines, mut tier, mut items) = (Vec::new(), 0..0, 0);
        for level in 0..depth {
            let start = items;
            for _ in 0..rng.random_range(1..=3) {
                let mut recipe = recipe(rng, tier.clone(), level);
                for nth in 0..rng.random_range(1..=3) {
                    if nth > 0 && rng.random_bool(0.4) {
                        recipe = self::recipe(rng, tier.clone(), level);
                    }
                    let (makes, needs) = recipe.clone();
                    let site = rng.random_range(0..SITES.len());
                    machines.push(Machine { item: items, makes, needs, process_time: 0.0, site });
                }
                items += 1;
            }
            tier = start..items;
        }
        // Items that nothing needs are final, and sometimes one that is needed.
        let is_needed = |item: usize| {
            machines.iter().any(|machine: &Machine| machine.needs.iter().any(|(need, _)| *need == item))
        };
        let extra = rng.random_range(0..items * 3);
        let finals = (0..items).filter(|&item| !is_needed(item) || item == extra);
        let finals = finals.map(|item| (item, weight(rng))).collect();
        Self { machines, finals, transits: [[0.0; 3]; 3] }
    }

    /// Sets the process times of all planned machines so that they are loaded to 80 to 100 %.
    fn balance(&mut self, rng: &mut ChaCha8Rng) {
        let plan = self.plan();
        for (machine, &runs) in self.machines.iter_mut().zip(&plan.runs) {
            if runs > 0.0 {
                machine.process_time = (1e6 / runs * rng.random_range(0.8..=1.0)).round().max(1.0);
            }
        }
    }

    /// Returns the scenario, with a duration and an interval of samples in microseconds.
    fn scenario(&self, stock_limit: u32, duration: f64, sample_every: f64) -> Scenario {
        let node = |(index, machine): (usize, &Machine)| {
            let Machine { item, makes, needs, process_time, site } = machine;
            let needs: Vec<String> =
                needs.iter().map(|(need, quantity)| format!("i{need}: {quantity}")).collect();
            let (needs, site) = (needs.join(", "), SITES[*site]);
            format!(
                "{{name: n{index}, makes: {{i{item}: {makes}}}, needs: {{{needs}}}, process_time: {process_time}us, site: {site}}}"
            )
        };
        let nodes: Vec<String> = self.machines.iter().enumerate().map(node).collect();
        let finals: Vec<String> =
            self.finals.iter().map(|(item, weight)| format!("i{item}: {weight}")).collect();
        let is_used = |site: usize| self.machines.iter().any(|machine| machine.site == site);
        let pairs = (0..3).flat_map(|from| (0..3).map(move |to| (from, to)));
        let routes = pairs.filter(|&(from, to)| is_used(from) && is_used(to)).map(|(from, to)| {
            let (transit, from, to) = (self.transits[from][to], SITES[from], SITES[to]);
            format!("{{from: {from}, to: {to}, transit: {transit}us}}")
        });
        let routes: Vec<String> = routes.collect();
        let (heartbeat, suspect_after) = (sample_every / 10.0, sample_every);
        dmos_testkit::scenario(&format!(
            "network: {{nodes: [{}], final: {{{}}}}}\nflow: max-throughput\nduration: {duration:.0}us\nsample_every: {sample_every:.0}us\nsites: {{routes: [{}]}}\ndelays: {{message: 0s}}\nprotocol: {{heartbeat: {heartbeat:.0}us, suspect_after: {suspect_after:.0}us, stock_limit: {stock_limit}}}\n",
            nodes.join(", "),
            finals.join(", "),
            routes.join(", "),
        ))
    }

    fn network(&self) -> Scenario {
        self.scenario(10, 1e6, 1e6)
    }

    fn plan(&self) -> Plan {
        let scenario = self.network();
        let network = &*scenario.network;
        let alive = NodeSet::all(network.node_count());
        let request = PlanRequest::first(network, &alive);
        let mut planner = flow_strategy("max-throughput", network);
        planner.plan(&request, &mut dmos_core::Meter::new(u64::MAX)).expect("a flow");
        let rates = planner.rates().expect("planned rates");
        let runs = network.nodes().map(|node| rates.runs(node).as_f64()).collect();
        Plan { bound: planner.bound(&request).expect("a bound"), runs }
    }

    /// Returns a window in seconds in which every planned machine runs at least `WINDOW_RUNS` times, and in which
    /// the factory fills: on the longest path, each machine in turn waits for a transit, for an exchange of
    /// buffers, and for its run.
    fn window(&self, plan: &Plan) -> f64 {
        let planned = plan.runs.iter().copied().filter(|&runs| runs > 0.0);
        let least = planned.fold(f64::MAX, f64::min);
        let transit = self.transits.as_flattened().iter().copied().fold(0.0, f64::max) / 1e6;
        let items = self.machines.last().map_or(0, |machine| machine.item + 1);
        let mut filled = vec![0.0_f64; items];
        for (machine, &runs) in self.machines.iter().zip(&plan.runs) {
            let inputs = machine.needs.iter().map(|(need, _)| filled[*need]).fold(0.0, f64::max);
            let between_runs = if runs > 0.0 { 1.0 / runs } else { 0.0 };
            filled[machine.item] = filled[machine.item].max(inputs + transit + 4.0 * between_runs);
        }
        let fill = filled.iter().copied().fold(0.0, f64::max);
        (WINDOW_RUNS / least).max(2.0 * fill).ceil()
    }

    /// Runs the factory for some windows, of which the last is measured. Returns the complete sets by the end of
    /// each window, and the measured bottleneck.
    fn run(&self, window: f64, windows: u32, stock_limit: u32) -> (Vec<f64>, Option<NodeId>) {
        let mut scenario = self.scenario(stock_limit, f64::from(windows) * 1e6 * window, 1e6 * window);
        scenario.measure_from = scenario.sample_every * u64::from(windows - 1);
        let record = dmos_sim::run(&scenario);
        assert!(record.is_clean(), "{:#?}", record.violations);
        let sets = record.series.iter().skip(1).map(|sample| sample.complete_sets as f64).collect();
        (sets, record.bottleneck(&scenario.network).map(|bottleneck| bottleneck.node))
    }

    /// Returns the number of complete sets that a production run of a final item makes, at most.
    fn largest_run(&self) -> f64 {
        let of_final = |&(item, weight): &(usize, u32)| {
            let makes =
                self.machines.iter().filter(|machine| machine.item == item).map(|machine| machine.makes);
            makes.max().unwrap_or(1).div_ceil(weight)
        };
        f64::from(self.finals.iter().map(of_final).max().unwrap_or(1))
    }
}

/// Generates a yield, and inputs from earlier tiers.
fn recipe(rng: &mut ChaCha8Rng, tier: std::ops::Range<usize>, level: usize) -> (u32, Vec<(usize, u32)>) {
    let makes = if rng.random_bool(0.7) { 1 } else { rng.random_range(1..=20) };
    let mut needs: Vec<(usize, u32)> = Vec::new();
    if level > 0 {
        needs.push((rng.random_range(tier.clone()), quantity(rng)));
        let other = rng.random_range(0..tier.end);
        if rng.random_bool(0.5) && needs[0].0 != other {
            needs.push((other, quantity(rng)));
        }
    }
    (makes, needs)
}

fn quantity(rng: &mut ChaCha8Rng) -> u32 {
    if rng.random_bool(0.7) { 1 } else { rng.random_range(1..=10) }
}

fn weight(rng: &mut ChaCha8Rng) -> u32 {
    if rng.random_bool(0.5) { 1 } else { rng.random_range(2..=9) }
}

/// Returns the bound of a network with some nodes at twice their speed.
fn bound_with(network: &Network, is_doubled: impl Fn(NodeId) -> bool) -> f64 {
    let times = |node: NodeId| dmos_core::Span::from_nanos(network.process_time(node).as_nanos() / 2);
    let faster = network
        .clone()
        .with_process_times(|node| if is_doubled(node) { times(node) } else { network.process_time(node) });
    let alive = NodeSet::all(network.node_count());
    let planner = flow_strategy("max-throughput", &faster);
    planner.bound(&PlanRequest::first(&faster, &alive)).expect("a bound").sets_per_second
}

/// Checks that twice the speed of the whole bottleneck raises the bound, that twice the speed of any or all other
/// nodes does not, and that no node could be left out.
fn check_bottleneck(seed: u64) {
    let factory = Factory::generate(seed);
    let (scenario, plan) = (factory.network(), factory.plan());
    let network = &*scenario.network;
    let ThroughputBound { sets_per_second: bound, bottleneck } = plan.bound;
    assert!(!bottleneck.is_empty(), "seed {seed}");
    let is_in = |node: NodeId| bottleneck.contains(&node);
    let raised = |is_doubled: &dyn Fn(NodeId) -> bool| bound_with(network, is_doubled) / bound;
    assert!(raised(&is_in) > 1.0 + 1e-5, "seed {seed}: the bottleneck does not limit");
    assert!(raised(&|node| !is_in(node)) < 1.0 + 1e-5, "seed {seed}: other nodes limit");
    for other in network.nodes().filter(|&node| !is_in(node)) {
        assert!(raised(&|node| node == other) < 1.0 + 1e-5, "seed {seed}: node {other} limits");
    }
}

/// Compares factories with their bounds, and prints the worst: between 95 and 100 % with default buffers, and
/// between 99 and 100 % with large ones. Where the stated bottleneck is a single node, it is the measured one in at
/// least 95 % of the factories.
#[expect(clippy::print_stdout, reason = "the worst ratios are the result of the check of all")]
fn check(seeds: impl Iterator<Item = u64>) {
    let (mut worst, mut count) = ([f64::MAX; 2], 0);
    let (mut single, mut agree) = (0, 0);
    for seed in seeds {
        let factory = Factory::generate(seed);
        let plan = factory.plan();
        let window = factory.window(&plan);
        let largest = factory.machines.iter().map(|machine| 4 * machine.makes).max().unwrap_or(0).max(40);
        let possible = window * plan.bound.sets_per_second;
        // Large buffers take longer to fill.
        for (at, windows, stock_limit, least) in [(0, 2, 10, 0.95), (1, 3, largest, 0.99)] {
            let (sets, busiest) = factory.run(window, windows, stock_limit);
            if let ([planned], 0) = (&plan.bound.bottleneck[..], at) {
                single += 1;
                agree += u32::from(busiest == Some(*planned));
            }
            for (nth, &sets) in sets.iter().enumerate() {
                let possible = possible * (nth + 1) as f64;
                assert!(sets <= possible + 1e-6, "seed {seed}: {sets} sets of {possible}");
            }
            let [.., before, end] = sets[..] else { panic!("a sample for each window") };
            let ratio = (end - before + factory.largest_run()) / possible;
            if ratio < least {
                println!("seed {seed}: {ratio} with room for {stock_limit}");
            }
            worst[at] = worst[at].min(ratio);
        }
        count += 1;
    }
    println!("worst of {count}: {} with default buffers, {} with large ones", worst[0], worst[1]);
    println!("{agree} of {single} bottlenecks of one node are measured as such");
    assert!(worst[0] >= 0.95 && worst[1] >= 0.99);
    assert!(single >= count / 4 && f64::from(agree) >= 0.95 * f64::from(single));
}

#[test]
fn the_bottleneck_limits_and_nothing_else_does() {
    (0..ALL).for_each(check_bottleneck);
}

#[test]
fn a_few_factories_reach_the_stated_bound() {
    check(0..12);
}

#[test]
#[ignore = "takes minutes; `.ci/run` runs it"]
fn all_balanced_factories_reach_the_stated_bound() {
    check((0..ALL).step_by(2));
}

#[test]
#[ignore = "takes minutes; `.ci/run` runs it"]
fn all_other_factories_reach_the_stated_bound() {
    check((1..ALL).step_by(2));
}
