//! What an expert's network is made of, as study files and recipes say it.
//!
//! Invariant: a network is its parts: an encoder for each modality that it looks at, a fusion and a head; or one backbone on all
//! of them. What is written here is part of every key: a name or a default that changes gives other keys (`engine::key`).

use serde::{Deserialize, Serialize};

use super::backbone::FeatureHead;
use crate::data::Kind;

/// A network from inputs to logits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Network {
    /// An encoder per modality, a fusion where there are several, and an MLP head.
    Encoders(Encoders),
    /// One network on all modalities.
    Backbone {
        /// Which.
        backbone: Backbone,
    },
    /// A head on features of the backbone that the experts of the study share.
    OnBackbone {
        /// Which features, and its sizes.
        on_backbone: FeatureHead,
    },
}

/// Encoders, what joins their features, and the head on top.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoders {
    /// In the order of the study's modalities.
    pub encoders: Vec<ModalityEncoder>,
    /// From the features of all encoders to one vector.
    pub fusion: Fusion,
    /// From that vector to logits.
    pub head: Head,
}

/// An encoder of one modality.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModalityEncoder {
    /// Name of the modality.
    pub modality: String,
    /// The network.
    #[serde(flatten)]
    pub encoder: Encoder,
}

/// From a sample of one modality to a vector of features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "network", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Encoder {
    /// LeNet on a map of one channel: stages of convolution, BatchNorm, ReLU and max-pool (Section 4.1).
    Lenet {
        /// Channels of the first stage; each stage doubles them.
        channels: usize,
        /// Number of stages.
        stages: usize,
    },
    /// MLP(inputs, units, units) on a vector.
    Mlp {
        /// Units of the hidden layer and of the output.
        units: usize,
        /// Non-linearity (deviation M2).
        #[serde(default)]
        activation: Activation,
    },
    /// A GRU on a series; all of its hidden states, one below the other (Section 4.3).
    Gru {
        /// Hidden units.
        hidden: usize,
        /// Outputs of a linear layer on each hidden state; absent for none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        projection: Option<usize>,
    },
}

/// From the features of all encoders to one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fusion {
    /// One below the other ("late fusion"); of one modality: as they are.
    #[default]
    Concatenate,
    /// Low-rank tensor fusion of two modalities (LRTF).
    LowRank(LowRank),
}

/// Sizes of a low-rank tensor fusion.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LowRank {
    /// Its rank.
    pub rank: usize,
    /// Its outputs.
    pub output: usize,
    /// Whether its factors are trained (deviation A3).
    pub trainable: bool,
}

/// MLP(features, hidden, logits).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Hidden units.
    pub hidden: usize,
    /// Non-linearity (deviation M2).
    #[serde(default)]
    pub activation: Activation,
}

/// The non-linearity of an MLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Activation {
    /// max(x, 0).
    #[default]
    Relu,
    /// x for x > 0, otherwise slope * x.
    LeakyRelu {
        /// The negative slope.
        slope: f64,
    },
}

/// One network on all modalities that it looks at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "network", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Backbone {
    /// Pre-activation residual network with GroupNorm (Section 4.2): a 3x3 stem, stages of basic blocks, mean-pooling to
    /// `pool` x `pool`, and one linear layer. Several modalities are stacked as channels: early fusion.
    PreactResnet {
        /// What it looks at, in the order of the channels.
        modalities: Vec<String>,
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

impl Network {
    /// Encoders of these modalities, what joins their features, and a head.
    pub fn of<'a>(
        encoders: impl IntoIterator<Item = (&'a str, Encoder)>,
        fusion: Fusion,
        head: Head,
    ) -> Self {
        let part =
            |(modality, encoder): (&str, Encoder)| ModalityEncoder { modality: modality.to_owned(), encoder };
        Network::Encoders(Encoders { encoders: encoders.into_iter().map(part).collect(), fusion, head })
    }

    /// Names of the modalities that it looks at, in its own order; of a head, its features.
    pub fn modalities(&self) -> Vec<&str> {
        match self {
            Network::Encoders(parts) => parts.encoders.iter().map(|part| part.modality.as_str()).collect(),
            Network::Backbone { backbone } => backbone.modalities().iter().map(String::as_str).collect(),
            Network::OnBackbone { on_backbone } => vec![on_backbone.features.name()],
        }
    }
}

impl Encoder {
    /// The kind of modality that it reads.
    pub fn reads(&self) -> Kind {
        match self {
            Encoder::Lenet { .. } => Kind::Map,
            Encoder::Mlp { .. } => Kind::Vector,
            Encoder::Gru { .. } => Kind::Series,
        }
    }
}

impl Backbone {
    /// Names of the modalities that it looks at.
    pub fn modalities(&self) -> &[String] {
        match self {
            Backbone::PreactResnet { modalities, .. } => modalities,
        }
    }

    /// The kind of modality that it reads.
    pub fn reads(&self) -> Kind {
        match self {
            Backbone::PreactResnet { .. } => Kind::Map,
        }
    }
}

/// A size or a number that no network can have.
pub(super) struct Impossible {
    /// Dotted path below the network.
    pub path: String,
    /// What is wrong.
    pub problem: String,
}

impl Impossible {
    fn at(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Impossible { path: path.into(), problem: problem.into() }
    }
}

impl Network {
    /// Refuses sizes that cannot be built: zeros, slopes outside of [0, 1), groups that do not divide channels.
    pub(super) fn check(&self) -> Result<(), Impossible> {
        match self {
            Network::Encoders(Encoders { encoders, fusion, head }) => {
                for ModalityEncoder { modality, encoder } in encoders {
                    encoder.check(&format!("encoders.{modality}"))?;
                }
                if let Fusion::LowRank(LowRank { rank, output, .. }) = *fusion {
                    sizes("fusion.low-rank", &[("rank", rank), ("output", output)])?;
                    if encoders.len() != 2 {
                        let found = encoders.len();
                        let problem = format!("low-rank fusion joins two modalities, found {found}");
                        return Err(Impossible::at("fusion", problem));
                    }
                }
                sizes("head", &[("hidden", head.hidden)])?;
                head.activation.check("head")
            }
            Network::Backbone { backbone } => backbone.check(),
            Network::OnBackbone { on_backbone } => sizes("on_backbone", &[("hidden", on_backbone.hidden)]),
        }
    }
}

impl Encoder {
    fn check(&self, path: &str) -> Result<(), Impossible> {
        match *self {
            Encoder::Lenet { channels, stages } => sizes(path, &[("channels", channels), ("stages", stages)]),
            Encoder::Mlp { units, activation } => {
                sizes(path, &[("units", units)])?;
                activation.check(path)
            }
            Encoder::Gru { hidden, projection } => {
                sizes(path, &[("hidden", hidden), ("projection", projection.unwrap_or(1))])
            }
        }
    }
}

impl Backbone {
    fn check(&self) -> Result<(), Impossible> {
        let Backbone::PreactResnet { stem, widths, blocks, groups, pool, .. } = self;
        sizes("backbone", &[("stem", *stem), ("blocks", *blocks), ("groups", *groups), ("pool", *pool)])?;
        if widths.is_empty() {
            return Err(Impossible::at("backbone.widths", "expected a stage or more"));
        }
        let wrong =
            widths.iter().chain([stem]).find(|channels| **channels == 0 || !channels.is_multiple_of(*groups));
        match wrong {
            None => Ok(()),
            Some(channels) => {
                let problem = format!("expected channels that {groups} groups divide, found {channels}");
                Err(Impossible::at("backbone.widths", problem))
            }
        }
    }
}

impl Activation {
    fn check(self, path: &str) -> Result<(), Impossible> {
        match self {
            Activation::LeakyRelu { slope } if !(0.0..1.0).contains(&slope) => {
                let problem = format!("expected a number in [0, 1), found {slope}");
                Err(Impossible::at(format!("{path}.activation.leaky-relu.slope"), problem))
            }
            Activation::Relu | Activation::LeakyRelu { .. } => Ok(()),
        }
    }
}

fn sizes(path: &str, sizes: &[(&str, usize)]) -> Result<(), Impossible> {
    match sizes.iter().find(|(_, size)| *size == 0) {
        None => Ok(()),
        Some((name, _)) => Err(Impossible::at(format!("{path}.{name}"), "expected 1 or more, found 0")),
    }
}
