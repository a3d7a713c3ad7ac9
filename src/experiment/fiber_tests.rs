//! Heads on a shared backbone, frozen and trained: the bits of a run, whatever it runs on.

use super::noise::Noise;
use super::{EpochReport, Job, Observer, RunOutput, train};
use crate::data::{Dataset, Loaded, Modality, Split, Targets, Task};
use crate::device::Device;
use crate::digest::{Digest, Hasher};
use crate::models::tiny;
use crate::random::Seeds;
use crate::study::{
    Combine, EvalNorm, Evaluation, ExpertSpec, FeatureHead, Init, Network, Optimizer, Pass, Recipe, SelectBy,
    SharedBackbone, Training,
};

#[derive(Default)]
struct States(Vec<Vec<u8>>);

impl Observer for States {
    fn epoch(&mut self, _: &EpochReport, state: &[u8]) -> Result<(), std::io::Error> {
        self.0.push(state.to_vec());
        Ok(())
    }
}

fn head(pass: Pass) -> Network {
    Network::OnBackbone { on_backbone: FeatureHead { features: pass, hidden: 11 } }
}

/// I2M2 on the smallest backbone.
fn recipe(trained: bool, noise: bool) -> Recipe {
    let backbone = tiny(&head(Pass::Fused)).backbone.unwrap();
    let spec =
        |pass: Pass| ExpertSpec { name: pass.name().to_owned(), network: head(pass), init: Init::Scratch };
    Recipe {
        dataset: "noise".to_owned(),
        task: Task::new("truth", crate::data::Target::Classes { classes: 2 }),
        backbone: Some(SharedBackbone { trained, noise, ..backbone }),
        experts: Pass::ALL.map(spec).to_vec(),
        training: Some(Training {
            optimizer: Optimizer::AdamW,
            learning_rate: 1e-2,
            weight_decay: 1e-2,
            betas: Some([0.9, 0.98]),
            clip_norm: None,
            batch_size: 10,
            micro_batch: None,
            epochs: 3,
            patience: None,
            select_by: SelectBy::Loss,
            class_weights: None,
        }),
        evaluation: Evaluation {
            norm: EvalNorm::Running,
            combine: Combine::Product,
            ranking: None,
            noise: None,
        },
        population: None,
    }
}

/// The data of the tests, told apart from other data of the process where features are to be kept; with `augments`, samples are
/// said to be augmented, and stay as they are.
struct Data {
    noise: Noise,
    loaded: Option<Loaded>,
    augments: bool,
}

impl Data {
    fn new() -> Self {
        let noise = Noise::new(tiny(&head(Pass::Fused)).modalities, &recipe(true, true).task.target);
        Data { noise, loaded: None, augments: false }
    }
}

impl Dataset for Data {
    fn modalities(&self) -> &[Modality] {
        self.noise.modalities()
    }

    fn len(&self, split: Split) -> usize {
        self.noise.len(split)
    }

    fn targets(&self, split: Split) -> Targets<'_> {
        self.noise.targets(split)
    }

    fn gather(&self, split: Split, modality: usize, rows: &[u32], out: &mut [f32]) {
        assert_eq!(rows.len(), 1, "images and tokens are asked for one by one");
        self.noise.gather(split, modality, rows, out);
    }

    fn augments(&self) -> bool {
        self.augments
    }

    fn loaded(&self) -> Option<Loaded> {
        self.loaded
    }
}

fn run(recipe: &Recipe, data: &Data) -> (RunOutput, Vec<Vec<u8>>) {
    let mut states = States::default();
    let job = Job { recipe, data, seed: 3, upstream: &[], pretrained: None };
    (train(Device::Cpu, &job, None, &mut states).unwrap(), states.0)
}

fn digest(outcome: &RunOutput) -> Digest {
    let mut hasher = Hasher::new("outcome");
    hasher.field(outcome.weights.digest().bytes());
    for expert in &outcome.logits {
        hasher.field(&expert.logits.iter().flat_map(|logit| logit.to_le_bytes()).collect::<Vec<_>>());
    }
    for report in &outcome.epochs {
        hasher.field(&report.train_loss.to_le_bytes());
    }
    hasher.finish()
}

#[test]
fn dropout_and_all_give_the_same_bits_on_any_threads_and_after_any_epoch() {
    let data = Data::new();
    for trained in [true, false] {
        let mut recipe = recipe(trained, true);
        recipe.training.as_mut().unwrap().micro_batch = Some(4);
        let (outcome, states) = run(&recipe, &data);
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(
                pool.install(|| digest(&run(&recipe, &data).0)),
                digest(&outcome),
                "{threads} threads"
            );
        }
        let job = Job { recipe: &recipe, data: &data, seed: 3, upstream: &[], pretrained: None };
        for (epoch, state) in states.iter().enumerate() {
            let resumed = train(Device::Cpu, &job, Some(state), &mut States::default()).unwrap();
            assert_eq!(digest(&resumed), digest(&outcome), "after epoch {}", epoch + 1);
        }
        // Without noise it is another run.
        let quiet = Recipe {
            backbone: Some(SharedBackbone { noise: false, ..recipe.backbone.clone().unwrap() }),
            ..recipe
        };
        assert_ne!(digest(&run(&quiet, &data).0), digest(&outcome));
    }
}

#[test]
fn a_run_holds_what_it_trained() {
    let names = |trained: bool| {
        let (outcome, _) = run(&recipe(trained, false), &Data::new());
        outcome.weights.0.into_keys().collect::<Vec<_>>()
    };
    let frozen = names(false);
    assert_eq!(frozen.len(), 3 * 6);
    assert!(frozen.iter().all(|name| !name.starts_with("backbone.")));
    let trained = names(true);
    assert!(trained.contains(&"backbone.vit_model.patch_embed.proj.weight".to_owned()));
    assert!(trained.iter().all(|name| !name.contains("text_transformer.pooler.")), "no gradient reaches it");
}

#[test]
fn features_that_are_kept_give_the_bits_of_a_backbone_that_is_run() {
    let recipe = recipe(false, false);
    let run_in_place = run(&recipe, &Data { augments: true, ..Data::new() }).0;
    let kept = Data { loaded: Some(Loaded::new()), ..Data::new() };
    for data in [&Data::new(), &kept, &kept] {
        let on_features = run(&recipe, data).0;
        assert_eq!(on_features.weights, run_in_place.weights);
        assert_eq!(digest(&on_features), digest(&run_in_place));
    }
}

#[test]
fn parts_of_a_batch_add_up_to_it() {
    let data = Data::new();
    let mut recipe = recipe(true, false);
    let training = recipe.training.as_mut().unwrap();
    (training.epochs, training.optimizer, training.betas) = (1, Optimizer::Sgd, None);
    let whole = run(&recipe, &data).0;
    for size in [3, 5, 9] {
        recipe.training.as_mut().unwrap().micro_batch = Some(size);
        let parts = run(&recipe, &data).0;
        assert!((parts.epochs[0].train_loss - whole.epochs[0].train_loss).abs() < 1e-5);
        for (name, tensor) in &whole.weights.0 {
            for (a, b) in tensor.values.iter().zip(&parts.weights.0[name].values) {
                assert!((a - b).abs() < 1e-5 * a.abs().max(1.0), "{name} with parts of {size}: {a} and {b}");
            }
        }
    }
}

#[test]
fn samples_are_augmented_by_epoch_and_row() {
    /// Says which rows were augmented, and with which first number.
    struct Told(Data, std::sync::Mutex<Vec<(u32, usize, u64)>>);

    impl Dataset for Told {
        fn modalities(&self) -> &[Modality] {
            self.0.modalities()
        }

        fn len(&self, split: Split) -> usize {
            self.0.len(split)
        }

        fn targets(&self, split: Split) -> Targets<'_> {
            self.0.targets(split)
        }

        fn gather(&self, split: Split, modality: usize, rows: &[u32], out: &mut [f32]) {
            self.0.gather(split, modality, rows, out);
        }

        fn augments(&self) -> bool {
            true
        }

        fn augmented(&self, split: Split, modality: usize, row: u32, seeds: &Seeds, out: &mut [f32]) {
            assert_eq!(split, Split::Train);
            self.1.lock().unwrap().push((row, modality, seeds.stream().below(u64::MAX)));
            self.gather(split, modality, &[row], out);
        }
    }

    let recipe = recipe(false, false);
    let told = || {
        let data = Told(Data::new(), std::sync::Mutex::default());
        let job = Job { recipe: &recipe, data: &data, seed: 3, upstream: &[], pretrained: None };
        train(Device::Cpu, &job, None, &mut States::default()).unwrap();
        let mut all = data.1.into_inner().unwrap();
        all.sort_unstable();
        all
    };
    let all = told();
    // Every row of both modalities once an epoch, each time with another stream.
    assert_eq!(all.len(), 3 * 2 * Data::new().len(Split::Train));
    assert!(all.windows(2).all(|pair| pair[0] != pair[1]));
    assert_eq!(told(), all);
}
