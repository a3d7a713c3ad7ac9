//! Consistency: for how many sentences every pair of images is judged right.
//!
//! Invariant: a group is one sentence with all pairs of its set, whatever the order of the examples.

use std::collections::BTreeMap;

use super::examples::Example;

/// The group of each example: numbers from 0, in the order in which groups are first met.
pub fn groups(examples: &[Example]) -> Vec<u32> {
    let mut known = BTreeMap::new();
    let mut group = |example: &Example| {
        let identifier = &example.identifier;
        let next = known.len() as u32;
        *known.entry((identifier.split.clone(), identifier.set, identifier.sentence)).or_insert(next)
    };
    examples.iter().map(&mut group).collect()
}

/// The share of groups whose examples are all right; `None` without any.
pub fn consistency(groups: &[u32], right: &[bool]) -> Option<f64> {
    let mut consistent: BTreeMap<u32, bool> = BTreeMap::new();
    for (group, right) in groups.iter().zip(right) {
        *consistent.entry(*group).or_insert(true) &= right;
    }
    let count = consistent.values().filter(|&&right| right).count();
    (!consistent.is_empty()).then(|| count as f64 / consistent.len() as f64)
}
