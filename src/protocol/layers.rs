//! Lays the files of `paper/protocol/` over each other.
//!
//! Invariant: a later file wins over an earlier one, and within a file a kind of run wins over `common`. So
//! `released` states only where the released code differs from the paper, and a tier only its cut.

use toml::{Table, Value};

use super::{Change, Protocol, ProtocolName, Settings, Tier, validate::validate};

/// One file of `paper/protocol/`.
#[derive(Clone, Copy)]
struct Layer<'a> {
    file: &'a str,
    text: &'a str,
}

const PAPER: Layer<'static> =
    Layer { file: "paper/protocol/paper.toml", text: include_str!("../../paper/protocol/paper.toml") };
const RELEASED: Layer<'static> =
    Layer { file: "paper/protocol/released.toml", text: include_str!("../../paper/protocol/released.toml") };
const REDUCED: Layer<'static> =
    Layer { file: "paper/protocol/reduced.toml", text: include_str!("../../paper/protocol/reduced.toml") };
const SMOKE: Layer<'static> =
    Layer { file: "paper/protocol/smoke.toml", text: include_str!("../../paper/protocol/smoke.toml") };

/// The kinds of run that a dataset's `common` table stands for.
const KINDS: [(&str, &[&str]); 4] = [
    ("avmnist", &["unimodal", "inter-lf", "inter-lrtf", "intra", "i2m2-lf", "i2m2-lrtf"]),
    ("mimic", &["unimodal", "inter", "intra", "i2m2"]),
    (
        "fastmri",
        &[
            "rss",
            "magnitude",
            "phase",
            "inter",
            "intra",
            "i2m2",
            "i2m2-scratch",
            "wide-magnitude",
            "wide-phase",
            "wide-inter",
        ],
    ),
    ("generative", &["unimodal", "inter", "intra", "i2m2"]),
];

/// Why a protocol could not be resolved.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// A file is not TOML.
    #[error("{file} is not valid TOML: {message}; correct the file and build again")]
    Syntax {
        /// The file.
        file: String,
        /// What the parser found.
        message: String,
    },
    /// A key is unknown, missing or of the wrong type.
    #[error("{files} do not describe a protocol: {message}; correct the key in the last file that sets it")]
    Shape {
        /// The files, in the order in which they are laid.
        files: String,
        /// What was found.
        message: String,
    },
    /// A value cannot be trained with.
    #[error("{field} is {found}, expected {expected}; correct it in the last of {files} that sets it")]
    Value {
        /// The files, in the order in which they are laid.
        files: String,
        /// Dotted path of the value.
        field: String,
        /// What was found.
        found: String,
        /// What is possible.
        expected: &'static str,
    },
}

/// The protocol at a tier, from the files that are compiled in.
pub fn resolve(name: ProtocolName, tier: Tier) -> Result<Protocol, ProtocolError> {
    resolve_with(name, tier, &[])
}

/// The protocol at a tier, with changes of single values laid over everything else. A change to what holds anyway is none.
///
/// # Errors
/// A change that names no value of a protocol, or gives one that cannot be trained with.
pub fn resolve_with(name: ProtocolName, tier: Tier, changes: &[Change]) -> Result<Protocol, ProtocolError> {
    let mut layers = vec![PAPER];
    layers.extend((name == ProtocolName::Released).then_some(RELEASED));
    layers.extend(match tier {
        Tier::Smoke => Some(SMOKE),
        Tier::Reduced => Some(REDUCED),
        Tier::Paper => None,
    });
    let base = layers.len();
    layers.extend(changes.iter().map(|change| Layer { file: "--set", text: change.as_str() }));
    let settings = lay(&layers)?;
    // Without those that change nothing, one after the other: two that say the same are not both without effect.
    let mut changes = changes.to_vec();
    for index in (0..changes.len()).rev() {
        let mut others = layers.clone();
        others.remove(base + index);
        if lay(&others).is_ok_and(|same| same == settings) {
            layers = others;
            changes.remove(index);
        }
    }
    Ok(Protocol { name, tier, changes, settings })
}

fn lay(layers: &[Layer<'_>]) -> Result<Settings, ProtocolError> {
    let files = || layers.iter().map(|layer| layer.file).collect::<Vec<_>>().join(", ");
    let mut merged = Table::new();
    for layer in layers {
        let mut table: Table = layer.text.parse().map_err(|error: toml::de::Error| {
            ProtocolError::Syntax { file: layer.file.to_owned(), message: error.to_string() }
        })?;
        expand_common(&mut table);
        merge(&mut merged, table);
    }
    let settings: Settings = merged
        .try_into()
        .map_err(|error| ProtocolError::Shape { files: files(), message: error.to_string() })?;
    validate(&settings).map_err(|bad| ProtocolError::Value {
        files: files(),
        field: bad.field,
        found: bad.found,
        expected: bad.expected,
    })?;
    Ok(settings)
}

/// Replaces each dataset's `runs.common` by one table per kind of run, under what the kind says itself.
fn expand_common(layer: &mut Table) {
    for (dataset, kinds) in KINDS {
        let Some(runs) = layer
            .get_mut(dataset)
            .and_then(Value::as_table_mut)
            .and_then(|dataset| dataset.get_mut("runs"))
            .and_then(Value::as_table_mut)
        else {
            continue;
        };
        let Some(Value::Table(common)) = runs.remove("common") else { continue };
        for &kind in kinds {
            let mut settings = common.clone();
            if let Some(Value::Table(own)) = runs.remove(kind) {
                merge(&mut settings, own);
            }
            runs.insert(kind.to_owned(), Value::Table(settings));
        }
    }
}

/// Lays `over` on `base`, table by table; anything but a table is replaced.
fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{
        Activation, Architecture, Combine, EvalNorm, Optimizer, SelectBy, StandardiseOn, Start, Task,
    };

    fn settings(name: ProtocolName, tier: Tier) -> Settings {
        resolve(name, tier).unwrap().settings
    }

    #[test]
    fn the_paper_says_what_its_appendix_says() {
        let paper = settings(ProtocolName::Paper, Tier::Paper);
        let runs = &paper.avmnist.runs;
        for run in
            [&runs.unimodal, &runs.inter_lf, &runs.inter_lrtf, &runs.intra, &runs.i2m2_lf, &runs.i2m2_lrtf]
        {
            assert_eq!(
                (run.optimizer, run.learning_rate, run.weight_decay, run.epochs, run.batch_size),
                (Optimizer::Sgd, 5e-2, 1e-4, 25, 40)
            );
            assert_eq!(
                (run.clip_norm, run.norm, run.combine),
                (Some(8.0), EvalNorm::Running, Combine::Product)
            );
        }
        assert_eq!((runs.intra.start, runs.i2m2_lf.start), (Start::Pretrained, Start::Pretrained));
        let runs = &paper.mimic.runs;
        for run in [&runs.unimodal, &runs.inter, &runs.intra, &runs.i2m2] {
            assert_eq!(
                (run.optimizer, run.learning_rate, run.epochs, run.batch_size),
                (Optimizer::Rmsprop, 1e-3, 20, 40)
            );
            assert_eq!(run.training(Task::Mortality).select_by, SelectBy::Accuracy);
            assert_eq!(run.training(Task::Neoplasms).select_by, SelectBy::Auprc);
        }
        assert_eq!(paper.seeds.default, 5);
    }

    #[test]
    fn the_released_code_differs_where_the_spec_says() {
        let released = settings(ProtocolName::Released, Tier::Paper);
        let runs = &released.avmnist.runs;
        let rates = [
            runs.unimodal.learning_rate,
            runs.inter_lf.learning_rate,
            runs.inter_lrtf.learning_rate,
            runs.intra.learning_rate,
            runs.i2m2_lf.learning_rate,
            runs.i2m2_lrtf.learning_rate,
        ];
        assert_eq!(rates, [0.01, 0.1, 0.1, 0.1, 0.01, 0.01]);
        assert_eq!((runs.unimodal.epochs, runs.i2m2_lf.epochs), (30, 30));
        assert_eq!((runs.unimodal.patience, runs.i2m2_lf.patience), (None, Some(10)));
        assert_eq!((runs.unimodal.norm, runs.inter_lf.norm), (EvalNorm::Batch, EvalNorm::Running));
        assert_eq!((runs.intra.combine, runs.i2m2_lf.combine), (Combine::Mean, Combine::Product));
        assert!(matches!(
            released.avmnist.experts.low_rank,
            Architecture::LenetLowRank { trainable_fusion: false, rank: 40, output: 120, .. }
        ));
        let runs = &released.mimic.runs;
        assert_eq!((runs.intra.start, runs.i2m2.start), (Start::Scratch, Start::Scratch));
        assert_eq!(runs.intra.training(Task::Neoplasms).select_by, SelectBy::Accuracy);
        assert_eq!(runs.i2m2.training(Task::Neoplasms).select_by, SelectBy::Auprc);
        assert_eq!((runs.unimodal.patience, runs.inter.patience), (None, Some(10)));
        assert!(matches!(
            released.mimic.experts.static_,
            Architecture::StaticMlp { activation: Activation::Relu, .. }
        ));
    }

    #[test]
    fn a_tier_wins_over_the_kinds_of_a_protocol() {
        for name in [ProtocolName::Paper, ProtocolName::Released] {
            let (smoke, reduced) = (settings(name, Tier::Smoke), settings(name, Tier::Reduced));
            assert_eq!(smoke.avmnist.runs.inter_lf.epochs, smoke.avmnist.runs.unimodal.epochs);
            assert_eq!(smoke.avmnist.runs.inter_lf.learning_rate, smoke.avmnist.runs.intra.learning_rate);
            assert_eq!((reduced.avmnist.runs.intra.epochs, reduced.seeds.default), (3, 1));
        }
        let smoke = resolve(ProtocolName::Paper, Tier::Smoke).unwrap();
        assert_eq!((smoke.seeds("table1"), smoke.seeds("table-c7"), smoke.seeds("table2")), (3, 3, 5));
    }

    #[test]
    fn a_change_wins_over_everything_and_is_held_to_the_same_rules() {
        let with = |change: &str| {
            let changes = [change.parse::<Change>().unwrap()];
            resolve_with(ProtocolName::Released, Tier::Smoke, &changes)
        };
        let runs = with("avmnist.runs.common.epochs=7").unwrap().settings.avmnist.runs;
        assert_eq!((runs.unimodal.epochs, runs.i2m2_lrtf.epochs), (7, 7));
        let changed = with("mimic.standardise_on=train").unwrap();
        assert_eq!(changed.settings.mimic.standardise_on, StandardiseOn::Train);
        assert_eq!(changed.changes[0].to_string(), "mimic.standardise_on = \"train\"");
        for wrong in ["avmnist.runs.common.epoch=7", "mimic.standardise_on=test", "seeds.default=0"] {
            assert!(with(wrong).unwrap_err().to_string().contains("--set"), "{wrong}");
        }
    }

    #[test]
    fn a_change_to_what_holds_anyway_is_none() {
        let kept = |changes: &[&str]| -> Vec<String> {
            let changes: Vec<Change> = changes.iter().map(|change| change.parse().unwrap()).collect();
            let protocol = resolve_with(ProtocolName::Paper, Tier::Paper, &changes).unwrap();
            protocol.changes.iter().map(Change::to_string).collect()
        };
        assert_eq!(kept(&["mimic.standardise_on=all"]), Vec::<String>::new());
        assert_eq!(
            kept(&["mimic.runs.common.epochs=20", "mimic.runs.intra.epochs=5"]),
            ["mimic.runs.intra.epochs = 5"]
        );
        // Each alone would do: one of them stays.
        let same = kept(&["mimic.runs.common.epochs=5", "mimic.runs.intra.epochs=5"]);
        assert_eq!(same, ["mimic.runs.common.epochs = 5"]);
    }

    fn refused(layer: &str) -> String {
        lay(&[PAPER, Layer { file: "test.toml", text: layer }]).unwrap_err().to_string()
    }

    #[test]
    fn misspelt_keys_are_refused_wherever_they_stand() {
        for layer in [
            "sed = 1",
            "[avmnist.runs.common]\nlearning-rate = 1.0",
            "[avmnist.runs.i2m2]\nepochs = 1",
            "[mimic.experts.series]\nunits = 3",
            "[mimic.runs.intra]\nselect_by = { three = \"accuracy\" }",
        ] {
            let message = refused(layer);
            assert!(message.contains("unknown field") && message.contains("test.toml"), "{layer}: {message}");
        }
    }

    #[test]
    fn impossible_values_are_refused_by_name() {
        for (layer, field) in [
            ("[avmnist.runs.intra]\nepochs = 0", "avmnist.runs.intra.epochs"),
            ("[mimic.runs.common]\nlearning_rate = -1.0", "mimic.runs.unimodal.learning_rate"),
            ("[mimic.runs.i2m2]\nclip_norm = nan", "mimic.runs.i2m2.clip_norm"),
            ("[avmnist.experts.audio]\nmodality = \"first\"", "avmnist.experts.audio.modality"),
            ("[avmnist.experts.low-rank]\nrank = 0", "avmnist.experts.low-rank.rank"),
            ("[seeds]\ndefault = 0", "seeds.default"),
            ("[mimic.runs.unimodal]\nstart = \"pretrained\"", "mimic.runs.unimodal.start"),
        ] {
            let message = refused(layer);
            assert!(message.starts_with(field), "{layer}: {message}");
        }
        assert!(refused("[avmnist").contains("not valid TOML"));
    }
}
