//! Finite differences, sizes beyond one panel and block, and bits.

use dfdx::prelude::*;

use super::token_linear;
use crate::ops::simd::Real;
use crate::ops::testing::{Pass, assert_gradients, assert_same_bits, numbers, pass};
use crate::ops::{Backend, OpError, Parameter};

/// Rows, inputs, outputs.
type Case = [usize; 3];

fn leaves<E: Real>([rows, inputs, outputs]: Case) -> Vec<Vec<E>> {
    vec![numbers("x", rows * inputs), numbers("weight", outputs * inputs), numbers("bias", outputs)]
}

fn run<E: Real>(leaves: &[Vec<E>], [rows, inputs, outputs]: Case) -> Pass<E>
where
    Cpu: Backend<E>,
{
    pass(leaves, |_, leaves| {
        let x = leaves[0].value.clone().leaky_traced().reshape_like(&(rows, inputs));
        let weight = Parameter { dims: vec![outputs, inputs], ..leaves[1].clone() };
        token_linear(x, &weight, leaves.get(2)).unwrap()
    })
}

#[test]
fn gradients_agree_with_finite_differences() {
    for case in [[5, 7, 3], [1, 1, 1], [100, 9, 70], [3, 130, 67]] {
        let leaves = leaves(case);
        assert_gradients(&leaves, |leaves| run(leaves, case));
        assert_gradients(&leaves[..2], |leaves| run(leaves, case));
    }
}

#[test]
fn an_output_is_one_chain_from_its_bias() {
    let case = [101, 150, 77];
    let leaves = leaves::<f32>(case);
    let out = run(&leaves, case);
    let [_, inputs, outputs] = case;
    for (row, out) in leaves[0].chunks(inputs).zip(out[0].chunks(outputs)) {
        for (o, out) in out.iter().enumerate() {
            let weights = &leaves[1][o * inputs..][..inputs];
            let sum = row.iter().zip(weights).fold(leaves[2][o], |sum, (x, w)| x.mul_add(*w, sum));
            assert_eq!(sum.to_bits(), out.to_bits());
        }
    }
}

#[test]
fn bits_depend_on_neither_instruction_set_nor_threads() {
    for case in [[130, 48, 100], [2100, 30, 70]] {
        let leaves = leaves(case);
        assert_same_bits(|| run(&leaves, case));
    }
}

#[test]
fn frozen_parameters_get_no_gradient() {
    let dev = Cpu::default();
    let weight = Parameter::new(&dev, &[2, 3], vec![1.0f32; 6]).unwrap().frozen();
    let bias = Parameter::new(&dev, &[2], vec![1.0f32; 2]).unwrap();
    let x = dev.tensor_from_vec(vec![1.0f32; 6], (2, 3));
    let out = token_linear(x.leaky_trace(), &weight, Some(&bias)).unwrap();
    let mut gradients = out.sum::<Rank0, _>().backward();
    assert_eq!(gradients.get(&bias.value).as_vec(), [2.0; 2]);
    assert_eq!(gradients.get(&x).as_vec(), [2.0; 6]);
    assert_eq!(gradients.get_or_alloc_mut(&weight.value).unwrap().to_vec(), [0.0; 6]);
}

#[test]
fn parameters_that_do_not_fit_are_an_error() {
    let dev = Cpu::default();
    for (weight, bias) in [(vec![2, 4], [2]), (vec![2, 3], [3]), (vec![6], [6])] {
        let x: Tensor<_, f32, _> = dev.zeros_like(&(5, 3));
        let weight = Parameter::new(&dev, &weight, vec![0.0; weight.iter().product()]).unwrap();
        let bias = Parameter::new(&dev, &bias, vec![0.0; bias[0]]).unwrap();
        let error = token_linear(x, &weight, Some(&bias)).unwrap_err();
        assert!(matches!(error, OpError::Shape { .. }), "{error}");
    }
}
