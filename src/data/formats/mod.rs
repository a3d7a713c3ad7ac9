//! File formats of the datasets.
//!
//! Invariant: no reader trusts a header: what it declares is checked against the bytes that are there before memory
//! is taken.

pub(crate) mod idx;
pub(crate) mod json;
pub(crate) mod npy;
pub(crate) mod npz;
pub(crate) mod ogg;
pub(crate) mod wav;
