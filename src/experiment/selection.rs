//! Which epoch is the best, and when to stop waiting for a better one.
//!
//! Invariant: an epoch improves only if its metric is strictly greater than the best before it, which starts at 0, or anywhere for a
//! metric that is below 0, as a loss with its sign changed is; training stops when *more than* `patience` consecutive epochs brought no improvement.

use serde::{Deserialize, Serialize};

/// The best epoch so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Selection {
    /// Validation metric of the best epoch; 0 before there is one.
    pub best: f64,
    /// The best epoch, counted from 1; 0 before there is one.
    pub epoch: usize,
    /// Consecutive epochs without improvement.
    pub stale: usize,
}

impl Selection {
    /// Takes note of an epoch; whether it is the new best.
    pub(super) fn observe(&mut self, epoch: usize, metric: f64) -> bool {
        let improved = metric > self.best || self.epoch == 0 && metric < 0.0;
        *self = if improved {
            Selection { best: metric, epoch, stale: 0 }
        } else {
            Selection { stale: self.stale + 1, ..*self }
        };
        improved
    }

    /// Whether patience has run out.
    pub(super) fn exhausted(&self, patience: Option<usize>) -> bool {
        patience.is_some_and(|patience| self.stale > patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_may_fall_from_anywhere() {
        let mut selection = Selection::default();
        let improved: Vec<bool> =
            [-2.0, -3.0, -1.0, -1.0].iter().zip(1..).map(|(&m, epoch)| selection.observe(epoch, m)).collect();
        assert_eq!(improved, [true, false, true, false]);
        assert_eq!((selection.best, selection.epoch), (-1.0, 3));
    }

    #[test]
    fn only_strictly_greater_improves_and_zero_is_no_improvement() {
        let mut selection = Selection::default();
        let improved: Vec<bool> =
            [0.0, 0.5, 0.5, 0.6, 0.1].iter().enumerate().map(|(e, &m)| selection.observe(e + 1, m)).collect();
        assert_eq!(improved, [false, true, false, true, false]);
        assert_eq!(selection, Selection { best: 0.6, epoch: 4, stale: 1 });
    }

    #[test]
    fn patience_ten_allows_ten_and_stops_at_eleven() {
        let mut selection = Selection::default();
        selection.observe(1, 0.9);
        for epoch in 2..=11 {
            selection.observe(epoch, 0.9);
            assert!(!selection.exhausted(Some(10)), "{epoch}");
        }
        selection.observe(12, 0.9);
        assert!(selection.exhausted(Some(10)));
        assert!(!selection.exhausted(None));
    }
}
