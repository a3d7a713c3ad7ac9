//! How much an answer is worth.
//!
//! Invariant: a score is in [0, 1] and follows from the number of annotators who gave the answer; an answer outside of the vocabulary
//! is worth nothing, since no network can give it.

use serde::Deserialize;

use super::vocabulary::Vocabulary;

/// From a number of annotators to a score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scoring {
    /// 0.3 for each of the first three, 1 from four on: what networks are trained and measured with as released. With ten
    /// annotators it is the mean of [`Scoring::Official`] over all choices of nine of them.
    #[default]
    Table,
    /// A third for each, 1 from three on: VQA-VS's own evaluation.
    Official,
}

impl Scoring {
    /// The score of an answer that so many annotators gave.
    pub fn score(self, votes: u32) -> f32 {
        match (self, votes) {
            (_, 0) => 0.0,
            (Scoring::Table, 1) => 0.3,
            (Scoring::Table, 2) => 0.6,
            (Scoring::Table, 3) => 0.9,
            (Scoring::Official, 1) => 1.0 / 3.0,
            (Scoring::Official, 2) => 2.0 / 3.0,
            _ => 1.0,
        }
    }
}

/// The scores of one question's answers.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftTarget {
    /// Answers of the vocabulary that somebody gave, by id, with their scores, which are above 0.
    pub scores: Vec<(u32, f32)>,
}

impl SoftTarget {
    /// That of a question from its answers and how many gave each.
    pub fn of(votes: &[(String, u32)], vocabulary: &Vocabulary, scoring: Scoring) -> Self {
        let score = |(answer, votes): &(String, u32)| Some((vocabulary.id(answer)?, scoring.score(*votes)));
        let scores = votes.iter().filter_map(score).filter(|(_, score)| *score > 0.0);
        SoftTarget { scores: scores.collect() }
    }

    /// Whether any answer of the vocabulary has a score. Questions where none has are left out of training.
    pub fn is_answerable(&self) -> bool {
        !self.scores.is_empty()
    }

    /// The score of an answer.
    pub fn score(&self, answer: u32) -> f32 {
        self.scores.iter().find(|(id, _)| *id == answer).map_or(0.0, |(_, score)| *score)
    }

    /// Writes a score for each answer of the vocabulary; `out` has as many places.
    pub fn write(&self, out: &mut [f32]) {
        out.fill(0.0);
        for &(answer, score) in &self.scores {
            if let Some(place) = out.get_mut(answer as usize) {
                *place = score;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_official_score_over_all_choices_of_nine() {
        for votes in 0..=10u32 {
            let fewer = Scoring::Official.score(votes.saturating_sub(1));
            let mean = (votes as f32 * fewer + (10 - votes) as f32 * Scoring::Official.score(votes)) / 10.0;
            assert!((Scoring::Table.score(votes) - mean).abs() < 1e-6, "{votes}");
        }
        assert_eq!([1, 2, 3, 4, 10].map(|votes| Scoring::Table.score(votes)), [0.3, 0.6, 0.9, 1.0, 1.0]);
        assert_eq!([0, 3, 4].map(|votes| Scoring::Official.score(votes)), [0.0, 1.0, 1.0]);
    }
}
