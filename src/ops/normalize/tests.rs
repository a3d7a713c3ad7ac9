//! Finite differences, the norm, and bits.

use dfdx::prelude::*;

use super::normalize;
use crate::ops::Backend;
use crate::ops::simd::Real;
use crate::ops::testing::{Pass, assert_gradients, assert_same_bits, numbers, pass};

fn run<E: Real>(leaves: &[Vec<E>], features: usize) -> Pass<E>
where
    Cpu: Backend<E>,
{
    pass(leaves, |_, leaves| {
        let x = leaves[0].value.clone().leaky_traced();
        let rows = x.shape().0 / features;
        normalize(x.reshape_like(&(rows, features))).unwrap()
    })
}

#[test]
fn gradients_agree_with_finite_differences() {
    for [rows, features] in [[1, 2], [3, 7], [2, 24]] {
        assert_gradients(&[numbers("x", rows * features)], |leaves| run(leaves, features));
    }
    assert_eq!(run(&[vec![3.0, 4.0, 0.0, -2.0]], 2)[0], [0.6, 0.8, 0.0, -1.0]);
}

#[test]
fn bits_depend_on_neither_instruction_set_nor_threads() {
    let x = [numbers::<f32>("x", 600 * 77)];
    assert_same_bits(|| run(&x, 77));
}
