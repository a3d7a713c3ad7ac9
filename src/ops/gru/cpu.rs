//! The GRU layer on CPU: per step two products and one pass over the gates; weight gradients over all steps at once.

use dfdx::prelude::*;

use super::{Gru, Sizes, Values};
use crate::device::{self, Storage1};
use crate::ops::Series;
use crate::ops::kernel::{Layout, Operands, Pairs, Start, Term, Window, correlate, project};
use crate::ops::math::sigmoid;
use crate::ops::simd::{Kernel, LANES, Lanes, Real};

impl<E: Real> Gru<E> for Cpu {
    fn gru_forward(
        &self,
        sizes: Sizes,
        input: &Series<E, Cpu>,
        weights: &Values<E, Cpu>,
        gates: &mut Series<E, Cpu>,
        hidden: &mut Series<E, Cpu>,
    ) -> Result<(), CpuError> {
        let [w_input, w_hidden, b_input, b_hidden] = weights.each_ref().map(device::read);
        let Sizes { input: features, hidden: units, batch, .. } = sizes;
        let state = units * batch;
        // r and z add both biases; n needs W_hn h + b_hn apart.
        let mut bias = b_input.to_vec();
        bias[..2 * units].iter_mut().zip(b_hidden).for_each(|(sum, &b)| *sum += b);
        let from_input = Term::strided(features, 1, batch);
        let from_hidden = Term::strided(units, 1, batch);
        let (w_rz, w_n) = w_hidden.split_at(2 * units * units);
        let rows = |outputs| Layout { outputs, stride: batch, run: batch };

        let steps = device::read(input)
            .chunks_exact(features * batch)
            .zip(device::write(gates).chunks_exact_mut(4 * state))
            .zip(device::write(hidden).chunks_exact_mut(state));
        let start = vec![E::ZERO; state];
        let mut previous: &[E] = &start;
        for ((input, gates), hidden) in steps {
            let (rzn, m) = gates.split_at_mut(3 * state);
            let x = Operands { weights: w_input, row_stride: features, terms: &from_input, input };
            project(x, Start::Bias(&bias), rzn, rows(3 * units));
            let h = Operands { weights: w_rz, row_stride: units, terms: &from_hidden, input: previous };
            project(h, Start::Existing, rzn, rows(2 * units));
            project(Operands { weights: w_n, ..h }, Start::Bias(&b_hidden[2 * units..]), m, rows(units));
            E::dispatch(Cell { gates, previous, hidden });
            previous = hidden;
        }
        Ok(())
    }

    fn gru_backward(
        &self,
        sizes: Sizes,
        input: &Series<E, Cpu>,
        weights: &Values<E, Cpu>,
        gates: &Series<E, Cpu>,
        hidden: &Series<E, Cpu>,
        gradient: &Storage1<Cpu, E>,
        input_gradient: Option<&mut Storage1<Cpu, E>>,
        weight_gradients: [Option<&mut Storage1<Cpu, E>>; 4],
    ) -> Result<(), CpuError> {
        let (input, gates, hidden) = (device::read(input), device::read(gates), device::read(hidden));
        let [w_input, w_hidden, ..] = weights.each_ref().map(device::read);
        // From the device, whose cache (where enabled) saves the page faults of a fresh large vector every time.
        let mut deltas = self.try_alloc_len(gates.len())?;
        fill_deltas(sizes, w_hidden, gates, hidden, gradient, &mut deltas);
        if let Some(total) = input_gradient {
            add_input_gradient(sizes, w_input, &deltas, total);
        }
        add_weight_gradients(sizes, &deltas, input, hidden, weight_gradients);
        Ok(())
    }
}

/// Back through time: the gradients of what r, z, n and m = W_hn h + b_hn are made of, (steps, 4 hidden, batch).
fn fill_deltas<E: Real>(
    sizes: Sizes,
    w_hidden: &[E],
    gates: &[E],
    hidden: &[E],
    gradient: &[E],
    deltas: &mut [E],
) {
    let Sizes { steps, hidden: units, batch, .. } = sizes;
    let state = units * batch;
    // A previous state acts through r, z and m: rows 0, 1 and 3 of the deltas, and rows 0, 1 and 2 of the weights.
    let to_hidden: Vec<Term> = (0..3 * units)
        .map(|k| Term::at(k * units, if k < 2 * units { k } else { k + units } * batch))
        .collect();
    let layout = Layout { outputs: units, stride: batch, run: batch };
    let start = vec![E::ZERO; state];
    let mut carried = vec![E::ZERO; state];
    for t in (0..steps).rev() {
        let previous = if t == 0 { &start } else { &hidden[(t - 1) * state..t * state] };
        let step = 4 * t * state..4 * (t + 1) * state;
        let deltas = &mut deltas[step.clone()];
        E::dispatch(CellGradient {
            gates: &gates[step],
            previous,
            gradient: &gradient[t * state..(t + 1) * state],
            carried: &mut carried,
            deltas,
        });
        if t > 0 {
            let back = Operands { weights: w_hidden, row_stride: 1, terms: &to_hidden, input: deltas };
            project(back, Start::Existing, &mut carried, layout);
        }
    }
}

fn add_input_gradient<E: Real>(sizes: Sizes, w_input: &[E], deltas: &[E], total: &mut [E]) {
    let Sizes { input: features, hidden: units, batch, .. } = sizes;
    let to_input = Term::strided(3 * units, features, batch);
    let layout = Layout { outputs: features, stride: batch, run: batch };
    let steps = deltas.chunks_exact(4 * units * batch).zip(total.chunks_exact_mut(features * batch));
    for (deltas, total) in steps {
        let back = Operands { weights: w_input, row_stride: 1, terms: &to_input, input: deltas };
        project(back, Start::Existing, total, layout);
    }
}

fn add_weight_gradients<E: Real>(
    sizes: Sizes,
    deltas: &[E],
    input: &[E],
    hidden: &[E],
    totals: [Option<&mut Storage1<Cpu, E>>; 4],
) {
    let Sizes { steps, input: features, hidden: units, batch } = sizes;
    let state = units * batch;
    let [w_input, w_hidden, b_input, b_hidden] = totals;
    let window = |rows, input_stride| Window { rows, run: batch, gradient_stride: 4 * state, input_stride };
    let pairs = |outputs, weight_stride| Pairs { outputs, gradient_stride: batch, weight_stride };
    if let Some(total) = w_input {
        let terms = Term::strided(features, 1, batch);
        correlate(deltas, input, &terms, window(steps, features * batch), total, pairs(3 * units, features));
    }
    if let Some(total) = w_hidden
        && steps > 1
    {
        // From the second step on: the state before the first is zero.
        let (terms, window) = (Term::strided(units, 1, batch), window(steps - 1, state));
        let (rz, n) = total.split_at_mut(2 * units * units);
        correlate(&deltas[4 * state..], hidden, &terms, window, rz, pairs(2 * units, units));
        correlate(&deltas[7 * state..], hidden, &terms, window, n, pairs(units, units));
    }
    let ones = vec![E::of(1.0); batch];
    let constant = [Term::at(0, 0)];
    if let Some(total) = b_input {
        correlate(deltas, &ones, &constant, window(steps, 0), total, pairs(3 * units, 1));
    }
    if let Some(total) = b_hidden {
        let (rz, n) = total.split_at_mut(2 * units);
        correlate(deltas, &ones, &constant, window(steps, 0), rz, pairs(2 * units, 1));
        correlate(&deltas[3 * state..], &ones, &constant, window(steps, 0), n, pairs(units, 1));
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
        let (r, rest) = self.gates.split_at_mut(state);
        let (z, rest) = rest.split_at_mut(state);
        let (n, m) = rest.split_at_mut(state);
        for first in (0..state).step_by(LANES) {
            let place = first..(first + LANES).min(state);
            let reset = sigmoid(V::read(&r[place.clone()]));
            let update = sigmoid(V::read(&z[place.clone()]));
            let fresh = V::read(&n[place.clone()]);
            let fresh = E::tanh(reset.mul_add(V::read(&m[place.clone()]), fresh));
            let previous = V::read(&self.previous[place.clone()]);
            reset.write(&mut r[place.clone()]);
            update.write(&mut z[place.clone()]);
            fresh.write(&mut n[place.clone()]);
            // (1 - z) n + z h
            update.mul_add(previous.sub(fresh), fresh).write(&mut self.hidden[place]);
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
