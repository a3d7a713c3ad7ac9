//! Parallel parts that write disjoint elements of one output.
//!
//! Invariant: what a part computes does not depend on how many parts there are; so no bit depends on the number of
//! threads. With one thread, or too little work to share, everything runs in the calling thread.
#![allow(unsafe_code)]

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

/// Multiply-adds (or elements touched) below which waking another thread costs more than it brings.
const WORTH_SHARING: usize = 100_000;
/// Parts per thread: enough to even out unequal parts.
const PARTS_PER_THREAD: usize = 4;

/// Cuts `0..units` into neighbouring ranges and runs `part` on each, in parallel where `work` is worth it.
pub(super) fn for_each_range(units: usize, work: usize, part: impl Fn(Range<usize>) + Sync + Send) {
    let threads = rayon::current_num_threads();
    if threads == 1 || units < 2 || work < WORTH_SHARING {
        if units > 0 {
            part(0..units);
        }
        return;
    }
    let parts = (threads * PARTS_PER_THREAD).min(units);
    (0..parts).into_par_iter().with_max_len(1).for_each(|i| part(i * units / parts..(i + 1) * units / parts));
}

/// Cuts `output` into chunks of a multiple of `unit` elements (the last may have fewer) and runs `part` on each with the
/// offset of its first element, in parallel where `work` is worth it.
pub(super) fn for_each_chunk<E: Send>(
    output: &mut [E],
    unit: usize,
    work: usize,
    part: impl Fn(usize, &mut [E]) + Sync + Send,
) {
    let len = output.len();
    let output = Disjoint::new(output);
    for_each_range(len.div_ceil(unit.max(1)), work, |units| {
        let (first, end) = (units.start * unit, len.min(units.end * unit));
        // SAFETY: `at` checks that the chunk is within the output; the ranges, and so the chunks, are disjoint.
        part(first, unsafe { std::slice::from_raw_parts_mut(output.at(first, end - first), end - first) });
    });
}

/// An output that parallel parts write, each its own elements.
pub(super) struct Disjoint<'a, E> {
    first: *mut E,
    len: usize,
    output: PhantomData<&'a mut [E]>,
}

impl<E> Clone for Disjoint<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Disjoint<'_, E> {}

// SAFETY: a `Disjoint` only hands out pointers; whoever writes through them vouches that no two parts share an element.
unsafe impl<E: Send> Send for Disjoint<'_, E> {}
// SAFETY: as above.
unsafe impl<E: Send> Sync for Disjoint<'_, E> {}

impl<'a, E> Disjoint<'a, E> {
    /// An initialised output.
    pub(super) fn new(output: &'a mut [E]) -> Self {
        Disjoint { first: output.as_mut_ptr(), len: output.len(), output: PhantomData }
    }

    /// The first `len` elements of a vector's spare capacity: to be written before they are read.
    ///
    /// # Panics
    /// If the vector has less room.
    pub(super) fn spare(output: &'a mut Vec<E>, len: usize) -> Self {
        let spare = &mut output.spare_capacity_mut()[..len];
        Disjoint { first: spare.as_mut_ptr().cast(), len, output: PhantomData }
    }

    /// `count` elements from `offset` on, as a slice.
    ///
    /// # Safety
    /// No other part may have any of these elements while the slice lives, and they must be initialised.
    ///
    /// # Panics
    /// If they are not within the output.
    pub(super) unsafe fn slice(&self, offset: usize, count: usize) -> &'a mut [E] {
        // SAFETY: `at` checks that they are within the output; the caller vouches for the rest.
        unsafe { std::slice::from_raw_parts_mut(self.at(offset, count), count) }
    }

    /// A pointer to `count` elements from `offset` on.
    ///
    /// # Panics
    /// If they are not within the output.
    pub(super) fn at(&self, offset: usize, count: usize) -> *mut E {
        assert!(offset <= self.len && count <= self.len - offset, "a part writes outside of its output");
        // SAFETY: the offset was just checked to be within the output (or one past its end).
        unsafe { self.first.add(offset) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_visited_once() {
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for units in [0, 1, 2, 7, 100] {
                let mut counts = vec![0u32; units];
                let output = Disjoint::new(&mut counts);
                pool.install(|| {
                    for_each_range(units, usize::MAX, |range| {
                        for unit in range {
                            // SAFETY: the ranges are disjoint.
                            unsafe { *output.at(unit, 1) += 1 };
                        }
                    });
                });
                assert!(counts.iter().all(|&count| count == 1), "{threads} {units}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "outside of its output")]
    fn parts_stay_within_the_output() {
        let mut values = [0.0f32; 4];
        Disjoint::new(&mut values).at(2, 3);
    }
}
