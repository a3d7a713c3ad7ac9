//! Finite differences, the definition, and bits.

use dfdx::prelude::*;

use super::{EPSILON, group_norm_relu};
use crate::ops::simd::Real;
use crate::ops::testing::{
    Pass, assert_golden, assert_gradients, assert_same_bits, golden_case, numbers, pass,
};
use crate::ops::{Backend, OpError};

/// Channels, height, width, batch; groups.
type Case = ([usize; 4], usize);

const CASES: [Case; 6] = [
    ([4, 3, 5, 2], 2),
    ([6, 2, 3, 1], 3),
    ([2, 4, 11, 1], 1),
    ([3, 1, 2, 9], 3),
    ([8, 5, 3, 3], 4),
    ([4, 2, 1, 16], 2),
];

fn leaves<E: Real>(([channels, height, width, batch], _): Case) -> Vec<Vec<E>> {
    vec![
        numbers("x", channels * height * width * batch),
        numbers("weight", channels),
        numbers("bias", channels),
    ]
}

fn run<E: Real>(leaves: &[Vec<E>], ([channels, height, width, batch], groups): Case) -> Pass<E>
where
    Cpu: Backend<E>,
{
    pass(leaves, |_, leaves| {
        let x = leaves[0].value.clone().leaky_traced().reshape_like(&(channels, height, width, batch));
        group_norm_relu(x, &leaves[1], &leaves[2], groups).unwrap()
    })
}

#[test]
fn gradients_agree_with_finite_differences() {
    for case in CASES {
        assert_gradients(&leaves(case), |leaves| run(leaves, case));
    }
}

/// The definition, product by product.
#[test]
fn the_output_is_the_definitions() {
    for case in CASES {
        let ([channels, height, width, batch], groups) = case;
        let (leaves, map) = (leaves::<f64>(case), height * width);
        let out = &run(&leaves, case)[0];
        let size = channels / groups * map;
        for group in 0..groups {
            for n in 0..batch {
                let place = |k: usize| (group * size + k) * batch + n;
                let mean = (0..size).map(|k| leaves[0][place(k)]).sum::<f64>() / size as f64;
                let variance =
                    (0..size).map(|k| (leaves[0][place(k)] - mean).powi(2)).sum::<f64>() / size as f64;
                for k in 0..size {
                    let channel = group * (channels / groups) + k / map;
                    let hat = (leaves[0][place(k)] - mean) / (variance + EPSILON).sqrt();
                    let expected = (hat * leaves[1][channel] + leaves[2][channel]).max(0.0);
                    assert!((out[place(k)] - expected).abs() < 1e-12, "{case:?}");
                }
            }
        }
    }
}

/// A large mean beside a small deviation: sums of squares alone would lose it.
#[test]
fn statistics_survive_a_large_mean() {
    let case: Case = ([2, 8, 40, 1], 1);
    let mut leaves = leaves::<f32>(case);
    leaves[1].fill(1.0);
    leaves[2].fill(10.0);
    let plain = run(&leaves, case).swap_remove(0);
    leaves[0].iter_mut().for_each(|x| *x += 1000.0);
    let moved = run(&leaves, case).swap_remove(0);
    // Moving the input rounds it by 6e-5; the deviation is about 0.58.
    assert!(plain.iter().zip(&moved).all(|(a, b)| (a - b).abs() < 1e-3));
}

#[test]
fn every_instruction_set_and_number_of_threads_gives_the_same_bits() {
    for case in [([8, 6, 5, 3], 2), ([64, 40, 40, 1], 32), ([32, 16, 16, 16], 4)] {
        let leaves = leaves::<f32>(case);
        assert_same_bits(|| run(&leaves, case));
    }
}

/// A rectifier that compares would make zeros of them, and a run that has diverged would go on.
#[test]
fn what_is_no_number_stays_none() {
    let case: Case = ([4, 3, 5, 2], 2);
    let mut leaves = leaves::<f32>(case);
    leaves[0][0] = f32::NAN;
    let out = run(&leaves, case).swap_remove(0);
    // Group 0 of the first image holds it; the other group and the other image do not.
    let (channel, batch) = (15 * 2, 2);
    for (place, value) in out.iter().enumerate() {
        let tainted = place / channel < 2 && place % batch == 0;
        assert_eq!(value.is_nan(), tainted, "{place}");
    }
}

#[test]
fn agrees_with_pytorch() {
    let golden = golden_case("group_norm");
    let [channels, height, width, batch] = golden["x"].dims[..] else { panic!("four dimensions") };
    let dev = Cpu::default();
    let leaf = |name: &str| {
        let values = golden[name].values.clone();
        crate::ops::Parameter::new(&dev, &[values.len()], values).unwrap()
    };
    let (weight, bias) = (leaf("weight"), leaf("bias"));
    let x = dev.tensor_from_vec(golden["x"].values.clone(), (channels, height, width, batch));
    let out = group_norm_relu(x.leaky_trace(), &weight, &bias, 4).unwrap();
    assert_golden("out", &out.as_vec(), &golden["out"]);
    let gradient = dev.tensor_from_vec(golden["gradient"].values.clone(), *out.shape());
    let gradients = (out * gradient).sum::<Rank0, _>().backward();
    assert_golden("x", &gradients.get(&x).as_vec(), &golden["x_gradient"]);
    assert_golden("weight", &gradients.get(&weight.value).as_vec(), &golden["weight_gradient"]);
    assert_golden("bias", &gradients.get(&bias.value).as_vec(), &golden["bias_gradient"]);
}

#[test]
fn what_does_not_fit_is_an_error() {
    let fails = |groups: usize, weights: usize| {
        let dev = Cpu::default();
        let x: crate::ops::Maps<f32, Cpu> = dev.zeros_like(&(4, 2, 2, 1));
        let parameter = |len: usize| crate::ops::Parameter::new(&dev, &[len], vec![1.0f32; len]).unwrap();
        group_norm_relu(x, &parameter(weights), &parameter(4), groups).unwrap_err()
    };
    for (groups, weights) in [(0, 4), (3, 4), (2, 5)] {
        assert!(matches!(fails(groups, weights), OpError::Shape { .. }));
    }
}
