//! Same key, same bits: for any `--jobs`, any number of threads, and any instruction set.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod common;

use common::Bench;

#[test]
fn jobs_and_threads_do_not_move_a_bit() {
    let bench = Bench::new();
    let plans: [&[&str]; 2] = [
        &["reproduce", "table2", "--only", "table2:icd9-460-519:*", "--seeds", "1"],
        &["reproduce", "table1", "--only", "i2m2-lf", "--seeds", "1"],
    ];
    for plan in plans {
        let run = |out: &str, more: &[&str]| {
            let arguments: Vec<_> = plan.iter().chain(["--out", out].iter()).chain(more).copied().collect();
            let ran = bench.run(&arguments);
            assert_eq!(ran.code, 0, "{}", ran.stderr);
        };
        run("one", &["--jobs", "1", "--threads", "1"]);
        run("two-threads", &["--jobs", "1", "--threads", "2"]);
        run("two-jobs", &["--jobs", "2", "--threads", "2"]);
        let one = bench.results("one");
        assert!(!one.is_empty());
        for other in ["two-threads", "two-jobs"] {
            assert_eq!(one, bench.results(other));
            let frame = |out: &str| {
                std::fs::read(bench.path(out).join(format!("{}.smoke/frame.csv", plan[1]))).unwrap()
            };
            assert_eq!(frame("one"), frame(other), "{plan:?}");
        }
    }
}

/// Keys hold the canaries of all networks, so equal keys say that every op gave the same bits. A set that a machine lacks
/// falls back to the best it has: AVX-512 is compared where it is, and with `scripts/emulate-avx512.sh` elsewhere.
#[test]
fn every_instruction_set_gives_the_same_bits() {
    let bench = Bench::new();
    let found = ["portable", "avx2", "avx512"].map(|isa| {
        let run = |arguments: &[&str]| {
            let ran: common::Ran = bench.command(arguments).env("I2M2_ISA", isa).output().unwrap().into();
            assert_eq!(ran.code, 0, "{}", ran.stderr);
            ran.stdout
        };
        let plan: serde_json::Value =
            serde_json::from_str(&run(&["plan", "all", "--json", "--out", isa])).unwrap();
        let keys: Vec<_> = plan["runs"].as_array().unwrap().iter().map(|run| run["key"].clone()).collect();
        assert!(keys.len() > 90 && keys[0].is_string(), "{plan}");
        run(&["reproduce", "table2", "--only", "table2:mortality:static", "--seeds", "1", "--out", isa]);
        (keys, bench.results(isa))
    });
    assert_eq!(found[0].1.len(), 1);
    assert_eq!(found[0], found[1]);
    assert_eq!(found[0], found[2]);
}
