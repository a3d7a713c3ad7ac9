//! The ops of tokens, case by case.
//!
//! Invariant: every input that may be trained has a gradient among what is compared.

use std::sync::Arc;

use dfdx::prelude::*;

use super::leaves::{Given, back, parameter};
use crate::device::Fill;
use crate::ops::activate::{Function, activate};
use crate::ops::add_scaled::add_scaled;
use crate::ops::attention::{Extras, Groups, Projections, attention};
use crate::ops::drop::{Chance, drop_units};
use crate::ops::embedding::embedding;
use crate::ops::layer_norm::layer_norm;
use crate::ops::mean_tokens::mean_tokens;
use crate::ops::normalize::normalize;
use crate::ops::rows::{Index, gather_rows};
use crate::ops::token_linear::token_linear;
use crate::ops::{Backend, OpError, Parameter, Tokens, to_features};
use crate::random::Seeds;

/// An op of tokens at certain sizes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TokenCase {
    /// Rows, features.
    Activate([usize; 2], Function),
    /// Rows, features.
    AddScaled([usize; 2]),
    /// Rows, features; elements of a unit.
    Drop([usize; 2], usize),
    /// Rows of the table, features, tokens.
    Embedding([usize; 3]),
    /// Rows, features.
    LayerNorm([usize; 2]),
    /// Samples, tokens, features.
    MeanTokens([usize; 3]),
    /// Rows, features.
    Normalize([usize; 2]),
    /// Samples, rows of each, features, rows that are taken of each: if more than there are, some are taken twice.
    Rows([usize; 4]),
    /// Rows, features.
    ToFeatures([usize; 2]),
    /// Rows, inputs, outputs; with or without a bias.
    Linear([usize; 3], bool),
    /// Inputs (1: all in one; 2: queries, and the rest; 3), groups, queries, keys, heads, features of a head.
    Attention([usize; 6], Extra),
}

/// What is added to scores, or dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extra {
    /// Nothing.
    None,
    /// A table of positions.
    Position,
    /// A table of positions, and two windows a sample whose tokens have labels (one window where groups are odd).
    Windows,
    /// The last keys of every group are padding; of the first group, all but one.
    Padding,
    /// Dropped probabilities.
    Dropout,
}

/// Which units are dropped: those of one stream.
fn chance(probability: f64) -> Chance {
    Chance { probability, seeds: Seeds::root(11).child("dropout") }
}

/// A leaf as traced tokens.
fn traced<D: Backend<f32>>(
    leaf: &Parameter<f32, D>,
    rows: usize,
    features: usize,
) -> Result<Tokens<f32, D, OwnedTape<f32, D>>, OpError> {
    leaf.value.leaky_trace().try_reshape_like(&(rows, features)).map_err(OpError::device("parity"))
}

/// Outputs and gradients of a case.
pub(super) fn run<D: Backend<f32> + Fill<f32>>(device: &D, case: TokenCase) -> Result<Given, OpError> {
    let leaf = |name: &str, dims: &[usize], scale| parameter(device, name, dims, scale);
    match case {
        TokenCase::Activate([rows, features], function) => {
            let x = leaf("x", &[rows * features], 6.0)?;
            back(activate(traced(&x, rows, features)?, function)?, &[("x", &x.value)])
        }
        TokenCase::AddScaled([rows, features]) => {
            let (o, z) = (leaf("o", &[rows * features], 1.0)?, leaf("z", &[rows * features], 1.0)?);
            let alpha = leaf("alpha", &[1], 1.0)?;
            let out = add_scaled(traced(&o, rows, features)?, traced(&z, rows, features)?, &alpha)?;
            back(out, &[("o", &o.value), ("z", &z.value), ("alpha", &alpha.value)])
        }
        TokenCase::Drop([rows, features], unit) => {
            let x = leaf("x", &[rows * features], 1.0)?;
            back(drop_units(traced(&x, rows, features)?, unit, &chance(0.3))?, &[("x", &x.value)])
        }
        TokenCase::Embedding([rows, features, tokens]) => {
            let table = leaf("table", &[rows, features], 1.0)?;
            // Some rows several times, the padding among them.
            let ids: Vec<u32> = (0..tokens).map(|n| (n * n % rows) as u32).collect();
            back(embedding(device, &table, &ids, Some(1))?, &[("table", &table.value)])
        }
        TokenCase::LayerNorm([rows, features]) => {
            let x = leaf("x", &[rows * features], 2.0)?;
            let (weight, bias) = (leaf("weight", &[features], 1.0)?, leaf("bias", &[features], 1.0)?);
            let out = layer_norm(traced(&x, rows, features)?, &weight, &bias)?;
            back(out, &[("x", &x.value), ("weight", &weight.value), ("bias", &bias.value)])
        }
        TokenCase::MeanTokens([samples, tokens, features]) => {
            let x = leaf("x", &[samples * tokens * features], 1.0)?;
            back(mean_tokens(traced(&x, samples * tokens, features)?, tokens)?, &[("x", &x.value)])
        }
        TokenCase::Normalize([rows, features]) => {
            let x = leaf("x", &[rows * features], 1.0)?;
            back(normalize(traced(&x, rows, features)?)?, &[("x", &x.value)])
        }
        TokenCase::Rows([samples, rows, features, taken]) => {
            let x = leaf("x", &[samples * rows * features], 1.0)?;
            // In another order: 5 has no factor in common with the numbers of rows.
            let index = Index::new((0..taken).map(|n| (n * 5 % rows) as u32).collect(), rows)?;
            back(gather_rows(traced(&x, samples * rows, features)?, &index)?, &[("x", &x.value)])
        }
        TokenCase::ToFeatures([rows, features]) => {
            let x = leaf("x", &[rows * features], 1.0)?;
            back(to_features(traced(&x, rows, features)?)?, &[("x", &x.value)])
        }
        TokenCase::Linear([rows, inputs, outputs], biased) => {
            let x = leaf("x", &[rows * inputs], 1.0)?;
            let (weight, bias) = (leaf("weight", &[outputs, inputs], 0.5)?, leaf("bias", &[outputs], 0.5)?);
            let out = token_linear(traced(&x, rows, inputs)?, &weight, biased.then_some(&bias))?;
            let mut leaves = vec![("x", &x.value), ("weight", &weight.value)];
            leaves.extend(biased.then_some(("bias", &bias.value)));
            back(out, &leaves)
        }
        TokenCase::Attention(sizes, extra) => attend(device, sizes, extra),
    }
}

fn attend<D: Backend<f32> + Fill<f32>>(
    device: &D,
    [inputs, groups, queries, keys, heads, head]: [usize; 6],
    extra: Extra,
) -> Result<Given, OpError> {
    let width = heads * head;
    let parts: &[usize] = match inputs {
        1 => &[3],
        2 => &[1, 2],
        _ => &[1, 1, 1],
    };
    let mut leaves = Vec::new();
    for (number, parts) in parts.iter().enumerate() {
        let rows = groups * if number == 0 { queries } else { keys };
        let values = rows * parts * width;
        leaves.push((parameter(device, &format!("input {number}"), &[values], 1.0)?, [rows, parts * width]));
    }
    let x = |number: usize| traced(&leaves[number].0, leaves[number].1[0], leaves[number].1[1]);
    let projections = match inputs {
        1 => Projections::Joint(x(0)?),
        2 => Projections::Cross { queries: x(0)?, others: x(1)? },
        _ => Projections::Separate { queries: x(0)?, keys: x(1)?, values: x(2)? },
    };
    let side = libm::sqrt(queries as f64) as usize;
    let table = parameter(device, "table", &[(2 * side - 1) * (2 * side - 1), heads], 1.0)?;
    let position = matches!(extra, Extra::Position | Extra::Windows).then_some(&table);
    let windows = if groups.is_multiple_of(2) { 2 } else { 1 };
    let labels = (extra == Extra::Windows)
        .then(|| (0..windows * keys).map(|token| (token / (keys / 2 + 1)) as u8).collect::<Arc<[u8]>>());
    let real = (extra == Extra::Padding).then(|| {
        let last = |group: usize| if group == 0 { 1 } else { keys - keys / 3 };
        (0..groups * keys).map(|token| token % keys < last(token / keys)).collect::<Arc<[bool]>>()
    });
    let dropout = (extra == Extra::Dropout).then(|| chance(0.3));
    let out =
        attention(projections, Groups { queries, keys, heads }, Extras { position, labels, real, dropout })?;
    let mut given = vec![("table", &table.value)];
    given.retain(|_| position.is_some());
    given.extend(leaves.iter().map(|(leaf, _)| ("an input", &leaf.value)));
    back(out, &given)
}
