//! Which build of this program is running.
//!
//! Invariant: two programs that differ in a source, a dependency, the compiler, the target or a flag are never taken for one
//! another.

use std::time::UNIX_EPOCH;

use crate::digest::{Digest, Hasher};

/// The digest of everything that went into this build, and of when its executable was written: that also tells apart what a
/// build script cannot see. `None` where either is not known.
pub fn build() -> Option<Digest> {
    let compiled: Digest = env!("I2M2_BUILD").parse().ok()?;
    let executable = std::fs::metadata(std::env::current_exe().ok()?).ok()?;
    let written = executable.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let mut hasher = Hasher::new("i2m2 build");
    hasher
        .field(compiled.bytes())
        .field(&[u8::from(cfg!(debug_assertions))])
        .field(&executable.len().to_le_bytes())
        .field(&written.as_nanos().to_le_bytes());
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_build_is_one_build() {
        assert!(super::build().is_some());
        assert_eq!(super::build(), super::build());
    }
}
