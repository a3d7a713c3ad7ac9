//! Tensors by name: what is missing, extra or misshapen, and tables of other windows.

use std::collections::{BTreeMap, BTreeSet};

use dfdx::prelude::*;

use super::*;
use crate::ops::simd::Real;
use crate::ops::testing::{bits, numbers, same_bits_everywhere};
use crate::ops::{Backend, Tokens};
use crate::random::Seeds;

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f64>)>;

fn source(config: &Config) -> Tensors {
    let backbone = Backbone::<f64, Cpu>::fresh(Cpu::default(), config, &Seeds::root(1)).unwrap();
    let weights = &backbone.weights;
    let names = weights.plan().0.iter().map(|spec| spec.name.clone());
    names
        .map(|name| {
            let parameter = weights.by_name(&name).unwrap();
            (name, (parameter.dims.clone(), parameter.values()))
        })
        .collect()
}

fn text() -> Text {
    Text::new(vec![0, 7, 2, 1], vec![true, true, true, false], 4).unwrap()
}

#[test]
fn an_error_names_everything_that_does_not_fit() {
    let config = Config::tiny(32);
    let mut tensors = source(&config);
    tensors.remove("vit_model.norm.weight");
    tensors.insert("vit_model.head.weight".to_owned(), (vec![1], vec![0.0]));
    tensors.insert("mlm_score.bias".to_owned(), (vec![1], vec![0.0]));
    let table = "vit_model.layers.0.blocks.0.attn.relative_position_bias_table";
    tensors.insert(table.to_owned(), (vec![2, 1], vec![0.0; 2]));
    let error = Backbone::load(Cpu::default(), &config, &tensors, ignored).unwrap_err();
    let FiberError::Tensors { missing, extra, misshapen } = &error else { panic!("{error}") };
    assert_eq!(*missing, ["vit_model.norm.weight"]);
    assert_eq!(*extra, ["vit_model.head.weight"]);
    assert_eq!(*misshapen, [format!("{table}: expected [1, 1], found [2, 1]")]);
    for name in ["missing: vit_model.norm.weight", "not known: vit_model.head.weight", table] {
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_loaded_backbone_is_the_same_and_shares_its_tensors() {
    let config = Config::tiny(32);
    let seeds = Seeds::root(1);
    let fresh = Backbone::<f64, Cpu>::fresh(Cpu::default(), &config, &seeds).unwrap();
    let loaded = Backbone::load(Cpu::default(), &config, &source(&config), ignored).unwrap();
    let features = |backbone: &Backbone<f64, Cpu>| {
        backbone.text_only::<NoneTape>(&text(), &Noise::Off, None).unwrap().as_vec()
    };
    assert_eq!(features(&fresh), features(&loaded));
    let shared = loaded.clone();
    let address = |backbone: &Backbone<f64, Cpu>| {
        let norm = backbone.weights.by_name("vit_model.norm.weight").unwrap();
        std::ptr::from_ref(&norm.value[[0]])
    };
    assert_eq!(address(&loaded), address(&shared));
}

#[test]
fn tables_of_other_windows_are_resized() {
    let (small, large) = (Config::tiny(64), Config::tiny(96));
    let loaded = Backbone::load(Cpu::default(), &large, &source(&small), ignored).unwrap();
    let table = "vit_model.layers.1.blocks.0.attn.relative_position_bias_table";
    let before = &source(&small)[table].1;
    assert_eq!(loaded.weights.by_name(table).unwrap().values(), resize(before, 2, 5));
}

#[test]
fn noise_depends_on_the_seed_alone() {
    let config = Config::tiny(32);
    let backbone = Backbone::<f64, Cpu>::fresh(Cpu::default(), &config, &Seeds::root(1)).unwrap();
    let features = |noise: &Noise| backbone.text_only::<NoneTape>(&text(), noise, None).unwrap().as_vec();
    let on = |seed| Noise::On(Seeds::root(seed));
    assert_eq!(features(&on(1)), features(&on(1)));
    assert_ne!(features(&on(1)), features(&on(2)));
    assert_ne!(features(&on(1)), features(&Noise::Off));
}

#[test]
fn sizes_that_do_not_fit_are_refused() {
    let tiny = Config::tiny(64);
    for wrong in [
        Config { image: Image { side: 48, ..tiny.image.clone() }, ..tiny.clone() },
        Config { image: Image { heads: [3, 2, 4, 8], ..tiny.image.clone() }, ..tiny.clone() },
        Config { text: TextSizes { heads: 5, ..tiny.text.clone() }, ..tiny.clone() },
        Config { text: TextSizes { padding: 20, ..tiny.text.clone() }, ..tiny.clone() },
        Config { fused: 13, ..tiny.clone() },
    ] {
        assert!(matches!(Backbone::<f32, Cpu>::plan(&wrong), Err(FiberError::Config(_))), "{wrong:?}");
    }
}

#[test]
fn sizes_are_read_from_a_file() {
    let config = Config::base(576);
    let file = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<Config>(&file).unwrap(), config);
    assert!(toml::from_str::<Config>(&file.replace("fused", "fusion")).is_err());
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let dev = Cpu::default();
    let backbone = Backbone::<f32, Cpu>::fresh(dev.clone(), &Config::tiny(32), &Seeds::root(1)).unwrap();
    let images = dev.zeros_like(&(2, 3, 32, 32));
    let fused = backbone.fused::<NoneTape>(&images, &text(), &Noise::Off, None);
    assert!(matches!(fused, Err(FiberError::Input { .. })));
    let images = dev.zeros_like(&(1, 3, 64, 64));
    assert!(backbone.image_only::<NoneTape>(&images, &Noise::Off, None).is_err());
    let text = |id, length| Text::new(vec![id; length], vec![true; length], length).unwrap();
    for text in [text(60, 4), text(0, 19)] {
        assert!(backbone.text_only::<NoneTape>(&text, &Noise::Off, None).is_err());
    }
}

/// The three passes.
#[derive(Clone, Copy, Debug)]
enum Pass {
    Fused,
    Image,
    Text,
}

const PASSES: [Pass; 3] = [Pass::Fused, Pass::Image, Pass::Text];

fn images<E: Real>(count: usize, side: usize) -> Images<E, Cpu>
where
    Cpu: Backend<E>,
{
    Cpu::default().tensor_from_vec(numbers("images", count * 3 * side * side), (count, 3, side, side))
}

fn texts() -> Text {
    let ids = vec![0, 7, 33, 2, 1, 1, 0, 9, 11, 59, 12, 2];
    let real = ids.iter().map(|&id| id != 1).collect();
    Text::new(ids, real, 6).unwrap()
}

fn pass<E: Real, T: Tape<E, Cpu>>(
    backbone: &Backbone<E, Cpu>,
    pass: Pass,
    images: &Images<E, Cpu>,
    text: &Text,
    noise: &Noise,
) -> Tokens<E, Cpu, T>
where
    Cpu: Backend<E>,
{
    match pass {
        Pass::Fused => backbone.fused(images, text, noise, None).unwrap(),
        Pass::Image => backbone.image_only(images, noise, None).unwrap(),
        Pass::Text => backbone.text_only(text, noise, None).unwrap(),
    }
}

/// Fresh gates are closed, and fresh biases are all the same.
fn opened<E: Real>(backbone: &Backbone<E, Cpu>, shift: f64) -> Backbone<E, Cpu>
where
    Cpu: Backend<E>,
{
    let mut backbone = backbone.clone();
    for (name, parameter) in backbone.weights.named_tensors().parameters {
        let width = if parameter.dims.len() < 2 { 0.3 } else { 0.1 };
        let values = parameter.values().into_iter().zip(numbers::<f64>(&name, parameter.len()));
        let values =
            values.map(|(value, by)| E::of(value.to_f64() + (width + shift) * by)).collect::<Vec<_>>();
        parameter.value.copy_from(&values);
    }
    backbone
}

/// All parameters are moved at once in one direction: with noise, which a seed repeats.
#[test]
fn gradients_of_all_passes_agree_with_finite_differences() {
    let config = Config::tiny(64);
    let fresh = Backbone::<f64, Cpu>::fresh(Cpu::default(), &config, &Seeds::root(1)).unwrap();
    let (images, text) = (images(2, 64), texts());
    for which in PASSES {
        for noise in [Noise::Off, Noise::On(Seeds::root(4))] {
            let weigh = |features: Vec<f64>| -> f64 {
                let weights = numbers::<f64>("weights of features", features.len());
                features.iter().zip(weights).map(|(feature, weight)| feature * weight).sum()
            };
            let loss = |shift| {
                let features = pass::<_, NoneTape>(&opened(&fresh, shift), which, &images, &text, &noise);
                weigh(features.as_vec())
            };
            let backbone = opened(&fresh, 0.0);
            let out = pass::<_, OwnedTape<_, _>>(&backbone, which, &images, &text, &noise);
            let shape = *out.shape();
            let weights =
                Cpu::default().tensor_from_vec(numbers("weights of features", shape.0 * shape.1), shape);
            let mut gradients = (out * weights).sum::<Rank0, _>().backward();
            let names = backbone.weights.plan().0.iter().map(|spec| &spec.name);
            let along: f64 = names
                .zip(&backbone.weights.parameters)
                .map(|(name, parameter)| {
                    let gradient = gradients.get_or_alloc_mut(&parameter.value).unwrap();
                    let direction = numbers::<f64>(name, parameter.len());
                    gradient.iter().zip(direction).map(|(g, by)| g * by).sum::<f64>()
                })
                .sum();
            let step = 1e-5;
            let [a, b, c, d] = [-2.0, -1.0, 1.0, 2.0].map(|steps| loss(steps * step));
            let slope = (a - d + 8.0 * (c - b)) / (12.0 * step);
            assert!(
                (slope - along).abs() < 1e-7 * slope.abs().max(0.1),
                "{which:?} {noise:?}: {slope} {along}"
            );
        }
    }
}

#[test]
fn bits_depend_on_neither_instruction_set_nor_threads() {
    let config = Config::tiny(96);
    let fresh = Backbone::<f32, Cpu>::fresh(Cpu::default(), &config, &Seeds::root(1)).unwrap();
    let backbone = opened(&fresh, 0.0);
    let found = same_bits_everywhere(|| {
        let (images, text, noise) = (images(2, 96), texts(), Noise::On(Seeds::root(2)));
        let mut found = Vec::new();
        for which in PASSES {
            let features = pass::<f32, OwnedTape<f32, Cpu>>(&backbone, which, &images, &text, &noise);
            found.extend(bits(&features.as_vec()));
            let mut gradients = features.square().sum::<Rank0, _>().backward();
            for parameter in &backbone.weights.parameters {
                found.extend(bits(gradients.get_or_alloc_mut(&parameter.value).unwrap()));
            }
        }
        found
    });
    assert!(found.len() > 3 * backbone.weights.plan().values());
}

#[test]
fn an_example_depends_on_neither_its_batch_nor_its_padding() {
    let fresh = Backbone::<f32, Cpu>::fresh(Cpu::default(), &Config::tiny(64), &Seeds::root(1)).unwrap();
    let backbone = opened(&fresh, 0.0);
    let (both, text) = (images(2, 64), texts());
    let pixels = both.as_vec();
    for which in PASSES {
        let together = pass::<_, NoneTape>(&backbone, which, &both, &text, &Noise::Off);
        let width = together.shape().1;
        let together = together.as_vec();
        for n in 0..2 {
            let image = pixels[n * pixels.len() / 2..][..pixels.len() / 2].to_vec();
            let image = Cpu::default().tensor_from_vec(image, (1, 3, 64, 64));
            let ids = text.ids[n * 6..][..6].to_vec();
            let one = Text::new(ids.clone(), text.real[n * 6..][..6].to_vec(), 6).unwrap();
            let alone = pass::<_, NoneTape>(&backbone, which, &image, &one, &Noise::Off).as_vec();
            assert_eq!(bits(&alone), bits(&together[n * width..][..width]), "{which:?} {n}");
            let real = text.real[n * 6..][..6].iter().filter(|real| **real).count();
            let short = Text::new(ids[..real].to_vec(), vec![true; real], real).unwrap();
            let short = pass::<_, NoneTape>(&backbone, which, &image, &short, &Noise::Off).as_vec();
            for (short, long) in short.iter().zip(&alone) {
                assert!((short - long).abs() < 1e-5, "{which:?} {n}: {short} {long}");
            }
        }
    }
}

#[test]
fn stochastic_depth_grows_with_depth_and_drops_whole_samples() {
    let mut config = Config::tiny(32);
    config.image.drop_path = 0.999;
    let backbone = Backbone::<f64, Cpu>::fresh(Cpu::default(), &config, &Seeds::root(1)).unwrap();
    let backbone = opened(&backbone, 0.0);
    let seen = std::cell::RefCell::new(Vec::new());
    let hook =
        |name: &str, tokens: &Tokens<f64, Cpu>| seen.borrow_mut().push((name.to_owned(), tokens.as_vec()));
    backbone.image_only::<NoneTape>(&images(2, 32), &Noise::On(Seeds::root(3)), Some(&hook)).unwrap();
    let seen = seen.into_inner();
    let of = |name: &str| &seen.iter().find(|(of, _)| of == name).unwrap().1;
    // The last block drops both of its branches of both samples; the first one never drops.
    assert_eq!(of("vit_model.layers.3.blocks.1"), of("vit_model.layers.3.blocks.0"));
    assert_ne!(of("vit_model.layers.0.blocks.0"), of("vit_model.patch_embed"));
}

#[test]
fn frozen_tensors_get_no_gradient() {
    let backbone = Backbone::<f64, Cpu>::fresh(Cpu::default(), &Config::tiny(32), &Seeds::root(1)).unwrap();
    let backbone = backbone.frozen();
    let out = pass::<_, OwnedTape<_, _>>(&backbone, Pass::Fused, &images(2, 32), &texts(), &Noise::Off);
    let mut gradients = out.sum::<Rank0, _>().backward();
    for parameter in &backbone.weights.parameters {
        let gradient = gradients.get_or_alloc_mut(&parameter.value).unwrap();
        assert!(gradient.iter().all(|gradient| *gradient == 0.0));
    }
}

#[test]
fn heads_say_what_they_miss() {
    let (dev, config) = (Cpu::default(), Config::tiny(32));
    let heads =
        Heads::<f64, Cpu>::fresh(&dev, &config, Composition::All, &Task::nlvr2(), &Seeds::root(1)).unwrap();
    let features = |width: usize| Some(dev.zeros_like(&(2, width)));
    let all = Features { image: features(48), text: features(24), fused: features(96) };
    let logits = heads.logits::<NoneTape>(all).unwrap();
    assert!(logits.len() == 3 && logits.iter().all(|logits| *logits.shape() == (2, 2)));
    let some = Features { image: features(48), text: None, fused: features(96) };
    let error = heads.logits::<NoneTape>(some).unwrap_err();
    assert_eq!(error.to_string(), "FIBER's features of the text: expected those of a pass, found none");
}

#[test]
fn only_what_a_gradient_reaches_is_trained() {
    let fresh = Backbone::<f64, Cpu>::fresh(Cpu::default(), &Config::tiny(64), &Seeds::root(1)).unwrap();
    let backbone = opened(&fresh, 0.0);
    let (images, text) = (images(2, 64), texts());
    for (composition, passes) in [
        (Composition::Image, &[Pass::Image][..]),
        (Composition::Text, &[Pass::Text]),
        (Composition::Intra, &[Pass::Image, Pass::Text]),
        (Composition::Inter, &[Pass::Fused]),
        (Composition::All, &PASSES),
    ] {
        let mut reached = BTreeSet::new();
        for which in passes {
            let out = pass::<_, OwnedTape<_, _>>(&backbone, *which, &images, &text, &Noise::Off);
            let mut gradients = out.square().square().sum::<Rank0, _>().backward();
            for (spec, parameter) in backbone.weights.plan().0.iter().zip(&backbone.weights.parameters) {
                if gradients.get_or_alloc_mut(&parameter.value).unwrap().iter().any(|g| *g != 0.0) {
                    reached.insert(spec.name.clone());
                }
            }
        }
        let trained = backbone.clone().trained_by(composition);
        let trained = trained.weights.plan().0.iter().zip(&trained.weights.parameters);
        let trained = trained.filter(|(_, parameter)| parameter.needs_grad);
        assert_eq!(trained.map(|(spec, _)| spec.name.clone()).collect::<BTreeSet<_>>(), reached);
    }
}
