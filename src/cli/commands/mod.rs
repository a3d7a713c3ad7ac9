//! One file per command.

pub(crate) mod check;
pub(crate) mod claims;
pub(crate) mod data;
pub(crate) mod deviations;
pub(crate) mod doctor;
pub(crate) mod effect;
pub(crate) mod list;
pub(crate) mod plan;
mod power;
pub(crate) mod report;
pub(crate) mod reproduce;
pub(crate) mod self_test;
pub(crate) mod store;
pub(crate) mod train_run;
pub(crate) mod why;
