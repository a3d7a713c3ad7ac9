//! The backbone that the experts of a run share, and the heads on its features (Sections 4.4 and 4.5).
//!
//! Invariant: each pass that some head reads is run once for all of them. A frozen backbone is run without a tape, and none of
//! its tensors is a parameter of the run; of one that is trained, those that no gradient reaches are none either.

use std::collections::BTreeMap;
use std::path::Path;

use dfdx::prelude::{HasShape, NoneTape, PutTape, ReshapeTo, SplitTape, Tape};

use super::fiber::{Backbone, Images, Noise, Passes, Text, WeightsFile, ignored};
use super::input::{Input, Inputs};
use super::module::{Initializer, Module, NamedTensors, Scope};
use super::{ModelError, position};
use crate::data::{Kind, Modality};
use crate::ops::activate::{Function, activate};
use crate::ops::layer_norm::layer_norm;
use crate::ops::simd::Real;
use crate::ops::token_linear::{token_linear, token_linear_of_input};
use crate::ops::{Backend, Features, OpError, Parameter, Tokens, from_features, to_features};
use crate::random::Seeds;
use crate::study::{FeatureHead, Pass, SharedBackbone};

/// What the tensors of a shared backbone are called by, before a dot; no expert has this name.
pub const BACKBONE: &str = "backbone";

/// A backbone with the modalities that it reads.
pub struct Shared<E: Real, D: Backend<E>> {
    backbone: Backbone<E, D>,
    /// Where the images are among the modalities, and how many an example has.
    images: (usize, usize),
    /// Where the text is.
    text: usize,
    passes: Passes,
    trained: bool,
    noise: bool,
}

/// The features of a batch, by pass: `(batch, features)`.
pub type PassFeatures<E, D, T> = BTreeMap<Pass, Tokens<E, D, T>>;

impl<E: Real, D: Backend<E>> Shared<E, D> {
    /// A backbone for data of these modalities, of which some passes are read: with the weights of a file if one is given, otherwise
    /// fresh.
    ///
    /// # Errors
    /// Modalities that the data lacks or that do not fit, or a file that does not.
    pub fn new(
        scope: &Scope<D>,
        spec: &SharedBackbone,
        pretrained: Option<&Path>,
        modalities: &[Modality],
        passes: Passes,
    ) -> Result<Self, ModelError> {
        let (image, text) = (position(&spec.images, modalities)?, position(&spec.text, modalities)?);
        let count = match (modalities[image].kind, &modalities[image].dims[..]) {
            (Kind::Images, &[count, 3, height, width]) if [height, width] == [spec.fiber.image.side; 2] => {
                count
            }
            _ => {
                let side = spec.fiber.image.side;
                let expected = format!("RGB images of {side} x {side} pixels");
                return Err(ModelError::dims(&modalities[image], expected));
            }
        };
        if modalities[text].kind != Kind::Tokens {
            return Err(ModelError::dims(&modalities[text], "texts as tokens".to_owned()));
        }
        let device = scope.device().clone();
        let backbone = match pretrained {
            None => Backbone::fresh(device, &spec.fiber, scope.seeds())?,
            Some(path) => {
                let file = WeightsFile::open(path)?;
                Backbone::load(device, &spec.fiber, &file.tensors()?, ignored)?
            }
        };
        let backbone = if spec.trained { backbone.trained_by(passes) } else { backbone.frozen() };
        let &SharedBackbone { trained, noise, .. } = spec;
        Ok(Shared { backbone, images: (image, count), text, passes, trained, noise })
    }

    /// The modalities that its passes look at.
    pub fn modalities(&self) -> Vec<usize> {
        let images = (self.passes.image || self.passes.fused).then_some(self.images.0);
        images.into_iter().chain((self.passes.text || self.passes.fused).then_some(self.text)).collect()
    }

    /// The features of a batch. `noise` is a node of the seed tree that no other batch has; without one, or where the study has none,
    /// nothing is dropped.
    pub fn features<T: Tape<E, D>>(
        &self,
        inputs: &Inputs<E, D>,
        noise: Option<&Seeds>,
    ) -> Result<PassFeatures<E, D, T>, ModelError> {
        let mut features = BTreeMap::new();
        for pass in Pass::ALL.into_iter().filter(|&pass| self.passes.has(pass)) {
            let noise = match noise {
                Some(seeds) if self.noise => Noise::On(seeds.child(pass.name())),
                _ => Noise::Off,
            };
            let found = if self.trained {
                self.run(pass, inputs, &noise)?
            } else {
                self.run::<NoneTape>(pass, inputs, &noise)?.put_tape(T::default())
            };
            features.insert(pass, found);
        }
        Ok(features)
    }

    fn run<T: Tape<E, D>>(
        &self,
        pass: Pass,
        inputs: &Inputs<E, D>,
        noise: &Noise,
    ) -> Result<Tokens<E, D, T>, ModelError> {
        let images = || -> Result<&Images<E, D>, ModelError> {
            match inputs.get(self.images.0)? {
                Input::Images(images) => Ok(images),
                input => Err(ModelError::unfit(self.images.0, input)),
            }
        };
        let text = || -> Result<&Text, ModelError> {
            match inputs.get(self.text)? {
                Input::Tokens(text) => Ok(text),
                input => Err(ModelError::unfit(self.text, input)),
            }
        };
        let (_, count) = self.images;
        let features = match pass {
            Pass::Text => return Ok(self.backbone.text_only(text()?, noise, None)?),
            Pass::Image => self.backbone.image_only(images()?, noise, None)?,
            Pass::Fused => self.backbone.fused(images()?, &text()?.repeated(count), noise, None)?,
        };
        // The features of an example's images stand beside each other.
        let &(rows, width) = features.shape();
        let beside = features.try_reshape_like(&(rows / count, width * count));
        Ok(beside.map_err(OpError::device("features"))?)
    }

    /// Features that a head sees of a pass.
    pub fn width(&self, pass: Pass) -> usize {
        let images = if pass == Pass::Text { 1 } else { self.images.1 };
        images * self.backbone.config().features(pass)
    }
}

impl<E: Real, D: Backend<E>> Module<E, D> for Shared<E, D> {
    fn named_tensors<'a>(&'a mut self, prefix: &str, named_tensors: &mut NamedTensors<'a, E, D>) {
        if !self.trained {
            return;
        }
        let all = self.backbone.weights.named_tensors().parameters.into_iter();
        let trained = all.filter(|(_, parameter)| parameter.needs_grad);
        named_tensors
            .parameters
            .extend(trained.map(|(name, parameter)| (format!("{prefix}.{name}"), parameter)));
    }
}

/// The layers of a head: linear, LayerNorm, GELU, linear. Fresh weights are N(0, 0.02), biases 0.
pub struct Head<E: Real, D: Backend<E>> {
    pass: Pass,
    /// Where the features are among the modalities, where they were computed before.
    place: Option<usize>,
    /// Whether what gives the features is trained, too: nobody else wants their gradient.
    trains_features: bool,
    first: [Parameter<E, D>; 2],
    norm: [Parameter<E, D>; 2],
    last: [Parameter<E, D>; 2],
}

impl<E: Real, D: Backend<E>> Head<E, D> {
    /// A fresh head on features of a shared backbone; without one, on those that the data holds by the name of the pass.
    pub(super) fn new(
        scope: &Scope<D>,
        spec: FeatureHead,
        shared: Option<&Shared<E, D>>,
        modalities: &[Modality],
        logits: usize,
    ) -> Result<Self, ModelError> {
        let (place, width) = match shared {
            Some(shared) => (None, shared.width(spec.features)),
            None => {
                let place = position(spec.features.name(), modalities)?;
                (Some(place), modalities[place].features())
            }
        };
        let [zeros, ones] = [0.0, 1.0].map(Initializer::Constant);
        let part = |name: &str, dims: &[usize], weight| -> Result<[Parameter<E, D>; 2], OpError> {
            let scope = scope.within(name);
            Ok([scope.parameter("weight", dims, weight)?, scope.parameter("bias", &dims[..1], zeros)?])
        };
        let hidden = spec.hidden;
        Ok(Head {
            pass: spec.features,
            place,
            trains_features: shared.is_some_and(|shared| shared.trained),
            first: part("first", &[hidden, width], Initializer::Normal(0.02))?,
            norm: part("norm", &[hidden], ones)?,
            last: part("last", &[logits, hidden], Initializer::Normal(0.02))?,
        })
    }

    /// The modality that it reads, where features were computed before.
    pub(super) fn place(&self) -> Option<usize> {
        self.place
    }

    /// Logits x batch, on the features of a shared backbone, or on those that the batch holds.
    pub(super) fn logits<T: Tape<E, D>>(
        &self,
        inputs: &Inputs<E, D>,
        features: &mut PassFeatures<E, D, T>,
    ) -> Result<Features<E, D, T>, ModelError> {
        let [weight, bias] = &self.first;
        let x = match self.place {
            // Heads of one pass would share its features; each model has one head for each pass.
            None => {
                let x = features.remove(&self.pass).ok_or(ModelError::Nothing)?;
                if self.trains_features {
                    token_linear(x, weight, Some(bias))?
                } else {
                    token_linear_of_input(x.split_tape().0, weight, Some(bias))?
                }
            }
            Some(place) => match inputs.get(place)? {
                // Nobody wants a gradient of what was computed before.
                Input::Vectors(features) => {
                    token_linear_of_input(from_features(features.retaped())?, weight, Some(bias))?
                }
                input => return Err(ModelError::unfit(place, input)),
            },
        };
        let [weight, bias] = &self.norm;
        let x = activate(layer_norm(x, weight, bias)?, Function::Gelu)?;
        let [weight, bias] = &self.last;
        Ok(to_features(token_linear(x, weight, Some(bias))?)?)
    }
}

impl<E: Real, D: Backend<E>> Module<E, D> for Head<E, D> {
    fn named_tensors<'a>(&'a mut self, prefix: &str, named_tensors: &mut NamedTensors<'a, E, D>) {
        for (name, [weight, bias]) in
            [("first", &mut self.first), ("norm", &mut self.norm), ("last", &mut self.last)]
        {
            named_tensors.parameters.push((format!("{prefix}.{name}.weight"), weight));
            named_tensors.parameters.push((format!("{prefix}.{name}.bias"), bias));
        }
    }
}
