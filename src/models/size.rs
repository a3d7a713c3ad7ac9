//! Memory that training a network takes, before anything is built.
//!
//! Invariant: an estimate counts what a step keeps, and is asked for only of networks large enough to matter.

use super::expert::sizes;
use crate::data::Modality;
use crate::study::Network;

/// Whether a training step of a network needs memory worth asking about.
pub fn is_large(network: &Network) -> bool {
    matches!(network, Network::Backbone { .. })
}

/// Bytes that a training step of a network keeps in single precision; `None` for networks too small to ask about.
pub fn step_bytes(network: &Network, modalities: &[Modality], logits: usize, batch: usize) -> Option<u64> {
    let Network::Backbone { backbone } = network else { return None };
    let first = backbone.modalities().first()?;
    let modality = modalities.iter().find(|modality| modality.name == *first)?;
    let &[_, height, width] = &modality.dims[..] else { return None };
    let kept = sizes(backbone).kept(height, width, logits);
    Some(4 * (kept.per_example * batch as u64 + kept.network))
}
