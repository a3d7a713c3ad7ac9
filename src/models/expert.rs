//! One expert: an encoder per modality it looks at, a fusion where there are two, and an MLP head; or one residual
//! network on all it looks at.
//!
//! Invariant: an architecture that does not fit the dimensions of the data is an error before anything is computed.

use dfdx::prelude::Tape;

use super::ModelError;
use super::blueprint::{Blueprint, EncoderPlan, EncodersPlan, FusionPlan};
use super::input::{Dims, Input, Inputs};
use super::lenet::{self, Lenet};
use super::low_rank::LowRank;
use super::mlp::Mlp;
use super::module::{Module, Scope, Slots};
use super::preact_resnet::PreactResnet;
use super::series::Series;
use crate::ops::concat::concat;
use crate::ops::norm_relu_pool::Statistics;
use crate::ops::simd::Real;
use crate::ops::{Backend, Features};
use crate::protocol::{Architecture, Modality};

enum Encoder<E: Real, D: Backend<E>> {
    Lenet(Lenet<E, D>),
    Mlp(Mlp<E, D>),
    Series(Series<E, D>),
}

/// A network from inputs to logits.
pub enum Expert<E: Real, D: Backend<E>> {
    /// An encoder per modality, a fusion where there are two, and an MLP head.
    Encoders(Box<Encoders<E, D>>),
    /// One residual network on the stacked modalities.
    Resnet(Vec<Modality>, Box<PreactResnet<E, D>>),
}

/// The parts of an expert with encoders.
pub struct Encoders<E: Real, D: Backend<E>> {
    encoders: Vec<(Modality, Encoder<E, D>)>,
    fusion: Option<LowRank<E, D>>,
    head: Mlp<E, D>,
}

/// The modalities that an architecture looks at, first before second.
pub fn modalities(architecture: &Architecture) -> Vec<Modality> {
    Blueprint::from(architecture).modalities()
}

/// Whether a training step of an architecture needs memory worth asking about.
pub fn is_large(architecture: &Architecture) -> bool {
    matches!(Blueprint::from(architecture), Blueprint::Resnet { .. })
}

/// Bytes that a training step of an architecture keeps in single precision; `None` for networks too small to ask about.
pub fn step_bytes(architecture: &Architecture, dims: Dims<'_>, logits: usize, batch: usize) -> Option<u64> {
    let Blueprint::Resnet { modalities, sizes } = Blueprint::from(architecture) else { return None };
    let &[_, height, width] = dims[*modalities.first()? as usize] else { return None };
    let kept = sizes.kept(height, width, logits);
    Some(4 * (kept.per_example * batch as u64 + kept.network))
}

impl<E: Real, D: Backend<E>> Expert<E, D> {
    /// Builds an architecture with fresh weights for data of these dimensions (of each modality) and so many logits.
    pub fn new(
        scope: &Scope<D>,
        architecture: &Architecture,
        dims: Dims<'_>,
        logits: usize,
    ) -> Result<Self, ModelError> {
        match architecture.into() {
            Blueprint::Encoders(plan) => {
                Ok(Expert::Encoders(Box::new(Encoders::new(scope, plan, dims, logits)?)))
            }
            Blueprint::Resnet { modalities, sizes } => {
                for &modality in &modalities {
                    let dims = dims[modality as usize];
                    if !matches!(*dims, [1, height, width] if sizes.fit(height, width)) {
                        let halvings = sizes.widths.len().saturating_sub(1);
                        let expected =
                            format!("maps of one channel, at least {} pixels wide", sizes.pool << halvings);
                        return Err(ModelError::Dims { modality, expected, found: dims.to_vec() });
                    }
                }
                Ok(Expert::Resnet(modalities, Box::new(PreactResnet::new(scope, &sizes, logits)?)))
            }
        }
    }

    /// Logits x batch.
    pub fn logits<T: Tape<E, D>>(
        &mut self,
        inputs: &Inputs<E, D>,
        statistics: Statistics,
    ) -> Result<Features<E, D, T>, ModelError> {
        match self {
            Expert::Encoders(encoders) => encoders.logits(inputs, statistics),
            Expert::Resnet(modalities, network) => {
                let maps = modalities.iter().map(|&modality| match inputs.get(modality)? {
                    Input::Maps(maps) => Ok(maps),
                    input => Err(unfit(modality, input)),
                });
                Ok(network.forward(&maps.collect::<Result<Vec<_>, ModelError>>()?)?)
            }
        }
    }
}

impl<E: Real, D: Backend<E>> Encoders<E, D> {
    fn new(scope: &Scope<D>, plan: EncodersPlan, dims: Dims<'_>, logits: usize) -> Result<Self, ModelError> {
        let EncodersPlan { encoders: plans, fusion, hidden, activation } = plan;
        let (mut encoders, mut features) = (Vec::new(), Vec::new());
        for (index, &(modality, plan)) in plans.iter().enumerate() {
            let scope = scope.within(&encoder_name(index, plans.len()));
            let (encoder, width) = Encoder::new(&scope, plan, modality, dims[modality as usize])?;
            encoders.push((modality, encoder));
            features.push(width);
        }
        let (fusion, width) = match (fusion, &features[..]) {
            (FusionPlan::LowRank { rank, output, trainable }, &[first, second]) => {
                let scope = scope.within("fusion");
                (Some(LowRank::new(&scope, [first, second], rank, output, trainable)?), output)
            }
            _ => (None, features.iter().sum()),
        };
        let head = Mlp::new(&scope.within("head"), [width, hidden, logits], activation)?;
        Ok(Encoders { encoders, fusion, head })
    }

    fn logits<T: Tape<E, D>>(
        &mut self,
        inputs: &Inputs<E, D>,
        statistics: Statistics,
    ) -> Result<Features<E, D, T>, ModelError> {
        let mut features = Vec::with_capacity(self.encoders.len());
        for (modality, encoder) in &mut self.encoders {
            features.push(encoder.forward(inputs.get(*modality)?, *modality, statistics)?);
        }
        let second = if features.len() > 1 { features.pop() } else { None };
        let mut features = features.pop().ok_or(ModelError::Nothing)?;
        if let Some(second) = second {
            features = match &self.fusion {
                Some(fusion) => fusion.forward(features, second)?,
                None => concat(features, second)?,
            };
        }
        Ok(self.head.forward(features)?)
    }
}

impl<E: Real, D: Backend<E>> Encoder<E, D> {
    /// A fresh encoder, and the number of its features.
    fn new(
        scope: &Scope<D>,
        plan: EncoderPlan,
        modality: Modality,
        dims: &[usize],
    ) -> Result<(Self, usize), ModelError> {
        let unfit = |expected: String| ModelError::Dims { expected, modality, found: dims.to_vec() };
        Ok(match (plan, dims) {
            (EncoderPlan::Lenet { channels, stages }, _) => {
                let features = lenet::features(channels, stages, dims).ok_or_else(|| {
                    unfit(format!("maps of one channel with sides of {} or more", 1u64 << stages))
                })?;
                (Encoder::Lenet(Lenet::new(scope, channels, stages)?), features)
            }
            (EncoderPlan::Mlp { units, activation }, &[inputs]) => {
                (Encoder::Mlp(Mlp::new(scope, [inputs, units, units], activation)?), units)
            }
            (EncoderPlan::Series { hidden, projection }, &[steps, channels]) => {
                let encoder = Series::new(scope, channels, hidden, projection)?;
                (Encoder::Series(encoder), steps * projection.unwrap_or(hidden))
            }
            (EncoderPlan::Mlp { .. }, _) => return Err(unfit("vectors".to_owned())),
            (EncoderPlan::Series { .. }, _) => return Err(unfit("series, steps x channels".to_owned())),
        })
    }

    /// Features x batch.
    fn forward<T: Tape<E, D>>(
        &mut self,
        input: &Input<E, D>,
        modality: Modality,
        statistics: Statistics,
    ) -> Result<Features<E, D, T>, ModelError> {
        Ok(match (self, input) {
            (Encoder::Lenet(lenet), Input::Maps(maps)) => lenet.forward(maps.retaped(), statistics)?,
            (Encoder::Mlp(mlp), Input::Vectors(vectors)) => mlp.forward(vectors.retaped())?,
            (Encoder::Series(gru), Input::Series(series)) => gru.forward(series.retaped())?,
            (_, input) => return Err(unfit(modality, input)),
        })
    }
}

/// An input of another kind than the expert was built for.
fn unfit<E: Real, D: Backend<E>>(modality: Modality, input: &Input<E, D>) -> ModelError {
    ModelError::Dims { expected: "what the expert was built for".to_owned(), modality, found: input.dims() }
}

/// An only encoder needs no number.
fn encoder_name(index: usize, encoders: usize) -> String {
    if encoders == 1 { "encoder".to_owned() } else { format!("encoder{index}") }
}

impl<E: Real, D: Backend<E>> Module<E, D> for Expert<E, D> {
    fn slots<'a>(&'a mut self, prefix: &str, slots: &mut Slots<'a, E, D>) {
        match self {
            Expert::Encoders(encoders) => encoders.slots(prefix, slots),
            Expert::Resnet(_, network) => network.slots(prefix, slots),
        }
    }
}

impl<E: Real, D: Backend<E>> Module<E, D> for Encoders<E, D> {
    fn slots<'a>(&'a mut self, prefix: &str, slots: &mut Slots<'a, E, D>) {
        let encoders = self.encoders.len();
        for (index, (_, encoder)) in self.encoders.iter_mut().enumerate() {
            let prefix = format!("{prefix}.{}", encoder_name(index, encoders));
            match encoder {
                Encoder::Lenet(lenet) => lenet.slots(&prefix, slots),
                Encoder::Mlp(mlp) => mlp.slots(&prefix, slots),
                Encoder::Series(series) => series.slots(&prefix, slots),
            }
        }
        if let Some(fusion) = &mut self.fusion {
            fusion.slots(&format!("{prefix}.fusion"), slots);
        }
        self.head.slots(&format!("{prefix}.head"), slots);
    }
}
