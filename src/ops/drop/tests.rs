//! Finite differences, how much is dropped, and bits.

use dfdx::prelude::*;

use super::{Chance, drop_units};
use crate::ops::simd::Real;
use crate::ops::testing::{Pass, assert_gradients, assert_same_bits, numbers, pass};
use crate::ops::{Backend, OpError};
use crate::random::Seeds;

fn chance(probability: f64) -> Chance {
    Chance { probability, seeds: Seeds::root(5).child("dropout") }
}

fn run<E: Real>(leaves: &[Vec<E>], unit: usize, probability: f64) -> Pass<E>
where
    Cpu: Backend<E>,
{
    pass(leaves, |_, leaves| {
        let x = leaves[0].value.clone().leaky_traced();
        let shape = (1, x.shape().0);
        drop_units(x.reshape_like(&shape), unit, &chance(probability)).unwrap()
    })
}

#[test]
fn gradients_agree_with_finite_differences() {
    for (count, unit) in [(50, 1), (60, 12)] {
        assert_gradients(&[numbers("x", count)], |leaves| run(leaves, unit, 0.3));
    }
}

#[test]
fn units_are_dropped_whole_and_the_rest_keeps_the_mean() {
    let out = run(&[vec![1.0; 40_000]], 4, 0.25).swap_remove(0);
    let kept: Vec<bool> = out.chunks(4).map(|unit| unit[0] != 0.0).collect();
    assert!(out.chunks(4).all(|unit| unit == [0.0; 4] || unit == [1.0 / 0.75; 4]));
    let share = kept.iter().filter(|kept| **kept).count() as f64 / kept.len() as f64;
    assert!((share - 0.75).abs() < 0.015, "{share}");
    assert_eq!(kept, chance(0.25).draw(10_000));
    let other = Chance { seeds: Seeds::root(5).child("other"), ..chance(0.25) };
    assert_ne!(kept, other.draw(10_000));
}

#[test]
fn nothing_is_dropped_with_probability_zero() {
    let x = numbers::<f64>("x", 9);
    assert_eq!(run(std::slice::from_ref(&x), 1, 0.0)[0], x);
}

#[test]
fn bits_depend_on_neither_instruction_set_nor_threads() {
    let x = [numbers::<f32>("x", 150_000)];
    for unit in [1, 30_000] {
        assert_same_bits(|| run(&x, unit, 0.1));
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let x: Tensor<_, f32, _> = Cpu::default().zeros_like(&(2, 3));
    for (unit, probability) in [(4, 0.5), (0, 0.5), (1, 1.0), (1, -0.1)] {
        assert!(matches!(drop_units(x.clone(), unit, &chance(probability)), Err(OpError::Shape { .. })));
    }
}
