//! A tiny network of the same parts as another: what a canary trains.
//!
//! Invariant: sizes are odd and differ, so that every remainder of every kernel is met; they depend on the parts alone, not on the
//! network's own sizes. They are part of every canary, so they never change.

use crate::data::Modality;
use crate::study::{
    Activation, Backbone, Encoder, Encoders, FeatureHead, Fiber, Fusion, Head, Image, LowRank,
    ModalityEncoder, Network, Pass, SharedBackbone, TextSizes,
};

/// A tiny network, the data that it looks at, and the name of what it is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Tiny {
    /// Its parts: `lenet+lenet,low-rank,relu`.
    pub name: String,
    /// The network.
    pub network: Network,
    /// What it is a head on, if it is one.
    pub backbone: Option<SharedBackbone>,
    /// What it looks at.
    pub modalities: Vec<Modality>,
}

/// The same non-linearity, and its name.
fn activation(own: Activation) -> (Activation, &'static str) {
    match own {
        Activation::Relu => (Activation::Relu, "relu"),
        Activation::LeakyRelu { .. } => (Activation::LeakyRelu { slope: 0.2 }, "leaky-relu"),
    }
}

/// The tiny network of the parts of `network`.
pub fn tiny(network: &Network) -> Tiny {
    match network {
        Network::Encoders(parts) => encoders(parts),
        Network::Backbone { backbone: Backbone::PreactResnet { modalities, .. } } => {
            // One modality and several are stacked in different ways; how many does not matter.
            let modalities: Vec<Modality> =
                (0..modalities.len().min(2)).map(|index| Modality::new(name(index), [1, 9, 11])).collect();
            let backbone = Backbone::PreactResnet {
                modalities: modalities.iter().map(|modality| modality.name.clone()).collect(),
                stem: 4,
                widths: vec![6, 10],
                blocks: 1,
                groups: 2,
                pool: 2,
            };
            Tiny {
                name: format!("preact-resnet*{}", modalities.len()),
                network: Network::Backbone { backbone },
                backbone: None,
                modalities,
            }
        }
        // All passes in one: which of them a head reads does not matter.
        Network::OnBackbone { .. } => Tiny {
            name: "fiber".to_owned(),
            network: Network::OnBackbone { on_backbone: FeatureHead { features: Pass::Fused, hidden: 11 } },
            backbone: Some(SharedBackbone {
                images: name(0),
                text: name(1),
                pretrained: None,
                trained: true,
                noise: true,
                fiber: fiber(),
            }),
            modalities: vec![Modality::new(name(0), [2, 3, 64, 64]), Modality::tokens(name(1), 7)],
        },
    }
}

/// A backbone with a shifted window, blocks that are fused in two stages, and layers that are not.
fn fiber() -> Fiber {
    Fiber {
        image: Image { side: 64, width: 4, depths: [1, 2, 1, 1], heads: [1, 1, 2, 2], drop_path: 0.1 },
        text: TextSizes {
            hidden: 6,
            layers: 3,
            heads: 2,
            inner: 10,
            vocabulary: 13,
            positions: 9,
            padding: 1,
            dropout: 0.1,
        },
        fused: 2,
    }
}

fn name(index: usize) -> String {
    format!("m{index}")
}

fn encoders(parts: &Encoders) -> Tiny {
    let (mut names, mut encoders, mut modalities) = (Vec::new(), Vec::new(), Vec::new());
    for (index, part) in parts.encoders.iter().enumerate() {
        let (kind, encoder, dims) = match part.encoder {
            Encoder::Lenet { .. } => {
                let dims = if index == 0 { [1, 9, 11] } else { [1, 10, 9] };
                let encoder = Encoder::Lenet { channels: 3 - index.min(1), stages: 3 - index.min(1) };
                ("lenet".to_owned(), encoder, dims.to_vec())
            }
            Encoder::Mlp { activation: own, .. } => {
                let (activation, word) = activation(own);
                (format!("mlp-{word}"), Encoder::Mlp { units: 10, activation }, vec![5 + 2 * index])
            }
            Encoder::Gru { projection: None, .. } => {
                ("gru".to_owned(), Encoder::Gru { hidden: 9, projection: None }, vec![7, 6])
            }
            Encoder::Gru { projection: Some(_), .. } => {
                ("gru-linear".to_owned(), Encoder::Gru { hidden: 9, projection: Some(5) }, vec![7, 6])
            }
        };
        names.push(kind);
        encoders.push(ModalityEncoder { modality: name(index), encoder });
        modalities.push(Modality::new(name(index), dims));
    }
    let (fusion, fused) = match parts.fusion {
        Fusion::Concatenate => (Fusion::Concatenate, ""),
        Fusion::LowRank(_) => {
            (Fusion::LowRank(LowRank { rank: 3, output: 13, trainable: true }), ",low-rank")
        }
    };
    let (activation, word) = activation(parts.head.activation);
    let network = Network::Encoders(Encoders { encoders, fusion, head: Head { hidden: 11, activation } });
    Tiny { name: format!("{}{fused},{word}", names.join("+")), network, backbone: None, modalities }
}
