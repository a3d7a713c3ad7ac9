//! Cosine modes, which show latent states.
//!
//! Invariant: modes of one length are orthogonal, so a projection on one sees nothing of the others.

/// `cos((i + 1/2) k pi / n)` for i in 0..n: the k-th cosine mode, orthogonal to all others below n.
pub(in crate::data) fn cosine(k: usize, n: usize) -> Vec<f64> {
    let step = std::f64::consts::PI * k as f64 / n as f64;
    (0..n).map(|i| libm::cos((i as f64 + 0.5) * step)).collect()
}

/// How far noise of at most 1 can move the normalised projection on a mode.
pub(in crate::data) fn noise_gain(mode: &[f64]) -> f64 {
    mode.iter().map(|w| w.abs()).sum::<f64>() / mode.iter().map(|w| w * w).sum::<f64>()
}
