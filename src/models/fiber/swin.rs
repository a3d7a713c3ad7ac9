//! Swin (Liu et al., "Swin Transformer"): blocks of attention in windows, and the merging of patches between stages. A fused
//! block's windows attend to the text of their sample, too (FIBER).
//!
//! Invariant: every other block of a stage shifts its windows by half a window, unless the grid is one window.

use dfdx::prelude::{HasShape, ReshapeTo, Tape};

use super::FiberError;
use super::config::Config;
use super::layers::{FeedForward, Linear, Norm};
use super::run::ForwardPass;
use super::weights::{Namer, Slot};
use super::windows::{Windows, cells};
use crate::models::Initializer;
use crate::ops::add_scaled::add_scaled;
use crate::ops::attention::{Extras, Groups, Projections, attention};
use crate::ops::rows::{Index, gather_rows};
use crate::ops::simd::Real;
use crate::ops::{Backend, OpError, Tokens, add, fork};

/// A text that a block's image attends to: its stream, and which of its tokens are no padding.
pub(super) struct TextContext<'a, E: Real, D: Backend<E>, T: Tape<E, D>> {
    pub(super) stream: Tokens<E, D, T>,
    pub(super) text: &'a super::Text,
}

/// Attention of image tokens to a text.
#[derive(Clone, Debug)]
struct ToText {
    alpha: Slot,
    text: Linear,
    norm: Norm,
    queries: Linear,
    output: Linear,
}

/// One block.
#[derive(Clone, Debug)]
pub(super) struct Block {
    path: String,
    windows: Windows,
    heads: usize,
    width: usize,
    drop_path: f64,
    norms: [Norm; 2],
    table: Slot,
    qkv: Linear,
    output: Linear,
    feed_forward: FeedForward,
    to_text: Option<ToText>,
}

/// The merging of two by two tokens after a stage.
#[derive(Clone, Debug)]
pub(super) struct Merging {
    path: String,
    cells: Index,
    width: usize,
    norm: Norm,
    reduction: Linear,
}

/// One stage.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) blocks: Vec<Block>,
    pub(super) merging: Option<Merging>,
}

impl Stage {
    /// Stage `number`; `first` blocks are in the stages before it.
    pub(super) fn new(
        mut namer: Namer<'_>,
        config: &Config,
        number: usize,
        first: usize,
    ) -> Result<Self, FiberError> {
        let depth = config.image.depths[number];
        let blocks = (0..depth)
            .map(|block| {
                let shifted = block % 2 == 1;
                Block::new(namer.within("blocks").within(block), config, number, (first + block, shifted))
            })
            .collect::<Result<_, _>>()?;
        let last = number + 1 == config.image.depths.len();
        let merging =
            if last { None } else { Some(Merging::new(namer.within("downsample"), config, number)?) };
        Ok(Stage { blocks, merging })
    }
}

impl Block {
    /// A block of a stage: its number among all, and whether it may shift.
    fn new(
        mut namer: Namer<'_>,
        config: &Config,
        stage: usize,
        (number, shifted): (usize, bool),
    ) -> Result<Self, FiberError> {
        let (width, heads, window) = (config.width(stage), config.image.heads[stage], config.window());
        let side = config.grid(stage);
        let shift = if shifted && side > window { window / 2 } else { 0 };
        let path = namer.path();
        let norm1 = Norm::new(namer.within("norm1"), width);
        let mut within = namer.within("attn");
        let table = within.positions("relative_position_bias_table", window, heads);
        let qkv = Linear::new(within.within("qkv"), width, 3 * width);
        let output = Linear::new(within.within("proj"), width, width);
        let fused = number + config.fused >= config.blocks();
        let to_text = fused.then(|| ToText {
            alpha: within.tensor("alpha_i2t", &[1], Initializer::Constant(0.0)),
            text: Linear::new(within.within("qkv_text_i2t"), config.text.hidden, 2 * width),
            queries: Linear::new(within.within("qkv_i2t"), width, width),
            output: Linear::new(within.within("proj_i2t"), width, width),
            norm: Norm::new(within.within("norm_i2t_i"), width),
        });
        let norms = [norm1, Norm::new(namer.within("norm2"), width)];
        let mut within = namer.within("mlp");
        let feed_forward = FeedForward {
            first: Linear::new(within.within("fc1"), width, 4 * width),
            second: Linear::new(within.within("fc2"), 4 * width, width),
        };
        let windows = Windows::new(side, window, shift)?;
        let others = config.blocks().saturating_sub(1).max(1);
        let drop_path = config.image.drop_path * number as f64 / others as f64;
        Ok(Block { path, windows, heads, width, drop_path, norms, table, qkv, output, feed_forward, to_text })
    }

    /// The stream after this block; a fused block may attend to a text.
    pub(super) fn forward<E: Real, D: Backend<E>, T: Tape<E, D>>(
        &self,
        run: &ForwardPass<'_, E, D>,
        x: Tokens<E, D, T>,
        text: Option<TextContext<'_, E, D, T>>,
    ) -> Result<Tokens<E, D, T>, FiberError> {
        // What is dropped of a branch are whole samples.
        let sample = self.windows.cut.rows().len() * self.width;
        let (x, stream) = fork(x);
        let x = gather_rows(self.norms[0].forward(run, x)?, &self.windows.cut)?;
        let x = self.qkv.forward(run, x)?;
        let groups = Groups { queries: self.windows.tokens, keys: self.windows.tokens, heads: self.heads };
        let extras = Extras {
            position: Some(run.weights.get(self.table)),
            labels: self.windows.labels.clone(),
            ..Extras::default()
        };
        let x = self.output.forward(run, attention(Projections::Joint(x), groups, extras)?)?;
        let x = match (&self.to_text, text) {
            (Some(to_text), Some(text)) => self.attend(to_text, run, x, text)?,
            _ => x,
        };
        let x = gather_rows(x, &self.windows.back)?;
        let x = run.drop(x, sample, self.drop_path, &format!("{}.drop_path1", self.path))?;
        let (x, stream) = fork(add(x, stream)?);
        let x = self.feed_forward.forward(run, self.norms[1].forward(run, x)?)?;
        let x = run.drop(x, sample, self.drop_path, &format!("{}.drop_path2", self.path))?;
        Ok(run.show(&self.path, add(x, stream)?))
    }

    /// Adds to the windows' tokens what they find in the text.
    fn attend<E: Real, D: Backend<E>, T: Tape<E, D>>(
        &self,
        to_text: &ToText,
        run: &ForwardPass<'_, E, D>,
        x: Tokens<E, D, T>,
        text: TextContext<'_, E, D, T>,
    ) -> Result<Tokens<E, D, T>, FiberError> {
        let (x, own) = fork(x);
        let queries = to_text.queries.forward(run, to_text.norm.forward(run, own)?)?;
        let others = to_text.text.forward(run, text.stream)?;
        // The windows of a sample share its text: all their tokens are one group.
        let groups =
            Groups { queries: self.windows.cut.rows().len(), keys: text.text.length, heads: self.heads };
        let extras = Extras { real: Some(text.text.real.clone()), ..Extras::default() };
        let z = attention(Projections::Cross { queries, others }, groups, extras)?;
        let z = to_text.output.forward(run, z)?;
        Ok(add_scaled(x, z, run.weights.get(to_text.alpha))?)
    }
}

impl Merging {
    fn new(mut namer: Namer<'_>, config: &Config, stage: usize) -> Result<Self, FiberError> {
        let width = config.width(stage);
        Ok(Merging {
            path: namer.path(),
            cells: cells(config.grid(stage))?,
            width: 4 * width,
            reduction: Linear::without_bias(namer.within("reduction"), 4 * width, 2 * width),
            norm: Norm::new(namer.within("norm"), 4 * width),
        })
    }

    /// A quarter of the tokens, twice as wide.
    pub(super) fn forward<E: Real, D: Backend<E>, T: Tape<E, D>>(
        &self,
        run: &ForwardPass<'_, E, D>,
        x: Tokens<E, D, T>,
    ) -> Result<Tokens<E, D, T>, FiberError> {
        let rows = x.shape().0 / 4;
        let x = gather_rows(x, &self.cells)?;
        let x = x.try_reshape_like(&(rows, self.width)).map_err(OpError::device("patch merging"))?;
        let x = self.reduction.forward(run, self.norm.forward(run, x)?)?;
        Ok(run.show(&self.path, x))
    }
}
