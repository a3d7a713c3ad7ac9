//! The figures that are known but not registered yet.
//!
//! Invariant: a figure that is registered moves to a file of its own.

use super::{Benchmark, Layout, Needs, Status};

const VQA_VS: &str = "the FIBER models and the VQA-VS reader are not built yet";

const fn figure(
    [id, title, caption, shows]: [&'static str; 4],
    needs: &'static [Needs],
    why: &'static str,
) -> Benchmark {
    Benchmark {
        id,
        title,
        caption,
        shows,
        needs,
        layout: Layout::NONE,
        chart: None,
        status: Status::NotYet(why),
        source: |_, _| None,
        values: None,
    }
}

/// Figure 5.
pub(super) static FIGURE5: Benchmark = figure(
    [
        "figure5",
        "Figure 5",
        "Visualization of samples from VQA-VS OOD test-sets.",
        "questions without spurious dependencies that I2M2 answers and its experts do not",
    ],
    &[Needs::Unread("VQA-VS")],
    VQA_VS,
);

/// Figure B.6.
pub(super) static FIGURE_B6: Benchmark = figure(
    [
        "figure-b6",
        "Figure B.6",
        "VQA score on various OOD VQA-VS test sets.",
        "VQA score of image, text, intra-modality, inter-modality and I2M2 models on nine OOD test sets",
    ],
    &[Needs::Unread("VQA-VS")],
    VQA_VS,
);
