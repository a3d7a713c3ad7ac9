//! What the tests of all ops share: numbers, finite differences, golden vectors, and the bits on every instruction set
//! and number of threads.

use std::collections::BTreeMap;

use dfdx::prelude::*;
use serde::de::DeserializeOwned;

use super::simd::{self, Real};
use crate::device;
use crate::ops::{Backend, Parameter};
use crate::random::Seeds;

/// Deterministic values in [-scale, scale).
pub(crate) fn values(name: &str, count: usize, scale: f64) -> Vec<f64> {
    let mut stream = Seeds::root(7).child(name).stream();
    (0..count).map(|_| stream.uniform_in(-scale, scale)).collect()
}

/// The values in another type.
pub(crate) fn of<E: Real>(values: &[f64]) -> Vec<E> {
    values.iter().map(|&value| E::of(value)).collect()
}

/// Deterministic values in [-1, 1) of any type.
pub(crate) fn numbers<E: Real>(name: &str, count: usize) -> Vec<E> {
    of(&values(name, count, 1.0))
}

/// The values of a tensor on the CPU.
pub(crate) fn elements<S: dfdx::shapes::Shape, E: Real>(tensor: &Tensor<S, E, Cpu>) -> Vec<E> {
    device::read(tensor).to_vec()
}

/// Asserts that the gradients that `evaluate` returns are those of the loss it returns, for every input: relative to
/// the largest gradient of that input, within 1e-6. An input whose gradient is `None` is not checked.
pub(crate) fn check(inputs: &[Vec<f64>], evaluate: impl Fn(&[Vec<f64>]) -> (f64, Vec<Option<Vec<f64>>>)) {
    check_with(1e-3, inputs, evaluate);
}

/// [`check`] with differences of another width: a kink (of a rectifier, of a maximum) must not lie within.
fn check_with(
    step: f64,
    inputs: &[Vec<f64>],
    evaluate: impl Fn(&[Vec<f64>]) -> (f64, Vec<Option<Vec<f64>>>),
) {
    let (_, gradients) = evaluate(inputs);
    assert_eq!(gradients.len(), inputs.len());
    for (index, gradient) in gradients.iter().enumerate() {
        let Some(gradient) = gradient else { continue };
        assert_eq!(gradient.len(), inputs[index].len());
        let largest = gradient.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
        assert!(largest > 0.0, "input {index} has no gradient at all");
        // Large inputs are sampled.
        for place in (0..gradient.len()).step_by(gradient.len().div_ceil(60)) {
            let loss = |shift: f64| {
                let mut shifted = inputs.to_vec();
                shifted[index][place] += shift * step;
                evaluate(&shifted).0
            };
            // Five points: the error is of fourth order.
            let slope = (loss(-2.0) - loss(2.0) + 8.0 * (loss(1.0) - loss(-1.0))) / (12.0 * step);
            let error = (slope - gradient[place]).abs() / largest;
            assert!(
                error < 1e-6,
                "input {index}[{place}]: {} but slope {slope} ({error:e})",
                gradient[place]
            );
        }
    }
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

/// Compares every gradient of [`pass`] with finite differences, as [`check`] does.
pub(crate) fn assert_gradients(leaves: &[Vec<f64>], run: impl Fn(&[Vec<f64>]) -> Pass<f64>) {
    check_with(1e-5, leaves, |leaves| {
        let mut pass = run(leaves);
        let gradients = pass.split_off(1).into_iter().map(Some).collect();
        let coefficients = numbers::<f64>("gradient", pass[0].len());
        (pass[0].iter().zip(&coefficients).map(|(y, c)| y * c).sum(), gradients)
    });
}

/// Reads `fixtures/golden/<name>.json`.
pub(crate) fn golden<T: DeserializeOwned>(name: &str) -> T {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/golden/{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// An array of `fixtures/golden/ops.json`.
#[derive(serde::Deserialize)]
pub(crate) struct Array {
    /// Dimensions, batch innermost.
    pub(crate) dims: Vec<usize>,
    /// Values, row-major.
    pub(crate) values: Vec<f32>,
}

/// The golden vectors of one case of `fixtures/golden/ops.json`, made by `scripts/golden_ops.py` with PyTorch.
pub(crate) fn golden_case(case: &str) -> BTreeMap<String, Array> {
    let mut cases: BTreeMap<String, BTreeMap<String, Array>> = golden("ops");
    cases.remove(case).unwrap()
}

/// Asserts that found values agree with an array of a golden case, as [`close`] does.
pub(crate) fn assert_golden(what: &str, found: &[f32], expected: &Array) {
    close(what, found, &expected.values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>());
}

/// Asserts that two tensors agree within 1e-5 of the largest expected value.
pub(crate) fn close<E: Real>(what: &str, found: &[E], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1e-6, |most: f64, value| most.max(value.abs()));
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (Real::to_f64(*found) - expected).abs();
        assert!(error <= 1e-5 * largest, "{what}[{place}]: {found:?} but {expected}");
    }
}

/// The bits of values of any type.
pub(crate) fn bits<E: Real>(values: &[E]) -> Vec<u64> {
    values.iter().map(|&value| Real::to_f64(value).to_bits()).collect()
}

/// Asserts that a computation gives the same bits on 1, 2 and 3 threads with every instruction set that is here, and
/// returns them.
pub(crate) fn same_bits_everywhere<T: PartialEq + Send>(run: impl Fn() -> T + Sync) -> T {
    let mut first = None;
    simd::on_every_isa(|isa| {
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let found = pool.install(&run);
            match &first {
                None => first = Some(found),
                Some(first) => assert!(*first == found, "{isa:?} with {threads} threads gives other bits"),
            }
        }
    });
    first.unwrap()
}

/// Asserts that a pass has the same bits on every instruction set and for 1, 2 and 3 threads.
pub(crate) fn assert_same_bits(run: impl Fn() -> Pass<f32> + Sync) {
    same_bits_everywhere(|| run().iter().map(|values| bits(values)).collect::<Vec<_>>());
}
