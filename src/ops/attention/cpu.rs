//! [`Attention`] on the CPU: a head of a group at a time, some queries at a time, so that their scores stay in the cache.
#![allow(unsafe_code)]

use dfdx::prelude::*;

use super::position::Window;
use super::softmax::{Gradient, Rows, Softmax};
use super::{Additions, Attention, Place, Sizes};
use crate::device::{self, Storage1};
use crate::ops::Tokens;
use crate::ops::kernel::{Layout, Operands, Start, Term, project, transpose_strided};
use crate::ops::parallel::{Disjoint, for_each_range};
use crate::ops::scratch::Scratch;
use crate::ops::simd::{LANES, Real};

/// Queries whose scores are worked on at a time.
const QUERIES: usize = 24;
/// Groups whose gradients of a table are added up before these sums are: part of the definition of the table's gradient.
const GROUPS: usize = 8;
/// What is added between tokens of different labels (Swin).
const APART: f64 = -100.0;
/// What is added to the scores of padding: the least finite `f32`.
const PADDING: f64 = f32::MIN as f64;

impl<E: Real> Attention<E> for Cpu {
    fn attention(
        &self,
        inputs: &[Tokens<E, Self>],
        sizes: &Sizes,
        additions: &Additions<E, Self>,
    ) -> Result<(Tokens<E, Self>, Tensor<(usize,), E, Self>), CpuError> {
        let &Sizes { groups, queries, heads, head, .. } = sizes;
        let width = sizes.width();
        let call = Call::new(inputs, sizes, additions);
        let mut out = vec![E::ZERO; groups * queries * width];
        let mut rows = vec![E::ZERO; 2 * heads * groups * queries];
        let (places, kept) = (Disjoint::new(&mut out), Disjoint::new(&mut rows));
        for_each_range(heads * groups, call.work(), |units| {
            let mut bias = None;
            let mut scores = Scratch::of(QUERIES * call.stride);
            let mut block = Scratch::of(QUERIES * head);
            for unit in units {
                let at = call.at(unit);
                let bias = call.bias(at.head, &mut bias);
                let q = call.packed(at, 0);
                let k = call.turned(at, 1);
                let v = call.packed(at, 2);
                let mask = call.mask(at);
                for first in (0..queries).step_by(QUERIES) {
                    let count = QUERIES.min(queries - first);
                    let scores = &mut scores[..count * call.stride];
                    // SAFETY: only this unit has these rows, and they are initialised.
                    let rows = unsafe { kept.slice(2 * (unit * queries + first), 2 * count) };
                    call.probabilities(
                        at,
                        first,
                        [&q, &k],
                        (bias, mask.as_deref()),
                        Rows::Fresh(rows),
                        scores,
                    );
                    call.drop(at, first, scores);
                    let weights =
                        Operands { weights: scores, row_stride: call.stride, terms: &call.by_key, input: &v };
                    let layout = Layout { outputs: count, stride: head, run: head };
                    project(weights, Start::Zero, &mut block, layout);
                    for (row, from) in block.chunks(head).take(count).enumerate() {
                        let place = (at.group * queries + first + row) * width + at.head * head;
                        // SAFETY: only this unit has these rows of this head, and they are initialised.
                        unsafe { places.slice(place, head) }.copy_from_slice(from);
                    }
                }
            }
        });
        let len = rows.len();
        Ok((
            self.try_tensor_from_vec(out, (groups * queries, width))?,
            self.try_tensor_from_vec(rows, (len,))?,
        ))
    }

    fn attention_backward(
        &self,
        inputs: &[Tokens<E, Self>],
        sizes: &Sizes,
        additions: &Additions<E, Self>,
        (_, rows): (&Tokens<E, Self>, &Tensor<(usize,), E, Self>),
        gradient: &Storage1<Self, E>,
        into: &mut [Storage1<Self, E>],
        table: Option<&mut Storage1<Self, E>>,
    ) -> Result<(), CpuError> {
        let &Sizes { groups, heads, .. } = sizes;
        let call = Call::new(inputs, sizes, additions);
        let rows = device::read(rows);
        let blocks = groups.div_ceil(GROUPS);
        let window = Window::of(sizes.queries);
        let entries = if table.is_some() { window.entries() } else { 0 };
        let mut partial = vec![E::ZERO; heads * blocks * entries];
        let sums = Disjoint::new(&mut partial);
        let into: Vec<_> = into.iter_mut().map(|into| Disjoint::new(into)).collect();
        for_each_range(heads * blocks, 3 * call.work(), |units| {
            let mut bias = None;
            for unit in units {
                let (number, block) = (unit / blocks, unit % blocks);
                let bias = call.bias(number, &mut bias);
                let tokens = if entries > 0 { sizes.queries } else { 0 };
                let mut bias_gradient = Scratch::zeros(tokens * call.stride);
                for group in block * GROUPS..groups.min((block + 1) * GROUPS) {
                    let at = At { head: number, group };
                    let sum = (entries > 0).then_some(&mut bias_gradient[..]);
                    call.backward(at, bias, rows, gradient, &into, sum);
                }
                if entries > 0 {
                    // SAFETY: only this unit has these sums, and they are initialised.
                    let sums = unsafe { sums.slice(unit * entries, entries) };
                    window.gather(&bias_gradient, call.stride, sums);
                }
            }
        });
        if let Some(table) = table {
            for (unit, sums) in partial.chunks(entries).enumerate() {
                for (entry, sum) in sums.iter().enumerate() {
                    table[entry * heads + unit / blocks] += *sum;
                }
            }
        }
        Ok(())
    }
}

/// One head of one group.
#[derive(Clone, Copy)]
struct At {
    head: usize,
    group: usize,
}

/// One call's operands and what its units share.
struct Call<'a, E: Real> {
    inputs: Vec<(&'a [E], usize)>,
    sizes: &'a Sizes,
    additions: &'a Additions<E, Cpu>,
    /// Keys, and as many more as fill vectors.
    stride: usize,
    /// Products over the features of a head, with keys turned over.
    by_feature: Vec<Term>,
    /// Products over keys.
    by_key: Vec<Term>,
}

/// One head's bias.
type Bias<E> = Option<(usize, Scratch<E>)>;

impl<'a, E: Real> Call<'a, E> {
    fn new(inputs: &'a [Tokens<E, Cpu>], sizes: &'a Sizes, additions: &'a Additions<E, Cpu>) -> Self {
        let stride = sizes.keys.next_multiple_of(LANES);
        Call {
            inputs: inputs.iter().map(|input| (device::read(input), input.shape().1)).collect(),
            sizes,
            additions,
            stride,
            by_feature: Term::strided(sizes.head, 1, stride),
            by_key: Term::strided(sizes.keys, 1, sizes.head),
        }
    }

    /// Multiply-adds.
    fn work(&self) -> usize {
        2 * self.sizes.groups * self.sizes.queries * self.sizes.keys * self.sizes.width()
    }

    fn at(&self, unit: usize) -> At {
        At { head: unit / self.sizes.groups, group: unit % self.sizes.groups }
    }

    /// Tokens of a group in queries (0), keys (1) or values (2).
    fn tokens(&self, which: usize) -> usize {
        if which == 0 { self.sizes.queries } else { self.sizes.keys }
    }

    /// Where the features of a head begin, in the first token of a group; and the distance between tokens.
    fn place(&self, at: At, which: usize) -> (Place, usize, usize) {
        let place = self.sizes.places[which];
        let stride = self.inputs[place.input].1;
        let first = at.group * self.tokens(which) * stride + place.offset + at.head * self.sizes.head;
        (place, first, stride)
    }

    /// A head's queries, multiplied by the scale, or its keys or values, close together.
    fn packed(&self, at: At, which: usize) -> Scratch<E> {
        let (place, first, stride) = self.place(at, which);
        let from = &self.inputs[place.input].0[first..];
        let head = self.sizes.head;
        let mut packed = Scratch::of(self.tokens(which) * head);
        let scale = E::of(self.sizes.scale());
        for (packed, from) in packed.chunks_mut(head).zip(from.chunks(stride)) {
            packed.copy_from_slice(&from[..head]);
            if which == 0 {
                packed.iter_mut().for_each(|value| *value *= scale);
            }
        }
        packed
    }

    /// A head's keys or values, turned over: a row of `stride` for each feature, 0 beyond the last key.
    fn turned(&self, at: At, which: usize) -> Scratch<E> {
        let (place, first, stride) = self.place(at, which);
        let from = &self.inputs[place.input].0[first..];
        let Sizes { keys, head, .. } = *self.sizes;
        let mut turned = Scratch::of(head * self.stride);
        if self.stride == keys {
            transpose_strided(from, stride, [keys, head], &mut turned);
            return turned;
        }
        let mut close = Scratch::of(head * keys);
        transpose_strided(from, stride, [keys, head], &mut close);
        for (turned, close) in turned.chunks_mut(self.stride).zip(close.chunks(keys)) {
            turned[..keys].copy_from_slice(close);
            turned[keys..].fill(E::ZERO);
        }
        turned
    }

    /// A head's bias, which is spread out once for all its groups.
    fn bias<'b>(&self, head: usize, kept: &'b mut Bias<E>) -> Option<&'b [E]> {
        let table = self.additions.table.as_ref()?;
        if kept.as_ref().is_none_or(|(of, _)| *of != head) {
            let window = Window::of(self.sizes.queries);
            *kept = Some((head, window.spread(device::read(table), [head, self.sizes.heads], self.stride)));
        }
        kept.as_ref().map(|(_, bias)| &bias[..])
    }

    /// What is added to all rows of a group that has padding.
    fn mask(&self, at: At) -> Option<Vec<E>> {
        let real = &self.additions.real.as_ref()?[at.group * self.sizes.keys..][..self.sizes.keys];
        if real.iter().all(|real| *real) {
            return None;
        }
        let mut mask = vec![E::ZERO; self.stride];
        for (mask, real) in mask.iter_mut().zip(real) {
            *mask = if *real { E::ZERO } else { E::of(PADDING) };
        }
        Some(mask)
    }

    /// The labels of a group, if they differ.
    fn labels(&self, at: At) -> Option<&[u8]> {
        let labels = self.additions.labels.as_ref()?;
        let keys = self.sizes.keys;
        let labels = &labels[at.group % (labels.len() / keys) * keys..][..keys];
        labels.iter().any(|label| *label != labels[0]).then_some(labels)
    }

    /// Probabilities of some queries from `first` on.
    fn probabilities(
        &self,
        at: At,
        first: usize,
        [queries, keys]: [&[E]; 2],
        (bias, mask): (Option<&[E]>, Option<&[E]>),
        rows: Rows<'_, E>,
        scores: &mut [E],
    ) {
        let Sizes { keys: count, head, .. } = *self.sizes;
        let stride = self.stride;
        let operands = Operands {
            weights: &queries[first * head..],
            row_stride: head,
            terms: &self.by_feature,
            input: keys,
        };
        let layout = Layout { outputs: scores.len() / stride, stride, run: stride };
        project(operands, Start::Zero, scores, layout);
        if stride > count {
            for scores in scores.chunks_mut(stride) {
                scores[count..].fill(E::of(f64::NEG_INFINITY));
            }
        }
        if let Some(labels) = self.labels(at) {
            let apart = E::of(APART);
            for (query, scores) in (first..).zip(scores.chunks_mut(stride)) {
                for (score, label) in scores.iter_mut().zip(labels) {
                    *score += if *label == labels[query] { E::ZERO } else { apart };
                }
            }
        }
        let bias = bias.map(|bias| &bias[first * stride..]);
        E::dispatch(Softmax { scores, stride, bias, mask, rows });
    }

    /// Drops probabilities, or their gradients, of some queries from `first` on.
    fn drop(&self, at: At, first: usize, rows: &mut [E]) {
        let Some((kept, scale)) = &self.additions.kept else { return };
        let Sizes { groups, queries, keys, .. } = *self.sizes;
        let kept = &kept[((at.head * groups + at.group) * queries + first) * keys..];
        let scale = E::of(*scale);
        for (row, kept) in rows.chunks_mut(self.stride).zip(kept.chunks(keys)) {
            for (value, kept) in row.iter_mut().zip(kept) {
                *value = if *kept { *value * scale } else { E::ZERO };
            }
        }
    }

    /// Adds one head of one group to the gradients of the inputs, and to that of the bias.
    fn backward(
        &self,
        at: At,
        bias: Option<&[E]>,
        rows: &[E],
        gradient: &[E],
        into: &[Disjoint<'_, E>],
        mut bias_gradient: Option<&mut [E]>,
    ) {
        let Sizes { groups, queries, keys, head, .. } = *self.sizes;
        let (stride, width) = (self.stride, self.sizes.width());
        let unit = at.head * groups + at.group;
        let q = self.packed(at, 0);
        let (k, keys_turned, values_turned) = (self.packed(at, 1), self.turned(at, 1), self.turned(at, 2));
        let mask = self.mask(at);
        let [mut k_gradient, mut v_gradient] = [(); 2].map(|()| Scratch::zeros(keys * head));
        let mut block = Scratch::of(QUERIES * head);
        let [mut scores, mut slopes, mut dropped] = [(); 3].map(|()| Scratch::of(QUERIES * stride));
        let scale = E::of(self.sizes.scale());
        let by_token = Layout { outputs: keys, stride: head, run: head };
        for first in (0..queries).step_by(QUERIES) {
            let count = QUERIES.min(queries - first);
            let (scores, slopes) = (&mut scores[..count * stride], &mut slopes[..count * stride]);
            let kept = Rows::Kept(&rows[2 * (unit * queries + first)..]);
            self.probabilities(at, first, [&q, &keys_turned], (bias, mask.as_deref()), kept, scores);
            let gradient = &gradient[(at.group * queries + first) * width + at.head * head..];
            let operands = Operands {
                weights: gradient,
                row_stride: width,
                terms: &self.by_feature,
                input: &values_turned,
            };
            project(operands, Start::Zero, slopes, Layout { outputs: count, stride, run: stride });
            self.drop(at, first, slopes);
            let used = if self.additions.kept.is_some() {
                let dropped = &mut dropped[..count * stride];
                dropped.copy_from_slice(scores);
                self.drop(at, first, dropped);
                dropped
            } else {
                &mut *scores
            };
            let terms = Term::strided(count, stride, width);
            let operands = Operands { weights: used, row_stride: 1, terms: &terms, input: gradient };
            project(operands, Start::Existing, &mut v_gradient, by_token);
            let bias = bias_gradient.as_deref_mut().map(|bias| &mut bias[first * stride..]);
            E::dispatch(Gradient { probabilities: scores, gradient: slopes, stride, bias });
            let terms = Term::strided(count, stride, head);
            let operands =
                Operands { weights: slopes, row_stride: 1, terms: &terms, input: &q[first * head..] };
            project(operands, Start::Existing, &mut k_gradient, by_token);
            let operands = Operands { weights: slopes, row_stride: stride, terms: &self.by_key, input: &k };
            project(operands, Start::Zero, &mut block, Layout { outputs: count, stride: head, run: head });
            block[..count * head].iter_mut().for_each(|value| *value *= scale);
            self.add(at, 0, first, &block[..count * head], into);
        }
        self.add(at, 1, 0, &k_gradient, into);
        self.add(at, 2, 0, &v_gradient, into);
    }

    /// Adds rows of a head, close together, to the gradient of queries (0), keys (1) or values (2).
    fn add(&self, at: At, which: usize, first: usize, rows: &[E], into: &[Disjoint<'_, E>]) {
        let (place, start, stride) = self.place(at, which);
        let head = self.sizes.head;
        for (row, from) in (first..).zip(rows.chunks(head)) {
            // SAFETY: only this head of this group has these features of these tokens, and gradients are initialised.
            let into = unsafe { into[place.input].slice(start + row * stride, head) };
            into.iter_mut().zip(from).for_each(|(into, from)| *into += *from);
        }
    }
}
