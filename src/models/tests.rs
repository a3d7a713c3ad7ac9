//! Counts and first values of the networks.

use dfdx::prelude::Cpu;

use super::*;
use crate::data::Modality;
use crate::random::Seeds;
use crate::study::testing::{clinical, gru, lenet, lenets, low_rank, mlps, resnet};
use crate::study::{Activation, Fusion, Network, ProtocolName, Tier, resolve};

/// Modalities of these dimensions.
fn of(dims: &[&[usize]]) -> Vec<Modality> {
    dims.iter().enumerate().map(|(index, dims)| Modality::new(format!("m{index}"), *dims)).collect()
}

fn knees() -> Vec<Modality> {
    of(&[&[1, 320, 320][..]; 3])
}

fn experts(names: &[&str], classes: usize) -> Experts<f32, Cpu> {
    with_fusion(names, classes, true)
}

fn with_fusion(names: &[&str], classes: usize, trainable_fusion: bool) -> Experts<f32, Cpu> {
    let activation = Activation::Relu;
    let network = |name: &&str| match *name {
        "image" => lenet("m0", 3, 4, 100),
        "audio" => lenet("m1", 3, 6, 100),
        "lf" => lenets(["m0", "m1"], 6, [4, 6], Fusion::Concatenate, 100),
        "lrtf" => lenets(["m0", "m1"], 6, [4, 6], low_rank(40, 120, trainable_fusion), 100),
        "static" => mlps(&["m0"], 10, 40, activation),
        "series" => gru("m1", 30, 15, 40, activation),
        _ => clinical(["m0", "m1"], 10, 30, 40, activation),
    };
    let networks: Vec<Network> = names.iter().map(network).collect();
    let modalities = if classes == 10 { of(&[&[1, 28, 28], &[1, 112, 112]]) } else { of(&[&[5], &[24, 12]]) };
    let scope = Scope::new(Cpu::default(), Seeds::root(1));
    Experts::new(&scope, names.iter().copied().zip(&networks), &modalities, classes).unwrap()
}

/// The number of trained values; BatchNorm's buffers and frozen parameters are not counted.
fn parameter_count(experts: &mut Experts<f32, Cpu>) -> usize {
    let parameters = experts.named_tensors().parameters;
    let trained = parameters.iter().filter(|(_, parameter)| parameter.needs_grad);
    trained.map(|(_, parameter)| parameter.dims.iter().product::<usize>()).sum()
}

/// Values of the parameters whose names start so.
fn count(experts: &mut Experts<f32, Cpu>, prefix: &str) -> usize {
    let parameters = experts.named_tensors().parameters;
    let chosen = parameters.iter().filter(|(name, _)| name.starts_with(prefix));
    chosen.map(|(_, parameter)| parameter.dims.iter().product::<usize>()).sum()
}

#[test]
fn parameter_counts_of_avmnist_are_the_specs() {
    let expected: [(&[&str], usize); 7] = [
        (&["image"], 7_077),
        (&["audio"], 66_405),
        (&["image", "audio"], 73_482),
        (&["lf"], 260_922),
        (&["lrtf"], 1_410_682),
        (&["image", "audio", "lf"], 334_404),
        (&["image", "audio", "lrtf"], 1_484_164),
    ];
    for (names, parameters) in expected {
        assert_eq!(parameter_count(&mut experts(names, 10)), parameters, "{names:?}");
    }
    assert_eq!(parameter_count(&mut with_fusion(&["lrtf"], 10, false)), 248_922);
    assert_eq!(parameter_count(&mut with_fusion(&["image", "audio", "lrtf"], 10, false)), 322_404);

    let (mut unimodal, mut lf, mut lrtf) =
        (experts(&["image", "audio"], 10), experts(&["lf"], 10), experts(&["lrtf"], 10));
    for (prefix, parameters) in
        [("image.encoder", 3_567), ("audio.encoder", 55_695), ("image.head", 3_510), ("audio.head", 10_710)]
    {
        assert_eq!(count(&mut unimodal, prefix), parameters, "{prefix}");
    }
    for (prefix, parameters) in [("lf.encoder0", 13_938), ("lf.encoder1", 221_874), ("lf.head", 25_110)] {
        assert_eq!(count(&mut lf, prefix), parameters, "{prefix}");
    }
    for (prefix, parameters) in [
        ("lrtf.fusion.factor0", 235_200),
        ("lrtf.fusion.factor1", 926_400),
        ("lrtf.fusion.weight", 40),
        ("lrtf.fusion.bias", 120),
        ("lrtf.fusion", 1_161_760),
        ("lrtf.head", 13_110),
    ] {
        assert_eq!(count(&mut lrtf, prefix), parameters, "{prefix}");
    }
}

#[test]
fn parameter_counts_of_mimic_are_the_specs() {
    let models: [&[&str]; 5] =
        [&["static"], &["series"], &["static", "series"], &["inter"], &["static", "series", "inter"]];
    for (classes, expected) in
        [(6, [856, 19_111, 19_967, 33_616, 53_583]), (2, [692, 18_947, 19_639, 33_452, 53_091])]
    {
        for (names, parameters) in models.iter().zip(expected) {
            assert_eq!(
                parameter_count(&mut experts(names, classes)),
                parameters,
                "{names:?}, {classes} classes"
            );
        }
    }
    let all = ["static", "series", "inter"];
    let pieces = [
        ("static.encoder", 170),
        ("series.encoder.gru", 3_960),
        ("series.encoder.projection", 465),
        ("inter.encoder0", 170),
        ("inter.encoder1.gru", 3_960),
    ];
    for (prefix, parameters) in pieces {
        assert_eq!(count(&mut experts(&all, 6), prefix), parameters, "{prefix}");
    }
    for (classes, heads) in [(6, [686, 14_686, 29_486]), (2, [522, 14_522, 29_322])] {
        for (name, parameters) in all.iter().zip(heads) {
            assert_eq!(count(&mut experts(&all, classes), &format!("{name}.head")), parameters);
        }
    }
}

/// Largest absolute value, mean and standard deviation of a parameter.
fn moments(experts: &mut Experts<f32, Cpu>, name: &str) -> (f64, f64, f64) {
    let parameters = experts.named_tensors().parameters;
    let (_, parameter) = parameters.iter().find(|(found, _)| found == name).unwrap();
    let values: Vec<f64> = parameter.value.as_vec().into_iter().map(f64::from).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / values.len() as f64;
    (values.iter().fold(0.0, |largest, x| x.abs().max(largest)), mean, variance.sqrt())
}

#[test]
fn first_values_are_pytorchs_distributions() {
    let mut digits = experts(&["audio", "lrtf"], 10);
    for (name, bound) in [
        ("audio.encoder.conv5.weight", (6.0f64 / (48.0 * 9.0)).sqrt()),
        ("lrtf.encoder1.conv4.weight", (6.0f64 / (48.0 * 9.0)).sqrt()),
        ("audio.head.hidden.weight", 1.0 / 96f64.sqrt()),
        ("lrtf.head.hidden.weight", 1.0 / 120f64.sqrt()),
    ] {
        let (largest, mean, deviation) = moments(&mut digits, name);
        assert!(largest <= bound && largest > 0.98 * bound, "{name}: {largest}, bound {bound}");
        assert!(mean.abs() < 0.05 * bound && (deviation * 3f64.sqrt() / bound - 1.0).abs() < 0.03, "{name}");
    }
    for (name, expected) in [("lrtf.fusion.factor0", 0.013_685), ("lrtf.fusion.factor1", 0.008_457_6)] {
        let (_, mean, deviation) = moments(&mut digits, name);
        assert!(
            (deviation / expected - 1.0).abs() < 0.005 && mean.abs() < 0.01 * expected,
            "{name}: {deviation}"
        );
    }
    let (_, _, deviation) = moments(&mut digits, "lrtf.fusion.weight");
    assert!((deviation / 0.220_86 - 1.0).abs() < 0.5, "{deviation}");
    assert_eq!(moments(&mut digits, "lrtf.fusion.bias").0, 0.0);
    assert_eq!(moments(&mut digits, "audio.encoder.norm3.weight"), (1.0, 1.0, 0.0));
    assert_eq!(moments(&mut digits, "audio.encoder.norm3.bias").0, 0.0);

    let mut patients = experts(&["series"], 6);
    let bound = 1.0 / 30f64.sqrt();
    for name in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"] {
        let (largest, _, deviation) = moments(&mut patients, &format!("series.encoder.gru.{name}"));
        assert!(largest <= bound && largest > 0.9 * bound, "{name}: {largest}");
        assert!((deviation * 3f64.sqrt() / bound - 1.0).abs() < 0.15, "{name}: {deviation}");
    }
}

#[test]
fn names_are_unique_and_stable() {
    let mut experts = experts(&["image", "lrtf"], 10);
    let named_tensors = experts.named_tensors();
    let parameters = named_tensors.parameters.into_iter().map(|(name, _)| name);
    let names: Vec<String> =
        parameters.chain(named_tensors.buffers.into_iter().map(|(name, _)| name)).collect();
    let mut unique = names.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), names.len());
    for expected in ["image.encoder.conv0.weight", "lrtf.encoder1.norm5.running_var", "lrtf.fusion.factor1"] {
        assert!(names.iter().any(|name| name == expected), "{expected}");
    }
}

/// Encoder 16 -> 24 -> 24, head 24 -> 32 -> 4; with both modalities the head sees 48.
#[test]
fn parameter_counts_on_the_generative_model_are_those_of_its_layers() {
    let study = resolve(ProtocolName::Paper, Tier::Smoke).unwrap().studies.remove("generative").unwrap();
    let modalities = ["first", "second"].map(|name| Modality::new(name, [16]));
    let scope = Scope::new(Cpu::default(), Seeds::root(1));
    let encoder = 16 * 24 + 24 + 24 * 24 + 24;
    for (name, parameters) in [
        ("first", encoder + 24 * 32 + 32 + 32 * 4 + 4),
        ("second", encoder + 24 * 32 + 32 + 32 * 4 + 4),
        ("inter", 2 * encoder + 48 * 32 + 32 + 32 * 4 + 4),
    ] {
        let network = &study.experts[name].network;
        let built: Result<Experts<f32, Cpu>, _> =
            Experts::new(&scope, std::iter::once(("expert", network)), &modalities, 4);
        assert_eq!(parameter_count(&mut built.unwrap()), parameters);
    }
}

#[test]
fn parameter_counts_of_fastmri_are_the_specs() {
    let study = resolve(ProtocolName::Paper, Tier::Paper).unwrap().studies.remove("fastmri").unwrap();
    let modalities: Vec<Modality> =
        study.dataset.modalities.iter().map(|spec| Modality::new(spec.name, spec.dims)).collect();
    let expected: [(&[&str], usize); 9] = [
        (&["rss"], 11_574_472),
        (&["magnitude"], 11_574_472),
        (&["phase"], 11_574_472),
        (&["inter"], 11_575_048),
        (&["magnitude", "phase"], 23_148_944),
        (&["magnitude", "phase", "inter"], 34_723_992),
        (&["magnitude", "magnitude", "magnitude"], 34_723_416),
        (&["wide-magnitude"], 39_275_464),
        (&["wide-inter"], 39_276_040),
    ];
    for (experts, parameters) in expected {
        let networks: Vec<&Network> = experts.iter().map(|name| &study.experts[*name].network).collect();
        let names = ["a", "b", "c"].into_iter().zip(networks.iter().copied());
        let scope = Scope::new(Cpu::default(), Seeds::root(1));
        let mut built: Experts<f32, Cpu> = Experts::new(&scope, names, &modalities, 8).unwrap();
        assert_eq!(parameter_count(&mut built), parameters, "{experts:?}");
        // What is estimated of a network is six times its weights, and more with every example.
        let bytes = |batch| -> u64 {
            networks.iter().map(|network| step_bytes(network, &modalities, 8, batch).unwrap()).sum()
        };
        assert_eq!(bytes(0), 4 * 6 * parameters as u64);
        assert!(bytes(2) - bytes(1) > 400 << 20, "{experts:?}");
    }
    // Other readings of the paper's "WideResNet-20-3": the literal one, and a wider PreactResNet-18.
    for (network, parameters) in [
        (resnet(&["m0"], 16, &[48, 96, 192], [3, 16, 10]), 2_572_792),
        (resnet(&["m0"], 112, &[112, 224, 448, 896], [2, 16, 10]), 34_899_544),
    ] {
        let scope = Scope::new(Cpu::default(), Seeds::root(1));
        let mut experts: Experts<f32, Cpu> = Experts::new(&scope, [("a", &network)], &knees(), 8).unwrap();
        assert_eq!(parameter_count(&mut experts), parameters, "{network:?}");
    }
}

#[test]
fn slices_that_are_too_small_or_of_another_kind_are_refused() {
    let network = resnet(&["m0", "m1"], 4, &[4, 8, 8], [1, 2, 3]);
    let scope = Scope::new(Cpu::default(), Seeds::root(1));
    let with = |first: &'static [usize], second: &'static [usize]| {
        Experts::<f32, Cpu>::new(&scope, [("a", &network)], &of(&[first, second]), 8).map(drop)
    };
    with(&[1, 9, 11], &[1, 9, 11]).unwrap();
    for (first, second) in [
        (&[1, 8, 11][..], &[1, 9, 11][..]),
        (&[1, 9, 11], &[2, 9, 11]),
        (&[1, 9, 11], &[]),
        (&[5], &[1, 9, 11]),
    ] {
        assert!(matches!(with(first, second), Err(ModelError::Dims { .. })), "{first:?} {second:?}");
    }
    let other = Experts::<f32, Cpu>::new(&scope, [("a", &network)], &of(&[&[1, 9, 11]]), 8).map(drop);
    assert!(other.unwrap_err().to_string().contains("no modality `m1`; it has m0"));
}

/// A tiny network has the parts of the one that it stands for, and can be built.
#[test]
fn tiny_networks_follow_from_the_parts() {
    let activation = Activation::LeakyRelu { slope: 0.1 };
    for (network, name) in [
        (lenet("a", 3, 6, 100), "lenet,relu"),
        (lenets(["a", "b"], 6, [4, 6], low_rank(40, 120, false), 100), "lenet+lenet,low-rank,relu"),
        (clinical(["a", "b"], 10, 30, 40, activation), "mlp-leaky-relu+gru,leaky-relu"),
        (gru("a", 30, 15, 40, activation), "gru-linear,leaky-relu"),
        (mlps(&["a", "b", "c"], 10, 9, Activation::Relu), "mlp-relu+mlp-relu+mlp-relu,relu"),
        (resnet(&["a", "b", "c"], 64, &[64, 128], [2, 32, 10]), "preact-resnet*2"),
    ] {
        let found = tiny(&network);
        assert_eq!(found.name, name);
        let scope = Scope::new(Cpu::default(), Seeds::root(1));
        Experts::<f32, Cpu>::new(&scope, [("a", &found.network)], &found.modalities, 3).unwrap();
        assert_eq!(tiny(&found.network).name, name, "it stands for itself");
    }
}
