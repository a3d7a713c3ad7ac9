//! Where a cell's number comes from, and how that becomes runs.
//!
//! Invariant: a benchmark only says study, model, task and metric of each cell; what has to be trained for it follows from the
//! study alone.

use std::cell::LazyCell;

use super::Benchmark;
use super::teams::teams;
use crate::data::Population;
use crate::engine::plan::{Cell, CellId, RunIndex};
use crate::engine::planner::{PlanError, Planner};
use crate::metric::Metric;
use crate::study::{Protocol, StudyError, Tier, resolve_with};

/// Where a cell's number comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// A metric of the runs of a model.
    Model(ModelCell),
    /// A metric of ensembles of separately trained models (Figure 3).
    Ensemble(EnsembleCell),
    /// A hyper-parameter in the study file, as the paper tier has it.
    Setting(SettingCell),
}

/// A metric of the runs of a model, one per seed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ModelCell {
    /// The study.
    pub study: &'static str,
    /// Its model.
    pub model: &'static str,
    /// The task.
    pub task: &'static str,
    /// What is printed.
    pub metric: Metric,
    /// Selection strength and training rows, of the generative model; every seed draws rows of its own.
    pub population: Option<(f64, usize)>,
    /// Noise of the test samples in percent of each one's peak; 0 for none.
    pub noise: f64,
}

/// A metric of ensembles.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EnsembleCell {
    /// The study.
    pub study: &'static str,
    /// What this kind of ensemble is called.
    pub name: &'static str,
    /// The models of its members.
    pub models: &'static [&'static str],
    /// The task.
    pub task: &'static str,
    /// What is printed.
    pub metric: Metric,
}

/// A hyper-parameter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SettingCell {
    /// The study.
    pub study: &'static str,
    /// Its model.
    pub model: &'static str,
    /// The task.
    pub task: &'static str,
    /// Which one.
    pub setting: Setting,
}

/// Hyper-parameters that the paper prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// The learning rate.
    LearningRate,
    /// The weight decay.
    WeightDecay,
}

impl Source {
    /// A metric of the runs of a model.
    pub(crate) fn model(
        study: &'static str,
        model: &'static str,
        task: &'static str,
        metric: Metric,
    ) -> Self {
        Source::Model(ModelCell { study, model, task, metric, population: None, noise: 0.0 })
    }

    /// What is printed.
    pub(crate) fn metric(&self) -> Metric {
        match self {
            Source::Model(ModelCell { metric, .. }) | Source::Ensemble(EnsembleCell { metric, .. }) => {
                metric.clone()
            }
            Source::Setting(cell) => cell.setting.metric(),
        }
    }

    /// Plans a cell with its runs; `full` is the protocol at the paper tier.
    fn plan<'a>(
        &self,
        id: CellId,
        planner: &mut Planner<'_>,
        protocol: &Protocol,
        full: &dyn Fn() -> Result<&'a Protocol, String>,
    ) -> Result<Cell, PlanError> {
        let metric = self.metric();
        match self {
            Source::Setting(cell) => {
                let value = full().and_then(|full| cell.value(full).map_err(|error| error.to_string()));
                Ok(match value {
                    Ok(value) => Cell::configured(id, metric, value),
                    Err(error) => Cell::unmeasured(id, metric, &error),
                })
            }
            Source::Model(cell) => {
                let study = protocol.study(cell.study)?;
                let seeds = planner.seeds(study.seeds);
                Cell::measured(id, metric, &seeds, |seed| {
                    let of = (cell.model, cell.task);
                    if cell.noise > 0.0 {
                        return planner.under_noise(study, of, cell.noise, seed);
                    }
                    let population =
                        cell.population.map(|(strength, rows)| Population { strength, rows, draw: seed });
                    planner.model(study, of, population, seed)
                })
            }
            Source::Ensemble(cell) => {
                let study = protocol.study(cell.study)?;
                let teams = teams(cell.name, cell.models, &planner.seeds(study.seeds));
                let numbers: Vec<u64> = (0..teams.len() as u64).collect();
                let name = format!("ensemble/{}", cell.name);
                Cell::measured(id, metric, &numbers, |number| {
                    let seeds = teams[number as usize].iter().copied();
                    let members: Vec<(&str, u64)> = cell.models.iter().copied().zip(seeds).collect();
                    planner.ensemble(study, &name, cell.task, &members, number)
                })
            }
        }
    }
}

impl Setting {
    fn metric(self) -> Metric {
        Metric::new(match self {
            Setting::LearningRate => &crate::metric::LEARNING_RATE,
            Setting::WeightDecay => &crate::metric::WEIGHT_DECAY,
        })
    }
}

impl SettingCell {
    /// As the paper tier has it: other tiers have rates of their own, which the paper says nothing about.
    fn value(&self, full: &Protocol) -> Result<f64, StudyError> {
        let training = full.study(self.study)?.model_task(self.model, self.task)?.training;
        Ok(match self.setting {
            Setting::LearningRate => training.learning_rate,
            Setting::WeightDecay => training.weight_decay,
        })
    }
}

impl Cell {
    fn of(id: CellId, metric: Metric) -> Self {
        Cell { id, metric, runs: Vec::new(), unmeasured: None, configured: None }
    }

    /// A cell without runs, and why.
    pub(super) fn unmeasured(id: CellId, metric: Metric, why: &str) -> Self {
        Cell { unmeasured: Some(why.to_owned()), ..Cell::of(id, metric) }
    }

    /// A cell whose value stands in a study file.
    fn configured(id: CellId, metric: Metric, value: f64) -> Self {
        Cell { configured: Some(value), ..Cell::of(id, metric) }
    }

    /// A cell whose value is a metric of one run per seed; `run` gives `None` where the data is not here.
    fn measured(
        id: CellId,
        metric: Metric,
        seeds: &[u64],
        run: impl FnMut(u64) -> Result<Option<RunIndex>, PlanError>,
    ) -> Result<Self, PlanError> {
        let runs: Option<Vec<RunIndex>> =
            seeds.iter().copied().map(run).collect::<Result<Option<_>, PlanError>>()?;
        Ok(match runs {
            Some(runs) if !runs.is_empty() => Cell { runs, ..Cell::of(id, metric) },
            Some(_) => Cell::unmeasured(id, metric, "no seeds were asked for"),
            None => Cell::unmeasured(id, metric, "its data is not here"),
        })
    }
}

impl Benchmark {
    /// Adds its runs and cells to a plan.
    ///
    /// # Errors
    /// A study that lacks what the benchmark asks for, or a run that has no key.
    pub(crate) fn plan(&self, planner: &mut Planner<'_>, protocol: &Protocol) -> Result<(), PlanError> {
        // Studies are read again for settings alone, and once for all of them.
        let read = LazyCell::new(|| resolve_with(protocol.name, Tier::Paper, &protocol.changes));
        let full = || read.as_ref().map_err(ToString::to_string);
        for row in self.layout.rows {
            for column in self.layout.columns {
                if let Some(source) = (self.source)(row.id, column.id) {
                    let cell = source.plan(self.cell_id(column.id, row.id), planner, protocol, &full)?;
                    planner.cell(cell);
                }
            }
        }
        Ok(())
    }
}
