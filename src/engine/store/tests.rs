//! The store by itself: bundles, cleaning up, locks.

use std::fs;
use std::os::unix::fs::symlink;

use super::testing::{manifest, outcome};
use super::*;
use crate::study::Tier;

fn filled(root: &Path, seeds: std::ops::Range<u64>) -> Store {
    let store = Store::at(root);
    for seed in seeds {
        store.put(manifest(seed), &outcome(seed)).unwrap();
    }
    store
}

fn listed(store: &Store) -> Vec<Listed> {
    store.list(Depth::Values).unwrap().iter().map(|(_, entry)| entry.as_ref().unwrap().into()).collect()
}

fn same(a: &[Listed], b: &[Listed]) -> bool {
    serde_json::to_string(a).unwrap() == serde_json::to_string(b).unwrap()
}

#[test]
fn what_is_put_is_read_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path(), 0..3);
    let stored = store.find(manifest(1).key, Depth::Values).unwrap().unwrap();
    assert_eq!(store.weights(&stored.manifest).unwrap(), outcome(1).weights);
    assert_eq!(logits::digest(&store.logits(&stored.manifest).unwrap()), logits::digest(&outcome(1).logits));
    assert_eq!(stored.manifest.metrics, outcome(1).metrics);
    assert!(store.find(Digest::of(b"nothing"), Depth::Values).unwrap().is_none());
    let epochs = fs::read_to_string(store.entry_path(manifest(1).key).join("epochs.csv")).unwrap();
    assert_eq!(epochs, "epoch,train_loss,improved,valid_accuracy\n1,0.5,true,50.0\n");
}

#[test]
fn opening_and_reading_an_empty_store_touches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    assert!(store.list(Depth::Values).unwrap().is_empty());
    assert!(store.find(Digest::of(b"x"), Depth::Files).unwrap().is_none());
    assert!(store.state(Digest::of(b"x")).unwrap().is_none());
    assert!(store.states().unwrap().is_empty());
    assert!(store.gc(&GcOptions::default()).unwrap().is_empty());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_bundle_carries_runs_over_and_importing_again_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let from = filled(&folder.path().join("from"), 0..3);
    let to = filled(&folder.path().join("to"), 2..4);
    let bundle = folder.path().join("bundle");
    assert_eq!(from.export(&bundle, Payload::OpenData).unwrap(), 3);
    let imported = to.import(&bundle).unwrap();
    assert_eq!((imported.taken.len(), imported.known.len()), (2, 1));
    let bits = |store: &Store| -> Vec<_> {
        listed(store).into_iter().map(|run| (run.key, run.weights, run.logits, run.metrics)).collect()
    };
    assert_eq!(bits(&to), bits(&filled(&folder.path().join("all"), 0..4)));
    assert_eq!(to.import(&bundle).unwrap().taken, []);
    // An export never overwrites.
    assert!(matches!(from.export(&bundle, Payload::OpenData), Err(StoreError::Bundle { .. })));
}

#[test]
fn weights_and_logits_of_credentialed_data_stay_behind_unless_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(&folder.path().join("store"));
    let mut real = manifest(0);
    real.tier = Tier::Paper;
    real.key = real.derived_key().unwrap();
    store.put(real.clone(), &outcome(0)).unwrap();
    store.put(manifest(1), &outcome(1)).unwrap();
    let files = |payload, name: &str| {
        let bundle = folder.path().join(name);
        store.export(&bundle, payload).unwrap();
        [real.key, manifest(1).key].map(|key| {
            let folder = bundle.join("runs").join(key.to_string());
            ["manifest.json", "weights.safetensors", "logits.parquet"].map(|file| folder.join(file).exists())
        })
    };
    assert_eq!(files(Payload::OpenData, "open"), [[true, false, false], [true; 3]]);
    assert_eq!(files(Payload::Everything, "all"), [[true; 3], [true; 3]]);
    assert_eq!(files(Payload::MetricsOnly, "none"), [[true, false, false]; 2]);
    // Without weights it still proves itself, says so when they are asked for, and is completed by a fuller bundle.
    let to = Store::at(&folder.path().join("to"));
    to.import(&folder.path().join("none")).unwrap();
    let entry = to.find(real.key, Depth::Values).unwrap().unwrap();
    assert!(!entry.complete);
    assert!(matches!(to.weights(&entry.manifest), Err(StoreError::LeftOut { .. })));
    assert_eq!(to.import(&folder.path().join("all")).unwrap().taken.len(), 2);
    assert!(same(&listed(&to), &listed(&store)));
    assert!(to.find(real.key, Depth::Values).unwrap().unwrap().complete);
}

#[test]
fn a_bundle_that_is_not_what_an_export_writes_is_refused_whole() {
    let folder = tempfile::tempdir().unwrap();
    let from = filled(&folder.path().join("from"), 0..2);
    let secret = folder.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    type Harm<'a> = (&'a str, &'a dyn Fn(&Path, &Path));
    let harms: &[Harm<'_>] = &[
        ("no head", &|bundle, _| fs::remove_file(bundle.join("bundle.json")).unwrap()),
        ("another format", &|bundle, _| {
            fs::write(bundle.join("bundle.json"), r#"{"format":"x","version":1}"#).unwrap();
        }),
        ("another version", &|bundle, _| {
            fs::write(bundle.join("bundle.json"), r#"{"format":"i2m2 bundle","version":2}"#).unwrap();
        }),
        ("a path for a key", &|bundle, run| {
            fs::rename(run, bundle.join("runs").join("..%2f..%2fetc")).unwrap();
        }),
        ("another key", &|bundle, run| {
            fs::rename(run, bundle.join("runs").join(Digest::of(b"x").to_string())).unwrap();
        }),
        ("another file", &|_, run| fs::write(run.join("payload.sh"), "x").unwrap()),
        ("a folder in a run", &|_, run| fs::create_dir(run.join("more")).unwrap()),
        ("a link for a file", &|_, run| {
            fs::remove_file(run.join("epochs.csv")).unwrap();
            symlink(&secret, run.join("epochs.csv")).unwrap();
        }),
        ("a link for a run", &|bundle, run| {
            let away = bundle.join("away");
            fs::rename(run, &away).unwrap();
            symlink(&away, run).unwrap();
        }),
        ("a missing file", &|_, run| fs::remove_file(run.join("weights.safetensors")).unwrap()),
        ("edited", &|_, run| {
            let text = fs::read_to_string(run.join("manifest.json")).unwrap();
            fs::write(run.join("manifest.json"), text.replace("test_accuracy", "best_accuracy")).unwrap();
        }),
        ("a path in the manifest", &|_, run| {
            let text = fs::read_to_string(run.join("manifest.json")).unwrap();
            fs::write(run.join("manifest.json"), text.replace("epochs.csv", "../../secret")).unwrap();
        }),
    ];
    for (number, (name, harm)) in harms.iter().enumerate() {
        let bundle = folder.path().join(format!("bundle{number}"));
        from.export(&bundle, Payload::Everything).unwrap();
        // The last run, so that a good one stands before it.
        let run = entries(&bundle.join("runs")).unwrap().pop().unwrap();
        harm(&bundle, &run);
        let to = Store::at(&folder.path().join(format!("to{number}")));
        let error = to.import(&bundle).expect_err(name);
        assert!(matches!(error, StoreError::Bundle { .. } | StoreError::Corrupt { .. }), "{name}: {error}");
        assert!(to.list(Depth::Manifest).unwrap().is_empty(), "{name}: nothing is taken in");
    }
    let nowhere = Store::at(&folder.path().join("to")).import(&folder.path().join("nowhere")).unwrap_err();
    assert!(nowhere.to_string().contains("store export"), "{nowhere}");
}

#[test]
fn cleaning_up_removes_what_no_longer_serves_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path(), 0..3);
    let before = listed(&store);
    let [wanted, unwanted, stored] = [Digest::of(b"wanted"), Digest::of(b"unwanted"), manifest(0).key];
    for key in [wanted, unwanted, stored] {
        store.put_state(key, 1, crate::engine::manifest::Spent::default(), b"state").unwrap();
    }
    fs::create_dir_all(folder.path().join("tmp/abc.1-1")).unwrap();
    fs::write(folder.path().join("tmp/abc.1-1/weights.safetensors"), "half").unwrap();
    store.quarantine(manifest(2).key).unwrap();
    drop(store.try_lock_run(wanted).unwrap());
    let options = GcOptions { keep_states: [wanted, stored].into(), ..GcOptions::default() };
    let planned = store.gc(&GcOptions { dry_run: true, ..options.clone() }).unwrap();
    assert_eq!(planned.len(), 5, "{planned:?}");
    assert!(planned.iter().all(|garbage| garbage.path.exists()));
    assert_eq!(store.gc(&options).unwrap(), planned);
    assert!(planned.iter().all(|garbage| !garbage.path.exists()));
    assert!(store.state(wanted).unwrap().is_some() && store.state(unwanted).unwrap().is_none());
    assert!(same(
        &listed(&store),
        &before.into_iter().filter(|run| run.key != manifest(2).key).collect::<Vec<_>>()
    ));
    // Damaged entries go only when asked.
    let path = store.entry_path(manifest(1).key).join("epochs.csv");
    fs::write(path, "edited").unwrap();
    assert_eq!(store.gc(&GcOptions::default()).unwrap().len(), 1, "the state that was kept before");
    assert_eq!(
        store.gc(&GcOptions { corrupt: true, ..GcOptions::default() }).unwrap()[0].kind,
        "damaged entry"
    );
    assert_eq!(listed(&store).len(), 1);
}

#[test]
fn nothing_is_cleaned_up_under_somebody_at_work_and_no_lock_outlives_its_holder() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path(), 0..1);
    let key = manifest(0).key;
    let (first, second) = (store.share().unwrap(), store.share().unwrap());
    let run = store.try_lock_run(key).unwrap().unwrap();
    assert!(store.try_lock_run(key).unwrap().is_none());
    assert!(store.try_lock_run(Digest::of(b"other")).unwrap().is_some());
    let error = store.gc(&GcOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }) && error.to_string().contains("in use"), "{error}");
    drop((first, second, run));
    store.gc(&GcOptions::default()).unwrap();
    assert!(store.try_lock_run(key).unwrap().is_some());
}
