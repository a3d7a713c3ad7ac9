//! Figure 3: ensembles with as many parameters as I2M2, on fastMRI (Section 5).
//!
//! Invariant: an ensemble is an evaluation of runs that Figure 2 has trained, never trained itself.

use super::runs::knee::{FINDINGS, Model, auroc, ensemble, run};
use super::{Benchmark, Chart, Kind, Layout, Needs, Row, Status};
use crate::engine::plan::Planner;
use crate::protocol::{DatasetName, Protocol};
use crate::random::Seeds;

/// Ensembles of one kind, at most: as many as there are triples of five seeds, and as the released code draws.
const MOST: usize = 10;

/// Figure 3.
pub static BENCHMARK: Benchmark = Benchmark {
    id: "figure3",
    title: "Figure 3",
    caption: "AUROC performance for models with identical parameter count.",
    shows: "I2M2 against ensembles of fastMRI models with the same number of parameters",
    needs: &[Needs::Dataset(DatasetName::Fastmri)],
    kind: Kind::Figure,
    layout: Layout {
        checks: &[],
        columns: &FINDINGS,
        rows: &[
            Row::new("magnitude", "3 × magnitude"),
            Row::new("phase", "3 × phase"),
            Row::new("magnitude-phase", "Magnitude + phase"),
            Row::new("magnitude-phase-inter", "Magnitude + phase + inter"),
            Row::new("i2m2", "I2M2"),
        ],
    },
    chart: Some(Chart::Bars),
    status: Status::Registered(plan),
    values: None,
};

const ENSEMBLES: [(&str, &[Model]); 4] = [
    ("magnitude", &[Model::Magnitude; 3]),
    ("phase", &[Model::Phase; 3]),
    ("magnitude-phase", &[Model::Magnitude, Model::Phase]),
    ("magnitude-phase-inter", &[Model::Magnitude, Model::Phase, Model::Inter]),
];

fn plan(figure: &Benchmark, planner: &mut Planner<'_>, protocol: &Protocol) {
    let seeds = figure.seeds(planner, protocol);
    for (row, models) in ENSEMBLES {
        let teams = teams(row, models, &seeds);
        let numbers: Vec<u64> = (0..teams.len() as u64).collect();
        auroc(figure, planner, row, &numbers, |planner, number| {
            let members: Vec<(Model, u64)> =
                models.iter().copied().zip(teams[number as usize].iter().copied()).collect();
            ensemble(planner, protocol, &format!("ensemble/{row}"), &members, number)
        });
    }
    auroc(figure, planner, "i2m2", &seeds, |planner, seed| run(planner, protocol, Model::I2m2, seed));
}

/// The seeds of each ensemble's members. Of one model: every choice of different seeds, in order. Of several: every choice
/// of a seed for each. Where there are more than [`MOST`], a fixed draw of them.
fn teams(row: &str, models: &[Model], seeds: &[u64]) -> Vec<Vec<u64>> {
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
    fn teams_are_the_spec_s() {
        let seeds = [0, 1, 2, 3, 4];
        let same = teams("magnitude", &[Model::Magnitude; 3], &seeds);
        assert_eq!((same.len(), &same[0], &same[9]), (10, &vec![0, 1, 2], &vec![2, 3, 4]));
        let mixed = teams("magnitude-phase-inter", ENSEMBLES[3].1, &seeds);
        assert_eq!(mixed.len(), MOST);
        assert!(mixed.windows(2).all(|pair| pair[0] < pair[1]), "different, in order");
        assert_eq!(mixed, teams("magnitude-phase-inter", ENSEMBLES[3].1, &seeds), "and always the same");
        // With fewer seeds there are fewer; two seeds make no team of three of one model.
        assert_eq!(teams("magnitude", &[Model::Magnitude; 3], &seeds[..3]), [[0, 1, 2]]);
        assert!(teams("magnitude", &[Model::Magnitude; 3], &seeds[..2]).is_empty());
        assert_eq!(teams("magnitude-phase", ENSEMBLES[2].1, &seeds[..2]).len(), 4);
    }
}
