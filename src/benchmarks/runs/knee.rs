//! The models of fastMRI, their ensembles, and their evaluation under noise.
//!
//! Invariant: experts stand in the order magnitude, phase, inter; a joint model starts from the same seed's runs; an ensemble
//! and an evaluation under noise train nothing.

use super::{How, alone, joint};
use crate::benchmarks::{Benchmark, Column};
use crate::engine::plan::{Planner, RunIndex};
use crate::protocol::{Architecture, Combine, ExpertSpec, Init, KneeRun, Protocol, Recipe, Task, Training};

/// Columns of the findings, in the paper's order.
pub const FINDINGS: [Column; 4] = [
    Column::new("acl", "ACL"),
    Column::new("meniscus", "Meniscus"),
    Column::new("cartilage", "Cartilage"),
    Column::new("others", "Others"),
];

/// Adds a row's cells of test AUROC, one under each of [`FINDINGS`].
pub fn auroc(
    benchmark: &Benchmark,
    planner: &mut Planner<'_>,
    row: &str,
    seeds: &[u64],
    mut run: impl FnMut(&mut Planner<'_>, u64) -> Option<RunIndex>,
) {
    for column in FINDINGS {
        let metric = format!("test_auroc.{}", column.id);
        let cell = benchmark.measured((column.id, row), &metric, seeds, |seed| run(planner, seed));
        planner.cell(cell);
    }
}

/// A model of Figures 2 and 4 and of Table 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// On the root-sum-of-squares reconstruction.
    Rss,
    /// q(y | x).
    Magnitude,
    /// q(y | x').
    Phase,
    /// q(y | x) q(y | x').
    Intra,
    /// q(y | x, x') by early fusion.
    Inter,
    /// Intra times inter.
    I2m2,
    /// The same, trained jointly from a fresh initialisation.
    I2m2Scratch,
    /// WideResNet on the magnitude.
    WideMagnitude,
    /// WideResNet on the phase.
    WidePhase,
    /// WideResNet by early fusion.
    WideInter,
}

/// The run of a model with one seed, with every run it starts from. `None` when fastMRI is not here.
pub fn run(planner: &mut Planner<'_>, protocol: &Protocol, model: Model, seed: u64) -> Option<RunIndex> {
    let (settings, name) = (settings(protocol, model), format!("fastmri/{}", name(model)));
    let how = how(protocol, settings);
    let parts: &[Model] = match model {
        Model::Intra => &[Model::Magnitude, Model::Phase],
        Model::I2m2 | Model::I2m2Scratch => &[Model::Magnitude, Model::Phase, Model::Inter],
        _ => return alone(planner, &name, Task::Knee, &how, expert(protocol, model)?, seed),
    };
    let parts = (parts, |part| expert(protocol, part));
    joint(planner, &name, Task::Knee, &how, parts, seed, |planner, part| run(planner, protocol, part, seed))
}

/// The mean of the probabilities of separately trained models, each with a seed of its own (Figure 3). `number` tells the
/// ensembles of a kind apart.
pub fn ensemble(
    planner: &mut Planner<'_>,
    protocol: &Protocol,
    name: &str,
    members: &[(Model, u64)],
    number: u64,
) -> Option<RunIndex> {
    let (mut experts, mut upstream) = (Vec::new(), Vec::new());
    for (index, &(model, seed)) in members.iter().enumerate() {
        let (expert, architecture) = expert(protocol, model)?;
        upstream.push(run(planner, protocol, model, seed)?);
        experts.push(ExpertSpec {
            name: format!("{expert}-{index}"),
            architecture: architecture.clone(),
            init: Init::Member { run: index },
        });
    }
    let settings = &protocol.settings.fastmri;
    let evaluation = settings.evaluation(settings.ensemble, None);
    let recipe = Recipe { task: Task::Knee, experts, training: Training::NONE, evaluation, population: None };
    planner.run(&format!("fastmri/{name}"), recipe, number, upstream)
}

/// A trained model on test samples with noise of `percent` of each one's peak (Figure B.7); without noise, the model itself.
pub fn under_noise(
    planner: &mut Planner<'_>,
    protocol: &Protocol,
    model: Model,
    percent: f64,
    seed: u64,
) -> Option<RunIndex> {
    let trained = run(planner, protocol, model, seed)?;
    if percent == 0.0 {
        return Some(trained);
    }
    let mut recipe = planner.recipe(trained)?.clone();
    recipe.experts.iter_mut().for_each(|expert| expert.init = Init::Upstream { run: 0 });
    recipe.training = Training::NONE;
    recipe.evaluation.noise = Some(percent);
    planner.run(&format!("fastmri/{}@{percent}", name(model)), recipe, seed, vec![trained])
}

fn how(protocol: &Protocol, settings: &KneeRun) -> How {
    How {
        training: settings.training(),
        evaluation: protocol.settings.fastmri.evaluation(Combine::Product, None),
        start: settings.start,
        population: None,
    }
}

/// The expert of a model that has one alone.
fn expert(protocol: &Protocol, model: Model) -> Option<(&'static str, &Architecture)> {
    let experts = &protocol.settings.fastmri.experts;
    match model {
        Model::Rss => Some(("rss", &experts.rss)),
        Model::Magnitude => Some(("magnitude", &experts.magnitude)),
        Model::Phase => Some(("phase", &experts.phase)),
        Model::Inter => Some(("inter", &experts.inter)),
        Model::WideMagnitude => Some(("magnitude", &experts.wide_magnitude)),
        Model::WidePhase => Some(("phase", &experts.wide_phase)),
        Model::WideInter => Some(("inter", &experts.wide_inter)),
        Model::Intra | Model::I2m2 | Model::I2m2Scratch => None,
    }
}

/// How a model is trained.
pub fn settings(protocol: &Protocol, model: Model) -> &KneeRun {
    let runs = &protocol.settings.fastmri.runs;
    match model {
        Model::Rss => &runs.rss,
        Model::Magnitude => &runs.magnitude,
        Model::Phase => &runs.phase,
        Model::Intra => &runs.intra,
        Model::Inter => &runs.inter,
        Model::I2m2 => &runs.i2m2,
        Model::I2m2Scratch => &runs.i2m2_scratch,
        Model::WideMagnitude => &runs.wide_magnitude,
        Model::WidePhase => &runs.wide_phase,
        Model::WideInter => &runs.wide_inter,
    }
}

fn name(model: Model) -> &'static str {
    match model {
        Model::Rss => "rss",
        Model::Magnitude => "magnitude",
        Model::Phase => "phase",
        Model::Intra => "intra",
        Model::Inter => "inter",
        Model::I2m2 => "i2m2",
        Model::I2m2Scratch => "i2m2-scratch",
        Model::WideMagnitude => "wide-magnitude",
        Model::WidePhase => "wide-phase",
        Model::WideInter => "wide-inter",
    }
}
