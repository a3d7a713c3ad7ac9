//! The paper's own generative model (Figure 1) as a dataset: vectors x and x' with labels, a file for each selection strength.
//!
//! Invariant: it is synthetic by nature; its fixture is the data itself.

mod dataset;
pub mod fixture;
mod spec;
mod vector;

pub use dataset::{GenerativeDataset, Sweep, identity, load};
pub use spec::SPEC;
pub use vector::VectorSettings;

use crate::data::{Target, Task};

/// Its id.
const ID: &str = "generative";
/// The task's id.
const GENERATED: &str = "generated";
/// Values of the label.
const CLASSES: usize = 4;

fn tasks() -> Vec<Task> {
    vec![Task::new(GENERATED, Target::classes_of(CLASSES))]
}
