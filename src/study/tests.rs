//! What the registered studies say, and what is refused.

use std::path::Path;

use super::*;
use crate::data::registry;

fn paper(id: &str) -> Study {
    resolve(ProtocolName::Paper, Tier::Paper).unwrap().studies.remove(id).unwrap()
}

fn training(study: &Study, model: &str, task: &str) -> Training {
    study.model_task(model, task).unwrap().training
}

#[test]
fn the_paper_says_what_its_appendix_says() {
    let avmnist = paper("avmnist");
    for model in avmnist.models.keys() {
        let ModelTask { training, evaluation, .. } = avmnist.model_task(model, "digits").unwrap();
        assert_eq!(
            (training.optimizer, training.learning_rate, training.weight_decay, training.epochs),
            (Optimizer::Sgd, 5e-2, 1e-4, 25)
        );
        assert_eq!((training.batch_size, training.clip_norm), (40, Some(8.0)));
        assert_eq!((evaluation.norm, evaluation.combine), (EvalNorm::Running, Combine::Product));
    }
    let start = |study: &Study, model: &str| study.model(model).unwrap().start.clone();
    let from = |models: &[&str]| models.iter().map(|model| Some((*model).to_owned())).collect::<Vec<_>>();
    assert_eq!(start(&avmnist, "intra"), from(&["image", "audio"]));
    assert_eq!(start(&avmnist, "i2m2-lrtf"), from(&["image", "audio", "inter-lrtf"]));
    let mimic = paper("mimic");
    for model in mimic.models.keys() {
        let mortality = training(&mimic, model, "mortality");
        assert_eq!(
            (mortality.optimizer, mortality.learning_rate, mortality.epochs, mortality.batch_size),
            (Optimizer::Rmsprop, 1e-3, 20, 40)
        );
        assert_eq!(mortality.select_by, SelectBy::Accuracy);
        assert_eq!(training(&mimic, model, "icd9-140-239").select_by, SelectBy::Auprc);
    }
    assert_eq!((avmnist.seeds, mimic.seeds), (5, 5));
    let fastmri = paper("fastmri");
    let knee = fastmri.model_task("i2m2", "knee").unwrap();
    assert_eq!((knee.training.class_weights, knee.training.clip_norm), (Some(ClassWeights::Balanced), None));
    assert_eq!(knee.evaluation.ranking, Some(Ranking::default()));
    assert_eq!(fastmri.ensemble, Some(Combine::Mean));
    assert_eq!(fastmri.preparation.word("magnitude_norm"), "none");
}

#[test]
fn the_released_code_differs_where_the_ledger_says() {
    let mut released = resolve(ProtocolName::Released, Tier::Paper).unwrap().studies;
    let avmnist = released.remove("avmnist").unwrap();
    let of = |model: &str| avmnist.model_task(model, "digits").unwrap().clone();
    let models = ["image", "audio", "inter-lf", "inter-lrtf", "intra", "i2m2-lf", "i2m2-lrtf"];
    let rates = models.map(|model| of(model).training.learning_rate);
    assert_eq!(rates, [0.01, 0.01, 0.1, 0.1, 0.1, 0.01, 0.01]);
    assert!(models.iter().all(|model| of(model).training.epochs == 30));
    assert_eq!((of("image").training.patience, of("i2m2-lf").training.patience), (None, Some(10)));
    assert_eq!(
        (of("audio").evaluation.norm, of("inter-lf").evaluation.norm),
        (EvalNorm::Batch, EvalNorm::Running)
    );
    assert_eq!(
        (of("intra").evaluation.combine, of("i2m2-lf").evaluation.combine),
        (Combine::Mean, Combine::Product)
    );
    let fusion = match &avmnist.experts["low-rank"].network {
        Network::Encoders(parts) => parts.fusion,
        Network::Backbone { .. } | Network::OnBackbone { .. } => Fusion::Concatenate,
    };
    assert_eq!(fusion, Fusion::LowRank(LowRank { rank: 40, output: 120, trainable: false }));
    let mimic = released.remove("mimic").unwrap();
    assert!(
        ["intra", "i2m2"].iter().all(|model| mimic.model(model).unwrap().start.iter().all(Option::is_none))
    );
    assert_eq!(training(&mimic, "intra", "icd9-140-239").select_by, SelectBy::Accuracy);
    assert_eq!(training(&mimic, "i2m2", "icd9-140-239").select_by, SelectBy::Auprc);
    assert_eq!(
        (training(&mimic, "static", "mortality").patience, training(&mimic, "inter", "mortality").patience),
        (None, Some(10))
    );
    let relu = |network: &Network| match network {
        Network::Encoders(parts) => parts.head.activation == Activation::Relu,
        Network::Backbone { .. } | Network::OnBackbone { .. } => false,
    };
    assert!(mimic.experts.values().all(|expert| relu(&expert.network)));
}

#[test]
fn a_tier_wins_over_the_models_of_a_protocol() {
    for name in [ProtocolName::Paper, ProtocolName::Released] {
        let (smoke, reduced) = (resolve(name, Tier::Smoke).unwrap(), resolve(name, Tier::Reduced).unwrap());
        let of = |protocol: &Protocol, model: &str| training(&protocol.studies["avmnist"], model, "digits");
        assert_eq!(of(&smoke, "inter-lf").epochs, of(&smoke, "image").epochs);
        assert_eq!(of(&smoke, "inter-lf").learning_rate, of(&smoke, "intra").learning_rate);
        assert_eq!((of(&reduced, "intra").epochs, reduced.studies["avmnist"].seeds), (3, 1));
    }
    let smoke = resolve(ProtocolName::Paper, Tier::Smoke).unwrap();
    let seeds = |study: &str| smoke.studies[study].seeds;
    assert_eq!((seeds("avmnist"), seeds("mimic"), seeds("generative"), seeds("fastmri")), (3, 5, 10, 3));
}

fn changes(changes: &[&str]) -> Vec<Change> {
    changes.iter().map(|change| change.parse().unwrap()).collect()
}

#[test]
fn a_change_wins_over_everything_and_is_held_to_the_same_rules() {
    let with = |change: &str| resolve_with(ProtocolName::Released, Tier::Smoke, &changes(&[change]));
    let protocol = with("avmnist.training.epochs=7").unwrap();
    let avmnist = &protocol.studies["avmnist"];
    assert_eq!(
        (training(avmnist, "image", "digits").epochs, training(avmnist, "i2m2-lrtf", "digits").epochs),
        (7, 7)
    );
    let changed = with("mimic.preparation.standardise_on=train").unwrap();
    assert_eq!(changed.studies["mimic"].preparation.word("standardise_on"), "train");
    assert_eq!(changed.changes[0].to_string(), "mimic.preparation.standardise_on = \"train\"");
    for (wrong, said) in [
        (
            "avmnist.training.epoch=7",
            "--set: `models.audio.training`: there is no key `epoch`; did you mean `epochs`?",
        ),
        ("mimic.preparation.standardise_on=trian", "did you mean `train`"),
        ("avmnist.seeds=0", "--set: `seeds`: expected 1 or more, found 0"),
        ("avmist.seeds=3", "there is no study `avmist`; did you mean `avmnist`?"),
        ("avmnist.models.imag.start=\"scratch\"", "missing field"),
    ] {
        let error = with(wrong).unwrap_err().to_string();
        assert!(error.contains(said) && error.starts_with("--set"), "{wrong}: {error}");
    }
}

#[test]
fn a_change_to_what_holds_anyway_is_none() {
    let kept = |asked: &[&str]| -> Vec<String> {
        let protocol = resolve_with(ProtocolName::Paper, Tier::Paper, &changes(asked)).unwrap();
        protocol.changes.iter().map(Change::to_string).collect()
    };
    assert_eq!(kept(&["mimic.preparation.standardise_on=all"]), Vec::<String>::new());
    assert_eq!(
        kept(&["mimic.training.epochs=20", "mimic.models.intra.training.epochs=5"]),
        ["mimic.models.intra.training.epochs = 5"]
    );
    // Each alone would do for that model: one of them stays.
    let same = kept(&["mimic.training.epochs=5", "mimic.models.intra.training.epochs=5"]);
    assert_eq!(same, ["mimic.training.epochs = 5"]);
}

/// A run is planned from the file alone: experts by name, starts by model.
#[test]
fn a_model_s_recipe_names_what_it_starts_from() {
    let study = paper("avmnist");
    let run = study.recipe("i2m2-lrtf", "digits", None).unwrap();
    assert_eq!(
        (run.name.as_str(), run.upstream),
        ("avmnist/i2m2-lrtf", vec!["image".into(), "audio".into(), "inter-lrtf".into()])
    );
    let names: Vec<&str> = run.recipe.experts.iter().map(|expert| expert.name.as_str()).collect();
    assert_eq!(names, ["image", "audio", "inter"]);
    let starts: Vec<Init> = run.recipe.experts.iter().map(|expert| expert.init).collect();
    assert_eq!(starts, [0, 1, 2].map(|run| Init::Upstream { run }));
    assert_eq!(paper("mimic").recipe("i2m2", "mortality", None).unwrap().name, "mimic/mortality/i2m2");
    let error = study.recipe("i2m2-lf2", "digits", None).unwrap_err().to_string();
    assert!(
        error.contains("the study `avmnist` has no model `i2m2-lf2`; did you mean `i2m2-lf`?"),
        "{error}"
    );
    assert!(study.recipe("image", "digit", None).unwrap_err().to_string().contains("did you mean `digits`?"));
}

/// The MIMIC study with its first occurrence of `from` replaced.
fn refused(from: &str, to: &str) -> String {
    let text = include_str!("../../paper/studies/mimic.toml");
    assert!(text.contains(from), "{from}");
    let text = text.replacen(from, to, 1);
    let file = StudyFile { id: "mimic", path: "mimic.toml", text: &text };
    read(file, registry::all(), ProtocolName::Paper, Tier::Paper, &[]).unwrap_err().to_string()
}

#[test]
fn what_cannot_be_is_refused_with_file_line_and_the_nearest_name() {
    let line = |error: &str| error.split(':').nth(1).and_then(|line| line.parse::<usize>().ok()).unwrap_or(0);
    for (from, to, said) in [
        ("seeds = 5", "sed = 5", "there is no key `sed`; did you mean `seeds`?"),
        ("epochs = 20", "epoch = 20", "there is no key `epoch`; did you mean `epochs`?"),
        ("hidden = 30, projection = 15", "hiden = 30, projection = 15", "`hiden`"),
        ("dataset = \"mimic\"", "dataset = \"mimc\"", "did you mean `mimic`?"),
        (
            "modalities = [\"static\", \"series\"]",
            "modalities = [\"static\", \"sereis\"]",
            "did you mean `series`?",
        ),
        (
            "modalities = [\"static\", \"series\"]",
            "modalities = [\"static\", \"static\"]",
            "`static` stands twice",
        ),
        ("mortality.select_by", "mortalty.select_by", "did you mean `mortality`?"),
        ("mortality.select_by = \"accuracy\"", "mortality.select_by = \"auroc\"", "binary questions"),
        (
            "mortality.select_by = \"accuracy\"",
            "mortality.select_by = \"acuracy\"",
            "did you mean `accuracy`?",
        ),
        ("standardise_on = \"all\"", "standardise_on = \"al\"", "did you mean `all`"),
        (
            "[\"static\", \"series\", \"inter\"]",
            "[\"static\", \"serie\", \"inter\"]",
            "did you mean `series`?",
        ),
        ("[\"static\", \"series\", \"inter\"]", "[]", "has no experts"),
        (
            "inter = { experts = [\"inter\"] }",
            "inter = { experts = [\"inter\"], start = \"pretrained\" }",
            "nothing to start from",
        ),
        (
            "inter = { experts = [\"inter\"] }",
            "inter = { experts = [\"inter\"], start = { inter = \"i2m2\" } }",
            "starts from itself",
        ),
        (
            "inter = { experts = [\"inter\"] }",
            "inter = { experts = [\"inter\"], start = { inter = \"statc\" } }",
            "did you mean `static`?",
        ),
        ("static = { experts = [\"static\"] }\n", "", "no model trains `static` alone"),
        (
            "encoders.series = { network = \"gru\", hidden = 30, projection = 15 }\n",
            "",
            "looks at no modality",
        ),
        (
            "encoders.series = { network = \"gru\"",
            "encoders.static = { network = \"gru\"",
            "expected a network that reads vector",
        ),
        (
            "encoders.series = { network = \"gru\"",
            "encoders.serie = { network = \"gru\"",
            "did you mean `series`?",
        ),
        ("network = \"mlp\", units = 10", "network = \"mlp\", units = 0", "expected 1 or more, found 0"),
        ("network = \"mlp\"", "network = \"mpl\"", "did you mean `mlp`?"),
        ("slope = 0.2", "slope = 1.5", "expected a number in [0, 1), found 1.5"),
        ("learning_rate = 1e-3", "learning_rate = -1.0", "expected a finite number above 0, found -1"),
        ("clip_norm = 8.0", "clip_norm = nan", "expected a finite number above 0, found NaN"),
        ("batch_size = 40", "batch_size = -40", "invalid value: integer `-40`"),
        ("epochs = 20", "epochs = 0", "expected 1 or more, found 0"),
        ("optimizer = \"rmsprop\"", "optimizer = \"rmsprob\"", "did you mean `rmsprop`?"),
        (
            "batch_size = 40",
            "batch_size = 40\nclass_weights = \"inverse\"",
            "they belong to binary questions",
        ),
        ("epochs = 20", "epochs = 20\nepochs = 21", "second definition"),
        ("[models]", "[models", "no valid TOML"),
        ("seeds = 5 #", "seeds = \"five\" #", "invalid type: string \"five\""),
    ] {
        let error = refused(from, to);
        assert!(error.starts_with("mimic.toml:"), "{to}: {error}");
        assert!(error.contains(said), "{to}: {error}");
        let text = include_str!("../../paper/studies/mimic.toml");
        let written = 1 + text[..text.find(from).unwrap()].matches('\n').count();
        // A value that is gone is told where what needs it stands.
        let near = if to.is_empty() { 100 } else { 6 };
        assert!(line(&error).abs_diff(written) <= near, "{to}: line {written}, {error}");
    }
}

#[test]
fn an_encoder_or_a_backbone_but_not_both() {
    let low_rank = refused(
        "head = { hidden = 40, activation = { leaky-relu = { slope = 0.2 } } } # M2\n\n# \"late",
        "head = { hidden = 40 }\nfusion.low-rank = { rank = 2, output = 3, trainable = true }\n\n# \"late",
    );
    assert!(low_rank.contains("joins two modalities, found 1"), "{low_rank}");
    let both = refused(
        "encoders.series = { network = \"gru\"",
        "backbone = { network = \"preact-resnet\", modalities = [\"series\"], stem = 4, widths = [4], blocks = 1, groups = 1, pool = 1 }\nencoders.series = { network = \"gru\"",
    );
    assert!(both.contains("a backbone stands alone"), "{both}");
}

#[test]
fn every_study_file_is_registered() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("paper/studies");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let known: Vec<String> = resolve(ProtocolName::Paper, Tier::Paper)
        .unwrap()
        .studies
        .keys()
        .map(|id| format!("{id}.toml"))
        .collect();
    assert_eq!(files, known);
}

/// Every value of the paper's protocol cites the text that states it, or names the deviation that says who chose it.
#[test]
fn every_value_of_the_protocol_says_where_it_comes_from() {
    let ids: Vec<String> = deviations().unwrap().into_iter().map(|deviation| deviation.id).collect();
    let known = |comment: &str| {
        let mut words = comment.split(|c: char| !c.is_alphanumeric());
        let cited = ["Section ", "Appendix ", "Table "].iter().any(|place| comment.contains(place));
        cited || words.any(|word| ids.iter().any(|id| id == word))
    };
    for file in protocol::REGISTRY.iter().filter(|file| file.id != "generative") {
        // The rest says itself whose it is: the released code's, or this project's own budgets.
        let (paper, _) = file.text.split_once("\n[released").unwrap();
        let mut above = String::new();
        for (number, line) in paper.lines().enumerate() {
            let (value, beside) = line.split_once('#').unwrap_or((line, ""));
            match value.trim() {
                "" if beside.is_empty() => above.clear(),
                "" => above += beside,
                header if header.starts_with('[') => {}
                name if name.starts_with("dataset =") || name.starts_with("modalities =") => {}
                _ => assert!(known(beside) || known(&above), "{}:{}: {line}", file.path, number + 1),
            }
        }
    }
    assert!(!known(" silent") && !known(" chosen by A99") && known(" silent (A6)"));
}
