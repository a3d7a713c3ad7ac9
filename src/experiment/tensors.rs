//! Named tensors, on disk as safetensors.
//!
//! Invariant: the digest is over names, dimensions and values in name order, not over a file's bytes.

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::digest::{Digest, Hasher};

/// One tensor in 32-bit floats, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorData {
    /// Dimensions; empty for a scalar.
    pub dims: Vec<usize>,
    /// Values.
    pub values: Vec<f32>,
}

/// Tensors by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensors(pub BTreeMap<String, TensorData>);

/// Why tensors could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TensorsError {
    /// The container is not valid safetensors.
    #[error("not a valid safetensors container: {0}")]
    Container(#[from] safetensors::SafeTensorError),
    /// A tensor has a type other than F32.
    #[error("tensor `{name}` holds {found}, expected F32")]
    Dtype {
        /// The tensor.
        name: String,
        /// What it holds.
        found: String,
    },
}

impl Tensors {
    /// Serialises with string metadata, if there is any.
    pub fn to_bytes(&self, metadata: HashMap<String, String>) -> Result<Vec<u8>, TensorsError> {
        let bytes: BTreeMap<&str, Vec<u8>> = self
            .0
            .iter()
            .map(|(name, tensor)| {
                (name.as_str(), tensor.values.iter().flat_map(|v| v.to_le_bytes()).collect())
            })
            .collect();
        let views = self
            .0
            .iter()
            .map(|(name, tensor)| {
                Ok((name.as_str(), TensorView::new(Dtype::F32, tensor.dims.clone(), &bytes[name.as_str()])?))
            })
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
        Ok(safetensors::serialize(views, (!metadata.is_empty()).then_some(metadata))?)
    }

    /// Reads back what [`Tensors::to_bytes`] wrote; also returns the metadata.
    pub fn from_bytes(bytes: &[u8]) -> Result<(Self, HashMap<String, String>), TensorsError> {
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let mut tensors = BTreeMap::new();
        for (name, view) in SafeTensors::deserialize(bytes)?.tensors() {
            if view.dtype() != Dtype::F32 {
                return Err(TensorsError::Dtype { name, found: format!("{:?}", view.dtype()) });
            }
            let values =
                view.data().as_chunks::<4>().0.iter().map(|&chunk| f32::from_le_bytes(chunk)).collect();
            tensors.insert(name, TensorData { dims: view.shape().to_vec(), values });
        }
        Ok((Tensors(tensors), metadata))
    }

    /// Identity of names, dimensions and values.
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new("i2m2 tensors v1");
        for (name, tensor) in &self.0 {
            hasher.field(name.as_bytes());
            hasher.field(&(tensor.dims.len() as u64).to_le_bytes());
            for dim in &tensor.dims {
                hasher.field(&(*dim as u64).to_le_bytes());
            }
            hasher.field(&((tensor.values.len() * 4) as u64).to_le_bytes());
            for value in &tensor.values {
                hasher.raw(&value.to_le_bytes());
            }
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Tensors {
        Tensors(BTreeMap::from([
            ("b".to_owned(), TensorData { dims: vec![2, 1], values: vec![1.0, -0.0] }),
            ("a".to_owned(), TensorData { dims: vec![], values: vec![f32::MIN_POSITIVE] }),
        ]))
    }

    #[test]
    fn round_trips_bit_for_bit() {
        let bytes = sample().to_bytes(HashMap::from([("key".to_owned(), "k".to_owned())])).unwrap();
        let (read, metadata) = Tensors::from_bytes(&bytes).unwrap();
        assert_eq!(read.digest(), sample().digest());
        assert_eq!(metadata["key"], "k");
    }

    #[test]
    fn truncated_bytes_are_an_error() {
        let bytes = sample().to_bytes(HashMap::new()).unwrap();
        for end in 0..bytes.len() {
            assert!(Tensors::from_bytes(&bytes[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn every_bit_counts() {
        let mut other = sample();
        other.0.get_mut("b").unwrap().values[1] = 0.0;
        assert_ne!(other.digest(), sample().digest());
    }
}
