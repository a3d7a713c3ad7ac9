//! Tensors by name: what is missing, extra or misshapen, and tables of other windows.

use std::collections::BTreeMap;

use dfdx::prelude::{Cpu, NoneTape};

use super::*;
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
fn inputs_that_do_not_fit_are_refused() {
    use dfdx::prelude::ZerosTensor;
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
