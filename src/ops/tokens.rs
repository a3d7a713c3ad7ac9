//! Streams of tokens: their sum, two readers of one, and rows beside each other.
//!
//! Invariant: nothing here has a kernel of its own: these are orders of rows, and the ops of maps and features.

use dfdx::prelude::*;

use super::simd::Real;
use super::{Backend, OpError, Tokens, rows};

/// The sum of two streams of one shape: a residual connection.
///
/// # Errors
/// [`OpError::Shape`] if the shapes differ; [`OpError::Device`] if the device fails.
pub fn add<E: Real, D: Backend<E>, T: Tape<E, D>>(
    a: Tokens<E, D, T>,
    b: Tokens<E, D, T>,
) -> Result<Tokens<E, D, T>, OpError> {
    let (&(rows, features), &(others, width)) = (a.shape(), b.shape());
    let a = a.try_reshape_like(&(rows, features, 1, 1)).map_err(OpError::device("add"))?;
    let b = b.try_reshape_like(&(others, width, 1, 1)).map_err(OpError::device("add"))?;
    let sum = super::add::add(a, b)?;
    sum.try_reshape_like(&(rows, features)).map_err(OpError::device("add"))
}

/// Two readers of one stream: both add to its gradient.
pub fn fork<E: Real, D: Device<E>, T: Tape<E, D>>(x: Tokens<E, D, T>) -> (Tokens<E, D, T>, Tokens<E, D, T>) {
    let (x, tape) = x.split_tape();
    (x.clone().put_tape(tape), x.put_tape(T::default()))
}

/// Rows of two streams beside each other: `(n, a)` and `(n, b)` to `(n, a + b)`, where `b` is a multiple of `a`.
///
/// # Errors
/// [`OpError::Shape`] if the rows differ in number or the widths do not fit; [`OpError::Device`] if the device fails.
pub fn beside<E: Real, D: Backend<E>, T: Tape<E, D>>(
    first: Tokens<E, D, T>,
    second: Tokens<E, D, T>,
) -> Result<Tokens<E, D, T>, OpError> {
    const OP: &str = "beside";
    let (&(samples, width), &(others, other)) = (first.shape(), second.shape());
    if samples != others || width == 0 || !other.is_multiple_of(width) {
        let expected = format!("{samples} rows with a multiple of {width} features");
        return Err(OpError::shape(OP, expected, format!("{others} rows of {other}")));
    }
    let parts = other / width;
    let second = second.try_reshape_like(&(samples * parts, width)).map_err(OpError::device(OP))?;
    let above = super::concat::concat(first, second)?;
    let index = (0..samples)
        .flat_map(|n| std::iter::once(n).chain((0..parts).map(move |part| samples + n * parts + part)));
    let index = rows::Index::new(index.map(|row| row as u32).collect(), samples * (1 + parts))?;
    let rows = rows::gather_rows(above, &index)?;
    rows.try_reshape_like(&(samples, width + other)).map_err(OpError::device(OP))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::testing::{assert_gradients, numbers, pass};
    use crate::ops::to_features;

    #[test]
    fn rows_stand_beside_each_other() {
        let leaves = [numbers("first", 3 * 2), numbers("second", 3 * 4)];
        let run = |leaves: &[Vec<f64>]| {
            pass(leaves, |_, leaves| {
                let first = leaves[0].value.clone().leaky_traced().reshape_like(&(3, 2));
                let second = leaves[1].value.clone().leaky_traced().reshape_like(&(3, 4));
                beside(first, second).unwrap()
            })
        };
        assert_eq!(run(&leaves)[0][..6], [&leaves[0][..2], &leaves[1][..4]].concat());
        assert_gradients(&leaves, run);
    }

    #[test]
    fn a_forked_stream_gets_both_gradients() {
        let leaves = [numbers("x", 6)];
        assert_gradients(&leaves, |leaves| {
            pass(leaves, |_, leaves| {
                let (a, b) = fork(leaves[0].value.clone().leaky_traced().reshape_like(&(3, 2)));
                to_features(add(a, b).unwrap()).unwrap()
            })
        });
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let dev = Cpu::default();
        let tokens = |rows, features| -> Tokens<f32, Cpu> { dev.zeros_like(&(rows, features)) };
        assert!(matches!(beside(tokens(2, 3), tokens(1, 3)), Err(OpError::Shape { .. })));
        assert!(matches!(beside(tokens(2, 3), tokens(2, 4)), Err(OpError::Shape { .. })));
        assert!(matches!(add(tokens(2, 3), tokens(3, 2)), Err(OpError::Shape { .. })));
    }
}
