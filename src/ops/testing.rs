//! What the tests of all ops share: numbers, finite differences, golden vectors, and runs on every instruction set and
//! number of threads.

use std::collections::BTreeMap;
use std::sync::Mutex;

use dfdx::prelude::*;

use crate::device;
use crate::ops::simd::{Isa, Real, force};
use crate::ops::{Backend, Parameter};
use crate::random::Seeds;

/// Numbers in [-1, 1) that depend on the name alone.
pub(crate) fn numbers<E: Real>(name: &str, count: usize) -> Vec<E> {
    let mut stream = Seeds::root(1).child(name).stream();
    (0..count).map(|_| E::of(stream.uniform_in(-1.0, 1.0))).collect()
}

/// What one pass through an op gave: the output, then one gradient per input.
pub(crate) type Pass<E> = Vec<Vec<E>>;

/// Runs `op` on leaves of the given values, with the gradient `numbers("gradient")` at its output.
pub(crate) fn pass<E, S>(
    leaves: &[Vec<E>],
    op: impl FnOnce(&Cpu, &[Parameter<E, Cpu>]) -> Tensor<S, E, Cpu, OwnedTape<E, Cpu>>,
) -> Pass<E>
where
    E: Real,
    S: dfdx::shapes::Shape,
    Cpu: Backend<E>,
{
    let dev = Cpu::default();
    let leaves: Vec<_> =
        leaves.iter().map(|v| Parameter::new(&dev, &[v.len()], v.clone()).unwrap()).collect();
    let out = op(&dev, &leaves);
    let values = out.as_vec();
    let shape = *out.shape();
    let coefficients = dev.tensor_from_vec(numbers::<E>("gradient", values.len()), shape);
    let gradients = (out * coefficients).sum::<Rank0, _>().backward();
    let mut result = vec![values];
    result.extend(leaves.iter().map(|leaf| gradients.get(&leaf.value).as_vec()));
    result
}

/// Compares every gradient of [`pass`] with central differences, at up to 60 places each: relative error below 1e-6.
pub(crate) fn assert_gradients(leaves: &[Vec<f64>], run: impl Fn(&[Vec<f64>]) -> Pass<f64>) {
    let analytic = run(leaves);
    let coefficients = numbers::<f64>("gradient", analytic[0].len());
    let loss =
        |leaves: &[Vec<f64>]| -> f64 { run(leaves)[0].iter().zip(&coefficients).map(|(y, c)| y * c).sum() };
    for (i, leaf) in leaves.iter().enumerate() {
        let largest = analytic[i + 1].iter().fold(1e-3, |max: f64, g| max.max(g.abs()));
        for at in (0..leaf.len()).step_by(leaf.len().div_ceil(60)) {
            let step = 1e-5;
            let moved = |by: f64| {
                let mut leaves = leaves.to_vec();
                leaves[i][at] += by;
                loss(&leaves)
            };
            let numeric = (moved(step) - moved(-step)) / (2.0 * step);
            let error = (numeric - analytic[i + 1][at]).abs() / largest;
            assert!(error < 1e-6, "input {i}, element {at}: {numeric} against {}", analytic[i + 1][at]);
        }
    }
}

/// Asserts that a pass has the same bits on every instruction set and for 1, 2 and 3 threads.
pub(crate) fn assert_same_bits(run: impl Fn() -> Pass<f32> + Sync) {
    static ISA: Mutex<()> = Mutex::new(());
    let _guard = ISA.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut first = None;
    for isa in [Isa::Portable, Isa::Avx2] {
        force(isa);
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let bits: Vec<Vec<u32>> =
                pool.install(&run).iter().map(|v| v.iter().map(|v| v.to_bits()).collect()).collect();
            assert!(
                first.get_or_insert_with(|| bits.clone()) == &bits,
                "{isa:?} with {threads} threads differs"
            );
        }
    }
    force(Isa::Avx2);
}

/// An array of a golden file.
#[derive(serde::Deserialize)]
pub(crate) struct Array {
    /// Dimensions, batch innermost.
    pub(crate) dims: Vec<usize>,
    /// Values, row-major.
    pub(crate) values: Vec<f32>,
}

/// The golden vectors of one case of `fixtures/golden/ops.json`, made by `scripts/golden_ops.py` with PyTorch.
pub(crate) fn golden(case: &str) -> BTreeMap<String, Array> {
    let text = include_str!("../../fixtures/golden/ops.json");
    let mut cases: BTreeMap<String, BTreeMap<String, Array>> = serde_json::from_str(text).unwrap();
    cases.remove(case).unwrap()
}

/// Asserts a distance below 1e-5 of the largest expected element.
pub(crate) fn assert_golden(what: &str, found: &[f32], expected: &Array) {
    assert_eq!(found.len(), expected.values.len(), "{what}");
    let largest = expected.values.iter().fold(1e-6, |max: f32, v| max.max(v.abs()));
    for (i, (found, expected)) in found.iter().zip(&expected.values).enumerate() {
        assert!(
            (found - expected).abs() <= 1e-5 * largest,
            "{what}, element {i}: {found} against {expected}"
        );
    }
}

/// The values of a tensor on the CPU.
pub(crate) fn values<S: dfdx::shapes::Shape, E: Real>(tensor: &Tensor<S, E, Cpu>) -> Vec<E> {
    device::read(tensor).to_vec()
}
