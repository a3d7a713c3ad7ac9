//! Features of two encoders above each other.

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;

use dfdx::prelude::*;

use crate::device::{self, Storage1};
use crate::ops::simd::Real;
use crate::ops::{Backend, Features, OpError};

const OP: &str = "concat";

/// The kernels of [`concat`].
pub trait Concat<E: Real>: Storage<E> {
    /// The features of `first`, then those of `second`.
    ///
    /// # Errors
    /// If the device fails.
    fn concat(
        &self,
        first: &Features<E, Self>,
        second: &Features<E, Self>,
    ) -> Result<Features<E, Self>, Self::Err>;

    /// Adds the part of the output's gradient that begins at element `from` to the gradient of an input.
    ///
    /// # Errors
    /// If the device fails.
    fn concat_backward(
        &self,
        gradient: &Storage1<Self, E>,
        from: usize,
        input: &mut Storage1<Self, E>,
    ) -> Result<(), Self::Err>;
}

/// `(f1, n)` and `(f2, n)` to `(f1 + f2, n)`, the first one's features first.
///
/// # Errors
/// [`OpError::Shape`] if the batches differ; [`OpError::Device`] if the device fails.
pub(crate) fn concat<E, D, T, R>(
    first: Features<E, D, T>,
    second: Features<E, D, R>,
) -> Result<Features<E, D, T>, OpError>
where
    E: Real,
    D: Backend<E>,
    T: Tape<E, D> + Merge<R>,
    R: Tape<E, D>,
{
    if first.shape().1 != second.shape().1 {
        let found = format!("{:?} and {:?}", first.shape(), second.shape());
        return Err(OpError::shape(OP, "two inputs of the same batch", found));
    }
    let (first, tape) = first.try_contiguous().map_err(OpError::device(OP))?.split_tape();
    let (second, other) = second.try_contiguous().map_err(OpError::device(OP))?.split_tape();
    let mut tape = tape.merge(other);
    let dev = first.device().clone();
    let out = dev.concat(&first, &second).map_err(OpError::device(OP))?;
    if T::OWNS_TAPE {
        let len = first.shape().0 * first.shape().1;
        let (first, second, ghost) = (first.ghost(), second.ghost(), out.ghost());
        tape.add_backward_op(move |grads| {
            let gradient = device::take::<E, D>(&dev, grads.get_or_alloc_mut(&ghost)?)?;
            dev.concat_backward(&gradient, 0, grads.get_or_alloc_mut(&first)?)?;
            dev.concat_backward(&gradient, len, grads.get_or_alloc_mut(&second)?)
        });
    }
    Ok(out.put_tape(tape))
}

#[cfg(test)]
mod tests {
    use dfdx::prelude::*;

    use super::concat;
    use crate::ops::OpError;
    use crate::ops::testing::{assert_gradients, numbers, pass};

    #[test]
    fn stacks_features_and_splits_gradients() {
        let leaves = [numbers("first", 3 * 4), numbers("second", 2 * 4)];
        assert_gradients(&leaves, |leaves| {
            pass(leaves, |_, leaves| {
                let first = leaves[0].value.clone().leaky_traced().reshape_like(&(3, 4));
                concat(first, leaves[1].value.clone().reshape_like(&(2, 4))).unwrap()
            })
        });
    }

    #[test]
    fn merges_tapes_and_takes_the_same_input_twice() {
        let dev = Cpu::default();
        let x = dev.tensor_from_vec(vec![1.0f32, 2.0], (1, 2));
        let out = concat(x.leaky_trace() * 2.0, x.leaky_trace() * 3.0).unwrap();
        assert_eq!(out.as_vec(), [2.0, 4.0, 3.0, 6.0]);
        assert_eq!(out.sum::<Rank0, _>().backward().get(&x).as_vec(), [5.0, 5.0]);
        let out = concat(x.leaky_trace(), x.clone()).unwrap();
        assert_eq!(out.sum::<Rank0, _>().backward().get(&x).as_vec(), [2.0, 2.0]);
    }

    #[test]
    fn different_batches_are_an_error() {
        let dev = Cpu::default();
        let (first, second): (Tensor<_, f32, _>, Tensor<_, f32, _>) =
            (dev.zeros_like(&(1, 2)), dev.zeros_like(&(1, 3)));
        assert!(matches!(concat(first, second).unwrap_err(), OpError::Shape { .. }));
    }
}
