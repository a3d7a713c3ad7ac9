//! The engine as a whole, with a trainer that takes microseconds: sharing, resuming, failing, racing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use super::error::RunError;
use super::execute::{EngineError, Failure, execute};
use super::executor::Threads;
use super::manifest::Determinism;
use super::options::Options;
use super::plan::Plan;
use super::progress::{Event, Progress};
use super::store::testing::{self, Faulty, MockData, MockTrainer};
use super::store::{Depth, Payload, Store};
use super::survey::{Status, survey, to_train};
use crate::digest::Digest;
use crate::metric::Metrics;

/// Two unimodal runs, their joint run, one from scratch, and two that start from the joint run.
fn plan() -> Plan {
    testing::plan(&[&[], &[], &[0, 1], &[], &[0, 1, 2], &[2]])
}

/// Tells nobody.
struct Silent;

impl Progress for Silent {
    fn event(&self, _: Event<'_>) {}
}

fn options(jobs: usize) -> Options {
    Options { jobs, threads: jobs, save_share: f64::INFINITY, determinism: Determinism::Bitwise }
}

fn run(store: &Store, trainer: &MockTrainer, jobs: usize) -> Result<super::Summary, EngineError> {
    execute(
        &plan(),
        store,
        &Threads { datasets: &MockData::new(), trainer, options: &options(jobs) },
        &Silent,
    )
}

type Bits = BTreeMap<Digest, (Digest, Digest, Metrics)>;

/// What must be equal between two stores; proves every entry on the way.
#[track_caller]
fn bits(store: &Store) -> Bits {
    let entries = store.list(Depth::Values).unwrap();
    let entries = entries.into_iter().map(|(key, entry)| (key, entry.unwrap().manifest));
    entries.map(|(key, m)| (key, (m.weights, m.logits, m.metrics))).collect()
}

/// The store of an undisturbed execution.
fn calm() -> Bits {
    let folder = tempfile::tempdir().unwrap();
    let store = testing::store(folder.path());
    run(&store, &MockTrainer::new(), 1).unwrap();
    bits(&store)
}

#[track_caller]
fn failures(result: Result<super::Summary, EngineError>) -> (Vec<Failure>, super::Summary) {
    match result {
        Err(EngineError::Runs { failures, summary }) => (failures, *summary),
        other => panic!("{other:?}"),
    }
}

fn leftovers(store: &Store) -> Vec<std::path::PathBuf> {
    ["tmp", "partial"]
        .iter()
        .flat_map(|name| fs::read_dir(store.root().join(name)).into_iter().flatten())
        .map(|entry| entry.unwrap().path())
        .collect()
}

#[test]
fn every_run_is_trained_once_and_a_second_execution_trains_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path());
    let trainer = MockTrainer::new();
    let first = run(&store, &trainer, 2).unwrap();
    assert_eq!((first.trained, first.resumed, first.stored), (6, 0, 0));
    assert_eq!(trainer.calls(), (0..6).map(|seed| (seed, 1)).collect::<Vec<_>>());
    let again = run(&store, &trainer, 2).unwrap();
    assert_eq!((again.trained, again.resumed, again.stored), (0, 0, 6));
    assert_eq!(trainer.calls().len(), 6);
    assert_eq!(again.manifests, first.manifests);
    assert!(leftovers(&store).is_empty(), "{:?}", leftovers(&store));
}

#[test]
fn jobs_do_not_move_a_bit() {
    for jobs in [2, 4, 16] {
        let folder = tempfile::tempdir().unwrap();
        let store = testing::store(folder.path());
        run(&store, &MockTrainer::new(), jobs).unwrap();
        assert_eq!(bits(&store), calm(), "{jobs} jobs");
    }
}

#[test]
fn jobs_run_side_by_side_each_with_its_share_of_the_threads() {
    let folder = tempfile::tempdir().unwrap();
    let barrier = Arc::new(Barrier::new(3));
    let trainer = MockTrainer::with(move |seed, epoch| {
        if epoch == 1 && [0, 1, 3].contains(&seed) {
            // Returns only when three runs are at work together.
            barrier.wait();
        }
        // The others may find themselves alone, as these three cannot.
        let threads = rayon::current_num_threads();
        assert!(threads == 2 || threads == 6 && ![0, 1, 3].contains(&seed), "{seed}: {threads}");
        Ok(())
    });
    let options = Options { threads: 6, ..options(3) };
    execute(
        &plan(),
        &testing::store(folder.path()),
        &Threads { datasets: &MockData::new(), trainer: &trainer, options: &options },
        &Silent,
    )
    .unwrap();
}

#[test]
fn a_run_that_nothing_can_run_beside_has_all_threads() {
    let folder = tempfile::tempdir().unwrap();
    // A chain: each run is alone.
    let plan = testing::plan(&[&[], &[0], &[1]]);
    let trainer = MockTrainer::with(|_, _| {
        assert_eq!(rayon::current_num_threads(), 6);
        Ok(())
    });
    let options = Options { threads: 6, ..options(3) };
    execute(
        &plan,
        &testing::store(folder.path()),
        &Threads { datasets: &MockData::new(), trainer: &trainer, options: &options },
        &Silent,
    )
    .unwrap();
}

#[test]
fn a_run_killed_after_any_epoch_goes_on_from_there_with_the_same_bits() {
    let calm = calm();
    for seed in 0..6 {
        for epoch in 1..=4 {
            let folder = tempfile::tempdir().unwrap();
            let store = testing::store(folder.path());
            let killer =
                MockTrainer::with(
                    move |s, e| {
                        if (s, e) == (seed, epoch) { Err("killed".to_owned()) } else { Ok(()) }
                    },
                );
            let (failed, summary) = failures(run(&store, &killer, 2));
            assert_eq!(failed.len(), 1);
            assert_eq!(failed[0].seed, seed);
            let trainer = MockTrainer::new();
            let finished = run(&store, &trainer, 2).unwrap();
            assert_eq!(finished.trained + finished.resumed + summary.trained, 6);
            assert_eq!(finished.resumed, usize::from(epoch > 1));
            assert!(
                trainer.calls().contains(&(seed, epoch)),
                "continues with the epoch that was interrupted"
            );
            assert_eq!(bits(&store), calm, "seed {seed}, epoch {epoch}");
            assert!(leftovers(&store).is_empty());
        }
    }
}

#[test]
fn whichever_step_of_the_disk_fails_or_kills_a_rerun_ends_with_the_same_store() {
    let plan = testing::plan(&[&[], &[0]]);
    let run = |store: &Store| {
        execute(
            &plan,
            store,
            &Threads { datasets: &MockData::new(), trainer: &MockTrainer::new(), options: &options(1) },
            &Silent,
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let calm = testing::store(folder.path());
    run(&calm).unwrap();
    let calm = bits(&calm);
    for dies in [false, true] {
        let mut reached = 0;
        for at in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let disk = if dies { Faulty::dying(at) } else { Faulty::failing(at) };
            let result = run(&Store::on(folder.path(), disk.clone()));
            if !disk.struck() {
                result.unwrap();
                break;
            }
            reached += 1;
            match result {
                // A failed save is never a success, and says what to do.
                Err(error) => assert!(dies || error.to_string().contains("space"), "{error}"),
                Ok(_) => panic!("step {at} failed without an error"),
            }
            let store = testing::store(folder.path());
            // What is there at this very moment is whole.
            for (key, found) in bits(&store) {
                assert_eq!(calm[&key], found, "step {at}");
            }
            run(&store).unwrap();
            assert_eq!(bits(&store), calm, "step {at}, dies: {dies}");
        }
        assert!(reached > 60, "only {reached} steps were tried");
    }
}

#[test]
fn a_failure_stops_new_runs_and_names_run_and_seed() {
    let folder = tempfile::tempdir().unwrap();
    let store = testing::store(folder.path());
    let trainer = MockTrainer::with(
        |seed, epoch| if (seed, epoch) == (2, 3) { Err("loss is NaN".into()) } else { Ok(()) },
    );
    let (failed, summary) = failures(run(&store, &trainer, 1));
    assert_eq!((failed.len(), failed[0].name.as_str()), (1, "mock/2"));
    assert!(failed[0].error.to_string().contains("loss is NaN"), "{}", failed[0].error);
    assert!(summary.trained >= 2, "its upstream is stored");
    assert!(!trainer.calls().iter().any(|&(seed, _)| seed > 3), "nothing downstream was begun");
    let panics = MockTrainer::with(|_, _| panic!("bug"));
    let (failed, _) = failures(run(&store, &panics, 2));
    assert!(failed.iter().all(|f| matches!(&f.error, RunError::Panic(text) if text == "bug")));
}

#[test]
fn a_number_that_is_not_finite_is_an_error_and_not_stored() {
    for value in [f64::NAN, f64::INFINITY] {
        let folder = tempfile::tempdir().unwrap();
        let store = testing::store(folder.path());
        let trainer = MockTrainer { metric: Some(value), ..MockTrainer::new() };
        let (failed, _) = failures(run(&store, &trainer, 1));
        assert!(failed[0].error.to_string().contains("test_loss"), "{}", failed[0].error);
        assert!(bits(&store).is_empty());
    }
}

struct Quarantines(AtomicUsize);

impl Progress for Quarantines {
    fn event(&self, event: Event<'_>) {
        if let Event::Quarantined { reason, to, .. } = event {
            assert!(!reason.is_empty() && to.exists(), "{reason} {to:?}");
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[test]
fn whatever_is_tampered_with_is_found_put_aside_and_trained_again() {
    let calm = calm();
    for file in ["manifest.json", "weights.safetensors", "logits.parquet", "epochs.csv"] {
        for harm in ["flip", "truncate", "empty", "remove", "link"] {
            let folder = tempfile::tempdir().unwrap();
            let store = testing::store(folder.path());
            run(&store, &MockTrainer::new(), 1).unwrap();
            let key = plan().runs[4].key;
            tamper(&store.entry_path(key).join(file), harm);
            let error = store.find(key, Depth::Files).unwrap_err();
            assert!(error.is_corrupt() && error.to_string().contains(file), "{file} {harm}: {error}");
            let broken: Vec<_> = store
                .list(Depth::Values)
                .unwrap()
                .into_iter()
                .filter(|(_, e)| e.is_err())
                .map(|(key, _)| key)
                .collect();
            assert_eq!(broken, [key], "verify finds it and nothing else");

            let quarantines = Quarantines(AtomicUsize::new(0));
            let trainer = MockTrainer::new();
            execute(
                &plan(),
                &store,
                &Threads { datasets: &MockData::new(), trainer: &trainer, options: &options(1) },
                &quarantines,
            )
            .unwrap();
            assert_eq!(quarantines.0.into_inner(), 1, "{file} {harm}: with a warning");
            assert_eq!(trainer.calls(), [(4, 1)], "only the damaged run is trained");
            assert_eq!(bits(&store), calm);
        }
    }
}

fn tamper(path: &Path, harm: &str) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    fs::remove_file(path).unwrap();
    match harm {
        "flip" => bytes[middle] ^= 1,
        "truncate" => bytes.truncate(bytes.len() - 2),
        "empty" => bytes.clear(),
        "remove" => return,
        _ => {
            // The right bytes, but not in the store.
            let elsewhere = path.parent().unwrap().parent().unwrap().parent().unwrap().join("elsewhere");
            fs::write(&elsewhere, if path.ends_with("manifest.json") { &bytes[1..] } else { &bytes })
                .unwrap();
            std::os::unix::fs::symlink(&elsewhere, path).unwrap();
            return;
        }
    }
    fs::write(path, bytes).unwrap();
}

#[test]
fn an_entry_of_another_schema_version_is_an_error_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = testing::store(folder.path());
    run(&store, &MockTrainer::new(), 1).unwrap();
    let path = store.entry_path(plan().runs[5].key).join("manifest.json");
    let text = fs::read_to_string(&path).unwrap().replace("\"schema_version\": 2", "\"schema_version\": 9");
    fs::write(&path, &text).unwrap();
    let (failed, _) = failures(run(&store, &MockTrainer::new(), 1));
    assert!(failed[0].error.to_string().contains("schema version"), "{}", failed[0].error);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_state_that_cannot_be_used_is_put_aside_and_the_run_begins_anew() {
    let calm = calm();
    let good = [2, 0, 0, 0, 0, 0, 0, 0, 0];
    let spent = super::manifest::Spent::default();
    for case in ["of another run", "damaged", "not the trainer's"] {
        let folder = tempfile::tempdir().unwrap();
        let store = testing::store(folder.path());
        let [mine, other] = [plan().runs[0].key, plan().runs[1].key];
        let path = |key: Digest| store.root().join("partial").join(format!("{key}.state"));
        match case {
            "of another run" => {
                store.put_state(other, 2, spent, &good).unwrap();
                fs::rename(path(other), path(mine)).unwrap();
            }
            "damaged" => {
                store.put_state(mine, 2, spent, &good).unwrap();
                tamper(&path(mine), "truncate");
            }
            _ => store.put_state(mine, 2, spent, b"an older format").unwrap(),
        }
        let quarantines = Quarantines(AtomicUsize::new(0));
        execute(
            &plan(),
            &store,
            &Threads { datasets: &MockData::new(), trainer: &MockTrainer::new(), options: &options(2) },
            &quarantines,
        )
        .unwrap();
        assert_eq!(quarantines.0.into_inner(), 1, "{case}");
        assert_eq!(bits(&store), calm, "{case}");
    }
}

#[test]
fn data_that_changes_voids_the_run_whenever_it_happens() {
    for epoch in [0, 1, 3, 4] {
        let folder = tempfile::tempdir().unwrap();
        let store = testing::store(folder.path());
        let data = Arc::new(MockData::new());
        data.changed.store(epoch == 0, Ordering::SeqCst);
        let changing = data.clone();
        let trainer = MockTrainer::with(move |_, e| {
            changing.changed.fetch_or(e == epoch, Ordering::SeqCst);
            Ok(())
        });
        // No states in between, so that the last check is the one that counts.
        let options = Options { save_share: 0.0, ..options(1) };
        let (failed, _) = failures(execute(
            &plan(),
            &store,
            &Threads { datasets: &*data, trainer: &trainer, options: &options },
            &Silent,
        ));
        assert!(matches!(failed[0].error, RunError::Changed(_)), "{:?}", failed[0]);
        assert!(failed[0].error.to_string().contains("im.npz"), "{}", failed[0].error);
        assert!(bits(&store).is_empty());
        assert_eq!(trainer.calls().len(), usize::from(epoch > 0));
    }
    // A state is never saved from changed data.
    let folder = tempfile::tempdir().unwrap();
    let store = testing::store(folder.path());
    let data = Arc::new(MockData::new());
    let changing = data.clone();
    let trainer = MockTrainer::with(move |_, e| {
        changing.changed.fetch_or(e == 3, Ordering::SeqCst);
        Ok(())
    });
    failures(execute(
        &plan(),
        &store,
        &Threads { datasets: &*data, trainer: &trainer, options: &options(1) },
        &Silent,
    ));
    assert!(matches!(survey(&plan(), &store)[1], Status::HalfTrained { epochs: 2 } | Status::Missing));
    data.changed.store(false, Ordering::SeqCst);
    execute(
        &plan(),
        &store,
        &Threads { datasets: &*data, trainer: &MockTrainer::new(), options: &options(1) },
        &Silent,
    )
    .unwrap();
    assert_eq!(bits(&store), calm());
}

#[test]
fn two_executions_on_one_store_train_each_run_once() {
    for round in 0..8 {
        let folder = tempfile::tempdir().unwrap();
        let store = testing::store(folder.path());
        let trainer = MockTrainer::with(|seed, _| {
            std::thread::sleep(std::time::Duration::from_micros(300 * (seed + 1)));
            Ok(())
        });
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| run(&store, &trainer, 1 + round % 2).unwrap());
            }
        });
        assert_eq!(trainer.calls(), (0..6).map(|seed| (seed, 1)).collect::<Vec<_>>());
        assert_eq!(bits(&store), calm());
    }
}

#[test]
fn results_imported_without_weights_serve_cells_and_are_trained_again_for_downstream_runs() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| testing::store(&folder.path().join(name)));
    run(&from, &MockTrainer::new(), 1).unwrap();
    let bundle = folder.path().join("bundle");
    from.export(&bundle, Payload::MetricsOnly).unwrap();
    to.import(&bundle).unwrap();
    let statuses = survey(&plan(), &to);
    assert_eq!(to_train(&plan(), &statuses), [false; 6]);
    let trainer = MockTrainer::new();
    assert_eq!(run(&to, &trainer, 1).unwrap().stored, 6);
    // Run 5 is lost; it starts from run 2, which starts from 0 and 1.
    fs::remove_dir_all(to.entry_path(plan().runs[5].key)).unwrap();
    assert_eq!(run(&to, &trainer, 1).unwrap().trained, 4);
    assert_eq!(trainer.calls(), [(0, 1), (1, 1), (2, 1), (5, 1)]);
    assert!(to.find(plan().runs[2].key, Depth::Values).unwrap().unwrap().complete);
    assert_eq!(bits(&to), bits(&from));
}

#[test]
fn manifests_say_what_a_run_cost_over_its_interruptions() {
    let folder = tempfile::tempdir().unwrap();
    let store = testing::store(folder.path());
    let killer = MockTrainer::with(|s, e| if (s, e) == (0, 3) { Err("killed".into()) } else { Ok(()) });
    failures(run(&store, &killer, 1));
    run(&store, &MockTrainer::new(), 1).unwrap();
    let manifest = store.find(plan().runs[0].key, Depth::Manifest).unwrap().unwrap().manifest;
    assert!(manifest.resumed);
    assert_eq!(manifest.spent.steps, 8);
    assert!(
        manifest.spent.training_seconds > 0.0
            && manifest.spent.wall_seconds >= manifest.spent.training_seconds
    );
    assert!(manifest.created.ends_with('Z') && manifest.provenance.tool.rustc.starts_with("rustc"));
}
