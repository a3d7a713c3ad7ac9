//! What people read: claims, deviations, lineage, power, the gate's self-test, and the page in a real browser.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod common;

use std::path::Path;
use std::process::Command;

use common::Bench;

const STATIC: &str = "table2:mortality:static";

fn expected() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots/expected").display().to_string()
}

/// With the cheapest cell of Table 2 trained.
fn trained() -> Bench {
    let bench = Bench::new();
    bench.expect(0, &["reproduce", "table2", "--only", STATIC, "--quiet"]);
    bench
}

#[test]
fn claims_need_no_run_to_say_what_the_paper_contradicts() {
    let bench = Bench::new();
    let all = bench.expect(3, &["claims"]);
    assert!(
        all.stdout.contains("add --data DIR") && all.stdout.contains("5 contradicted in print"),
        "{}",
        all.stdout
    );
    let one = bench.expect(3, &["claims", "vqa-ood-relative-to-intra"]);
    assert!(one.stdout.contains("21.39") && one.stdout.contains("not measured"), "{}", one.stdout);
    let json: serde_json::Value =
        serde_json::from_str(&bench.expect(3, &["claims", "table2", "--json"]).stdout).unwrap();
    assert!(json["claims"].as_array().unwrap().len() >= 5, "{json}");
    let wrong = bench.expect(2, &["claims", "i2m2-over-intre"]);
    assert!(wrong.stderr.contains("did you mean `i2m2-over-inter`"), "{}", wrong.stderr);
}

#[test]
fn deviations_are_found_by_id_and_by_table() {
    let bench = Bench::new();
    assert!(bench.expect(0, &["deviations", "f2"]).stdout.starts_with("F2  "));
    let table2 = bench.json(&["deviations", "table2", "--json"]);
    assert!(table2.as_array().unwrap().iter().any(|deviation| deviation["id"] == "M1"));
    assert!(bench.expect(0, &["deviations"]).stdout.contains("\nV24  "));
    bench.expect(2, &["deviations", "Z1"]);
}

#[test]
fn a_number_says_where_it_comes_from() {
    let bench = trained();
    let lineage = bench.json(&["why", STATIC, "--json", "--expected", &expected()]);
    let runs = lineage["runs"].as_array().unwrap();
    assert!(runs.len() >= 3 && lineage["range"].is_array(), "{lineage}");
    let stored = bench.json(&["store", "list", "--json"]);
    for run in runs {
        let known = stored.as_array().unwrap().iter().find(|entry| entry["key"] == run["key"]).unwrap();
        assert_eq!(run["weights"], known["weights"]);
        assert!(!run["data_files"].as_object().unwrap().is_empty() && run["commit"].is_string());
    }
    let text = bench.expect(0, &["why", STATIC]).stdout;
    assert!(text.contains("not comparable") && text.contains("seed 0"), "{text}");
    assert_eq!(bench.run(&["why", "table2:mortality:i2m2"]).code, 3);
    for wrong in ["table2", "table2:mortality:nobody", "table9:a:b"] {
        bench.expect(2, &["why", wrong]);
    }
}

#[test]
fn power_is_planned_from_what_the_paper_prints() {
    let bench = Bench::new();
    let planned = bench.json(&["plan", "table1", "--power", "--json"]);
    let cell = |id: &str| {
        let cells = planned["cells"].as_array().unwrap();
        cells.iter().find(|cell| cell["cell"] == id).unwrap().clone()
    };
    assert!(cell("table1:accuracy:audio")["seeds"].is_null());
    assert!(cell("table1:accuracy:i2m2-lf")["seeds"].as_u64().is_some_and(|seeds| (2..=5).contains(&seeds)));
    assert!(bench.expect(0, &["plan", "table1", "--power"]).stdout.contains("no number of seeds"));
}

#[test]
fn the_gate_is_shown_to_fail() {
    let bench = trained();
    let found = bench.json(&[
        "check",
        "table2",
        "--only",
        STATIC,
        "--self-test",
        "--format",
        "json",
        "--expected",
        &expected(),
    ]);
    assert_eq!(found["passed"], true);
    for kind in found["digests"].as_array().unwrap() {
        assert_eq!(kind["caught"], kind["injected"], "{kind}");
        assert!(kind["injected"].as_u64().unwrap() > 0);
    }
    let statistics = &found["statistics"];
    assert!(
        statistics["large"][1].as_u64().unwrap() > 0 && statistics["blind"].as_array().unwrap().is_empty()
    );
    let csv = std::fs::read_to_string(bench.path("results/self-test.table2/power.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + statistics["curve"].as_array().unwrap().len());
    let picture = std::fs::read_to_string(bench.path("results/self-test.table2/power.svg")).unwrap();
    assert!(picture.contains("labels shuffled") && picture.contains("caught (%)"));
    // The store itself is untouched.
    bench.expect(0, &["store", "verify"]);
    let nothing = Bench::new();
    nothing.expect(3, &["check", "table2", "--self-test"]);
}

/// What Chromium makes of a page, and what it said; `None` where there is none.
fn opened(bench: &Bench, page: &str) -> Option<(String, String)> {
    let path = bench.path("report.html");
    std::fs::write(&path, page).unwrap();
    let browser = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    });
    let Some(browser) = browser else {
        println!("skipped: there is no Chromium");
        return None;
    };
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", bench.path("profile").display()))
        .arg(format!("file://{}", path.display()))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some((text(&output.stdout), text(&output.stderr)))
}

/// Chromium runs the page: no message on its console, and what the script adds is there.
#[test]
fn the_page_works_in_a_browser() {
    let bench = trained();
    let page = bench.expect(0, &["report", "all", "--format", "html"]).stdout;
    assert!(page.len() < 3_000_000);
    let Some((dom, log)) = opened(&bench, &page) else { return };
    assert!(!log.contains("CONSOLE"), "{log}");
    // The script ran: controls are shown, heads are buttons.
    assert!(
        dom.contains("<div class=\"controls\">")
            && dom.contains("aria-sort=\"none\"><button type=\"button\">"),
        "{log}"
    );
    let benchmarks = [
        "figure1",
        "table1",
        "figure2",
        "table2",
        "figure3",
        "figure4",
        "table5",
        "table-b6",
        "figure-b7",
        "table-c7",
    ];
    for id in benchmarks {
        assert!(dom.contains(&format!("<section class=\"benchmark\" id=\"{id}\">")), "{id}");
    }
    for figure in ["figure1", "figure2", "figure3", "figure4", "figure-b7"] {
        let section = dom.split(&format!("id=\"{figure}\"")).nth(1).unwrap();
        assert!(section.split("</section>").next().unwrap().contains("<svg"), "{figure}");
    }
}

/// Everything that can be reached takes the focus, with all evidence expanded, too; nothing answers to the mouse alone.
#[test]
fn the_page_is_usable_by_keyboard() {
    const PROBE: &str = r#"<script>
        addEventListener("load", () => setTimeout(() => {
            const shown = (element) => element.checkVisibility();
            const looked = [];
            for (let round = 0; round < 2; round++) {
                const all = document.querySelectorAll("a[href], button, input, select, summary, [tabindex]");
                const reachable = Array.from(all).filter(shown);
                const stuck = reachable.filter((element) => { element.focus(); return document.activeElement !== element; });
                const native = "a[href], button, input, select, summary, label";
                const mouse = Array.from(document.body.querySelectorAll("*")).filter((element) =>
                    shown(element) && getComputedStyle(element).cursor === "pointer" && !element.closest(native));
                looked.push(`${reachable.length > 50 ? "many" : "few"} ${stuck.length} ${mouse.length}`);
                document.getElementById("expand").click();
            }
            document.documentElement.dataset.keyboard = looked.join(", ");
        }, 0));
    </script>"#;
    let bench = trained();
    let page = bench.expect(0, &["report", "all", "--format", "html"]).stdout;
    let Some((dom, log)) = opened(&bench, &(page + PROBE)) else { return };
    let head: String = dom.chars().take(400).collect();
    assert!(head.contains("data-keyboard=\"many 0 0, many 0 0\""), "{head}\n{log}");
}
