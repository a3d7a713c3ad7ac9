//! Batches out of a dataset that lives on a GPU. (On the CPU datasets write batches themselves: `Dataset::gather`.)
//!
//! Invariant: the batch is innermost, as everywhere; a row is found by its number within the split, whatever order an epoch has.

pub(crate) mod cuda;

pub(crate) use cuda::{Pick, gather};
