//! Sums of maps, of one map with itself too.

use dfdx::prelude::*;

use super::add;
use crate::ops::simd::Real;
use crate::ops::testing::{Pass, assert_gradients, assert_same_bits, numbers, pass};
use crate::ops::{Backend, Maps, OpError};

fn run<E: Real>(leaves: &[Vec<E>], shape: (usize, usize, usize, usize)) -> Pass<E>
where
    Cpu: Backend<E>,
{
    pass(leaves, |_, leaves| {
        let [a, b] = [0, 1].map(|n| leaves[n].value.clone().leaky_traced().reshape_like(&shape));
        add(a, b).unwrap()
    })
}

#[test]
fn both_get_the_gradient() {
    let leaves = [numbers("a", 24), numbers("b", 24)];
    assert_gradients(&leaves, |leaves| run(leaves, (2, 3, 2, 2)));
}

#[test]
fn every_instruction_set_and_number_of_threads_gives_the_same_bits() {
    for shape in [(3, 5, 7, 3), (32, 40, 40, 2)] {
        let count = shape.0 * shape.1 * shape.2 * shape.3;
        assert_same_bits(|| run(&[numbers("a", count), numbers("b", count)], shape));
    }
}

/// As in a residual block: one tensor goes two ways, each on a tape of its own.
#[test]
fn a_tensor_that_goes_two_ways_gets_both_gradients() {
    let dev = Cpu::default();
    let x: Maps<f32, Cpu> = dev.tensor_from_vec(vec![1.0, -2.0], (1, 1, 1, 2));
    let scaled = x.leaky_trace() * 3.0;
    let (scaled, tape) = scaled.split_tape();
    let out = add(scaled.clone().put_tape(tape) * 2.0, scaled.put_tape(OwnedTape::default())).unwrap();
    assert_eq!(out.as_vec(), [9.0, -18.0]);
    assert_eq!(out.sum::<Rank0, _>().backward().get(&x).as_vec(), [9.0, 9.0]);
    let out = add(x.leaky_trace(), x.leaky_trace()).unwrap();
    assert_eq!(out.sum::<Rank0, _>().backward().get(&x).as_vec(), [2.0, 2.0]);
}

#[test]
fn other_shapes_are_an_error() {
    let dev = Cpu::default();
    let (a, b): (Maps<f32, Cpu>, Maps<f32, Cpu>) =
        (dev.zeros_like(&(1, 2, 3, 1)), dev.zeros_like(&(2, 1, 3, 1)));
    assert!(matches!(add(a, b).unwrap_err(), OpError::Shape { .. }));
}
