//! Sums of maps, of one map with itself too.

use dfdx::prelude::*;

use super::add;
use crate::ops::testing::{assert_gradients, numbers, pass};
use crate::ops::{Maps, OpError};

#[test]
fn both_get_the_gradient() {
    let leaves = [numbers("a", 24), numbers("b", 24)];
    assert_gradients(&leaves, |leaves| {
        pass(leaves, |_, leaves| {
            let a = leaves[0].value.clone().leaky_traced().reshape_like(&(2, 3, 2, 2));
            add(a, leaves[1].value.clone().leaky_traced().reshape_like(&(2, 3, 2, 2))).unwrap()
        })
    });
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
