//! AV-MNIST: images (x) and spoken digits (x').
mod build;
mod clips;
mod compact;
mod components;
mod eigen;
mod greys;
mod pairing;
mod spectrogram;

pub use build::{BuildOptions, BuildReport, NoiseOptions, Stage, build};
pub use compact::{Manifest, Part, Settings};
