//! The results of an experiment, arranged by seed, case, flow strategy, leader strategy and failure detector.

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
    /// Failure detectors.
    pub detectors: Vec<String>,
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
    /// Index of the failure detector.
    pub detector: usize,
}

impl Axes {
    /// Returns the number of runs.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.seeds.len() * self.cases.len() * self.strategies()
    }

    /// Returns the number of combinations of strategies.
    fn strategies(&self) -> usize {
        self.flows.len() * self.leaders.len() * self.detectors.len()
    }

    /// Returns the cell of a run. Seeds vary slowest, so an interrupted experiment has the same seeds for all
    /// strategies.
    #[must_use]
    pub fn cell(&self, run: usize) -> Cell {
        let (rest, detector) = (run / self.detectors.len(), run % self.detectors.len());
        let (rest, leader) = (rest / self.leaders.len(), rest % self.leaders.len());
        let (rest, flow) = (rest / self.flows.len(), rest % self.flows.len());
        Cell { seed: rest / self.cases.len(), case: rest % self.cases.len(), flow, leader, detector }
    }

    /// Returns the number of the run at a cell.
    #[must_use]
    pub fn run(&self, cell: Cell) -> usize {
        let case = cell.seed * self.cases.len() + cell.case;
        case * self.strategies() + self.combination_index(Combination::of(cell))
    }

    /// Returns the name of a run, for messages.
    #[must_use]
    pub fn name(&self, run: usize) -> String {
        let cell = self.cell(run);
        let (case, seed) = (&self.cases[cell.case], self.seeds[cell.seed]);
        format!("{case}, {}, seed {seed}", self.combination_name(Combination::of(cell)))
    }

    /// Returns the index of a combination of strategies among all combinations.
    #[must_use]
    pub fn combination_index(&self, of: Combination) -> usize {
        (of.flow * self.leaders.len() + of.leader) * self.detectors.len() + of.detector
    }

    /// Returns the name of a combination of strategies. A failure detector without alternative is left out.
    #[must_use]
    pub fn combination_name(&self, of: Combination) -> String {
        let (flow, leader) = (&self.flows[of.flow], &self.leaders[of.leader]);
        match &self.detectors[..] {
            [_] => format!("{flow}/{leader}"),
            detectors => format!("{flow}/{leader}/{}", detectors[of.detector]),
        }
    }

    /// Returns all combinations of strategies in order.
    fn combinations(&self) -> impl Iterator<Item = Combination> + '_ {
        (0..self.strategies()).map(|number| Combination::of(self.cell(number)))
    }
}

/// A combination of a flow strategy, a leader strategy and a failure detector, as indices on the axes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Combination {
    /// Index of the flow strategy.
    pub flow: usize,
    /// Index of the leader strategy.
    pub leader: usize,
    /// Index of the failure detector.
    pub detector: usize,
}

impl Combination {
    fn of(cell: Cell) -> Self {
        Self { flow: cell.flow, leader: cell.leader, detector: cell.detector }
    }
}

/// The subject of a comparison.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Flow strategies, over all strategies of other families.
    Flow,
    /// Leader strategies, over all strategies of other families.
    Leader,
    /// Failure detectors, over all strategies of other families.
    Detector,
    /// Each combination of strategies.
    Combination,
}

/// A row of a comparison.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// Name of the row.
    pub name: String,
    /// Combinations of strategies of the row.
    pub members: Vec<Combination>,
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
        let axes = &self.axes;
        let of_family = |names: &[String], index: fn(&Combination) -> usize| {
            let members = |number| axes.combinations().filter(|of| index(of) == number).collect();
            let group =
                |(number, name): (usize, &String)| Group { name: name.clone(), members: members(number) };
            names.iter().enumerate().map(group).collect()
        };
        match by {
            By::Flow => of_family(&axes.flows, |of| of.flow),
            By::Leader => of_family(&axes.leaders, |of| of.leader),
            By::Detector => of_family(&axes.detectors, |of| of.detector),
            By::Combination => {
                let one = |of| Group { name: axes.combination_name(of), members: vec![of] };
                axes.combinations().map(one).collect()
            }
        }
    }

    /// Returns a group's summaries for one case and seed, or `None` if any is missing.
    pub(crate) fn members(&self, case: usize, group: &Group, seed: usize) -> Option<Vec<&RunSummary>> {
        let summary = |&Combination { flow, leader, detector }: &Combination| {
            self.summary(Cell { seed, case, flow, leader, detector })
        };
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
        let axes = |detectors| Axes {
            cases: names(2),
            flows: names(3),
            leaders: names(2),
            detectors: names(detectors),
            seeds: vec![7, 8],
        };
        for (detectors, runs, last) in [(1, 24, "1, 2/1, seed 8"), (2, 48, "1, 2/1/1, seed 8")] {
            let axes = axes(detectors);
            assert_eq!(axes.runs(), runs);
            for run in 0..runs {
                assert_eq!(axes.run(axes.cell(run)), run);
                assert_eq!(axes.cell(run).seed, run / (runs / 2));
            }
            assert_eq!(axes.name(runs - 1), last);
        }
        let grid = Grid::new(axes(2), vec![None; 48]);
        let sizes = [By::Flow, By::Leader, By::Detector, By::Combination].map(|by| grid.groups(by).len());
        assert_eq!(sizes, [3, 2, 2, 12]);
        let detector = 1;
        let members = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)];
        let members = members.map(|(flow, leader)| Combination { flow, leader, detector });
        assert_eq!(grid.groups(By::Detector)[1].members, members);
        let by_leader: Vec<usize> = grid.groups(By::Leader)[1].members.iter().map(|of| of.flow).collect();
        assert_eq!(by_leader, [0, 0, 1, 1, 2, 2]);
        let index = |of: &Group| grid.axes.combination_index(of.members[0]);
        assert!(grid.groups(By::Combination).iter().map(index).eq(0..12));
    }
}
