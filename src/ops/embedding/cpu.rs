//! [`Embedding`] on the CPU: copies of rows. A text has few tokens, so one thread does it.

use dfdx::prelude::*;

use super::Embedding;
use crate::device::{self, Storage1};
use crate::ops::Tokens;
use crate::ops::simd::Real;

impl<E: Real> Embedding<E> for Cpu {
    fn embedding(
        &self,
        table: &Tensor<(usize,), E, Self>,
        features: usize,
        ids: &[u32],
    ) -> Result<Tokens<E, Self>, CpuError> {
        let table = device::read(table);
        let mut out = Vec::with_capacity(ids.len() * features);
        for &id in ids {
            out.extend_from_slice(&table[id as usize * features..][..features]);
        }
        self.try_tensor_from_vec(out, (ids.len(), features))
    }

    fn embedding_backward(
        &self,
        features: usize,
        ids: &[u32],
        padding: Option<u32>,
        gradient: &Storage1<Self, E>,
        into: &mut Storage1<Self, E>,
    ) -> Result<(), CpuError> {
        for (&id, gradient) in ids.iter().zip(gradient.chunks(features.max(1))) {
            if Some(id) != padding {
                let into = &mut into[id as usize * features..][..features];
                into.iter_mut().zip(gradient).for_each(|(into, gradient)| *into += *gradient);
            }
        }
        Ok(())
    }
}
