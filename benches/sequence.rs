//! The GRU layer and low-rank fusion at the sizes of MIMIC-III and AV-MNIST, forward and backward, batch 40.
//! Run with `RAYON_NUM_THREADS=1` to compare with `scripts/bench_seq_pytorch.py`.
#![allow(clippy::expect_used, reason = "a bench has nobody to report an error to")]

use criterion::{Criterion, criterion_group, criterion_main};
use dfdx::prelude::*;
use i2m2::ops::Parameter;
use i2m2::ops::gru::{self, gru};
use i2m2::ops::lrtf::{Fusion, low_rank_fusion};
use i2m2::ops::optimizer::{Optimizer, Rule, Settings};
use i2m2::ops::product_of_experts::product_of_experts;
use i2m2::random::Seeds;

fn values(name: &str, count: usize) -> Vec<f32> {
    let mut stream = Seeds::root(0).child(name).stream();
    (0..count).map(|_| stream.uniform_in(-0.2, 0.2) as f32).collect()
}

fn parameter(device: &Cpu, dims: &[usize]) -> Parameter<f32, Cpu> {
    let count = dims.iter().product();
    Parameter::new(device, dims, values("parameter", count)).expect("the values fill the dimensions")
}

fn sequence(c: &mut Criterion) {
    let device = Cpu::default();
    // As in training: without the cache, page faults of fresh memory take as long as the GRU layer.
    device.enable_cache();
    let (steps, features, hidden, batch) = (24, 12, 30, 40);
    let x = device.tensor_from_vec(values("x", steps * features * batch), (steps, features, batch));
    let [input, hidden_weight, input_bias, hidden_bias] =
        [vec![3 * hidden, features], vec![3 * hidden, hidden], vec![3 * hidden], vec![3 * hidden]]
            .map(|dims| parameter(&device, &dims));
    let weights = gru::Weights {
        input: &input,
        hidden: &hidden_weight,
        input_bias: &input_bias,
        hidden_bias: &hidden_bias,
    };
    c.bench_function("gru 24x12->30, batch 40: forward", |b| {
        b.iter(|| gru(x.clone(), &weights, false).expect("fits"));
    });
    c.bench_function("gru 24x12->30, batch 40: forward, sum, backward", |b| {
        b.iter(|| gru(x.clone().leaky_trace(), &weights, false).expect("fits").sum().backward());
    });

    let (first, second, rank, outputs) = (48, 192, 40, 120);
    let h1 = device.tensor_from_vec(values("h1", first * batch), (first, batch));
    let h2 = device.tensor_from_vec(values("h2", second * batch), (second, batch));
    let fusion = Fusion {
        factors: [
            &parameter(&device, &[rank, first + 1, outputs]),
            &parameter(&device, &[rank, second + 1, outputs]),
        ],
        weights: &parameter(&device, &[1, rank]),
        bias: &parameter(&device, &[1, outputs]),
    };
    c.bench_function("low-rank fusion (48, 192) -> 120, rank 40, batch 40: forward", |b| {
        b.iter(|| low_rank_fusion(h1.clone(), h2.clone(), &fusion).expect("fits"));
    });
    c.bench_function("low-rank fusion (48, 192) -> 120, rank 40, batch 40: forward, sum, backward", |b| {
        b.iter(|| {
            let out = low_rank_fusion(h1.clone().leaky_trace(), h2.clone().leaky_trace(), &fusion);
            out.expect("fits").sum().backward()
        });
    });

    let logits = || device.tensor_from_vec(values("logits", 10 * batch), (10, batch)).leaky_trace();
    let labels: Vec<u8> = (0..batch).map(|n| (n % 10) as u8).collect();
    c.bench_function("product of 3 experts, 10 classes, batch 40: forward, backward", |b| {
        b.iter(|| {
            let experts = vec![logits(), logits(), logits()];
            product_of_experts(experts, &labels).expect("fits").loss.backward()
        });
    });

    for rule in [Rule::Sgd, Rule::Rmsprop] {
        let settings = Settings { rule, learning_rate: 1e-9, weight_decay: 1e-4, clip_norm: 8.0 };
        let mut parameters = [parameter(&device, &[1_000_000])];
        let mut optimizer = Optimizer::new(settings, &parameters).expect("there is memory");
        let mut gradients = Gradients::leaky();
        **gradients.get_or_alloc_mut(&parameters[0].value).expect("there is memory") =
            values("gradient", 1_000_000);
        c.bench_function(&format!("{rule:?} with clipping, a million parameters"), |b| {
            b.iter(|| optimizer.step(&mut parameters.each_mut(), &mut gradients).expect("finite"));
        });
    }
}

criterion_group!(benches, sequence);
criterion_main!(benches);
