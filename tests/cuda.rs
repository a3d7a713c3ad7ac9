//! A GPU without a GPU: the whole program on the emulator of `scripts/cuda-emulator`, which runs the kernels' real sources on
//! the CPU, in any order of blocks and threads, and fails where it is told to.
//!
//!     scripts/cuda-env.sh emulator target/emulator && . target/emulator/env.sh
//!     cargo test --release --features cuda --test cuda
#![cfg(feature = "cuda")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// The folder that `scripts/cuda-env.sh emulator` made.
fn emulator() -> PathBuf {
    let folder = std::env::var_os("I2M2_EMULATOR").map(PathBuf::from);
    let folder = folder.expect("I2M2_EMULATOR names the emulator: see the first lines of tests/cuda.rs");
    folder.canonicalize().expect("the emulator is built: see the first lines of tests/cuda.rs")
}

/// A command that sees the emulated GPU.
fn i2m2(cache: &Path) -> Command {
    let mut command = plain();
    command.env("LD_LIBRARY_PATH", emulator().join("lib")).env("I2M2_KERNEL_CACHE", cache);
    command
}

/// A command that sees no CUDA library at all.
fn plain() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_i2m2"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("I2M2_") {
            command.env_remove(name);
        }
    }
    command.env_remove("LD_LIBRARY_PATH").env("NO_COLOR", "1");
    command
}

/// Compiled kernels, shared by the tests that do not look at the cache itself.
fn shared_cache() -> PathBuf {
    emulator().join("test-cache")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The JSON lines of a successful doctor.
fn doctor(command: &mut Command, arguments: &[&str]) -> Vec<Value> {
    let output = command.args(["doctor", "--device", "cuda:0", "--json"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Runs something that must fail with this exit code, and gives what it says.
fn fails(command: &mut Command, code: i32) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", text(&output));
    String::from_utf8(output.stderr).unwrap()
}

const STATIC: [&str; 7] =
    ["reproduce", "table2", "--only", "table2:mortality:static*", "--seeds", "2", "--quiet"];

#[test]
fn every_op_agrees_with_the_cpu_in_any_order_of_blocks_and_threads() {
    let mut digests: Option<BTreeMap<String, String>> = None;
    for order in ["forward", "shuffle:7"] {
        let lines = doctor(i2m2(&shared_cache()).env("I2M2_EMULATOR_ORDER", order), &[]);
        let found: BTreeMap<String, String> = lines
            .iter()
            .filter(|line| line.get("case").is_some())
            .map(|line| (line["case"].to_string(), line["digest"].to_string()))
            .collect();
        assert!(found.len() > 70);
        // Bits that depend on the order would be a race, or a sum without an order.
        let first = digests.get_or_insert_with(|| found.clone());
        assert_eq!(*first, found, "{order}");
    }
}

#[test]
fn every_op_agrees_with_the_cpu_in_tf32() {
    // On tensor cores, as the kernels' sources describe them for the emulator.
    let lines = doctor(&mut i2m2(&shared_cache()), &["--precision", "tf32"]);
    let cases = lines.iter().filter(|line| line.get("case").is_some());
    let rounded = |line: &&Value| line["largest"].as_f64().unwrap() > 1e-4;
    assert!(cases.filter(rounded).count() > 15);
}

/// The small FIBER's line of a doctor.
fn fiber(command: &mut Command, more: &[&str]) -> Value {
    let lines = doctor(command, &[&["--stage", "fiber", "--model", "tiny"], more].concat());
    lines.into_iter().find(|line| line.get("fiber").is_some()).unwrap()
}

#[test]
fn fiber_agrees_with_the_cpu_in_any_order_of_blocks_and_threads() {
    let found = fiber(&mut i2m2(&shared_cache()), &[]);
    assert_eq!(
        (&found["repeats"], &found["foreign_launches"]),
        (&Value::from(true), &Value::from(0)),
        "{found}"
    );
    let shuffled = fiber(i2m2(&shared_cache()).env("I2M2_EMULATOR_ORDER", "shuffle:7"), &[]);
    assert_eq!(found["digest"], shuffled["digest"]);
    // Its inputs change from step to step, so its steps are not recorded.
    assert!(found["refused"].as_str().unwrap().contains("differ from step to step"), "{found}");
    let rounded = fiber(&mut i2m2(&shared_cache()), &["--precision", "tf32"]);
    assert!(
        found["forward"].as_f64().unwrap() < 1e-5 && rounded["forward"].as_f64().unwrap() > 1e-4,
        "{rounded}"
    );
}

#[test]
fn a_recorded_step_is_the_plain_step_with_few_launches_and_none_of_dfdx() {
    // Launches of a step: an upper bound that a change must not raise unnoticed.
    for (model, most) in [("mimic/static", 17), ("mimic/series", 17), ("avmnist/image", 38)] {
        let lines =
            doctor(&mut i2m2(&shared_cache()), &["--stage", "models", "--model", model, "--steps", "2"]);
        let found = lines.iter().find(|line| line.get("model").is_some()).unwrap();
        assert_eq!(found["repeats"], true, "{found}");
        assert_eq!(found["recorded_like_plain"], true, "{found}");
        assert_eq!(found["foreign_launches"], 0, "{found}");
        assert_eq!(found["step"]["graph"], true, "{found}");
        assert!(found["step"]["fills"].as_u64().unwrap() <= 3, "{found}");
        assert!(found["step"]["launches"].as_u64().unwrap() <= most, "{found}");
    }
}

#[test]
fn the_other_ways_to_find_tensors_and_to_send_steps_give_the_same() {
    let arguments = ["--stage", "models", "--model", "mimic/static", "--steps", "3"];
    let finding = |command: &mut Command| {
        let lines = doctor(command, &arguments);
        lines.into_iter().find(|line| line.get("model").is_some()).unwrap()
    };
    let usual = finding(&mut i2m2(&shared_cache()));
    let probed = finding(i2m2(&shared_cache()).env("I2M2_POINTER_PROBE", "1"));
    assert_eq!(usual["apart"], probed["apart"]);
    let one_by_one = finding(i2m2(&shared_cache()).env("I2M2_NO_GRAPH", "1"));
    assert_eq!(one_by_one["step"]["graph"], false);
    assert_eq!(usual["apart"], one_by_one["apart"]);
    // A driver that cannot capture is as good.
    let uncaptured = finding(i2m2(&shared_cache()).env("I2M2_EMULATOR_FAIL", "cuStreamBeginCapture_v2:801"));
    assert_eq!(uncaptured["step"]["graph"], false);
    assert_eq!(usual["apart"], uncaptured["apart"]);
}

/// Weights and logits of every stored run, by key.
fn stored(out: &Path) -> BTreeMap<String, (Value, Value, Value)> {
    let output = plain().args(["store", "list", "--json", "--out"]).arg(out).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let mut found = BTreeMap::new();
    let mut pending = vec![out.join("store")];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.ends_with("manifest.json") {
                let manifest: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                let part = |name: &str| manifest[name].clone();
                found.insert(part("key").to_string(), (part("weights"), part("logits"), part("determinism")));
            }
        }
    }
    found
}

#[test]
fn runs_side_by_side_are_those_of_a_run_alone_and_keys_name_the_device() {
    let mut all = Vec::new();
    for jobs in ["1", "2"] {
        let out = tempfile::tempdir().unwrap();
        let output = i2m2(&shared_cache())
            .args(STATIC)
            .args(["--device", "cuda:0", "--jobs", jobs, "--out"])
            .arg(out.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        assert!(text(&output).contains("cuda-i2m2-cuda-emulator (same-device)"), "{}", text(&output));
        all.push(stored(out.path()));
    }
    assert_eq!(all[0].len(), 2);
    assert_eq!(all[0], all[1]);
    // The CPU's runs have other keys.
    let out = tempfile::tempdir().unwrap();
    assert!(
        plain().args(STATIC).args(["--device", "cpu", "--out"]).arg(out.path()).status().unwrap().success()
    );
    assert!(stored(out.path()).keys().all(|key| !all[0].contains_key(key)));
}

#[test]
fn without_a_driver_auto_computes_on_the_cpu_and_says_so() {
    let out = tempfile::tempdir().unwrap();
    let output = plain().args(STATIC).arg("--out").arg(out.path()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let said = text(&output);
    assert!(said.contains("computing on the CPU") && said.contains("driver is not here"), "{said}");
    assert!(said.contains("cpu (bitwise)"), "{said}");
    let said = fails(plain().args(STATIC).args(["--device", "cuda:0", "--out"]).arg(out.path()), 2);
    assert!(said.contains("install it, or use --device cpu"), "{said}");
    // The doctor says what is missing and is content with the CPU.
    let output = plain().arg("doctor").output().unwrap();
    assert!(output.status.success() && text(&output).contains("driver: missing"), "{}", text(&output));
}

#[test]
fn what_is_missing_or_too_old_is_named_with_its_remedy() {
    let cuda = |index: &str| {
        let mut command = i2m2(&shared_cache());
        command.args(["doctor", "--device", &format!("cuda:{index}")]);
        command
    };
    let said = fails(cuda("0").env("I2M2_EMULATOR_DRIVER", "11040"), 2);
    assert!(said.contains("CUDA 11.4, which is too old: version 12.0"), "{said}");
    let said = fails(cuda("0").env("I2M2_EMULATOR_DEVICES", "0"), 2);
    assert!(said.contains("finds no GPU") && said.contains("CUDA_VISIBLE_DEVICES"), "{said}");
    let said = fails(&mut cuda("7"), 2);
    assert!(said.contains("no cuda:7") && said.contains("cuda:0 to cuda:0"), "{said}");
    let said = fails(cuda("1").env("I2M2_EMULATOR_DEVICES", "1"), 2);
    assert!(said.contains("no cuda:1"), "{said}");
    // NVRTC is missing.
    let libraries = tempfile::tempdir().unwrap();
    std::fs::copy(emulator().join("lib/libcuda.so.1"), libraries.path().join("libcuda.so.1")).unwrap();
    let said = fails(cuda("0").env("LD_LIBRARY_PATH", libraries.path()), 2);
    assert!(said.contains("NVRTC") && said.contains("LD_LIBRARY_PATH"), "{said}");
    // An NVRTC that is newer than the driver, which then refuses what it compiled.
    let cache = tempfile::tempdir().unwrap();
    let mut newer = i2m2(cache.path());
    newer.args(["doctor", "--device", "cuda:0"]).env("I2M2_EMULATOR_DRIVER", "12080");
    let said = fails(newer.env("I2M2_EMULATOR_FAIL", "cuModuleLoadData:200"), 2);
    assert!(said.contains("CUDA 12.8") && said.contains("NVRTC 13.0"), "{said}");
    // A code that no enum knows.
    let said = fails(cuda("0").env("I2M2_EMULATOR_FAIL", "cuLaunchKernel:98765"), 4);
    assert!(said.contains("98765"), "{said}");
    let said = fails(cuda("0").env("I2M2_EMULATOR_FAIL", "cuMemAllocAsync:98765:9"), 4);
    assert!(said.contains("98765"), "{said}");
}

#[test]
fn out_of_memory_names_what_was_asked_for_and_what_is_free_and_the_run_can_go_on() {
    let run_out = |memory: &str, samples: &str| {
        let out = tempfile::tempdir().unwrap();
        let mut command = i2m2(&shared_cache());
        command
            .args(["reproduce", "table2", "--only", "table2:mortality:series*", "--seeds", "1", "--quiet"])
            .args(["--device", "cuda:0", "--jobs", "1", "--out"])
            .arg(out.path())
            .env("I2M2_EMULATOR_MEMORY", memory)
            .env("I2M2_GPU_SAMPLES", samples);
        let said = fails(&mut command, 4);
        assert!(said.contains("MiB were asked for") && said.contains("use a smaller batch"), "{said}");
        said
    };
    // Not even the canaries.
    assert!(run_out("1000000", "500000").contains("the canaries"));
    // The canaries, but not the data, if all of it must stay.
    let said = run_out("4000000", "1000000000");
    assert!(said.contains("samples") && said.contains("the same command continues from there"), "{said}");
    // Windows of the data, but not a step: the batch is named.
    let said = run_out("3000000", "500000");
    assert!(said.contains("batch of 40") && said.contains("the same command continues from there"), "{said}");
}

#[test]
fn a_split_without_room_comes_in_windows_and_gives_the_same_bits() {
    let run = |samples: &str| {
        let out = tempfile::tempdir().unwrap();
        let output = i2m2(&shared_cache())
            .args(["reproduce", "table2", "--only", "table2:mortality:static*", "--seeds", "1", "--quiet"])
            .args(["--device", "cuda:0", "--out"])
            .arg(out.path())
            .env("I2M2_GPU_SAMPLES", samples)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        stored(out.path())
    };
    let whole = run("1000000000");
    assert_eq!(whole.len(), 1);
    // A window of several batches, the last one of an epoch not full; and of a single one.
    assert_eq!(whole, run("16000"));
    assert_eq!(whole, run("1"));
}

#[test]
fn a_kernel_cache_that_is_damaged_or_not_writable_costs_a_compilation() {
    let cache = tempfile::tempdir().unwrap();
    let arguments = ["--stage", "models", "--model", "mimic/static", "--steps", "1"];
    doctor(&mut i2m2(cache.path()), &arguments);
    let files =
        || -> Vec<PathBuf> { std::fs::read_dir(cache.path()).unwrap().map(|e| e.unwrap().path()).collect() };
    let [file] = &files()[..] else { panic!("{:?}", files()) };
    let good = std::fs::read(file).unwrap();
    let mut damaged = good.clone();
    damaged[100] ^= 1;
    for broken in [&damaged[..], &good[..good.len() / 2], &[]] {
        std::fs::write(file, broken).unwrap();
        doctor(&mut i2m2(cache.path()), &arguments);
        assert!(std::fs::read(file).unwrap() != broken, "the cache was not repaired");
    }
    // A file stands where the folder should be.
    doctor(&mut i2m2(&file.join("sub")), &arguments);
    // With a good cache no compiler is needed: what is there is used.
    let output = i2m2(cache.path())
        .args(["doctor", "--device", "cuda:0"])
        .args(arguments)
        .env("I2M2_EMULATOR_FAIL", "nvrtcCompileProgram:6")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let empty = tempfile::tempdir().unwrap();
    let said = fails(
        i2m2(empty.path())
            .args(["doctor", "--device", "cuda:0"])
            .env("I2M2_EMULATOR_FAIL", "nvrtcCompileProgram:6"),
        2,
    );
    assert!(said.contains("do not compile"), "{said}");
}

#[test]
fn tf32_is_another_device_class_and_rounds() {
    let lines = |precision: &str| {
        let arguments =
            ["--precision", precision, "--stage", "models", "--model", "mimic/static", "--steps", "2"];
        let lines = doctor(&mut i2m2(&shared_cache()), &arguments);
        lines.into_iter().find(|line| line.get("model").is_some()).unwrap()
    };
    let apart = |finding: &Value| finding["apart"]["weight"].as_f64().unwrap();
    let (single, rounded) = (lines("f32"), lines("tf32"));
    // By measurement 9e-8 and 9e-5: a bound between the two.
    assert!(apart(&single) < 1e-6 && apart(&rounded) > 1e-5, "{single} {rounded}");
    let out = tempfile::tempdir().unwrap();
    let output = i2m2(&shared_cache())
        .args(["plan", "table2", "--device", "cuda:0", "--precision", "tf32", "--json", "--out"])
        .arg(out.path())
        .output()
        .unwrap();
    assert!(text(&output).contains("cuda-i2m2-cuda-emulator-tf32"), "{}", text(&output));
    let said = fails(plain().args(STATIC).args(["--device", "cpu", "--precision", "tf32"]), 2);
    assert!(said.contains("the CPU computes in f32"), "{said}");
}
