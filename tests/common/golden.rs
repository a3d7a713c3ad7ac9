//! What the golden tests share with the scripts that made their files: the generator of numbers, and how vectors are stored.

use std::collections::BTreeMap;

use safetensors::SafeTensors;

/// Numbers in [0, 1) that depend on the name alone.
pub(crate) fn uniforms(name: &str, count: usize) -> Vec<f64> {
    let mut state =
        name.bytes().fold(1u64, |state, byte| state.wrapping_mul(31).wrapping_add(u64::from(byte)));
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
        })
        .collect()
}

/// Numbers in [offset - scale, offset + scale) that depend on the name alone.
pub(crate) fn signed(name: &str, count: usize, scale: f64, offset: f64) -> Vec<f64> {
    uniforms(name, count).into_iter().map(|u| offset + scale * (2.0 * u - 1.0)).collect()
}

/// The arrays of `fixtures/golden/<file>.safetensors`, which are f64.
pub(crate) fn golden(file: &str) -> BTreeMap<String, Vec<f64>> {
    let path = format!("{}/fixtures/golden/{file}.safetensors", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(path).unwrap();
    let values = |view: &safetensors::tensor::TensorView<'_>| {
        view.data().as_chunks::<8>().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect()
    };
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    tensors.iter().map(|(name, view)| (name.to_owned(), values(&view))).collect()
}
