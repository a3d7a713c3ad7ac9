//! This program, as it was built. `build.rs` finds out what only the build can know.
//!
//! Invariant: the commit is that of the tool's own repository, never that of the folder somebody stands in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// This program, as it was built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// Version of the crate.
    pub version: String,
    /// Commit of its repository; `unknown` when it was not built from one.
    pub commit: String,
    /// Whether what went into the build differed from that commit; absent when the commit is unknown.
    pub dirty: Option<bool>,
    /// The compiler.
    pub rustc: String,
    /// The target triple.
    pub target: String,
    /// Instruction sets that the build takes for granted.
    pub target_features: Vec<String>,
    /// `release` or `debug`.
    pub profile: String,
    /// Digest of `Cargo.lock`: the versions of all dependencies.
    pub cargo_lock: Digest,
    /// Digest of the source of each module below `src/`. Not part of any key (the canary is); here so that a change that
    /// moved no bit can still be traced.
    pub sources: BTreeMap<String, Digest>,
}

impl Tool {
    pub(super) fn here() -> Self {
        let sources = include!(concat!(env!("OUT_DIR"), "/sources.rs"));
        Tool {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: env!("I2M2_COMMIT").to_owned(),
            dirty: env!("I2M2_DIRTY").parse().ok(),
            rustc: env!("I2M2_RUSTC").to_owned(),
            target: env!("I2M2_TARGET").to_owned(),
            target_features: env!("I2M2_TARGET_FEATURES").split(',').map(str::to_owned).collect(),
            profile: env!("I2M2_PROFILE").to_owned(),
            cargo_lock: Digest::of(include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock"))),
            sources: sources
                .iter()
                .filter_map(|(module, digest)| Some(((*module).to_owned(), digest.parse().ok()?)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_knows_itself() {
        let tool = Tool::here();
        assert!(tool.rustc.starts_with("rustc 1."), "{}", tool.rustc);
        assert!(tool.target.contains('-'), "{}", tool.target);
        assert!(["release", "debug"].contains(&tool.profile.as_str()));
        for module in ["engine", "ops", "experiment", "data", "digest", "random"] {
            assert!(tool.sources.contains_key(module), "{module} in {:?}", tool.sources.keys());
        }
        match tool.dirty {
            Some(_) => assert!(tool.commit.len() == 40 && tool.commit.bytes().all(|b| b.is_ascii_hexdigit())),
            None => assert_eq!(tool.commit, "unknown"),
        }
    }
}
