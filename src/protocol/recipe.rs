//! What one run trains: the fully resolved configuration.

use serde::{Deserialize, Serialize};

use super::knee::{ClassWeights, Finding, OperatingPoint, Score};

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
    /// fastMRI knee: magnitude (x) and phase (x').
    Fastmri,
    /// The paper's own generative model (Figure 1): vectors drawn from it.
    Generative,
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
    /// fastMRI knee, four findings of two classes each: a network has a head for each.
    Knee,
    /// The label of the paper's generative model, four classes.
    Generated,
}

impl Task {
    /// The dataset this task belongs to.
    pub fn dataset(self) -> DatasetName {
        match self {
            Task::Digits => DatasetName::Avmnist,
            Task::Mortality | Task::Neoplasms | Task::Respiratory => DatasetName::Mimic,
            Task::Knee => DatasetName::Fastmri,
            Task::Generated => DatasetName::Generative,
        }
    }

    /// Number of classes; of each head, where there are several.
    pub fn classes(self) -> usize {
        match self {
            Task::Digits => 10,
            Task::Mortality => 6,
            Task::Generated => 4,
            Task::Neoplasms | Task::Respiratory | Task::Knee => 2,
        }
    }

    /// What is predicted side by side, in the order of the heads; empty where there is one thing alone.
    pub fn heads(self) -> &'static [Finding] {
        match self {
            Task::Knee => &Finding::ALL,
            Task::Digits | Task::Mortality | Task::Neoplasms | Task::Respiratory | Task::Generated => &[],
        }
    }

    /// Number of logits of a network: classes, head by head.
    pub fn logits(self) -> usize {
        self.classes() * self.heads().len().max(1)
    }

    /// Number of values that a label has: with several heads, the class of head h is digit h of it, in base `classes`.
    pub fn labels(self) -> usize {
        self.classes().pow(self.heads().len().max(1) as u32)
    }
}

/// What a network looks at: the two modalities of the paper, x and x', and what it compares them with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Modality {
    /// x: image (AV-MNIST), static (MIMIC-III), magnitude (fastMRI).
    First,
    /// x': audio (AV-MNIST), time series (MIMIC-III), phase (fastMRI).
    Second,
    /// The root-sum-of-squares reconstruction (fastMRI).
    Third,
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
    /// An MLP on the vector of each modality that it looks at, concatenated (first before second), then an MLP head.
    VectorMlp {
        /// One, or both.
        modalities: Vec<Modality>,
        /// Units of each encoder's hidden layer and output.
        encoder: usize,
        /// Hidden units of the head.
        hidden: usize,
    },
    /// Pre-activation residual network with GroupNorm: a 3x3 stem, stages of basic blocks, mean-pooling to `pool` x `pool`,
    /// and one linear layer (spec 3.6). Several modalities are stacked as channels: early fusion.
    PreactResnet {
        /// What it looks at, in the order of the channels.
        modalities: Vec<Modality>,
        /// Channels of the stem.
        stem: usize,
        /// Channels of each stage; every stage but the first halves the side.
        widths: Vec<usize>,
        /// Blocks of each stage.
        blocks: usize,
        /// Groups of every GroupNorm (deviation F8); 1 is what the released code calls `layer`.
        groups: usize,
        /// Side of what the linear layer sees.
        pool: usize,
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
    /// The only expert of that upstream run, whatever its name: members of an ensemble, of which several have one name.
    Member {
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
    /// PyTorch's AdamW with its default betas (0.9, 0.999) and epsilon (1e-8).
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
    /// Area under the ROC curve, mean over the heads.
    Auroc,
}

/// How a run is trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
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
    /// The criterion of the best checkpoint; strictly greater wins.
    pub select_by: SelectBy,
    /// Weights of the classes of each head in the loss; absent where there is one head, which has none (deviation F1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,
}

impl Training {
    /// Of a run that trains nothing: it evaluates what it starts from.
    pub const NONE: Training = Training {
        optimizer: Optimizer::Sgd,
        learning_rate: 0.0,
        weight_decay: 0.0,
        clip_norm: None,
        batch_size: 1,
        epochs: 0,
        patience: None,
        select_by: SelectBy::Accuracy,
        class_weights: None,
    };
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
    /// How several heads are measured; absent where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranking: Option<Ranking>,
    /// Noise of the test samples, in percent of each sample's peak (Figure B.7); absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
}

/// How the heads of a binary task are measured (spec 3.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranking {
    /// What examples are ranked by (deviation F6).
    pub score: Score,
    /// Where the threshold of the balanced accuracy is chosen (deviation F7).
    pub operating_point: OperatingPoint,
}

/// What a run draws from the paper's generative model (Figure 1).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Population {
    /// How strongly v = 1 selects: 0 for no interaction of the modalities.
    pub strength: f64,
    /// How many rows are trained on.
    pub rows: usize,
    /// Which rows: the first in the order of the training split that belongs to this number. A run's own seed.
    pub draw: u64,
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
    /// What it draws, where the data is the paper's generative model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub population: Option<Population>,
}

impl Recipe {
    /// Whether anything is trained; otherwise what the run starts from is evaluated.
    pub fn trains(&self) -> bool {
        self.training.epochs > 0
    }
}
