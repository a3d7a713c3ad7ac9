//! Digests of canaries between calls: `canaries.json` in the results folder, beside the cache of files' digests.
//!
//! Invariant: a digest that was kept stands for no other code and no other machine. What is damaged, what another build or
//! another processor measured, and everything about a GPU, whose numbers also hang on its driver and libraries, is as if it were
//! not there: it is measured.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::data::DataError;
use crate::device::Device;
use crate::digest::{Digest, Hasher};
use crate::files;
use crate::ops::simd;
use crate::provenance::{self, Provenance};

/// Version of the file.
const VERSION: u32 = 1;

/// The file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: u32,
    /// What measured them.
    build: Digest,
    /// Where.
    processor: String,
    /// By kind of network.
    digests: BTreeMap<String, Digest>,
    /// Digest of all of the above.
    seal: Digest,
}

impl Kept {
    /// What this very build knows on this very processor; `None` on a GPU, and where it is not known which build this is.
    fn here(device: Device, digests: BTreeMap<String, Digest>) -> Option<Self> {
        if device != Device::Cpu {
            return None;
        }
        let machine = Provenance::here().machine;
        let features = machine.cpu_features.join(" ");
        let processor = format!("{}; {features}; kernels for {}", machine.cpu, simd::isa());
        let build = provenance::build()?;
        let kept = Kept { version: VERSION, build, processor, digests, seal: build };
        Some(Kept { seal: kept.sealed(), ..kept })
    }

    fn sealed(&self) -> Digest {
        let Kept { version, build, processor, digests, seal: _ } = self;
        let mut hasher = Hasher::new("i2m2 canaries");
        hasher.field(&version.to_le_bytes()).field(build.bytes()).field(processor.as_bytes());
        for (kind, digest) in digests {
            hasher.field(kind.as_bytes()).field(digest.bytes());
        }
        hasher.finish()
    }
}

fn path(out: &Path) -> PathBuf {
    out.join("canaries.json")
}

/// What is kept in a results folder and can be used here; nothing where in doubt.
pub(super) fn known(out: &Path, device: Device) -> BTreeMap<String, Digest> {
    let usable = || {
        let kept: Kept = serde_json::from_slice(&fs::read(path(out)).ok()?).ok()?;
        let digests = kept.digests.clone();
        // Equal in all fields, the seal among them.
        (Kept::here(device, digests)? == kept).then_some(kept.digests)
    };
    usable().unwrap_or_default()
}

/// Keeps digests that were measured here for the next call.
///
/// # Errors
/// A folder that cannot be written.
pub(super) fn keep(out: &Path, device: Device, digests: &BTreeMap<String, Digest>) -> Result<(), DataError> {
    match Kept::here(device, digests.clone()) {
        Some(kept) => {
            Ok(files::write_with(&path(out), |file| Ok(serde_json::to_writer_pretty(file, &kept)?))?)
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digests() -> BTreeMap<String, Digest> {
        ["lenet", "series-gru"].map(|kind| (kind.to_owned(), Digest::of(kind.as_bytes()))).into()
    }

    /// The file, with a change that is sealed as ours would be.
    fn forge(out: &Path, change: impl FnOnce(&mut Kept)) {
        let mut kept: Kept = serde_json::from_slice(&fs::read(path(out)).unwrap()).unwrap();
        change(&mut kept);
        kept.seal = kept.sealed();
        fs::write(path(out), serde_json::to_vec(&kept).unwrap()).unwrap();
    }

    #[test]
    fn what_was_kept_here_is_known_here() {
        let out = tempfile::tempdir().unwrap();
        assert_eq!(known(out.path(), Device::Cpu), BTreeMap::new());
        keep(out.path(), Device::Cpu, &digests()).unwrap();
        assert_eq!(known(out.path(), Device::Cpu), digests());
    }

    #[test]
    fn another_build_another_processor_or_another_device_knows_nothing() {
        let out = tempfile::tempdir().unwrap();
        let changes: [fn(&mut Kept); 4] = [
            |kept| kept.build = Digest::of(b"another"),
            |kept| kept.processor += " avx1024",
            |kept| kept.version += 1,
            |kept| kept.processor = kept.processor.replace("kernels for ", "kernels not for "),
        ];
        for change in changes {
            keep(out.path(), Device::Cpu, &digests()).unwrap();
            forge(out.path(), change);
            assert_eq!(known(out.path(), Device::Cpu), BTreeMap::new());
        }
        keep(out.path(), Device::Cpu, &digests()).unwrap();
        let gpu = Device::Cuda { index: 0, precision: crate::device::Precision::F32 };
        assert_eq!(known(out.path(), gpu), BTreeMap::new());
        let nowhere = tempfile::tempdir().unwrap();
        keep(nowhere.path(), gpu, &digests()).unwrap();
        assert!(!path(nowhere.path()).exists());
    }

    #[test]
    fn a_damaged_file_is_as_if_it_were_not_there() {
        let out = tempfile::tempdir().unwrap();
        keep(out.path(), Device::Cpu, &digests()).unwrap();
        let sound = fs::read(path(out.path())).unwrap();
        for place in 0..sound.len() {
            let mut damaged = sound.clone();
            damaged[place] ^= 1;
            fs::write(path(out.path()), &damaged).unwrap();
            let found = known(out.path(), Device::Cpu);
            // White space between the values may change.
            assert!(
                found.is_empty() || (sound[place].is_ascii_whitespace() && found == digests()),
                "{place}"
            );
        }
        for damaged in [&sound[..sound.len() / 2], b"", b"[]"] {
            fs::write(path(out.path()), damaged).unwrap();
            assert_eq!(known(out.path(), Device::Cpu), BTreeMap::new());
        }
    }
}
