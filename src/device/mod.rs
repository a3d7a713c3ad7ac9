//! The one place that reaches into dfdx's storage.
//!
//! Invariant: a slice is only made of a contiguous tensor, whose elements dfdx keeps in one vector; nothing outside
//! this module knows how dfdx stores a tensor.
#![allow(unsafe_code)]

#[cfg(feature = "cuda")]
pub mod cuda;
mod memory;

use dfdx::prelude::*;
use dfdx::shapes::{Shape, Unit};

pub use memory::keep_freed_memory;

/// Where runs are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Device {
    /// The CPU.
    Cpu,
    /// A GPU; only in a build with the feature `cuda`.
    Cuda {
        /// Its number.
        index: usize,
        /// What its products are computed in.
        precision: Precision,
    },
}

/// What the products of convolutions, linear layers and fusions are computed in; sums, norms and everything else are f32 or f64.
/// Part of the device class, and so of every key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum Precision {
    // 24 bits of significand.
    /// Single precision.
    #[default]
    F32,
    // To 11 bits of significand, as tensor cores read them; on a GPU only.
    /// Operands rounded to TF32, sums in f32.
    Tf32,
}

/// dfdx's storage vector of a device: what gradients are kept in. On [`Cpu`] it dereferences to `Vec<E>`.
pub type Storage1<D, E> = <D as Storage<E>>::Vec;

/// Writing the storage of a gradient from the host: for tests and self-tests, no step needs it.
pub trait Fill<E>: Storage<E> {
    /// Overwrites all elements; there are as many values.
    ///
    /// # Errors
    /// If the device fails.
    fn fill(&self, storage: &mut Self::Vec, values: &[E]) -> Result<(), Self::Err>;
}

impl<E: Unit> Fill<E> for Cpu {
    fn fill(&self, storage: &mut Self::Vec, values: &[E]) -> Result<(), CpuError> {
        if storage.len() != values.len() {
            return Err(CpuError::WrongNumElements);
        }
        storage.copy_from_slice(values);
        Ok(())
    }
}

/// Takes a gradient out of its place, so that it is freed as soon as the caller is done with it.
///
/// # Errors
/// If the device has no room for the empty one that takes its place.
pub fn take<E, D: Storage<E>>(device: &D, gradient: &mut D::Vec) -> Result<D::Vec, D::Err> {
    Ok(std::mem::replace(gradient, device.try_alloc_len(0)?))
}

/// [`take`] of a tensor's gradient, where it wants one.
///
/// # Errors
/// As [`take`], and if the device has no room for a gradient that is not there yet.
pub fn take_wanted<S: Shape, E, D: Storage<E>>(
    device: &D,
    gradients: &mut Gradients<E, D>,
    tensor: Option<&Tensor<S, E, D>>,
) -> Result<Option<D::Vec>, D::Err> {
    tensor.map(|tensor| take(device, gradients.get_or_alloc_mut(tensor)?)).transpose()
}

/// Puts a gradient back that [`take_wanted`] has taken.
///
/// # Errors
/// As [`take_wanted`].
pub fn put_back<S: Shape, E, D: Storage<E>>(
    gradients: &mut Gradients<E, D>,
    tensor: Option<&Tensor<S, E, D>>,
    gradient: Option<D::Vec>,
) -> Result<(), D::Err> {
    if let (Some(tensor), Some(gradient)) = (tensor, gradient) {
        *gradients.get_or_alloc_mut(tensor)? = gradient;
    }
    Ok(())
}

/// Whether a tensor's elements stand in row-major order without gaps.
pub fn is_contiguous<S: Shape, E: Unit, T>(tensor: &Tensor<S, E, Cpu, T>) -> bool {
    if S::NUM_DIMS == 0 || tensor.shape().num_elements() == 0 {
        return true;
    }
    let dims = tensor.shape().concrete();
    let base = std::ptr::from_ref(&tensor[S::Concrete::default()]) as usize;
    let mut expected = size_of::<E>();
    for axis in (0..S::NUM_DIMS).rev() {
        if dims[axis] > 1 {
            let mut index = S::Concrete::default();
            index[axis] = 1;
            if std::ptr::from_ref(&tensor[index]) as usize != base + expected {
                return false;
            }
        }
        expected *= dims[axis];
    }
    true
}

/// Reads a contiguous CPU tensor without a copy.
///
/// # Panics
/// If the tensor is not contiguous (a broadcast or permuted view): a bug of the calling op, not of any input.
pub fn read<S: Shape, E: Unit, T>(tensor: &Tensor<S, E, Cpu, T>) -> &[E] {
    assert!(is_contiguous(tensor), "an op was given a tensor that is not contiguous");
    let len = tensor.shape().num_elements();
    if len == 0 {
        return &[];
    }
    let first: *const E = &raw const tensor[S::Concrete::default()];
    // SAFETY: dfdx keeps all elements of a tensor in one `Vec<E>`; the first element's address was taken through
    // its bounds-checked index, and contiguity of all `len` elements was checked above.
    unsafe { std::slice::from_raw_parts(first, len) }
}

/// Writes a contiguous CPU tensor in place; a shared buffer is made unique first.
///
/// # Panics
/// As [`read`].
pub fn write<S: Shape, E: Unit, T>(tensor: &mut Tensor<S, E, Cpu, T>) -> &mut [E] {
    assert!(is_contiguous(tensor), "an op was given a tensor that is not contiguous");
    let len = tensor.shape().num_elements();
    if len == 0 {
        return &mut [];
    }
    let first: *mut E = &raw mut tensor[S::Concrete::default()];
    // SAFETY: as in `read`; `IndexMut` made the buffer unique (`Arc::make_mut`), and the borrow of the tensor
    // keeps it so.
    unsafe { std::slice::from_raw_parts_mut(first, len) }
}
