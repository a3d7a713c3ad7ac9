//! Finite differences, rows that repeat, and the padding.

use dfdx::prelude::*;

use super::embedding;
use crate::ops::testing::{Pass, assert_gradients, numbers, pass};
use crate::ops::{OpError, Parameter};

fn run(leaves: &[Vec<f64>], ids: &[u32], padding: Option<u32>) -> Pass<f64> {
    pass(leaves, |dev, leaves| {
        let table = Parameter { dims: vec![4, 3], ..leaves[0].clone() };
        embedding(dev, &table, ids, padding).unwrap()
    })
}

#[test]
fn gradients_agree_with_finite_differences() {
    let leaves = [numbers("table", 12)];
    assert_gradients(&leaves, |leaves| run(leaves, &[3, 0, 3, 1], None));
    assert_eq!(run(&leaves, &[2], None)[0], leaves[0][6..9]);
}

#[test]
fn the_padding_is_not_trained() {
    let [all, some] = [None, Some(1)].map(|padding| run(&[numbers("table", 12)], &[3, 1, 0], padding));
    assert_eq!(all[0], some[0]);
    assert_eq!(some[1][3..6], [0.0; 3]);
    assert_ne!(all[1][3..6], [0.0; 3]);
    assert_eq!((&all[1][..3], &all[1][6..]), (&some[1][..3], &some[1][6..]));
}

#[test]
fn what_does_not_fit_is_an_error() {
    let dev = Cpu::default();
    let table = Parameter::new(&dev, &[4, 3], vec![0.0f32; 12]).unwrap();
    let found = embedding::<_, _, NoneTape>(&dev, &table, &[0, 4], None);
    assert!(matches!(found, Err(OpError::Shape { .. })));
    let vector = Parameter { dims: vec![12], ..table };
    assert!(matches!(embedding::<_, _, NoneTape>(&dev, &vector, &[0], None), Err(OpError::Shape { .. })));
}
