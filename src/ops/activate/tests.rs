//! Finite differences, the exact GELU, and bits.

use dfdx::prelude::*;

use super::{Function, activate};
use crate::ops::Backend;
use crate::ops::simd::Real;
use crate::ops::testing::{Pass, assert_gradients, assert_same_bits, of, pass, values};

fn run<E: Real>(leaves: &[Vec<E>], function: Function) -> Pass<E>
where
    Cpu: Backend<E>,
{
    pass(leaves, |_, leaves| {
        let x = leaves[0].value.clone().leaky_traced();
        let shape = (1, x.shape().0);
        activate(x.reshape_like(&shape), function).unwrap()
    })
}

#[test]
fn gradients_agree_with_finite_differences() {
    for function in [Function::Gelu, Function::Tanh] {
        for count in [1, 8, 61] {
            assert_gradients(&[values("x", count, 3.0)], |leaves| run(leaves, function));
        }
    }
}

/// The approximation by tanh is off by up to 5e-4.
#[test]
fn gelu_is_exact() {
    let x = values("x", 1000, 6.0);
    let expected: Vec<f64> =
        x.iter().map(|x| 0.5 * x * (1.0 + libm::erf(x * std::f64::consts::FRAC_1_SQRT_2))).collect();
    let found = &run(std::slice::from_ref(&x), Function::Gelu)[0];
    let single = &run(&[of::<f32>(&x)], Function::Gelu)[0];
    for ((found, single), expected) in found.iter().zip(single).zip(expected) {
        assert!((found - expected).abs() < 1e-15 * expected.abs().max(1.0), "{found} {expected}");
        assert!(
            (f64::from(*single) - expected).abs() < 4e-7 * expected.abs().max(0.1),
            "{single} {expected}"
        );
    }
}

#[test]
fn bits_depend_on_neither_instruction_set_nor_threads() {
    let x = [of::<f32>(&values("x", 9001, 5.0))];
    for function in [Function::Gelu, Function::Tanh] {
        assert_same_bits(|| run(&x, function));
    }
}
