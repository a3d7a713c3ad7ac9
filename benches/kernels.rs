//! Every kernel at the sizes of the paper's models, batch 40, one thread, against what one core can do at most.
//!
//! ```text
//! cargo bench --bench kernels
//! cargo bench --bench kernels -- conv2d
//! ```
#![allow(clippy::expect_used, reason = "a bench has nobody to report an error to")]
#![allow(clippy::print_stdout, missing_docs)]

mod roofline;

use criterion::Criterion;
use dfdx::prelude::*;
use i2m2::ops::activate::{Activate, Function};
use i2m2::ops::attention::{Extras, Groups, Projections, attention};
use i2m2::ops::conv2d::{Conv2d, Shape};
use i2m2::ops::gru::{self, gru};
use i2m2::ops::layer_norm::LayerNorm;
use i2m2::ops::linear::{Activation, linear};
use i2m2::ops::lrtf::{Fusion, low_rank_fusion};
use i2m2::ops::norm_relu_pool::{NormGradients, NormReluPool, Running, Statistics};
use i2m2::ops::optimizer::{Hyperparameters, Optimizer, Rule};
use i2m2::ops::product_of_experts::{product_of_experts, product_of_soft};
use i2m2::ops::token_linear::{TokenLinear, TokenLinearGradients};
use i2m2::ops::{Parameter, Tokens};
use i2m2::random::Seeds;
use roofline::{Roofline, Work};

const BATCH: usize = 40;
/// Stages of the audio encoder LeNet(6, 5): inputs, outputs, kernel, side.
const STAGES: [(usize, usize, usize, usize); 6] =
    [(1, 6, 5, 112), (6, 12, 3, 56), (12, 24, 3, 28), (24, 48, 3, 14), (48, 96, 3, 7), (96, 192, 3, 3)];

fn values(name: &str, count: usize) -> Vec<f32> {
    let mut stream = Seeds::root(0).child(name).stream();
    (0..count).map(|_| stream.uniform_in(-0.2, 0.2) as f32).collect()
}

fn vector(device: &Cpu, name: &str, count: usize) -> Tensor<(usize,), f32, Cpu> {
    device.tensor_from_vec(values(name, count), (count,))
}

fn parameter(device: &Cpu, dims: &[usize]) -> Parameter<f32, Cpu> {
    let count = dims.iter().product();
    Parameter::new(device, dims, values("parameter", count)).expect("the values fill the dimensions")
}

/// Storage of the device's own type, filled.
fn storage(device: &Cpu, name: &str, count: usize) -> <Cpu as Storage<f32>>::Vec {
    let mut storage = Storage::<f32>::try_alloc_len(device, count).expect("there is memory");
    storage.copy_from_slice(&values(name, count));
    storage
}

fn stages(criterion: &mut Criterion, roofline: &mut Roofline, device: &Cpu) {
    for (inputs, outputs, kernel, side) in STAGES {
        let shape = Shape { inputs, outputs, kernel, stride: 1, height: side, width: side, batch: BATCH };
        let pixels = side * side * BATCH;
        let (x_len, out_len) = (inputs * pixels, outputs * pixels);
        let weights = inputs * outputs * kernel * kernel;
        let label = |what: &str| format!("conv2d {inputs} -> {outputs}, {side} x {side}: {what}");
        // Taps outside of the image are left out: no work.
        let padding = (kernel - 1) / 2;
        let taps = (side * kernel - padding * (padding + 1)).pow(2);
        let work = Work::new(inputs * outputs * taps * BATCH, x_len + out_len);

        let x = device.tensor_from_vec(values("x", x_len), (inputs, side, side, BATCH));
        let weight = vector(device, "weight", weights);
        let gradient = storage(device, "gradient", out_len);
        let mut x_gradient = storage(device, "x gradient", x_len);
        let mut weight_gradient = storage(device, "weight gradient", weights);
        roofline.bench(criterion, &label("forward"), work, || {
            std::hint::black_box(device.conv2d(&x, &weight, shape).expect("fits"));
        });
        roofline.bench(criterion, &label("input gradient"), work, || {
            device.conv2d_backward_input(&weight, shape, &gradient, &mut x_gradient).expect("fits");
        });
        roofline.bench(criterion, &label("weight gradient"), work, || {
            device.conv2d_backward_weight(&x, shape, &gradient, &mut weight_gradient).expect("fits");
        });

        let label = |what: &str| format!("norm-relu-pool {outputs}, {side} x {side}: {what}");
        let pooled = outputs * (side / 2) * (side / 2) * BATCH;
        let x = device.tensor_from_vec(values("x", out_len), (outputs, side, side, BATCH));
        let (scale, shift) = (vector(device, "scale", outputs), vector(device, "shift", outputs));
        let mut running = Running::new(device, outputs).expect("there is memory");
        let batch = Statistics::Batch;
        let saved = device.norm_statistics(&x, &scale, &shift, &mut running, batch).expect("fits");
        let gradient = storage(device, "pooled gradient", pooled);
        let mut x_gradient = storage(device, "x gradient", out_len);
        let (mut scale_gradient, mut shift_gradient) =
            (storage(device, "scale gradient", outputs), storage(device, "shift gradient", outputs));
        // Statistics read every element, and normalising reads it again.
        roofline.bench(criterion, &label("forward"), Work::new(3 * out_len, 2 * out_len + pooled), || {
            let saved = device.norm_statistics(&x, &scale, &shift, &mut running, batch).expect("fits");
            std::hint::black_box(device.norm_relu_pool(&x, &saved).expect("fits"));
        });
        // The gradient's two sums come before what is spread of them, so that all is read twice, and added to.
        let bytes = Work::new(4 * out_len, 4 * out_len + 2 * pooled);
        roofline.bench(criterion, &label("backward"), bytes, || {
            let into = NormGradients {
                x: &mut x_gradient,
                weight: Some(&mut scale_gradient),
                bias: Some(&mut shift_gradient),
            };
            device.norm_relu_pool_backward(&x, &saved, batch, &gradient, into).expect("fits");
        });
    }
}

fn heads(criterion: &mut Criterion, roofline: &mut Roofline, device: &Cpu) {
    let (inputs, outputs) = (240, 100);
    let x = device.tensor_from_vec(values("x", inputs * BATCH), (inputs, BATCH));
    let (weight, bias) = (parameter(device, &[outputs, inputs]), parameter(device, &[outputs]));
    let forward = inputs * outputs * BATCH;
    let elements = inputs * outputs + (inputs + outputs) * BATCH;
    roofline.bench(
        criterion,
        "linear 240 -> 100, ReLU: forward, sum, backward",
        Work::new(3 * forward, 3 * elements),
        || {
            let y = linear(x.clone().leaky_trace(), &weight, &bias, Activation::Relu).expect("fits");
            std::hint::black_box(y.sum().backward());
        },
    );

    let (first, second, rank, outputs) = (48, 192, 40, 120);
    let h1 = device.tensor_from_vec(values("h1", first * BATCH), (first, BATCH));
    let h2 = device.tensor_from_vec(values("h2", second * BATCH), (second, BATCH));
    let fusion = Fusion {
        factors: [
            &parameter(device, &[rank, first + 1, outputs]),
            &parameter(device, &[rank, second + 1, outputs]),
        ],
        weights: &parameter(device, &[1, rank]),
        bias: &parameter(device, &[1, outputs]),
    };
    let factors = rank * (first + second + 2) * outputs;
    roofline.bench(
        criterion,
        "low-rank fusion (48, 192) -> 120, rank 40: forward, sum, backward",
        Work::new(3 * factors * BATCH, 3 * (factors + 2 * rank * outputs * BATCH)),
        || {
            let out = low_rank_fusion(h1.clone().leaky_trace(), h2.clone().leaky_trace(), &fusion);
            std::hint::black_box(out.expect("fits").sum().backward());
        },
    );

    let logits = || device.tensor_from_vec(values("logits", 10 * BATCH), (10, BATCH));
    let experts = [logits(), logits(), logits()];
    let labels: Vec<u32> = (0..BATCH).map(|n| (n % 10) as u32).collect();
    roofline.bench(
        criterion,
        "product of 3 experts, 10 classes: forward, backward",
        // An exponential counts as 10 multiply-adds.
        Work::new(3 * 10 * BATCH * 12, 3 * 10 * BATCH * 2),
        || {
            let experts = experts.iter().map(|logits| logits.clone().leaky_trace()).collect();
            let product = product_of_experts(experts, &labels).expect("fits");
            std::hint::black_box(product.loss.backward());
        },
    );

    let classes = 3129;
    let logits = || device.tensor_from_vec(values("logits", classes * BATCH), (classes, BATCH));
    let experts = [logits(), logits(), logits()];
    let targets = device.tensor_from_vec(vec![0.3; classes * BATCH], (classes, BATCH));
    roofline.bench(
        criterion,
        "product of 3 experts, 3,129 soft targets: forward, backward",
        // Five transcendentals per class and example, 10 multiply-adds each, beside what passes through memory.
        Work::new(classes * BATCH * (5 * 10 + 3 * 4), classes * BATCH * 22),
        || {
            let experts = experts.iter().map(|logits| logits.clone().leaky_trace()).collect();
            let product = product_of_soft(experts, &targets).expect("fits");
            std::hint::black_box(product.loss.backward());
        },
    );
}

fn sequences(criterion: &mut Criterion, roofline: &mut Roofline, device: &Cpu) {
    let (steps, features, hidden) = (24, 12, 30);
    let x = device.tensor_from_vec(values("x", steps * features * BATCH), (steps, features, BATCH));
    let [input, hidden_weight, input_bias, hidden_bias] =
        [vec![3 * hidden, features], vec![3 * hidden, hidden], vec![3 * hidden], vec![3 * hidden]]
            .map(|dims| parameter(device, &dims));
    let weights = gru::Weights {
        input: &input,
        hidden: &hidden_weight,
        input_bias: &input_bias,
        hidden_bias: &hidden_bias,
    };
    let forward = steps * 3 * hidden * (features + hidden) * BATCH;
    // Three transcendentals per unit and step, 15 multiply-adds each.
    let cells = steps * hidden * BATCH * 45;
    let elements = steps * BATCH * (features + 5 * hidden);
    roofline.bench(criterion, "gru 24 x 12 -> 30: forward", Work::new(forward + cells, elements), || {
        std::hint::black_box(gru(x.clone(), &weights, false).expect("fits"));
    });
    roofline.bench(
        criterion,
        "gru 24 x 12 -> 30: forward, sum, backward",
        Work::new(3 * forward + cells, 3 * elements),
        || {
            let out = gru(x.clone().leaky_trace(), &weights, false).expect("fits");
            std::hint::black_box(out.sum().backward());
        },
    );
}

/// Tokens, inputs and outputs of FIBER's linear layers: Swin's first, third and last stage, RoBERTa, and VQA's heads.
const LINEAR: [(usize, usize, usize); 7] = [
    (9216, 128, 384),
    (576, 512, 2048),
    (576, 2048, 512),
    (144, 1024, 4096),
    (50, 768, 3072),
    (512, 768, 1536),
    (512, 1536, 3129),
];

/// The ops of FIBER at its sizes, one image of 384 pixels.
fn tokens(criterion: &mut Criterion, roofline: &mut Roofline, device: &Cpu) {
    for (rows, inputs, outputs) in LINEAR {
        let label = |what: &str| format!("token linear {rows} x {inputs} -> {outputs}: {what}");
        let work = Work::new(rows * inputs * outputs, rows * (inputs + outputs) + inputs * outputs);
        let x: Tokens<f32, Cpu> = device.tensor_from_vec(values("x", rows * inputs), (rows, inputs));
        let (weight, bias) = (vector(device, "weight", inputs * outputs), vector(device, "bias", outputs));
        let gradient = storage(device, "gradient", rows * outputs);
        let mut x_gradient = storage(device, "x gradient", rows * inputs);
        let mut weight_gradient = storage(device, "weight gradient", inputs * outputs);
        roofline.bench(criterion, &label("forward"), work, || {
            std::hint::black_box(device.token_linear(&x, &weight, Some(&bias), outputs).expect("fits"));
        });
        roofline.bench(criterion, &label("input gradient"), work, || {
            let into = TokenLinearGradients { x: Some(&mut x_gradient), weight: None, bias: None };
            device.token_linear_backward(&x, &weight, &gradient, into).expect("fits");
        });
        roofline.bench(criterion, &label("weight gradient"), work, || {
            let into = TokenLinearGradients { x: None, weight: Some(&mut weight_gradient), bias: None };
            device.token_linear_backward(&x, &weight, &gradient, into).expect("fits");
        });
    }
    for (windows, width, heads) in [(64, 128, 4), (4, 512, 16)] {
        let (queries, rows) = (144, 144 * windows);
        let qkv: Tokens<f32, Cpu> =
            device.tensor_from_vec(values("qkv", rows * 3 * width), (rows, 3 * width));
        let table = parameter(device, &[23 * 23, heads]);
        let scores = rows * queries * heads;
        // An exponential counts as 10 multiply-adds.
        let forward = 2 * rows * queries * width + 10 * scores;
        let groups = Groups { queries, keys: queries, heads };
        let extras = || Extras { position: Some(&table), ..Extras::default() };
        let label = |what: &str| format!("attention, {windows} windows of 144, {heads} heads of 32: {what}");
        roofline.bench(criterion, &label("forward"), Work::new(forward, 4 * rows * width), || {
            let out = attention(Projections::Joint(qkv.clone()), groups, extras()).expect("fits");
            std::hint::black_box(out);
        });
        let both = 2 * forward + 5 * rows * queries * width;
        roofline.bench(
            criterion,
            &label("forward, sum, backward"),
            Work::new(both, 12 * rows * width),
            || {
                let qkv = Projections::Joint(qkv.clone().leaky_trace());
                let out = attention(qkv, groups, extras()).expect("fits");
                std::hint::black_box(out.sum().backward());
            },
        );
    }
    let (rows, features) = (576, 2048);
    let x: Tokens<f32, Cpu> = device.tensor_from_vec(values("x", rows * features), (rows, features));
    let (weight, bias) = (vector(device, "weight", features), vector(device, "bias", features));
    let elements = rows * features;
    roofline.bench(criterion, "LayerNorm 576 x 2048: forward", Work::new(4 * elements, 2 * elements), || {
        std::hint::black_box(device.layer_norm(&x, &weight, &bias).expect("fits"));
    });
    // A normal distribution counts as 30 multiply-adds.
    roofline.bench(criterion, "GELU 576 x 2048: forward", Work::new(30 * elements, 2 * elements), || {
        std::hint::black_box(device.activate(&x, Function::Gelu).expect("fits"));
    });
}

fn updates(criterion: &mut Criterion, roofline: &mut Roofline, device: &Cpu) {
    let count = 1_000_000;
    for (rule, streams) in [(Rule::Sgd, 3), (Rule::Rmsprop, 5)] {
        let hyperparameters =
            Hyperparameters { rule, learning_rate: 1e-9, weight_decay: 1e-4, clip_norm: Some(8.0) };
        let mut parameters = [parameter(device, &[count])];
        let mut optimizer = Optimizer::new(device, hyperparameters, &parameters).expect("there is memory");
        let mut gradients = Gradients::leaky();
        **gradients.get_or_alloc_mut(&parameters[0].value).expect("there is memory") =
            values("gradient", count);
        let loss = device.tensor(1.0);
        // The norm reads the gradient once more.
        let work = Work::new(4 * count, (streams + 1) * count);
        roofline.bench(criterion, &format!("{rule:?} with clipping, a million parameters"), work, || {
            optimizer.step(&mut parameters.each_mut(), &mut gradients, &loss).expect("there is memory");
            std::hint::black_box(optimizer.step_stats().expect("there is memory"));
        });
    }
}

fn main() {
    i2m2::device::keep_freed_memory();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    pool.install(|| {
        let device = Cpu::default();
        let mut criterion = Criterion::default().configure_from_args();
        let mut roofline = Roofline::measure();
        stages(&mut criterion, &mut roofline, &device);
        heads(&mut criterion, &mut roofline, &device);
        sequences(&mut criterion, &mut roofline, &device);
        tokens(&mut criterion, &mut roofline, &device);
        updates(&mut criterion, &mut roofline, &device);
        criterion.final_summary();
        roofline.print();
    });
}
