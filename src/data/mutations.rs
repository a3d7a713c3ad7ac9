//! Broken copies of files, for tests of readers.
//!
//! Invariant: a copy depends on the seed alone. `I2M2_MUTATIONS` says how many are made of each file; more of them, and within little
//! memory: `I2M2_MUTATIONS=1000000 prlimit --as=4294967296 cargo test --release --lib mutations`.

use crate::random::{Seeds, Stream};

/// Copies of each file where nothing else is said.
const COPIES: u64 = 600;

/// Broken copies of `bytes`.
pub(crate) fn mutations(name: &str, bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let copies =
        std::env::var("I2M2_MUTATIONS").ok().and_then(|copies| copies.parse().ok()).unwrap_or(COPIES);
    let seeds = Seeds::root(0).child(name);
    (0..copies).map(move |copy| {
        let mut stream = seeds.child(copy).stream();
        let mut broken = bytes.to_vec();
        for _ in 0..=stream.below(4) {
            damage(&mut broken, &mut stream);
        }
        broken
    })
}

fn damage(bytes: &mut Vec<u8>, stream: &mut Stream) {
    if bytes.is_empty() {
        return bytes.push(stream.below(256) as u8);
    }
    let mut below = |end: usize| stream.below(end as u64) as usize;
    let at = below(bytes.len());
    let length = 1 + below(16.min(bytes.len() - at));
    match below(8) {
        0 => bytes.truncate(at),
        1 => bytes[at] ^= 1 << below(8),
        2 => bytes[at] = below(256) as u8,
        3 => bytes[at..at + length].fill([0, 255][below(2)]),
        4 => drop(bytes.drain(at..at + length)),
        5 => {
            let piece = bytes[at..at + length].to_vec();
            let to = below(bytes.len());
            drop(bytes.splice(to..to, piece));
        }
        6 => bytes[at] = *b"0123456789\"[]{},:\\\xff\x00".get(below(20)).unwrap_or(&b'-'),
        // Sizes stand near the beginning.
        _ => {
            let place = at % bytes.len().min(64);
            bytes[place] = below(256) as u8;
        }
    }
}
