//! Finite differences, orders and their inverses, and bits.

use dfdx::prelude::*;

use super::{Index, gather_rows};
use crate::ops::simd::Real;
use crate::ops::testing::{Pass, assert_gradients, assert_same_bits, numbers, pass};
use crate::ops::{Backend, OpError};
use crate::random::Seeds;

fn run<E: Real>(leaves: &[Vec<E>], index: &Index, features: usize) -> Pass<E>
where
    Cpu: Backend<E>,
{
    pass(leaves, |_, leaves| {
        let x = leaves[0].value.clone().leaky_traced();
        let rows = x.shape().0 / features;
        gather_rows(x.reshape_like(&(rows, features)), index).unwrap()
    })
}

#[test]
fn gradients_agree_with_finite_differences() {
    for (rows, of) in [(vec![2, 0, 1], 3), (vec![1], 4), (vec![0, 2, 2, 0, 1], 3)] {
        let index = Index::new(rows, of).unwrap();
        let leaves = [numbers("x", 2 * of * 5)];
        assert_gradients(&leaves, |leaves| run(leaves, &index, 5));
    }
}

#[test]
fn an_order_and_its_inverse_change_nothing() {
    let index = Index::new(Seeds::root(1).stream().permutation(12), 12).unwrap();
    let x = numbers::<f64>("x", 24 * 3);
    let there = run(std::slice::from_ref(&x), &index, 3).swap_remove(0);
    assert_ne!(there, x);
    assert_eq!(run(&[there], &index.inverse().unwrap(), 3)[0], x);
}

#[test]
fn bits_depend_on_neither_instruction_set_nor_threads() {
    let x = [numbers::<f32>("x", 8 * 100 * 150)];
    let order = Index::new(Seeds::root(2).stream().permutation(100), 100).unwrap();
    let twice = Index::new((0..200).map(|row| row / 2).collect(), 100).unwrap();
    for index in [order, twice] {
        assert_same_bits(|| run(&x, &index, 150));
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    assert!(matches!(Index::new(vec![0, 3], 3), Err(OpError::Shape { .. })));
    assert!(Index::new(vec![0, 0], 2).unwrap().inverse().is_err());
    assert!(Index::new(vec![0], 2).unwrap().inverse().is_err());
    let x: Tensor<_, f32, _> = Cpu::default().zeros_like(&(5, 3));
    assert!(matches!(gather_rows(x, &Index::new(vec![0], 2).unwrap()), Err(OpError::Shape { .. })));
}
