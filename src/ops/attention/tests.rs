//! Finite differences of every kind of attention, the formula, and bits.

use std::sync::Arc;

use dfdx::prelude::*;

use super::{Extras, Groups, Projections, attention};
use crate::ops::drop::Chance;
use crate::ops::simd::Real;
use crate::ops::testing::{Pass, assert_gradients, assert_same_bits, numbers, pass, values};
use crate::ops::{Backend, OpError, Parameter};
use crate::random::Seeds;

/// What is given to one call.
#[derive(Clone)]
struct Case {
    inputs: usize,
    samples: usize,
    groups: Groups,
    head: usize,
    position: bool,
    labels: Option<Arc<[u8]>>,
    real: Option<Arc<[bool]>>,
    dropout: f64,
}

impl Case {
    fn new(inputs: usize, samples: usize, [queries, keys, heads, head]: [usize; 4]) -> Self {
        let groups = Groups { queries, keys, heads };
        Case { inputs, samples, groups, head, position: false, labels: None, real: None, dropout: 0.0 }
    }

    fn leaves<E: Real>(&self) -> Vec<Vec<E>> {
        let width = self.groups.heads * self.head;
        let [queries, keys] =
            [self.groups.queries, self.groups.keys].map(|tokens| self.samples * tokens * width);
        let mut leaves = match self.inputs {
            1 => vec![numbers("qkv", 3 * queries)],
            2 => vec![numbers("q", queries), numbers("kv", 2 * keys)],
            _ => vec![numbers("q", queries), numbers("k", keys), numbers("v", keys)],
        };
        if self.position {
            let side = (self.groups.queries as f64).sqrt() as usize;
            leaves.push(numbers("table", (2 * side - 1) * (2 * side - 1) * self.groups.heads));
        }
        leaves
    }

    fn run<E: Real>(&self, leaves: &[Vec<E>]) -> Pass<E>
    where
        Cpu: Backend<E>,
    {
        pass(leaves, |_, leaves| {
            let width = self.groups.heads * self.head;
            let [queries, keys] = [self.groups.queries, self.groups.keys].map(|tokens| self.samples * tokens);
            let x = |n: usize, rows, parts: usize| {
                leaves[n].value.clone().leaky_traced().reshape_like(&(rows, parts * width))
            };
            let projections = match self.inputs {
                1 => Projections::Joint(x(0, queries, 3)),
                2 => Projections::Cross { queries: x(0, queries, 1), others: x(1, keys, 2) },
                _ => Projections::Separate {
                    queries: x(0, queries, 1),
                    keys: x(1, keys, 1),
                    values: x(2, keys, 1),
                },
            };
            let table = self.position.then(|| {
                let table = leaves[self.inputs].clone();
                Parameter { dims: vec![table.len() / self.groups.heads, self.groups.heads], ..table }
            });
            let extras = Extras {
                position: table.as_ref(),
                labels: self.labels.clone(),
                real: self.real.clone(),
                dropout: Some(Chance { probability: self.dropout, seeds: Seeds::root(3) }),
            };
            attention(projections, self.groups, extras).unwrap()
        })
    }
}

fn cases() -> Vec<Case> {
    let window = Case { position: true, ..Case::new(1, 4, [9, 9, 2, 5]) };
    let labels: Vec<u8> = [[0; 9], [0, 0, 1, 0, 0, 1, 2, 2, 3]].concat();
    let real = [true, true, true, false, true, true, false, false];
    vec![
        Case::new(1, 2, [3, 3, 2, 4]),
        window.clone(),
        Case { labels: Some(labels.into()), ..window },
        Case { position: true, ..Case::new(1, 19, [4, 4, 1, 3]) },
        Case { real: Some(real.into()), ..Case::new(2, 2, [30, 4, 2, 3]) },
        Case::new(3, 2, [3, 17, 3, 8]),
        Case { dropout: 0.3, ..Case::new(3, 2, [5, 6, 2, 4]) },
    ]
}

#[test]
fn gradients_agree_with_finite_differences() {
    for case in cases() {
        assert_gradients(&case.leaves(), |leaves| case.run(leaves));
    }
}

/// Against scores, softmax and averages written out.
#[test]
fn is_the_softmax_of_scores_with_what_is_added() {
    for case in cases().into_iter().filter(|case| case.dropout == 0.0) {
        let leaves = case.leaves::<f64>();
        let out = case.run(&leaves).swap_remove(0);
        let Groups { queries, keys, heads } = case.groups;
        let (head, width) = (case.head, heads * case.head);
        let part = |which: usize, token: usize, feature: usize| match case.inputs {
            1 => leaves[0][token * 3 * width + which * width + feature],
            2 if which > 0 => leaves[1][token * 2 * width + (which - 1) * width + feature],
            _ => leaves[which][token * width + feature],
        };
        let side = (queries as f64).sqrt() as usize;
        for group in 0..case.samples {
            for (h, query) in (0..heads).flat_map(|h| (0..queries).map(move |query| (h, query))) {
                let scores: Vec<f64> = (0..keys)
                    .map(|key| {
                        let dot: f64 = (0..head)
                            .map(|c| {
                                let feature = h * head + c;
                                part(0, group * queries + query, feature)
                                    * part(1, group * keys + key, feature)
                            })
                            .sum();
                        let mut score = dot / (head as f64).sqrt();
                        if case.position {
                            let row = query / side + side - 1 - key / side;
                            let column = query % side + side - 1 - key % side;
                            score += leaves[case.inputs][(row * (2 * side - 1) + column) * heads + h];
                        }
                        if let Some(labels) = &case.labels {
                            let labels = &labels[group % (labels.len() / keys) * keys..];
                            score -= if labels[query] == labels[key] { 0.0 } else { 100.0 };
                        }
                        let real = case.real.as_ref().is_none_or(|real| real[group * keys + key]);
                        if real { score } else { f64::NEG_INFINITY }
                    })
                    .collect();
                let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let powers: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
                let sum: f64 = powers.iter().sum();
                for c in 0..head {
                    let feature = h * head + c;
                    let expected: f64 =
                        (0..keys).map(|key| powers[key] / sum * part(2, group * keys + key, feature)).sum();
                    let found = out[(group * queries + query) * width + feature];
                    assert!((found - expected).abs() < 1e-14, "{found} {expected}");
                }
            }
        }
    }
}

#[test]
fn padding_gets_neither_weight_nor_gradient() {
    let case = cases().swap_remove(4);
    let mut leaves = case.leaves::<f64>();
    let before = case.run(&leaves);
    let width = case.groups.heads * case.head;
    let padding = 3 * 2 * width..4 * 2 * width;
    assert!(before[2][padding.clone()].iter().all(|gradient| *gradient == 0.0));
    leaves[1][padding].fill(1e3);
    assert_eq!(case.run(&leaves)[0], before[0]);
}

#[test]
fn large_scores_stay_finite() {
    let case = Case::new(1, 1, [3, 3, 1, 4]);
    let out = case.run(&[values("x", 36, 1e4)]);
    assert!(out.iter().flatten().all(|value| value.is_finite()));
}

#[test]
fn bits_depend_on_neither_instruction_set_nor_threads() {
    let window = Case { position: true, ..Case::new(1, 20, [36, 36, 3, 16]) };
    let labels = (0..4 * 36).map(|token| (token / 50) as u8).collect();
    let text = Case { dropout: 0.1, ..Case::new(3, 2, [50, 81, 3, 32]) };
    for case in [Case { labels: Some(labels), ..window }, text] {
        let leaves = case.leaves();
        assert_same_bits(|| case.run(&leaves));
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let dev = Cpu::default();
    let x = |rows, features| -> Tensor<(usize, usize), f32, Cpu> { dev.zeros_like(&(rows, features)) };
    let groups = Groups { queries: 4, keys: 4, heads: 2 };
    let table = Parameter::new(&dev, &[9, 3], vec![0.0f32; 27]).unwrap();
    let joint = |rows, features| Projections::Joint(x(rows, features));
    for (projections, groups, extras) in [
        (joint(7, 12), groups, Extras::default()),
        (joint(8, 9), groups, Extras::default()),
        (joint(8, 12), Groups { keys: 2, ..groups }, Extras::default()),
        (joint(8, 12), Groups { heads: 0, ..groups }, Extras::default()),
        (joint(8, 12), groups, Extras { position: Some(&table), ..Extras::default() }),
        (joint(8, 12), groups, Extras { labels: Some([0; 7].into()), ..Extras::default() }),
        (joint(8, 12), groups, Extras { real: Some([true; 4].into()), ..Extras::default() }),
        (Projections::Cross { queries: x(8, 4), others: x(6, 8) }, groups, Extras::default()),
    ] {
        assert!(matches!(attention(projections, groups, extras), Err(OpError::Shape { .. })));
    }
}
