//! The report of a run as an engineer of the factory reads it: output, bottleneck, machines, membership, faults.
//!
//! Several seeds are reported by means, the output with an interval.

pub mod facts;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use dmos_compare::statistics::student_half_width;
use dmos_core::record::NodeUsage;
use dmos_core::strategy::ThroughputBound;
use dmos_core::{FaultKind, ItemId, Metric, Network, NodeId, RunRecord, Scenario, Span, Time};

use crate::table;
use facts::{halves, healthy_removals, is_idle_spare, longest_leaderless, warm_up};

/// Maximum number of nodes in the table, unless all are requested.
const NODES_MAX: usize = 24;

/// Relative change of the output by which a warm-up is worth a warning.
const WARM_UP_MATTERS: f64 = 0.05;

/// Maximum number of names in a list.
const NAMES_MAX: usize = 4;

/// The runs of one scenario, with what they are compared to.
pub struct FactoryReport<'a> {
    /// The scenario.
    pub scenario: &'a Scenario,
    /// The first seed; the others follow.
    pub first_seed: u64,
    /// A run for each seed; at least one.
    pub runs: &'a [RunRecord],
    /// The same runs without faults, if there are faults.
    pub fault_free: &'a [RunRecord],
    /// Throughput that the machines allow, if it is known.
    pub bound: Option<ThroughputBound>,
    /// Complete sets per hour that the first flow allows, if it is known.
    pub flow_sets_per_hour: Option<f64>,
    /// Time of the first finished batch in a longer run without faults, if nothing was finished.
    pub first_finished: Option<Time>,
    /// True if all nodes are listed.
    pub lists_all: bool,
}

impl FactoryReport<'_> {
    /// Formats the report.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.header();
        text.push_str(&self.output());
        if !self.runs[0].usage.is_empty() {
            text.push_str(&self.bottleneck());
            text.push_str(&self.nodes());
        }
        text.push_str(&self.membership());
        text.push_str(&self.faults());
        text.push_str(&self.notes());
        text
    }

    fn network(&self) -> &Network {
        &self.scenario.network
    }

    fn measured_hours(&self) -> f64 {
        (self.scenario.duration - self.scenario.measure_from).as_secs_f64() / 3_600.0
    }

    /// Returns the mean of a number over the runs.
    fn mean(&self, number: impl Fn(&RunRecord) -> f64) -> f64 {
        mean(self.runs, number)
    }

    fn header(&self) -> String {
        let scenario = self.scenario;
        let seeds = match self.runs.len() as u64 {
            1 => format!("seed {}", self.first_seed),
            count => format!("mean of seeds {} to {}", self.first_seed, self.first_seed + count - 1),
        };
        let from = match scenario.measure_from {
            Span::ZERO => String::new(),
            from => format!(", of which the first {} do not count", clock(from)),
        };
        format!(
            "{}, {seeds}, {}{from}, flow {}, leader {}\n",
            scenario.name,
            clock(scenario.duration),
            scenario.flow.brief(),
            scenario.leader.brief()
        )
    }

    /// Formats a number of finished goods or sets, with the interval over the seeds and the rate.
    fn quantity(&self, number: impl Fn(&RunRecord) -> f64) -> String {
        let values: Vec<f64> = self.runs.iter().map(number).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let interval = match student_half_width(&values) {
            Some(half_width) => format!(" ± {}", short(half_width)),
            None => String::new(),
        };
        format!("{}{interval} ({}/h)", short(mean), short(mean / self.measured_hours()))
    }

    fn output(&self) -> String {
        let network = self.network();
        let finals = network.final_items();
        let of_item = |&item: &ItemId| {
            let quantity = self.quantity(|run| run.finished(network, item) as f64);
            format!("{} {quantity}", network.item_name(item))
        };
        let shown = finals.iter().take(NAMES_MAX).map(of_item).collect::<Vec<_>>();
        let mut text = line("finished", &listed(shown, finals.len()));
        let has_one = matches!(network.final_weights().collect::<Vec<_>>()[..], [(_, 1)]);
        if !has_one {
            let sets = self.quantity(|run| run.complete_sets(network) as f64);
            let of_set = network.final_weights().take(NAMES_MAX);
            let of_set = of_set.map(|(item, weight)| format!("{weight} {}", network.item_name(item)));
            let of_set = listed(of_set.collect(), finals.len());
            text.push_str(&line("complete sets", &format!("{sets}, each of {of_set}")));
        }
        if let Some(flow_time) = self.flow_time() {
            text.push_str(&line("flow time", &flow_time));
        }
        let noun = if has_one { "" } else { " sets" };
        let sets = |run: &RunRecord| run.complete_sets(network) as f64;
        if !self.fault_free.is_empty() {
            let (with, without) = (self.mean(sets), mean(self.fault_free, sets));
            let lost = if without > 0.0 { (without - with) / without } else { 0.0 };
            let per_hour = short(without / self.measured_hours());
            let text_of_loss =
                format!("{}{noun} ({per_hour}/h), so faults cost {}", short(without), percent(lost));
            text.push_str(&line("without faults", &text_of_loss));
        }
        text.push_str(&self.possible(noun));
        text
    }

    /// States what the machines allow.
    fn possible(&self, noun: &str) -> String {
        let network = self.network();
        let mut possible = Vec::new();
        if let Some(planned) = self.flow_sets_per_hour {
            possible.push(format!("{}{noun}/h with the machines of the first plan", short(planned)));
        }
        if let Some(bound) = &self.bound {
            let names = bound.bottleneck.iter().map(|&node| network.node_name(node).into_owned());
            let names = listed(names.take(NAMES_MAX).collect(), bound.bottleneck.len());
            let limited = if names.is_empty() { String::new() } else { format!(", limited by {names}") };
            let sets = short(bound.sets_per_second * 3_600.0);
            possible.push(format!("{sets}{noun}/h with all machines{limited}"));
        }
        if possible.is_empty() { String::new() } else { line("at most", &possible.join("; ")) }
    }

    /// Returns the flow time of finished goods.
    fn flow_time(&self) -> Option<String> {
        let times = self.runs.iter().filter_map(|run| run.flow_time);
        let max = times.clone().map(|time| time.max).max()?;
        let count: u64 = times.clone().map(|time| time.count).sum();
        let sum: f64 = times.map(|time| time.mean.as_secs_f64() * time.count as f64).sum();
        let mean = Span::from_nanos((sum / count as f64 * 1e9) as u64);
        Some(format!(
            "{} on average, {} at most, since its oldest material was made",
            clock(mean),
            clock(max)
        ))
    }

    /// Names the node that most runs measured as the bottleneck.
    fn bottleneck(&self) -> String {
        let measured: Vec<_> = self.runs.iter().filter_map(|run| run.bottleneck(self.network())).collect();
        let mut votes: BTreeMap<NodeId, usize> = BTreeMap::new();
        measured.iter().for_each(|bottleneck| *votes.entry(bottleneck.node).or_default() += 1);
        let Some((&node, &count)) =
            votes.iter().max_by_key(|(node, count)| (**count, std::cmp::Reverse(**node)))
        else {
            return line("bottleneck", "none: no machine worked");
        };
        let of_node = || measured.iter().filter(|bottleneck| bottleneck.node == node);
        let working = of_node().map(|bottleneck| bottleneck.working).sum::<f64>() / count as f64;
        let longest = of_node().map(|bottleneck| bottleneck.longest_working).max().unwrap_or_default();
        let runs = if self.runs.len() > 1 {
            format!(" in {count} of {} runs", self.runs.len())
        } else {
            String::new()
        };
        line(
            "busiest machine",
            &format!(
                "{}{runs}, working {} of the time in which it was up and in the plan, up to {} without a break",
                self.network().node_name(node),
                percent(working),
                clock(longest)
            ),
        )
    }

    fn nodes(&self) -> String {
        let network = self.network();
        let is_spare = |node: &NodeId| {
            self.runs
                .iter()
                .all(|run| is_idle_spare(&run.usage[node.index()]) && made(network, run, *node) == 0.0)
        };
        let mut nodes: Vec<NodeId> = facts::nodes_in_order(network).collect();
        let total = nodes.len();
        let mut spares = 0;
        if !self.lists_all {
            nodes.retain(|node| !is_spare(node));
            spares = total - nodes.len();
            self.keep_busiest(&mut nodes);
        }
        let header = [
            "node",
            "made",
            "working",
            "starved",
            "blocked",
            "idle",
            "down",
            "input",
            "in transit",
            "output",
            "waiting for",
        ];
        let mut text = String::from("\n");
        text.push_str(&table::with_verdict(&header, nodes.iter().map(|&node| self.row(node))));
        let others = total - spares - nodes.len();
        let hidden = [(spares, "idle spare"), (others, "other node")];
        let hidden = hidden.into_iter().filter(|(count, _)| *count > 0);
        let hidden: Vec<String> = hidden.map(|(count, what)| counted(count as f64, what)).collect();
        if !hidden.is_empty() {
            let _ = writeln!(text, "({} not shown; --all)", hidden.join(" and "));
        }
        text.push_str(
            "(working to down, and waiting: % of the time; idle: up, but the plan has no work for it; input: batches in its input\nbuffers on average, in transit: to it, output: in its output buffer)\n\n",
        );
        text
    }

    /// Keeps the nodes that worked or were blocked most, in their order.
    fn keep_busiest(&self, nodes: &mut Vec<NodeId>) {
        if nodes.len() <= NODES_MAX {
            return;
        }
        let load = |node: &NodeId| self.share(*node, |usage| usage.working + usage.down);
        let mut by_load = nodes.clone();
        by_load.sort_by(|a, b| load(b).total_cmp(&load(a)));
        let kept: BTreeSet<NodeId> = by_load.into_iter().take(NODES_MAX).collect();
        nodes.retain(|node| kept.contains(node));
    }

    /// Returns the mean share of the measured time that a node spent in a state.
    fn share(&self, node: NodeId, state: impl Fn(&NodeUsage) -> Span) -> f64 {
        let hours = self.measured_hours();
        self.mean(|run| state(&run.usage[node.index()]).as_secs_f64() / 3_600.0 / hours)
    }

    fn row(&self, node: NodeId) -> Vec<String> {
        let network = self.network();
        let states: [fn(&NodeUsage) -> Span; 5] = [
            |usage| usage.working,
            NodeUsage::starved_total,
            |usage| usage.blocked,
            |usage| usage.idle,
            |usage| usage.down,
        ];
        let levels: [fn(&NodeUsage) -> f64; 3] =
            [|usage| usage.input.mean, |usage| usage.incoming.mean, |usage| usage.output.mean];
        let mut row = vec![network.node_name(node).into_owned()];
        row.push(short(self.mean(|run| made(network, run, node))));
        row.extend(states.map(|state| format!("{:.0}", 100.0 * self.share(node, state))));
        row.extend(levels.map(|level| short(self.mean(|run| level(&run.usage[node.index()])))));
        row.push(self.waiting_for(node));
        row
    }

    /// Names the items that a node waited for, longest first.
    fn waiting_for(&self, node: NodeId) -> String {
        let items: BTreeSet<ItemId> =
            self.runs.iter().flat_map(|run| run.usage[node.index()].starved.keys().copied()).collect();
        let share =
            |item: ItemId| self.share(node, |usage| usage.starved.get(&item).copied().unwrap_or_default());
        let mut waits: Vec<(ItemId, f64)> = items.into_iter().map(|item| (item, share(item))).collect();
        waits.retain(|(_, share)| *share >= 0.005);
        waits.sort_by(|a, b| b.1.total_cmp(&a.1));
        let waits = waits.iter().take(2);
        let named =
            waits.map(|(item, share)| format!("{} {}", self.network().item_name(*item), percent(*share)));
        named.collect::<Vec<_>>().join(", ")
    }

    fn membership(&self) -> String {
        let end = Time::ZERO + self.scenario.duration;
        let leaderless = self.runs.iter().map(|run| longest_leaderless(run, end)).max().unwrap_or_default();
        let suspect_after = self.scenario.protocol.suspect_after;
        let count = |noun: &str, number: &dyn Fn(&RunRecord) -> usize| {
            counted(self.mean(|run| number(run) as f64), noun)
        };
        let text = format!(
            "{} of nodes; {} of nodes from the plan by the leader, {} of them healthy; {} of a leader, {} at most without one; {}",
            count("outage", &|run| run.outages.len()),
            count("removal", &|run| run.removals.len()),
            short(self.mean(|run| healthy_removals(run, suspect_after).count() as f64)),
            count("election", &|run| run.leadership_changes.len()),
            clock(leaderless),
            count("plan", &|run| run.plans.iter().filter(|plan| plan.active).count())
        );
        line("membership", &text)
    }

    fn faults(&self) -> String {
        let mut kinds: BTreeMap<&str, f64> = BTreeMap::new();
        for (kind, count) in FaultKind::ALL.iter().map(|&kind| {
            let of_run = |run: &RunRecord| {
                run.fault_counts.iter().find(|count| count.kind == kind).map_or(0, |count| count.effective)
                    as f64
            };
            (kind, self.mean(of_run))
        }) {
            if count > 0.0 {
                kinds.insert(kind.name(), count);
            }
        }
        let kinds: Vec<String> = kinds
            .iter()
            .map(|(kind, count)| format!("{} {}", kind.replace('_', " "), short(*count)))
            .collect();
        let faults = if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") };
        let violations: usize = self.runs.iter().map(|run| run.violations.len()).sum();
        let invariants = match violations {
            0 => "all invariants hold".to_owned(),
            count => format!("{count} violations of invariants"),
        };
        line("faults", &format!("{faults}; {invariants}"))
    }

    /// States what the reader should know before relying on the figures.
    fn notes(&self) -> String {
        let mut text = String::new();
        if self.runs[0].usage.is_empty() {
            text.push_str(&line("note", "nodes are polled; --metrics shows the prototype's table"));
            return text;
        }
        let firsts = self.runs.iter().filter_map(|run| run.finished.first());
        match (firsts.map(|first| first.at).min(), self.first_finished) {
            (None, None) => text.push_str(&line("note", "nothing was finished")),
            (None, Some(at)) => {
                let at = clock(at.since(Time::ZERO));
                text.push_str(&line(
                    "note",
                    &format!("nothing was finished: without faults, the first batch is after {at}"),
                ));
            }
            (Some(at), _) if self.scenario.measure_from.is_zero() => {
                text.push_str(&line("first finished", &format!("after {}", clock(at.since(Time::ZERO)))));
            }
            _ => {}
        }
        text.push_str(&self.transient());
        text
    }

    /// Warns of a warm-up that the figures include. It is judged without faults, which can make halves differ too.
    fn transient(&self) -> String {
        let end = Time::ZERO + self.scenario.duration;
        let run = self.fault_free.first().unwrap_or(&self.runs[0]);
        let halves = halves(run, end);
        let proposal = warm_up(run, end).filter(|warm_up| warm_up.until > run.measured_from);
        let cuts =
            proposal.is_some_and(|warm_up| (warm_up.rate / warm_up.rate_after - 1.0).abs() > WARM_UP_MATTERS);
        if !cuts && !halves.differ() {
            return String::new();
        }
        let without = if self.fault_free.is_empty() { "" } else { " without faults" };
        let mut text = format!(
            "{} finished in the first half and {} in the second{without}",
            halves.first, halves.second
        );
        if let Some(warm_up) = proposal {
            let until = warm_up.until.since(Time::ZERO).as_secs_f64().ceil();
            let after = short(warm_up.rate_after);
            let _ = write!(
                text,
                "; {after}/h after {until:.0} s, which --set measure_from={until:.0}s cuts (MSER-5)"
            );
        }
        line("warm-up", &text)
    }
}

fn mean(runs: &[RunRecord], number: impl Fn(&RunRecord) -> f64) -> f64 {
    runs.iter().map(number).sum::<f64>() / runs.len() as f64
}

/// Returns the batches that a node made.
fn made(network: &Network, run: &RunRecord, node: NodeId) -> f64 {
    let runs = run.nodes[node.index()].get(Metric::SuccessfulManufactureCycles);
    runs as f64 * f64::from(network.yield_per_run(node))
}

/// Formats a line with a label.
fn line(label: &str, text: &str) -> String {
    format!("{label:<16} {text}\n")
}

/// Joins names, with the number of those that are not listed.
fn listed(names: Vec<String>, total: usize) -> String {
    let more = total.saturating_sub(names.len());
    let more = (more > 0).then(|| format!("{more} more"));
    names.into_iter().chain(more).collect::<Vec<_>>().join(", ")
}

/// Formats a number of things.
fn counted(number: f64, noun: &str) -> String {
    format!("{} {noun}{}", short(number), if number == 1.0 { "" } else { "s" })
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// Formats a number with about three digits.
fn short(number: f64) -> String {
    let decimals = match number.abs() {
        0.0..0.995 => 2,
        0.995..99.5 => 1,
        _ => 0,
    };
    let text = format!("{number:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Formats a duration in hours, minutes and seconds.
fn clock(span: Span) -> String {
    let seconds = span.as_secs_f64();
    let whole = seconds.round() as u64;
    let (hours, minutes, rest) = (whole / 3_600, whole / 60 % 60, whole % 60);
    match (hours, minutes) {
        (0, 0) => format!("{} s", short(seconds)),
        (0, _) if rest == 0 => format!("{minutes} min"),
        (0, _) => format!("{minutes} min {rest} s"),
        (_, 0) => format!("{hours} h"),
        _ => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_durations_are_short() {
        assert_eq!(
            [0.0, 0.034, 1.0, 39.04, 117.2, 12_345.0].map(short),
            ["0", "0.03", "1", "39", "117", "12345"]
        );
        let clocks = [500, 61_000, 120_000, 3_600_000, 5_430_000].map(|ms| clock(Span::from_millis(ms)));
        assert_eq!(clocks, ["0.5 s", "1 min 1 s", "2 min", "1 h", "1 h 30 min"]);
    }
}
