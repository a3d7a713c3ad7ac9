//! Which run is next: pure bookkeeping, no threads, no I/O.
//!
//! Invariant: a run is handed out once, after all its upstream runs, and never after a failure. Among those that are
//! ready, the one with the longest way to the end of the plan goes first, so that `--jobs` has little idle time. The
//! order changes when results are there, never what they are.

use std::collections::BinaryHeap;

use super::plan::{Plan, RunIndex};

/// The runs still to be handed out.
pub(super) struct Scheduler {
    /// Upstream runs that are not done yet, by run.
    open: Vec<usize>,
    downstream: Vec<Vec<usize>>,
    /// Length of the way to the end, in microseconds, by run.
    way: Vec<u64>,
    ready: BinaryHeap<(u64, std::cmp::Reverse<usize>)>,
    at_work: usize,
    stopped: bool,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This run.
    Run(RunIndex),
    /// Nothing is ready; ask again when a run is done.
    Wait,
    /// Nothing is left to begin.
    End,
}

/// The runs that must be trained: those that a cell, or a run that must be trained, needs and that the store lacks.
/// A run that is at the end of the plan counts as needed by a cell. `stored` tells whether a run is in the store; its
/// second argument whether its weights are needed too.
pub(super) fn missing(plan: &Plan, stored: impl Fn(usize, bool) -> bool) -> Vec<bool> {
    let count = plan.runs.len();
    let mut needed = vec![true; count];
    for run in &plan.runs {
        run.upstream.iter().for_each(|index| needed[index.0] = false);
    }
    plan.cells.iter().flat_map(|cell| &cell.runs).for_each(|index| needed[index.0] = true);
    let mut weights = vec![false; count];
    let mut missing = vec![false; count];
    // Upstream runs stand earlier in the plan, so backwards everybody who needs a run has spoken.
    for (index, run) in plan.runs.iter().enumerate().rev() {
        missing[index] = needed[index] && !stored(index, weights[index]);
        if missing[index] {
            for upstream in &run.upstream {
                needed[upstream.0] = true;
                weights[upstream.0] = true;
            }
        }
    }
    missing
}

impl Scheduler {
    /// The missing runs of a plan; `seconds` estimates each run.
    pub(super) fn new(plan: &Plan, missing: &[bool], seconds: &[f64]) -> Self {
        let count = plan.runs.len();
        let mut open = vec![0; count];
        let mut downstream = vec![Vec::new(); count];
        for (index, run) in plan.runs.iter().enumerate().filter(|(index, _)| missing[*index]) {
            for upstream in run.upstream.iter().filter(|upstream| missing[upstream.0]) {
                open[index] += 1;
                downstream[upstream.0].push(index);
            }
        }
        let mut way = vec![0; count];
        for index in (0..count).rev() {
            let beyond: u64 = downstream[index].iter().map(|&next| way[next]).max().unwrap_or(0);
            way[index] = beyond + (seconds[index].max(0.0) * 1e6) as u64 + 1;
        }
        let ready = (0..count)
            .filter(|&index| missing[index] && open[index] == 0)
            .map(|index| (way[index], std::cmp::Reverse(index)))
            .collect();
        Scheduler { open, downstream, way, ready, at_work: 0, stopped: false }
    }

    /// Hands out a run.
    pub(super) fn next(&mut self) -> Next {
        if self.stopped {
            return Next::End;
        }
        match self.ready.pop() {
            Some((_, std::cmp::Reverse(index))) => {
                self.at_work += 1;
                Next::Run(RunIndex(index))
            }
            None if self.at_work > 0 => Next::Wait,
            None => Next::End,
        }
    }

    /// Whether the run that was just handed out is the only one at work, and stays so until it is done.
    pub(super) fn alone(&self) -> bool {
        self.at_work == 1 && self.ready.is_empty()
    }

    /// A run that was handed out is in the store.
    pub(super) fn done(&mut self, RunIndex(index): RunIndex) {
        self.at_work -= 1;
        for next in std::mem::take(&mut self.downstream[index]) {
            self.open[next] -= 1;
            if self.open[next] == 0 {
                self.ready.push((self.way[next], std::cmp::Reverse(next)));
            }
        }
    }

    /// A run that was handed out failed: nothing more is begun.
    pub(super) fn failed(&mut self) {
        self.at_work -= 1;
        self.stopped = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::store::testing;

    fn drain(scheduler: &mut Scheduler) -> Vec<usize> {
        let mut order = Vec::new();
        while let Next::Run(index) = scheduler.next() {
            order.push(index.0);
            scheduler.done(index);
        }
        order
    }

    #[test]
    fn upstream_comes_first_and_the_longest_way_before_the_short_ones() {
        // 0 <- 2, 1 <- 2 <- 3, 4 alone; 1 is the long one.
        let plan = testing::plan(&[&[], &[], &[0, 1], &[2], &[]]);
        let all = vec![true; 5];
        let seconds = [1.0, 5.0, 1.0, 1.0, 2.0];
        assert_eq!(drain(&mut Scheduler::new(&plan, &all, &seconds)), [1, 0, 2, 4, 3]);
        let mut scheduler = Scheduler::new(&plan, &all, &seconds);
        assert_eq!(scheduler.next(), Next::Run(RunIndex(1)));
        assert_eq!(scheduler.next(), Next::Run(RunIndex(0)));
        assert_eq!(scheduler.next(), Next::Run(RunIndex(4)));
        assert!(!scheduler.alone());
        assert_eq!(scheduler.next(), Next::Wait, "2 waits for both");
        scheduler.done(RunIndex(0));
        assert_eq!(scheduler.next(), Next::Wait);
        scheduler.done(RunIndex(1));
        assert_eq!(scheduler.next(), Next::Run(RunIndex(2)));
    }

    #[test]
    fn after_a_failure_nothing_is_begun() {
        let plan = testing::plan(&[&[], &[], &[0]]);
        let mut scheduler = Scheduler::new(&plan, &[true; 3], &[1.0; 3]);
        assert!(matches!(scheduler.next(), Next::Run(_)));
        scheduler.failed();
        assert_eq!(scheduler.next(), Next::End);
    }

    #[test]
    fn only_what_is_needed_is_missing() {
        let plan = testing::plan(&[&[], &[], &[0, 1], &[2]]);
        let lacking = |lack: &'static [usize]| move |index: usize, _: bool| !lack.contains(&index);
        assert_eq!(missing(&plan, lacking(&[0, 1, 2, 3])), [true; 4]);
        assert_eq!(missing(&plan, lacking(&[3])), [false, false, false, true]);
        assert_eq!(
            missing(&plan, lacking(&[0, 1])),
            [false; 4],
            "3 is stored, so its upstream serves nobody"
        );
        assert_eq!(missing(&plan, lacking(&[0, 2, 3])), [true, false, true, true]);
        // Entries without weights serve cells but not downstream runs.
        let no_weights = |index: usize, weights: bool| index != 3 && !weights;
        assert_eq!(missing(&plan, no_weights), [true; 4]);
    }
}
