//! What the files of `paper/protocol/` hold, once laid over each other.
//!
//! Invariant: every field is present and every key known; a misspelt key is an error, never ignored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Architecture, Change, ClassWeights, Combine, DatasetName, EvalNorm, Evaluation, MagnitudeNorm,
    OperatingPoint, Optimizer, ProtocolName, Ranking, Score, SelectBy, StudyLevel, Task, Tier, Training,
};

/// A protocol at a tier: everything that benchmarks take their recipes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Protocol {
    /// Paper or released.
    pub name: ProtocolName,
    /// Smoke, reduced or paper.
    pub tier: Tier,
    /// Values that were changed on the command line.
    pub changes: Vec<Change>,
    /// The hyper-parameters.
    pub settings: Settings,
}

/// The content of the protocol files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Repetitions of every benchmark.
    pub seeds: SeedCounts,
    /// AV-MNIST.
    pub avmnist: Avmnist,
    /// MIMIC-III.
    pub mimic: Mimic,
    /// fastMRI.
    pub fastmri: Fastmri,
    /// The paper's generative model.
    pub generative: Generative,
}

/// How many seeds a benchmark runs: repetitions 0, 1, ... (deviation A5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedCounts {
    /// Unless told otherwise.
    pub default: usize,
    /// By benchmark id.
    #[serde(default)]
    pub benchmarks: BTreeMap<String, usize>,
}

/// Networks and runs of AV-MNIST.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Avmnist {
    /// Networks by expert.
    pub experts: AvmnistExperts,
    /// Training by kind of run.
    pub runs: AvmnistRuns,
}

/// The networks of AV-MNIST.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AvmnistExperts {
    /// q(y | x).
    pub image: Architecture,
    /// q(y | x').
    pub audio: Architecture,
    /// q(y | x, x') by late fusion (LF).
    pub late_fusion: Architecture,
    /// q(y | x, x') by low-rank tensor fusion (LRTF).
    pub low_rank: Architecture,
}

/// The kinds of run of AV-MNIST.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AvmnistRuns {
    /// Image-only and audio-only.
    pub unimodal: RunSettings,
    /// Inter-modality, late fusion.
    pub inter_lf: RunSettings,
    /// Inter-modality, low-rank tensor fusion.
    pub inter_lrtf: RunSettings,
    /// Intra-modality.
    pub intra: RunSettings,
    /// I2M2 with late fusion.
    pub i2m2_lf: RunSettings,
    /// I2M2 with low-rank tensor fusion.
    pub i2m2_lrtf: RunSettings,
}

/// Networks and runs of MIMIC-III.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mimic {
    /// Rows that the inputs are standardised by (deviation M5).
    pub standardise_on: StandardiseOn,
    /// Networks by expert.
    pub experts: MimicExperts,
    /// Training by kind of run.
    pub runs: PairRuns,
}

/// The rows whose mean and standard deviation standardise all of them (deviation M5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StandardiseOn {
    /// Train, validation and test rows together, as the released code does; the paper is silent.
    #[default]
    All,
    /// The train rows alone: nothing leaks from validation and test.
    Train,
}

/// What is chosen between a dataset's files and what a network sees; part of the prepared data's digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preparation {
    /// MIMIC-III's standardisation.
    pub standardise_on: StandardiseOn,
    /// fastMRI's magnitudes.
    pub magnitude_norm: MagnitudeNorm,
    /// fastMRI's annotations of whole studies.
    pub study_level: StudyLevel,
    /// Which synthetic fastMRI stands in for the real one in the smoke tier.
    pub knee_fixture: KneeFixture,
}

/// The networks of MIMIC-III.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MimicExperts {
    /// q(y | x).
    #[serde(rename = "static")]
    pub static_: Architecture,
    /// q(y | x').
    pub series: Architecture,
    /// q(y | x, x') by late fusion.
    pub inter: Architecture,
}

/// The kinds of run of two modalities with one way to fuse them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairRuns {
    /// Of one modality alone.
    pub unimodal: RunSettings,
    /// Inter-modality.
    pub inter: RunSettings,
    /// Intra-modality.
    pub intra: RunSettings,
    /// I2M2.
    pub i2m2: RunSettings,
}

/// Choices, networks and runs of fastMRI.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fastmri {
    /// How magnitudes are scaled (deviation F3).
    pub magnitude_norm: MagnitudeNorm,
    /// What annotations of whole studies count for (deviation F12).
    pub study_level: StudyLevel,
    /// What slices are ranked by (deviation F6).
    pub score: Score,
    /// Where thresholds are chosen (deviation F7).
    pub operating_point: OperatingPoint,
    /// Which synthetic data the smoke tier has.
    pub fixture: KneeFixture,
    /// How probabilities of an ensemble's members are combined (deviation F14).
    pub ensemble: Combine,
    /// Networks by expert.
    pub experts: FastmriExperts,
    /// Training by kind of run.
    pub runs: FastmriRuns,
}

/// The synthetic fastMRI data of the smoke tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KneeFixture {
    /// Log-additive: a product of unimodal experts is the optimum, as the paper finds for fastMRI.
    #[default]
    Additive,
    /// Only magnitude and phase together tell.
    Interaction,
}

/// The networks of fastMRI.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FastmriExperts {
    /// On the root-sum-of-squares reconstruction.
    pub rss: Architecture,
    /// q(y | x).
    pub magnitude: Architecture,
    /// q(y | x').
    pub phase: Architecture,
    /// q(y | x, x') by early fusion.
    pub inter: Architecture,
    /// WideResNet on the magnitude (Figure 4).
    pub wide_magnitude: Architecture,
    /// WideResNet on the phase.
    pub wide_phase: Architecture,
    /// WideResNet by early fusion.
    pub wide_inter: Architecture,
}

/// The kinds of run of fastMRI.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FastmriRuns {
    /// RSS (deviation F5).
    pub rss: KneeRun,
    /// Magnitude-only.
    pub magnitude: KneeRun,
    /// Phase-only.
    pub phase: KneeRun,
    /// Inter-modality.
    pub inter: KneeRun,
    /// Intra-modality.
    pub intra: KneeRun,
    /// I2M2.
    pub i2m2: KneeRun,
    /// I2M2 without pre-training (Table 5).
    pub i2m2_scratch: KneeRun,
    /// WideResNets (Figure 4).
    pub wide_magnitude: KneeRun,
    /// WideResNets.
    pub wide_phase: KneeRun,
    /// WideResNets.
    pub wide_inter: KneeRun,
}

/// How one kind of run of fastMRI is trained. The best checkpoint is the one with the largest mean AUROC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KneeRun {
    /// The optimiser.
    pub optimizer: Optimizer,
    /// Learning rate.
    pub learning_rate: f64,
    /// Weight decay on every parameter.
    pub weight_decay: f64,
    /// Examples in a training batch (deviation F13).
    pub batch_size: usize,
    /// Passes over the training split, at most.
    pub epochs: usize,
    /// Stop when more than this many consecutive epochs bring no improvement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// Weights of the classes in the loss (deviation F1).
    pub class_weights: ClassWeights,
    /// Where the experts of intra and I2M2 start from (deviation F4).
    pub start: Start,
}

impl KneeRun {
    /// How a run of this kind is trained.
    pub fn training(&self) -> Training {
        Training {
            optimizer: self.optimizer,
            learning_rate: self.learning_rate,
            weight_decay: self.weight_decay,
            clip_norm: None,
            batch_size: self.batch_size,
            epochs: self.epochs,
            patience: self.patience,
            select_by: SelectBy::Auroc,
            class_weights: Some(self.class_weights),
        }
    }
}

impl Fastmri {
    /// How a run is evaluated.
    pub fn evaluation(&self, combine: Combine, noise: Option<f64>) -> Evaluation {
        let ranking = Ranking { score: self.score, operating_point: self.operating_point };
        // GroupNorm has no running statistics: both ways are the same.
        Evaluation { norm: EvalNorm::Running, combine, ranking: Some(ranking), noise }
    }
}

/// Networks and runs on the paper's generative model (Figure 1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generative {
    /// Networks by expert.
    pub experts: GenerativeExperts,
    /// Training by kind of run.
    pub runs: PairRuns,
}

/// The networks on the generative model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenerativeExperts {
    /// q(y | x).
    pub first: Architecture,
    /// q(y | x').
    pub second: Architecture,
    /// q(y | x, x').
    pub inter: Architecture,
}

/// How one kind of run is trained and evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSettings {
    /// The optimiser.
    pub optimizer: Optimizer,
    /// Learning rate.
    pub learning_rate: f64,
    /// Weight decay on every parameter: L2, but decoupled for AdamW.
    pub weight_decay: f64,
    /// Global gradient norm is clipped to this; without it, not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Examples in a training batch.
    pub batch_size: usize,
    /// Passes over the training split.
    pub epochs: usize,
    /// Stop when more than this many consecutive epochs bring no improvement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// The criterion of the best checkpoint (deviation M4).
    pub select_by: SelectByClasses,
    /// BatchNorm statistics in evaluation (deviation A2).
    pub norm: EvalNorm,
    /// Combination of experts on the test split (deviation A4).
    pub combine: Combine,
    /// Where the experts of intra and I2M2 start from (deviation M1).
    pub start: Start,
}

/// The criterion of the best checkpoint, by number of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelectByClasses {
    /// For more than two classes.
    pub multiclass: SelectBy,
    /// For two classes.
    pub binary: SelectBy,
}

/// Where the experts of a joint run start from (deviation M1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// From the separately trained experts of the same seed.
    Pretrained,
    /// From a fresh initialisation, trained jointly.
    Scratch,
}

impl RunSettings {
    /// How a run of this kind is trained for a task.
    pub fn training(&self, task: Task) -> Training {
        Training {
            optimizer: self.optimizer,
            learning_rate: self.learning_rate,
            weight_decay: self.weight_decay,
            clip_norm: self.clip_norm,
            batch_size: self.batch_size,
            epochs: self.epochs,
            patience: self.patience,
            select_by: if task.classes() == 2 { self.select_by.binary } else { self.select_by.multiclass },
            class_weights: None,
        }
    }

    /// How a run of this kind is evaluated.
    pub fn evaluation(&self) -> Evaluation {
        Evaluation { norm: self.norm, combine: self.combine, ranking: None, noise: None }
    }
}

impl Protocol {
    /// How many seeds a benchmark runs.
    pub fn seeds(&self, benchmark: &str) -> usize {
        let counts = &self.settings.seeds;
        counts.benchmarks.get(benchmark).copied().unwrap_or(counts.default)
    }

    /// How datasets are prepared.
    pub fn preparation(&self) -> Preparation {
        let Settings { mimic, fastmri, .. } = &self.settings;
        Preparation {
            standardise_on: mimic.standardise_on,
            magnitude_norm: fastmri.magnitude_norm,
            study_level: fastmri.study_level,
            knee_fixture: fastmri.fixture,
        }
    }

    /// The networks that recipes on a dataset use.
    pub fn architectures(&self, dataset: DatasetName) -> Vec<Architecture> {
        match dataset {
            DatasetName::Avmnist => {
                let AvmnistExperts { image, audio, late_fusion, low_rank } = &self.settings.avmnist.experts;
                [image, audio, late_fusion, low_rank].map(Clone::clone).to_vec()
            }
            DatasetName::Mimic => {
                let MimicExperts { static_, series, inter } = &self.settings.mimic.experts;
                [static_, series, inter].map(Clone::clone).to_vec()
            }
            DatasetName::Fastmri => {
                let FastmriExperts { rss, magnitude, phase, inter, wide_magnitude, wide_phase, wide_inter } =
                    &self.settings.fastmri.experts;
                [rss, magnitude, phase, inter, wide_magnitude, wide_phase, wide_inter]
                    .map(Clone::clone)
                    .to_vec()
            }
            DatasetName::Generative => {
                let GenerativeExperts { first, second, inter } = &self.settings.generative.experts;
                [first, second, inter].map(Clone::clone).to_vec()
            }
        }
    }

    /// Sets the number of seeds of every benchmark, as `--seeds` asks.
    pub fn set_seeds(&mut self, seeds: usize) {
        self.settings.seeds = SeedCounts { default: seeds, benchmarks: BTreeMap::new() };
    }
}

impl std::fmt::Display for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Tier::Smoke => "smoke",
            Tier::Reduced => "reduced",
            Tier::Paper => "paper",
        })
    }
}

impl std::fmt::Display for ProtocolName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ProtocolName::Paper => "paper",
            ProtocolName::Released => "released",
        })
    }
}

impl std::fmt::Display for DatasetName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            DatasetName::Avmnist => "avmnist",
            DatasetName::Mimic => "mimic",
            DatasetName::Fastmri => "fastmri",
            DatasetName::Generative => "generative",
        })
    }
}

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Task::Digits => "digits",
            Task::Mortality => "mortality",
            Task::Neoplasms => "icd9-140-239",
            Task::Respiratory => "icd9-460-519",
            Task::Knee => "knee",
            Task::Generated => "generated",
        })
    }
}
