//! Finite differences, PyTorch's golden vectors, and bits.

use dfdx::prelude::*;

use super::{InputGradient, conv2d};
use crate::ops::simd::Real;
use crate::ops::testing::{
    Pass, assert_golden, assert_gradients, assert_same_bits, golden_case, numbers, pass,
};
use crate::ops::{Backend, OpError, Parameter};

/// Output channels, input channels, kernel, stride; height, width, batch.
type Case = ([usize; 4], [usize; 3]);

fn leaves<E: Real>(([outputs, inputs, kernel, _], [height, width, batch]): Case) -> Vec<Vec<E>> {
    vec![numbers("x", inputs * height * width * batch), numbers("weight", outputs * inputs * kernel * kernel)]
}

fn run<E: Real>(
    leaves: &[Vec<E>],
    ([outputs, inputs, kernel, stride], [height, width, batch]): Case,
) -> Pass<E>
where
    Cpu: Backend<E>,
{
    pass(leaves, |_, leaves| {
        let x = leaves[0].value.clone().leaky_traced().reshape_like(&(inputs, height, width, batch));
        let weight = Parameter { dims: vec![outputs, inputs, kernel, kernel], ..leaves[1].clone() };
        conv2d(x, &weight, stride, InputGradient::Needed).unwrap()
    })
}

#[test]
fn gradients_agree_with_finite_differences() {
    let cases: [Case; 11] = [
        ([3, 1, 5, 1], [7, 6, 10]),
        ([3, 1, 5, 1], [2, 3, 1]),
        ([6, 3, 3, 1], [5, 5, 10]),
        ([5, 6, 3, 1], [3, 3, 1]),
        ([7, 4, 3, 1], [4, 3, 3]),
        ([2, 5, 5, 1], [6, 7, 2]),
        ([4, 2, 3, 1], [1, 1, 9]),
        ([1, 8, 1, 1], [3, 2, 4]),
        ([3, 2, 3, 2], [5, 6, 2]),
        ([2, 3, 1, 2], [4, 5, 1]),
        ([2, 2, 5, 3], [7, 4, 3]),
    ];
    for case in cases {
        assert_gradients(&leaves(case), |leaves| run(leaves, case));
    }
}

#[test]
fn agrees_with_a_plain_loop_where_register_blocks_are_full() {
    let case @ ([outputs, inputs, kernel, _], [height, width, batch]) = ([8, 20, 3, 1], [9, 11, 43]);
    let leaves = leaves::<f64>(case);
    let (x, weight, pass) = (&leaves[0], &leaves[1], run(&leaves, case));
    let gradient = numbers::<f64>("gradient", pass[0].len());
    let mut expected = [vec![0.0; pass[0].len()], vec![0.0; x.len()], vec![0.0; weight.len()]];
    let at = |channel: usize, y: usize, x: usize| ((channel * height + y) * width + x) * batch;
    for o in 0..outputs {
        for i in 0..inputs {
            for (row, column) in (0..kernel).flat_map(|row| (0..kernel).map(move |column| (row, column))) {
                let tap = ((o * inputs + i) * kernel + row) * kernel + column;
                for (y, z) in (0..height).flat_map(|y| (0..width).map(move |z| (y, z))) {
                    let (from_y, from_z) = ((y + row).wrapping_sub(1), (z + column).wrapping_sub(1));
                    if from_y >= height || from_z >= width {
                        continue;
                    }
                    for n in 0..batch {
                        let (to, from) = (at(o, y, z) + n, at(i, from_y, from_z) + n);
                        expected[0][to] += weight[tap] * x[from];
                        expected[1][from] += weight[tap] * gradient[to];
                        expected[2][tap] += x[from] * gradient[to];
                    }
                }
            }
        }
    }
    for (found, expected) in pass.iter().zip(&expected) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-10, "{found} against {expected}");
        }
    }
}

#[test]
fn agrees_with_pytorch() {
    for name in ["conv2d_5x5", "conv2d_3x3"] {
        let golden = golden_case(name);
        let (x, weight) = (&golden["x"], &golden["weight"]);
        let case = ([weight.dims[0], weight.dims[1], weight.dims[2], 1], [x.dims[1], x.dims[2], x.dims[3]]);
        let dev = Cpu::default();
        let found = run(&[x.values.clone(), weight.values.clone()], case);
        assert_golden(name, &found[0], &golden["out"]);
        let input = Parameter::new(&dev, &x.dims, x.values.clone()).unwrap();
        let weight = Parameter::new(&dev, &weight.dims, weight.values.clone()).unwrap();
        let shape = (x.dims[0], x.dims[1], x.dims[2], x.dims[3]);
        let out = conv2d(
            input.value.clone().leaky_traced().reshape_like(&shape),
            &weight,
            1,
            InputGradient::Needed,
        )
        .unwrap();
        let upstream = dev.tensor_from_vec(golden["gradient"].values.clone(), *out.shape());
        let gradients = (out * upstream).sum::<Rank0, _>().backward();
        assert_golden(name, &gradients.get(&input.value).as_vec(), &golden["x_gradient"]);
        assert_golden(name, &gradients.get(&weight.value).as_vec(), &golden["weight_gradient"]);
    }
}

#[test]
fn bits_depend_on_neither_instruction_set_nor_threads() {
    let cases: [Case; 3] =
        [([6, 1, 5, 1], [13, 12, 40]), ([12, 6, 3, 1], [8, 9, 40]), ([24, 12, 3, 1], [3, 3, 43])];
    for case in cases {
        let leaves = leaves(case);
        assert_same_bits(|| run(&leaves, case));
    }
}

#[test]
fn what_needs_no_gradient_gets_none() {
    let dev = Cpu::default();
    let x = dev.tensor_from_vec(numbers::<f32>("x", 3 * 16 * 2), (3, 4, 4, 2));
    let weight = Parameter::new(&dev, &[2, 3, 3, 3], numbers("weight", 54)).unwrap().frozen();
    let out = conv2d(x.leaky_trace(), &weight, 1, InputGradient::Unneeded).unwrap();
    let mut gradients = out.sum::<Rank0, _>().backward();
    assert!(gradients.get_or_alloc_mut(&x).unwrap().iter().all(|&g| g == 0.0));
    assert!(gradients.get_or_alloc_mut(&weight.value).unwrap().iter().all(|&g| g == 0.0));
}

#[test]
fn gradients_are_added_to() {
    let dev = Cpu::default();
    let x = dev.tensor_from_vec(numbers::<f32>("x", 16 * 2), (1, 4, 4, 2));
    let weight = Parameter::new(&dev, &[1, 1, 3, 3], numbers("weight", 9)).unwrap();
    let once =
        conv2d(x.leaky_trace(), &weight, 1, InputGradient::Needed).unwrap().sum::<Rank0, _>().backward();
    let first = conv2d(x.leaky_trace(), &weight, 1, InputGradient::Needed).unwrap();
    let second = conv2d(x.leaky_trace(), &weight, 1, InputGradient::Needed).unwrap();
    let twice = (first + second).sum::<Rank0, _>().backward();
    for tensor in [once.get(&x).as_vec(), once.get(&weight.value).as_vec()]
        .iter()
        .zip([twice.get(&x).as_vec(), twice.get(&weight.value).as_vec()])
    {
        for (once, twice) in tensor.0.iter().zip(tensor.1) {
            assert!((2.0 * once - twice).abs() < 1e-5, "{once} {twice}");
        }
    }
}

#[test]
fn weights_that_do_not_fit_are_an_error() {
    let dev = Cpu::default();
    for dims in [vec![2, 2, 3, 3], vec![2, 3, 2, 2], vec![2, 3, 3, 5], vec![2, 3]] {
        let x: Tensor<_, f32, _> = dev.zeros_like(&(3, 4, 4, 2));
        let weight = Parameter::new(&dev, &dims, vec![0.0; dims.iter().product()]).unwrap();
        let error = conv2d(x, &weight, 1, InputGradient::Needed).unwrap_err();
        assert!(matches!(error, OpError::Shape { .. }), "{error}");
    }
}
