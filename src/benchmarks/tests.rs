//! What the plans of the registered benchmarks promise.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::*;
use crate::digest::Digest;
use crate::engine::plan::Plan;
use crate::engine::planner::{Context, Planner, canaries_of};
use crate::study::{Init, Protocol, ProtocolName, Tier, resolve};

fn context(protocol: &Protocol, seeds: u64, data: &[&str]) -> Context {
    let canaries = protocol.studies.values().flat_map(|study| canaries_of(study).unwrap());
    Context {
        tier: protocol.tier,
        protocol: protocol.name,
        changes: Vec::new(),
        seeds: (0..seeds).collect(),
        device_class: "cpu".to_owned(),
        data: data.iter().map(|&name| (name.to_owned(), Digest::of(b"made-up data"))).collect(),
        numerics: canaries.map(|canary| (canary.name(), Digest::of(b"made-up numerics"))).collect(),
    }
}

const BOTH: &[&str] = &["avmnist", "mimic"];
const ALL: &[&str] = &["avmnist", "mimic", "fastmri", "generative"];

fn plan(ids: &[&str], name: ProtocolName, tier: Tier, seeds: u64, data: &[&str]) -> Plan {
    let protocol = resolve(name, tier).unwrap();
    let context = context(&protocol, seeds, data);
    let mut planner = Planner::new(&context);
    for id in ids {
        find(id).unwrap().plan(&mut planner, &protocol).unwrap();
    }
    planner.finish()
}

fn paper(ids: &[&str]) -> Plan {
    plan(ids, ProtocolName::Paper, Tier::Paper, 5, BOTH)
}

#[test]
fn a_run_that_several_cells_need_stands_in_the_plan_once() {
    assert_eq!(paper(&["table1"]).runs.len(), 35);
    assert_eq!(paper(&["table1", "table-c7"]).runs.len(), 35);
    assert_eq!(paper(&["table2"]).runs.len(), 75);
    let all: Vec<&str> = all().iter().map(|benchmark| benchmark.id).collect();
    assert_eq!(paper(&all).runs.len(), 110);
    // Alone, Table C.7 brings the runs it reads and those they start from.
    assert_eq!(paper(&["table-c7"]).runs.len(), 20);
}

/// The figures of fastMRI share the runs of Figure 2; ensembles and evaluations under noise train nothing.
#[test]
fn the_figures_of_fastmri_share_their_runs() {
    let planned = |ids: &[&str]| plan(ids, ProtocolName::Paper, Tier::Paper, 5, ALL);
    let trained = |ids: &[&str]| planned(ids).runs.iter().filter(|run| run.recipe.trains()).count();
    assert_eq!(trained(&["figure2"]), 6 * 5);
    assert_eq!(trained(&["figure2", "figure3", "figure-b7"]), 6 * 5);
    assert_eq!(trained(&["figure2", "figure4"]), (6 + 3) * 5);
    assert_eq!(trained(&["figure2", "table5"]), (6 + 1) * 5);
    assert_eq!(planned(&["figure2", "figure3"]).runs.len(), 30 + 4 * 10);
    assert_eq!(planned(&["figure2", "figure-b7"]).runs.len(), 30 + 2 * 7 * 5);
    let [figure3, table_b6] = ["figure3", "table-b6"].map(|id| planned(&[id]));
    assert_eq!(figure3.cells.iter().map(|cell| cell.runs.len()).collect::<Vec<_>>()[..4], [10; 4]);
    assert!(table_b6.runs.is_empty() && table_b6.cells.iter().all(|cell| cell.configured.is_some()));
}

#[test]
fn every_cell_of_a_layout_is_planned_once_whatever_is_here() {
    for data in [ALL, BOTH, &["mimic"], &[]] {
        for benchmark in all() {
            let plan = plan(&[benchmark.id], ProtocolName::Paper, Tier::Paper, 5, data);
            let mut planned: Vec<String> = plan.cells.iter().map(|cell| cell.id.to_string()).collect();
            let mut expected: Vec<String> = (benchmark.layout.rows.iter())
                .flat_map(|row| benchmark.layout.columns.iter().map(|c| benchmark.cell_id(c.id, row.id)))
                .map(|id| id.to_string())
                .collect();
            planned.sort();
            expected.sort();
            assert_eq!(planned, expected, "{}", benchmark.id);
            for cell in &plan.cells {
                let nothing = cell.unmeasured.is_some() || cell.configured.is_some();
                assert_eq!(cell.runs.is_empty(), nothing, "{}", cell.id);
            }
        }
    }
}

#[test]
fn joint_runs_start_from_the_same_seed_and_the_same_expert() {
    for name in [ProtocolName::Paper, ProtocolName::Released] {
        let plan = plan(&["table1", "table2"], name, Tier::Paper, 5, BOTH);
        for (index, run) in plan.runs.iter().enumerate() {
            for expert in &run.recipe.experts {
                let Init::Upstream { run: position } = expert.init else { continue };
                let upstream = run.upstream[position];
                assert!(upstream.0 < index, "{} stands before what it starts from", run.name);
                let upstream = &plan.runs[upstream.0];
                assert_eq!((upstream.seed, &upstream.recipe.task), (run.seed, &run.recipe.task));
                let source = upstream.recipe.experts.iter().find(|other| other.name == expert.name).unwrap();
                assert_eq!(source.network, expert.network, "{}", run.name);
            }
        }
    }
}

#[test]
fn released_trains_mimic_from_scratch_and_av_mnist_from_its_experts() {
    let plan = plan(&["table1", "table2"], ProtocolName::Released, Tier::Paper, 1, BOTH);
    let upstream = |name: &str| plan.runs.iter().find(|run| run.name == name).unwrap().upstream.len();
    assert_eq!((upstream("avmnist/intra"), upstream("avmnist/i2m2-lrtf")), (2, 3));
    assert_eq!((upstream("mimic/mortality/intra"), upstream("mimic/mortality/i2m2")), (0, 0));
}

#[test]
fn seeds_follow_the_protocol_and_the_command_line() {
    let smoke = |seeds| plan(&["table1", "table2"], ProtocolName::Paper, Tier::Smoke, seeds, BOTH);
    let cells = |plan: &Plan| -> BTreeMap<String, usize> {
        plan.cells.iter().map(|cell| (cell.id.benchmark.clone(), cell.runs.len())).collect()
    };
    let counts = |a, b| BTreeMap::from([("table1".to_owned(), a), ("table2".to_owned(), b)]);
    assert_eq!(cells(&smoke(5)), counts(3, 5));
    assert_eq!(cells(&smoke(2)), counts(2, 2));

    let mut protocol = resolve(ProtocolName::Paper, Tier::Smoke).unwrap();
    protocol.set_seeds(7);
    let context = context(&protocol, 7, BOTH);
    let mut planner = Planner::new(&context);
    find("table1").unwrap().plan(&mut planner, &protocol).unwrap();
    assert_eq!(planner.finish().runs.len(), 49);
}

/// Names, seeds and structure of the plans, as a person would review them. Keys are left out: they follow every float.
#[test]
fn the_plans_are_as_reviewed() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../snapshots/plans");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for id in ["table1", "table2", "table-c7"] {
            insta::assert_snapshot!(
                format!("{id}.paper"),
                outline(&plan(&[id], ProtocolName::Paper, Tier::Paper, 2, BOTH))
            );
        }
        for id in ["figure2", "figure3", "figure4", "figure-b7", "table5", "table-b6"] {
            insta::assert_snapshot!(
                format!("{id}.paper"),
                outline(&plan(&[id], ProtocolName::Paper, Tier::Paper, 3, ALL))
            );
        }
        insta::assert_snapshot!(
            "figure1.smoke",
            outline(&plan(&["figure1"], ProtocolName::Paper, Tier::Smoke, 1, ALL))
        );
        let released = plan(&["table1"], ProtocolName::Released, Tier::Paper, 1, BOTH);
        insta::assert_snapshot!("table1.released", outline(&released));
    });
}

fn outline(plan: &Plan) -> String {
    let mut text = format!("{} tier, protocol {}, {}\n\nruns\n", plan.tier, plan.protocol, plan.device_class);
    for (index, run) in plan.runs.iter().enumerate() {
        let trained = run.recipe.training.as_ref().map_or("evaluated only,".to_owned(), |training| {
            format!("{:?} {} x {} epochs", training.optimizer, training.learning_rate, training.epochs)
        });
        let experts: Vec<&str> = run.recipe.experts.iter().map(|expert| expert.name.as_str()).collect();
        let upstream: Vec<String> = run.upstream.iter().map(|run| format!("#{}", run.0)).collect();
        let from = if upstream.is_empty() { String::new() } else { format!(" from {}", upstream.join(" ")) };
        let _ = writeln!(
            text,
            "#{index:<3} {} seed {}: {}; {trained}{from}",
            run.name,
            run.seed,
            experts.join(" x "),
        );
    }
    text.push_str("\ncells\n");
    for cell in &plan.cells {
        let runs: Vec<String> = cell.runs.iter().map(|run| format!("#{}", run.0)).collect();
        let setting = cell.configured.map(|setting| format!("{setting:e}, a setting"));
        let what = cell.unmeasured.clone().or(setting).unwrap_or_else(|| runs.join(" "));
        let _ = writeln!(text, "{} = {}: {what}", cell.id, cell.metric);
    }
    text
}
