//! Against its definition, at sizes on both sides of every edge.

use dfdx::prelude::*;

use super::*;
use crate::ops::testing::{assert_gradients, numbers, pass};

#[test]
fn rows_become_columns_and_so_do_gradients() {
    let dev = Cpu::default();
    for (rows, columns) in [(1, 1), (3, 2), (8, 8), (17, 33), (40, 9)] {
        let values: Vec<f32> = (0..rows * columns).map(|value| value as f32).collect();
        let x: Tokens<f32, Cpu> = dev.tensor_from_vec(values.clone(), (rows, columns));
        let turned = to_features(x).unwrap();
        assert_eq!(*turned.shape(), (columns, rows));
        let expected: Vec<f32> =
            (0..rows * columns).map(|place| values[place % rows * columns + place / rows]).collect();
        assert_eq!(turned.as_vec(), expected);
    }
    let leaves = [numbers("x", 19 * 10)];
    assert_gradients(&leaves, |leaves| {
        pass(leaves, |_, leaves| {
            to_features(leaves[0].value.clone().leaky_traced().reshape_like(&(19, 10))).unwrap()
        })
    });
}
