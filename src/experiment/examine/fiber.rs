//! FIBER on a GPU: a small one against the CPU, features, logits, losses and all gradients; and how fast the published one is.
//!
//! Invariant: weights and inputs follow from names alone, so both devices get the same; gates of cross-attention are open, so that
//! whatever is there takes part.

use std::collections::BTreeMap;
use std::time::Instant;

use dfdx::prelude::*;
use serde::Serialize;

use crate::device::Precision;
use crate::device::cuda::{Recording, counts, record, wait};
use crate::digest::{Digest, Hasher};
use crate::models::fiber::{
    Backbone, Composition, Config, Features, FiberError, Heads, Images, Noise, Plan, Task, Text, Weights,
};
use crate::ops::kernel::ceiling::Ceilings;
use crate::ops::product_of_experts::product_of_soft;
use crate::ops::{Backend, OpError, Tokens, to_features};
use crate::random::Seeds;

/// Classes of the heads.
const CLASSES: usize = 7;
/// Tokens of a text of the small FIBER, and of one of VQA.
const LENGTHS: [usize; 2] = [8, 40];
/// What gradients are compared with at least, relative to the largest of all: some are zero but for rounding.
const LEAST: f64 = 1e-3;

/// The values of a tensor of these dimensions, by its name.
fn tensor(name: &str, dims: &[usize]) -> Vec<f32> {
    let count: usize = dims.iter().product();
    let fan_in = count as f64 / dims.first().map_or(1.0, |&rows| rows as f64);
    let last = name.rsplit('.').next().unwrap_or(name);
    let (middle, spread) = match last {
        _ if last.contains("alpha") => (0.7, 0.2),
        "relative_position_bias_table" => (0.0, 1.0),
        "weight" if dims.len() == 1 => (1.0, 0.3),
        "weight" => (0.0, libm::sqrt(3.0 / fan_in)),
        _ => (0.0, 0.3),
    };
    let mut stream = Seeds::root(0).child(name).stream();
    (0..count).map(|_| (middle + spread * stream.uniform_in(-1.0, 1.0)) as f32).collect()
}

type Source = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn source(plan: &Plan) -> Source {
    let tensors =
        plan.0.iter().map(|spec| (spec.name.clone(), (spec.dims.clone(), tensor(&spec.name, &spec.dims))));
    tensors.collect()
}

/// A network on a device, and a batch.
struct Case<D: Backend<f32>> {
    backbone: Backbone<f32, D>,
    heads: Heads<f32, D>,
    images: Images<f32, D>,
    text: Text,
    targets: Tensor<(usize, usize), f32, D>,
}

/// What a pass gave: arrays by name.
type Given = Vec<(String, Vec<f32>)>;

impl<D: Backend<f32>> Case<D> {
    fn new(device: &D, config: &Config, batch: usize, length: usize) -> Result<Self, FiberError> {
        let device_error = OpError::device::<D::Err>;
        let task = Task::vqa(CLASSES);
        let composition = Composition::All;
        let backbone = source(&Backbone::<f32, D>::plan(config)?);
        let backbone = Backbone::load(device.clone(), config, &backbone, |_| false)?;
        let heads = source(&Heads::<f32, D>::plan(config, composition, &task));
        let heads = Heads::load(device, config, (composition, &task), &heads, |_| false)?;
        let side = config.image.side;
        let images = tensor("images", &[batch, 3, side, side]);
        let images =
            device.try_tensor_from_vec(images, (batch, 3, side, side)).map_err(device_error("images"))?;
        // Every second text is padded to its length.
        let last = |place: usize| length - if place / length % 2 == 1 { length / 3 } else { 0 };
        let real: Vec<bool> = (0..batch * length).map(|place| place % length < last(place)).collect();
        let id = |(place, real): (usize, &bool)| if *real { (place * 7 % 50 + 3) as u32 } else { 1 };
        let ids = real.iter().enumerate().map(id).collect();
        let text = Text::new(ids, real, length)?;
        let targets = (0..CLASSES * batch).map(|place| (place % 5) as f32 / 4.0).collect();
        let targets =
            device.try_tensor_from_vec(targets, (CLASSES, batch)).map_err(device_error("targets"))?;
        Ok(Case { backbone, heads, images, text, targets })
    }

    /// Features of the three passes.
    fn features<T: Tape<f32, D>>(&self, noise: &Noise) -> Result<[Tokens<f32, D, T>; 3], FiberError> {
        let Case { backbone, images, text, .. } = self;
        Ok([
            backbone.fused(images, text, noise, None)?,
            backbone.image_only(images, noise, None)?,
            backbone.text_only(text, noise, None)?,
        ])
    }

    /// Logits and loss of all experts.
    #[allow(clippy::type_complexity, reason = "two tensors")]
    fn loss<T: Tape<f32, D>>(
        &self,
        [fused, image, text]: [Tokens<f32, D, T>; 3],
    ) -> Result<(Vec<Vec<f32>>, Tensor<Rank0, f32, D, T>), FiberError> {
        let features = Features { fused: Some(fused), image: Some(image), text: Some(text) };
        let logits =
            self.heads.logits(features)?.into_iter().map(to_features).collect::<Result<Vec<_>, _>>()?;
        let values = logits.iter().map(Tensor::as_vec).collect();
        Ok((values, product_of_soft(logits, &self.targets)?.loss))
    }

    /// Everything that comes out: without noise, and then with it.
    fn run(&self) -> Result<Given, FiberError> {
        let features = self.features::<NoneTape>(&Noise::Off)?;
        let names = ["fused", "image only", "text only"];
        let mut given: Given =
            names.iter().zip(&features).map(|(name, x)| ((*name).to_owned(), x.as_vec())).collect();
        let (logits, loss) = self.loss(features)?;
        given.extend(logits.into_iter().map(|logits| ("logits".to_owned(), logits)));
        given.push(("loss".to_owned(), loss.as_vec()));
        given.extend(self.gradients(&Noise::On(Seeds::root(0).child("step")))?);
        Ok(given)
    }

    /// Loss and gradients of a training step.
    fn gradients(&self, noise: &Noise) -> Result<Given, FiberError> {
        let (_, loss) = self.loss(self.features::<OwnedTape<f32, D>>(noise)?)?;
        let mut given = vec![("loss with noise".to_owned(), loss.as_vec())];
        let mut gradients = loss.try_backward().map_err(OpError::device("backward"))?;
        for weights in [&self.backbone.weights, &self.heads.weights] {
            given.extend(all_gradients(weights, &mut gradients)?);
        }
        Ok(given)
    }
}

fn all_gradients<D: Backend<f32>>(
    weights: &Weights<f32, D>,
    gradients: &mut Gradients<f32, D>,
) -> Result<Given, FiberError> {
    let parameters =
        weights.plan().0.iter().filter_map(|spec| Some((&spec.name, weights.by_name(&spec.name)?)));
    let mut given = Given::new();
    for (name, parameter) in parameters {
        gradients.try_alloc_for(&parameter.value).map_err(OpError::device("gradient"))?;
        given.push((format!("gradient of {name}"), gradients.get(&parameter.value).as_vec()));
    }
    Ok(given)
}

/// The small FIBER on the GPU and on the CPU.
#[derive(Serialize)]
pub(crate) struct FiberParity {
    /// Which network.
    fiber: &'static str,
    /// The largest difference of features, logits and losses, relative to the largest value of each array.
    pub forward: f64,
    /// That of gradients.
    pub gradient: f64,
    /// Where the largest difference of gradients is.
    pub array: String,
    /// Whether a second time on the GPU gave the same bits, and so did a step that was asked to be recorded.
    pub repeats: bool,
    /// Why a training step is not recorded: tokens, padding and dropout are others in every step.
    pub refused: Option<String>,
    /// Launches of a training step, and those of dfdx's kernels: there must be none.
    pub launches: u64,
    /// See there.
    pub foreign_launches: u64,
    /// Digest of all bits.
    pub digest: Digest,
}

impl FiberParity {
    /// Runs both.
    ///
    /// # Errors
    /// If a device fails.
    pub(crate) fn of(device: &Cuda) -> Result<Self, FiberError> {
        let config = Config::tiny(64);
        let expected = Case::new(&Cpu::default(), &config, 2, LENGTHS[0])?.run()?;
        let case = Case::new(device, &config, 2, LENGTHS[0])?;
        let found = case.run()?;
        let mut parity = FiberParity {
            fiber: "tiny",
            forward: 0.0,
            gradient: 0.0,
            array: String::new(),
            repeats: same_bits(&found, &case.run()?),
            refused: None,
            launches: 0,
            foreign_launches: 0,
            digest: digest(&found),
        };
        parity.compare(&expected, &found);
        let noise = Noise::On(Seeds::root(0).child("step"));
        let plain = case.gradients(&noise)?;
        let before = counts();
        let (recorded, recording) = record(|| case.gradients(&noise))?;
        let work = counts().since(before);
        (parity.launches, parity.foreign_launches) = (work.launches, work.foreign);
        parity.repeats &= same_bits(&plain, &recorded);
        if let Recording::Refused(why) = recording {
            parity.refused = Some(why);
        }
        Ok(parity)
    }

    fn compare(&mut self, expected: &Given, found: &Given) {
        let largest = |values: &[f32]| values.iter().fold(0.0, |most: f64, v| most.max(f64::from(v.abs())));
        let is_gradient = |name: &str| name.starts_with("gradient");
        let all = expected.iter().filter(|(name, _)| is_gradient(name));
        let floor = LEAST * all.fold(0.0, |most: f64, (_, values)| most.max(largest(values)));
        for ((name, expected), (_, found)) in expected.iter().zip(found) {
            let scale = largest(expected).max(if is_gradient(name) { floor } else { f64::MIN_POSITIVE });
            let apart = expected.iter().zip(found).map(|(e, f)| f64::from(e - f).abs() / scale);
            // A NaN is as different as can be.
            let worst = apart.fold(0.0, |most: f64, d| if d.is_nan() { f64::INFINITY } else { most.max(d) });
            let worst = if expected.len() == found.len() { worst } else { f64::INFINITY };
            if !is_gradient(name) {
                self.forward = self.forward.max(worst);
            } else if worst > self.gradient {
                self.gradient = worst;
                self.array.clone_from(name);
            }
        }
    }

    /// Largest differences that count as equal, of what comes out and of gradients: those of the ops, which grow over 24 blocks.
    pub(crate) fn limits(precision: Precision) -> [f64; 2] {
        match precision {
            Precision::F32 => [1e-4, 1e-3],
            Precision::Tf32 => [0.05, 0.2],
        }
    }

    /// Whether the GPU may be used.
    pub(crate) fn holds(&self, precision: Precision) -> bool {
        let [forward, gradient] = FiberParity::limits(precision);
        self.forward <= forward
            && self.gradient <= gradient
            && self.repeats
            && self.foreign_launches == 0
            && self.refused.is_some()
    }
}

fn same_bits(a: &Given, b: &Given) -> bool {
    digest(a) == digest(b)
}

fn digest(given: &Given) -> Digest {
    let mut hasher = Hasher::new("i2m2 fiber");
    for (_, values) in given {
        hasher.field(&values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
    }
    hasher.finish()
}

/// How fast the published FIBER is: its three passes, with and without the way back.
#[derive(Serialize)]
pub(crate) struct FiberSpeed {
    /// Which network.
    fiber: &'static str,
    /// Side of its images.
    pub side: usize,
    /// Examples of a batch.
    pub batch: usize,
    /// Examples whose features are computed in a second.
    pub forward_per_second: f64,
    /// Examples whose gradients are.
    pub gradients_per_second: f64,
    /// Multiply-adds of an example, forward.
    pub multiply_adds: u64,
    /// The rate of forward's multiply-adds, as a share of what the GPU reaches in f32.
    pub share_of_ceiling: f64,
}

impl FiberSpeed {
    /// Runs it for so many seconds each way.
    ///
    /// # Errors
    /// If the device fails, or has no room.
    pub(crate) fn of(device: &Cuda, seconds: f64, ceilings: &Ceilings) -> Result<Self, FiberError> {
        let (side, batch) = (384, 8);
        let case = Case::new(device, &Config::base(side), batch, LENGTHS[1])?;
        let forward = || case.features::<NoneTape>(&Noise::Off).map(|_| ());
        let before = counts();
        forward()?;
        let multiply_adds = counts().since(before).multiply_adds / batch as u64;
        let forward_per_second = batch as f64 * rate(seconds, forward)?;
        let gradients_per_second = batch as f64
            * rate(seconds, || {
                let features = case.features::<OwnedTape<f32, Cuda>>(&Noise::On(Seeds::root(0)))?;
                let (_, loss) = case.loss(features)?;
                loss.try_backward().map(|_| ()).map_err(|error| OpError::device("backward")(error).into())
            })?;
        let rate = forward_per_second * multiply_adds as f64;
        Ok(FiberSpeed {
            fiber: "base",
            side,
            batch,
            forward_per_second,
            gradients_per_second,
            multiply_adds,
            share_of_ceiling: rate / ceilings.multiply_adds_per_second,
        })
    }
}

/// How often something is done in a second, by measurement over so many seconds.
fn rate(seconds: f64, mut run: impl FnMut() -> Result<(), FiberError>) -> Result<f64, FiberError> {
    let wait = || wait().map_err(OpError::device("waiting"));
    run()?;
    wait()?;
    let (mut times, begun) = (0, Instant::now());
    while begun.elapsed().as_secs_f64() < seconds || times == 0 {
        run()?;
        wait()?;
        times += 1;
    }
    Ok(f64::from(times) / begun.elapsed().as_secs_f64())
}
