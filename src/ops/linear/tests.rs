//! Finite differences, PyTorch's golden vectors, and bits.

use dfdx::prelude::*;

use super::{Activation, linear, linear_per_step};
use crate::ops::simd::Real;
use crate::ops::testing::{
    Pass, assert_golden, assert_gradients, assert_same_bits, golden_case, numbers, pass,
};
use crate::ops::{Backend, OpError, Parameter};

/// Steps, outputs, inputs, batch.
type Case = [usize; 4];

fn leaves<E: Real>([steps, outputs, inputs, batch]: Case) -> Vec<Vec<E>> {
    vec![numbers("x", steps * inputs * batch), numbers("weight", outputs * inputs), numbers("bias", outputs)]
}

fn run<E: Real>(leaves: &[Vec<E>], [steps, outputs, inputs, batch]: Case, activation: Activation) -> Pass<E>
where
    Cpu: Backend<E>,
{
    pass(leaves, |_, leaves| {
        let x = leaves[0].value.clone().leaky_traced().reshape_like(&(steps, inputs, batch));
        let weight = Parameter { dims: vec![outputs, inputs], ..leaves[1].clone() };
        linear_per_step(x, &weight, &leaves[2], activation).unwrap()
    })
}

const ACTIVATIONS: [Activation; 3] =
    [Activation::Identity, Activation::Relu, Activation::LeakyRelu { slope: 0.01 }];

#[test]
fn gradients_agree_with_finite_differences() {
    for case in [[1, 10, 24, 40], [1, 1, 1, 1], [1, 7, 5, 1], [3, 4, 9, 10], [2, 6, 200, 3]] {
        for activation in ACTIVATIONS {
            assert_gradients(&leaves(case), |leaves| run(leaves, case, activation));
        }
    }
}

#[test]
fn agrees_with_pytorch() {
    for (name, activation) in [
        ("linear_identity", Activation::Identity),
        ("linear_relu", Activation::Relu),
        ("linear_leaky_relu", Activation::LeakyRelu { slope: 0.01 }),
    ] {
        let golden = golden_case(name);
        let dev = Cpu::default();
        let parameter =
            |name: &str| Parameter::new(&dev, &golden[name].dims, golden[name].values.clone()).unwrap();
        let (x, weight, bias) = (parameter("x"), parameter("weight"), parameter("bias"));
        let input = x.value.clone().leaky_traced().reshape_like(&(x.dims[0], x.dims[1]));
        let out = linear(input, &weight, &bias, activation).unwrap();
        assert_golden(name, &out.as_vec(), &golden["out"]);
        let upstream = dev.tensor_from_vec(golden["gradient"].values.clone(), *out.shape());
        let gradients = (out * upstream).sum::<Rank0, _>().backward();
        assert_golden(name, &gradients.get(&x.value).as_vec(), &golden["x_gradient"]);
        assert_golden(name, &gradients.get(&weight.value).as_vec(), &golden["weight_gradient"]);
        assert_golden(name, &gradients.get(&bias.value).as_vec(), &golden["bias_gradient"]);
    }
}

#[test]
fn bits_depend_on_neither_instruction_set_nor_threads() {
    for case in [[1, 100, 240, 40], [5, 31, 60, 43]] {
        let leaves = leaves(case);
        assert_same_bits(|| run(&leaves, case, Activation::LeakyRelu { slope: 0.01 }));
    }
}

#[test]
fn a_nan_stays_one() {
    let dev = Cpu::default();
    for activation in ACTIVATIONS {
        let x = dev.tensor_from_vec(vec![f32::NAN], (1, 1));
        let weight = Parameter::new(&dev, &[1, 1], vec![1.0]).unwrap();
        let bias = Parameter::new(&dev, &[1], vec![0.0]).unwrap();
        assert!(linear(x, &weight, &bias, activation).unwrap().as_vec()[0].is_nan());
    }
}

#[test]
fn parameters_that_do_not_fit_are_an_error() {
    let dev = Cpu::default();
    for (weight, bias) in [([2, 4], [2]), ([2, 3], [3])] {
        let x: Tensor<_, f32, _> = dev.zeros_like(&(3, 5));
        let weight = Parameter::new(&dev, &weight, vec![0.0; weight.iter().product()]).unwrap();
        let bias = Parameter::new(&dev, &bias, vec![0.0; bias[0]]).unwrap();
        let error = linear(x, &weight, &bias, Activation::Relu).unwrap_err();
        assert!(matches!(error, OpError::Shape { .. }), "{error}");
    }
}
