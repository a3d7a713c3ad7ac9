//! FIBER's passes and training steps at full size, per second, with what they cost beside time, as JSON; our side of
//! `scripts/compare_fiber.py`.
//!
//! ```text
//! cargo run --release --example fiber_rate -- --work fused --weights fiber.safetensors --inputs inputs.safetensors
//! ```
//!
//! Weights have their published names; inputs are `image_0`, `image_1` `[batch, 3, 384, 384]`, `ids` and `mask` `[batch, length]`, and
//! for heads on kept features `image` `[batch, 768]`, `text` `[batch, 768]`, `fused` `[batch, 1536]` and `targets` `[classes, batch]`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod common;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use common::rate::rate;
use dfdx::prelude::{
    AsArray, Backward, Cpu, HasShape, NoneTape, OwnedTape, PutTape, SplitTape, Tape, Tensor, TensorFromVec,
};
use i2m2::models::fiber::{
    Backbone, Composition, Config, Features, Heads, Images, Noise, Task, TensorSource, Text, WeightsFile,
    ignored,
};
use i2m2::ops::optimizer::{Hyperparameters, Optimizer, Rule};
use i2m2::ops::product_of_experts::{product_of_experts, product_of_soft};
use i2m2::ops::simd::isa;
use i2m2::ops::{Parameter, Tokens, beside, to_features};
use i2m2::provenance::peak_memory;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

type Tape32 = OwnedTape<f32, Cpu>;
/// Dimensions and values.
type Output = (Vec<usize>, Vec<f32>);

/// Measures FIBER.
#[derive(Parser)]
struct Arguments {
    /// What to measure.
    #[arg(long)]
    work: Work,
    /// Weights by their published names.
    #[arg(long)]
    weights: PathBuf,
    /// Inputs.
    #[arg(long)]
    inputs: PathBuf,
    /// Where the output of a pass, or the loss of a step, goes.
    #[arg(long)]
    out: Option<PathBuf>,
    /// How long to measure.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Passes or steps before the measurement.
    #[arg(long, default_value_t = 2)]
    warm_up: usize,
    /// Threads of the pool.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Waits for a line on stdin before measuring.
    #[arg(long)]
    wait: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Work {
    /// Opens the weights and builds the network.
    Open,
    /// The pass of both modalities.
    Fused,
    /// The pass of the image.
    Image,
    /// The pass of the text.
    Text,
    /// A training step of I2M2 on NLVR2: all passes of two images and a sentence, backward, AdamW.
    Nlvr2,
    /// A training step of VQA's image head on kept features.
    HeadsImage,
    /// A training step of VQA's head on both modalities on kept features.
    HeadsInter,
    /// A training step of VQA's I2M2 heads on kept features.
    HeadsI2m2,
}

struct Inputs {
    images: Vec<Images<f32, Cpu>>,
    text: Text,
}

fn tensor<S: dfdx::shapes::Shape>(
    inputs: &SafeTensors<'_>,
    name: &str,
    shape: S,
) -> anyhow::Result<Tensor<S, f32, Cpu>>
where
    Cpu: TensorFromVec<f32>,
{
    Ok(Cpu::default().tensor_from_vec(inputs.values(name)?, shape))
}

fn matrix(inputs: &SafeTensors<'_>, name: &str) -> anyhow::Result<Tokens<f32, Cpu>> {
    let dims =
        TensorSource::<f32>::dims(inputs, name).with_context(|| format!("the inputs have no `{name}`"))?;
    let &[rows, columns] = &dims[..] else { bail!("`{name}` is no matrix") };
    tensor(inputs, name, (rows, columns))
}

impl Inputs {
    fn read(inputs: &SafeTensors<'_>) -> anyhow::Result<Self> {
        let image = |name: &str| {
            let dims = TensorSource::<f32>::dims(inputs, name).with_context(|| format!("no `{name}`"))?;
            let &[batch, channels, height, width] = &dims[..] else { bail!("`{name}` is no image") };
            tensor(inputs, name, (batch, channels, height, width))
        };
        let images = vec![image("image_0")?, image("image_1")?];
        let integers = |name: &str| -> anyhow::Result<(usize, Vec<i64>)> {
            let view = inputs.tensor(name)?;
            let length = *view.shape().last().context("no matrix")?;
            Ok((length, view.data().as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b)).collect()))
        };
        let ((length, ids), (_, mask)) = (integers("ids")?, integers("mask")?);
        let ids = ids.into_iter().map(u32::try_from).collect::<Result<_, _>>()?;
        Ok(Inputs { images, text: Text::new(ids, mask.into_iter().map(|mask| mask != 0).collect(), length)? })
    }
}

/// A model that is trained: its heads and, where that is trained too, its backbone.
struct Training {
    backbone: Option<Backbone<f32, Cpu>>,
    heads: Heads<f32, Cpu>,
    optimizer: Optimizer<f32, Cpu>,
}

impl Training {
    fn new(backbone: Option<Backbone<f32, Cpu>>, heads: Heads<f32, Cpu>) -> anyhow::Result<Self> {
        let rule = Rule::ADAMW;
        let hyperparameters =
            Hyperparameters { rule, learning_rate: 1e-5, weight_decay: 0.01, clip_norm: None };
        let all: Vec<&Parameter<f32, Cpu>> = backbone
            .iter()
            .flat_map(|backbone| backbone.weights.parameters())
            .chain(heads.weights.parameters())
            .collect();
        let optimizer = Optimizer::new(&Cpu::default(), hyperparameters, all)?;
        Ok(Training { backbone, heads, optimizer })
    }

    /// Takes a step; gives the loss.
    fn step(&mut self, loss: Tensor<(), f32, Cpu, Tape32>) -> anyhow::Result<f32> {
        let value = loss.array();
        let (plain, tape) = loss.split_tape();
        let mut gradients = plain.clone().put_tape(tape).backward();
        let mut parameters: Vec<&mut Parameter<f32, Cpu>> = Vec::new();
        if let Some(backbone) = &mut self.backbone {
            parameters.extend(backbone.weights.parameters_mut());
        }
        parameters.extend(self.heads.weights.parameters_mut());
        self.optimizer.step(&mut parameters, &mut gradients, &plain)?;
        for stats in self.optimizer.step_stats()? {
            stats.check()?;
        }
        Ok(value)
    }

    fn nlvr2(&mut self, inputs: &Inputs) -> anyhow::Result<f32> {
        let backbone = self.backbone.as_ref().context("a backbone")?;
        let (mut fused, mut image) = (Vec::new(), Vec::new());
        for images in &inputs.images {
            fused.push(backbone.fused::<Tape32>(images, &inputs.text, &Noise::Off, None)?);
            image.push(backbone.image_only::<Tape32>(images, &Noise::Off, None)?);
        }
        let features = Features {
            fused: pair(fused)?,
            image: pair(image)?,
            text: Some(backbone.text_only::<Tape32>(&inputs.text, &Noise::Off, None)?),
        };
        let logits =
            self.heads.logits(features)?.into_iter().map(to_features).collect::<Result<Vec<_>, _>>()?;
        let loss = product_of_experts(logits, &vec![1; inputs.text.batch()])?.loss;
        self.step(loss)
    }

    fn vqa(&mut self, kept: &Kept) -> anyhow::Result<f32> {
        let Kept { fused, image, text, .. } = kept;
        let features = Features { fused: fused.clone(), image: image.clone(), text: text.clone() };
        let logits = self
            .heads
            .logits_of_kept::<Tape32>(features)?
            .into_iter()
            .map(to_features)
            .collect::<Result<Vec<_>, _>>()?;
        let loss = product_of_soft(logits, &kept.targets)?.loss;
        self.step(loss)
    }
}

fn pair<T: Tape<f32, Cpu>>(
    features: Vec<Tokens<f32, Cpu, T>>,
) -> anyhow::Result<Option<Tokens<f32, Cpu, T>>> {
    let mut features = features.into_iter();
    let first = features.next().context("an image")?;
    Ok(Some(beside(first, features.next().context("another image")?)?))
}

/// Features that a frozen backbone gave once.
struct Kept {
    fused: Option<Tokens<f32, Cpu>>,
    image: Option<Tokens<f32, Cpu>>,
    text: Option<Tokens<f32, Cpu>>,
    targets: Tensor<(usize, usize), f32, Cpu>,
}

fn backbone(weights: &SafeTensors<'_>) -> anyhow::Result<Backbone<f32, Cpu>> {
    let heads = |name: &str| name.contains("_classifier.");
    let config = Config::base(384);
    Ok(Backbone::load(Cpu::default(), &config, weights, |name| ignored(name) || heads(name))?)
}

fn heads(
    weights: &SafeTensors<'_>,
    composition: Composition,
    task: &Task,
) -> anyhow::Result<Heads<f32, Cpu>> {
    let config = Config::base(384);
    Ok(Heads::load(&Cpu::default(), &config, (composition, task), weights, |_| true)?)
}

fn write(out: &Path, dims: Vec<usize>, values: &[f32]) -> anyhow::Result<()> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, dims, &bytes)?;
    Ok(safetensors::serialize_to_file([("out", view)], None, out)?)
}

fn measure(arguments: &Arguments) -> anyhow::Result<serde_json::Value> {
    let begun = Instant::now();
    let file = WeightsFile::open(&arguments.weights)?;
    let weights = file.tensors()?;
    let work = arguments.work;
    let seconds = |begun: Instant| begun.elapsed().as_secs_f64();
    if work == Work::Open {
        let backbone = backbone(&weights)?;
        let seconds = seconds(begun);
        return Ok(
            serde_json::json!({"seconds": seconds, "parameters": backbone.weights.plan().values(), "peak_bytes": peak_memory()}),
        );
    }
    let bytes = std::fs::read(&arguments.inputs).with_context(|| arguments.inputs.display().to_string())?;
    let inputs = SafeTensors::deserialize(&bytes)?;
    let mut run: Box<dyn FnMut() -> anyhow::Result<Output>> = match work {
        Work::Open => unreachable!("answered above"),
        Work::Fused | Work::Image | Work::Text => {
            let (backbone, inputs) = (backbone(&weights)?.frozen(), Inputs::read(&inputs)?);
            Box::new(move || {
                let image = &inputs.images[0];
                let out = match work {
                    Work::Fused => backbone.fused::<NoneTape>(image, &inputs.text, &Noise::Off, None)?,
                    Work::Image => backbone.image_only::<NoneTape>(image, &Noise::Off, None)?,
                    _ => backbone.text_only::<NoneTape>(&inputs.text, &Noise::Off, None)?,
                };
                Ok((vec![out.shape().0, out.shape().1], out.as_vec()))
            })
        }
        Work::Nlvr2 => {
            let backbone = backbone(&weights)?.trained_by(Composition::All);
            let heads = heads(&weights, Composition::All, &Task::nlvr2())?;
            let (mut training, inputs) = (Training::new(Some(backbone), heads)?, Inputs::read(&inputs)?);
            Box::new(move || Ok((vec![1], vec![training.nlvr2(&inputs)?])))
        }
        Work::HeadsImage | Work::HeadsInter | Work::HeadsI2m2 => {
            let (composition, fused, image, text) = match work {
                Work::HeadsImage => (Composition::Image, false, true, false),
                Work::HeadsInter => (Composition::Inter, true, false, false),
                _ => (Composition::All, true, true, true),
            };
            let heads = heads_of(&weights, composition)?;
            let kept = |wanted: bool, name: &str| wanted.then(|| matrix(&inputs, name)).transpose();
            let kept = Kept {
                fused: kept(fused, "fused")?,
                image: kept(image, "image")?,
                text: kept(text, "text")?,
                targets: matrix(&inputs, "targets")?,
            };
            let mut training = Training::new(None, heads)?;
            Box::new(move || Ok((vec![1], vec![training.vqa(&kept)?])))
        }
    };
    drop(weights);
    drop(file);
    let opened = seconds(begun);
    let (dims, values) = run()?;
    if let Some(out) = &arguments.out {
        write(out, dims, &values)?;
    }
    for _ in 1..arguments.warm_up {
        run()?;
    }
    let rate = rate(arguments.seconds, arguments.wait, || run().map(drop))?;
    Ok(serde_json::json!({
        "count": rate.count,
        "per_second": rate.per_second,
        "open_seconds": opened,
        "page_faults": rate.page_faults,
        "peak_bytes": peak_memory(),
        "isa": isa().to_string(),
    }))
}

/// The heads of VQA; those of one expert have the same shapes as I2M2's, under another name.
fn heads_of(weights: &SafeTensors<'_>, composition: Composition) -> anyhow::Result<Heads<f32, Cpu>> {
    let task = Task::vqa(3129);
    let part = match composition {
        Composition::Image => "image_model",
        Composition::Inter => "cat_model",
        _ => return heads(weights, composition, &task),
    };
    let prefix = format!("{}.{part}.", task.name);
    let named =
        weights.tensors().into_iter().filter_map(|(name, view)| {
            let rest = name.strip_prefix(&prefix)?.to_owned();
            Some(weights.values(&name).map(|values: Vec<f32>| {
                (format!("{}.model.{rest}", task.name), (view.shape().to_vec(), values))
            }))
        });
    let named: std::collections::BTreeMap<_, _> = named.collect::<Result<_, _>>()?;
    Ok(Heads::load(&Cpu::default(), &Config::base(384), (composition, &task), &named, |_| false)?)
}

fn main() -> anyhow::Result<()> {
    i2m2::device::keep_freed_memory();
    let arguments = Arguments::parse();
    if arguments.threads == 0 {
        bail!("--threads must be at least 1");
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build()?;
    println!("{}", pool.install(|| measure(&arguments))?);
    Ok(())
}
