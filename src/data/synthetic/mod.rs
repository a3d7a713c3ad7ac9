//! Synthetic fixtures with a known optimum, from the paper's own generative model (Figure 1, Eq. 1-3): the smoke tier.
//!
//! Invariant: the accuracy of the best possible model of every fixture is known exactly, because the latent states are
//! finite and can be read back from the samples without error.
//!
//! A label y causes a latent state a of modality x and b of x'; a sample is kept with probability p(v = 1 | a, b, y).
//! Rendering turns a into x and b into x' in the dataset's true on-disk format, under nuisances that do not depend on
//! the label: that is the dataset's own [`Layout`], in its folder. [`references`] enumerates the tables; [`generate`] writes
//! the files that the real loaders read. The settings stand in `fixtures/*.toml`; the selection strength is the knob between
//! intra and inter-modality dependency: at 0 the posterior is log-additive.

pub(in crate::data) mod additive;
pub(in crate::data) mod bpe;
pub(in crate::data) mod bundle;
mod embedded;
pub(in crate::data) mod files;
pub(in crate::data) mod joint;
mod references;
pub(in crate::data) mod scene;
mod settings;
pub(in crate::data) mod waves;

pub(crate) use crate::data::error::SettingsError;
pub(in crate::data) use crate::data::error::require;
pub use embedded::Embedded;
pub use files::{generate, generate_from, verify};
pub use joint::{Joint, Sample, Sampler, Table};
pub use references::{References, references, standard_error};
pub use settings::{Evidence, FixtureSettings, Layout, Selection, TaskSettings};
