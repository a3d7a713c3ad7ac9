//! One expert: an encoder per modality it looks at, a fusion where there are several, and an MLP head; or one backbone on all it
//! looks at.
//!
//! Invariant: a network that does not fit the dimensions of the data is an error before anything is computed.

use dfdx::prelude::Tape;

use super::input::{Input, Inputs};
use super::lenet::{self, Lenet};
use super::low_rank::LowRank;
use super::mlp::Mlp;
use super::module::{Module, NamedTensors, Scope};
use super::preact_resnet::{PreactResnet, Sizes};
use super::series::Series;
use super::shared::{Head, PassFeatures, Shared};
use super::{ModelError, position};
use crate::data::Modality;
use crate::ops::concat::concat;
use crate::ops::norm_relu_pool::Statistics;
use crate::ops::simd::Real;
use crate::ops::{Backend, Features};
use crate::study::{self, Backbone, Fusion, ModalityEncoder, Network};

enum Encoder<E: Real, D: Backend<E>> {
    Lenet(Lenet<E, D>),
    Mlp(Mlp<E, D>),
    Series(Series<E, D>),
}

/// A network from inputs to logits. Modalities are indices into the dataset's list of them.
pub enum Expert<E: Real, D: Backend<E>> {
    /// An encoder per modality, a fusion where there are several, and an MLP head.
    Encoders(Box<Encoders<E, D>>),
    /// One residual network on the stacked modalities.
    Resnet(Vec<usize>, Box<PreactResnet<E, D>>),
    /// A head on features of the shared backbone.
    Head(Box<Head<E, D>>),
}

/// The parts of an expert with encoders.
pub struct Encoders<E: Real, D: Backend<E>> {
    encoders: Vec<(usize, Encoder<E, D>)>,
    fusion: Option<LowRank<E, D>>,
    head: Mlp<E, D>,
}

impl<E: Real, D: Backend<E>> Expert<E, D> {
    /// Builds a network with fresh weights for data of these modalities and so many logits. A head reads the features of `shared`;
    /// without that, features that the data holds by the names of the passes.
    ///
    /// # Errors
    /// A modality that the data lacks, or whose dimensions do not fit.
    pub fn new(
        scope: &Scope<D>,
        network: &Network,
        modalities: &[Modality],
        shared: Option<&Shared<E, D>>,
        logits: usize,
    ) -> Result<Self, ModelError> {
        match network {
            Network::Encoders(parts) => {
                Ok(Expert::Encoders(Box::new(Encoders::new(scope, parts, modalities, logits)?)))
            }
            &Network::OnBackbone { on_backbone } => {
                Ok(Expert::Head(Box::new(Head::new(scope, on_backbone, shared, modalities, logits)?)))
            }
            Network::Backbone { backbone } => {
                let sizes = sizes(backbone);
                let mut indices = Vec::new();
                for name in backbone.modalities() {
                    let index = position(name, modalities)?;
                    let modality = &modalities[index];
                    if !matches!(*modality.dims, [1, height, width] if sizes.fit(height, width)) {
                        let halvings = sizes.widths.len().saturating_sub(1);
                        let expected =
                            format!("maps of one channel, at least {} pixels wide", sizes.pool << halvings);
                        return Err(ModelError::dims(modality, expected));
                    }
                    indices.push(index);
                }
                Ok(Expert::Resnet(indices, Box::new(PreactResnet::new(scope, &sizes, logits)?)))
            }
        }
    }

    /// The modalities that it looks at itself.
    pub fn modalities(&self) -> Vec<usize> {
        match self {
            Expert::Head(head) => head.place().into_iter().collect(),
            Expert::Encoders(parts) => parts.encoders.iter().map(|(index, _)| *index).collect(),
            Expert::Resnet(indices, _) => indices.clone(),
        }
    }

    /// Logits x batch; `features` are those of the shared backbone, of which a head takes its own.
    ///
    /// # Errors
    /// A batch without a modality, or the device.
    pub(super) fn logits<T: Tape<E, D>>(
        &mut self,
        inputs: &Inputs<E, D>,
        features: &mut PassFeatures<E, D, T>,
        statistics: Statistics,
    ) -> Result<Features<E, D, T>, ModelError> {
        match self {
            Expert::Head(head) => head.logits(inputs, features),
            Expert::Encoders(encoders) => encoders.logits(inputs, statistics),
            Expert::Resnet(modalities, network) => {
                let maps = modalities.iter().map(|&index| match inputs.get(index)? {
                    Input::Maps(maps) => Ok(maps),
                    input => Err(ModelError::unfit(index, input)),
                });
                Ok(network.forward(&maps.collect::<Result<Vec<_>, ModelError>>()?)?)
            }
        }
    }
}

/// The sizes of a backbone.
pub(super) fn sizes(backbone: &Backbone) -> Sizes {
    let Backbone::PreactResnet { modalities, stem, widths, blocks, groups, pool } = backbone.clone();
    Sizes { inputs: modalities.len(), stem, widths, blocks, groups, pool }
}

impl<E: Real, D: Backend<E>> Encoders<E, D> {
    fn new(
        scope: &Scope<D>,
        parts: &study::Encoders,
        modalities: &[Modality],
        logits: usize,
    ) -> Result<Self, ModelError> {
        let (mut encoders, mut features) = (Vec::new(), Vec::new());
        for (index, ModalityEncoder { modality, encoder }) in parts.encoders.iter().enumerate() {
            let scope = scope.within(&encoder_name(index, parts.encoders.len()));
            let index = position(modality, modalities)?;
            let (encoder, width) = Encoder::new(&scope, encoder, &modalities[index])?;
            encoders.push((index, encoder));
            features.push(width);
        }
        if encoders.is_empty() {
            return Err(ModelError::Nothing);
        }
        let (fusion, width) = match (parts.fusion, &features[..]) {
            (Fusion::Concatenate, _) => (None, features.iter().sum()),
            (Fusion::LowRank(study::LowRank { rank, output, trainable }), &[first, second]) => {
                let scope = scope.within("fusion");
                (Some(LowRank::new(&scope, [first, second], rank, output, trainable)?), output)
            }
            (Fusion::LowRank(_), _) => return Err(ModelError::Fusion { found: features.len() }),
        };
        let head = parts.head;
        let head = Mlp::new(&scope.within("head"), [width, head.hidden, logits], head.activation)?;
        Ok(Encoders { encoders, fusion, head })
    }

    fn logits<T: Tape<E, D>>(
        &mut self,
        inputs: &Inputs<E, D>,
        statistics: Statistics,
    ) -> Result<Features<E, D, T>, ModelError> {
        let mut fused = None;
        for (index, encoder) in &mut self.encoders {
            let features = encoder.forward(inputs.get(*index)?, *index, statistics)?;
            fused = Some(match (fused, &self.fusion) {
                (None, _) => features,
                (Some(before), Some(fusion)) => fusion.forward(before, features)?,
                (Some(before), None) => concat(before, features)?,
            });
        }
        Ok(self.head.forward(fused.ok_or(ModelError::Nothing)?)?)
    }
}

impl<E: Real, D: Backend<E>> Encoder<E, D> {
    /// A fresh encoder, and the number of its features.
    fn new(
        scope: &Scope<D>,
        encoder: &study::Encoder,
        modality: &Modality,
    ) -> Result<(Self, usize), ModelError> {
        let unfit = |expected: String| ModelError::dims(modality, expected);
        Ok(match (encoder, &modality.dims[..]) {
            (&study::Encoder::Lenet { channels, stages }, dims) => {
                let features = lenet::features(channels, stages, dims).ok_or_else(|| {
                    unfit(format!("maps of one channel with sides of {} or more", 1u64 << stages.min(63)))
                })?;
                (Encoder::Lenet(Lenet::new(scope, channels, stages)?), features)
            }
            (&study::Encoder::Mlp { units, activation }, &[inputs]) => {
                (Encoder::Mlp(Mlp::new(scope, [inputs, units, units], activation)?), units)
            }
            (&study::Encoder::Gru { hidden, projection }, &[steps, channels]) => {
                let encoder = Series::new(scope, channels, hidden, projection)?;
                (Encoder::Series(encoder), steps * projection.unwrap_or(hidden))
            }
            (study::Encoder::Mlp { .. }, _) => return Err(unfit("vectors".to_owned())),
            (study::Encoder::Gru { .. }, _) => return Err(unfit("series, steps x channels".to_owned())),
        })
    }

    /// Features x batch.
    fn forward<T: Tape<E, D>>(
        &mut self,
        input: &Input<E, D>,
        index: usize,
        statistics: Statistics,
    ) -> Result<Features<E, D, T>, ModelError> {
        Ok(match (self, input) {
            (Encoder::Lenet(lenet), Input::Maps(maps)) => lenet.forward(maps.retaped(), statistics)?,
            (Encoder::Mlp(mlp), Input::Vectors(vectors)) => mlp.forward(vectors.retaped())?,
            (Encoder::Series(gru), Input::Series(series)) => gru.forward(series.retaped())?,
            (_, input) => return Err(ModelError::unfit(index, input)),
        })
    }
}

/// An only encoder needs no number.
fn encoder_name(index: usize, encoders: usize) -> String {
    if encoders == 1 { "encoder".to_owned() } else { format!("encoder{index}") }
}

impl<E: Real, D: Backend<E>> Module<E, D> for Expert<E, D> {
    fn named_tensors<'a>(&'a mut self, prefix: &str, named_tensors: &mut NamedTensors<'a, E, D>) {
        match self {
            Expert::Encoders(encoders) => encoders.named_tensors(prefix, named_tensors),
            Expert::Resnet(_, network) => network.named_tensors(prefix, named_tensors),
            Expert::Head(head) => head.named_tensors(prefix, named_tensors),
        }
    }
}

impl<E: Real, D: Backend<E>> Module<E, D> for Encoders<E, D> {
    fn named_tensors<'a>(&'a mut self, prefix: &str, named_tensors: &mut NamedTensors<'a, E, D>) {
        let encoders = self.encoders.len();
        for (index, (_, encoder)) in self.encoders.iter_mut().enumerate() {
            let prefix = format!("{prefix}.{}", encoder_name(index, encoders));
            match encoder {
                Encoder::Lenet(lenet) => lenet.named_tensors(&prefix, named_tensors),
                Encoder::Mlp(mlp) => mlp.named_tensors(&prefix, named_tensors),
                Encoder::Series(series) => series.named_tensors(&prefix, named_tensors),
            }
        }
        if let Some(fusion) = &mut self.fusion {
            fusion.named_tensors(&format!("{prefix}.fusion"), named_tensors);
        }
        self.head.named_tensors(&format!("{prefix}.head"), named_tensors);
    }
}
