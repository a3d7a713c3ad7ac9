//! What every [`Architecture`] is made of.
//!
//! Invariant: an architecture is taken apart here and nowhere else; the rest only knows encoders, fusion and head, or
//! the sizes of a residual network.

use super::preact_resnet::Sizes;
use crate::protocol::{Activation, Architecture, Modality};

/// From a modality to a vector of features.
#[derive(Clone, Copy)]
pub(super) enum EncoderPlan {
    /// LeNet(channels, stages) on maps.
    Lenet { channels: usize, stages: usize },
    /// MLP(inputs, units, units) on vectors.
    Mlp { units: usize, activation: Activation },
    /// GRU on series, all states, through a linear layer per step if there is a projection.
    Series { hidden: usize, projection: Option<usize> },
}

/// From the features of both modalities to one vector.
#[derive(Clone, Copy)]
pub(super) enum FusionPlan {
    /// One below the other; of one modality: as they are.
    Concatenate,
    /// Low-rank tensor fusion.
    LowRank { rank: usize, output: usize, trainable: bool },
}

/// What an expert is.
pub(super) enum Blueprint {
    /// An encoder per modality, a fusion, and an MLP head.
    Encoders(EncodersPlan),
    /// One network on the stacked modalities.
    Resnet {
        /// In the order of the channels.
        modalities: Vec<Modality>,
        /// As for one channel per modality.
        sizes: Sizes,
    },
}

/// Encoders, fusion, and head of an expert.
pub(super) struct EncodersPlan {
    pub encoders: Vec<(Modality, EncoderPlan)>,
    pub fusion: FusionPlan,
    pub hidden: usize,
    pub activation: Activation,
}

impl Blueprint {
    /// What the expert looks at.
    pub(super) fn modalities(&self) -> Vec<Modality> {
        match self {
            Blueprint::Encoders(plan) => plan.encoders.iter().map(|(modality, _)| *modality).collect(),
            Blueprint::Resnet { modalities, .. } => modalities.clone(),
        }
    }
}

impl From<&Architecture> for Blueprint {
    fn from(architecture: &Architecture) -> Self {
        use Modality::{First, Second};
        let lenets = |channels, stages: [usize; 2]| {
            vec![
                (First, EncoderPlan::Lenet { channels, stages: stages[0] }),
                (Second, EncoderPlan::Lenet { channels, stages: stages[1] }),
            ]
        };
        let (encoders, fusion, hidden, activation) = match *architecture {
            Architecture::PreactResnet { ref modalities, stem, ref widths, blocks, groups, pool } => {
                let widths = widths.clone();
                let sizes = Sizes { inputs: modalities.len(), stem, widths, blocks, groups, pool };
                return Blueprint::Resnet { modalities: modalities.clone(), sizes };
            }
            Architecture::Lenet { modality, channels, stages, hidden } => (
                vec![(modality, EncoderPlan::Lenet { channels, stages })],
                FusionPlan::Concatenate,
                hidden,
                Activation::Relu,
            ),
            Architecture::LenetLateFusion { channels, stages, hidden } => {
                (lenets(channels, stages), FusionPlan::Concatenate, hidden, Activation::Relu)
            }
            Architecture::LenetLowRank { channels, stages, rank, output, hidden, trainable_fusion } => (
                lenets(channels, stages),
                FusionPlan::LowRank { rank, output, trainable: trainable_fusion },
                hidden,
                Activation::Relu,
            ),
            Architecture::StaticMlp { encoder: units, hidden, activation } => (
                vec![(First, EncoderPlan::Mlp { units, activation })],
                FusionPlan::Concatenate,
                hidden,
                activation,
            ),
            Architecture::VectorMlp { ref modalities, encoder: units, hidden } => {
                let activation = Activation::Relu;
                let encoder = |&modality: &Modality| (modality, EncoderPlan::Mlp { units, activation });
                (modalities.iter().map(encoder).collect(), FusionPlan::Concatenate, hidden, activation)
            }
            Architecture::SeriesGru { gru, projection, hidden, activation } => (
                vec![(Second, EncoderPlan::Series { hidden: gru, projection: Some(projection) })],
                FusionPlan::Concatenate,
                hidden,
                activation,
            ),
            Architecture::ClinicalLateFusion { encoder: units, gru, hidden, activation } => (
                vec![
                    (First, EncoderPlan::Mlp { units, activation }),
                    (Second, EncoderPlan::Series { hidden: gru, projection: None }),
                ],
                FusionPlan::Concatenate,
                hidden,
                activation,
            ),
        };
        Blueprint::Encoders(EncodersPlan { encoders, fusion, hidden, activation })
    }
}
