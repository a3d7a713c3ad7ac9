//! Finite differences, PyTorch's golden vectors, and bits.

use dfdx::prelude::*;

use super::cpu::is_large;
use super::planes::Planes;
use super::{InputGradient, Shape, conv2d, direct, outer, packed};
use crate::ops::kernel::Start;
use crate::ops::parallel::Disjoint;
use crate::ops::simd::Real;
use crate::ops::testing::{
    Pass, assert_golden, assert_gradients, assert_same_bits, bits, golden_case, numbers, pass,
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

/// Output, input gradient and weight gradient, product by product.
fn reference<E: Real>(shape: Shape, [x, weight, gradient]: &[Vec<E>; 3]) -> Pass<f64> {
    let Shape { inputs, outputs, kernel, stride, height, width, batch } = shape;
    let (out_height, out_width, padding) = (shape.out_height(), shape.out_width(), (kernel - 1) / 2);
    let mut pass = vec![vec![0.0; gradient.len()], vec![0.0; x.len()], vec![0.0; weight.len()]];
    let [x, weight, gradient] =
        [x, weight, gradient].map(|v| v.iter().map(|&v| Real::to_f64(v)).collect::<Vec<_>>());
    for (o, i) in (0..outputs).flat_map(|o| (0..inputs).map(move |i| (o, i))) {
        for (row, column) in (0..kernel).flat_map(|row| (0..kernel).map(move |column| (row, column))) {
            let tap = ((o * inputs + i) * kernel + row) * kernel + column;
            for (y, z) in (0..out_height).flat_map(|y| (0..out_width).map(move |z| (y, z))) {
                let from_y = (y * stride + row).wrapping_sub(padding);
                let from_z = (z * stride + column).wrapping_sub(padding);
                if from_y >= height || from_z >= width {
                    continue;
                }
                for n in 0..batch {
                    let to = ((o * out_height + y) * out_width + z) * batch + n;
                    let from = ((i * height + from_y) * width + from_z) * batch + n;
                    pass[0][to] += weight[tap] * x[from];
                    pass[1][from] += weight[tap] * gradient[to];
                    pass[2][tap] += x[from] * gradient[to];
                }
            }
        }
    }
    pass
}

fn operands<E: Real>(shape: Shape) -> [Vec<E>; 3] {
    let Shape { inputs, outputs, kernel, height, width, batch, .. } = shape;
    [
        numbers("x", inputs * height * width * batch),
        numbers("weight", outputs * inputs * kernel * kernel),
        numbers("gradient", outputs * shape.out_height() * shape.out_width() * batch),
    ]
}

/// What the kernels for large convolutions give, whatever the size.
fn large<E: Real>(shape: Shape, [x, weight, gradient]: &[Vec<E>; 3]) -> Pass<E> {
    let mut pass =
        vec![vec![E::of(7.0); gradient.len()], vec![E::ZERO; x.len()], vec![E::ZERO; weight.len()]];
    packed::convolve(shape, weight, x, Disjoint::new(&mut pass[0]));
    packed::input_gradient(shape, weight, gradient, &mut pass[1]);
    outer::weight_gradient(shape, x, gradient, &mut pass[2]);
    pass
}

fn assert_within<E: Real>(shape: Shape, limit: f64, found: &Pass<E>, expected: &Pass<f64>) {
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.len(), expected.len(), "{shape:?}");
        let largest = expected.iter().fold(1.0, |most: f64, value| most.max(value.abs()));
        for (found, expected) in found.iter().zip(expected) {
            let error = (Real::to_f64(*found) - expected).abs() / largest;
            assert!(error < limit, "{shape:?}: {found:?} against {expected}");
        }
    }
}

/// Every kernel and stride, on sides of every kind and on batches that fill vectors and that do not.
fn odd_shapes() -> Vec<Shape> {
    let sides = [(1, 1), (2, 3), (5, 4), (7, 9), (8, 33)];
    let channels = [(1, 1, 1), (2, 7, 3), (3, 4, 1), (5, 13, 16), (4, 8, 9)];
    let mut shapes = Vec::new();
    for (kernel, stride) in
        [1, 3, 5, 7].into_iter().flat_map(|kernel| (1..4).map(move |stride| (kernel, stride)))
    {
        for (&(height, width), &(inputs, outputs, batch)) in sides.iter().zip(&channels) {
            shapes.push(Shape { inputs, outputs, kernel, stride, height, width, batch });
        }
    }
    // Several blocks of terms, of outputs, of pixels and of rows.
    shapes.push(Shape { inputs: 37, outputs: 139, kernel: 3, stride: 1, height: 6, width: 43, batch: 1 });
    shapes.push(Shape { inputs: 34, outputs: 18, kernel: 3, stride: 2, height: 9, width: 23, batch: 40 });
    shapes.push(Shape { inputs: 1, outputs: 20, kernel: 3, stride: 1, height: 3, width: 700, batch: 1 });
    shapes.push(Shape { inputs: 300, outputs: 5, kernel: 1, stride: 2, height: 5, width: 7, batch: 2 });
    shapes
}

#[test]
fn large_convolutions_agree_with_a_plain_loop() {
    for shape in odd_shapes() {
        let operands = operands::<f64>(shape);
        assert_within(shape, 1e-12, &large(shape, &operands), &reference(shape, &operands));
        let operands = self::operands::<f32>(shape);
        assert_within(shape, 1e-5, &large(shape, &operands), &reference(shape, &operands));
    }
}

#[test]
fn images_of_several_slabs_agree_with_a_plain_loop() {
    for stride in [1, 2] {
        let shape = Shape { inputs: 3, outputs: 6, kernel: 3, stride, height: 45, width: 900, batch: 40 };
        let operands = operands::<f64>(shape);
        assert!(Planes::forward(shape).slabs(1).count() > 1 && Planes::backward(shape).slabs(1).count() > 1);
        assert_within(shape, 1e-12, &large(shape, &operands), &reference(shape, &operands));
    }
}

#[test]
fn bits_of_large_convolutions_depend_on_neither_instruction_set_nor_threads() {
    for shape in odd_shapes() {
        let operands = operands::<f32>(shape);
        assert_same_bits(|| large(shape, &operands));
    }
}

#[test]
fn stages_of_lenet_are_small_and_those_of_resnet_are_large() {
    for (inputs, outputs, kernel, side) in
        [(1, 3, 5, 28), (1, 6, 5, 112), (6, 12, 3, 56), (12, 24, 3, 28), (48, 96, 3, 7), (96, 192, 3, 3)]
    {
        let shape = Shape { inputs, outputs, kernel, stride: 1, height: side, width: side, batch: 40 };
        assert!(!is_large(shape), "{shape:?}: other bits than those of stored runs");
    }
    for (inputs, outputs, stride, side) in [(1, 64, 1, 320), (64, 128, 2, 320), (512, 512, 1, 40)] {
        assert!(is_large(Shape { inputs, outputs, kernel: 3, stride, height: side, width: side, batch: 1 }));
    }
}

#[test]
fn both_ways_forward_are_the_same_chain() {
    let shape = Shape { inputs: 40, outputs: 12, kernel: 3, stride: 1, height: 6, width: 5, batch: 10 };
    let operands = operands::<f32>(shape);
    let mut direct = vec![0.0; operands[2].len()];
    direct::convolve(shape, &operands[1], &operands[0], Start::Zero, Disjoint::new(&mut direct));
    assert_eq!(bits(&direct), bits(&large(shape, &operands)[0]));
}

#[test]
fn agrees_with_a_plain_loop_where_register_blocks_are_full() {
    let case @ ([outputs, inputs, kernel, stride], [height, width, batch]) = ([8, 20, 3, 1], [9, 11, 43]);
    let shape = Shape { inputs, outputs, kernel, stride, height, width, batch };
    assert_within(shape, 1e-12, &run(&leaves::<f64>(case), case), &reference(shape, &operands::<f64>(shape)));
}

#[test]
fn a_stride_of_nothing_is_an_error() {
    let dev = Cpu::default();
    let x: Tensor<_, f32, _> = dev.zeros_like(&(1, 4, 4, 2));
    let weight = Parameter::new(&dev, &[1, 1, 3, 3], vec![0.0; 9]).unwrap();
    let error = conv2d(x, &weight, 0, InputGradient::Needed).unwrap_err();
    assert!(matches!(error, OpError::Shape { .. }), "{error}");
}

#[test]
fn agrees_with_pytorch() {
    let cases =
        [("conv2d_5x5", 1), ("conv2d_3x3", 1), ("conv2d_3x3_stride_2", 2), ("conv2d_1x1_stride_2", 2)];
    for (name, stride) in cases {
        let golden = golden_case(name);
        let (x, weight) = (&golden["x"], &golden["weight"]);
        let case =
            ([weight.dims[0], weight.dims[1], weight.dims[2], stride], [x.dims[1], x.dims[2], x.dims[3]]);
        let dev = Cpu::default();
        let found = run(&[x.values.clone(), weight.values.clone()], case);
        assert_golden(name, &found[0], &golden["out"]);
        let input = Parameter::new(&dev, &x.dims, x.values.clone()).unwrap();
        let weight = Parameter::new(&dev, &weight.dims, weight.values.clone()).unwrap();
        let shape = (x.dims[0], x.dims[1], x.dims[2], x.dims[3]);
        let out = conv2d(
            input.value.clone().leaky_traced().reshape_like(&shape),
            &weight,
            stride,
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
