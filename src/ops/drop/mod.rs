//! Dropout of elements, and of whole branches sample by sample (stochastic depth).
//!
//! Invariant: what is dropped depends on the stream alone, not on the device: units are drawn in order, two of one draw of 64 bits.
//! What is kept is divided by the probability of being kept.

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(test)]
mod tests;

use dfdx::prelude::*;

use crate::device::{self, Storage1};
use crate::ops::simd::Real;
use crate::ops::{Backend, OpError, Tokens};
use crate::random::Seeds;

const OP: &str = "drop";

/// How often units are dropped, and the node of the seed tree that decides which.
#[derive(Clone, Debug)]
pub struct Chance {
    /// The probability that a unit is dropped: at least 0 and below 1.
    pub probability: f64,
    /// Where the draws come from.
    pub seeds: Seeds,
}

impl Chance {
    /// Which of `units` are kept, in order.
    pub fn draw(&self, units: usize) -> Vec<bool> {
        let limit = self.limit();
        let mut stream = self.seeds.stream();
        let mut kept = Vec::with_capacity(units + 1);
        while kept.len() < units {
            let bits = stream.bits();
            kept.extend([bits & 0xffff_ffff, bits >> 32].map(|half| half >= limit));
        }
        kept.truncate(units);
        kept
    }

    /// A unit is kept if its 32 bits are no number below this.
    fn limit(&self) -> u64 {
        (self.probability * (1u64 << 32) as f64) as u64
    }

    /// What is kept is multiplied by this.
    pub fn scale(&self) -> f64 {
        1.0 / (1.0 - self.probability)
    }

    /// Whether anything is ever dropped.
    pub fn is_none(&self) -> bool {
        self.probability <= 0.0
    }
}

/// The kernels of [`drop_units`].
pub trait DropUnits<E: Real>: Storage<E> {
    /// Which units are kept, where the kernels read it.
    type Kept: Clone + 'static;

    /// Draws which of `units` are kept, as [`Chance::draw`] does.
    ///
    /// # Errors
    /// If the device fails.
    fn draw_units(&self, chance: &Chance, units: usize) -> Result<Self::Kept, Self::Err>;

    /// The elements of units that are kept, multiplied by `scale`; zero elsewhere. There is a decision for each `unit`
    /// neighbouring elements.
    ///
    /// # Errors
    /// If the device fails.
    fn drop_units(
        &self,
        x: &Tokens<E, Self>,
        kept: &Self::Kept,
        unit: usize,
        scale: f64,
    ) -> Result<Tokens<E, Self>, Self::Err>;

    /// Adds `gradient`, dropped in the same way, to another.
    ///
    /// # Errors
    /// If the device fails.
    fn drop_units_backward(
        &self,
        gradient: &Storage1<Self, E>,
        kept: &Self::Kept,
        unit: usize,
        scale: f64,
        into: &mut Storage1<Self, E>,
    ) -> Result<(), Self::Err>;
}

/// Drops units of neighbouring elements: 1 is dropout, the elements of one sample are stochastic depth.
///
/// # Errors
/// [`OpError::Shape`] if the elements are no whole units or the probability is not in [0, 1); [`OpError::Device`] if the device
/// fails.
pub fn drop_units<E: Real, D: Backend<E>, T: Tape<E, D>>(
    x: Tokens<E, D, T>,
    unit: usize,
    chance: &Chance,
) -> Result<Tokens<E, D, T>, OpError> {
    let &(rows, features) = x.shape();
    if unit == 0 || !(rows * features).is_multiple_of(unit) || !(0.0..1.0).contains(&chance.probability) {
        let expected = format!("whole units of {unit} elements, dropped with a probability in [0, 1)");
        return Err(OpError::shape(OP, expected, format!("{rows} x {features}, {}", chance.probability)));
    }
    if chance.is_none() {
        return Ok(x);
    }
    let (x, mut tape) = x.try_contiguous().map_err(OpError::device(OP))?.split_tape();
    let dev = x.device().clone();
    let kept = dev.draw_units(chance, rows * features / unit).map_err(OpError::device(OP))?;
    let scale = chance.scale();
    let out = dev.drop_units(&x, &kept, unit, scale).map_err(OpError::device(OP))?;
    if T::OWNS_TAPE {
        let (x, ghost) = (x.ghost(), out.ghost());
        tape.add_backward_op(move |grads| {
            let gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&ghost)?)?;
            dev.drop_units_backward(&gradient, &kept, unit, scale, grads.get_or_alloc_mut(&x)?)
        });
    }
    Ok(out.put_tape(tape))
}
