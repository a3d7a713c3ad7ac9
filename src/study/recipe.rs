//! What one run trains: the fully resolved configuration.
//!
//! Invariant: a recipe holds everything about the configuration that can change a number, and nothing else.

use serde::{Deserialize, Serialize};

use super::{Network, SharedBackbone};
use crate::data::{Population, Target, Task};

/// Everything about a run but its data, its seed and its upstream runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The dataset, by id.
    pub dataset: String,
    /// What is predicted; the loss is the task's.
    pub task: Task,
    /// What its experts share; absent where each is a network of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backbone: Option<SharedBackbone>,
    /// The experts whose product is trained; one expert means it alone.
    pub experts: Vec<ExpertSpec>,
    /// How it is trained; absent where what the run starts from is evaluated as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
    /// How it is evaluated.
    pub evaluation: Evaluation,
    /// What is drawn of the dataset, where it is one to draw from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub population: Option<Population>,
}

impl Recipe {
    /// Whether anything is trained.
    pub fn trains(&self) -> bool {
        self.training.is_some()
    }

    /// The pretrained weights that it starts from, by name, if any.
    pub fn pretrained(&self) -> Option<&str> {
        self.backbone.as_ref().and_then(|backbone| backbone.pretrained.as_deref())
    }

    /// Whether stored logits are evaluated: nothing is trained, and the test samples are as they were.
    pub fn reads_logits(&self) -> bool {
        !self.trains() && self.evaluation.noise.is_none()
    }
}

/// One expert of a run and where it starts from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpertSpec {
    /// Its name within the run: `image`, `audio`, `static`, `series`, `inter`.
    pub name: String,
    /// Its network.
    pub network: Network,
    /// Where its weights come from.
    pub init: Init,
}

/// Where an expert's weights come from (deviation M1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// PyTorch's default initialisation, from this run's seed.
    Scratch,
    /// The expert of the same name in the upstream run at this index of the run's upstream list.
    Upstream {
        /// Index into the run's upstream list.
        run: usize,
    },
    /// The only expert of that upstream run, whatever its name: members of an ensemble, of which several have one name.
    Member {
        /// Index into the run's upstream list.
        run: usize,
    },
}

/// The optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Plain SGD: g + wd p; p - lr g.
    Sgd,
    /// PyTorch's RMSprop: v = 0.99 v + 0.01 g^2; p - lr g / (sqrt v + 1e-8).
    Rmsprop,
    /// PyTorch's AdamW with its default epsilon (1e-8), and its default betas (0.9, 0.999) where [`Training::betas`] has no others.
    AdamW,
}

/// What the best checkpoint is chosen by, on the validation split (deviation M4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SelectBy {
    /// Accuracy.
    Accuracy,
    /// Area under the precision-recall curve of p(1) (average precision).
    Auprc,
    /// Area under the ROC curve, mean over the questions.
    Auroc,
    /// Mean soft score of the most likely class.
    Score,
    /// The least loss.
    Loss,
}

impl SelectBy {
    /// Whether a task of this target has it.
    pub fn fits(self, target: &Target) -> bool {
        match self {
            SelectBy::Accuracy => matches!(target, Target::Classes { .. }),
            SelectBy::Auprc => matches!(target, Target::Classes { classes: 2 }),
            SelectBy::Auroc => matches!(target, Target::Binary { .. }),
            SelectBy::Score => matches!(target, Target::Soft { .. }),
            SelectBy::Loss => true,
        }
    }
}

/// How a run is trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The optimizer.
    pub optimizer: Optimizer,
    /// Learning rate.
    pub learning_rate: f64,
    /// Weight decay on every parameter: L2, but decoupled for AdamW.
    pub weight_decay: f64,
    /// AdamW's betas, where they are not the default ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub betas: Option<[f64; 2]>,
    /// Global gradient norm is clipped to this; without it, not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Examples in a training batch.
    pub batch_size: usize,
    /// Examples that go through the network at a time, where not the whole batch does: gradients are accumulated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<usize>,
    /// Passes over the training split, at most.
    pub epochs: usize,
    /// Stop when more than this many consecutive epochs bring no improvement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// The criterion of the best checkpoint; strictly better wins.
    pub select_by: SelectBy,
    /// Weights of the two classes of each question in the loss; only of tasks with questions (deviation F1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,
}

/// Weights of the classes in the loss of each question, from the labels of the training split (deviation F1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// n / (2 n_c).
    #[default]
    Balanced,
    /// 1 / n_c.
    Inverse,
    /// 1.
    None,
}

/// Statistics that BatchNorm uses in evaluation (deviation A2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvalNorm {
    /// Running statistics: what `eval()` means.
    Running,
    /// The statistics of each evaluation batch of the training batch size, running statistics updated along the way: what the
    /// released unimodal trainer does.
    Batch,
}

/// How the experts are combined on the test splits (deviation A4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Combine {
    /// Product of experts, as in training.
    Product,
    /// Arithmetic mean of the experts' probabilities.
    Mean,
}

/// How a run is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// BatchNorm statistics.
    pub norm: EvalNorm,
    /// Combination on the test splits.
    pub combine: Combine,
    /// How binary questions are measured; absent of other tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranking: Option<Ranking>,
    /// Noise of the test samples, in percent of each sample's peak (Figure B.7); absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
}

/// How binary questions are measured (Appendix B).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranking {
    /// What examples are ranked by (deviation F6).
    pub score: Score,
    /// Where the threshold of the balanced accuracy is chosen (deviation F7).
    pub operating_point: OperatingPoint,
}

/// What examples are ranked by, question by question (deviation F6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Score {
    /// p(1).
    #[default]
    Probability,
    /// The logit of class 1 where there is one expert; for products, whose output is normalised, p(1) all the same.
    Class1Logit,
}

/// The split that the threshold of the balanced accuracy is chosen on (deviation F7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperatingPoint {
    /// The validation split.
    #[default]
    Valid,
    /// The very split that is reported.
    Test,
}
