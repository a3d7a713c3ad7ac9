//! File formats of the datasets.
//!
//! Invariant: no reader trusts a header: what it declares is checked against the bytes that are there before memory
//! is taken.

pub mod idx;
pub mod npy;
pub mod npz;
pub mod ogg;
pub mod wav;
