//! FIBER against its published implementation, at a tiny size: every feature, logit and loss, what stands between them, and
//! gradients. `fixtures/golden/fiber.json` was computed by us with that implementation's modules in float64 and evaluation mode;
//! weights and inputs are streams of numbers that follow from their names. `fixtures/golden/fiber_names.txt` lists the tensors of
//! that implementation's networks at full size.
//!
//! What each comparison protects. Each of these mistakes was made on purpose, and first seen by the probe named here, off by so much
//! of the largest value: the shift mask left out, `stage0_block1_shifted` (1e-2); the position bias transposed, `stage0_block0` (1e-1);
//! merged cells row by row, `stage0_downsample` (7e-1); GELU by tanh, `stage0_block0` (2e-6); LayerNorm with another epsilon, `patch_embed`
//! (1e-6); positions from 0, `text_embeddings` (9e-1); the padding mask left out, `text_layer5` (1e-2); fusion one after the other,
//! `text_layer6_fused` (3e-1); a query of the image that was normed first, `text_layer6_fused` (6e-1); the last norm of the text
//! kept, `fused_text_feats` (6e-1).
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::cell::RefCell;
use std::collections::BTreeMap;

use dfdx::prelude::*;
use i2m2::models::fiber::{
    Backbone, Composition, Config, Features, Heads, Images, Noise, Plan, Task, Text, Weights, resize,
};
use i2m2::ops::product_of_experts::{product_of_experts, product_of_soft};
use i2m2::ops::simd::Real;
use i2m2::ops::{Backend, Tokens, beside, to_features};
use serde_json::Value;

/// Numbers in [-1, 1) that depend on the name alone.
fn stream(name: &str) -> impl Iterator<Item = f64> {
    let hash =
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    std::iter::successors(Some(next(hash)), |state| Some(next(*state)))
        .map(|state| f64::from(state) / f64::from(1 << 16) / f64::from(1 << 16) * 2.0 - 1.0)
}

fn next(state: u32) -> u32 {
    state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)
}

/// The value of each parameter follows from its name and shape.
fn parameter(name: &str, dims: &[usize]) -> Vec<f64> {
    let count: usize = dims.iter().product();
    let last = name.rsplit('.').next().unwrap();
    let fan_in = count as f64 / dims.first().map_or(1.0, |&rows| rows as f64);
    let value = |r: f64| match last {
        "inter" | "intra_1" | "intra_2" => 1.0,
        _ if last.contains("alpha") => 0.7 + 0.2 * r,
        "relative_position_bias_table" => r,
        _ if name.contains("embeddings.weight") => r,
        "weight" if dims.len() == 1 => 1.0 + 0.3 * r,
        "weight" => r * (3.0 / fan_in).sqrt(),
        _ => 0.3 * r,
    };
    stream(name).take(count).map(value).collect()
}

type Source<E> = BTreeMap<String, (Vec<usize>, Vec<E>)>;

fn source<E: Real>(plan: &Plan) -> Source<E> {
    let tensor =
        |name: &str, dims: &[usize]| (dims.to_vec(), parameter(name, dims).into_iter().map(E::of).collect());
    plan.0.iter().map(|spec| (spec.name.clone(), tensor(&spec.name, &spec.dims))).collect()
}

fn golden() -> Value {
    let path = format!("{}/fixtures/golden/fiber.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        value => vec![value.as_f64().unwrap()],
    }
}

/// The largest error relative to the largest expected value, seen so far.
struct Errors {
    limit: f64,
    worst: f64,
}

impl Errors {
    fn of(limit: f64) -> Self {
        Errors { limit, worst: 0.0 }
    }

    fn compare<E: Real>(&mut self, what: &str, found: &[E], expected: &Value) {
        let expected = numbers(expected);
        assert_eq!(found.len(), expected.len(), "{what}");
        let scale = expected.iter().fold(1e-3, |most: f64, value| most.max(value.abs()));
        for (found, expected) in found.iter().zip(expected) {
            let error = (Real::to_f64(*found) - expected).abs() / scale;
            assert!(error < self.limit, "{what}: {found:?} instead of {expected} ({error:e})");
            self.worst = self.worst.max(error);
        }
    }
}

/// A backbone and heads with the weights of the golden file.
fn network<E: Real, D: Backend<E>>(
    dev: &D,
    config: &Config,
    composition: Composition,
    task: &Task,
) -> (Backbone<E, D>, Heads<E, D>) {
    let tensors = source(&Backbone::<E, D>::plan(config).unwrap());
    let backbone = Backbone::load(dev.clone(), config, &tensors, |_| false).unwrap();
    let tensors = source(&Heads::<E, D>::plan(config, composition, task));
    (backbone, Heads::load(dev, config, (composition, task), &tensors, |_| false).unwrap())
}

fn image<E: Real, D: Backend<E>>(dev: &D, name: &str, side: usize) -> Images<E, D> {
    let pixels = stream(name).take(3 * side * side).map(|r| E::of(2.0 * r));
    dev.tensor_from_vec(pixels.collect(), (1, 3, side, side))
}

const IDS: [u32; 8] = [0, 5, 17, 42, 9, 2, 1, 1];

fn text() -> Text {
    Text::new(IDS.to_vec(), IDS.iter().map(|&id| id != 1).collect(), IDS.len()).unwrap()
}

/// What the golden file calls the outputs of parts.
const PROBES: [(&str, &str); 12] = [
    ("patch_embed", "vit_model.patch_embed"),
    ("stage0_block0", "vit_model.layers.0.blocks.0"),
    ("stage0_block1_shifted", "vit_model.layers.0.blocks.1"),
    ("stage0_downsample", "vit_model.layers.0.downsample"),
    ("stage1_out", "vit_model.layers.1.downsample"),
    ("stage2_block13", "vit_model.layers.2.blocks.13"),
    ("text_embeddings", "text_transformer.embeddings"),
    ("text_layer5", "text_transformer.encoder.layer.5"),
    ("stage2_block14_fused", "vit_model.layers.2.blocks.14"),
    ("text_layer6_fused", "text_transformer.encoder.layer.6"),
    ("fused_text_feats", "cross_modal_text_transform"),
    ("fused_image_feats", "cross_modal_image_transform"),
];

/// All features, probes, logits and losses of VQA's I2M2.
fn vqa<E: Real, D: Backend<E>>(dev: &D, side: usize, limit: f64) -> f64 {
    let golden = &golden()[format!("vqa_{side}")];
    let (backbone, heads) = network(dev, &Config::tiny(side), Composition::All, &Task::vqa(7));
    let (image, text) = (image(dev, "image_0", side), text());
    let mut errors = Errors::of(limit);

    let seen = RefCell::new(BTreeMap::new());
    let hook = |name: &str, tokens: &Tokens<E, D>| {
        let (count, width) = *tokens.shape();
        let values = tokens.as_vec();
        let probe = [0, 1, count / 2, count - 1].map(|token| values[token * width..][..4].to_vec());
        seen.borrow_mut().insert(name.to_owned(), probe.concat());
    };
    let fused = backbone.fused::<NoneTape>(&image, &text, &Noise::Off, Some(&hook)).unwrap();
    let probes = &golden["probes_tokens_0_1_mid_last_first4ch"];
    assert_eq!(probes.as_object().unwrap().len(), PROBES.len());
    for (probe, part) in PROBES {
        errors.compare(probe, &seen.borrow()[part], &probes[probe]);
    }
    let image_only = backbone.image_only(&image, &Noise::Off, None).unwrap();
    let text_only = backbone.text_only(&text, &Noise::Off, None).unwrap();
    for (name, features) in [("fused", &fused), ("image_only", &image_only), ("text_only", &text_only)] {
        errors.compare(name, &features.as_vec(), &golden[name]);
    }

    let features = Features { image: Some(image_only), text: Some(text_only), fused: Some(fused) };
    let logits = heads.logits(features).unwrap();
    for (name, logits) in ["logits_cat", "logits_image", "logits_text"].into_iter().zip(&logits) {
        errors.compare(name, &logits.as_vec(), &golden[name]);
    }
    let logits: Vec<_> = logits.into_iter().map(|logits| to_features(logits).unwrap()).collect();
    let mut targets = vec![E::ZERO; 7];
    (targets[2], targets[5]) = (E::of(0.9), E::of(0.3));
    let targets = dev.tensor_from_vec(targets, (7, 1));
    let fused = product_of_soft(vec![logits[0].clone()], &targets).unwrap();
    errors.compare("fused loss", &fused.loss.as_vec(), &golden["vqa_bce_x7_cat_only"]);
    let all = product_of_soft(logits, &targets).unwrap();
    errors.compare("log-probabilities", &all.logits.as_vec(), &golden["i2m2_logp"]);
    errors.compare("loss", &all.loss.as_vec(), &golden["vqa_bce_x7"]);
    errors.worst
}

/// Logits, loss and gradients of NLVR2's I2M2.
fn nlvr2<E: Real, D: Backend<E>>(dev: &D, limit: f64) -> f64 {
    let golden = &golden()["nlvr2_64"];
    let (backbone, heads) = network(dev, &Config::tiny(64), Composition::All, &Task::nlvr2());
    let (images, text) = (["image_0", "image_1"].map(|name| image(dev, name, 64)), text());
    let mut errors = Errors::of(limit);

    let [first, second] = images.each_ref().map(|image| {
        let fused = backbone.fused::<OwnedTape<E, D>>(image, &text, &Noise::Off, None).unwrap();
        (fused, backbone.image_only::<OwnedTape<E, D>>(image, &Noise::Off, None).unwrap())
    });
    let features = Features {
        fused: Some(beside(first.0, second.0).unwrap()),
        image: Some(beside(first.1, second.1).unwrap()),
        text: Some(backbone.text_only(&text, &Noise::Off, None).unwrap()),
    };
    let logits = heads.logits(features).unwrap();
    for (name, logits) in ["logits_cat", "logits_image", "logits_text"].into_iter().zip(&logits) {
        errors.compare(name, &logits.as_vec(), &golden[name]);
    }
    let logits: Vec<_> = logits.into_iter().map(|logits| to_features(logits).unwrap()).collect();
    let product = product_of_experts(logits, &[1]).unwrap();
    errors.compare("log-probabilities", &product.log_probabilities.as_vec(), &golden["i2m2_logp"]);
    errors.compare("loss", &product.loss.as_vec(), &golden["nll_label1"]);

    let mut gradients = product.loss.backward();
    let mut found = BTreeMap::new();
    for weights in [&backbone.weights, &heads.weights] {
        found.extend(all_gradients(weights, &mut gradients));
    }
    let expected = golden["grads"].as_object().unwrap();
    assert_eq!(expected.len(), 17);
    for (name, expected) in expected {
        let gradient = &found[name];
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        errors.compare(&format!("{name} norm"), &[norm], &expected["l2"]);
        // A sum may cancel to nothing: its error is one of the norm.
        let error = (gradient.iter().sum::<f64>() - expected["sum"].as_f64().unwrap()).abs() / norm;
        assert!(error < limit * (gradient.len() as f64).sqrt(), "{name} sum: {error:e}");
        errors.worst = errors.worst.max(error);
    }
    let without: Vec<_> =
        found.iter().filter(|(_, g)| g.iter().all(|g| *g == 0.0)).map(|(name, _)| name.clone()).collect();
    let mut expected: Vec<_> = golden["params_without_grad"].as_array().unwrap().iter().collect();
    expected.sort_by_key(|name| name.as_str().unwrap().to_owned());
    assert_eq!(without, expected.into_iter().map(|name| name.as_str().unwrap()).collect::<Vec<_>>());
    errors.worst
}

fn all_gradients<E: Real, D: Backend<E>>(
    weights: &Weights<E, D>,
    gradients: &mut Gradients<E, D>,
) -> BTreeMap<String, Vec<f64>> {
    let names = weights.plan().0.iter().map(|spec| spec.name.clone());
    names
        .map(|name| {
            let value = &weights.by_name(&name).unwrap().value;
            gradients.get_or_alloc_mut(value).unwrap();
            (name, gradients.get(value).as_vec().into_iter().map(Real::to_f64).collect())
        })
        .collect()
}

/// Name and dimensions.
type Names = BTreeMap<String, Vec<usize>>;

/// The parameters of `fixtures/golden/fiber_names.txt` below the line of NLVR2's heads, or above it.
fn published(nlvr2: bool) -> Names {
    let path = format!("{}/fixtures/golden/fiber_names.txt", env!("CARGO_MANIFEST_DIR"));
    let lines = std::fs::read_to_string(path).unwrap();
    let (first, second) = lines.split_once("# NLVR2 heads").unwrap();
    let parameters = if nlvr2 { second } else { first }.lines().filter_map(|line| line.strip_prefix("P "));
    parameters
        .map(|line| {
            let (name, rest) = line.split_once(" [").unwrap();
            let dims = rest.split_once(']').unwrap().0.split(", ").filter(|dim| !dim.is_empty());
            (name.to_owned(), dims.map(|dim| dim.parse().unwrap()).collect())
        })
        .collect()
}

/// The names of a state dict of VQA's I2M2 at 576 pixels, and those of NLVR2's heads: all of them, each with its dimensions.
#[test]
fn names_are_the_published_ones() {
    let names = |plans: &[&Plan]| -> Names {
        let specs = plans.iter().flat_map(|plan| &plan.0);
        specs.map(|spec| (spec.name.clone(), spec.dims.clone())).collect()
    };
    let config = Config::base(576);
    let backbone = Backbone::<f32, Cpu>::plan(&config).unwrap();
    let heads = |composition, task: &Task| Heads::<f32, Cpu>::plan(&config, composition, task);
    let vqa = heads(Composition::All, &Task::vqa(3129));
    assert_eq!((backbone.0.len(), vqa.0.len()), (668, 21));
    assert_eq!(names(&[&backbone, &vqa]), published(false));
    assert_eq!(names(&[&heads(Composition::All, &Task::nlvr2())]), published(true));

    assert_eq!(backbone.values(), 242_908_362);
    assert_eq!(Backbone::<f32, Cpu>::plan(&Config::base(384)).unwrap().values(), 242_646_666);
    for (composition, vqa, nlvr2) in [
        (Composition::Image, 5_993_529, 2_366_978),
        (Composition::Text, 5_993_529, 1_187_330),
        (Composition::Intra, 11_987_058, 3_554_308),
        (Composition::Inter, 7_173_177, 4_726_274),
        (Composition::All, 19_160_238, 8_280_585),
    ] {
        assert_eq!(heads(composition, &Task::vqa(3129)).values(), vqa, "{composition:?}");
        assert_eq!(heads(composition, &Task::nlvr2()).values(), nlvr2, "{composition:?}");
    }
}

#[test]
fn vqa_agrees() {
    let dev = Cpu::default();
    for side in [64, 96] {
        println!("VQA {side}: {:e} in f64", vqa::<f64, _>(&dev, side, 1e-10));
        println!("VQA {side}: {:e} in f32", vqa::<f32, _>(&dev, side, 1e-4));
    }
}

#[test]
fn nlvr2_agrees_with_every_gradient() {
    let dev = Cpu::default();
    println!("NLVR2: {:e} in f64", nlvr2::<f64, _>(&dev, 1e-10));
    println!("NLVR2: {:e} in f32", nlvr2::<f32, _>(&dev, 1e-4));
}

/// On a GPU, or on the emulated one (see `tests/cuda.rs`).
#[cfg(feature = "cuda")]
#[test]
fn a_gpu_agrees_with_every_gradient() {
    let dev = i2m2::ops::cuda::open(0, i2m2::device::Precision::F32).expect("a GPU, or the emulated one");
    println!("VQA 64: {:e} on a GPU", vqa::<f32, _>(&dev, 64, 1e-4));
    println!("NLVR2: {:e} on a GPU", nlvr2::<f32, _>(&dev, 1e-4));
}

#[test]
fn resized_tables_agree() {
    for (from, to) in [(3, 5), (23, 35)] {
        let golden = &golden()[format!("interp_{from}_to_{to}")];
        let table: Vec<f64> = stream("interp.relative_position_bias_table").take(from * from * 2).collect();
        let found = resize(&table, 2, to);
        let mut errors = Errors::of(1e-10);
        if !golden["full"].is_null() {
            errors.compare("full", &found, &golden["full"]);
        }
        errors.compare("first", &found[..8], &golden["first8"]);
        errors.compare("middle", &found[to * to / 2 * 2..][..2], &golden["mid"]);
        errors.compare("last", &found[found.len() - 2..], &golden["last"]);
        errors.compare("sum", &[found.iter().sum::<f64>()], &golden["sum"]);
        errors.compare("norm", &[found.iter().map(|x| x * x).sum::<f64>().sqrt()], &golden["l2"]);
        println!("{from} to {to}: {:e}", errors.worst);
    }
}
