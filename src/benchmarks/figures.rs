//! The figures that are known but not registered yet.
//!
//! Invariant: a figure that is registered moves to a file of its own.

use super::{Benchmark, Needs, Status};

const VQA_VS: &str = "the FIBER models and the VQA-VS reader are not built yet";

/// Figure 5.
pub(super) static FIGURE5: Benchmark = Benchmark {
    id: "figure5",
    title: "Figure 5",
    caption: "Visualization of samples from VQA-VS OOD test-sets.",
    shows: "questions without spurious dependencies that I2M2 answers and its experts do not",
    needs: &[Needs::Unread("VQA-VS")],
    status: Status::NotYet(VQA_VS),
    ..Benchmark::BLANK
};

/// Figure B.6.
pub(super) static FIGURE_B6: Benchmark = Benchmark {
    id: "figure-b6",
    title: "Figure B.6",
    caption: "VQA score on various OOD VQA-VS test sets.",
    shows: "VQA score of image, text, intra-modality, inter-modality and I2M2 models on nine OOD test sets",
    needs: &[Needs::Unread("VQA-VS")],
    status: Status::NotYet(VQA_VS),
    ..Benchmark::BLANK
};
