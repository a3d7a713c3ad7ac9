//! The backbone and its three passes.
//!
//! Invariant: in a fused pair, block and layer read each other's stream as it was before the pair. The fused pass ends without
//! Swin's last norm and without that of RoBERTa's last layer; the other two passes have them.

use std::sync::Arc;

use dfdx::prelude::{HasShape, ReshapeTo, Tape};

use super::config::{CHANNELS, PATCH};
use super::layers::{Linear, Norm};
use super::reached::{Passes, is_reached};
use super::roberta::{Embeddings, ImageContext, Layer};
use super::run::{ForwardHook, ForwardPass, Noise};
use super::source::{TensorSource, load};
use super::swin::{Stage, TextContext};
use super::weights::{Namer, Plan, Weights};
use super::windows::patches;
use super::{Config, FiberError, Images, Text};
use crate::ops::activate::{Function, activate};
use crate::ops::mean_tokens::mean_tokens;
use crate::ops::normalize::normalize;
use crate::ops::rows::{Index, gather_rows};
use crate::ops::simd::Real;
use crate::ops::{Backend, OpError, Tokens, beside, fork};
use crate::random::Seeds;

/// The parts of one side's end: a projection of all tokens, and the dense layer of the pooled one.
#[derive(Clone, Debug)]
struct End {
    transform: Linear,
    pooler: Linear,
}

/// All parts.
#[derive(Clone, Debug)]
struct Parts {
    patches: Index,
    patch_embedding: Linear,
    patch_norm: Norm,
    stages: Vec<Stage>,
    image_norm: Norm,
    embeddings: Embeddings,
    layers: Vec<Layer>,
    /// Of the fused pass: text, image.
    fused: [End; 2],
    /// Of the passes of one modality: text, image.
    alone: [End; 2],
}

impl Parts {
    fn new(config: &Config) -> Result<(Self, Plan), FiberError> {
        config.check().map_err(FiberError::Config)?;
        let mut plan = Plan::default();
        let mut namer = Namer::new(&mut plan);
        let hidden = config.text.hidden;
        let width = config.width(config.image.depths.len() - 1);
        let mut end = |side: &str, kind: &str, features: usize| End {
            transform: Linear::new(
                namer.within(format!("cross_modal_{side}_transform{kind}")),
                features,
                hidden,
            ),
            pooler: Linear::new(
                namer.within(format!("cross_modal_{side}_pooler{kind}")).within("dense"),
                hidden,
                hidden,
            ),
        };
        let fused = [end("text", "", hidden), end("image", "", width)];
        let alone = [end("text", "_itc", hidden), end("image", "_itc", width)];
        let mut image = namer.within("vit_model");
        let mut within = image.within("patch_embed");
        let patch_embedding = Linear::of_patches(within.within("proj"), CHANNELS, PATCH, config.image.width);
        let patch_norm = Norm::new(within.within("norm"), config.image.width);
        let mut stages = Vec::new();
        for (number, first) in config.image.depths.iter().enumerate().scan(0, |sum, (number, depth)| {
            let first = *sum;
            *sum += depth;
            Some((number, first))
        }) {
            stages.push(Stage::new(image.within("layers").within(number), config, number, first)?);
        }
        let image_norm = Norm::new(image.within("norm"), width);
        let mut text = namer.within("text_transformer");
        let embeddings = Embeddings::new(text.within("embeddings"), config);
        let first_fused = config.text.layers - config.fused;
        let layers = (0..config.text.layers).map(|number| {
            let others = number.checked_sub(first_fused).map(|pair| config.width(stage_of(config, pair)));
            Layer::new(text.within("encoder").within("layer").within(number), config, others)
        });
        let layers = layers.collect();
        // Published, but never used.
        Linear::new(text.within("pooler").within("dense"), hidden, hidden);
        let patches = patches(config.image.side)?;
        let parts = Parts {
            patches,
            patch_embedding,
            patch_norm,
            stages,
            image_norm,
            embeddings,
            layers,
            fused,
            alone,
        };
        Ok((parts, plan))
    }
}

/// The stage of the block of a fused pair.
fn stage_of(config: &Config, pair: usize) -> usize {
    let block = config.blocks() - config.fused + pair;
    let mut end = 0;
    for (stage, depth) in config.image.depths.iter().enumerate() {
        end += depth;
        if block < end {
            return stage;
        }
    }
    config.image.depths.len() - 1
}

/// The backbone. A clone shares parts and tensors.
#[derive(Clone, Debug)]
pub struct Backbone<E: Real, D: Backend<E>> {
    config: Config,
    parts: Arc<Parts>,
    device: D,
    /// The tensors.
    pub weights: Weights<E, D>,
}

/// The tensors of a backbone of these sizes.
fn plan(config: &Config) -> Result<Plan, FiberError> {
    Ok(Parts::new(config)?.1)
}

impl<E: Real, D: Backend<E>> Backbone<E, D> {
    /// Its tensors, by name: nothing is made.
    ///
    /// # Errors
    /// [`FiberError::Config`] if sizes do not fit each other.
    pub fn plan(config: &Config) -> Result<Plan, FiberError> {
        plan(config)
    }

    /// A fresh backbone.
    ///
    /// # Errors
    /// [`FiberError::Config`] if sizes do not fit each other, or if the device has no room.
    pub fn fresh(device: D, config: &Config, seeds: &Seeds) -> Result<Self, FiberError> {
        let (parts, plan) = Parts::new(config)?;
        let weights = Weights::fresh(&device, plan, seeds)?;
        Ok(Backbone { config: config.clone(), parts: Arc::new(parts), device, weights })
    }

    /// A backbone from a source; what else that has must be `allowed`.
    ///
    /// # Errors
    /// [`FiberError::Config`] if sizes do not fit each other; otherwise as [`load`].
    pub fn load(
        device: D,
        config: &Config,
        source: &impl TensorSource<E>,
        allowed: impl Fn(&str) -> bool,
    ) -> Result<Self, FiberError> {
        let (parts, plan) = Parts::new(config)?;
        let weights = load(&device, &plan, source, allowed)?;
        Ok(Backbone { config: config.clone(), parts: Arc::new(parts), device, weights })
    }

    /// Its sizes.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The same backbone, which is not trained.
    #[must_use]
    pub fn frozen(self) -> Self {
        Backbone { weights: self.weights.frozen(), ..self }
    }

    /// The same backbone, of which only those tensors are trained that a gradient from these passes reaches: an optimizer then
    /// leaves the others alone.
    #[must_use]
    pub fn trained_by(mut self, passes: impl Into<Passes>) -> Self {
        let passes = passes.into();
        let plan = Arc::clone(&self.weights.plan);
        for (spec, parameter) in plan.0.iter().zip(&mut self.weights.parameters) {
            parameter.needs_grad = is_reached(&self.config, passes, &spec.name);
        }
        self
    }

    fn run<'a>(&'a self, noise: &'a Noise, hook: Option<ForwardHook<'a, E, D>>) -> ForwardPass<'a, E, D> {
        ForwardPass { weights: &self.weights, noise, hook }
    }

    /// Features of texts alone: `(batch, hidden)`, each of norm 1.
    ///
    /// # Errors
    /// [`FiberError::Input`] if the text does not fit, or if the device fails.
    pub fn text_only<T: Tape<E, D>>(
        &self,
        text: &Text,
        noise: &Noise,
        hook: Option<ForwardHook<'_, E, D>>,
    ) -> Result<Tokens<E, D, T>, FiberError> {
        self.check_text(text)?;
        let run = self.run(noise, hook);
        let mut x = self.parts.embeddings.forward(&run, &self.device, text)?;
        for layer in &self.parts.layers {
            x = layer.forward(&run, x, text, None, true)?;
        }
        Ok(normalize(self.text_end(
            &run,
            x,
            text,
            &self.parts.alone[0],
            "cross_modal_text_transform_itc",
        )?)?)
    }

    /// Features of images alone: `(batch, hidden)`, each of norm 1.
    ///
    /// # Errors
    /// [`FiberError::Input`] if the images do not fit, or if the device fails.
    pub fn image_only<T: Tape<E, D>>(
        &self,
        images: &Images<E, D>,
        noise: &Noise,
        hook: Option<ForwardHook<'_, E, D>>,
    ) -> Result<Tokens<E, D, T>, FiberError> {
        let run = self.run(noise, hook);
        let mut x = self.patch_tokens(&run, images)?;
        for stage in &self.parts.stages {
            for block in &stage.blocks {
                x = block.forward(&run, x, None)?;
            }
            if let Some(merging) = &stage.merging {
                x = merging.forward(&run, x)?;
            }
        }
        let x = run.show("vit_model.norm", self.parts.image_norm.forward(&run, x)?);
        Ok(normalize(self.image_end(&run, x, &self.parts.alone[1], "cross_modal_image_transform_itc")?)?)
    }

    /// Features of images, each with its text: `(batch, 2 hidden)`, the text's first.
    ///
    /// # Errors
    /// [`FiberError::Input`] if images or texts do not fit, or differ in number; or if the device fails.
    pub fn fused<T: Tape<E, D>>(
        &self,
        images: &Images<E, D>,
        text: &Text,
        noise: &Noise,
        hook: Option<ForwardHook<'_, E, D>>,
    ) -> Result<Tokens<E, D, T>, FiberError> {
        self.check_text(text)?;
        if images.shape().0 != text.batch() {
            let (expected, found) = (format!("{} images", text.batch()), images.shape().0.to_string());
            return Err(FiberError::Input { what: "images with texts", expected, found });
        }
        let run = self.run(noise, hook);
        let (config, parts) = (&self.config, &self.parts);
        let (alone, fused) = parts.layers.split_at(config.text.layers - config.fused);
        let mut y = parts.embeddings.forward(&run, &self.device, text)?;
        for layer in alone {
            y = layer.forward(&run, y, text, None, true)?;
        }
        let mut layers = fused.iter();
        let mut x = self.patch_tokens(&run, images)?;
        let mut left = config.blocks();
        for (number, stage) in parts.stages.iter().enumerate() {
            for block in &stage.blocks {
                let layer = if left <= config.fused { layers.next() } else { None };
                left -= 1;
                let Some(layer) = layer else {
                    x = block.forward(&run, x, None)?;
                    continue;
                };
                let ((own, seen), (stream, read)) = (fork(x), fork(y));
                x = block.forward(&run, own, Some(TextContext { stream: read, text }))?;
                let seen = ImageContext { stream: seen, tokens: config.grid(number) * config.grid(number) };
                y = layer.forward(&run, stream, text, Some(seen), left > 0)?;
            }
            if let Some(merging) = &stage.merging {
                x = merging.forward(&run, x)?;
            }
        }
        let y = self.text_end(&run, y, text, &parts.fused[0], "cross_modal_text_transform")?;
        let x = self.image_end(&run, x, &parts.fused[1], "cross_modal_image_transform")?;
        Ok(beside(y, x)?)
    }

    /// The tokens that the first stage begins with.
    fn patch_tokens<T: Tape<E, D>>(
        &self,
        run: &ForwardPass<'_, E, D>,
        images: &Images<E, D>,
    ) -> Result<Tokens<E, D, T>, FiberError> {
        let side = self.config.image.side;
        let &(batch, channels, height, width) = images.shape();
        if batch == 0 || (channels, height, width) != (CHANNELS, side, side) {
            let expected = format!("at least one of {CHANNELS} x {side} x {side}");
            let found = format!("{batch} of {channels} x {height} x {width}");
            return Err(FiberError::Input { what: "images", expected, found });
        }
        let error = OpError::device::<D::Err>("patch embedding");
        let runs = batch * CHANNELS * side * side / PATCH;
        let x = images.clone().try_reshape_like(&(runs, PATCH)).map_err(error)?;
        let x = gather_rows(x, &self.parts.patches)?;
        let patch = CHANNELS * PATCH * PATCH;
        let x = x.try_reshape_like(&(runs * PATCH / patch, patch));
        let x = x.map_err(OpError::device("patch embedding"))?;
        let x = self.parts.patch_embedding.of_input(run, x)?;
        Ok(run.show("vit_model.patch_embed", self.parts.patch_norm.forward(run, x)?))
    }

    /// A text's first token, projected and pooled.
    fn text_end<T: Tape<E, D>>(
        &self,
        run: &ForwardPass<'_, E, D>,
        x: Tokens<E, D, T>,
        text: &Text,
        end: &End,
        path: &str,
    ) -> Result<Tokens<E, D, T>, FiberError> {
        let x = run.show(path, end.transform.forward(run, x)?);
        let first = gather_rows(x, &Index::new(vec![0], text.length)?)?;
        Ok(activate(end.pooler.forward(run, first)?, Function::Tanh)?)
    }

    /// The mean of an image's projected tokens, pooled.
    fn image_end<T: Tape<E, D>>(
        &self,
        run: &ForwardPass<'_, E, D>,
        x: Tokens<E, D, T>,
        end: &End,
        path: &str,
    ) -> Result<Tokens<E, D, T>, FiberError> {
        let side = self.config.grid(self.config.image.depths.len() - 1);
        let x = run.show(path, end.transform.forward(run, x)?);
        let mean = mean_tokens(x, side * side)?;
        Ok(activate(end.pooler.forward(run, mean)?, Function::Tanh)?)
    }

    fn check_text(&self, text: &Text) -> Result<(), FiberError> {
        let sizes = &self.config.text;
        let input =
            |expected: String, found: String| Err(FiberError::Input { what: "text", expected, found });
        if let Some(id) = text.ids.iter().find(|&&id| id as usize >= sizes.vocabulary) {
            return input(format!("tokens below {}", sizes.vocabulary), id.to_string());
        }
        let most = sizes.positions - sizes.padding as usize - 1;
        if text.length > most {
            return input(format!("texts of at most {most} tokens"), text.length.to_string());
        }
        Ok(())
    }
}
