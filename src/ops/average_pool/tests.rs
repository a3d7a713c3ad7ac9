//! Finite differences, PyTorch's windows, and gradients that are shared.

use dfdx::prelude::*;

use super::{average_pool, window};
use crate::ops::simd::Real;
use crate::ops::testing::{
    Pass, assert_golden, assert_gradients, assert_same_bits, golden_case, numbers, pass,
};
use crate::ops::{Backend, OpError};

fn run<E: Real>(leaves: &[Vec<E>], shape: (usize, usize, usize, usize), side: usize) -> Pass<E>
where
    Cpu: Backend<E>,
{
    pass(leaves, |_, leaves| {
        average_pool(leaves[0].value.clone().leaky_traced().reshape_like(&shape), side).unwrap()
    })
}

#[test]
fn gradients_agree_with_finite_differences() {
    for (shape, side) in [((2, 4, 6, 3), 2), ((1, 5, 7, 1), 3), ((3, 4, 4, 2), 4), ((1, 9, 3, 10), 2)] {
        let leaves = [numbers("x", shape.0 * shape.1 * shape.2 * shape.3)];
        assert_gradients(&leaves, |leaves| run(leaves, shape, side));
    }
}

#[test]
fn agrees_with_pytorch() {
    let golden = golden_case("average_pool");
    let [channels, height, width, batch] = golden["x"].dims[..] else { panic!("four dimensions") };
    let dev = Cpu::default();
    let x = dev.tensor_from_vec(golden["x"].values.clone(), (channels, height, width, batch));
    let out = average_pool(x.leaky_trace(), 3).unwrap();
    assert_golden("out", &out.as_vec(), &golden["out"]);
    let gradient = dev.tensor_from_vec(golden["gradient"].values.clone(), *out.shape());
    let gradients = (out * gradient).sum::<Rank0, _>().backward();
    assert_golden("x", &gradients.get(&x).as_vec(), &golden["x_gradient"]);
}

#[test]
fn every_instruction_set_and_number_of_threads_gives_the_same_bits() {
    for (shape, side) in [((3, 7, 5, 3), 2), ((64, 40, 40, 1), 4), ((8, 10, 10, 17), 10)] {
        let x = numbers("x", shape.0 * shape.1 * shape.2 * shape.3);
        assert_same_bits(|| run(std::slice::from_ref(&x), shape, side));
    }
}

/// torch.nn.functional.adaptive_avg_pool2d of 0, 1, ... 34 as 5 x 7, to 3 x 3.
#[test]
fn windows_are_pytorchs() {
    assert_eq!([0, 1, 2].map(|i| window(i, 5, 3)), [0..2, 1..4, 3..5]);
    assert_eq!([0, 1].map(|i| window(i, 40, 2)), [0..20, 20..40]);
    let x: Vec<f64> = (0..35).map(f64::from).collect();
    let out = run(&[x], (1, 5, 7, 1), 3).swap_remove(0);
    assert_eq!(out, [4.5, 6.5, 8.5, 15.0, 17.0, 19.0, 25.5, 27.5, 29.5]);
}

#[test]
fn maps_that_are_too_small_are_an_error() {
    let dev = Cpu::default();
    for side in [0, 3] {
        let x: crate::ops::Maps<f32, Cpu> = dev.zeros_like(&(1, 2, 5, 1));
        assert!(matches!(average_pool(x, side).unwrap_err(), OpError::Shape { .. }));
    }
}
