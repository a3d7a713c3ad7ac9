//! Attention with several heads: `softmax(scale q k^T + bias + mask) v`, head by head, in one op.
//!
//! Tokens come in groups (windows of a grid, or the tokens of a sample): a query attends to the keys of its own group. Queries
//! and keys may differ in number, so a text may attend to an image and the other way round.
//!
//! Invariant: probabilities are never kept; the gradient computes them again from what is kept of each row, and gets the same bits.

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
mod position;
mod softmax;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use dfdx::prelude::*;

use crate::device::{self, Storage1};
use crate::ops::drop::{Chance, DropUnits};
use crate::ops::simd::Real;
use crate::ops::{Backend, OpError, Parameter, Tokens};

const OP: &str = "attention";

/// Queries, keys and values, each `heads` neighbouring chunks of features.
pub enum Projections<E: Real, D: Device<E>, T> {
    /// All three beside each other: `(tokens, 3 width)`.
    Joint(Tokens<E, D, T>),
    /// Queries `(tokens, width)`; keys and values beside each other, `(others, 2 width)`.
    Cross {
        /// Who attends.
        queries: Tokens<E, D, T>,
        /// What is attended to.
        others: Tokens<E, D, T>,
    },
    /// Each for itself.
    Separate {
        /// Who attends: `(tokens, width)`.
        queries: Tokens<E, D, T>,
        /// What queries are compared with: `(others, width)`.
        keys: Tokens<E, D, T>,
        /// What is averaged: `(others, width)`.
        values: Tokens<E, D, T>,
    },
}

/// How tokens are grouped and features cut into heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups {
    /// Queries of a group.
    pub queries: usize,
    /// Keys of a group.
    pub keys: usize,
    /// Heads.
    pub heads: usize,
}

/// What is added to scores, and what is dropped.
pub struct Extras<'a, E: Real, D: Storage<E>> {
    /// A learned bias for each head and relative position in a square window: a table `[(2 side - 1)^2, heads]`. The entry of a
    /// query at row and column (i, j) of its window and a key at (k, l) is row `(i - k + side - 1) (2 side - 1) + j - l + side - 1`.
    pub position: Option<&'a Parameter<E, D>>,
    /// A label for each token of each of the windows of one sample; -100 is added between tokens of different labels. Group g is
    /// window `g % windows`.
    pub labels: Option<Arc<[u8]>>,
    /// Which keys of every group are there at all, group by group: the others are padding.
    pub real: Option<Arc<[bool]>>,
    /// Dropout of the probabilities.
    pub dropout: Option<Chance>,
}

impl<E: Real, D: Storage<E>> Default for Extras<'_, E, D> {
    fn default() -> Self {
        Extras { position: None, labels: None, real: None, dropout: None }
    }
}

/// Where queries, keys or values stand: in which input, and from which feature on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    input: usize,
    offset: usize,
}

/// Sizes of one call, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    groups: usize,
    queries: usize,
    keys: usize,
    heads: usize,
    /// Features of a head.
    head: usize,
    /// Queries, keys and values.
    places: [Place; 3],
}

impl Sizes {
    /// Features of all heads.
    fn width(&self) -> usize {
        self.heads * self.head
    }

    /// What scores are multiplied by.
    fn scale(&self) -> f64 {
        1.0 / libm::sqrt(self.head as f64)
    }
}

/// What is added to scores, as kernels read it.
#[derive(Clone)]
pub struct Additions<E: Real, D: DropUnits<E>> {
    table: Option<Tensor<(usize,), E, D>>,
    labels: Option<Arc<[u8]>>,
    real: Option<Arc<[bool]>>,
    kept: Option<(D::Kept, f64)>,
}

/// The kernels of [`attention`].
pub trait Attention<E: Real>: DropUnits<E> {
    /// The heads' outputs beside each other, `(groups x queries, width)`, and of each head's rows the largest score and the
    /// inverse of the sum.
    ///
    /// # Errors
    /// If the device fails.
    #[allow(clippy::type_complexity, reason = "two tensors")]
    fn attention(
        &self,
        inputs: &[Tokens<E, Self>],
        sizes: &Sizes,
        additions: &Additions<E, Self>,
    ) -> Result<(Tokens<E, Self>, Tensor<(usize,), E, Self>), Self::Err>;

    /// Adds to the gradients of the inputs and of the table; `gradient` is that of the output, and `found` what the op gave.
    ///
    /// # Errors
    /// If the device fails.
    #[allow(clippy::too_many_arguments, reason = "what was computed, and what is to be")]
    fn attention_backward(
        &self,
        inputs: &[Tokens<E, Self>],
        sizes: &Sizes,
        additions: &Additions<E, Self>,
        found: (&Tokens<E, Self>, &Tensor<(usize,), E, Self>),
        gradient: &Storage1<Self, E>,
        into: &mut [Storage1<Self, E>],
        table: Option<&mut Storage1<Self, E>>,
    ) -> Result<(), Self::Err>;
}

/// Attention within groups; `(groups x queries, width)`.
///
/// # Errors
/// [`OpError::Shape`] if what is given does not fit; [`OpError::Device`] if the device fails.
pub fn attention<E: Real, D: Backend<E>, T: Tape<E, D>>(
    projections: Projections<E, D, T>,
    groups: Groups,
    extras: Extras<'_, E, D>,
) -> Result<Tokens<E, D, T>, OpError> {
    let at = |input, offset| Place { input, offset };
    let (tensors, parts) = match projections {
        Projections::Joint(all) => (vec![all], vec![3]),
        Projections::Cross { queries, others } => (vec![queries, others], vec![1, 2]),
        Projections::Separate { queries, keys, values } => (vec![queries, keys, values], vec![1, 1, 1]),
    };
    let mut tape = T::default();
    let mut inputs = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let (tensor, own) = tensor.try_contiguous().map_err(OpError::device(OP))?.split_tape();
        tape = tape.merge(own);
        inputs.push(tensor);
    }
    let width = inputs[0].shape().1 / parts[0];
    let places = match inputs.len() {
        1 => [at(0, 0), at(0, width), at(0, 2 * width)],
        2 => [at(0, 0), at(1, 0), at(1, width)],
        _ => [at(0, 0), at(1, 0), at(2, 0)],
    };
    let sizes = check(&inputs, &parts, groups, places, &extras)?;
    let Extras { position, labels, real, dropout } = extras;
    let dev = inputs[0].device().clone();
    let scores = sizes.groups * sizes.heads * sizes.queries * sizes.keys;
    let kept = dropout.filter(|chance| !chance.is_none()).map(|chance| {
        let kept = dev.draw_units(&chance, scores).map_err(OpError::device(OP))?;
        Ok::<_, OpError>((kept, chance.scale()))
    });
    let kept = kept.transpose()?;
    let needs_table = position.is_some_and(|table| table.needs_grad);
    let additions = Additions { table: position.map(|table| table.value.clone()), labels, real, kept };
    let (out, rows) = dev.attention(&inputs, &sizes, &additions).map_err(OpError::device(OP))?;
    if T::OWNS_TAPE {
        let saved = out.clone();
        tape.add_backward_op(move |grads| {
            let gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&saved)?)?;
            let mut into = Vec::with_capacity(inputs.len());
            for input in &inputs {
                into.push(device::take::<E, D>(&dev, grads.get_or_alloc_mut(input)?)?);
            }
            let wanted = additions.table.as_ref().filter(|_| needs_table);
            let mut table = device::take_wanted(&dev, grads, wanted)?;
            let found = (&saved, &rows);
            dev.attention_backward(&inputs, &sizes, &additions, found, &gradient, &mut into, table.as_mut())?;
            for (input, gradient) in inputs.iter().zip(into) {
                *grads.get_or_alloc_mut(input)? = gradient;
            }
            device::put_back(grads, wanted, table)
        });
    }
    Ok(out.put_tape(tape))
}

/// The sizes, if everything fits.
fn check<E: Real, D: Device<E>>(
    inputs: &[Tokens<E, D>],
    parts: &[usize],
    Groups { queries, keys, heads }: Groups,
    places: [Place; 3],
    extras: &Extras<'_, E, D>,
) -> Result<Sizes, OpError> {
    let error = |expected: String, found: String| Err(OpError::shape(OP, expected, found));
    if queries == 0 || keys == 0 || heads == 0 {
        let expected = "at least one query, key and head".to_owned();
        return error(expected, format!("{queries}, {keys} and {heads}"));
    }
    let (rows, width) = (inputs[0].shape().0, inputs[0].shape().1 / parts[0]);
    let groups = rows / queries;
    let head = width / heads;
    if width == 0 || !width.is_multiple_of(heads) || rows == 0 || !rows.is_multiple_of(queries) {
        let expected = format!("groups of {queries} queries with a multiple of {heads} features");
        return error(expected, format!("{rows} x {width}"));
    }
    for (number, (input, parts)) in inputs.iter().zip(parts).enumerate() {
        let expected = (groups * if number == 0 { queries } else { keys }, parts * width);
        if *input.shape() != expected {
            return error(format!("{expected:?}"), format!("{:?}", input.shape()));
        }
    }
    if inputs.len() == 1 && queries != keys {
        return error("as many keys as queries".to_owned(), format!("{keys} and {queries}"));
    }
    if let Some(table) = extras.position {
        let side = libm::sqrt(queries as f64) as usize;
        let entries = (2 * side).saturating_sub(1).pow(2);
        if queries != keys || side * side != queries || table.dims != [entries, heads] {
            let expected = format!("square windows and a table [{entries}, {heads}] of positions");
            return error(expected, format!("{queries} queries, {keys} keys and {:?}", table.dims));
        }
    }
    if let Some(labels) = &extras.labels {
        let whole = !labels.is_empty() && labels.len().is_multiple_of(keys);
        if queries != keys || !whole || !groups.is_multiple_of(labels.len() / keys) {
            let expected = format!("a label for each of {keys} tokens of whole windows");
            return error(expected, format!("{} labels, {groups} groups", labels.len()));
        }
    }
    if let Some(real) = extras.real.as_ref().filter(|real| real.len() != groups * keys) {
        return error(format!("{groups} x {keys} decisions about padding"), real.len().to_string());
    }
    let chance = extras.dropout.as_ref().map_or(0.0, |chance| chance.probability);
    if !(0.0..1.0).contains(&chance) {
        return error("a probability in [0, 1)".to_owned(), chance.to_string());
    }
    Ok(Sizes { groups, queries, keys, heads, head, places })
}
