//! What is known of synthetic data beside the measured cells: optima and negative controls.

use std::collections::BTreeMap;

/// A known value of synthetic data: the Bayes optimum, the best log-additive predictor, a negative control.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub(crate) struct Reference {
    /// What it is.
    pub label: String,
    /// By column id, in the column's unit; of a figure of curves by `@<number>`, a place on the x axis of all its panels.
    pub values: BTreeMap<String, f64>,
    /// What kind of value it is.
    #[serde(skip)]
    pub known: Known,
}

/// What is known of synthetic data beside the measured cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// The best of its kind, which figures of curves show.
    Bound,
    /// The best of its kind.
    Optimum,
    /// What a predictor reaches that looks at nothing.
    Control,
}
