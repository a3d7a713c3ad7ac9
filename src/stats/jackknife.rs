//! The mean of values that are not one per seed: each was made with several of a few seeds, so they depend on each other.
//!
//! Invariant: the seeds are what was drawn, so they are what the deviation and the degrees of freedom count.

use std::collections::BTreeSet;

use super::Summary;

/// Mean of values with the seeds behind each, with the deviation that gives the jackknife's standard error: `n` is the number
/// of seeds, and leaving a seed out leaves out every value that it is behind. No deviation where nothing would be left, or where
/// there are fewer than two seeds. `None` without values.
pub(crate) fn jackknife(values: &[(&BTreeSet<u64>, f64)]) -> Option<Summary> {
    let mean = Summary::of(&values.iter().map(|(_, value)| *value).collect::<Vec<_>>())?.mean;
    let seeds: BTreeSet<u64> = values.iter().flat_map(|(seeds, _)| seeds.iter().copied()).collect();
    let without = |left_out: &u64| {
        let rest = values.iter().filter(|(seeds, _)| !seeds.contains(left_out));
        Some(Summary::of(&rest.map(|(_, value)| *value).collect::<Vec<_>>())?.mean)
    };
    let n = seeds.len();
    let replicates: Option<Vec<f64>> = seeds.iter().map(without).collect();
    let std = replicates.filter(|_| n > 1).and_then(|replicates| {
        // Standard error: sqrt((n - 1) / n * sum of squares), and the deviation is sqrt(n) of it.
        let std = Summary::of(&replicates)?.std?;
        Some(std * (n - 1) as f64)
    });
    Some(Summary { n, mean, std })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(sets: &[&[u64]]) -> Vec<BTreeSet<u64>> {
        sets.iter().map(|seeds| seeds.iter().copied().collect()).collect()
    }

    #[test]
    fn of_one_value_per_seed_it_is_the_summary() {
        let (seeds, values) = (sets(&[&[0], &[1], &[2], &[3]]), [70.0, 71.5, 69.0, 70.2]);
        let found = jackknife(&seeds.iter().zip(values).collect::<Vec<_>>()).unwrap();
        let plain = Summary::of(&values).unwrap();
        assert_eq!((found.n, found.mean), (plain.n, plain.mean));
        assert!((found.std.unwrap() - plain.std.unwrap()).abs() < 1e-12);
    }

    #[test]
    fn triples_of_five_seeds_are_five_draws_not_ten() {
        // The value of a triple is the mean of its seeds' effects, so the mean of all triples is the mean of the seeds.
        let effects = [0.3, -0.8, 1.1, 0.2, -0.5];
        let mut seeds = Vec::new();
        for a in 0..5u64 {
            for b in a + 1..5 {
                seeds.extend((b + 1..5).map(|c| BTreeSet::from([a, b, c])));
            }
        }
        let value =
            |seeds: &BTreeSet<u64>| seeds.iter().map(|&seed| effects[seed as usize]).sum::<f64>() / 3.0;
        let values: Vec<(&BTreeSet<u64>, f64)> = seeds.iter().map(|seeds| (seeds, value(seeds))).collect();
        let (found, seeds) = (jackknife(&values).unwrap(), Summary::of(&effects).unwrap());
        assert_eq!((values.len(), found.n), (10, 5));
        assert!((found.mean - seeds.mean).abs() < 1e-12);
        assert!((found.std.unwrap() - seeds.std.unwrap()).abs() < 1e-12, "{found:?} {seeds:?}");
    }

    #[test]
    fn where_a_seed_is_behind_everything_there_is_no_deviation() {
        let seeds = sets(&[&[0, 1, 2]]);
        assert_eq!(jackknife(&[(&seeds[0], 90.0)]), Some(Summary { n: 3, mean: 90.0, std: None }));
        assert_eq!(jackknife(&[]), None);
    }
}
