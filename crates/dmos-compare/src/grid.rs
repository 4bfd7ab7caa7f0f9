//! The results of an experiment, arranged by seed, case, flow strategy and leader strategy.

use serde::{Deserialize, Serialize};

use crate::run_metric::{ResultMetric, ValueKind};
use crate::run_summary::RunSummary;
use crate::statistics::survival::{Episode, pseudo_observations};

/// The axes of an experiment, with names for output.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Axes {
    /// Scenarios, each with one setting of the varied factors.
    pub cases: Vec<String>,
    /// Flow strategies.
    pub flows: Vec<String>,
    /// Leader strategies.
    pub leaders: Vec<String>,
    /// Seeds.
    pub seeds: Vec<u64>,
}

/// One run of an experiment, as indices on the axes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cell {
    /// Index of the seed.
    pub seed: usize,
    /// Index of the case.
    pub case: usize,
    /// Index of the flow strategy.
    pub flow: usize,
    /// Index of the leader strategy.
    pub leader: usize,
}

impl Axes {
    /// Returns the number of runs.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.seeds.len() * self.cases.len() * self.flows.len() * self.leaders.len()
    }

    /// Returns the cell of a run. Seeds vary slowest, so an interrupted experiment has the same seeds for all
    /// strategies.
    #[must_use]
    pub fn cell(&self, run: usize) -> Cell {
        let (rest, leader) = (run / self.leaders.len(), run % self.leaders.len());
        let (rest, flow) = (rest / self.flows.len(), rest % self.flows.len());
        Cell { seed: rest / self.cases.len(), case: rest % self.cases.len(), flow, leader }
    }

    /// Returns the number of the run at a cell.
    #[must_use]
    pub fn run(&self, cell: Cell) -> usize {
        let flow = (cell.seed * self.cases.len() + cell.case) * self.flows.len() + cell.flow;
        flow * self.leaders.len() + cell.leader
    }

    /// Returns the name of a run, for messages.
    #[must_use]
    pub fn name(&self, run: usize) -> String {
        let Cell { seed, case, flow, leader } = self.cell(run);
        let (case, flow, leader) = (&self.cases[case], &self.flows[flow], &self.leaders[leader]);
        format!("{case}, {flow}/{leader}, seed {}", self.seeds[seed])
    }
}

/// The subject of a comparison.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Flow strategies, over all leader strategies.
    Flow,
    /// Leader strategies, over all flow strategies.
    Leader,
    /// Each flow strategy with each leader strategy.
    Combination,
}

/// A row of a comparison.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// Name of the row.
    pub name: String,
    /// Flow and leader strategies of the row.
    pub members: Vec<(usize, usize)>,
}

/// The summaries of all runs that are done and did not fail.
#[derive(Clone, PartialEq, Debug)]
pub struct Grid {
    /// Axes of the experiment.
    pub axes: Axes,
    summaries: Vec<Option<RunSummary>>,
}

impl Grid {
    /// Returns a grid of summaries, in the order of runs.
    ///
    /// # Panics
    /// If the number of summaries differs from the number of runs.
    #[must_use]
    pub fn new(axes: Axes, summaries: Vec<Option<RunSummary>>) -> Self {
        assert_eq!(summaries.len(), axes.runs());
        Self { axes, summaries }
    }

    /// Returns the summary at a cell.
    #[must_use]
    pub fn summary(&self, cell: Cell) -> Option<&RunSummary> {
        self.summaries[self.axes.run(cell)].as_ref()
    }

    /// Returns the summaries in the order of runs.
    #[must_use]
    pub fn summaries(&self) -> &[Option<RunSummary>] {
        &self.summaries
    }

    /// Returns the rows of a comparison, in the order of the axes.
    #[must_use]
    pub fn groups(&self, by: By) -> Vec<Group> {
        let (flows, leaders) = (&self.axes.flows, &self.axes.leaders);
        let group = |name: &str, members: Vec<_>| Group { name: name.to_owned(), members };
        match by {
            By::Flow => {
                let all = |flow| (0..leaders.len()).map(move |leader| (flow, leader)).collect();
                flows.iter().enumerate().map(|(flow, name)| group(name, all(flow))).collect()
            }
            By::Leader => {
                let all = |leader| (0..flows.len()).map(move |flow| (flow, leader)).collect();
                leaders.iter().enumerate().map(|(leader, name)| group(name, all(leader))).collect()
            }
            By::Combination => {
                let one = |flow: usize, leader: usize| {
                    group(&format!("{}/{}", flows[flow], leaders[leader]), vec![(flow, leader)])
                };
                let each = move |flow| (0..leaders.len()).map(move |leader| (flow, leader));
                (0..flows.len()).flat_map(each).map(|(flow, leader)| one(flow, leader)).collect()
            }
        }
    }

    /// Returns a group's summaries for one case and seed, or `None` if any is missing.
    pub(crate) fn members(&self, case: usize, group: &Group, seed: usize) -> Option<Vec<&RunSummary>> {
        let summary = |&(flow, leader): &(usize, usize)| self.summary(Cell { seed, case, flow, leader });
        group.members.iter().map(summary).collect()
    }

    /// Returns a group's values in a case, by seed. A group of several members has their mean, if all have a
    /// value.
    ///
    /// For episodes, the value of a seed is its pseudo-observation up to `horizon`.
    pub(crate) fn values(
        &self,
        case: usize,
        group: &Group,
        metric: ResultMetric,
        horizon: f64,
    ) -> Vec<Option<f64>> {
        if metric.value_kind() == ValueKind::Episodes {
            return pseudo_observations(&self.episodes(case, group, metric), horizon);
        }
        let of = |seed| {
            let members = self.members(case, group, seed)?;
            let values: Option<Vec<f64>> = members.iter().map(|summary| summary.number(metric)).collect();
            let values = values?;
            Some(values.iter().sum::<f64>() / values.len() as f64)
        };
        (0..self.axes.seeds.len()).map(of).collect()
    }

    /// Returns a group's episodes in a case, by seed.
    pub(crate) fn episodes(&self, case: usize, group: &Group, metric: ResultMetric) -> Vec<Vec<Episode>> {
        let ResultMetric::Run(metric) = metric else {
            return vec![Vec::new(); self.axes.seeds.len()];
        };
        let of = |seed| {
            let members = self.members(case, group, seed).unwrap_or_default();
            members.iter().flat_map(|summary| summary.episodes(metric).iter().copied()).collect()
        };
        (0..self.axes.seeds.len()).map(of).collect()
    }

    /// Returns the common observation time of all groups with episodes in a case: the shortest of their
    /// longest episodes.
    pub(crate) fn horizon(&self, case: usize, groups: &[Group], metric: ResultMetric) -> Option<f64> {
        let longest = groups.iter().filter_map(|group| {
            let episodes = self.episodes(case, group, metric);
            episodes.iter().flatten().map(|episode| episode.lasted).max_by(f64::total_cmp)
        });
        longest.min_by(f64::total_cmp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_numbered_seed_by_seed() {
        let names = |count: usize| (0..count).map(|number| number.to_string()).collect::<Vec<_>>();
        let axes = Axes { cases: names(2), flows: names(3), leaders: names(2), seeds: vec![7, 8] };
        assert_eq!(axes.runs(), 24);
        for run in 0..24 {
            assert_eq!(axes.run(axes.cell(run)), run);
            assert_eq!(axes.cell(run).seed, run / 12);
        }
        assert_eq!(axes.name(23), "1, 2/1, seed 8");
        let grid = Grid::new(axes, vec![None; 24]);
        let sizes = [By::Flow, By::Leader, By::Combination].map(|by| grid.groups(by).len());
        assert_eq!(sizes, [3, 2, 6]);
        assert_eq!(grid.groups(By::Leader)[1].members, [(0, 1), (1, 1), (2, 1)]);
    }
}
