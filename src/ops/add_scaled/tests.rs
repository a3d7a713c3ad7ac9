//! Finite differences and bits.

use dfdx::prelude::*;

use super::add_scaled;
use crate::ops::simd::Real;
use crate::ops::testing::{Pass, assert_gradients, assert_same_bits, numbers, pass};
use crate::ops::{Backend, OpError, Parameter};

fn run<E: Real>(leaves: &[Vec<E>]) -> Pass<E>
where
    Cpu: Backend<E>,
{
    pass(leaves, |_, leaves| {
        let shape = (1, leaves[0].len());
        let [o, z] = [0, 1].map(|n| leaves[n].value.clone().leaky_traced().reshape_like(&shape));
        add_scaled(o, z, &leaves[2]).unwrap()
    })
}

#[test]
fn gradients_agree_with_finite_differences() {
    for count in [1, 13, 5000] {
        assert_gradients(&[numbers("o", count), numbers("z", count), vec![0.7]], run);
    }
}

#[test]
fn bits_depend_on_neither_instruction_set_nor_threads() {
    let leaves = [numbers("o", 120_003), numbers("z", 120_003), vec![0.7]];
    assert_same_bits(|| run::<f32>(&leaves));
}

#[test]
fn what_does_not_fit_is_an_error() {
    let dev = Cpu::default();
    let x: Tensor<_, f32, _> = dev.zeros_like(&(2, 3));
    let alpha = |len: usize| Parameter::new(&dev, &[len], vec![0.0f32; len]).unwrap();
    assert!(matches!(add_scaled(x.clone(), dev.zeros_like(&(3, 2)), &alpha(1)), Err(OpError::Shape { .. })));
    assert!(matches!(add_scaled(x.clone(), x, &alpha(2)), Err(OpError::Shape { .. })));
}
