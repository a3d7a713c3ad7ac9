//! Finite differences, PyTorch's golden vectors, ties, odd sizes, and bits.

use dfdx::prelude::*;

use super::{Running, Statistics, norm_relu_pool};
use crate::ops::simd::Real;
use crate::ops::testing::{
    Pass, assert_golden, assert_gradients, assert_same_bits, elements, golden_case, numbers, pass,
};
use crate::ops::{Backend, OpError, Parameter};

/// Channels, height, width, batch.
type Case = [usize; 4];

fn leaves<E: Real>([channels, height, width, batch]: Case) -> Vec<Vec<E>> {
    vec![
        numbers("x", channels * height * width * batch),
        numbers("weight", channels),
        numbers("bias", channels),
    ]
}

fn run<E: Real>(leaves: &[Vec<E>], [channels, height, width, batch]: Case, statistics: Statistics) -> Pass<E>
where
    Cpu: Backend<E>,
{
    pass(leaves, |dev, leaves| {
        let x = leaves[0].value.clone().leaky_traced().reshape_like(&(channels, height, width, batch));
        let mut running = Running::from_values(
            dev,
            numbers("mean", channels),
            numbers::<E>("variance", channels).iter().map(|&v| v * v + E::of(0.1)).collect(),
        )
        .unwrap();
        norm_relu_pool(x, &leaves[1], &leaves[2], &mut running, statistics).unwrap()
    })
}

#[test]
fn gradients_agree_with_finite_differences() {
    for case in [[2, 4, 6, 10], [3, 5, 7, 1], [1, 3, 2, 10], [6, 2, 3, 9], [1, 2, 2, 1]] {
        for statistics in [Statistics::Batch, Statistics::Running] {
            assert_gradients(&leaves(case), |leaves| run(leaves, case, statistics));
        }
    }
}

#[test]
fn agrees_with_pytorch() {
    for (name, statistics) in [("norm_batch", Statistics::Batch), ("norm_running", Statistics::Running)] {
        let golden = golden_case(name);
        let dev = Cpu::default();
        let parameter =
            |name: &str| Parameter::new(&dev, &golden[name].dims, golden[name].values.clone()).unwrap();
        let (x, weight, bias) = (parameter("x"), parameter("weight"), parameter("bias"));
        let (mean, variance) = (parameter("mean").value, parameter("variance").value);
        let mut running = Running { mean, variance };
        let shape = (x.dims[0], x.dims[1], x.dims[2], x.dims[3]);
        let input = x.value.clone().leaky_traced().reshape_like(&shape);
        let out = norm_relu_pool(input, &weight, &bias, &mut running, statistics).unwrap();
        assert_golden(name, &out.as_vec(), &golden["out"]);
        assert_golden(name, &elements(&running.mean), &golden["mean_after"]);
        assert_golden(name, &elements(&running.variance), &golden["variance_after"]);
        let upstream = dev.tensor_from_vec(golden["gradient"].values.clone(), *out.shape());
        let gradients = (out * upstream).sum::<Rank0, _>().backward();
        assert_golden(name, &gradients.get(&x.value).as_vec(), &golden["x_gradient"]);
        assert_golden(name, &gradients.get(&weight.value).as_vec(), &golden["weight_gradient"]);
        assert_golden(name, &gradients.get(&bias.value).as_vec(), &golden["bias_gradient"]);
    }
}

/// The input gradient of one 2 x 2 window under the identity (running mean 0, variance 1 - epsilon).
fn window_gradient(window: [f64; 4]) -> Vec<f64> {
    let dev = Cpu::default();
    let one = |value: f64| Parameter::new(&dev, &[1], vec![value]).unwrap();
    let mut running = Running::from_values(&dev, vec![0.0], vec![1.0 - super::EPSILON]).unwrap();
    let x = dev.tensor_from_vec(window.to_vec(), (1, 2, 2, 1));
    let out =
        norm_relu_pool(x.leaky_trace(), &one(1.0), &one(0.0), &mut running, Statistics::Running).unwrap();
    out.sum::<Rank0, _>().backward().get(&x).as_vec()
}

#[test]
fn the_first_of_equal_maxima_has_the_gradient_and_zero_has_none() {
    assert_eq!(window_gradient([2.0, 2.0, 2.0, 2.0]), [1.0, 0.0, 0.0, 0.0]);
    assert_eq!(window_gradient([1.0, 2.0, 2.0, 2.0]), [0.0, 1.0, 0.0, 0.0]);
    assert_eq!(window_gradient([1.0, 0.5, 2.0, 2.0]), [0.0, 0.0, 1.0, 0.0]);
    assert_eq!(window_gradient([1.0, 2.0, 1.5, 3.0]), [0.0, 0.0, 0.0, 1.0]);
    assert_eq!(window_gradient([0.0, 0.0, 0.0, 0.0]), [0.0; 4]);
    assert_eq!(window_gradient([-1.0, 0.0, -2.0, -3.0]), [0.0; 4]);
}

#[test]
fn statistics_are_precise_far_from_zero() {
    let dev = Cpu::default();
    let x: Vec<f32> = numbers::<f32>("x", 64 * 64 * 40).iter().map(|x| 1000.0 + x).collect();
    let exact: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
    let mean = exact.iter().sum::<f64>() / exact.len() as f64;
    let variance = exact.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (exact.len() - 1) as f64;
    let one = Parameter::new(&dev, &[1], vec![1.0]).unwrap();
    let mut running = Running::new(&dev, 1).unwrap();
    let x = dev.tensor_from_vec(x, (1, 64, 64, 40));
    norm_relu_pool(x, &one, &one, &mut running, Statistics::Batch).unwrap();
    let found = f64::from(elements(&running.variance)[0]);
    assert!((found - (0.9 + 0.1 * variance)).abs() < 1e-6, "{found} {variance}");
    assert!((f64::from(elements(&running.mean)[0]) - 0.1 * mean).abs() < 1e-4);
}

#[test]
fn running_statistics_only_move_with_batch_statistics() {
    let dev = Cpu::default();
    let one = Parameter::new(&dev, &[1], vec![1.0]).unwrap();
    let x: Tensor<_, f32, _> = dev.tensor_from_vec(numbers("x", 16), (1, 2, 2, 4));
    let mut running = Running::new(&dev, 1).unwrap();
    norm_relu_pool(x.clone(), &one, &one, &mut running, Statistics::Running).unwrap();
    assert_eq!((elements(&running.mean), elements(&running.variance)), (vec![0.0], vec![1.0]));
    norm_relu_pool(x, &one, &one, &mut running, Statistics::Batch).unwrap();
    assert_ne!(elements(&running.mean), [0.0]);
}

#[test]
fn bits_depend_on_neither_instruction_set_nor_threads() {
    for case in [[6, 21, 22, 40], [5, 23, 21, 43]] {
        let leaves = leaves(case);
        assert_same_bits(|| run(&leaves, case, Statistics::Batch));
    }
}

#[test]
fn a_nan_reaches_the_output() {
    let dev = Cpu::default();
    let one = Parameter::new(&dev, &[1], vec![1.0]).unwrap();
    let mut running = Running::new(&dev, 1).unwrap();
    let mut x = numbers::<f32>("x", 16);
    x[5] = f32::NAN;
    let x = dev.tensor_from_vec(x, (1, 2, 2, 4));
    let out = norm_relu_pool(x, &one, &one, &mut running, Statistics::Batch).unwrap();
    assert!(out.as_vec().iter().any(|y| y.is_nan()));
}

#[test]
fn what_does_not_fit_is_an_error() {
    let dev = Cpu::default();
    let parameter = |count: usize| Parameter::new(&dev, &[count], vec![1.0f32; count]).unwrap();
    for (shape, weights) in [((2, 1, 4, 3), 2), ((2, 4, 1, 3), 2), ((2, 4, 4, 0), 2), ((2, 4, 4, 3), 3)] {
        let x: Tensor<_, f32, _> =
            dev.tensor_from_vec(vec![0.0; shape.0 * shape.1 * shape.2 * shape.3], shape);
        let mut running = Running::new(&dev, 2).unwrap();
        let error = norm_relu_pool(x, &parameter(weights), &parameter(2), &mut running, Statistics::Batch)
            .unwrap_err();
        assert!(matches!(error, OpError::Shape { .. }), "{error}");
    }
}
