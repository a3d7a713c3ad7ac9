//! A store survives `kill -9` at any instant: what is resumed ends with the same bits.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod common;

use std::process::Stdio;
use std::time::{Duration, Instant};

use common::Bench;

const PLAN: &[&str] = &["reproduce", "table2", "--only", "table2:mortality:*", "--seeds", "2", "--jobs", "2"];

#[test]
fn ten_kills_and_a_resume_leave_the_bits_of_an_undisturbed_run() {
    let bench = Bench::new();
    let with_out = |out: &'static str| PLAN.iter().copied().chain(["--out", out]).collect::<Vec<_>>();

    let begun = Instant::now();
    bench.expect(0, &with_out("calm"));
    let whole = begun.elapsed();

    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..10 {
        let mut child =
            bench.command(&with_out("killed")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // xorshift: moments spread over the first third of an undisturbed run, so that progress is made in between.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let share = (seed >> 11) as f64 / (1u64 << 53) as f64;
        std::thread::sleep(Duration::from_secs_f64(whole.as_secs_f64() * share / 3.0));
        // SIGKILL: no destructor runs.
        let _ = child.kill();
        child.wait().unwrap();
    }
    bench.expect(0, &with_out("killed"));
    assert_eq!(bench.results("calm"), bench.results("killed"));
    bench.expect(0, &["store", "verify", "--out", "killed"]);
}
