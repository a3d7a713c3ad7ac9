//! Runs whose targets are soft scores, on data with several test splits.

use super::*;
use crate::data::{Split, Target, Targets, Task};
use crate::device::Device;
use crate::metric::{ENTROPY, LABEL_ENTROPY, LOSS, Metric, SCORE};
use crate::random::Seeds;
use crate::study::{
    Activation, Combine, EvalNorm, Evaluation, ExpertSpec, Init, Optimizer, SelectBy, Training,
};

const CLASSES: usize = 5;
const ROWS: usize = 80;

#[derive(Default)]
struct Recorder(Vec<Vec<u8>>);

impl Observer for Recorder {
    fn epoch(&mut self, _: &EpochReport, state: &[u8]) -> Result<(), std::io::Error> {
        self.0.push(state.to_vec());
        Ok(())
    }
}

/// Answers of which two are right, one more than the other: each modality shows one of them. Of the second test split the
/// second modality shows nothing.
struct Answers {
    modalities: Vec<Modality>,
    splits: Vec<String>,
    /// By split: samples of each modality, scores.
    parts: Vec<([Vec<f32>; 2], Vec<f32>)>,
}

impl Answers {
    fn new() -> Self {
        let seeds = Seeds::root(0).child("answers");
        let part = |split: usize| {
            let mut stream = seeds.child(split).stream();
            let (mut samples, mut scores) = ([Vec::new(), Vec::new()], Vec::new());
            for _ in 0..ROWS {
                let right = [(); 2].map(|()| stream.below(CLASSES as u64) as usize);
                let mut row = [0.0f32; CLASSES];
                row[right[1]] = 0.6;
                row[right[0]] = 1.0;
                scores.extend(row);
                for (samples, right) in samples.iter_mut().zip(right) {
                    samples.extend((0..CLASSES).map(|class| {
                        let shown = f64::from(u8::from(class == right));
                        (2.0 * shown + stream.uniform_in(-0.5, 0.5)) as f32
                    }));
                }
            }
            if split == 3 {
                samples[1].fill(0.0);
            }
            (samples, scores)
        };
        Answers {
            modalities: ["question", "answer"].map(|name| Modality::new(name, [CLASSES])).to_vec(),
            splits: ["test", "shifted"].map(str::to_owned).to_vec(),
            parts: (0..4).map(part).collect(),
        }
    }

    fn part(&self, split: Split) -> &([Vec<f32>; 2], Vec<f32>) {
        match split {
            Split::Train => &self.parts[0],
            Split::Valid => &self.parts[1],
            Split::Test(test) => &self.parts[2 + test],
        }
    }
}

impl Dataset for Answers {
    fn modalities(&self) -> &[Modality] {
        &self.modalities
    }
    fn test_splits(&self) -> &[String] {
        &self.splits
    }
    fn len(&self, _: Split) -> usize {
        ROWS
    }
    fn targets(&self, split: Split) -> Targets<'_> {
        Targets::Soft { scores: &self.part(split).1, classes: CLASSES }
    }
    fn gather(&self, split: Split, modality: usize, rows: &[u32], out: &mut [f32]) {
        crate::data::gather_rows(&self.part(split).0[modality], CLASSES, rows, out);
    }
}

fn recipe(modalities: &[&[&str]]) -> Recipe {
    let spec = |(device, modalities): (usize, &&[&str])| ExpertSpec {
        name: format!("expert-{device}"),
        network: crate::study::testing::mlps(modalities, 8, 8, Activation::Relu),
        init: Init::Scratch,
    };
    Recipe {
        dataset: "answers".to_owned(),
        task: Task::new("answer", Target::Soft { classes: CLASSES }),
        backbone: None,
        experts: modalities.iter().enumerate().map(spec).collect(),
        training: Some(Training {
            optimizer: Optimizer::AdamW,
            learning_rate: 2e-2,
            weight_decay: 0.0,
            betas: None,
            clip_norm: None,
            batch_size: 9,
            micro_batch: None,
            epochs: 12,
            patience: None,
            select_by: SelectBy::Score,
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

/// The modalities.
const FIRST: &str = "question";
const SECOND: &str = "answer";

fn run(recipe: &Recipe, data: &dyn Dataset, resume: Option<&[u8]>) -> (RunOutput, Vec<Vec<u8>>) {
    let mut recorder = Recorder::default();
    let job = Job { recipe, data, seed: 3, upstream: &[], pretrained: None };
    (train(Device::Cpu, &job, resume, &mut recorder).unwrap(), recorder.0)
}

#[test]
fn soft_scores_are_learnt_and_every_test_split_is_measured() {
    let data = Answers::new();
    let (outcome, _) = run(&recipe(&[&[FIRST], &[FIRST, SECOND]]), &data, None);
    let names: Vec<&str> = outcome.metrics.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "best_epoch",
            "entropy.expert-0",
            "entropy.expert-1",
            "entropy_bits.expert-0",
            "entropy_bits.expert-1",
            "label_entropy",
            "label_entropy_bits",
            "shifted_entropy.expert-0",
            "shifted_entropy.expert-1",
            "shifted_entropy_bits.expert-0",
            "shifted_entropy_bits.expert-1",
            "shifted_failed",
            "shifted_label_entropy",
            "shifted_label_entropy_bits",
            "shifted_loss",
            "shifted_rescued",
            "shifted_rescued_best",
            "shifted_score",
            "test_failed",
            "test_loss",
            "test_rescued",
            "test_rescued_best",
            "test_score",
        ]
    );
    let score = |split: &str| outcome.metrics.value(&Metric::new(&SCORE).on(split)).unwrap();
    // Guessing scores a third at most: 0.2 for the best answer, and 0.12 for the other.
    assert!(score("test") > 85.0, "{:?}", outcome.metrics);
    assert!(score("shifted") <= 100.0 && score("shifted") > 40.0, "{:?}", outcome.metrics);
    let logits: Vec<_> = outcome.logits.iter().map(|of| (&*of.split, &*of.name, of.logits.len())).collect();
    let all = ROWS * CLASSES;
    let expected = [
        ("test", "expert-0", all),
        ("test", "expert-1", all),
        ("shifted", "expert-0", all),
        ("shifted", "expert-1", all),
    ];
    assert_eq!(logits, expected);
    assert!(outcome.epochs.iter().all(|report| report.valid.value(&Metric::new(&SCORE)).is_some()));
    for measure in [&LABEL_ENTROPY, &LOSS] {
        assert!(outcome.metrics.value(&Metric::new(measure)).is_none_or(f64::is_finite));
    }
    let known = outcomes(&recipe(&[]).task, data.test_splits().iter().map(String::as_str));
    assert_eq!(known.iter().filter(|metric| outcome.metrics.value(metric).is_some()).count(), 4);
    assert!(outcome.metrics.value(&Metric::new(&ENTROPY).of("expert-0").on("shifted")).is_some());
}

/// What is trained is what is measured: the loss of the training split, before any step, by both ways.
#[test]
fn the_loss_that_is_measured_is_the_one_that_is_trained() {
    let data = Answers::new();
    for experts in [&[&[FIRST][..]][..], &[&[FIRST], &[SECOND]]] {
        let mut recipe = recipe(experts);
        recipe.training.as_mut().unwrap().learning_rate = 0.0;
        recipe.training.as_mut().unwrap().epochs = 1;
        recipe.training.as_mut().unwrap().batch_size = ROWS;
        let swapped = Swapped(&data);
        let (outcome, _) = run(&recipe, &swapped, None);
        let report = &outcome.epochs[0];
        let measured = report.valid.value(&Metric::new(&LOSS)).unwrap();
        assert!((report.train_loss - measured).abs() < 1e-5, "{} {measured}", report.train_loss);
    }
}

/// The training split validates.
struct Swapped<'a>(&'a Answers);

impl Dataset for Swapped<'_> {
    fn modalities(&self) -> &[Modality] {
        self.0.modalities()
    }
    fn len(&self, _: Split) -> usize {
        ROWS
    }
    fn targets(&self, _: Split) -> Targets<'_> {
        self.0.targets(Split::Train)
    }
    fn gather(&self, _: Split, modality: usize, rows: &[u32], out: &mut [f32]) {
        self.0.gather(Split::Train, modality, rows, out);
    }
}

#[test]
fn an_interrupted_run_ends_with_the_same_bits() {
    let data = Answers::new();
    let recipe = recipe(&[&[FIRST], &[SECOND]]);
    let (whole, states) = run(&recipe, &data, None);
    for state in [&states[0], &states[7]] {
        let (resumed, _) = run(&recipe, &data, Some(state));
        assert_eq!(resumed.weights.digest(), whole.weights.digest());
        assert_eq!(resumed.metrics, whole.metrics);
    }
}

#[test]
fn stored_logits_of_every_split_are_combined() {
    let data = Answers::new();
    let (first, _) = run(&recipe(&[&[FIRST]]), &data, None);
    let mut ensemble = recipe(&[&[FIRST]]);
    ensemble.training = None;
    ensemble.experts[0].init = Init::Member { run: 0 };
    let upstream = vec![Upstream { weights: Tensors::default(), logits: first.logits }];
    let job = Job { recipe: &ensemble, data: &data, seed: 0, upstream: &upstream, pretrained: None };
    let outcome = train(Device::Cpu, &job, None, &mut Recorder::default()).unwrap();
    for split in ["test", "shifted"] {
        for measure in [&SCORE, &LOSS] {
            let metric = Metric::new(measure).on(split);
            assert_eq!(outcome.metrics.value(&metric), first.metrics.value(&metric), "{metric}");
        }
    }
}

#[test]
fn what_does_not_fit_soft_scores_is_refused() {
    let data = Answers::new();
    let fails = |change: &dyn Fn(&mut Recipe)| {
        let mut recipe = recipe(&[&[FIRST]]);
        change(&mut recipe);
        let job = Job { recipe: &recipe, data: &data, seed: 3, upstream: &[], pretrained: None };
        train(Device::Cpu, &job, None, &mut Recorder::default()).err().unwrap()
    };
    assert!(matches!(
        fails(&|r| r.training.as_mut().unwrap().select_by = SelectBy::Accuracy),
        TrainError::Select { .. }
    ));
    let error = fails(&|r| r.task.target = Target::Soft { classes: 6 });
    assert!(matches!(&error, TrainError::Data(why) if why.contains("rows of 6")), "{error}");
    let labels = |r: &mut Recipe| {
        r.task.target = Target::classes_of(CLASSES);
        r.training.as_mut().unwrap().select_by = SelectBy::Accuracy;
    };
    let error = fails(&labels);
    assert!(matches!(&error, TrainError::Data(why) if why.contains("expected labels")), "{error}");
    for (names, word) in [
        (vec![], "there are none"),
        (vec!["test", "test"], "`test` stands there twice"),
        (vec!["valid"], "called `valid`"),
        (vec!["a test"], "found `a test`"),
    ] {
        let data = Answers { splits: names.into_iter().map(str::to_owned).collect(), ..Answers::new() };
        let error = (&data as &dyn Dataset).check(&recipe(&[]).task.target).unwrap_err();
        assert!(error.contains(word), "{error}");
    }
}

#[cfg(feature = "cuda")]
mod cuda {
    use super::*;
    use crate::device::Precision;

    #[test]
    fn a_run_with_soft_scores_is_that_of_the_cpu_but_for_rounding() {
        let (data, recipe) = (Answers::new(), recipe(&[&[FIRST], &[FIRST, SECOND]]));
        let (expected, _) = run(&recipe, &data, None);
        let device = Device::Cuda { index: 0, precision: Precision::F32 };
        let job = Job { recipe: &recipe, data: &data, seed: 3, upstream: &[], pretrained: None };
        let found = train(device, &job, None, &mut Recorder::default()).unwrap();
        for (expected, found) in expected.epochs.iter().zip(&found.epochs) {
            let (expected, found) = (expected.train_loss, found.train_loss);
            assert!((expected - found).abs() < 1e-3 * expected, "{expected} {found}");
        }
    }
}
