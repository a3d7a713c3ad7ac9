//! The figures that are known but not registered yet.
//!
//! Invariant: a figure that is registered moves to a file of its own.

use super::{Benchmark, Kind, Layout, Needs, Status};

const FASTMRI: &str = "the PreactResNet-18 models and the fastMRI reader are not built yet";
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
        kind: Kind::Figure,
        layout: Layout::NONE,
        chart: None,
        status: Status::NotYet(why),
        values: None,
    }
}

/// Figure 2.
pub static FIGURE2: Benchmark = figure(
    [
        "figure2",
        "Figure 2",
        "Results on fastMRI dataset.",
        "AUROC of RSS, magnitude, phase, intra-modality, inter-modality and I2M2 models for four knee pathologies",
    ],
    &[Needs::Unread("fastMRI")],
    FASTMRI,
);

/// Figure 3.
pub static FIGURE3: Benchmark = figure(
    [
        "figure3",
        "Figure 3",
        "AUROC performance for models with identical parameter count.",
        "I2M2 against ensembles of fastMRI models with the same number of parameters",
    ],
    &[Needs::Unread("fastMRI")],
    FASTMRI,
);

/// Figure 4.
pub static FIGURE4: Benchmark = figure(
    [
        "figure4",
        "Figure 4",
        "AUROC comparison with WideResNet models.",
        "I2M2 with PreactResNet-18 against wider unimodal and inter-modality fastMRI models",
    ],
    &[Needs::Unread("fastMRI")],
    FASTMRI,
);

/// Figure 5.
pub static FIGURE5: Benchmark = figure(
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
pub static FIGURE_B6: Benchmark = figure(
    [
        "figure-b6",
        "Figure B.6",
        "VQA score on various OOD VQA-VS test sets.",
        "VQA score of image, text, intra-modality, inter-modality and I2M2 models on nine OOD test sets",
    ],
    &[Needs::Unread("VQA-VS")],
    VQA_VS,
);

/// Figure B.7.
pub static FIGURE_B7: Benchmark = figure(
    [
        "figure-b7",
        "Figure B.7",
        "AUROC performance comparison for varying ricean-noise levels.",
        "AUROC of inter-modality and I2M2 models as Rician noise is added to the test images",
    ],
    &[Needs::Unread("fastMRI")],
    FASTMRI,
);
