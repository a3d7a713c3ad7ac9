//! A file of weights: safetensors, mapped into memory.
//!
//! Invariant: nothing is unpickled. What `torch.save` wrote is recognised by its first bytes, and named with the script that converts it.

use std::path::Path;

use safetensors::SafeTensors;

use super::FiberError;
use crate::data::Mapped;

/// What to do about a pickle.
const CONVERT: &str = "convert it once with scripts/convert_checkpoint.py";
/// What to do about anything else.
const CHECK: &str = "check that this is the right file, or make it with scripts/convert_checkpoint.py";

/// A file of weights. Its tensors are read where they are wanted, and copied once, into the network.
#[derive(Debug)]
pub struct WeightsFile {
    file: String,
    bytes: Mapped,
}

impl WeightsFile {
    /// Maps a file.
    ///
    /// # Errors
    /// [`FiberError::Data`] if there is none; [`FiberError::NoSafetensors`] if it is something else, with what it is.
    pub fn open(path: &Path) -> Result<Self, FiberError> {
        let bytes = Mapped::open(path, "weights as safetensors", CHECK)?;
        let file = path.display().to_string();
        match pickle(&bytes) {
            Some(found) => Err(FiberError::NoSafetensors { file, found: found.to_owned(), remedy: CONVERT }),
            None => Ok(WeightsFile { file, bytes }),
        }
    }

    /// Its tensors, by name.
    ///
    /// # Errors
    /// [`FiberError::NoSafetensors`] if its header is not that of safetensors, or promises other bytes than there are.
    pub fn tensors(&self) -> Result<SafeTensors<'_>, FiberError> {
        SafeTensors::deserialize(&self.bytes).map_err(|error| FiberError::NoSafetensors {
            file: self.file.clone(),
            found: format!("{} bytes that are none ({error})", self.bytes.len()),
            remedy: CHECK,
        })
    }
}

/// What a file is, if Python pickled it.
fn pickle(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [b'P', b'K', 3, 4, ..] => {
            Some("a zip archive, as torch.save writes it: a pickle, which could run any code")
        }
        [0x80, 2..=5, ..] => {
            Some("a pickle, as torch.save wrote it before PyTorch 1.6: it could run any code")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pickles_are_refused_by_name_and_so_is_what_is_no_safetensors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        let refusal = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let error = WeightsFile::open(&path).and_then(|file| file.tensors().map(|_| ())).unwrap_err();
            assert!(matches!(error, FiberError::NoSafetensors { .. }), "{error}");
            error.to_string()
        };
        for (bytes, what) in
            [(&b"PK\x03\x04archive/data.pkl"[..], "zip archive"), (b"\x80\x02\x8a\nl\xfc", "pickle")]
        {
            let message = refusal(bytes);
            assert!(message.contains(what) && message.contains("scripts/convert_checkpoint.py"), "{message}");
        }
        for bytes in [&b""[..], b"{}", b"\xff\xff\xff\xff\xff\xff\xff\x7f{}"] {
            assert!(refusal(bytes).contains("bytes that are none"));
        }
        assert!(matches!(WeightsFile::open(folder.path()), Err(FiberError::Data(_))));
    }
}
