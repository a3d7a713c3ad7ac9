//! Settings of a generator, as they stand in `fixtures/*.toml`.
//!
//! Invariant: settings that pass [`Settings::check`] describe a proper joint distribution whose latent states can be
//! read back exactly from the rendered samples.

use serde::Deserialize;

use super::clinical::{SeriesSettings, StaticState};
use super::picture::PictureSettings;
use super::vector::VectorSettings;
use crate::digest::Digest;
use crate::protocol::{DatasetName, Task};

/// The embedded settings of the AV-MNIST fixture.
const AVMNIST: &str = include_str!("../../../fixtures/avmnist.toml");
/// The embedded settings of the MIMIC-III fixture.
const MIMIC: &str = include_str!("../../../fixtures/mimic.toml");
/// The embedded settings of the generative model's sweep.
const GENERATIVE: &str = include_str!("../../../fixtures/generative.toml");

/// Everything that determines a fixture's bytes and its references.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Root of the generator's seed tree.
    pub seed: u64,
    /// How the latent states become files.
    pub rendering: Rendering,
    /// The tasks, conditionally independent given the latent states.
    pub tasks: Vec<TaskSettings>,
}

/// How the latent states become files.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "layout", rename_all = "lowercase", deny_unknown_fields)]
pub enum Rendering {
    /// The published AV-MNIST folder of npy files.
    Avmnist {
        /// Rows of the train files (training and validation split).
        train_rows: usize,
        /// Rows of the test files.
        test_rows: usize,
        /// Images, in the units of PCA reconstructions of 0-255 pixels.
        image: PictureSettings,
        /// Spectrograms, rounded to 0-255.
        audio: PictureSettings,
    },
    /// The MIMIC-III arrays in one npz file.
    Mimic {
        /// Patients.
        rows: usize,
        /// What each latent state of the static modality looks like.
        static_states: Vec<StaticState>,
        /// The time series.
        series: SeriesSettings,
    },
    /// The generative model by itself: vectors, and a file for each selection strength.
    Vectors {
        /// The selection strengths of the sweep.
        strengths: Vec<f64>,
        /// Rows of the training, validation and test split of each.
        rows: [usize; 3],
        /// x.
        first: VectorSettings,
        /// x'.
        second: VectorSettings,
    },
}

/// The tables of one task: p(y), p(a | y), p(b | y) and p(v = 1 | a, b, y), all as log weights.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSettings {
    /// What is predicted.
    pub task: Task,
    /// Weight of every label.
    pub prior: Vec<f64>,
    /// What a, the latent state of x, says about y.
    pub first: Evidence,
    /// What b, the latent state of x', says about y.
    pub second: Evidence,
    /// Which samples are kept.
    pub selection: Selection,
}

/// What a latent state says about the label.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Log weight of the label that a state favours most.
    pub strength: f64,
    /// Each further favoured label gets this fraction of the log weight of the one before.
    pub decay: f64,
    /// For every state the labels it favours, best first.
    pub favours: Vec<Vec<usize>>,
}

/// p(v = 1 | a, b, y): 1 when y is the label that the pair of states selects, exp(-strength) otherwise.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// 0 means no interaction; the larger, the more inter-modality dependency there is.
    pub strength: f64,
    /// `selects[a][b]` is the selected label.
    pub selects: Vec<Vec<usize>>,
}

/// What is wrong with a generator's settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not TOML, or not these fields.
    #[error("generator settings of {dataset:?}: {source}; see `fixtures/` for an example")]
    Syntax {
        /// Whose settings.
        dataset: DatasetName,
        /// What the parser found.
        source: Box<toml::de::Error>,
    },
    /// Numbers that describe no distribution or no exactly readable rendering.
    #[error("generator settings, {place}: expected {expected}, found {found}; correct the settings file")]
    Value {
        /// Where.
        place: String,
        /// What would be right.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// The generator made other bytes than the manifest says.
    #[error(
        "{file}: expected the SHA-256 of fixtures/MANIFEST.sha256, {expected}, found {found}: the generator is not portable to this machine (report it), or the settings changed (update the manifest)"
    )]
    Manifest {
        /// The file, below the dataset's folder.
        file: String,
        /// The manifest's digest.
        expected: String,
        /// The digest of what was generated.
        found: Digest,
    },
    /// A fixture's file has other bytes than it was generated with.
    #[error("{file}: expected the SHA-256 {expected}, found {found}: delete the file, it is generated again")]
    Altered {
        /// The file.
        file: String,
        /// The manifest's digest.
        expected: Digest,
        /// The digest of the file.
        found: Digest,
    },
    /// A task that this fixture has no labels for.
    #[error("the fixture has no task {task:?}; its tasks are {has:?}")]
    NoSuchTask {
        /// Asked for.
        task: Task,
        /// Present.
        has: Vec<Task>,
    },
}

impl Settings {
    /// The embedded settings of a dataset's fixture.
    pub fn embedded(name: DatasetName) -> Result<Self, SettingsError> {
        let text = match name {
            DatasetName::Avmnist => AVMNIST,
            DatasetName::Mimic => MIMIC,
            DatasetName::Generative => GENERATIVE,
            // Its settings are of another kind: `KneeSettings`.
            DatasetName::Fastmri => {
                return Err(SettingsError::Value {
                    place: "fixtures".to_owned(),
                    expected: "avmnist, mimic or generative".to_owned(),
                    found: name.to_string(),
                });
            }
        };
        Settings::parse(name, text)
    }

    /// Reads and checks settings.
    pub fn parse(dataset: DatasetName, text: &str) -> Result<Self, SettingsError> {
        let settings: Settings = toml::from_str(text)
            .map_err(|source| SettingsError::Syntax { dataset, source: Box::new(source) })?;
        settings.check()?;
        Ok(settings)
    }

    /// The same settings with another selection strength in every task, for sweeps.
    pub fn with_strength(mut self, strength: f64) -> Self {
        self.tasks.iter_mut().for_each(|task| task.selection.strength = strength);
        self
    }

    /// Number of latent states of x and of x'.
    pub fn states(&self) -> [usize; 2] {
        match &self.rendering {
            Rendering::Avmnist { image, audio, .. } => [image.patterns.len(), audio.patterns.len()],
            Rendering::Mimic { static_states, series, .. } => [static_states.len(), series.patterns.len()],
            Rendering::Vectors { first, second, .. } => [first.patterns.len(), second.patterns.len()],
        }
    }

    /// The settings of one task.
    pub fn task(&self, task: Task) -> Result<&TaskSettings, SettingsError> {
        self.tasks.iter().find(|settings| settings.task == task).ok_or_else(|| SettingsError::NoSuchTask {
            task,
            has: self.tasks.iter().map(|settings| settings.task).collect(),
        })
    }

    /// Checks what the types cannot hold.
    pub fn check(&self) -> Result<(), SettingsError> {
        let [first, second] = self.states();
        require(first > 0 && second > 0, "rendering", "at least one pattern per modality", [first, second])?;
        match &self.rendering {
            Rendering::Avmnist { image, audio, .. } => {
                image.check("rendering.image")?;
                audio.check("rendering.audio")?;
                let [low, high] = audio.range();
                require(low >= 0.0 && high <= 255.0, "rendering.audio", "values in 0..=255", [low, high])?;
            }
            Rendering::Mimic { static_states, series, .. } => {
                StaticState::check_all(static_states)?;
                series.check()?;
            }
            Rendering::Vectors { strengths, rows, first, second } => {
                first.check("rendering.first")?;
                second.check("rendering.second")?;
                require(rows.iter().all(|&rows| rows > 0), "rendering.rows", "a row in every split", rows)?;
                let valid = strengths.iter().all(|strength| *strength >= 0.0 && strength.is_finite());
                require(valid, "rendering.strengths", "numbers from 0", strengths)?;
            }
        }
        let layout = match self.rendering {
            Rendering::Avmnist { .. } => &[Task::Digits][..],
            Rendering::Mimic { .. } => &[Task::Mortality, Task::Neoplasms, Task::Respiratory],
            Rendering::Vectors { .. } => &[Task::Generated],
        };
        let tasks: Vec<Task> = self.tasks.iter().map(|settings| settings.task).collect();
        require(tasks == layout, "tasks", &format!("{layout:?}"), &tasks)?;
        self.tasks.iter().try_for_each(|task| task.check(first, second))
    }
}

impl TaskSettings {
    fn check(&self, first: usize, second: usize) -> Result<(), SettingsError> {
        let classes = self.task.classes();
        let place = |what: &str| format!("{:?}: {what}", self.task);
        let known = |labels: &[usize]| labels.iter().all(|&label| label < classes);
        require(
            self.prior.len() == classes,
            &place("prior"),
            &format!("{classes} weights"),
            self.prior.len(),
        )?;
        require(
            self.prior.iter().all(|&weight| weight > 0.0 && weight.is_finite()),
            &place("prior"),
            "positive weights",
            &self.prior,
        )?;
        for (what, evidence, states) in [("first", &self.first, first), ("second", &self.second, second)] {
            let found = &evidence.favours;
            require(found.len() == states, &place(what), &format!("{states} states"), found.len())?;
            require(
                found.iter().all(|labels| known(labels)),
                &place(what),
                &format!("labels below {classes}"),
                found,
            )?;
            let finite = evidence.strength.is_finite() && evidence.decay.is_finite();
            require(finite, &place(what), "finite numbers", (evidence.strength, evidence.decay))?;
        }
        let Selection { strength, selects } = &self.selection;
        let shape = selects.len() == first && selects.iter().all(|row| row.len() == second);
        require(shape, &place("selects"), &format!("{first} rows of {second} labels"), selects)?;
        require(
            selects.iter().all(|row| known(row)),
            &place("selects"),
            &format!("labels below {classes}"),
            selects,
        )?;
        require(*strength >= 0.0 && strength.is_finite(), &place("strength"), "a number from 0", strength)
    }
}

/// `Ok` when the condition holds, otherwise what was expected and found.
pub(super) fn require(
    condition: bool,
    place: &str,
    expected: &str,
    found: impl std::fmt::Debug,
) -> Result<(), SettingsError> {
    if condition {
        return Ok(());
    }
    Err(SettingsError::Value { place: place.into(), expected: expected.into(), found: format!("{found:?}") })
}
