//! Values that can be trained with.
//!
//! Invariant: a protocol that passes holds no zero size, no rate that is not finite, and each network in its place.

use super::{Activation, Architecture, Fastmri, Generative, Modality, RunSettings, Settings, Start};

/// A value that cannot be trained with.
pub(super) struct Bad {
    pub(super) field: String,
    pub(super) found: String,
    pub(super) expected: &'static str,
}

/// The first impossible value, if there is one.
pub(super) fn validate(settings: &Settings) -> Result<(), Bad> {
    at_least_one("seeds.default", settings.seeds.default)?;
    for (benchmark, &count) in &settings.seeds.benchmarks {
        at_least_one(&format!("seeds.benchmarks.{benchmark}"), count)?;
    }
    avmnist_experts(settings)?;
    mimic_experts(settings)?;
    let avmnist = &settings.avmnist.runs;
    let mimic = &settings.mimic.runs;
    let generative = &settings.generative.runs;
    for (name, settings, joint) in [
        ("avmnist.runs.unimodal", &avmnist.unimodal, false),
        ("avmnist.runs.inter-lf", &avmnist.inter_lf, false),
        ("avmnist.runs.inter-lrtf", &avmnist.inter_lrtf, false),
        ("avmnist.runs.intra", &avmnist.intra, true),
        ("avmnist.runs.i2m2-lf", &avmnist.i2m2_lf, true),
        ("avmnist.runs.i2m2-lrtf", &avmnist.i2m2_lrtf, true),
        ("mimic.runs.unimodal", &mimic.unimodal, false),
        ("mimic.runs.inter", &mimic.inter, false),
        ("mimic.runs.intra", &mimic.intra, true),
        ("mimic.runs.i2m2", &mimic.i2m2, true),
        ("generative.runs.unimodal", &generative.unimodal, false),
        ("generative.runs.inter", &generative.inter, false),
        ("generative.runs.intra", &generative.intra, true),
        ("generative.runs.i2m2", &generative.i2m2, true),
    ] {
        run(name, settings, joint)?;
    }
    generative_experts(&settings.generative)?;
    fastmri(&settings.fastmri)
}

fn generative_experts(settings: &Generative) -> Result<(), Bad> {
    use Modality::{First, Second};
    let experts = &settings.experts;
    for (name, architecture, looks_at) in [
        ("first", &experts.first, &[First][..]),
        ("second", &experts.second, &[Second]),
        ("inter", &experts.inter, &[First, Second]),
    ] {
        let name = format!("generative.experts.{name}");
        let Architecture::VectorMlp { modalities, encoder, hidden } = architecture else {
            return Err(wrong_network(&name, architecture, "\"vector-mlp\""));
        };
        let expected = "first is x, second is x'; inter looks at both";
        check(modalities == looks_at, || format!("{name}.modalities"), format!("{modalities:?}"), expected)?;
        sizes(&name, &[("encoder", *encoder), ("hidden", *hidden)])?;
    }
    Ok(())
}

fn fastmri(settings: &Fastmri) -> Result<(), Bad> {
    use Modality::{First, Second, Third};
    let Fastmri { experts, runs, .. } = settings;
    for (name, architecture, looks_at) in [
        ("rss", &experts.rss, &[Third][..]),
        ("magnitude", &experts.magnitude, &[First]),
        ("phase", &experts.phase, &[Second]),
        ("inter", &experts.inter, &[First, Second]),
        ("wide-magnitude", &experts.wide_magnitude, &[First]),
        ("wide-phase", &experts.wide_phase, &[Second]),
        ("wide-inter", &experts.wide_inter, &[First, Second]),
    ] {
        let name = format!("fastmri.experts.{name}");
        let Architecture::PreactResnet { modalities, stem, widths, blocks, groups, pool } = architecture
        else {
            return Err(wrong_network(&name, architecture, "\"preact-resnet\""));
        };
        let expected = "first is magnitude, second is phase, third is RSS; inter looks at the first two";
        check(modalities == looks_at, || format!("{name}.modalities"), format!("{modalities:?}"), expected)?;
        sizes(&name, &[("stem", *stem), ("widths", widths.len()), ("blocks", *blocks), ("groups", *groups)])?;
        at_least_one(&format!("{name}.pool"), *pool)?;
        for &channels in widths.iter().chain([stem]) {
            let divides = channels > 0 && channels.is_multiple_of(*groups);
            check(divides, || format!("{name}.widths"), channels, "channels that the groups divide")?;
        }
    }
    for (name, run, joint) in [
        ("rss", &runs.rss, false),
        ("magnitude", &runs.magnitude, false),
        ("phase", &runs.phase, false),
        ("inter", &runs.inter, false),
        ("intra", &runs.intra, true),
        ("i2m2", &runs.i2m2, true),
        ("i2m2-scratch", &runs.i2m2_scratch, true),
        ("wide-magnitude", &runs.wide_magnitude, false),
        ("wide-phase", &runs.wide_phase, false),
        ("wide-inter", &runs.wide_inter, false),
    ] {
        let name = format!("fastmri.runs.{name}");
        rate(&name, "learning_rate", run.learning_rate, false)?;
        rate(&name, "weight_decay", run.weight_decay, true)?;
        at_least_one(&format!("{name}.batch_size"), run.batch_size)?;
        at_least_one(&format!("{name}.epochs"), run.epochs)?;
        started(&name, run.start, joint)?;
    }
    Ok(())
}

fn run(name: &str, settings: &RunSettings, joint: bool) -> Result<(), Bad> {
    rate(name, "learning_rate", settings.learning_rate, false)?;
    rate(name, "weight_decay", settings.weight_decay, true)?;
    settings.clip_norm.map_or(Ok(()), |norm| rate(name, "clip_norm", norm, false))?;
    at_least_one(&format!("{name}.batch_size"), settings.batch_size)?;
    at_least_one(&format!("{name}.epochs"), settings.epochs)?;
    started(name, settings.start, joint)
}

fn rate(name: &str, field: &str, value: f64, zero: bool) -> Result<(), Bad> {
    let possible = value.is_finite() && (value > 0.0 || (zero && value == 0.0));
    let expected = if zero { "a finite number of 0 or more" } else { "a finite number above 0" };
    check(possible, || format!("{name}.{field}"), value, expected)
}

fn started(name: &str, start: Start, joint: bool) -> Result<(), Bad> {
    let expected = "\"scratch\": a single expert has nothing to start from";
    check(joint || start == Start::Scratch, || format!("{name}.start"), "\"pretrained\"", expected)
}

fn avmnist_experts(settings: &Settings) -> Result<(), Bad> {
    let experts = &settings.avmnist.experts;
    for (name, architecture, place) in
        [("image", &experts.image, Modality::First), ("audio", &experts.audio, Modality::Second)]
    {
        let name = format!("avmnist.experts.{name}");
        let Architecture::Lenet { modality, channels, stages, hidden } = *architecture else {
            return Err(wrong_network(&name, architecture, "\"lenet\""));
        };
        let expected = "\"first\" for image, \"second\" for audio";
        check(modality == place, || format!("{name}.modality"), format!("{modality:?}"), expected)?;
        sizes(&name, &[("channels", channels), ("stages", stages), ("hidden", hidden)])?;
    }
    let name = "avmnist.experts.late-fusion";
    let Architecture::LenetLateFusion { channels, stages, hidden } = experts.late_fusion else {
        return Err(wrong_network(name, &experts.late_fusion, "\"lenet-late-fusion\""));
    };
    sizes(name, &[("channels", channels), ("stages", stages[0]), ("stages", stages[1]), ("hidden", hidden)])?;
    let name = "avmnist.experts.low-rank";
    let Architecture::LenetLowRank { channels, stages, rank, output, hidden, .. } = experts.low_rank else {
        return Err(wrong_network(name, &experts.low_rank, "\"lenet-low-rank\""));
    };
    sizes(
        name,
        &[
            ("channels", channels),
            ("stages", stages[0]),
            ("stages", stages[1]),
            ("rank", rank),
            ("output", output),
            ("hidden", hidden),
        ],
    )
}

fn mimic_experts(settings: &Settings) -> Result<(), Bad> {
    let experts = &settings.mimic.experts;
    let name = "mimic.experts.static";
    let Architecture::StaticMlp { encoder, hidden, activation } = experts.static_ else {
        return Err(wrong_network(name, &experts.static_, "\"static-mlp\""));
    };
    sizes(name, &[("encoder", encoder), ("hidden", hidden)])?;
    slope(name, activation)?;
    let name = "mimic.experts.series";
    let Architecture::SeriesGru { gru, projection, hidden, activation } = experts.series else {
        return Err(wrong_network(name, &experts.series, "\"series-gru\""));
    };
    sizes(name, &[("gru", gru), ("projection", projection), ("hidden", hidden)])?;
    slope(name, activation)?;
    let name = "mimic.experts.inter";
    let Architecture::ClinicalLateFusion { encoder, gru, hidden, activation } = experts.inter else {
        return Err(wrong_network(name, &experts.inter, "\"clinical-late-fusion\""));
    };
    sizes(name, &[("encoder", encoder), ("gru", gru), ("hidden", hidden)])?;
    slope(name, activation)
}

fn slope(name: &str, activation: Activation) -> Result<(), Bad> {
    match activation {
        Activation::Relu => Ok(()),
        Activation::LeakyRelu { slope } => {
            let possible = (0.0..1.0).contains(&slope);
            check(possible, || format!("{name}.activation.leaky-relu.slope"), slope, "a number in [0, 1)")
        }
    }
}

fn wrong_network(name: &str, found: &Architecture, expected: &'static str) -> Bad {
    Bad { field: format!("{name}.network"), found: format!("{found:?}"), expected }
}

fn sizes(name: &str, sizes: &[(&str, usize)]) -> Result<(), Bad> {
    sizes.iter().try_for_each(|(field, size)| at_least_one(&format!("{name}.{field}"), *size))
}

fn at_least_one(field: &str, found: usize) -> Result<(), Bad> {
    check(found >= 1, || field.to_owned(), found, "1 or more")
}

fn check(
    possible: bool,
    field: impl FnOnce() -> String,
    found: impl std::fmt::Display,
    expected: &'static str,
) -> Result<(), Bad> {
    if possible { Ok(()) } else { Err(Bad { field: field(), found: found.to_string(), expected }) }
}
