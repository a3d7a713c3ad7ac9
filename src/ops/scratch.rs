//! Memory that a CPU kernel works in, handed on from step to step.
//!
//! Invariant: a buffer holds whatever its last user left there. A kernel writes before it reads, so no number depends on
//! which buffer it was given.

use std::ops::{Deref, DerefMut};

use super::simd::Real;

/// Buffers a thread keeps; a step of this project's networks uses fewer than ten at a time.
const KEPT: usize = 32;

/// A buffer, given back to its thread when it is dropped.
#[derive(Debug)]
pub struct Scratch<E: Real>(Vec<E>);

impl<E: Real> Scratch<E> {
    /// A buffer of this many elements with arbitrary values: one that was used for the same length before, if there is.
    pub fn of(len: usize) -> Self {
        let kept = E::buffers().try_with(|kept| {
            let mut kept = kept.borrow_mut();
            let place = kept.iter().rposition(|buffer| buffer.len() == len)?;
            Some(kept.swap_remove(place))
        });
        Scratch(kept.ok().flatten().unwrap_or_else(|| vec![E::ZERO; len]))
    }

    /// A buffer full of zeros.
    pub fn zeros(len: usize) -> Self {
        let mut scratch = Scratch::of(len);
        scratch.fill(E::ZERO);
        scratch
    }
}

impl<E: Real> Drop for Scratch<E> {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        // A thread that is ending keeps nothing any more: the buffer is freed.
        let _ = E::buffers().try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.len() == KEPT {
                kept.remove(0);
            }
            kept.push(buffer);
        });
    }
}

impl<E: Real> Deref for Scratch<E> {
    type Target = [E];

    fn deref(&self) -> &[E] {
        &self.0
    }
}

impl<E: Real> DerefMut for Scratch<E> {
    fn deref_mut(&mut self) -> &mut [E] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_length_gets_the_same_memory_again() {
        let first = Scratch::<f32>::of(1234);
        let address = first.as_ptr();
        let second = Scratch::<f32>::of(1234);
        assert_ne!(address, second.as_ptr(), "two at a time must not share");
        drop(first);
        let mut third = Scratch::<f32>::of(1234);
        assert_eq!(address, third.as_ptr());
        third.fill(7.0);
        drop(third);
        assert!(Scratch::<f32>::zeros(1234).iter().all(|&x| x == 0.0));
    }

    #[test]
    fn a_thread_keeps_a_bounded_number() {
        for len in 1..200 {
            drop(Scratch::<f64>::of(len));
        }
        f64::buffers().with(|kept| assert_eq!(kept.borrow().len(), KEPT));
    }
}
