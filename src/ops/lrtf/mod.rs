//! Low-rank tensor fusion of two modalities.
//!
//! With z_m = [1; h_m]: P_m[r, o, n] = sum_i z_m[i, n] F_m[r, i, o]; out[o, n] = sum_r w[r] P_1 P_2 + beta[o].
//!
//! Invariant: frozen parameters (deviation A3) get no gradient, and none is computed for them.

use dfdx::prelude::*;

use super::simd::Real;
use super::{Features, OpError, Parameter};
use crate::device::{self, Storage1};

mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(test)]
mod tests;

const OP: &str = "low-rank fusion";

/// Sizes of one fusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Features of each modality, without the one that is put before them.
    pub features: [usize; 2],
    /// Rank.
    pub rank: usize,
    /// Outputs.
    pub outputs: usize,
    /// Examples.
    pub batch: usize,
}

/// The fusion's parameters, borrowed.
pub struct Fusion<'a, E: Real, D: Device<E>> {
    /// Factor of each modality: rank x (features + 1) x outputs.
    pub factors: [&'a Parameter<E, D>; 2],
    /// Weight of each rank: 1 x rank.
    pub weights: &'a Parameter<E, D>,
    /// 1 x outputs.
    pub bias: &'a Parameter<E, D>,
}

/// The values of the parameters: both factors, weights, bias.
pub type Values<E, D> = [Tensor<(usize,), E, D>; 4];

/// Both projections P_m: rank x outputs x batch.
pub type Projections<E, D> = [Tensor<(usize, usize, usize), E, D>; 2];

/// Where the gradients are added: `None` is not wanted.
pub struct Totals<'a, E: Real, D: Storage<E>> {
    /// Of each modality's features.
    pub features: [&'a mut Storage1<D, E>; 2],
    /// Of the parameters, in the order of [`Values`].
    pub parameters: [Option<&'a mut Storage1<D, E>>; 4],
}

/// Low-rank tensor fusion on a device.
pub trait LowRankFusion<E: Real>: Storage<E> {
    /// Fills the projections and the output.
    fn fusion_forward(
        &self,
        sizes: Sizes,
        inputs: [&Features<E, Self>; 2],
        values: &Values<E, Self>,
        projections: &mut Projections<E, Self>,
        out: &mut Features<E, Self>,
    ) -> Result<(), Self::Err>;

    /// Adds to the gradients, given the output's.
    fn fusion_backward(
        &self,
        sizes: Sizes,
        inputs: [&Features<E, Self>; 2],
        values: &Values<E, Self>,
        projections: &Projections<E, Self>,
        gradient: &Storage1<Self, E>,
        totals: Totals<'_, E, Self>,
    ) -> Result<(), Self::Err>;
}

/// Fuses two modalities' features (features, batch) into (outputs, batch); the tapes are merged.
///
/// # Errors
/// When the parameters' dimensions do not fit the inputs, or the device has no memory.
pub fn low_rank_fusion<E, D, T>(
    first: Features<E, D, T>,
    second: Features<E, D, T>,
    fusion: &Fusion<'_, E, D>,
) -> Result<Features<E, D, T>, OpError>
where
    E: Real,
    D: Device<E> + LowRankFusion<E>,
    T: Tape<E, D>,
{
    let sizes = sizes(*first.shape(), *second.shape(), fusion)?;
    let (first, tape) = first.split_tape();
    let (second, other_tape) = second.split_tape();
    let mut tape = tape.merge(other_tape);
    let device = first.device().clone();
    let parameters = [fusion.factors[0], fusion.factors[1], fusion.weights, fusion.bias];
    let values = parameters.map(|parameter| parameter.value.clone());
    let projection =
        || device.try_zeros_like(&(sizes.rank, sizes.outputs, sizes.batch)).map_err(OpError::device(OP));
    let mut projections = [projection()?, projection()?];
    let mut out = device.try_zeros_like(&(sizes.outputs, sizes.batch)).map_err(OpError::device(OP))?;
    device
        .fusion_forward(sizes, [&first, &second], &values, &mut projections, &mut out)
        .map_err(OpError::device(OP))?;

    if T::OWNS_TAPE {
        let wanted = parameters.map(|parameter| parameter.needs_grad);
        let output = out.ghost();
        tape.add_backward_op(move |gradients| {
            let gradient = device::take::<E, D>(&device, gradients.get_or_alloc_mut(&output)?)?;
            let mut to_first = device::take::<E, D>(&device, gradients.get_or_alloc_mut(&first)?)?;
            let mut to_second = device::take::<E, D>(&device, gradients.get_or_alloc_mut(&second)?)?;
            let mut to_parameters = [const { None }; 4];
            for (i, slot) in to_parameters.iter_mut().enumerate() {
                *slot = device::take_wanted(&device, gradients, wanted[i].then_some(&values[i]))?;
            }
            let totals = Totals {
                features: [&mut to_first, &mut to_second],
                parameters: to_parameters.each_mut().map(Option::as_mut),
            };
            device.fusion_backward(sizes, [&first, &second], &values, &projections, &gradient, totals)?;
            *gradients.get_or_alloc_mut(&first)? = to_first;
            *gradients.get_or_alloc_mut(&second)? = to_second;
            values
                .iter()
                .zip(to_parameters)
                .try_for_each(|(value, gradient)| device::put_back(gradients, Some(value), gradient))
        });
    }
    Ok(out.put_tape(tape))
}

/// The sizes, if all dimensions agree and none is zero.
fn sizes<E: Real, D: Device<E>>(
    first: (usize, usize),
    second: (usize, usize),
    fusion: &Fusion<'_, E, D>,
) -> Result<Sizes, OpError> {
    let &[rank, _, outputs] = &fusion.factors[0].dims[..] else {
        let found = format!("{:?}", fusion.factors[0].dims);
        return Err(OpError::shape(OP, "a factor rank x (features + 1) x outputs", found));
    };
    let (features, batch) = ([first.0, second.0], first.1);
    if second.1 != batch || batch * rank * outputs == 0 {
        let found = format!("batches of {batch} and {}, {rank} ranks, {outputs} outputs", second.1);
        return Err(OpError::shape(OP, "equal batches, and no zero among the sizes", found));
    }
    for (parameter, name, dims) in [
        (fusion.factors[0], "first factor", vec![rank, features[0] + 1, outputs]),
        (fusion.factors[1], "second factor", vec![rank, features[1] + 1, outputs]),
        (fusion.weights, "weights", vec![1, rank]),
        (fusion.bias, "bias", vec![1, outputs]),
    ] {
        if parameter.dims != dims {
            let found = format!("{:?}", parameter.dims);
            return Err(OpError::shape(OP, format!("{name} of dimensions {dims:?}"), found));
        }
    }
    Ok(Sizes { features, rank, outputs, batch })
}
