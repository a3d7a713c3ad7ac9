//! RoBERTa (Liu et al., "RoBERTa"): embeddings and layers of attention, normed after each residual connection. A fused layer
//! attends to the image, too (FIBER).
//!
//! Invariant: what attends to the image is the output of the attention to the text, before the residual and the norm.

use dfdx::prelude::Tape;

use super::config::Config;
use super::layers::{FeedForward, Linear, Norm};
use super::run::ForwardPass;
use super::weights::{Namer, Slot};
use super::{FiberError, Text};
use crate::models::Initializer;
use crate::ops::add_scaled::add_scaled;
use crate::ops::attention::{Extras, Groups, Projections, attention};
use crate::ops::embedding::embedding;
use crate::ops::simd::Real;
use crate::ops::{Backend, Tokens, add, fork};

/// Tokens and positions as features.
#[derive(Clone, Debug)]
pub(super) struct Embeddings {
    path: String,
    words: Slot,
    positions: Slot,
    kind: Slot,
    norm: Norm,
    padding: u32,
    dropout: f64,
}

impl Embeddings {
    pub(super) fn new(mut namer: Namer<'_>, config: &Config) -> Self {
        let text = &config.text;
        let mut table = |name: &str, rows: usize| {
            namer.within(name).tensor("weight", &[rows, text.hidden], Initializer::Normal(0.02))
        };
        Embeddings {
            words: table("word_embeddings", text.vocabulary),
            positions: table("position_embeddings", text.positions),
            kind: table("token_type_embeddings", 1),
            norm: Norm::new(namer.within("LayerNorm"), text.hidden),
            path: namer.path(),
            padding: text.padding,
            dropout: text.dropout,
        }
    }

    pub(super) fn forward<E: Real, D: Backend<E>, T: Tape<E, D>>(
        &self,
        run: &ForwardPass<'_, E, D>,
        device: &D,
        text: &Text,
    ) -> Result<Tokens<E, D, T>, FiberError> {
        let padding = Some(self.padding);
        let words = embedding(device, run.weights.get(self.words), &text.ids, padding)?;
        let kinds = embedding(device, run.weights.get(self.kind), &vec![0; text.ids.len()], None)?;
        let positions = text.positions(self.padding);
        let positions = embedding(device, run.weights.get(self.positions), &positions, padding)?;
        let x = self.norm.forward(run, add(add(words, kinds)?, positions)?)?;
        let x = run.drop(x, 1, self.dropout, &self.path)?;
        Ok(run.show(&self.path, x))
    }
}

/// An image that a layer's text attends to: its stream, and the tokens of one sample.
pub(super) struct ImageContext<E: Real, D: Backend<E>, T: Tape<E, D>> {
    pub(super) stream: Tokens<E, D, T>,
    pub(super) tokens: usize,
}

/// Queries, keys and values from streams that may differ.
#[derive(Clone, Debug)]
struct Heads {
    path: String,
    query: Linear,
    key: Linear,
    value: Linear,
    count: usize,
    dropout: f64,
}

impl Heads {
    fn new(mut namer: Namer<'_>, config: &Config, others: usize) -> Self {
        let hidden = config.text.hidden;
        Heads {
            path: namer.path(),
            query: Linear::new(namer.within("query"), hidden, hidden),
            key: Linear::new(namer.within("key"), others, hidden),
            value: Linear::new(namer.within("value"), others, hidden),
            count: config.text.heads,
            dropout: config.text.dropout,
        }
    }

    fn forward<E: Real, D: Backend<E>, T: Tape<E, D>>(
        &self,
        run: &ForwardPass<'_, E, D>,
        x: Tokens<E, D, T>,
        others: Tokens<E, D, T>,
        (groups, extras): (Groups, Extras<'_, E, D>),
    ) -> Result<Tokens<E, D, T>, FiberError> {
        let (keys, values) = fork(others);
        let projections = Projections::Separate {
            queries: self.query.forward(run, x)?,
            keys: self.key.forward(run, keys)?,
            values: self.value.forward(run, values)?,
        };
        let extras = Extras { dropout: run.noise.chance(self.dropout, &self.path), ..extras };
        Ok(attention(projections, groups, extras)?)
    }
}

/// Attention of text tokens to an image.
#[derive(Clone, Debug)]
struct ToImage {
    heads: Heads,
    output: Linear,
}

/// One layer.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    path: String,
    heads: Heads,
    output: Linear,
    attention_norm: Norm,
    feed_forward: FeedForward,
    norm: Norm,
    alpha: Slot,
    to_image: Option<ToImage>,
    dropout: f64,
}

impl Layer {
    /// A layer; a fused one sees an image of `others` features.
    pub(super) fn new(mut namer: Namer<'_>, config: &Config, others: Option<usize>) -> Self {
        let hidden = config.text.hidden;
        let path = namer.path();
        let alpha = namer.tensor("alpha_t2i", &[1], Initializer::Constant(0.0));
        let mut within = namer.within("attention");
        let heads = Heads::new(within.within("self"), config, hidden);
        let mut within = within.within("output");
        let output = Linear::new(within.within("dense"), hidden, hidden);
        let attention_norm = Norm::new(within.within("LayerNorm"), hidden);
        let to_image = others.map(|others| {
            let mut within = namer.within("crossattention_t2i");
            let heads = Heads::new(within.within("self"), config, others);
            let mut within = within.within("output");
            let output = Linear::new(within.within("dense"), hidden, hidden);
            // Published, but never used.
            Norm::new(within.within("LayerNorm"), hidden);
            ToImage { heads, output }
        });
        let first = Linear::new(namer.within("intermediate").within("dense"), hidden, config.text.inner);
        let mut within = namer.within("output");
        let second = Linear::new(within.within("dense"), config.text.inner, hidden);
        let norm = Norm::new(within.within("LayerNorm"), hidden);
        let feed_forward = FeedForward { first, second };
        let dropout = config.text.dropout;
        Layer { path, heads, output, attention_norm, feed_forward, norm, alpha, to_image, dropout }
    }

    /// The stream after this layer; a fused layer may see an image, and the last one of a fused pass is not normed.
    pub(super) fn forward<E: Real, D: Backend<E>, T: Tape<E, D>>(
        &self,
        run: &ForwardPass<'_, E, D>,
        x: Tokens<E, D, T>,
        text: &Text,
        image: Option<ImageContext<E, D, T>>,
        normed: bool,
    ) -> Result<Tokens<E, D, T>, FiberError> {
        let drop = |x, part: &str| run.drop(x, 1, self.dropout, &format!("{}.{part}", self.path));
        let (x, stream) = fork(x);
        let (x, others) = fork(x);
        let groups = Groups { queries: text.length, keys: text.length, heads: self.heads.count };
        let extras = Extras { real: Some(text.real.clone()), ..Extras::default() };
        let a = self.output.forward(run, self.heads.forward(run, x, others, (groups, extras))?)?;
        let a = drop(a, "attention.output")?;
        let a = match (&self.to_image, image) {
            (Some(to_image), Some(image)) => {
                let (a, own) = fork(a);
                let groups = Groups { keys: image.tokens, ..groups };
                let c = to_image.heads.forward(run, own, image.stream, (groups, Extras::default()))?;
                let c = drop(to_image.output.forward(run, c)?, "crossattention_t2i.output")?;
                add_scaled(a, c, run.weights.get(self.alpha))?
            }
            _ => a,
        };
        let (a, stream) = fork(self.attention_norm.forward(run, add(a, stream)?)?);
        let y = drop(self.feed_forward.forward(run, a)?, "output")?;
        let y = add(y, stream)?;
        let y = if normed { self.norm.forward(run, y)? } else { y };
        Ok(run.show(&self.path, y))
    }
}
