//! Every op on a GPU against the same op on the CPU: outputs and all gradients.
//!
//! Invariant: both devices get the same numbers through the same code; what is compared is all that comes out.

mod leaves;
mod tokens;

use dfdx::prelude::*;

use leaves::{Given, back, parameter, values};
use tokens::Extra;

pub(crate) use tokens::TokenCase;

use super::activate::Function;
use super::add::add;
use super::average_pool::average_pool;
use super::concat::concat;
use super::conv2d::{InputGradient, conv2d};
use super::group_norm::group_norm_relu;
use super::gru::{self, gru};
use super::linear::{Activation, linear_per_step};
use super::lrtf::{self, low_rank_fusion};
use super::norm_relu_pool::{Running, Statistics, norm_relu_pool};
use super::optimizer::{Hyperparameters, Optimizer, Rule};
use super::product_of_experts::{Heads, Labels, product_of_experts, product_of_heads, product_of_soft};
use super::{Backend, OpError};
use crate::device::{Fill, Precision};
use crate::digest::{Digest, Hasher};

/// An op at certain sizes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Case {
    /// Inputs, outputs, kernel, height, width, batch; stride.
    Conv2d([usize; 6], usize),
    /// A block's two convolutions of one input, of 3 x 3 and of one tap: inputs, outputs, height, width, batch; stride.
    Shortcut([usize; 5], usize),
    /// Channels, height, width, batch.
    NormReluPool([usize; 4], Statistics),
    /// Steps, inputs, outputs, batch.
    Linear([usize; 4], Activation),
    /// Steps, inputs, units, batch.
    Gru([usize; 4]),
    /// Features of both modalities, rank, outputs, batch.
    LowRankFusion([usize; 5]),
    /// Features of both inputs, batch.
    Concat([usize; 3]),
    /// Channels, height, width, batch.
    Add([usize; 4]),
    /// Channels, height, width, batch; side.
    AveragePool([usize; 4], usize),
    /// Channels, height, width, batch; groups.
    GroupNormRelu([usize; 4], usize),
    /// Experts, heads of two classes, examples.
    ProductOfHeads([usize; 3]),
    /// Experts, classes, examples.
    ProductOfExperts([usize; 3]),
    /// Experts, classes, examples.
    ProductOfSoft([usize; 3]),
    /// The rule, on several parameters.
    Update(Rule),
    /// An op of tokens.
    Tokens(TokenCase),
}

/// Sizes of the paper's networks, and odd ones that take every path through the kernels.
pub(crate) const CASES: &[Case] = &[
    Case::Conv2d([1, 6, 5, 28, 28, 40], 1),
    Case::Conv2d([6, 12, 3, 14, 14, 40], 1),
    Case::Conv2d([24, 48, 3, 3, 3, 40], 1),
    Case::Conv2d([96, 192, 3, 3, 3, 40], 1),
    Case::Conv2d([3, 5, 3, 5, 7, 10], 1),
    Case::Conv2d([2, 7, 5, 6, 4, 3], 1),
    Case::Conv2d([5, 13, 1, 3, 4, 6], 1),
    Case::Conv2d([2, 3, 7, 6, 5, 4], 1),
    Case::Conv2d([16, 24, 3, 10, 10, 16], 2),
    Case::Conv2d([5, 13, 3, 7, 6, 3], 2),
    Case::Conv2d([11, 7, 1, 5, 8, 4], 2),
    Case::Conv2d([3, 4, 5, 7, 9, 2], 3),
    Case::Conv2d([41, 70, 3, 19, 17, 3], 1),
    Case::Conv2d([66, 67, 3, 29, 27, 2], 2),
    Case::Conv2d([72, 300, 1, 39, 41, 1], 2),
    Case::Conv2d([18, 37, 5, 23, 22, 1], 1),
    Case::Conv2d([64, 58, 3, 45, 46, 1], 3),
    Case::Shortcut([5, 7, 6, 5, 4], 1),
    Case::Shortcut([66, 67, 29, 27, 1], 2),
    Case::NormReluPool([6, 28, 28, 40], Statistics::Batch),
    Case::NormReluPool([192, 3, 3, 40], Statistics::Batch),
    Case::NormReluPool([3, 5, 7, 9], Statistics::Batch),
    Case::NormReluPool([3, 7, 4, 10], Statistics::Running),
    Case::Linear([1, 240, 100, 40], Activation::Relu),
    Case::Linear([24, 30, 15, 40], Activation::Identity),
    Case::Linear([1, 5, 10, 9], Activation::LeakyRelu { slope: 0.2 }),
    Case::Gru([24, 12, 30, 40]),
    Case::Gru([3, 5, 7, 9]),
    Case::Gru([2, 9, 130, 6]),
    Case::LowRankFusion([48, 192, 40, 120, 40]),
    Case::LowRankFusion([3, 5, 2, 7, 9]),
    Case::Concat([48, 192, 40]),
    Case::Concat([3, 2, 7]),
    Case::Add([5, 3, 7, 2]),
    Case::AveragePool([6, 8, 8, 4], 4),
    Case::AveragePool([2, 5, 7, 3], 3),
    Case::GroupNormRelu([8, 6, 5, 3], 2),
    Case::GroupNormRelu([64, 40, 40, 1], 32),
    Case::GroupNormRelu([4, 70, 73, 1], 2),
    Case::GroupNormRelu([6, 50, 33, 5], 3),
    Case::GroupNormRelu([4, 9, 8, 40], 2),
    Case::ProductOfHeads([1, 4, 16]),
    Case::ProductOfHeads([3, 4, 7]),
    Case::ProductOfExperts([1, 10, 40]),
    Case::ProductOfExperts([3, 2, 40]),
    Case::ProductOfExperts([2, 7, 13]),
    Case::ProductOfExperts([2, 300, 5]),
    Case::ProductOfSoft([1, 3129, 5]),
    Case::ProductOfSoft([3, 3129, 5]),
    Case::ProductOfSoft([1, 1, 1]),
    Case::ProductOfSoft([2, 7, 77]),
    Case::Update(Rule::Sgd),
    Case::Update(Rule::Rmsprop),
    Case::Update(Rule::ADAMW),
    Case::Tokens(TokenCase::Activate([7, 45], Function::Gelu)),
    Case::Tokens(TokenCase::Activate([3, 100], Function::Tanh)),
    Case::Tokens(TokenCase::AddScaled([5, 9])),
    Case::Tokens(TokenCase::AddScaled([70, 48])),
    Case::Tokens(TokenCase::Drop([9, 7], 1)),
    Case::Tokens(TokenCase::Drop([12, 10], 30)),
    Case::Tokens(TokenCase::Embedding([11, 12, 40])),
    Case::Tokens(TokenCase::LayerNorm([5, 7])),
    Case::Tokens(TokenCase::LayerNorm([150, 96])),
    Case::Tokens(TokenCase::MeanTokens([3, 5, 7])),
    Case::Tokens(TokenCase::Normalize([9, 70])),
    Case::Tokens(TokenCase::Rows([2, 12, 8, 12])),
    Case::Tokens(TokenCase::Rows([3, 6, 5, 20])),
    Case::Tokens(TokenCase::ToFeatures([7, 5])),
    Case::Tokens(TokenCase::Linear([70, 48, 130], true)),
    Case::Tokens(TokenCase::Linear([5, 7, 11], true)),
    Case::Tokens(TokenCase::Linear([9, 260, 261], true)),
    Case::Tokens(TokenCase::Linear([300, 20, 20], false)),
    Case::Tokens(TokenCase::Attention([1, 3, 70, 70, 2, 32], Extra::None)),
    Case::Tokens(TokenCase::Attention([1, 4, 16, 16, 2, 8], Extra::Position)),
    Case::Tokens(TokenCase::Attention([1, 4, 81, 81, 1, 5], Extra::Windows)),
    Case::Tokens(TokenCase::Attention([2, 2, 70, 9, 2, 16], Extra::Padding)),
    Case::Tokens(TokenCase::Attention([3, 2, 37, 50, 2, 64], Extra::Dropout)),
    Case::Tokens(TokenCase::Attention([3, 2, 5, 40, 1, 100], Extra::Padding)),
    Case::Tokens(TokenCase::Attention([1, 9, 4, 4, 1, 70], Extra::Windows)),
];

/// How an op on the GPU compares.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Parity {
    /// The op and its sizes.
    pub case: String,
    /// The largest difference of any array, relative to the array's largest value on the CPU.
    pub largest: f64,
    /// The array with that difference.
    pub array: String,
    /// Whether a second time on the GPU gave the same bits.
    pub repeats: bool,
    /// Digest of all bits that the device gave.
    pub digest: Digest,
}

impl Parity {
    /// Largest relative difference that counts as equal. An operand of TF32 is rounded by up to 2^-11.
    pub(crate) fn limit(precision: Precision) -> f64 {
        match precision {
            Precision::F32 => 1e-5,
            Precision::Tf32 => 5e-3,
        }
    }

    /// Whether the op may be used.
    pub(crate) fn holds(&self, precision: Precision) -> bool {
        self.repeats && self.largest <= Parity::limit(precision)
    }
}

/// Compares a case on a device with the CPU, and with itself.
///
/// # Errors
/// If a device fails.
pub(crate) fn compare<D: Backend<f32> + Fill<f32>>(device: &D, case: Case) -> Result<Parity, OpError> {
    let expected = run(&Cpu::default(), case)?;
    let found = run(device, case)?;
    let again = run(device, case)?;
    let mut hasher = Hasher::new("i2m2 parity");
    for (_, values) in &found {
        hasher.field(&values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
    }
    let (case, digest) = (format!("{case:?}"), hasher.finish());
    let mut parity = Parity { case, largest: 0.0, array: String::new(), repeats: true, digest };
    for (((name, expected), (_, found)), (_, again)) in expected.iter().zip(&found).zip(&again) {
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        parity.repeats &= bits(found) == bits(again);
        let scale = expected.iter().fold(f64::MIN_POSITIVE, |most, &value| most.max(f64::from(value).abs()));
        let differences =
            expected.iter().zip(found).map(|(&e, &f)| (f64::from(e) - f64::from(f)).abs() / scale);
        // A NaN is as different as can be.
        let worst =
            differences.fold(0.0, |most: f64, d| if d.is_nan() { f64::INFINITY } else { most.max(d) });
        let same_length = expected.len() == found.len();
        if worst > parity.largest || !same_length {
            parity.largest = if same_length { worst } else { f64::INFINITY };
            parity.array.clone_from(name);
        }
    }
    Ok(parity)
}

fn run<D: Backend<f32> + Fill<f32>>(device: &D, case: Case) -> Result<Given, OpError> {
    let shaped = OpError::device::<D::Err>("parity");
    match case {
        Case::Tokens(case) => tokens::run(device, case),
        Case::Conv2d([inputs, outputs, kernel, height, width, batch], stride) => {
            let x = parameter(device, "x", &[inputs * height * width * batch], 1.0)?;
            let weight = parameter(device, "weight", &[outputs, inputs, kernel, kernel], 0.3)?;
            let maps =
                x.value.leaky_trace().try_reshape_like(&(inputs, height, width, batch)).map_err(shaped)?;
            let out = conv2d(maps, &weight, stride, InputGradient::Needed)?;
            back(out, &[("x", &x.value), ("weight", &weight.value)])
        }
        // The second gradient of the input is added to the first one.
        Case::Shortcut([inputs, outputs, height, width, batch], stride) => {
            let x = parameter(device, "x", &[inputs * height * width * batch], 1.0)?;
            let weight = parameter(device, "weight", &[outputs, inputs, 3, 3], 0.3)?;
            let shortcut = parameter(device, "shortcut", &[outputs, inputs, 1, 1], 0.3)?;
            let maps =
                x.value.leaky_trace().try_reshape_like(&(inputs, height, width, batch)).map_err(shaped)?;
            let (maps, tape) = maps.split_tape();
            let out = conv2d(maps.clone().put_tape(tape), &weight, stride, InputGradient::Needed)?;
            let beside = maps.put_tape(OwnedTape::default());
            let beside = conv2d(beside, &shortcut, stride, InputGradient::Needed)?;
            let leaves = [("x", &x.value), ("weight", &weight.value), ("shortcut", &shortcut.value)];
            back(add(out, beside)?, &leaves)
        }
        Case::NormReluPool([channels, height, width, batch], statistics) => {
            let x = parameter(device, "x", &[channels * height * width * batch], 2.0)?;
            let weight = parameter(device, "weight", &[channels], 1.0)?;
            let bias = parameter(device, "bias", &[channels], 1.0)?;
            let variance = values("variance", channels, 0.5).iter().map(|v| v + 1.0).collect();
            let mut running = Running::from_values(device, values("mean", channels, 0.5), variance)?;
            let maps =
                x.value.leaky_trace().try_reshape_like(&(channels, height, width, batch)).map_err(shaped)?;
            let out = norm_relu_pool(maps, &weight, &bias, &mut running, statistics)?;
            let leaves = [("x", &x.value), ("weight", &weight.value), ("bias", &bias.value)];
            let mut given = back(out, &leaves)?;
            given.push(("running mean".to_owned(), running.mean.as_vec()));
            given.push(("running variance".to_owned(), running.variance.as_vec()));
            Ok(given)
        }
        Case::Linear([steps, inputs, outputs, batch], activation) => {
            let x = parameter(device, "x", &[steps * inputs * batch], 1.0)?;
            let weight = parameter(device, "weight", &[outputs, inputs], 0.5)?;
            let bias = parameter(device, "bias", &[outputs], 0.5)?;
            let series = x.value.leaky_trace().try_reshape_like(&(steps, inputs, batch)).map_err(shaped)?;
            let out = linear_per_step(series, &weight, &bias, activation)?;
            back(out, &[("x", &x.value), ("weight", &weight.value), ("bias", &bias.value)])
        }
        Case::Gru([steps, inputs, units, batch]) => {
            let x = parameter(device, "x", &[steps * inputs * batch], 1.0)?;
            let input = parameter(device, "input", &[3 * units, inputs], 0.5)?;
            let hidden = parameter(device, "hidden", &[3 * units, units], 0.5)?;
            let input_bias = parameter(device, "input bias", &[3 * units], 0.5)?;
            let hidden_bias = parameter(device, "hidden bias", &[3 * units], 0.5)?;
            let weights = gru::Weights {
                input: &input,
                hidden: &hidden,
                input_bias: &input_bias,
                hidden_bias: &hidden_bias,
            };
            let series = x.value.leaky_trace().try_reshape_like(&(steps, inputs, batch)).map_err(shaped)?;
            let out = gru(series, &weights, true)?;
            let leaves = [
                ("x", &x.value),
                ("input weights", &input.value),
                ("hidden weights", &hidden.value),
                ("input bias", &input_bias.value),
                ("hidden bias", &hidden_bias.value),
            ];
            back(out, &leaves)
        }
        Case::LowRankFusion([first, second, rank, outputs, batch]) => {
            let x = parameter(device, "first", &[first * batch], 1.0)?;
            let y = parameter(device, "second", &[second * batch], 1.0)?;
            let factors = [
                parameter(device, "factor 0", &[rank, first + 1, outputs], 0.5)?,
                parameter(device, "factor 1", &[rank, second + 1, outputs], 0.5)?,
            ];
            let weights = parameter(device, "weights", &[1, rank], 1.0)?;
            let bias = parameter(device, "bias", &[1, outputs], 1.0)?;
            let fusion = lrtf::Fusion { factors: [&factors[0], &factors[1]], weights: &weights, bias: &bias };
            let first = x.value.leaky_trace().try_reshape_like(&(first, batch)).map_err(shaped)?;
            let shaped = OpError::device::<D::Err>("parity");
            let second = y.value.leaky_trace().try_reshape_like(&(second, batch)).map_err(shaped)?;
            let out = low_rank_fusion(first, second, &fusion)?;
            let leaves = [
                ("first", &x.value),
                ("second", &y.value),
                ("factor 0", &factors[0].value),
                ("factor 1", &factors[1].value),
                ("weights", &weights.value),
                ("bias", &bias.value),
            ];
            back(out, &leaves)
        }
        Case::Concat([first, second, batch]) => {
            let x = parameter(device, "first", &[first * batch], 1.0)?;
            let y = parameter(device, "second", &[second * batch], 1.0)?;
            let first = x.value.leaky_trace().try_reshape_like(&(first, batch)).map_err(shaped)?;
            let shaped = OpError::device::<D::Err>("parity");
            let second = y.value.leaky_trace().try_reshape_like(&(second, batch)).map_err(shaped)?;
            back(concat(first, second)?, &[("first", &x.value), ("second", &y.value)])
        }
        Case::Add([channels, height, width, batch]) => {
            let shape = (channels, height, width, batch);
            let count = channels * height * width * batch;
            let (x, y) =
                (parameter(device, "first", &[count], 1.0)?, parameter(device, "second", &[count], 1.0)?);
            let first = x.value.leaky_trace().try_reshape_like(&shape).map_err(shaped)?;
            let shaped = OpError::device::<D::Err>("parity");
            let second = y.value.leaky_trace().try_reshape_like(&shape).map_err(shaped)?;
            back(add(first, second)?, &[("first", &x.value), ("second", &y.value)])
        }
        Case::AveragePool([channels, height, width, batch], side) => {
            let x = parameter(device, "x", &[channels * height * width * batch], 1.0)?;
            let maps =
                x.value.leaky_trace().try_reshape_like(&(channels, height, width, batch)).map_err(shaped)?;
            back(average_pool(maps, side)?, &[("x", &x.value)])
        }
        Case::GroupNormRelu([channels, height, width, batch], groups) => {
            let x = parameter(device, "x", &[channels * height * width * batch], 2.0)?;
            let weight = parameter(device, "weight", &[channels], 1.0)?;
            let bias = parameter(device, "bias", &[channels], 1.0)?;
            let maps =
                x.value.leaky_trace().try_reshape_like(&(channels, height, width, batch)).map_err(shaped)?;
            let out = group_norm_relu(maps, &weight, &bias, groups)?;
            back(out, &[("x", &x.value), ("weight", &weight.value), ("bias", &bias.value)])
        }
        Case::ProductOfHeads([experts, heads, examples]) => {
            let labels: Vec<u32> = (0..examples).map(|n| (n * 5 % (1 << heads)) as u32).collect();
            let weights: Vec<f64> = (0..2 * heads).map(|k| 0.5 + k as f64 / 4.0).collect();
            let logits = (0..experts)
                .map(|e| parameter(device, &format!("expert {e}"), &[2 * heads * examples], 3.0))
                .collect::<Result<Vec<_>, _>>()?;
            let mut traced = Vec::new();
            for expert in &logits {
                let shaped = OpError::device::<D::Err>("parity");
                let expert = expert.value.leaky_trace().try_reshape_like(&(2 * heads, examples));
                traced.push(expert.map_err(shaped)?);
            }
            let labels = Labels::new(device, &labels)?;
            let product = product_of_heads(traced, &labels, &Heads::new(device, heads, 2, &weights)?)?;
            let mut given = vec![
                ("log-probabilities".to_owned(), product.log_probabilities.as_vec()),
                ("loss".to_owned(), product.loss.as_vec()),
            ];
            let gradients = product.loss.try_backward().map_err(shaped)?;
            given.extend(
                logits.iter().map(|expert| ("gradient".to_owned(), gradients.get(&expert.value).as_vec())),
            );
            Ok(given)
        }
        Case::ProductOfExperts([experts, classes, examples]) => {
            let labels: Vec<u32> = (0..examples).map(|n| (n * 5 % classes) as u32).collect();
            let logits = (0..experts)
                .map(|e| parameter(device, &format!("expert {e}"), &[classes * examples], 3.0))
                .collect::<Result<Vec<_>, _>>()?;
            let mut traced = Vec::new();
            for expert in &logits {
                let shaped = OpError::device::<D::Err>("parity");
                let expert = expert.value.leaky_trace().try_reshape_like(&(classes, examples));
                traced.push(expert.map_err(shaped)?);
            }
            let product = product_of_experts(traced, &labels)?;
            let mut given = vec![
                ("log-probabilities".to_owned(), product.log_probabilities.as_vec()),
                ("loss".to_owned(), product.loss.as_vec()),
            ];
            let gradients = product.loss.try_backward().map_err(shaped)?;
            given.extend(
                logits.iter().map(|expert| ("gradient".to_owned(), gradients.get(&expert.value).as_vec())),
            );
            Ok(given)
        }
        Case::ProductOfSoft([experts, classes, examples]) => {
            let scores = values("targets", classes * examples, 0.5).iter().map(|t| t + 0.5).collect();
            let targets = device.try_tensor_from_vec(scores, (classes, examples)).map_err(shaped)?;
            let logits = (0..experts)
                .map(|e| parameter(device, &format!("expert {e}"), &[classes * examples], 3.0))
                .collect::<Result<Vec<_>, _>>()?;
            let mut traced = Vec::new();
            for expert in &logits {
                let shaped = OpError::device::<D::Err>("parity");
                let expert = expert.value.leaky_trace().try_reshape_like(&(classes, examples));
                traced.push(expert.map_err(shaped)?);
            }
            let product = product_of_soft(traced, &targets)?;
            let mut given = vec![
                ("logits".to_owned(), product.logits.as_vec()),
                ("loss".to_owned(), product.loss.as_vec()),
            ];
            let shaped = OpError::device::<D::Err>("parity");
            let gradients = product.loss.try_backward().map_err(shaped)?;
            given.extend(
                logits.iter().map(|expert| ("gradient".to_owned(), gradients.get(&expert.value).as_vec())),
            );
            Ok(given)
        }
        Case::Update(rule) => {
            // The paper's: AdamW is fastMRI's, whose gradients are not clipped.
            let (weight_decay, clip_norm) = if rule == Rule::ADAMW { (0.1, None) } else { (1e-4, Some(8.0)) };
            let hyperparameters = Hyperparameters { rule, learning_rate: 0.01, weight_decay, clip_norm };
            let lengths = [1usize, 6, 2048, 5000, 1150];
            let mut parameters = Vec::new();
            for (index, &length) in lengths.iter().enumerate() {
                let made = parameter(device, &format!("parameter {index}"), &[length], 1.0)?;
                parameters.push(if index == 1 { made.frozen() } else { made });
            }
            let mut optimizer = Optimizer::new(device, hyperparameters, &parameters)?;
            let loss = device.try_zeros_like(&Rank0::default()).map_err(shaped)?;
            for step in 0..3 {
                let mut gradients = Gradients::leaky();
                for (index, parameter) in parameters.iter().enumerate() {
                    let shaped = OpError::device::<D::Err>("parity");
                    // Below and above the norm that is clipped.
                    let scale = [0.01, 1.0, 0.1][step];
                    let values = values(&format!("gradient {step} {index}"), parameter.len(), scale);
                    let gradient = gradients.get_or_alloc_mut(&parameter.value);
                    gradient.and_then(|gradient| device.fill(gradient, &values)).map_err(shaped)?;
                }
                let mut all: Vec<_> = parameters.iter_mut().collect();
                optimizer.step(&mut all, &mut gradients, &loss)?;
            }
            let stats = optimizer.step_stats()?;
            let mut given = vec![("norms".to_owned(), stats.iter().map(|stats| stats.norm as f32).collect())];
            given.extend(parameters.iter().map(|parameter| ("value".to_owned(), parameter.values())));
            let state = optimizer.state().squares.into_iter().zip(&parameters);
            let trained = state.filter(|(_, parameter)| parameter.needs_grad);
            given.extend(trained.map(|(state, _)| ("state".to_owned(), state)));
            Ok(given)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_agrees_with_itself_and_every_array_is_compared() {
        for &case in CASES {
            let parity = compare(&Cpu::default(), case).unwrap();
            assert!(parity.holds(Precision::F32) && parity.largest == 0.0, "{parity:?}");
            let given = run(&Cpu::default(), case).unwrap();
            assert!(given.len() >= 2, "{case:?}");
            for (name, array) in &given {
                assert!(array.iter().any(|&value| value != 0.0), "{case:?}: {name} is all zero");
            }
        }
    }
}
