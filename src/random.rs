//! The seed tree: every consumer of randomness derives its own stream from a root seed and a path.
//!
//! Invariant: a stream depends on (root seed, path) alone, never on call order, thread count, `--jobs` or resume.
//! The generator is ChaCha12; the mappings from bits to integers, floats, normals and permutations are ours and
//! fixed, because the distributions of libraries change between versions.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};

use crate::digest::Hasher;

/// A node of the seed tree.
#[derive(Clone, Debug)]
pub struct Seeds {
    root: u64,
    path: String,
}

impl Seeds {
    /// The root of a run's tree.
    pub fn root(seed: u64) -> Self {
        Seeds { root: seed, path: String::new() }
    }

    /// The child called `name`, for example `seeds.child("init").child("conv0")`.
    pub fn child(&self, name: impl std::fmt::Display) -> Self {
        Seeds { root: self.root, path: format!("{}/{name}", self.path) }
    }

    /// This node's stream, always from its beginning.
    pub fn stream(&self) -> Stream {
        Stream { bits: ChaCha12Rng::from_seed(self.key()), spare: None }
    }

    /// The key of this node's stream: ChaCha12 with this key, nonce 0, and blocks counted from 0.
    pub fn key(&self) -> [u8; 32] {
        let mut hasher = Hasher::new("i2m2 seed tree v1");
        hasher.field(&self.root.to_le_bytes()).field(self.path.as_bytes());
        *hasher.finish().bytes()
    }
}

/// A stream of random numbers.
pub struct Stream {
    bits: ChaCha12Rng,
    spare: Option<f64>,
}

impl Stream {
    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.bits.next_u64()
    }

    /// Uniform in `[0, 1)` with 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Uniform in `[low, high)`.
    pub fn uniform_in(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Uniform in `0..bound`, without bias (rejection). `bound` must not be zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "an empty range has no members");
        let limit = u64::MAX - u64::MAX % bound;
        loop {
            let bits = self.bits();
            if bits < limit {
                return bits % bound;
            }
        }
    }

    /// Standard normal (Box-Muller, portable logarithm and cosine).
    pub fn normal(&mut self) -> f64 {
        if let Some(value) = self.spare.take() {
            return value;
        }
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.uniform()));
        let angle = std::f64::consts::TAU * self.uniform();
        self.spare = Some(radius * libm::sin(angle));
        radius * libm::cos(angle)
    }

    /// `true` with the given probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// An index drawn in proportion to `weights`, which must be non-negative with a positive sum.
    pub fn pick(&mut self, weights: &[f64]) -> usize {
        let mut rest = self.uniform() * weights.iter().sum::<f64>();
        for (index, weight) in weights.iter().enumerate() {
            rest -= weight;
            if rest < 0.0 {
                return index;
            }
        }
        weights.iter().rposition(|&weight| weight > 0.0).unwrap_or(0)
    }

    /// A permutation of `0..len` (Fisher-Yates from the end).
    pub fn permutation(&mut self, len: usize) -> Vec<u32> {
        self.sample(len, len)
    }

    /// `count` different members of `0..len` in random order: the end of the permutation, at no more draws than it takes.
    pub fn sample(&mut self, len: usize, count: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..len as u32).collect();
        let rest = len.saturating_sub(count);
        for i in (rest.max(1)..len).rev() {
            order.swap(i, self.below(i as u64 + 1) as usize);
        }
        order.split_off(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_depend_on_root_and_path_alone() {
        let first = |seed: u64, path: &[&str]| {
            path.iter().fold(Seeds::root(seed), |node, name| node.child(name)).stream().bits()
        };
        assert_eq!(first(1, &["init", "conv0"]), first(1, &["init", "conv0"]));
        assert_ne!(first(1, &["init", "conv0"]), first(2, &["init", "conv0"]));
        assert_ne!(first(1, &["init", "conv0"]), first(1, &["init", "conv1"]));
    }

    /// The mappings are part of every stored result: a change here must be deliberate.
    #[test]
    fn the_mappings_are_pinned() {
        let mut stream = Seeds::root(0).child("pinned").stream();
        let drawn = format!(
            "{} {} {:.17} {:.17} {:?}",
            stream.bits(),
            stream.below(1000),
            stream.uniform(),
            stream.normal(),
            stream.permutation(8)
        );
        insta::assert_snapshot!(drawn, @"1871662760220385230 786 0.34548671971737799 0.30663215128117277 [3, 0, 6, 1, 2, 7, 4, 5]");
    }

    #[test]
    fn normals_have_the_right_moments() {
        let mut stream = Seeds::root(3).stream();
        let draws: Vec<f64> = (0..200_000).map(|_| stream.normal()).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.01, "{mean}");
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }

    #[test]
    fn a_sample_is_the_end_of_the_permutation() {
        let stream = || Seeds::root(5).stream();
        let whole = stream().permutation(20);
        for count in 0..=20 {
            assert_eq!(stream().sample(20, count), whole[20 - count..]);
        }
        assert_eq!(stream().sample(20, 21), whole);
        assert!(stream().sample(0, 0).is_empty());
    }

    #[test]
    fn permutations_hold_every_index_once() {
        let mut order = Seeds::root(4).stream().permutation(1000);
        assert_ne!(order[..5], [0, 1, 2, 3, 4]);
        order.sort_unstable();
        assert!(order.iter().enumerate().all(|(i, &v)| i == v as usize));
    }
}
