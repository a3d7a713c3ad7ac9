//! One file per command.

pub mod check;
pub mod claims;
pub mod data;
pub mod deviations;
pub mod doctor;
pub mod effect;
pub mod list;
pub mod plan;
mod power;
pub mod report;
pub mod reproduce;
pub mod self_test;
pub mod store;
pub mod train_run;
pub mod why;
