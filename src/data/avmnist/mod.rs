//! AV-MNIST: images (x) and spoken digits (x').
//!
//! [`load`] reads the published arrays as they are, or the compact form that [`build`] makes from MNIST and FSDD.
//! Invariant: both forms of the same data give the same batches, bit for bit.

mod build;
mod clips;
mod compact;
mod components;
mod dataset;
mod eigen;
pub(crate) mod fixture;
mod gather;
mod greys;
mod options;
mod pairing;
mod samples;
mod spec;
mod spectrogram;

pub(crate) use spec::SPEC;

use crate::data::{Target, Task};

/// Its id.
const ID: &str = "avmnist";
/// The task's id.
const DIGITS: &str = "digits";
/// Digits.
const CLASSES: usize = 10;

fn tasks() -> Vec<Task> {
    vec![Task::new(DIGITS, Target::classes_of(CLASSES))]
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::shared as shared_data;
