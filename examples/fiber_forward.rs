//! FIBER on given inputs with given weights: the features of its three passes and the logits of its heads, as safetensors.
//!
//! ```text
//! cargo run --release --example fiber_forward -- --config base --side 576 --weights fiber.safetensors \
//!     --inputs inputs.safetensors --heads all --task vqa --classes 3129 --out features.safetensors
//! ```
//!
//! Weights have their published names (`vit_model.norm.weight`, ...). Inputs are `image` `[batch, 3, side, side]`, normalised (for NLVR2
//! `image_0` and `image_1`), `ids` `[batch, length]`, and `mask` of the same shape, 0 for padding.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use dfdx::prelude::{Cpu, HasShape, NoneTape, TensorFromVec};
use i2m2::models::fiber::{
    Backbone, Composition, Config, Features, Heads, Images, Noise, Task, TensorSource, Text, WeightsFile,
    ignored,
};
use i2m2::ops::simd::Real;
use i2m2::ops::{Backend, Tokens, beside};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

/// Runs FIBER.
#[derive(Parser)]
struct Arguments {
    /// `base`, `tiny`, or a TOML file of sizes.
    #[arg(long, default_value = "base")]
    config: String,
    /// Side of the images; that of the configuration without.
    #[arg(long)]
    side: Option<usize>,
    /// Weights by their published names.
    #[arg(long)]
    weights: PathBuf,
    /// Images and texts.
    #[arg(long)]
    inputs: PathBuf,
    /// Which heads the weights hold.
    #[arg(long)]
    heads: Option<Experts>,
    /// What the heads are for.
    #[arg(long, default_value = "vqa")]
    task: Kind,
    /// Classes of VQA.
    #[arg(long, default_value_t = 3129)]
    classes: usize,
    /// Computes in f64.
    #[arg(long)]
    double: bool,
    /// Where features and logits go.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Experts {
    Image,
    Text,
    Intra,
    Inter,
    All,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Kind {
    Vqa,
    Nlvr2,
}

impl Arguments {
    fn config(&self) -> anyhow::Result<Config> {
        let mut config = match self.config.as_str() {
            "base" => Config::base(384),
            "tiny" => Config::tiny(64),
            file => toml::from_str(&std::fs::read_to_string(file).with_context(|| file.to_owned())?)?,
        };
        config.image.side = self.side.unwrap_or(config.image.side);
        Ok(config)
    }

    fn composition(&self) -> Option<Composition> {
        Some(match self.heads? {
            Experts::Image => Composition::Image,
            Experts::Text => Composition::Text,
            Experts::Intra => Composition::Intra,
            Experts::Inter => Composition::Inter,
            Experts::All => Composition::All,
        })
    }
}

/// Names, shapes and values that are written.
type Outputs<E> = BTreeMap<String, Tokens<E, Cpu>>;

fn integers(inputs: &SafeTensors<'_>, name: &str) -> anyhow::Result<(Vec<usize>, Vec<i64>)> {
    let view = inputs.tensor(name).with_context(|| format!("the inputs have no `{name}`"))?;
    let values = match view.dtype() {
        Dtype::I64 => view.data().as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b)).collect(),
        Dtype::I32 => {
            view.data().as_chunks::<4>().0.iter().map(|b| i64::from(i32::from_le_bytes(*b))).collect()
        }
        Dtype::U8 | Dtype::BOOL => view.data().iter().map(|byte| i64::from(*byte)).collect(),
        other => bail!("`{name}` holds {other:?}; expected integers"),
    };
    Ok((view.shape().to_vec(), values))
}

fn text(inputs: &SafeTensors<'_>) -> anyhow::Result<Text> {
    let ((shape, ids), (mask_shape, mask)) = (integers(inputs, "ids")?, integers(inputs, "mask")?);
    let ([_, length], true) = (&shape[..], shape == mask_shape) else {
        bail!("`ids` and `mask` must be [batch, length], found {shape:?} and {mask_shape:?}");
    };
    let ids = ids.into_iter().map(u32::try_from).collect::<Result<_, _>>().context("a negative token")?;
    Ok(Text::new(ids, mask.into_iter().map(|mask| mask != 0).collect(), *length)?)
}

fn image<E: Real>(inputs: &SafeTensors<'_>, name: &str) -> anyhow::Result<Images<E, Cpu>>
where
    Cpu: Backend<E>,
{
    let dims =
        TensorSource::<E>::dims(inputs, name).with_context(|| format!("the inputs have no `{name}`"))?;
    let &[batch, channels, height, width] = &dims[..] else {
        bail!("`{name}` must be [batch, 3, side, side], found {dims:?}");
    };
    Ok(Cpu::default().tensor_from_vec(inputs.values(name)?, (batch, channels, height, width)))
}

fn run<E: Real>(arguments: &Arguments) -> anyhow::Result<()>
where
    Cpu: Backend<E>,
{
    let config = arguments.config()?;
    let dev = Cpu::default();
    let file = WeightsFile::open(&arguments.weights)?;
    let weights = file.tensors()?;
    let head = |name: &str| name.starts_with("vqa_classifier.") || name.starts_with("nlvr2_classifier.");
    let backbone =
        Backbone::<E, Cpu>::load(dev.clone(), &config, &weights, |name| ignored(name) || head(name))?;
    let task = match arguments.task {
        Kind::Vqa => Task::vqa(arguments.classes),
        Kind::Nlvr2 => Task::nlvr2(),
    };
    let heads = arguments.composition().map(|composition| {
        Heads::load(&dev, &config, (composition, &task), &weights, |name| {
            ignored(name) || !name.starts_with(&format!("{}.", task.name))
        })
    });
    let heads = heads.transpose()?;
    drop(file);

    let bytes = std::fs::read(&arguments.inputs).with_context(|| arguments.inputs.display().to_string())?;
    let inputs = SafeTensors::deserialize(&bytes).context("the inputs are no safetensors")?;
    let text = text(&inputs)?;
    let names: &[&str] = if arguments.task == Kind::Nlvr2 { &["image_0", "image_1"] } else { &["image"] };
    let start = Instant::now();
    let (mut fused, mut image_only) = (None, None);
    for name in names {
        let images = image(&inputs, name)?;
        let features = backbone.fused::<NoneTape>(&images, &text, &Noise::Off, None)?;
        fused = Some(join(fused, features)?);
        image_only = Some(join(image_only, backbone.image_only(&images, &Noise::Off, None)?)?);
    }
    let text_only = Some(backbone.text_only(&text, &Noise::Off, None)?);
    let mut outputs = Outputs::new();
    for (name, features) in [("fused", &fused), ("image_only", &image_only), ("text_only", &text_only)] {
        outputs.extend(features.clone().map(|features| (name.to_owned(), features)));
    }
    if let (Some(heads), Some(composition)) = (heads, arguments.composition()) {
        let names = match composition {
            Composition::All => vec!["logits_cat", "logits_image", "logits_text"],
            Composition::Intra => vec!["logits_image", "logits_text"],
            _ => vec!["logits"],
        };
        let logits = heads.logits(Features { image: image_only, text: text_only, fused })?;
        outputs.extend(names.into_iter().map(str::to_owned).zip(logits));
    }
    eprintln!("{} examples in {:.3} s", text.batch(), start.elapsed().as_secs_f64());
    write(&outputs, &arguments.out)
}

/// The features of all images of an example beside each other.
fn join<E: Real>(before: Option<Tokens<E, Cpu>>, features: Tokens<E, Cpu>) -> anyhow::Result<Tokens<E, Cpu>>
where
    Cpu: Backend<E>,
{
    Ok(match before {
        Some(before) => beside(before, features)?,
        None => features,
    })
}

fn write<E: Real>(outputs: &Outputs<E>, out: &Path) -> anyhow::Result<()>
where
    Cpu: Backend<E>,
{
    let single = size_of::<E>() == size_of::<f32>();
    let bytes = |values: Vec<E>| -> Vec<u8> {
        let values = values.into_iter().map(Real::to_f64);
        if single {
            values.flat_map(|value| (value as f32).to_le_bytes()).collect()
        } else {
            values.flat_map(f64::to_le_bytes).collect()
        }
    };
    let held: Vec<_> = outputs
        .iter()
        .map(|(name, tensor)| (name, vec![tensor.shape().0, tensor.shape().1], bytes(tensor.as_vec())))
        .collect();
    let dtype = if single { Dtype::F32 } else { Dtype::F64 };
    let views =
        held.iter().map(|(name, shape, bytes)| Ok((*name, TensorView::new(dtype, shape.clone(), bytes)?)));
    let views = views.collect::<anyhow::Result<Vec<_>>>()?;
    safetensors::serialize_to_file(views, None, out).with_context(|| out.display().to_string())
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if arguments.double { run::<f64>(&arguments) } else { run::<f32>(&arguments) }
}
