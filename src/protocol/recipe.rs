//! What one run trains: the fully resolved configuration.

use serde::{Deserialize, Serialize};

/// How much of the paper's budget and data a result stands for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Synthetic fixtures, seconds; never comparable with the paper.
    Smoke,
    /// Real data, cut budget, marked so.
    Reduced,
    /// Real data, full budget.
    Paper,
}

/// Which set of hyper-parameters and choices.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum ProtocolName {
    /// What the paper's text says.
    Paper,
    /// What the official code does.
    Released,
}

/// The data a run reads, by name; its prepared digest goes into the key beside this.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum DatasetName {
    /// AV-MNIST: images (x) and spoken digits (x').
    Avmnist,
    /// MIMIC-III: static (x) and time series (x').
    Mimic,
}

/// What is predicted. The task fixes labels and number of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// AV-MNIST, ten digits.
    Digits,
    /// MIMIC-III, six classes of survival.
    Mortality,
    /// MIMIC-III, ICD-9 140-239 (neoplasms), two classes.
    #[serde(rename = "icd9-140-239")]
    Neoplasms,
    /// MIMIC-III, ICD-9 460-519 (respiratory), two classes.
    #[serde(rename = "icd9-460-519")]
    Respiratory,
}

impl Task {
    /// The dataset this task belongs to.
    pub fn dataset(self) -> DatasetName {
        match self {
            Task::Digits => DatasetName::Avmnist,
            Task::Mortality | Task::Neoplasms | Task::Respiratory => DatasetName::Mimic,
        }
    }

    /// Number of classes.
    pub fn classes(self) -> usize {
        match self {
            Task::Digits => 10,
            Task::Mortality => 6,
            Task::Neoplasms | Task::Respiratory => 2,
        }
    }
}

/// The two modalities of the paper: x and x'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    /// x: image (AV-MNIST), static (MIMIC-III).
    First,
    /// x': audio (AV-MNIST), time series (MIMIC-III).
    Second,
}

/// The non-linearity of an MLP (deviation M2).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// x for x > 0, otherwise slope * x.
    LeakyRelu {
        /// The negative slope.
        slope: f64,
    },
}

/// One expert: a network from inputs to logits. Sizes as in the spec, sections 1.3 and 2.3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "network", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Architecture {
    /// LeNet(channels, stages) on one modality of AV-MNIST, then MLP(features, hidden, classes).
    Lenet {
        /// Image or audio.
        modality: Modality,
        /// Channels of the first stage; each stage doubles them.
        channels: usize,
        /// Number of stages: conv, BatchNorm, ReLU, max-pool (4 is the spec's LeNet(c, 3)).
        stages: usize,
        /// Hidden units of the head.
        hidden: usize,
    },
    /// Two LeNets, concatenated (image first), then an MLP head.
    LenetLateFusion {
        /// Channels of both encoders' first stage.
        channels: usize,
        /// Stages of the image and of the audio encoder.
        stages: [usize; 2],
        /// Hidden units of the head.
        hidden: usize,
    },
    /// Two LeNets, low-rank tensor fusion, then an MLP head.
    LenetLowRank {
        /// Channels of both encoders' first stage.
        channels: usize,
        /// Stages of the image and of the audio encoder.
        stages: [usize; 2],
        /// Rank of the fusion.
        rank: usize,
        /// Outputs of the fusion.
        output: usize,
        /// Hidden units of the head.
        hidden: usize,
        /// Whether the fusion's factors are trained (deviation A3).
        trainable_fusion: bool,
    },
    /// MLP(5, encoder, encoder), then MLP(encoder, hidden, classes).
    StaticMlp {
        /// Units of the encoder's hidden layer and output.
        encoder: usize,
        /// Hidden units of the head.
        hidden: usize,
        /// Non-linearity of encoder and head.
        activation: Activation,
    },
    /// GRU over the series, a linear layer per step, flattened, then an MLP head.
    SeriesGru {
        /// Hidden units of the GRU.
        gru: usize,
        /// Outputs of the per-step linear layer.
        projection: usize,
        /// Hidden units of the head.
        hidden: usize,
        /// Non-linearity of the head.
        activation: Activation,
    },
    /// Static encoder beside all hidden states of the GRU, concatenated (static first), then an MLP head.
    ClinicalLateFusion {
        /// Units of the static encoder.
        encoder: usize,
        /// Hidden units of the GRU.
        gru: usize,
        /// Hidden units of the head.
        hidden: usize,
        /// Non-linearity of encoder and head.
        activation: Activation,
    },
}

/// One expert of a run and where it starts from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExpertSpec {
    /// Its name within the run: `image`, `audio`, `static`, `series`, `inter`.
    pub name: String,
    /// Its network.
    pub architecture: Architecture,
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
}

/// The optimiser.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Optimizer {
    /// Plain SGD: g + wd p; p - lr g.
    Sgd,
    /// PyTorch's RMSprop: v = 0.99 v + 0.01 g^2; p - lr g / (sqrt v + 1e-8).
    Rmsprop,
}

/// What the best checkpoint is chosen by, on the validation split (deviation M4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SelectBy {
    /// Accuracy.
    Accuracy,
    /// Area under the precision-recall curve of p(1) (average precision).
    Auprc,
}

/// How a run is trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The optimiser.
    pub optimizer: Optimizer,
    /// Learning rate.
    pub learning_rate: f64,
    /// L2 weight decay on every parameter.
    pub weight_decay: f64,
    /// Global gradient norm is clipped to this.
    pub clip_norm: f64,
    /// Examples in a training batch.
    pub batch_size: usize,
    /// Passes over the training split.
    pub epochs: usize,
    /// Stop when more than this many consecutive epochs bring no improvement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// The criterion of the best checkpoint; strictly greater wins.
    pub select_by: SelectBy,
}

/// Statistics that BatchNorm uses in evaluation (deviation A2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvalNorm {
    /// Running statistics: what `eval()` means.
    Running,
    /// The statistics of each evaluation batch of the training batch size, running statistics updated along
    /// the way: what the released unimodal trainer does.
    Batch,
}

/// How the experts are combined on the test split (deviation A4).
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
    /// Combination on the test split.
    pub combine: Combine,
}

/// Everything about a run but its data, its seed and its upstream runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// What is predicted.
    pub task: Task,
    /// The experts whose product is trained; one expert means it alone.
    pub experts: Vec<ExpertSpec>,
    /// How it is trained.
    pub training: Training,
    /// How it is evaluated.
    pub evaluation: Evaluation,
}
