//! Locks between processes.
//!
//! Invariant: a lock is the operating system's, held through an open file, so `kill -9` frees it at once. Lock files are
//! empty and are never removed while anybody may hold one.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::StoreError;

/// Held while this value lives.
#[must_use = "the lock is freed when this is dropped"]
pub struct Lock {
    _file: File,
}

/// How a lock is held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Beside other holders of the same mode.
    Shared,
    /// Alone.
    Exclusive,
}

/// Takes a lock if nobody is in the way; `None` otherwise. Creates the file; its folder must be there.
pub(super) fn try_lock(path: &Path, mode: Mode) -> Result<Option<Lock>, StoreError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(StoreError::io("create", path))?;
    let locked = match mode {
        Mode::Shared => file.try_lock_shared(),
        Mode::Exclusive => file.try_lock(),
    };
    match locked {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => {
            Err(StoreError::Io { action: "lock", path: path.to_owned(), source })
        }
    }
}
