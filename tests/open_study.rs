//! A study that no file of the program knows: its dataset, modalities, tasks and test splits are defined here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use i2m2::data::{
    DataError, Dataset, DatasetSpec, Identity, Kind, Loader, Modality, ModalitySpec, Population, Preparation,
    Prepared, Split, StatCache, Target, Targets, Task, gather_rows,
};
use i2m2::device::Device;
use i2m2::digest::Digest;
use i2m2::engine::document::PlanDocument;
use i2m2::engine::plan::Plan;
use i2m2::engine::planner::{Context, Planner};
use i2m2::engine::store::{Depth, Store};
use i2m2::engine::{Datasets, Local};
use i2m2::engine::{Event, Options, Progress, Summary, Threads, execute};
use i2m2::experiment::{Canaries, Canary};
use i2m2::metric::{ACCURACY, ENTROPY, LABEL_ENTROPY, LOSS, Metric, SCORE};
use i2m2::random::Seeds;
use i2m2::study::{ProtocolName, Recipe, Study, StudyFile, Tier, read};

/// Rows of the training, validation and the two test splits.
const ROWS: [usize; 4] = [320, 96, 128, 128];
/// Values of a sample of each modality.
const WIDTHS: [usize; 3] = [5, 7 * 3, 12 * 12];
const CLASSES: usize = 4;

static SPEC: DatasetSpec = DatasetSpec {
    id: "signals",
    title: "Signals",
    modalities: &[
        ModalitySpec { name: "reading", kind: Kind::Vector, dims: &[5] },
        ModalitySpec { name: "trace", kind: Kind::Series, dims: &[7, 3] },
        ModalitySpec { name: "scan", kind: Kind::Map, dims: &[1, 12, 12] },
    ],
    tasks: |_| {
        vec![
            Task::new("phase", Target::Classes { classes: CLASSES }),
            Task::new("answer", Target::Soft { classes: CLASSES }),
        ]
    },
    test_splits: &["usual", "shifted"],
    subsets: &[],
    averages: &[],
    credentialed: false,
    synthetic: true,
    choices: &[],
    explain: "Made up by a test.\n",
    loader: &Made,
    build: None,
    fixture: None,
};

struct Made;

impl Loader for Made {
    fn identity(&self, _: &Path, _: &Preparation, _: &StatCache) -> Result<Identity, DataError> {
        Ok(identity())
    }

    fn load(&self, _: &Path, _: &Preparation) -> Result<Arc<dyn Prepared>, DataError> {
        Ok(Arc::new(Made))
    }
}

impl Prepared for Made {
    fn view(&self, task: &str, _: Option<Population>) -> Option<Arc<dyn Dataset>> {
        Some(Arc::new(Signals::new(task == "answer")))
    }
}

fn identity() -> Identity {
    Identity { digest: Digest::of(b"signals 1"), files: Vec::new() }
}

/// One split.
struct Part {
    samples: [Vec<f32>; 3],
    labels: Vec<u32>,
    scores: Vec<f32>,
}

struct Signals {
    parts: [Part; 4],
    modalities: Vec<Modality>,
    splits: Vec<String>,
    soft: bool,
}

impl Signals {
    /// Each modality shows one bit; the class is the first two bits with the third exclusive-ored into both, so that no modality
    /// tells it alone. In the second test split the scan is noise.
    fn new(soft: bool) -> Self {
        let seeds = Seeds::root(7).child("signals");
        let parts = [0, 1, 2, 3].map(|split| {
            let mut stream = seeds.child(split).stream();
            let mut part = Part { samples: Default::default(), labels: Vec::new(), scores: Vec::new() };
            for _ in 0..ROWS[split] {
                let bits: [u32; 3] = std::array::from_fn(|_| stream.below(2) as u32);
                let class = (bits[0] ^ bits[2]) + 2 * (bits[1] & (1 - bits[2]));
                for (modality, values) in part.samples.iter_mut().enumerate() {
                    let shown =
                        if split == 3 && modality == 2 { stream.below(2) as u32 } else { bits[modality] };
                    let mean = f64::from(shown) * 2.0 - 1.0;
                    values.extend((0..WIDTHS[modality]).map(|_| (mean + stream.normal()) as f32));
                }
                part.labels.push(class);
                // The class is right, its neighbour half.
                part.scores.extend((0..CLASSES as u32).map(|k| match (k + 4 - class) % 4 {
                    0 => 1.0,
                    1 => 0.5,
                    _ => 0.0,
                }));
            }
            part
        });
        let modalities = SPEC.modalities.iter().map(|spec| Modality::new(spec.name, spec.dims)).collect();
        let splits = SPEC.test_splits.iter().map(|name| (*name).to_owned()).collect();
        Signals { parts, modalities, splits, soft }
    }

    fn part(&self, split: Split) -> &Part {
        match split {
            Split::Train => &self.parts[0],
            Split::Valid => &self.parts[1],
            Split::Test(index) => &self.parts[2 + index],
        }
    }
}

impl Dataset for Signals {
    fn modalities(&self) -> &[Modality] {
        &self.modalities
    }

    fn test_splits(&self) -> &[String] {
        &self.splits
    }

    fn len(&self, split: Split) -> usize {
        self.part(split).labels.len()
    }

    fn targets(&self, split: Split) -> Targets<'_> {
        let part = self.part(split);
        if self.soft {
            Targets::Soft { scores: &part.scores, classes: CLASSES }
        } else {
            Targets::Labels(&part.labels)
        }
    }

    fn gather(&self, split: Split, modality: usize, rows: &[u32], out: &mut [f32]) {
        gather_rows(&self.part(split).samples[modality], WIDTHS[modality], rows, out);
    }
}

/// The one dataset, as the engine asks for it.
struct Here(Identity);

impl Datasets for Here {
    fn identity(&self, dataset: &str) -> Option<&Identity> {
        (dataset == SPEC.id).then_some(&self.0)
    }

    fn credentialed(&self, _: &str) -> bool {
        SPEC.credentialed
    }

    fn open(&self, recipe: &Recipe) -> Result<Arc<dyn Dataset>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Made.view(&recipe.task.id, None).expect("every task is here"))
    }

    fn unchanged(&self, _: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(())
    }
}

const MODELS: [&str; 7] = ["reading", "trace", "scan", "inter", "intra", "i2m2", "half"];
const TASKS: [&str; 2] = ["phase", "answer"];

fn study() -> Study {
    let file = StudyFile {
        id: "signals",
        path: "tests/studies/signals.toml",
        text: include_str!("studies/signals.toml"),
    };
    read(file, &[&SPEC], ProtocolName::Paper, Tier::Smoke, &[]).unwrap()
}

fn plan() -> Plan {
    let study = study();
    let recipes =
        MODELS.iter().flat_map(|model| TASKS.map(|task| study.recipe(model, task, None).unwrap().recipe));
    let canaries: Vec<Canary> = recipes.flat_map(|recipe| Canary::of(&recipe)).collect();
    let mut known = Canaries::new(Device::Cpu, BTreeMap::new());
    known.learn(&canaries).unwrap();
    let context = Context {
        tier: Tier::Smoke,
        protocol: ProtocolName::Paper,
        changes: Vec::new(),
        seeds: vec![0, 1],
        device_class: "cpu".to_owned(),
        data: BTreeMap::from([(SPEC.id.to_owned(), identity().digest)]),
        numerics: known.known().clone(),
    };
    let mut planner = Planner::new(&context);
    for model in MODELS {
        for task in TASKS {
            for seed in planner.seeds(study.seeds) {
                planner.model(&study, (model, task), None, seed).unwrap().unwrap();
            }
        }
    }
    planner.finish()
}

fn train(out: &Path, jobs: usize) -> Summary {
    let options = Options { jobs, threads: 2, save_share: f64::INFINITY, ..Options::default() };
    let plan = plan();
    execute(
        &plan,
        &Store::open(out),
        &Threads { datasets: &Here(identity()), trainer: &Local(Device::Cpu), options: &options },
        &Silent,
    )
    .unwrap()
}

/// Tells nobody.
struct Silent;

impl Progress for Silent {
    fn event(&self, _: Event<'_>) {}
}

/// Weights, logits and metrics of a run.
type Outcome = (Digest, Digest, BTreeMap<String, f64>);

/// The outcome of every run, by name and seed.
fn outcomes(out: &Path) -> BTreeMap<(String, u64), Outcome> {
    let store = Store::open(out);
    let entry = |run: &i2m2::engine::plan::Run| {
        let manifest = store.find(run.key, Depth::Values).unwrap().expect("it was trained").manifest;
        let values = (manifest.weights, manifest.logits, manifest.metrics.into());
        ((run.name.clone(), run.seed), values)
    };
    plan().runs.iter().map(entry).collect()
}

#[test]
fn a_study_from_outside_is_trained_with_the_same_bits_whatever_the_jobs() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let trained = train(one.path(), 1).trained;
    assert_eq!(trained, MODELS.len() * TASKS.len() * 2);
    train(two.path(), 2);
    let found = outcomes(one.path());
    assert_eq!(found, outcomes(two.path()));

    let value = |model: &str, task: &str, metric: &Metric| -> f64 {
        let of = |seed| found[&(format!("signals/{task}/{model}"), seed)].2[&metric.name()];
        (of(0) + of(1)) / 2.0
    };
    // Every named test split has its metrics; what the scan alone knows is gone where it is noise.
    let [usual, shifted] = ["usual", "shifted"].map(|split| Metric::new(&ACCURACY).on(split));
    for model in ["inter", "i2m2"] {
        assert!(value(model, "phase", &usual) > 85.0, "{model}: {}", value(model, "phase", &usual));
        assert!(value(model, "phase", &usual) > value(model, "phase", &shifted) + 15.0, "{model}");
    }
    assert!(value("intra", "phase", &usual) < value("i2m2", "phase", &usual) - 10.0);
    let score = Metric::new(&SCORE).on("usual");
    assert!(value("i2m2", "answer", &score) > 85.0, "{}", value("i2m2", "answer", &score));
    assert!(value("scan", "answer", &score) < value("i2m2", "answer", &score) - 10.0);
    for (task, model) in [("phase", "i2m2"), ("answer", "i2m2"), ("answer", "scan")] {
        assert!(value(model, task, &Metric::new(&LOSS).on("shifted")).is_finite());
        let entropy = value(model, task, &Metric::new(&ENTROPY).of("scan").on("usual"));
        assert!(entropy > 0.0 && entropy < (CLASSES as f64).ln() + 1e-9, "{entropy}");
    }
    let entropy = value("scan", "phase", &Metric::new(&LABEL_ENTROPY).on("usual"));
    assert!(entropy > 0.5 && entropy <= (CLASSES as f64).ln() + 1e-9, "{entropy}");
}

#[test]
fn its_plan_survives_json() {
    let plan = plan();
    let text = serde_json::to_string(&PlanDocument::from(&plan)).unwrap();
    let again = PlanDocument::parse(&text).unwrap().plan().unwrap();
    assert_eq!(serde_json::to_string(&PlanDocument::from(&again)).unwrap(), text);
    assert_eq!(plan.runs.len(), again.runs.len());
    let edited = text.replacen("\"learning_rate\":0.01", "\"learning_rate\":0.02", 1);
    assert!(PlanDocument::parse(&edited).unwrap().plan().unwrap_err().to_string().contains("was edited"));
}

/// Where the child of the next test trains; unset in every other run of the tests.
const CHILD: &str = "I2M2_TEST_OPEN_STUDY";

#[test]
fn child() {
    if let Some(out) = std::env::var_os(CHILD) {
        train(Path::new(&out), 2);
    }
}

#[test]
fn it_is_resumed_after_a_kill() {
    let (whole, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    train(whole.path(), 2);
    let mut resumed = 0;
    for wait in [150, 400, 700] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(CHILD, killed.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        // SIGKILL.
        child.kill().unwrap();
        child.wait().unwrap();
        resumed += Store::open(killed.path()).states().unwrap().len();
    }
    let summary = train(killed.path(), 2);
    println!("{} half-trained states seen, {} runs continued", resumed, summary.resumed);
    assert_eq!(outcomes(whole.path()), outcomes(killed.path()));
}
