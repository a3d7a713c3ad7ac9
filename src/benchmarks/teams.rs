//! The members of ensembles: which seed of each model (Figure 3).
//!
//! Invariant: the same models and seeds always give the same ensembles.

use crate::random::Seeds;

/// Ensembles of one kind, at most: as many as there are triples of five seeds, and as the released code draws.
const MOST: usize = 10;

/// The seeds of each ensemble's members. Of one model: every choice of different seeds, in order. Of several: every choice
/// of a seed for each. Where there are more than [`MOST`], a fixed draw of them.
pub(super) fn teams(row: &str, models: &[&str], seeds: &[u64]) -> Vec<Vec<u64>> {
    let same = models.iter().all(|model| *model == models[0]);
    let mut teams: Vec<Vec<u64>> = vec![Vec::new()];
    for _ in models {
        let mut longer = Vec::new();
        for team in &teams {
            for &seed in seeds.iter().filter(|&&seed| !same || team.last().is_none_or(|&last| seed > last)) {
                longer.push([&team[..], &[seed]].concat());
            }
        }
        teams = longer;
    }
    if teams.len() > MOST {
        let order = Seeds::root(0).child("figure3").child(row).stream().permutation(teams.len());
        let mut drawn: Vec<u32> = order.into_iter().take(MOST).collect();
        drawn.sort_unstable();
        teams = drawn.into_iter().map(|index| teams[index as usize].clone()).collect();
    }
    teams
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn teams_are_choices_of_different_seeds() {
        let seeds = [0, 1, 2, 3, 4];
        let same = teams("magnitude", &["magnitude"; 3], &seeds);
        assert_eq!((same.len(), &same[0], &same[9]), (10, &vec![0, 1, 2], &vec![2, 3, 4]));
        let mixed = teams("magnitude-phase-inter", &["magnitude", "phase", "inter"], &seeds);
        assert_eq!(mixed.len(), MOST);
        assert!(mixed.windows(2).all(|pair| pair[0] < pair[1]), "different, in order");
        assert_eq!(
            mixed,
            teams("magnitude-phase-inter", &["magnitude", "phase", "inter"], &seeds),
            "and always the same"
        );
        // With fewer seeds there are fewer; two seeds make no team of three of one model.
        assert_eq!(teams("magnitude", &["magnitude"; 3], &seeds[..3]), [[0, 1, 2]]);
        assert!(teams("magnitude", &["magnitude"; 3], &seeds[..2]).is_empty());
        assert_eq!(teams("magnitude-phase", &["magnitude", "phase"], &seeds[..2]).len(), 4);
    }
}
