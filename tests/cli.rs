//! The command line, through the binary: what it prints, what it returns, what it leaves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod common;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use common::{Bench, files};
use i2m2::digest::{Digest, Hasher};
use serde_json::Value;

const SMALL: &[&str] = &["reproduce", "table2", "--only", "table2:mortality:static", "--seeds", "2"];

#[test]
fn a_table_is_trained_once_printed_written_and_gated() {
    let bench = Bench::new();
    let first = bench.expect(0, SMALL);
    assert!(first.stdout.contains("smoke"), "the tier is printed: {}", first.stdout);
    assert!(first.stdout.contains("never comparable"), "a smoke number has no verdict: {}", first.stdout);
    assert!(first.stdout.contains("76.32"), "the paper's value stands beside ours: {}", first.stdout);
    assert!(first.stdout.contains("Bayes"), "the reference is printed: {}", first.stdout);

    let begun = std::time::Instant::now();
    let again = bench.json(&[SMALL, &["--json"]].concat());
    assert_eq!(again["trained"], 0, "{again}");
    assert!(begun.elapsed().as_secs_f64() < 1.0, "a second call takes {:?}", begun.elapsed());

    let written = files(&bench.path("results"));
    for suffix in ["frame.parquet", "frame.csv", "table.tex", "table.md", "table.csv"] {
        assert!(written.iter().any(|f| f.to_string_lossy().ends_with(suffix)), "{suffix} in {written:?}");
    }

    // No ranges yet: not measured is not passed.
    let check =
        |code| bench.expect(code, &["check", "table2", "--only", "table2:mortality:static", "--seeds", "2"]);
    check(3);
    // Accepting wants every cell that is asked for, and a reason.
    bench.expect(2, &["accept", "table2"]);
    bench.expect(3, &["accept", "table2", "--seeds", "2", "--reason", "not all cells are here"]);
    let accept =
        &["accept", "table2", "--only", "table2:mortality:static", "--seeds", "2", "--reason", "test"];
    bench.expect(0, accept);
    check(0);

    // A range that the number is not in fails the gate.
    let path = bench.path("snapshots/expected/table2.smoke.cpu.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let moved: String = text
        .lines()
        .map(|line| match line.split_once(" = ") {
            Some((name @ ("mean" | "low" | "high"), value)) => {
                format!("{name} = {:?}\n", value.parse::<f64>().unwrap() - 100.0)
            }
            _ => format!("{line}\n"),
        })
        .collect();
    std::fs::write(&path, moved).unwrap();
    let failed = check(1);
    assert!(failed.stdout.contains("table2:mortality:static"), "{}", failed.stdout);
}

/// Every file below a folder with its content and the time of its last change.
fn state(folder: &Path) -> Vec<(PathBuf, Vec<u8>, SystemTime)> {
    let state = |file: PathBuf| {
        let path = folder.join(&file);
        let written = path.metadata().unwrap().modified().unwrap();
        (file, std::fs::read(path).unwrap(), written)
    };
    files(folder).into_iter().map(state).collect()
}

const READING: &[&[&str]] = &[
    &["check", "table2"],
    &["check", "all"],
    &["why", "table2:mortality:static", "--seeds", "2"],
    &["report", "table2", "--seeds", "2"],
    &["report", "table2", "--format", "html"],
    &["claims"],
    &["plan", "table2"],
    &["plan", "all", "--power"],
    &["list"],
];

#[test]
fn reading_leaves_the_folder_as_it_is() {
    let bench = Bench::new();
    bench.expect(0, SMALL);
    // The fixtures of all datasets.
    bench.expect(0, &["plan", "all"]);
    let out = bench.path("results");
    let kept = out.join("canaries.json");
    for with_digests in [true, false] {
        if !with_digests {
            std::fs::remove_file(&kept).unwrap();
        }
        let before = state(&out);
        for command in READING {
            let ran = bench.run(command);
            assert!([0, 3].contains(&ran.code), "{command:?}: {}", ran.stderr);
            assert!(state(&out) == before, "{command:?} wrote to the results folder");
        }
    }
    // A command that trains keeps them, whether or not it has runs to train.
    bench.expect(0, SMALL);
    assert!(kept.is_file());
}

#[test]
fn digests_of_canaries_are_taken_from_the_same_build_alone() {
    let bench = Bench::new();
    bench.expect(0, SMALL);
    let path = bench.path("results/canaries.json");
    let sound = std::fs::read(&path).unwrap();
    let keys = || -> Vec<String> {
        let plan = bench.json(&["plan", "table2", "--json"]);
        let runs = plan["runs"].as_array().unwrap();
        runs.iter().map(|run| run["key"].as_str().unwrap().to_owned()).collect()
    };
    let measured = keys();
    // A file that says another build measured something else, sealed as this program seals it.
    let forged = |build: Option<&str>| {
        let mut kept: Value = serde_json::from_slice(&sound).unwrap();
        if let Some(build) = build {
            kept["build"] = Digest::of(build.as_bytes()).to_string().into();
        }
        let mut hasher = Hasher::new("i2m2 canaries");
        let digest = |value: &Value| value.as_str().unwrap().parse::<Digest>().unwrap();
        hasher.field(&1u32.to_le_bytes()).field(digest(&kept["build"]).bytes());
        hasher.field(kept["processor"].as_str().unwrap().as_bytes());
        for (kind, value) in kept["digests"].as_object_mut().unwrap() {
            *value = Digest::of(b"something else").to_string().into();
            hasher.field(kind.as_bytes()).field(digest(value).bytes());
        }
        kept["seal"] = hasher.finish().to_string().into();
        std::fs::write(&path, serde_json::to_vec(&kept).unwrap()).unwrap();
    };
    forged(Some("another"));
    assert_eq!(keys(), measured);
    // What this very build says is taken for true: nothing is trained to look.
    forged(None);
    assert!(keys().iter().all(|key| !measured.contains(key)));
    // Without a seal that fits, and of other instructions, nothing is.
    let text = String::from_utf8(sound.clone()).unwrap();
    std::fs::write(&path, text.replace("\"version\": 1", "\"version\": 2")).unwrap();
    assert_eq!(keys(), measured);
    if text.contains("kernels for portable") {
        return;
    }
    forged(None);
    let mut portable = bench.command(&["plan", "table2", "--json"]);
    let ran = portable.env("I2M2_ISA", "portable").output().unwrap();
    let plan: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(plan["runs"][0]["key"], measured[0], "no bit depends on the instructions");
}

#[test]
fn wrong_words_are_usage_errors_with_a_hint() {
    let bench = Bench::new();
    let ran = bench.expect(2, &["reproduce", "tabel2"]);
    assert!(ran.stderr.contains("table2"), "{}", ran.stderr);
    bench.expect(2, &["reproduce"]);
    bench.expect(2, &["reproduce", "table2", "--tier", "huge"]);
    bench.expect(2, &["reproduce", "table2", "--seeds", "0"]);
    let ran = bench.expect(2, &["reproduce", "table2", "--device", "cuda:0"]);
    if !cfg!(feature = "cuda") {
        assert!(ran.stderr.contains("--features cuda"), "{}", ran.stderr);
    }
    let ran = bench.expect(2, &["reproduce", "table2", "--device", "cpu", "--precision", "tf32"]);
    assert!(ran.stderr.contains("the CPU computes in f32"), "{}", ran.stderr);
}

#[test]
fn an_empty_selection_is_not_a_success() {
    let bench = Bench::new();
    for command in ["reproduce", "check"] {
        let ran = bench.expect(3, &[command, "table2", "--only", "no-such-cell"]);
        assert!(ran.stderr.contains("no-such-cell"), "{}", ran.stderr);
    }
}

#[test]
fn missing_data_is_named_with_a_remedy_and_nothing_is_left() {
    let bench = Bench::new();
    let ran = bench.expect(3, &["reproduce", "table1", "--data", "nowhere"]);
    assert!(ran.stderr.contains("nowhere") && ran.stderr.contains("data explain avmnist"), "{}", ran.stderr);
    // The smoke tier never needs data; real data never serves the smoke tier.
    bench.expect(2, &["reproduce", "table1", "--tier", "paper"]);
    bench.expect(2, &["reproduce", "table1", "--tier", "smoke", "--data", "nowhere"]);
}

#[test]
fn a_tampered_result_is_found_and_trained_again() {
    let bench = Bench::new();
    bench.expect(0, SMALL);
    let before = bench.results("results");
    let store = bench.path("results/store/runs");
    let weights = files(&store).into_iter().find(|f| f.ends_with("weights.safetensors")).unwrap();
    let mut bytes = std::fs::read(store.join(&weights)).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(store.join(&weights), bytes).unwrap();
    let ran = bench.expect(4, &["store", "verify"]);
    assert!(ran.stderr.contains("weights.safetensors") || ran.stdout.contains("weights.safetensors"));
    // A manifest edited by hand is never silently used.
    let ran = bench.expect(0, SMALL);
    assert!(ran.stderr.contains("quarantine"), "{}", ran.stderr);
    assert_eq!(bench.results("results"), before);
}

#[test]
fn a_full_disk_is_an_error_and_leaves_nothing_half_written() {
    let bench = Bench::new();
    // Even the fixture does not fit: nothing is left of it.
    let limited = |blocks: u32| -> common::Ran {
        let script = format!(
            "trap '' XFSZ; ulimit -f {blocks}; exec '{}' {} --out full",
            env!("CARGO_BIN_EXE_i2m2"),
            SMALL.join(" ")
        );
        let folder = bench.path(".");
        std::process::Command::new("bash").current_dir(folder).args(["-c", &script]).output().unwrap().into()
    };
    let ran = limited(16);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(!files(&bench.path("full")).iter().any(|file| file.to_string_lossy().contains("npz")));
    // The fixture is there, but no file of more than 16 KiB can be added: a result is.
    bench.expect(0, &["data", "status", "mimic", "--out", "full"]);
    let ran = limited(16);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("space"), "the remedy is named: {}", ran.stderr);
    assert_eq!(bench.results("full"), []);
    // The same call with room goes on from there.
    bench.expect(0, &[SMALL, &["--out", "full"]].concat());
    bench.expect(0, SMALL);
    assert_eq!(bench.results("full"), bench.results("results"));
}

#[test]
fn a_damaged_data_file_is_named_and_a_damaged_fixture_is_made_again() {
    let bench = Bench::new();
    bench.expect(0, &["data", "status", "mimic"]);
    let fixture = bench.path("results/fixtures/mimic/im.npz");
    let real = bench.path("data/mimic/im.npz");
    std::fs::create_dir_all(real.parent().unwrap()).unwrap();
    std::fs::copy(&fixture, &real).unwrap();
    bench.expect(0, &["data", "verify", "mimic", "--data", "data"]);
    let sound = std::fs::read(&real).unwrap();
    let mut bytes = sound.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&real, &bytes).unwrap();
    let ran = bench.expect(3, &["data", "verify", "mimic", "--data", "data"]);
    assert!(ran.stderr.contains("im.npz"), "{}", ran.stderr);
    // Training on it fails the same way, and leaves no result.
    let ran = bench.run(&["reproduce", "table2", "--only", "table2:mortality:static", "--data", "data"]);
    assert!(ran.code == 3 || ran.code == 4, "{}", ran.code);
    assert!(ran.stderr.contains("im.npz"), "{}", ran.stderr);
    assert_eq!(bench.results("results"), []);

    std::fs::write(&fixture, &bytes).unwrap();
    bench.expect(0, &["data", "verify", "mimic"]);
    assert_eq!(std::fs::read(&fixture).unwrap(), sound);
}

#[test]
fn data_that_changes_while_a_run_trains_voids_the_run() {
    let bench = Bench::new();
    bench.expect(0, &["data", "status", "mimic"]);
    let real = bench.path("data/mimic/im.npz");
    std::fs::create_dir_all(real.parent().unwrap()).unwrap();
    std::fs::copy(bench.path("results/fixtures/mimic/im.npz"), &real).unwrap();
    // Long enough to be met while it trains: its first saved state says that it does.
    let arguments = "reproduce table2 --only table2:mortality:series --seeds 1 --data data --set mimic.training.epochs=500";
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let mut child = bench
        .command(&arguments)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let states = bench.path("results/store/partial");
    let saved = || states.is_dir() && !files(&states).is_empty();
    while !saved() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let sound = std::fs::read(&real).unwrap();
    let mut changed = sound.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    std::fs::write(&real, &changed).unwrap();
    let ran: common::Ran = child.wait_with_output().unwrap().into();
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("void") && ran.stderr.contains("im.npz"), "{}", ran.stderr);
    assert_eq!(bench.results("results"), []);
}

#[test]
fn a_changed_protocol_is_told_everywhere_and_compared_with_nothing() {
    let bench = Bench::new();
    bench.expect(0, SMALL);
    let set: &[&str] = &["--set", "mimic.preparation.standardise_on=train"];
    let changed = [SMALL, set].concat();
    let ran = bench.expect(0, &changed);
    assert!(ran.stdout.contains("paper with mimic.preparation.standardise_on = \"train\""), "{}", ran.stdout);
    assert_eq!(bench.results("results").len(), 4, "other data, other runs");
    let tables: Vec<_> =
        files(&bench.path("results")).into_iter().filter(|file| file.ends_with("table.tex")).collect();
    assert_eq!(tables.len(), 2, "the changed table stands beside the other: {tables:?}");
    // Accepted ranges are those of the protocol as it stands; a changed one has none and sets none.
    let only = ["table2", "--only", "table2:mortality:static", "--seeds", "2"];
    bench.expect(0, &[&["accept"], &only[..], &["--reason", "test"]].concat());
    bench.expect(0, &[&["check"], &only[..]].concat());
    bench.expect(3, &[&["check"], &only[..], set].concat());
    bench.expect(2, &[&["accept"], &only[..], &["--reason", "test"], set].concat());
    let ran = bench.expect(2, &[SMALL, set, &["--set", "mimic.preparation.standardise_on=all"]].concat());
    assert!(ran.stderr.contains("twice"), "{}", ran.stderr);
    let plan = bench.json(&[&["plan"], &only[..], set, &["--json"]].concat());
    assert_eq!(plan["protocol"], "paper with mimic.preparation.standardise_on = \"train\"");
    assert_eq!(plan["missing"], 0);
    for wrong in
        ["mimic.preparation.standardise_on=test", "mimic.no_such_key=1", "nothing", "mimic.training.epochs=0"]
    {
        let ran = bench.expect(2, &[SMALL, &["--set", wrong]].concat());
        assert!(ran.stderr.contains("--set"), "{}", ran.stderr);
    }
}

#[test]
fn a_deviation_is_measured_seed_by_seed_and_recorded_when_asked() {
    let bench = Bench::new();
    let small: &[&str] = &["--only", "table2:mortality:static", "--seeds", "2"];
    let effect = |more: &[&str]| bench.json(&[&["effect", "m2"], small, &["--json"], more].concat());
    let found = effect(&[]);
    let only = &found[0];
    assert_eq!(
        (&only["deviation"], &only["benchmark"], &only["tier"]),
        (&"M2".into(), &"table2".into(), &"smoke".into())
    );
    let row = &only["row"][0];
    assert_eq!((&row["row"], &row["seeds"], &row["columns"]), (&"static".into(), &2.into(), &1.into()));

    // The difference is the one between two tables.
    let mean = |set: &[&str]| {
        let ran = bench.json(&[&["reproduce", "table2"], small, set, &["--json"]].concat());
        assert_eq!(ran["trained"], 0, "both sides are stored");
        ran["benchmarks"][0]["cells"][0]["mean"].as_f64().unwrap()
    };
    let switched = mean(&[
        "--set",
        "mimic.experts.static.encoders.static.activation=relu",
        "--set",
        "mimic.experts.static.head.activation=relu",
    ]);
    assert!((row["mean"].as_f64().unwrap() - (switched - mean(&[]))).abs() < 1e-9);

    assert!(!bench.path("snapshots/effects.toml").exists());
    effect(&["--record"]);
    let recorded = std::fs::read_to_string(bench.path("snapshots/effects.toml")).unwrap();
    assert!(recorded.contains("deviation = \"M2\"") && recorded.contains("relu"), "{recorded}");

    for (args, word) in [
        (&["effect", "M99"][..], "no deviation"),
        (&["effect", "A9"], "no value of the protocol"),
        (&["effect", "F3", "--only", "figure2:acl:rss"], "holds anyway"),
    ] {
        let refused = bench.expect(2, args);
        assert!(refused.stderr.contains(word), "{}", refused.stderr);
    }
    // Nothing that M2 reaches.
    bench.expect(3, &["effect", "M2", "--only", "table1:*"]);
}

#[test]
fn list_shows_the_whole_paper_and_explain_the_data() {
    let bench = Bench::new();
    let list = bench.json(&["list", "--json"]);
    let ids: Vec<_> = list.as_array().unwrap().iter().map(|b| b["id"].as_str().unwrap().to_owned()).collect();
    for id in [
        "table1",
        "table2",
        "table3",
        "table5",
        "table-b6",
        "table-c7",
        "figure2",
        "figure3",
        "figure4",
        "figure5",
        "figure-b6",
        "figure-b7",
    ] {
        assert!(ids.contains(&id.to_owned()), "{id} in {ids:?}");
    }
    let text = bench.expect(0, &["list"]).stdout;
    assert!(text.contains("table1") && text.contains("NLVR2 (not here), VQA-VS (not here)"), "{text}");
    assert!(bench.expect(0, &["data", "explain", "mimic"]).stdout.contains("PhysioNet"));
    assert!(bench.expect(0, &["data", "explain", "fiber"]).stdout.contains("convert_checkpoint.py"));
    assert!(bench.expect(0, &["data", "explain", "avmnist"]).stdout.contains("data build avmnist"));
    let help = bench.expect(0, &["reproduce", "--help"]).stdout;
    assert!(help.contains("Examples:"), "{help}");
}

#[test]
fn a_plan_is_printed_without_training() {
    let bench = Bench::new();
    let plan = bench.json(&["plan", "table2", "--json"]);
    assert_eq!(plan["runs"].as_array().unwrap().len(), 75);
    assert_eq!(plan["cells"].as_array().unwrap().len(), 15);
    assert_eq!(plan["stored"], 0);
    let text = bench.expect(0, &["plan", "all"]).stdout;
    assert!(text.contains("missing"), "{text}");
}

#[test]
fn results_travel_between_stores() {
    let bench = Bench::new();
    bench.expect(0, SMALL);
    bench.expect(0, &["store", "export", "bundle"]);
    bench.expect(0, &["store", "import", "bundle", "--out", "elsewhere"]);
    assert_eq!(bench.results("results"), bench.results("elsewhere"));
    let again = bench.json(&[SMALL, &["--out", "elsewhere", "--json"]].concat());
    assert_eq!(again["trained"], 0);
    bench.expect(0, &["store", "gc", "--dry-run"]);
    bench.expect(0, &["store", "gc"]);
    assert_eq!(bench.results("results"), bench.results("elsewhere"));
}

/// A store of an earlier version of i2m2 is told apart from damage, kept, never read, and removed when asked.
#[test]
fn runs_of_another_version_are_kept_and_never_read() {
    let bench = Bench::new();
    bench.expect(0, SMALL);
    let store = bench.path("results/store/runs");
    let manifests = files(&store).into_iter().filter(|file| file.ends_with("manifest.json"));
    let manifests: Vec<PathBuf> = manifests.map(|file| store.join(file)).collect();
    for path in &manifests {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("\"schema_version\": 2"), "{text}");
        std::fs::write(path, text.replace("\"schema_version\": 2", "\"schema_version\": 1")).unwrap();
    }
    let before: Vec<Vec<u8>> = manifests.iter().map(|path| std::fs::read(path).unwrap()).collect();
    for command in [["store", "list"], ["store", "verify"]] {
        let ran = bench.expect(0, &command);
        let said = format!("{} stored runs have keys of another version", manifests.len());
        assert!(ran.stderr.contains(&said) && ran.stderr.contains("store gc --outdated"), "{}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
    // Other runs are trained beside them, with the same line.
    let other = &["reproduce", "table2", "--only", "table2:mortality:series", "--seeds", "1"];
    let ran = bench.expect(0, other);
    assert!(ran.stderr.contains("keys of another version"), "{}", ran.stderr);
    bench.expect(0, &["store", "gc", "--corrupt"]);
    let after: Vec<Vec<u8>> = manifests.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert_eq!(before, after, "nothing is lost");
    let ran = bench.expect(0, &["store", "gc", "--outdated"]);
    assert_eq!(ran.stdout.matches("entry of another version").count(), manifests.len(), "{}", ran.stdout);
    assert!(manifests.iter().all(|path| !path.exists()));
    let ran = bench.expect(0, &["store", "verify"]);
    assert!(ran.stdout.contains("1 runs verified, 0 damaged") && ran.stderr.is_empty(), "{}", ran.stderr);
}

/// One process plans, others train a key each, and the first finds everything in the store.
#[test]
fn a_plan_can_be_trained_key_by_key() {
    let bench = Bench::new();
    let only = ["table2", "--only", "table2:mortality:intra", "--seeds", "1"];
    let printed = bench.expect(0, &[&["plan"], &only[..], &["--document"]].concat()).stdout;
    std::fs::write(bench.path("plan.json"), &printed).unwrap();
    let document: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let runs = document["runs"].as_array().unwrap();
    let keys: Vec<&str> = runs.iter().map(|run| run["key"].as_str().unwrap()).collect();
    let train = |key: &str| bench.run(&["train-run", "--plan", "plan.json", key, "--quiet"]);
    // The last starts from the others.
    let early = train(keys[keys.len() - 1]);
    assert!(early.code == 4 && early.stderr.contains("train that one first"), "{}", early.stderr);
    for key in &keys {
        assert_eq!(train(key).code, 0);
    }
    assert!(train(keys[0]).stderr.contains("was stored already"));
    let ran = bench.json(&[&["reproduce"], &only[..], &["--json"]].concat());
    assert_eq!((&ran["trained"], &ran["stored"]), (&0.into(), &keys.len().into()));
    // The same bits as in one process.
    bench.expect(0, &[&["reproduce"], &only[..], &["--out", "alone"]].concat());
    assert_eq!(bench.results("results"), bench.results("alone"));
    // A plan that was edited, and a key that it lacks.
    std::fs::write(bench.path("plan.json"), printed.replacen("\"seed\": 0", "\"seed\": 1", 1)).unwrap();
    let edited = train(keys[0]);
    assert!(edited.code == 2 && edited.stderr.contains("the plan was edited"), "{}", edited.stderr);
    std::fs::write(bench.path("plan.json"), &printed).unwrap();
    let unknown = train(&"0".repeat(64));
    assert!(unknown.code == 4 && unknown.stderr.contains("the plan has no run"), "{}", unknown.stderr);
}
