//! The promises of the training loop, on tiny data.

use super::noise::Noise;
use super::*;
use crate::data::{Modality, Split, Target, Task};
use crate::device::Device;
use crate::digest::{Digest, Hasher};
use crate::metric::{ACCURACY, Metric};
use crate::study::testing;
use crate::study::*;

/// Keeps every saved state.
#[derive(Default)]
struct Recorder {
    states: Vec<Vec<u8>>,
    reports: Vec<EpochReport>,
    steps: usize,
    started: Option<(usize, usize, usize)>,
    full_disk_at: Option<usize>,
}

impl Observer for Recorder {
    fn start(&mut self, steps: usize, epochs: usize, next: usize) {
        self.started = Some((steps, epochs, next));
    }
    fn step(&mut self) {
        self.steps += 1;
    }
    fn epoch(&mut self, report: &EpochReport, state: &[u8]) -> Result<(), std::io::Error> {
        if self.full_disk_at == Some(report.epoch) {
            return Err(std::io::Error::other("no space left"));
        }
        self.states.push(state.to_vec());
        self.reports.push(report.clone());
        Ok(())
    }
}

fn image() -> Network {
    testing::lenet("first", 3, 2, 9)
}

fn low_rank() -> Network {
    testing::lenets(["first", "second"], 2, [2, 2], testing::low_rank(3, 7, true), 9)
}

fn series() -> Network {
    testing::gru("second", 6, 3, 9, Activation::Relu)
}

fn clinical() -> Network {
    testing::clinical(["first", "second"], 5, 6, 9, Activation::LeakyRelu { slope: 0.2 })
}

/// Ten classes.
fn ten() -> Task {
    Task::new("digits", Target::Classes { classes: 10 })
}

/// Six classes.
fn six() -> Task {
    Task::new("mortality", Target::Classes { classes: 6 })
}

fn recipe(task: Task, experts: &[(&str, Network)]) -> Recipe {
    let digits = task == ten();
    Recipe {
        dataset: "noise".to_owned(),
        task,
        backbone: None,
        experts: experts
            .iter()
            .map(|(name, network)| ExpertSpec {
                name: (*name).to_owned(),
                network: network.clone(),
                init: Init::Scratch,
            })
            .collect(),
        training: Some(Training {
            optimizer: if digits { Optimizer::Sgd } else { Optimizer::Rmsprop },
            learning_rate: if digits { 0.05 } else { 5e-3 },
            weight_decay: 1e-4,
            betas: None,
            clip_norm: Some(8.0),
            batch_size: 10,
            micro_batch: None,
            epochs: 4,
            patience: None,
            select_by: SelectBy::Accuracy,
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

fn modalities(dims: [&[usize]; 2]) -> Vec<Modality> {
    ["first", "second"].into_iter().zip(dims).map(|(name, dims)| Modality::new(name, dims)).collect()
}

fn digits() -> Noise {
    Noise::new(modalities([&[1, 9, 8], &[1, 8, 11]]), &ten().target)
}

fn patients(classes: usize) -> Noise {
    Noise::new(modalities([&[5], &[6, 4]]), &Target::Classes { classes })
}

fn run(recipe: &Recipe, data: &Noise) -> (RunOutput, Recorder) {
    let mut recorder = Recorder::default();
    (train(Device::Cpu, &job(recipe, data), None, &mut recorder).unwrap(), recorder)
}

fn job<'a>(recipe: &'a Recipe, data: &'a Noise) -> Job<'a> {
    Job { recipe, data, seed: 7, upstream: &[], pretrained: None }
}

/// Every bit of an outcome.
fn digest(outcome: &RunOutput) -> Digest {
    let mut hasher = Hasher::new("outcome");
    hasher.field(outcome.weights.digest().bytes());
    for expert in &outcome.logits {
        let bytes: Vec<u8> = expert.logits.iter().flat_map(|logit| logit.to_le_bytes()).collect();
        hasher.field(expert.name.as_bytes()).field(&bytes);
    }
    for (name, value) in outcome.metrics.iter() {
        hasher.field(name.as_bytes()).field(&value.to_le_bytes());
    }
    for report in &outcome.epochs {
        hasher.field(&report.train_loss.to_le_bytes());
        report.valid.values().for_each(|value| {
            hasher.field(&value.to_le_bytes());
        });
    }
    hasher.finish()
}

/// Test accuracy of calling each example by the nearest mean of the training examples' first modality, in percent.
fn nearest_mean(data: &Noise, classes: usize) -> f64 {
    let width = data.modalities()[0].features();
    let rows = |split: Split| -> Vec<Vec<f32>> {
        (0..data.len(split) as u32)
            .map(|row| {
                let mut out = vec![0.0; width];
                data.gather(split, 0, &[row], &mut out);
                out
            })
            .collect()
    };
    let mut means = vec![vec![0.0f32; width]; classes];
    let mut counts = vec![0.0f32; classes];
    for (row, &label) in rows(Split::Train).iter().zip(data.targets(Split::Train).labels()) {
        counts[label as usize] += 1.0;
        means[label as usize].iter_mut().zip(row).for_each(|(mean, x)| *mean += x);
    }
    for (mean, count) in means.iter_mut().zip(counts) {
        mean.iter_mut().for_each(|x| *x /= count);
    }
    let nearest = |row: &[f32]| {
        let distance =
            |mean: &Vec<f32>| -> f32 { mean.iter().zip(row).map(|(a, b)| (a - b) * (a - b)).sum() };
        (0..means.len()).min_by(|&a, &b| distance(&means[a]).total_cmp(&distance(&means[b])))
    };
    let labels = data.targets(Split::TEST).labels();
    let right = rows(Split::TEST)
        .iter()
        .zip(labels)
        .filter(|(row, label)| nearest(row) == Some(**label as usize))
        .count();
    100.0 * right as f64 / labels.len() as f64
}

#[test]
fn learns_and_reports_what_it_did() {
    let data = Noise::with_rows(modalities([&[1, 9, 8], &[1, 8, 11]]), &ten().target, 1004, 400);
    let mut recipe = recipe(ten(), &[("image", image()), ("inter", low_rank())]);
    recipe.training.as_mut().unwrap().epochs = 10;
    let (outcome, recorder) = run(&recipe, &data);
    // 1,004 examples in batches of 10: the last, partial one is kept.
    assert_eq!(recorder.started, Some((101, 10, 1)));
    assert_eq!((recorder.steps, recorder.reports.len()), (1010, 10));
    assert_eq!(outcome.epochs, recorder.reports);
    // The classes are ten patterns far apart in noise, so next to nothing stands between a learner and all of them.
    let reference = nearest_mean(&data, 10);
    assert!(reference > 99.0, "{reference}");
    assert!(outcome.metrics["test_accuracy"] > 95.0, "{:?}", outcome.metrics);
    assert!(outcome.epochs[9].train_loss < 0.1 * outcome.epochs[0].train_loss);
    let names: Vec<&str> = outcome.metrics.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "best_epoch",
            "entropy.image",
            "entropy.inter",
            "label_entropy",
            "test_accuracy",
            "test_loss",
            "valid_accuracy"
        ]
    );
    let best = outcome.metrics["best_epoch"] as usize;
    let accuracies: Vec<f64> = outcome.epochs.iter().map(|report| report.valid["accuracy"]).collect();
    let first_best = accuracies.iter().position(|&a| a == accuracies.iter().copied().fold(0.0, f64::max));
    assert_eq!(first_best, Some(best - 1));
    assert_eq!(outcome.metrics["valid_accuracy"], accuracies[best - 1]);
    assert!(outcome.logits.iter().all(|expert| expert.logits.len() == 400 * 10));
}

#[test]
fn resuming_after_any_epoch_gives_the_same_bits() {
    let cases = [
        (recipe(ten(), &[("image", image()), ("inter", low_rank())]), digits()),
        (recipe(six(), &[("series", series()), ("inter", clinical())]), patients(6)),
    ];
    for (recipe, data) in cases {
        let (outcome, recorder) = run(&recipe, &data);
        for (done, state) in recorder.states.iter().enumerate() {
            let mut rest = Recorder::default();
            let resumed = train(Device::Cpu, &job(&recipe, &data), Some(state), &mut rest).unwrap();
            assert_eq!(digest(&resumed), digest(&outcome), "after epoch {}", done + 1);
            assert_eq!(rest.states, recorder.states[done + 1..]);
            assert_eq!(rest.started.unwrap().2, done + 2);
        }
    }
}

#[test]
fn one_and_two_threads_give_the_same_bits() {
    let cases = [
        (recipe(ten(), &[("image", image()), ("inter", low_rank())]), digits()),
        (recipe(six(), &[("series", series()), ("inter", clinical())]), patients(6)),
    ];
    for (recipe, data) in cases {
        let digests = [1, 2, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| digest(&run(&recipe, &data).0))
        });
        assert_eq!(digests[0], digests[1]);
        assert_eq!(digests[0], digests[2]);
    }
}

#[test]
fn seed_and_name_alone_fix_the_first_weights() {
    let (recipe_alone, data) = (recipe(ten(), &[("image", image())]), digits());
    let both = recipe(ten(), &[("inter", low_rank()), ("image", image())]);
    let first_weights = |recipe: &Recipe, seed| {
        let mut recipe = recipe.clone();
        recipe.training.as_mut().unwrap().learning_rate = 0.0;
        recipe.training.as_mut().unwrap().epochs = 1;
        let job = Job { seed, ..job(&recipe, &data) };
        let outcome = train(Device::Cpu, &job, None, &mut Recorder::default()).unwrap();
        outcome.weights.0["image.encoder.conv0.weight"].clone()
    };
    assert_eq!(first_weights(&recipe_alone, 7), first_weights(&both, 7));
    assert_ne!(first_weights(&recipe_alone, 7), first_weights(&recipe_alone, 8));
}

#[test]
fn upstream_weights_are_where_an_expert_starts() {
    let data = digits();
    let (upstream, _) = run(&recipe(ten(), &[("image", image())]), &data);
    let mut recipe = recipe(ten(), &[("image", image()), ("inter", low_rank())]);
    recipe.experts[0].init = Init::Upstream { run: 1 };
    recipe.training.as_mut().unwrap().learning_rate = 0.0;
    recipe.training.as_mut().unwrap().epochs = 1;
    let with = |upstream: Vec<Tensors>| {
        let weights = |weights| Upstream { weights, ..Upstream::default() };
        let upstream: Vec<Upstream> = upstream.into_iter().map(weights).collect();
        let job = Job { upstream: &upstream, ..job(&recipe, &data) };
        train(Device::Cpu, &job, None, &mut Recorder::default())
    };
    let started = with(vec![Tensors::default(), upstream.weights.clone()]).unwrap();
    for (name, tensor) in &upstream.weights.0 {
        if !name.contains("running") {
            assert_eq!(&started.weights.0[name], tensor, "{name}");
        }
    }

    assert!(matches!(with(vec![upstream.weights.clone()]), Err(TrainError::Upstream { run: 1, .. })));
    let mut lacking = upstream.weights.clone();
    lacking.0.remove("image.head.output.bias");
    let error = with(vec![Tensors::default(), lacking]).err().unwrap().to_string();
    assert!(error.contains("image.head.output.bias") && error.contains("no such tensor"), "{error}");
    let mut misshapen = upstream.weights;
    misshapen.0.get_mut("image.head.output.bias").unwrap().dims = vec![2, 5];
    let error = with(vec![Tensors::default(), misshapen]).err().unwrap().to_string();
    assert!(error.contains("[10]") && error.contains("[2, 5]"), "{error}");
}

#[test]
fn what_is_not_finite_is_an_error_with_run_epoch_and_step() {
    let mut data = digits();
    let recipe = recipe(ten(), &[("image", image())]);
    data.samples[0][0] = f32::NAN;
    let error = train(Device::Cpu, &job(&recipe, &data), None, &mut Recorder::default()).err().unwrap();
    assert!(matches!(error, TrainError::Step { epoch: 1, .. }), "{error}");
    assert!(error.to_string().contains("image (seed 7): epoch 1, step"), "{error}");

    let mut diverging = recipe;
    diverging.training.as_mut().unwrap().learning_rate = 1e30;
    let error =
        train(Device::Cpu, &job(&diverging, &digits()), None, &mut Recorder::default()).err().unwrap();
    assert!(matches!(error, TrainError::Step { .. }), "{error}");
}

#[test]
fn rows_that_can_no_longer_be_read_void_the_run() {
    let mut data = digits();
    data.lost = Some(18);
    let recipe = recipe(ten(), &[("image", image())]);
    let error = train(Device::Cpu, &job(&recipe, &data), None, &mut Recorder::default()).err().unwrap();
    assert!(matches!(error, TrainError::Unreadable(_)), "{error}");
    assert!(error.to_string().contains("row 18 is gone"), "{error}");
}

#[test]
fn patience_and_failed_saves_end_a_run() {
    let data = digits();
    let mut recipe = recipe(ten(), &[("image", image())]);
    recipe.training.as_mut().unwrap().learning_rate = 1e-12;
    recipe.training.as_mut().unwrap().epochs = 30;
    recipe.training.as_mut().unwrap().patience = Some(2);
    recipe.evaluation.norm = EvalNorm::Batch;
    let (outcome, recorder) = run(&recipe, &data);
    // Nothing is learned: the first epoch is the best, and three more are waited for.
    assert_eq!((outcome.metrics["best_epoch"], outcome.epochs.len()), (1.0, 4));
    // A run that was interrupted after its last epoch trains no further.
    let mut rest = Recorder::default();
    let resumed =
        train(Device::Cpu, &job(&recipe, &data), recorder.states.last().map(Vec::as_slice), &mut rest)
            .unwrap();
    assert_eq!((digest(&resumed), rest.steps), (digest(&outcome), 0));

    let mut full = Recorder { full_disk_at: Some(2), ..Recorder::default() };
    let error = train(Device::Cpu, &job(&recipe, &data), None, &mut full).err().unwrap();
    assert!(matches!(error, TrainError::Save { epoch: 2, .. }), "{error}");
}

#[test]
fn a_state_of_another_job_is_refused() {
    let data = digits();
    let recipe = recipe(ten(), &[("image", image())]);
    let (_, recorder) = run(&recipe, &data);
    let other = Job { seed: 8, ..job(&recipe, &data) };
    let resumed = train(Device::Cpu, &other, Some(&recorder.states[0]), &mut Recorder::default());
    assert!(matches!(resumed, Err(TrainError::Checkpoint(CheckpointError::Job { .. }))));
}

/// Deviation A2: validation moves the running statistics, and batch statistics decide; the stored weights are those
/// of before the test.
#[test]
fn batch_statistics_in_evaluation_are_the_released_trainers() {
    let data = digits();
    let running = recipe(ten(), &[("image", image())]);
    let mut batch = running.clone();
    batch.evaluation.norm = EvalNorm::Batch;
    let state_of = |recipe: &Recipe| {
        let (_, recorder) = run(recipe, &data);
        Tensors::from_bytes(&recorder.states[0]).unwrap().0.0
    };
    let (running, batch) = (state_of(&running), state_of(&batch));
    let differs = |name: &str| {
        running[&format!("model/image.encoder.{name}")] != batch[&format!("model/image.encoder.{name}")]
    };
    assert!(differs("norm0.running_mean") && differs("norm1.running_var"));
    assert!(!differs("conv0.weight") && !differs("norm1.weight"));
    assert_eq!(
        batch["best/image.encoder.norm0.running_mean"], batch["model/image.encoder.norm0.running_mean"],
        "the first epoch is the best: its statistics hold the validation batches"
    );
}

/// Deviation A4: on the test split alone.
#[test]
fn the_mixture_combines_experts_on_the_test_split_only() {
    let data = patients(2);
    let product = recipe(
        Task::new("icd9-460-519", Target::Classes { classes: 2 }),
        &[("series", series()), ("inter", clinical())],
    );
    let mut mean = product.clone();
    mean.evaluation.combine = Combine::Mean;
    let ((product, _), (mean, _)) = (run(&product, &data), run(&mean, &data));
    assert_eq!(product.epochs, mean.epochs);
    assert_eq!(product.weights, mean.weights);
    assert_ne!(product.metrics["test_loss"], mean.metrics["test_loss"]);
    assert!((0.0..=1.0).contains(&product.metrics["test_auprc"]));
}

#[test]
fn what_does_not_fit_is_refused_before_training() {
    let data = digits();
    let fails = |change: &dyn Fn(&mut Recipe), data: &Noise| {
        let mut recipe = recipe(ten(), &[("image", image())]);
        change(&mut recipe);
        let mut recorder = Recorder::default();
        let error = train(Device::Cpu, &job(&recipe, data), None, &mut recorder).err().unwrap();
        assert_eq!(recorder.steps, 0, "{error}");
        error
    };
    assert!(matches!(fails(&|r| r.training.as_mut().unwrap().batch_size = 0, &data), TrainError::Recipe(_)));
    assert!(matches!(fails(&|r| r.task = six(), &data), TrainError::Data(_)));
    assert!(matches!(fails(&|r| r.experts[0].network = series(), &data), TrainError::Model(_)));
    assert!(matches!(fails(&|r| r.experts[0].name = "a.b".to_owned(), &data), TrainError::Model(_)));
    assert!(matches!(fails(&|r| r.experts.clear(), &data), TrainError::Model(_)));
    assert!(matches!(
        fails(&|r| r.training.as_mut().unwrap().select_by = SelectBy::Auprc, &data),
        TrainError::Select { .. }
    ));
    let small = Noise::new(modalities([&[1, 3, 9], &[1, 8, 11]]), &ten().target);
    let error = fails(&|_| (), &small).to_string();
    assert!(error.contains("[1, 3, 9]") && error.contains("4 or more"), "{error}");
}

#[test]
fn every_report_survives_its_checkpoint() {
    let report = EpochReport {
        epoch: 3,
        train_loss: 0.1 + 0.2,
        valid: [(Metric::new(&ACCURACY), 100.0 / 3.0)].into_iter().collect(),
        improved: false,
    };
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<EpochReport>(&text).unwrap(), report);
}

/// The same promises on a GPU, or on the emulated one (see `tests/cuda.rs`).
#[cfg(feature = "cuda")]
mod cuda {
    use super::*;
    use crate::device::Precision;

    const GPU: Device = Device::Cuda { index: 0, precision: Precision::F32 };

    fn cases() -> [(Recipe, Noise); 2] {
        [
            (recipe(ten(), &[("image", image()), ("inter", low_rank())]), digits()),
            (recipe(six(), &[("series", series()), ("inter", clinical())]), patients(6)),
        ]
    }

    #[test]
    fn resuming_after_any_epoch_gives_the_same_bits() {
        for (recipe, data) in cases() {
            let mut recorder = Recorder::default();
            let outcome = train(GPU, &job(&recipe, &data), None, &mut recorder).unwrap();
            assert_eq!((recorder.steps, recorder.states.len()), (4 * 10, 4));
            for (done, state) in recorder.states.iter().enumerate() {
                let mut rest = Recorder::default();
                let resumed = train(GPU, &job(&recipe, &data), Some(state), &mut rest).unwrap();
                assert_eq!(digest(&resumed), digest(&outcome), "after epoch {}", done + 1);
                assert_eq!(rest.states, recorder.states[done + 1..]);
            }
        }
    }

    #[test]
    fn a_run_is_that_of_the_cpu_but_for_rounding() {
        for (mut recipe, data) in cases() {
            for norm in [EvalNorm::Running, EvalNorm::Batch] {
                recipe.evaluation.norm = norm;
                let (expected, _) = run(&recipe, &data);
                let found = train(GPU, &job(&recipe, &data), None, &mut Recorder::default()).unwrap();
                let losses = |outcome: &RunOutput| -> Vec<f64> {
                    outcome.epochs.iter().map(|report| report.train_loss).collect()
                };
                for (expected, found) in losses(&expected).iter().zip(losses(&found)) {
                    assert!((expected - found).abs() < 1e-3 * expected, "{expected} {found}");
                }
                for (expected, found) in expected.logits.iter().zip(&found.logits) {
                    assert_eq!((&expected.name, expected.logits.len()), (&found.name, found.logits.len()));
                    let scale = expected.logits.iter().fold(0.0f32, |most, logit| most.max(logit.abs()));
                    for (expected, found) in expected.logits.iter().zip(&found.logits) {
                        assert!((expected - found).abs() < 1e-2 * scale, "{expected} {found}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_is_an_error_with_the_step_it_happened_in() {
        let mut data = digits();
        data.samples[0].fill(f32::NAN);
        let recipe = recipe(ten(), &[("image", image())]);
        let error = train(GPU, &job(&recipe, &data), None, &mut Recorder::default()).err().unwrap();
        assert!(matches!(error, TrainError::Step { epoch: 1, step: 1, .. }), "{error}");
    }
}
