//! Runs with several heads, ensembles of them, and evaluations under noise.

use super::noise::Noise;
use super::*;
use crate::data::{Dataset, Modality, Split, Target, Targets, Task};
use crate::device::Device;
use crate::random::Seeds;
use crate::study::testing;
use crate::study::*;

struct Silent(Vec<Vec<u8>>);

impl Observer for Silent {
    fn epoch(&mut self, _: &EpochReport, state: &[u8]) -> Result<(), std::io::Error> {
        self.0.push(state.to_vec());
        Ok(())
    }
}

fn network(modalities: &[&str]) -> Network {
    testing::resnet(modalities, 4, &[4, 6], [1, 2, 2])
}

fn spec(name: &str, modalities: &[&str], init: Init) -> ExpertSpec {
    ExpertSpec { name: name.to_owned(), network: network(modalities), init }
}

fn recipe(experts: Vec<ExpertSpec>) -> Recipe {
    Recipe {
        dataset: "noise".to_owned(),
        task: Task::new("knee", Target::binary(FINDINGS)),
        backbone: None,
        experts,
        training: Some(Training {
            optimizer: Optimizer::AdamW,
            learning_rate: 1e-2,
            weight_decay: 1e-2,
            betas: None,
            clip_norm: None,
            batch_size: 16,
            micro_batch: None,
            epochs: 3,
            patience: None,
            select_by: SelectBy::Auroc,
            class_weights: Some(ClassWeights::Balanced),
        }),
        evaluation: Evaluation {
            norm: EvalNorm::Running,
            combine: Combine::Product,
            ranking: Some(Ranking::default()),
            noise: None,
        },
        population: None,
    }
}

const FINDINGS: [&str; 4] = ["others", "meniscus", "acl", "cartilage"];

fn images() -> Vec<Modality> {
    ["magnitude", "phase"].map(|name| Modality::new(name, [1, 9, 8])).to_vec()
}

fn slices() -> Noise {
    Noise::with_rows(images(), &Target::binary(FINDINGS), 200, 120)
}

fn run(
    recipe: &Recipe,
    data: &dyn Dataset,
    seed: u64,
    upstream: &[Upstream],
) -> Result<RunOutput, TrainError> {
    train(Device::Cpu, &Job { recipe, data, seed, upstream, pretrained: None }, None, &mut Silent(Vec::new()))
}

const MAGNITUDE: &[&str] = &["magnitude"];

fn magnitude() -> Recipe {
    recipe(vec![spec("magnitude", MAGNITUDE, Init::Scratch)])
}

#[test]
fn every_head_learns_and_is_measured() {
    let data = slices();
    let outcome = run(&magnitude(), &data, 0, &[]).unwrap();
    for finding in FINDINGS {
        let metric = |name: &str| outcome.metrics[&format!("{name}.{finding}")];
        // Patterns of sixteen label values under noise: guessing has 50 with a standard error of about 5.
        assert!(metric("test_auroc") > 70.0, "{finding:?}: {}", metric("test_auroc"));
        assert!((50.0..=100.0).contains(&metric("test_balanced_accuracy")), "{finding:?}");
        assert!(metric("threshold").is_finite());
    }
    assert_eq!(outcome.logits[0].logits.len(), 120 * 8);
    assert!(outcome.epochs.iter().all(|report| report.valid.contains_key("auroc.acl")));
}

#[test]
fn an_interrupted_run_with_adamw_ends_with_the_same_bits() {
    let (data, recipe) = (slices(), recipe(vec![spec("inter", &["magnitude", "phase"], Init::Scratch)]));
    let job = Job { recipe: &recipe, data: &data, seed: 3, upstream: &[], pretrained: None };
    let mut whole = Silent(Vec::new());
    let expected = train(Device::Cpu, &job, None, &mut whole).unwrap();
    for state in &whole.0 {
        let resumed = train(Device::Cpu, &job, Some(state), &mut Silent(Vec::new())).unwrap();
        assert_eq!(resumed.weights.digest(), expected.weights.digest());
        assert_eq!(resumed.metrics, expected.metrics);
    }
}

fn stored(outcome: &RunOutput) -> Upstream {
    let logits = outcome.logits.iter();
    let copy = |e: &ExpertLogits| ExpertLogits {
        split: e.split.clone(),
        name: e.name.clone(),
        logits: e.logits.clone(),
    };
    let logits = logits.map(copy).collect();
    Upstream { weights: outcome.weights.clone(), logits }
}

#[test]
fn an_ensemble_is_the_mean_of_its_members_probabilities() {
    let data = slices();
    let members: Vec<RunOutput> = (0..3).map(|seed| run(&magnitude(), &data, seed, &[]).unwrap()).collect();
    let mut ensemble = recipe(
        (0..3).map(|run| spec(&format!("magnitude-{run}"), MAGNITUDE, Init::Member { run })).collect(),
    );
    ensemble.training = None;
    ensemble.evaluation.combine = Combine::Mean;
    let outcome = run(&ensemble, &data, 0, &members.iter().map(stored).collect::<Vec<_>>()).unwrap();
    assert!(outcome.weights.0.is_empty() && outcome.epochs.is_empty(), "nothing is trained");
    let probability = |logits: &[f32], n: usize| {
        let margin = f64::from(logits[n * 8 + 1]) - f64::from(logits[n * 8]);
        1.0 / (1.0 + (-margin).exp())
    };
    let means: Vec<f64> = (0..120)
        .map(|n| members.iter().map(|member| probability(&member.logits[0].logits, n)).sum::<f64>() / 3.0)
        .collect();
    let positive: Vec<bool> = data.targets(Split::TEST).labels().iter().map(|label| label & 1 == 1).collect();
    let expected = 100.0 * ranking::auroc(&means, &positive).unwrap();
    assert!((outcome.metrics["test_auroc.others"] - expected).abs() < 1e-9);

    // A member that is not there, or that is not one network, is refused.
    let fails = |upstream: &[Upstream]| run(&ensemble, &data, 0, upstream).err().unwrap();
    assert!(matches!(fails(&[stored(&members[0])]), TrainError::Upstream { run: 1, .. }));
    let mut two = stored(&members[1]);
    two.logits.push(ExpertLogits { split: "test".to_owned(), name: "other".to_owned(), logits: Vec::new() });
    let upstream = [stored(&members[0]), two, stored(&members[2])];
    assert!(matches!(fails(&upstream), TrainError::Upstream { run: 1, .. }));
}

/// The same slices with noise that grows with `percent`.
struct Shaken {
    slices: Noise,
    percent: f64,
    seeds: Seeds,
}

impl Dataset for Shaken {
    fn modalities(&self) -> &[Modality] {
        self.slices.modalities()
    }
    fn len(&self, split: Split) -> usize {
        self.slices.len(split)
    }
    fn targets(&self, split: Split) -> Targets<'_> {
        self.slices.targets(split)
    }
    fn gather(&self, split: Split, modality: usize, rows: &[u32], out: &mut [f32]) {
        self.slices.gather(split, modality, rows, out);
        for (index, value) in out.iter_mut().enumerate() {
            let mut stream =
                self.seeds.child(rows[index % rows.len()] as usize).child(index / rows.len()).stream();
            *value += (self.percent / 100.0 * stream.normal()) as f32;
        }
    }
    fn noisy(&self, percent: f64, seeds: &Seeds) -> Option<Box<dyn Dataset>> {
        Some(Box::new(Shaken { slices: slices(), percent, seeds: seeds.clone() }))
    }
}

#[test]
fn noise_is_met_by_the_weights_that_were_trained_without_it() {
    let data = Shaken { slices: slices(), percent: 0.0, seeds: Seeds::root(0) };
    let trained = run(&magnitude(), &data, 0, &[]).unwrap();
    let under = |percent| {
        let mut recipe = recipe(vec![spec("magnitude", MAGNITUDE, Init::Upstream { run: 0 })]);
        recipe.training = None;
        recipe.evaluation.noise = Some(percent);
        run(&recipe, &data, 0, &[stored(&trained)]).unwrap()
    };
    let auroc = |outcome: &RunOutput| outcome.metrics["test_auroc.acl"];
    // Hardly any noise changes nothing; a lot leaves nothing to see.
    assert!((auroc(&under(1e-6)) - auroc(&trained)).abs() < 0.5);
    assert!(auroc(&under(2000.0)) < auroc(&trained) - 10.0);
    assert_eq!(under(30.0).metrics, under(30.0).metrics, "the draws are fixed");
    let plain = slices();
    let mut recipe = recipe(vec![spec("magnitude", MAGNITUDE, Init::Upstream { run: 0 })]);
    recipe.training = None;
    recipe.evaluation.noise = Some(5.0);
    assert!(matches!(run(&recipe, &plain, 0, &[stored(&trained)]).err().unwrap(), TrainError::Noise));
}

#[test]
fn what_does_not_fit_several_heads_is_refused() {
    let data = slices();
    let fails = |change: &dyn Fn(&mut Recipe)| {
        let mut recipe = magnitude();
        change(&mut recipe);
        run(&recipe, &data, 0, &[]).err().unwrap()
    };
    assert!(matches!(
        fails(&|r| r.training.as_mut().unwrap().select_by = SelectBy::Accuracy),
        TrainError::Select { .. }
    ));
    assert!(matches!(fails(&|r| r.training.as_mut().unwrap().class_weights = None), TrainError::Recipe(_)));
    assert!(matches!(fails(&|r| r.training.as_mut().unwrap().epochs = 0), TrainError::Recipe(_)));
    assert!(matches!(fails(&|r| r.experts[0].init = Init::Member { run: 0 }), TrainError::Recipe(_)));
    // A validation split in which every label is the same has no AUROC to select by.
    let one = Noise::with_rows(images(), &Target::binary(FINDINGS), 32, 1);
    let error = run(&magnitude(), &one, 0, &[]).err().unwrap();
    assert!(matches!(error, TrainError::Undefined { metric: "auroc", .. }), "{error}");
}
