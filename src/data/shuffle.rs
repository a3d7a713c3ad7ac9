//! Orders that other programs' shuffles give: CPython's `random.shuffle`, which fixes the split of MIMIC-III, and NumPy's
//! `RandomState.permutation`, which scikit-learn's `train_test_split` takes and fixes that of fastMRI.
//!
//! Invariant: the orders are theirs, number for number. This generator is for that alone: everything that is ours draws
//! from [`Seeds`](crate::random::Seeds).

/// Words of state of MT19937.
const N: usize = 624;
const M: usize = 397;

/// MT19937, seeded by `init_by_array` as CPython seeds from an integer.
struct MersenneTwister {
    state: [u32; N],
    next: usize,
}

impl MersenneTwister {
    /// As `random.seed(seed)` for an integer below 2^32.
    fn seeded(seed: u32) -> Self {
        // init_by_array with the one-word key `[seed]`.
        let mut state = Self::initial(19_650_218);
        let mut i = 1;
        for _ in 0..N {
            state[i] = (state[i] ^ Self::scrambled(state[i - 1], 1_664_525)).wrapping_add(seed);
            Self::advance(&mut i, &mut state);
        }
        for _ in 0..N - 1 {
            state[i] = (state[i] ^ Self::scrambled(state[i - 1], 1_566_083_941)).wrapping_sub(i as u32);
            Self::advance(&mut i, &mut state);
        }
        state[0] = 0x8000_0000;
        MersenneTwister { state, next: N }
    }

    fn initial(seed: u32) -> [u32; N] {
        let mut state = [seed; N];
        for i in 1..N {
            state[i] = Self::scrambled(state[i - 1], 1_812_433_253).wrapping_add(i as u32);
        }
        state
    }

    fn scrambled(word: u32, factor: u32) -> u32 {
        (word ^ (word >> 30)).wrapping_mul(factor)
    }

    fn advance(i: &mut usize, state: &mut [u32; N]) {
        *i += 1;
        if *i == N {
            state[0] = state[N - 1];
            *i = 1;
        }
    }

    fn word(&mut self) -> u32 {
        if self.next == N {
            self.regenerate();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn regenerate(&mut self) {
        for i in 0..N {
            let joined = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
            let twist = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + M) % N] ^ (joined >> 1) ^ twist;
        }
        self.next = 0;
    }

    /// `_randbelow`: as many high bits as `bound` has, drawn again while they are not below it. `bound` is not zero.
    fn below(&mut self, bound: u32) -> u32 {
        let unused = bound.leading_zeros();
        loop {
            let bits = self.word() >> unused;
            if bits < bound {
                return bits;
            }
        }
    }
}

/// The order that `random.seed(seed); random.shuffle(...)` gives a list of `len` elements: position p holds what
/// stood at `order[p]`.
pub(super) fn python_shuffle(seed: u32, len: u32) -> Vec<u32> {
    let mut random = MersenneTwister::seeded(seed);
    let mut order: Vec<u32> = (0..len).collect();
    for i in (1..len).rev() {
        order.swap(i as usize, random.below(i + 1) as usize);
    }
    order
}

/// The order that `numpy.random.RandomState(seed).permutation(len)` gives.
pub(super) fn numpy_permutation(seed: u32, len: u32) -> Vec<u32> {
    let mut random = MersenneTwister { state: MersenneTwister::initial(seed), next: N };
    let mut order: Vec<u32> = (0..len).collect();
    for i in (1..len).rev() {
        // As many low bits as `i` has, drawn again while they are above it.
        let mask = u32::MAX >> i.leading_zeros();
        let chosen = loop {
            let bits = random.word() & mask;
            if bits <= i {
                break bits;
            }
        };
        order.swap(i as usize, chosen as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::digest::Digest;

    #[derive(serde::Deserialize)]
    struct Golden {
        sha256: Digest,
        order: Vec<u32>,
    }

    /// NumPy 2.4.6: `RandomState(0).permutation(12)`, and the first numbers of a longer one.
    #[test]
    fn the_permutation_is_numpys() {
        assert_eq!(numpy_permutation(0, 12), [6, 11, 4, 10, 2, 8, 1, 7, 9, 3, 0, 5]);
        assert_eq!(numpy_permutation(0, 1172)[..6], [907, 975, 597, 328, 425, 263]);
        assert_eq!(numpy_permutation(7, 1), [0]);
    }

    #[test]
    fn the_order_is_cpythons() {
        let golden: BTreeMap<u32, Golden> =
            serde_json::from_str(include_str!("../../fixtures/golden/python_shuffle.json")).unwrap();
        assert!(golden.contains_key(&36_212) && golden.len() == 6);
        for (len, golden) in golden {
            let order = python_shuffle(10, len);
            let bytes: Vec<u8> = order.iter().flat_map(|i| i.to_le_bytes()).collect();
            assert_eq!(Digest::of(&bytes), golden.sha256, "{len}");
            assert!(golden.order.is_empty() || golden.order == order);
        }
    }
}
