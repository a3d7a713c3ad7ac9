//! What a pass through a network needs beside its inputs: tensors, noise, and who watches.
//!
//! Invariant: without noise a pass draws nothing; with it, every draw depends on the seed and the name of the part alone.

use super::FiberError;
use super::weights::Weights;
use crate::ops::drop::{Chance, drop_units};
use crate::ops::simd::Real;
use crate::ops::{Backend, Tokens};
use crate::random::Seeds;

/// Dropout and stochastic depth.
#[derive(Clone, Debug)]
pub enum Noise {
    /// None: evaluation.
    Off,
    /// Drawn from below this node: training. Steps, and passes that draw independently, have nodes of their own.
    On(Seeds),
}

impl Noise {
    /// How often a part drops, if it ever does.
    pub(super) fn chance(&self, probability: f64, path: &str) -> Option<Chance> {
        match self {
            Noise::On(seeds) if probability > 0.0 => Some(Chance { probability, seeds: seeds.child(path) }),
            _ => None,
        }
    }
}

/// Called with the output of each part, by the part's name.
pub type ForwardHook<'a, E, D> = &'a dyn Fn(&str, &Tokens<E, D>);

/// A forward pass through a network.
pub struct ForwardPass<'a, E: Real, D: Backend<E>> {
    pub(super) weights: &'a Weights<E, D>,
    pub(super) noise: &'a Noise,
    pub(super) hook: Option<ForwardHook<'a, E, D>>,
}

impl<E: Real, D: Backend<E>> ForwardPass<'_, E, D> {
    /// Drops units of `unit` elements.
    pub(super) fn drop<T: dfdx::prelude::Tape<E, D>>(
        &self,
        x: Tokens<E, D, T>,
        unit: usize,
        probability: f64,
        path: &str,
    ) -> Result<Tokens<E, D, T>, FiberError> {
        match self.noise.chance(probability, path) {
            Some(chance) => Ok(drop_units(x, unit, &chance)?),
            None => Ok(x),
        }
    }

    /// Shows a part's output.
    pub(super) fn show<T: dfdx::prelude::Tape<E, D>>(
        &self,
        path: &str,
        x: Tokens<E, D, T>,
    ) -> Tokens<E, D, T> {
        use dfdx::prelude::{PutTape, SplitTape};
        let Some(hook) = self.hook else { return x };
        let (x, tape) = x.split_tape();
        hook(path, &x);
        x.put_tape(tape)
    }
}
