//! Finite differences, the formula, and bits.

use dfdx::prelude::*;

use super::layer_norm;
use crate::ops::simd::Real;
use crate::ops::testing::{Pass, assert_gradients, assert_same_bits, numbers, pass};
use crate::ops::{Backend, OpError, Parameter};

fn leaves<E: Real>(rows: usize, features: usize) -> Vec<Vec<E>> {
    vec![numbers("x", rows * features), numbers("weight", features), numbers("bias", features)]
}

fn run<E: Real>(leaves: &[Vec<E>]) -> Pass<E>
where
    Cpu: Backend<E>,
{
    pass(leaves, |_, leaves| {
        let features = leaves[1].len();
        let x = leaves[0].value.clone().leaky_traced();
        let rows = x.shape().0 / features;
        layer_norm(x.reshape_like(&(rows, features)), &leaves[1], &leaves[2]).unwrap()
    })
}

#[test]
fn gradients_agree_with_finite_differences() {
    for (rows, features) in [(3, 8), (1, 5), (70, 16), (5, 27)] {
        assert_gradients(&leaves(rows, features), run);
    }
}

#[test]
fn a_token_is_normed_with_the_biased_variance() {
    let (rows, features) = (4, 13);
    let leaves = leaves::<f64>(rows, features);
    let out = &run(&leaves)[0];
    for (x, out) in leaves[0].chunks(features).zip(out.chunks(features)) {
        let mean = x.iter().sum::<f64>() / features as f64;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / features as f64;
        for (i, out) in out.iter().enumerate() {
            let expected = (x[i] - mean) / (variance + 1e-5).sqrt() * leaves[1][i] + leaves[2][i];
            assert!((out - expected).abs() < 1e-13, "{out} {expected}");
        }
    }
}

#[test]
fn bits_depend_on_neither_instruction_set_nor_threads() {
    for (rows, features) in [(131, 128), (300, 75)] {
        let leaves = leaves(rows, features);
        assert_same_bits(|| run(&leaves));
    }
}

#[test]
fn parameters_that_do_not_fit_are_an_error() {
    let dev = Cpu::default();
    let parameter = |len: usize| Parameter::new(&dev, &[len], vec![0.0f32; len]).unwrap();
    let x: Tensor<_, f32, _> = dev.zeros_like(&(2, 3));
    assert!(matches!(layer_norm(x.clone(), &parameter(4), &parameter(3)), Err(OpError::Shape { .. })));
    assert!(matches!(layer_norm(x, &parameter(3), &parameter(2)), Err(OpError::Shape { .. })));
}
