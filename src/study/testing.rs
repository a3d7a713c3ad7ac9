//! Networks for tests, in one line each.

use super::{Activation, Backbone, Encoder, Fusion, Head, LowRank, Network};

fn head(hidden: usize, activation: Activation) -> Head {
    Head { hidden, activation }
}

/// LeNet and a head.
pub(crate) fn lenet(modality: &str, channels: usize, stages: usize, hidden: usize) -> Network {
    let encoder = Encoder::Lenet { channels, stages };
    Network::of([(modality, encoder)], Fusion::Concatenate, head(hidden, Activation::Relu))
}

/// Two LeNets, a fusion and a head.
pub(crate) fn lenets(
    modalities: [&str; 2],
    channels: usize,
    stages: [usize; 2],
    fusion: Fusion,
    hidden: usize,
) -> Network {
    let encoders = modalities.into_iter().zip(stages.map(|stages| Encoder::Lenet { channels, stages }));
    Network::of(encoders, fusion, head(hidden, Activation::Relu))
}

/// Low-rank fusion.
pub(crate) fn low_rank(rank: usize, output: usize, trainable: bool) -> Fusion {
    Fusion::LowRank(LowRank { rank, output, trainable })
}

/// An MLP on each vector, and a head.
pub(crate) fn mlps(modalities: &[&str], units: usize, hidden: usize, activation: Activation) -> Network {
    let encoders = modalities.iter().map(|modality| (*modality, Encoder::Mlp { units, activation }));
    Network::of(encoders, Fusion::Concatenate, head(hidden, activation))
}

/// A GRU, a linear layer on each state, and a head.
pub(crate) fn gru(
    modality: &str,
    hidden: usize,
    projection: usize,
    top: usize,
    activation: Activation,
) -> Network {
    let encoder = Encoder::Gru { hidden, projection: Some(projection) };
    Network::of([(modality, encoder)], Fusion::Concatenate, head(top, activation))
}

/// An MLP beside all states of a GRU, and a head.
pub(crate) fn clinical(
    modalities: [&str; 2],
    units: usize,
    hidden: usize,
    top: usize,
    activation: Activation,
) -> Network {
    let encoders = [Encoder::Mlp { units, activation }, Encoder::Gru { hidden, projection: None }];
    Network::of(modalities.into_iter().zip(encoders), Fusion::Concatenate, head(top, activation))
}

/// A residual network: stem, widths, blocks, groups, pool.
pub(crate) fn resnet(
    modalities: &[&str],
    stem: usize,
    widths: &[usize],
    [blocks, groups, pool]: [usize; 3],
) -> Network {
    let modalities = modalities.iter().map(|name| (*name).to_owned()).collect();
    let backbone = Backbone::PreactResnet { modalities, stem, widths: widths.to_vec(), blocks, groups, pool };
    Network::Backbone { backbone }
}
