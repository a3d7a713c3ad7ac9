//! Half-trained states: what a run continues from after an interruption.
//!
//! Invariant: a state names the run it belongs to and carries the digest of its payload; a state of another run, or a
//! damaged one, is refused and never continued. Format: magic, header length (u64, little-endian), JSON header, payload.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Store, StoreError};
use crate::digest::Digest;
use crate::engine::manifest::Spent;
use crate::files;

const MAGIC: &[u8; 8] = b"I2M2ST01";
/// No header is longer; a damaged length must not take memory.
const LONGEST_HEADER: u64 = 1 << 16;

/// A half-trained run.
#[derive(Clone, Debug, PartialEq)]
pub struct PartialRun {
    /// Epochs that are done.
    pub epochs: usize,
    /// What they cost.
    pub spent: Spent,
    /// What the trainer continues from.
    pub payload: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    key: Digest,
    epochs: usize,
    spent: Spent,
    payload: Digest,
}

impl Store {
    fn state_path(&self, key: Digest) -> PathBuf {
        self.root().join("partial").join(format!("{key}.state"))
    }

    /// The state of a half-trained run.
    ///
    /// # Errors
    /// [`StoreError::State`] when it is damaged or belongs to another run.
    pub fn state(&self, key: Digest) -> Result<Option<PartialRun>, StoreError> {
        let path = self.state_path(key);
        let Some(bytes) = files::if_there(fs::read(&path)).map_err(StoreError::io("read", &path))? else {
            return Ok(None);
        };
        decode(key, &bytes).map(Some).map_err(|problem| StoreError::State { path, problem })
    }

    /// Replaces the state of a run; an interruption leaves the old or the new. Hold the run's lock.
    ///
    /// # Errors
    /// When the disk refuses; the old state is then still there.
    pub fn put_state(
        &self,
        key: Digest,
        epochs: usize,
        spent: Spent,
        payload: &[u8],
    ) -> Result<(), StoreError> {
        let path = self.state_path(key);
        let header = Header { key, epochs, spent, payload: Digest::of(payload) };
        let header = serde_json::to_vec(&header)
            .map_err(|e| StoreError::Encode { path: path.clone(), problem: e.to_string() })?;
        let length = (header.len() as u64).to_le_bytes();
        let folder = self.create("partial")?;
        let aside = self.fresh("tmp", &format!("{}.state", key.short()))?;
        let written = self
            .disk()
            .write(&aside, &[MAGIC, &length, &header, payload])
            .and_then(|()| self.disk().rename(&aside, &path))
            .and_then(|()| self.disk().sync_folder(&folder));
        self.or_clean(written, "write", &path, &aside)
    }

    /// The runs that have a state, usable or not.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn states(&self) -> Result<BTreeSet<Digest>, StoreError> {
        let paths = super::entries(&self.root().join("partial"))?;
        Ok(paths.iter().filter_map(|path| path.file_stem()?.to_str()?.parse().ok()).collect())
    }

    /// Removes the state of a run, if there is one. Hold the run's lock.
    pub fn remove_state(&self, key: Digest) -> Result<(), StoreError> {
        let path = self.state_path(key);
        self.disk().remove(&path).map_err(StoreError::io("remove", &path))
    }

    /// Moves a state that cannot be used aside; says where to. Hold the run's lock.
    pub fn quarantine_state(&self, key: Digest) -> Result<PathBuf, StoreError> {
        self.create("quarantine")?;
        let to = self.fresh("quarantine", &format!("{key}.state"))?;
        let from = self.state_path(key);
        self.disk().rename(&from, &to).map_err(StoreError::io("move", &from))?;
        Ok(to)
    }
}

fn decode(key: Digest, bytes: &[u8]) -> Result<PartialRun, String> {
    let rest =
        bytes.strip_prefix(MAGIC).ok_or("it does not begin as a state does, or is of another version")?;
    let (length, rest) = rest.split_first_chunk::<8>().ok_or("it is truncated")?;
    let length = u64::from_le_bytes(*length);
    if length > LONGEST_HEADER || length > rest.len() as u64 {
        return Err(format!("its header claims {length} bytes, more than there are"));
    }
    let (header, payload) = rest.split_at(length as usize);
    let header: Header =
        serde_json::from_slice(header).map_err(|e| format!("its header is not valid ({e})"))?;
    if header.key != key {
        return Err(format!("it belongs to run {}, expected {}", header.key.short(), key.short()));
    }
    let found = Digest::of(payload);
    if header.payload != found {
        return Err(format!(
            "expected a payload of digest {}, found {}",
            header.payload.short(),
            found.short()
        ));
    }
    Ok(PartialRun { epochs: header.epochs, spent: header.spent, payload: payload.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_other_runs_and_damaged_states_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path());
        let [mine, other] = [Digest::of(b"mine"), Digest::of(b"other")];
        assert_eq!(store.state(mine).unwrap(), None);
        let spent = Spent { steps: 7, training_seconds: 0.25, wall_seconds: 0.5 };
        store.put_state(mine, 3, spent, b"payload").unwrap();
        store.put_state(mine, 4, spent, b"payload of epoch 4").unwrap();
        let state = store.state(mine).unwrap().unwrap();
        assert_eq!(
            (state.epochs, state.spent, state.payload.as_slice()),
            (4, spent, b"payload of epoch 4".as_slice())
        );

        fs::copy(store.state_path(mine), store.state_path(other)).unwrap();
        let error = store.state(other).unwrap_err();
        assert!(error.to_string().contains("belongs to run"), "{error}");

        let bytes = fs::read(store.state_path(mine)).unwrap();
        for end in 0..bytes.len() {
            assert!(decode(mine, &bytes[..end]).is_err(), "truncated at {end}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            // A changed cost is the one thing that moves no number; everything else is found.
            if let Ok(state) = decode(mine, &changed) {
                assert_eq!(state.payload, b"payload of epoch 4");
            }
        }
        let to = store.quarantine_state(mine).unwrap();
        assert!(to.is_file() && store.state(mine).unwrap().is_none());
    }
}
