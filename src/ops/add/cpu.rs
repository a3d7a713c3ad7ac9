//! [`AddMaps`] on the CPU.
#![allow(unsafe_code)]

use dfdx::prelude::*;

use super::AddMaps;
use crate::device::{self, Storage1};
use crate::ops::Maps;
use crate::ops::parallel::{Disjoint, for_each_chunk, for_each_range};
use crate::ops::simd::{Kernel, LANES, Lanes, Real};

/// Elements of the smallest part.
const UNIT: usize = 4096;

impl<E: Real> AddMaps<E> for Cpu {
    fn add_maps(&self, a: &Maps<E, Self>, b: &Maps<E, Self>) -> Result<Maps<E, Self>, CpuError> {
        let shape = *a.shape();
        let (a, b) = (device::read(a), device::read(b));
        let len = a.len();
        let mut values = Vec::with_capacity(len);
        let out = Disjoint::spare(&mut values, len);
        for_each_range(len.div_ceil(UNIT), len, |units| {
            let (first, end) = (units.start * UNIT, len.min(units.end * UNIT));
            let out = out.at(first, end - first);
            E::dispatch(Sum { a: &a[first..end], b: &b[first..end], out });
        });
        // SAFETY: `Sum` wrote every element of every part.
        unsafe { values.set_len(len) };
        self.try_tensor_from_vec(values, shape)
    }

    fn add_gradient(
        &self,
        gradient: &Storage1<Self, E>,
        into: &mut Storage1<Self, E>,
    ) -> Result<(), CpuError> {
        let len = into.len();
        for_each_chunk(into, UNIT, len, |first, into| {
            E::dispatch(Accumulate { from: &gradient[first..][..into.len()], into });
        });
        Ok(())
    }
}

/// `out = a + b`.
struct Sum<'a, E> {
    a: &'a [E],
    b: &'a [E],
    out: *mut E,
}

impl<E: Real> Kernel<E> for Sum<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let mut out = self.out;
        for (a, b) in self.a.chunks(LANES).zip(self.b.chunks(LANES)) {
            let sum = V::read(a).add(V::read(b));
            // SAFETY: the output has an element for each of the input's, and so room for this part.
            unsafe {
                if a.len() == LANES {
                    sum.store(out);
                } else {
                    sum.store_first(out, a.len());
                }
                out = out.add(a.len());
            }
        }
    }
}

/// `into += from`.
struct Accumulate<'a, E> {
    from: &'a [E],
    into: &'a mut [E],
}

impl<E: Real> Kernel<E> for Accumulate<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        for (into, from) in self.into.chunks_mut(LANES).zip(self.from.chunks(LANES)) {
            V::read(into).add(V::read(from)).write(into);
        }
    }
}
