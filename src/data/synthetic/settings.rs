//! FixtureSettings of a generator, as they stand in `fixtures/*.toml`.
//!
//! Invariant: settings that pass [`FixtureSettings::check`] describe a proper joint distribution whose latent states can be
//! read back exactly from the rendered samples.

use std::io;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::data::Task;
use crate::data::error::{SettingsError, require};

/// Everything that determines a fixture's bytes and its references.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, bound = "L: Layout")]
pub struct FixtureSettings<L> {
    /// Root of the generator's seed tree.
    pub seed: u64,
    /// How the latent states become files.
    pub rendering: L,
    /// The tasks, conditionally independent given the latent states.
    pub tasks: Vec<TaskSettings>,
}

/// How latent states become the files of a dataset.
pub trait Layout: Clone + DeserializeOwned + Send + Sync + 'static {
    /// The fixture's folder, and its name in the manifest.
    const FOLDER: &'static str;
    /// The embedded settings.
    const SETTINGS: &'static str;

    /// The dataset's tasks, in the order of the settings.
    fn tasks() -> Vec<Task>;

    /// Number of latent states of x and of x'.
    fn states(&self) -> [usize; 2];

    /// Checks what the types cannot hold.
    ///
    /// # Errors
    /// Numbers from which no state could be read back.
    fn check(&self) -> Result<(), SettingsError>;

    /// The selection strengths of a sweep; none where there is one alone, that of the settings.
    fn strengths(&self) -> &[f64] {
        &[]
    }

    /// Path, below the dataset's folder, and bytes of every file.
    ///
    /// # Errors
    /// When a format's writer refuses.
    fn render(settings: &FixtureSettings<Self>) -> io::Result<Vec<(String, Vec<u8>)>>;
}

/// The tables of one task: p(y), p(a | y), p(b | y) and p(v = 1 | a, b, y), all as log weights.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSettings {
    /// The task's id.
    pub task: String,
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

impl<L: Layout> FixtureSettings<L> {
    /// The embedded settings.
    ///
    /// # Errors
    /// Only if they were damaged before they were compiled in.
    pub fn embedded() -> Result<Self, SettingsError> {
        FixtureSettings::parse(L::SETTINGS)
    }

    /// Reads and checks settings.
    ///
    /// # Errors
    /// Text that is not TOML or not these fields, and numbers that describe nothing.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let settings: FixtureSettings<L> = toml::from_str(text)
            .map_err(|source| SettingsError::Syntax { fixture: L::FOLDER, source: Box::new(source) })?;
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
        self.rendering.states()
    }

    /// Checks what the types cannot hold.
    ///
    /// # Errors
    /// Numbers that describe no distribution, or no exactly readable rendering.
    pub fn check(&self) -> Result<(), SettingsError> {
        let states = self.states();
        require(
            states.iter().all(|&count| count > 0),
            "rendering",
            "at least one pattern per modality",
            states,
        )?;
        self.rendering.check()?;
        let known = L::tasks();
        let expected: Vec<&str> = known.iter().map(|task| task.id.as_str()).collect();
        let found: Vec<&str> = self.tasks.iter().map(|settings| settings.task.as_str()).collect();
        require(found == expected, "tasks", &format!("{expected:?}"), &found)?;
        self.tasks.iter().zip(&known).try_for_each(|(task, known)| task.check(known.classes(), states))
    }
}

impl TaskSettings {
    fn check(&self, classes: usize, [first, second]: [usize; 2]) -> Result<(), SettingsError> {
        let place = |what: &str| format!("{}: {what}", self.task);
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
