//! Finite differences, the definition, and bits.

use dfdx::prelude::*;

use super::{EPSILON, group_norm_relu};
use crate::ops::simd::{Real, on_every_isa};
use crate::ops::testing::{Pass, assert_gradients, numbers, pass};
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
        let bits = |pass: Pass<f32>| pass.into_iter().flatten().map(f32::to_bits).collect::<Vec<_>>();
        let mut all = Vec::new();
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| on_every_isa(|_| all.push(bits(run(&leaves, case)))));
        }
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{case:?}");
    }
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
