//! The parts of VQA-VS and their files.
//!
//! Invariant: file names and sizes are the published ones.

/// A part that has files of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Trained on.
    Training,
    /// Chooses the checkpoint.
    Validation,
    /// Measured; the nine sets outside of the distribution are parts of it.
    IidTest,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 3] = [Part::Training, Part::Validation, Part::IidTest];

    /// Its published name.
    pub fn title(self) -> &'static str {
        match self {
            Part::Training => "Training",
            Part::Validation => "Val",
            Part::IidTest => "IID-Test",
        }
    }

    /// Below the dataset's folder, its questions and its annotations.
    pub fn files(self) -> [&'static str; 2] {
        match self {
            Part::Training => ["Training/Training-Ques.json", "Training/Training-Ans.json"],
            Part::Validation => ["Val/Val-Ques.json", "Val/Val-Ans.json"],
            Part::IidTest => ["IID-Test/IID-Test-Ques.json", "IID-Test/IID-Test-Ans.json"],
        }
    }

    /// Questions of the published files.
    pub fn questions(self) -> usize {
        match self {
            Part::Training => 461_124,
            Part::Validation => 32_723,
            Part::IidTest => 164_264,
        }
    }
}
