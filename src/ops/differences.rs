//! What the ops' tests share: deterministic values, finite differences, golden vectors.

use std::sync::{Mutex, PoisonError};

use serde::de::DeserializeOwned;

use super::simd::{self, Isa, Real};
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

/// Asserts that the gradients that `evaluate` returns are those of the loss it returns, for every input: relative to
/// the largest gradient of that input, within 1e-6. An input whose gradient is `None` is not checked.
pub(crate) fn check(inputs: &[Vec<f64>], evaluate: impl Fn(&[Vec<f64>]) -> (f64, Vec<Option<Vec<f64>>>)) {
    let (_, gradients) = evaluate(inputs);
    assert_eq!(gradients.len(), inputs.len());
    let step = 1e-3;
    for (index, gradient) in gradients.iter().enumerate() {
        let Some(gradient) = gradient else { continue };
        assert_eq!(gradient.len(), inputs[index].len());
        let largest = gradient.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
        assert!(largest > 0.0, "input {index} has no gradient at all");
        // Large inputs are sampled.
        for place in (0..gradient.len()).step_by(gradient.len().div_ceil(40)) {
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

/// Reads `fixtures/golden/<name>.json`.
pub(crate) fn golden<T: DeserializeOwned>(name: &str) -> T {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/golden/{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Asserts that two tensors agree within 1e-5 of the largest expected value.
pub(crate) fn close<E: Real>(what: &str, found: &[E], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (Real::to_f64(*found) - expected).abs();
        assert!(error <= 1e-5 * largest, "{what}[{place}]: {found:?} but {expected}");
    }
}

/// The bits of values of any type.
pub(crate) fn bits<E: Real>(values: &[E]) -> Vec<u64> {
    values.iter().map(|&value| Real::to_f64(value).to_bits()).collect()
}

/// Asserts that a computation gives the same bits on 1, 2 and 3 threads and without AVX2, and returns them.
pub(crate) fn same_bits_everywhere<T: PartialEq + Send>(run: impl Fn() -> T + Sync) -> T {
    // The instruction set is chosen for the whole process: one test at a time, and the native one is put back. Tests
    // beside it are not disturbed, because they get the same bits.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let native = simd::isa();
    let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(&run);
    let one = on(1);
    assert!(one == on(2), "2 threads give other bits");
    assert!(one == on(3), "3 threads give other bits");
    simd::force(Isa::Portable);
    let portable = on(1);
    simd::force(native);
    assert!(one == portable, "the portable instruction set gives other bits");
    one
}
