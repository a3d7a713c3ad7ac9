//! The GRU layer on CPU: per step three products and one pass over the gates; the weight gradients in parts of a few
//! steps, whose deltas and inputs stay in the first-level cache while all of them are used.

use dfdx::prelude::*;

use super::{Forward, Gru, Sizes, Values};
use crate::device::{self, Storage1};
use crate::ops::Series;
use crate::ops::kernel::{Layout, Operands, Pairs, Start, Term, Window, add_lanes, correlate_lanes, project};
use crate::ops::scratch::Scratch;
use crate::ops::simd::{Kernel, LANES, Lanes, Real, sigmoid};

/// Elements of the inputs of one part of the weight gradients: 20 KB of f32.
const PART: usize = 5000;

impl<E: Real> Gru<E> for Cpu {
    /// r, z, n and W_hn h + b_hn of every step: (steps, 4 hidden, batch).
    type Saved = Scratch<E>;

    fn gru_forward(
        &self,
        sizes: Sizes,
        input: &Series<E, Cpu>,
        weights: &Values<E, Cpu>,
    ) -> Result<Forward<E, Cpu>, CpuError> {
        let Sizes { steps, input: features, hidden: units, batch } = sizes;
        let [w_input, w_hidden, b_input, b_hidden] = weights.each_ref().map(device::read);
        let state = units * batch;
        // r and z are one sum over x and h, with both biases; n needs W_hn h + b_hn apart.
        let rows = features + units;
        let w_both = side_by_side(sizes, w_input, w_hidden);
        let mut b_both = Scratch::of(2 * units);
        b_both.iter_mut().zip(b_input.iter().zip(b_hidden)).for_each(|(sum, (&x, &h))| *sum = x + h);
        let all = Term::strided(rows, 1, batch);
        let (of_input, of_hidden) = (&all[..features], &all[..units]);
        let layout = |outputs| Layout { outputs, stride: batch, run: batch };

        let mut out = self.try_zeros_like(&(steps, units, batch))?;
        let mut gates = Scratch::of(steps * 4 * state);
        let mut both = Scratch::zeros(rows * batch);
        let steps = device::read(input)
            .chunks_exact(features * batch)
            .zip(gates.chunks_exact_mut(4 * state))
            .zip(device::write(&mut out).chunks_exact_mut(state));
        for ((input, gates), hidden) in steps {
            both[..features * batch].copy_from_slice(input);
            let (rz, nm) = gates.split_at_mut(2 * state);
            let (n, m) = nm.split_at_mut(state);
            let x = Operands { weights: &w_both, row_stride: rows, terms: &all, input: &both };
            project(x, Start::Bias(&b_both), rz, layout(2 * units));
            let weights = &w_input[2 * units * features..];
            let x = Operands { weights, row_stride: features, terms: of_input, input: &both };
            project(x, Start::Bias(&b_input[2 * units..]), n, layout(units));
            let weights = &w_hidden[2 * units * units..];
            let previous = &mut both[features * batch..];
            let h = Operands { weights, row_stride: units, terms: of_hidden, input: previous };
            project(h, Start::Bias(&b_hidden[2 * units..]), m, layout(units));
            E::dispatch(Cell { gates, previous, hidden });
            previous.copy_from_slice(hidden);
        }
        Ok((out, gates))
    }

    fn gru_backward(
        &self,
        sizes: Sizes,
        input: &Series<E, Cpu>,
        weights: &Values<E, Cpu>,
        hidden: &Series<E, Cpu>,
        gates: &Scratch<E>,
        gradient: &Storage1<Cpu, E>,
        mut input_gradient: Option<&mut Storage1<Cpu, E>>,
        weight_gradients: [Option<&mut Storage1<Cpu, E>>; 4],
    ) -> Result<(), CpuError> {
        let (input, hidden) = (device::read(input), device::read(hidden));
        let [w_input, w_hidden, ..] = weights.each_ref().map(device::read);
        let Sizes { steps, input: features, hidden: units, batch } = sizes;
        let state = units * batch;
        let part = (PART / (inputs_of_a_step(sizes) * batch)).clamp(1, steps);
        let mut deltas = Scratch::of(part * 4 * state);
        let mut carried = Scratch::zeros(state);
        let start = Scratch::zeros(state);
        // A previous state acts through r, z and m: rows 0, 1 and 3 of the deltas, and rows 0, 1 and 2 of the weights.
        let row = |k: usize| if k < 2 * units { k } else { k + units };
        let to_hidden: Vec<Term> = (0..3 * units).map(|k| Term::at(k * units, row(k) * batch)).collect();
        let to_input = Term::strided(3 * units, features, batch);
        let layout = |outputs| Layout { outputs, stride: batch, run: batch };
        let wanted = weight_gradients.iter().any(Option::is_some);
        let mut sums = wanted.then(|| WeightSums::new(sizes, part));

        for first in (0..steps).step_by(part).rev() {
            let count = part.min(steps - first);
            for t in (first..first + count).rev() {
                let deltas = &mut deltas[(t - first) * 4 * state..][..4 * state];
                E::dispatch(CellGradient {
                    gates: &gates[4 * t * state..][..4 * state],
                    previous: if t == 0 { &start } else { &hidden[(t - 1) * state..][..state] },
                    gradient: &gradient[t * state..][..state],
                    carried: &mut carried,
                    deltas,
                });
                if t > 0 {
                    let back =
                        Operands { weights: w_hidden, row_stride: 1, terms: &to_hidden, input: deltas };
                    project(back, Start::Existing, &mut carried, layout(units));
                }
                if let Some(total) = input_gradient.as_deref_mut() {
                    let total = &mut total[t * features * batch..][..features * batch];
                    let back = Operands { weights: w_input, row_stride: 1, terms: &to_input, input: deltas };
                    project(back, Start::Existing, total, layout(features));
                }
            }
            if let Some(sums) = &mut sums {
                sums.add(first, count, input, hidden, &deltas);
            }
        }
        if let Some(sums) = sums {
            sums.add_to(weight_gradients);
        }
        Ok(())
    }
}

/// The weights of r and z: a row of those of the input, then of the state.
fn side_by_side<E: Real>(sizes: Sizes, w_input: &[E], w_hidden: &[E]) -> Scratch<E> {
    let Sizes { input: features, hidden: units, .. } = sizes;
    let mut both = Scratch::of(2 * units * (features + units));
    let rows = w_input.chunks_exact(features).zip(w_hidden.chunks_exact(units));
    for (both, (x, h)) in both.chunks_exact_mut(features + units).zip(rows) {
        both[..features].copy_from_slice(x);
        both[features..].copy_from_slice(h);
    }
    both
}

/// Rows of what weights are multiplied with in a step: the input, the state, and the one that biases belong to.
fn inputs_of_a_step(sizes: Sizes) -> usize {
    sizes.input + sizes.hidden + 1
}

/// The weight gradients over some of the steps, eight lanes a weight. A row of weights is that of the input, that of the
/// state, and the bias, whose input is one.
struct WeightSums<E: Real> {
    sizes: Sizes,
    /// (steps of a part, features + hidden + 1, batch).
    inputs: Scratch<E>,
    /// Of r and z, (2 hidden, features + hidden + 1); of n, (hidden, features + 1); of m, (hidden, hidden + 1).
    lanes: [Scratch<E>; 3],
    terms: [Vec<Term>; 3],
}

impl<E: Real> WeightSums<E> {
    fn new(sizes: Sizes, part: usize) -> Self {
        let Sizes { input: features, hidden: units, batch, .. } = sizes;
        let rows = inputs_of_a_step(sizes);
        let mut inputs = Scratch::of(part * rows * batch);
        for step in inputs.chunks_exact_mut(rows * batch) {
            step[(rows - 1) * batch..].fill(E::of(1.0));
        }
        let bias = |weight| Term::at(weight, (rows - 1) * batch);
        let mut of_n = Term::strided(features, 1, batch);
        of_n.push(bias(features));
        let mut of_m: Vec<Term> = (0..units).map(|k| Term::at(k, (features + k) * batch)).collect();
        of_m.push(bias(units));
        let terms = [Term::strided(rows, 1, batch), of_n, of_m];
        let lanes = [2 * units * rows, units * (features + 1), units * (units + 1)];
        WeightSums { sizes, inputs, lanes: lanes.map(|count| Scratch::zeros(LANES * count)), terms }
    }

    /// Adds `count` steps from `first` on.
    fn add(&mut self, first: usize, count: usize, input: &[E], hidden: &[E], deltas: &[E]) {
        let Sizes { input: features, hidden: units, batch, .. } = self.sizes;
        let (x_len, state) = (features * batch, units * batch);
        let rows = inputs_of_a_step(self.sizes) * batch;
        for (t, step) in (first..first + count).zip(self.inputs.chunks_exact_mut(rows)) {
            step[..x_len].copy_from_slice(&input[t * x_len..][..x_len]);
            match t.checked_sub(1) {
                Some(before) => step[x_len..][..state].copy_from_slice(&hidden[before * state..][..state]),
                None => step[x_len..][..state].fill(E::ZERO),
            }
        }
        let window = Window { rows: count, run: batch, gradient_stride: 4 * state, input_stride: rows };
        // r and z; n; m.
        for (g, (gate, outputs)) in [(0, 2 * units), (2, units), (3, units)].into_iter().enumerate() {
            let (terms, (lanes, _)) = (&self.terms[g], self.lanes[g].as_chunks_mut());
            let pairs = Pairs { outputs, gradient_stride: batch, weight_stride: terms.len() };
            correlate_lanes(&deltas[gate * state..], &self.inputs, terms, window, lanes, pairs);
        }
    }

    /// Adds the sums to the gradients that are wanted.
    fn add_to(&self, totals: [Option<&mut Storage1<Cpu, E>>; 4]) {
        let Sizes { input: features, hidden: units, .. } = self.sizes;
        let [of_rz, of_n, of_m] = self.lanes.each_ref().map(|lanes| lanes.as_chunks().0);
        let bias = features + units;
        let [mut w_input, mut w_hidden, mut b_input, mut b_hidden] = totals;
        let add = |total: &mut Option<&mut Storage1<Cpu, E>>, row: usize, lanes: &[[E; LANES]]| {
            if let Some(total) = total {
                add_lanes(lanes, &mut total[row * lanes.len()..][..lanes.len()]);
            }
        };
        for (o, row) in of_rz.chunks_exact(bias + 1).enumerate() {
            add(&mut w_input, o, &row[..features]);
            add(&mut w_hidden, o, &row[features..bias]);
            add(&mut b_input, o, &row[bias..]);
            add(&mut b_hidden, o, &row[bias..]);
        }
        let rows_of_n = of_n.chunks_exact(features + 1).zip(of_m.chunks_exact(units + 1));
        for (o, (n, m)) in (2 * units..).zip(rows_of_n) {
            add(&mut w_input, o, &n[..features]);
            add(&mut b_input, o, &n[features..]);
            add(&mut w_hidden, o, &m[..units]);
            add(&mut b_hidden, o, &m[units..]);
        }
    }
}

/// One step: turns the sums in `gates` into r, z, n (and leaves m), and gives the next state.
struct Cell<'a, E> {
    gates: &'a mut [E],
    previous: &'a [E],
    hidden: &'a mut [E],
}

impl<E: Real> Kernel<E> for Cell<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let state = self.hidden.len();
        let (rz, nm) = self.gates.split_at_mut(2 * state);
        // Two short loops: in one long one, a vector waits for the one before it.
        for first in (0..2 * state).step_by(LANES) {
            let place = first..(first + LANES).min(2 * state);
            sigmoid(V::read(&rz[place.clone()])).write(&mut rz[place]);
        }
        let (r, z) = rz.split_at(state);
        let (n, m) = nm.split_at_mut(state);
        for first in (0..state).step_by(LANES) {
            let place = first..(first + LANES).min(state);
            let sum =
                V::read(&r[place.clone()]).mul_add(V::read(&m[place.clone()]), V::read(&n[place.clone()]));
            let fresh = E::tanh(sum);
            fresh.write(&mut n[place.clone()]);
            // (1 - z) n + z h
            let previous = V::read(&self.previous[place.clone()]);
            let next = V::read(&z[place.clone()]).mul_add(previous.sub(fresh), fresh);
            next.write(&mut self.hidden[place]);
        }
    }
}

/// One step back: from the gradient of the state (given and carried back) to the deltas and what is carried on.
struct CellGradient<'a, E> {
    gates: &'a [E],
    previous: &'a [E],
    gradient: &'a [E],
    carried: &'a mut [E],
    deltas: &'a mut [E],
}

impl<E: Real> Kernel<E> for CellGradient<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Elem = E>>(self) {
        let state = self.carried.len();
        let one = V::splat(E::of(1.0));
        for first in (0..state).step_by(LANES) {
            let end = (first + LANES).min(state);
            let r = V::read(&self.gates[first..end]);
            let z = V::read(&self.gates[state + first..state + end]);
            let n = V::read(&self.gates[2 * state + first..2 * state + end]);
            let m = V::read(&self.gates[3 * state + first..3 * state + end]);
            let previous = V::read(&self.previous[first..end]);
            let gradient = V::read(&self.gradient[first..end]).add(V::read(&self.carried[first..end]));
            let keep = one.sub(z);
            let to_z = gradient.mul(previous.sub(n)).mul(z.mul(keep));
            let to_n = gradient.mul(keep).mul(one.sub(n.mul(n)));
            let to_r = to_n.mul(m).mul(r.mul(one.sub(r)));
            to_r.write(&mut self.deltas[first..end]);
            to_z.write(&mut self.deltas[state + first..state + end]);
            to_n.write(&mut self.deltas[2 * state + first..2 * state + end]);
            to_n.mul(r).write(&mut self.deltas[3 * state + first..3 * state + end]);
            gradient.mul(z).write(&mut self.carried[first..end]);
        }
    }
}
