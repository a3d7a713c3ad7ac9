//! Same key, same bits: for any `--jobs`, any number of threads, and any instruction set.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod common;

use common::Bench;

#[test]
fn jobs_and_threads_do_not_move_a_bit() {
    let bench = Bench::new();
    let plans: [&[&str]; 2] = [
        &["reproduce", "table2", "--only", "table2:icd9-460-519:*", "--seeds", "1"],
        &["reproduce", "table1", "--only", "image", "--seeds", "1"],
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
        assert_eq!(one, bench.results("two-threads"));
        assert_eq!(one, bench.results("two-jobs"));
    }
}

/// Keys hold the canaries of all networks, so equal keys say that every op gave the same bits without AVX2.
#[test]
fn portable_code_gives_the_bits_of_avx2() {
    let bench = Bench::new();
    for (out, isa) in [("native", None), ("portable", Some("portable"))] {
        let mut command = bench.command(&[
            "reproduce",
            "table2",
            "--only",
            "table2:mortality:static",
            "--seeds",
            "1",
            "--out",
            out,
        ]);
        isa.map(|isa| command.env("I2M2_ISA", isa));
        let ran: common::Ran = command.output().unwrap().into();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    assert_eq!(bench.results("native").len(), 1);
    assert_eq!(bench.results("native"), bench.results("portable"));
}
