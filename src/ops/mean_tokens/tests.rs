//! Finite differences, the mean, and bits.

use dfdx::prelude::*;

use super::mean_tokens;
use crate::ops::simd::Real;
use crate::ops::testing::{Pass, assert_gradients, assert_same_bits, numbers, pass};
use crate::ops::{Backend, OpError};

fn run<E: Real>(leaves: &[Vec<E>], tokens: usize, features: usize) -> Pass<E>
where
    Cpu: Backend<E>,
{
    pass(leaves, |_, leaves| {
        let x = leaves[0].value.clone().leaky_traced();
        let rows = x.shape().0 / features;
        mean_tokens(x.reshape_like(&(rows, features)), tokens).unwrap()
    })
}

#[test]
fn gradients_agree_with_finite_differences() {
    for [samples, tokens, features] in [[1, 1, 1], [2, 3, 5], [3, 4, 16]] {
        assert_gradients(&[numbers("x", samples * tokens * features)], |leaves| {
            run(leaves, tokens, features)
        });
    }
    assert_eq!(run(&[vec![1.0, 2.0, 3.0, 6.0]], 2, 2)[0], [2.0, 4.0]);
}

#[test]
fn bits_depend_on_neither_instruction_set_nor_threads() {
    let x = [numbers::<f32>("x", 5 * 300 * 77)];
    assert_same_bits(|| run(&x, 300, 77));
}

#[test]
fn rows_that_are_no_whole_samples_are_an_error() {
    let x: Tensor<_, f32, _> = Cpu::default().zeros_like(&(5, 3));
    assert!(matches!(mean_tokens(x, 2), Err(OpError::Shape { .. })));
}
