//! NLVR2: a sentence about two photographs, true or false.
//!
//! Invariant: an example's identifier names its split, its set of images, its pair of them and its sentence, and is there once; image
//! names follow from it alone.

mod consistency;
mod examples;
mod identifier;

pub use consistency::{consistency, groups};
pub use examples::{Example, Examples};
pub use identifier::Identifier;

#[cfg(test)]
mod tests;
