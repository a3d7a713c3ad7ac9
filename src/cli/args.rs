//! The command line as typed values: parsing only, no side effects.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::data::build::Build;
use crate::data::{DatasetSpec, pretrained, registry};
use crate::device::Precision;
use crate::digest::Digest;
use crate::gate::effects;
use crate::study::{Change, ProtocolName, Tier};

const EXAMPLES: &str = "\
Examples:
  i2m2 reproduce table2                         smoke tier: synthetic data, seconds, nothing to download
  i2m2 reproduce table1 --data data             paper tier on real data in data/avmnist
  i2m2 check table2                             the gate: exit 1 when a number moved, 3 when nothing was measured
  i2m2 report table2 --format latex > table2.tex

Exit codes: 0 done or pass, 1 gate failed, 2 usage, 3 not measured or inconclusive, 4 internal error.";

/// Replays every table and figure of I2M2 (NeurIPS 2024): one command each.
#[derive(Debug, Parser)]
#[command(name = "i2m2", version, after_help = EXAMPLES, max_term_width = 110)]
pub(crate) struct Cli {
    /// Folder of the store, the frames and the tables [default: results]; for `data build`, the folder that is built.
    #[arg(long, global = true, value_name = "DIR", env = "I2M2_OUT")]
    pub out: Option<PathBuf>,
    /// No progress on stderr.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Command {
    /// Whether it trains more than the canaries.
    pub(crate) fn trains(&self) -> bool {
        matches!(
            self,
            Command::Reproduce { .. }
                | Command::TrainRun(_)
                | Command::Effect { .. }
                | Command::Doctor(_)
                | Command::Check { self_test: true, .. }
        )
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists the tables and figures of the paper: what each shows, what data it needs, whether it is here.
    #[command(after_help = "Examples:\n  i2m2 list\n  i2m2 list --data data --json")]
    List {
        /// Folder with real data: DIR/avmnist, DIR/mimic.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints the graph of runs and cells: what is in the store, what is missing, how long it will take.
    #[command(
        after_help = "Examples:\n  i2m2 plan table1\n  i2m2 plan all --tier paper --data data --json\n  i2m2 plan table2 --power"
    )]
    Plan {
        /// What is planned.
        #[command(flatten)]
        selection: Selection,
        /// Runs side by side, for the estimate.
        #[arg(long, value_name = "N")]
        jobs: Option<usize>,
        /// Prints how many seeds verdicts and claims take with 80 % power, and what they cost, in place of the graph.
        #[arg(long)]
        power: bool,
        /// Prints the plan as a document that another process can read (`train-run --plan`): every run with its whole
        /// recipe, its key and the keys of the runs it starts from.
        #[arg(long, conflicts_with_all = ["power", "json"])]
        document: bool,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Trains one run of a plan that `plan --document` printed; what it starts from must be in the store. For whoever
    /// spreads a plan over several machines.
    #[command(
        hide = true,
        after_help = "Example:
  i2m2 plan table2 --document > plan.json
  i2m2 train-run --plan plan.json KEY"
    )]
    TrainRun(TrainRun),
    /// Runs the plan and prints the table as the paper prints it, ours beside the paper's, with verdicts.
    #[command(after_help = "Examples:
  i2m2 reproduce table2
  i2m2 reproduce table1 --data data --tier reduced --jobs 2
  i2m2 reproduce table2 --only 'table2:mortality:*' --seeds 1
  i2m2 reproduce table2 --set mimic.preparation.standardise_on=train --set mimic.training.epochs=8")]
    Reproduce {
        /// What is reproduced.
        #[command(flatten)]
        selection: Selection,
        /// How many at once.
        #[command(flatten)]
        workers: Workers,
        /// Prints JSON instead of the table.
        #[arg(long)]
        json: bool,
    },
    /// The gate: holds what is in the store against the expected ranges and the paper's values.
    #[command(after_help = "Examples:
  i2m2 check table2
  i2m2 check all --format github
  i2m2 check table1 --tier paper --data data --format json
  i2m2 check table2 --self-test

Exit codes: 0 pass, 1 a number is out of its range, 3 not measured or inconclusive.")]
    Check {
        /// What is checked.
        #[command(flatten)]
        selection: Selection,
        /// How the result is printed.
        #[arg(long, value_enum, default_value_t = CheckFormat::Text)]
        format: CheckFormat,
        /// Puts faults into copies of what is stored, and says which of them the gate catches.
        #[arg(long)]
        self_test: bool,
        /// Folder of the expected ranges.
        #[arg(long, value_name = "DIR", default_value = "snapshots/expected")]
        expected: PathBuf,
    },
    /// Rewrites expected ranges from the store, as a prediction interval, with a reason.
    #[command(
        after_help = "Examples:\n  i2m2 accept table2 --reason 'first reviewed ranges, all verdicts read'"
    )]
    Accept {
        /// What is accepted.
        #[command(flatten)]
        selection: Selection,
        /// Why the ranges may change; recorded with the date and the keys.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Seeds of a future check that the interval must hold for [default: as many as are stored].
        #[arg(long, value_name = "M")]
        new_seeds: Option<usize>,
        /// Folder of the expected ranges.
        #[arg(long, value_name = "DIR", default_value = "snapshots/expected")]
        expected: PathBuf,
    },
    /// Prints a table from the store, for a paper or a page.
    #[command(after_help = "Examples:
  i2m2 report table2 --format latex > table2.tex     (then \\input{table2} with booktabs and amssymb)
  i2m2 report all --format csv
  i2m2 report all --format html > report.html
  i2m2 report all --format document > results/report.tex     (then pdflatex report.tex there)")]
    Report {
        /// What is reported.
        #[command(flatten)]
        selection: Selection,
        /// The format.
        #[arg(long, value_enum, default_value_t = ReportFormat::Markdown)]
        format: ReportFormat,
    },
    /// Prints the paper's testable sentences, and what the runs and the paper's own numbers say of each.
    #[command(after_help = "Examples:
  i2m2 claims
  i2m2 claims i2m2-over-inter --data data
  i2m2 claims table2 --data data --json

Exit codes: 0 every claim is supported or contradicted, 3 one is not measured or not decidable.")]
    Claims(Claims),
    /// Prints known differences between the paper, the released code and this project.
    #[command(after_help = "Examples:\n  i2m2 deviations\n  i2m2 deviations F2\n  i2m2 deviations table2")]
    Deviations {
        /// An id, or a table: those that touch it; all of them without it.
        id: Option<String>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Measures what a deviation changes: trains the tables it touches with it switched, and compares seed by seed. The id is
    /// that of a deviation; --set takes the place of the changes that the ledger names.
    #[command(after_help = "Examples:
  i2m2 effect M1
  i2m2 effect F4 --only 'figure2:*' --seeds 5
  i2m2 effect F3 --set fastmri.preparation.magnitude_norm=none --only 'figure2:*'
  i2m2 effect A4 --data data --tier reduced --only table1:accuracy:intra")]
    Effect {
        /// The deviation.
        #[command(flatten)]
        selection: Selection,
        /// How many at once.
        #[command(flatten)]
        workers: Workers,
        /// Records what was measured in this file [without a value: snapshots/effects.toml]; the next build prints it beside
        /// the deviation.
        #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = effects::FILE)]
        record: Option<PathBuf>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Prints where one number comes from: seeds, runs and what they started from, data, code, verdict and range. The id is that of
    /// a cell, `table:column:row`.
    #[command(
        after_help = "Examples:\n  i2m2 why table2:mortality:i2m2\n  i2m2 why table1:accuracy:intra --data data --json"
    )]
    Why {
        /// The cell.
        #[command(flatten)]
        selection: Selection,
        /// Folder of the expected ranges.
        #[arg(long, value_name = "DIR", default_value = "snapshots/expected")]
        expected: PathBuf,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Says what this machine and build can compute on, and tests it: devices, drivers, libraries, and every op on the GPU
    /// against the CPU.
    #[command(after_help = "Examples:
  i2m2 doctor
  i2m2 doctor --device cuda:0 --stage models --model avmnist/inter-lf
  i2m2 doctor --device cuda:0 --stage speed --json

Exit codes: 0 all is well, 1 a test failed, 2 the device that was asked for is not there.")]
    Doctor(Doctor),
    /// Builds, verifies and explains datasets.
    #[command(subcommand)]
    Data(DataCommand),
    /// Looks after the store of results.
    #[command(subcommand)]
    Store(StoreCommand),
}

/// Which benchmarks, in which tier and protocol, on which data, seeds and device.
#[derive(Clone, Debug, Args)]
pub(crate) struct Selection {
    /// A table or figure (`i2m2 list` names them), or `all`.
    pub id: String,
    /// How much of the paper's data and budget [default: paper with --data, smoke without].
    #[arg(long, value_enum)]
    pub tier: Option<Tier>,
    /// What the text says, or what the released code does.
    #[arg(long, value_enum, default_value_t = ProtocolName::Paper)]
    pub protocol: ProtocolName,
    /// Changes one value of the protocol (a dotted key of paper/studies/*.toml); may be given several times. What
    /// is changed is said in every table, and compared with neither the paper nor the expected ranges.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<Change>,
    /// Folder with real data: DIR/avmnist, DIR/mimic, or one of them itself.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Number of seeds [default: the benchmark's for the tier].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub seeds: Option<u64>,
    /// Where to run: auto, cpu or cuda:N.
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: DeviceChoice,
    /// What products are computed in; other than f32 on a GPU only. Such results are another device class: own keys, own
    /// ranges, and the precision stands in every table.
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub precision: Precision,
    /// Only these cells: a cell id with `*`, or the id of a row or a column; may be given several times.
    #[arg(long, value_name = "CELL-PATTERN")]
    pub only: Vec<String>,
}

/// One run of a plan.
#[derive(Debug, Args)]
pub(crate) struct TrainRun {
    /// The run's key.
    pub key: Digest,
    /// The plan, as `plan --document` prints it.
    #[arg(long, value_name = "FILE")]
    pub plan: PathBuf,
    /// Folder with real data, as for `plan`.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where to run: auto, cpu or cuda:N.
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: DeviceChoice,
    /// What products are computed in, as for `plan`.
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub precision: Precision,
    /// Threads of the run [default: one per core].
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// How much is done at once.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Workers {
    /// Runs side by side [default: one per core].
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Threads in all, shared by the runs side by side [default: one per core].
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// Which claims, tested on which results.
#[derive(Debug, Args)]
pub(crate) struct Claims {
    /// A claim, or a table: the claims about it; all of them without it.
    pub id: Option<String>,
    /// Folder with real data: its results in the store are what claims are tested on.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// What the text says, or what the released code does.
    #[arg(long, value_enum, default_value_t = ProtocolName::Paper)]
    pub protocol: ProtocolName,
    /// Where the results were computed: auto, cpu or cuda:N.
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: DeviceChoice,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

impl Claims {
    /// What a tier's results are read of.
    pub(crate) fn selection(&self, id: &str, tier: Tier) -> Selection {
        Selection {
            id: id.to_owned(),
            tier: Some(tier),
            protocol: self.protocol,
            set: Vec::new(),
            data: self.data.clone().filter(|_| tier != Tier::Smoke),
            seeds: None,
            device: self.device,
            precision: Precision::F32,
            only: Vec::new(),
        }
    }
}

/// Where to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceChoice {
    /// A GPU if this build and machine have one, otherwise the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// A CUDA device by number.
    Cuda(usize),
}

impl std::str::FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(DeviceChoice::Auto),
            "cpu" => Ok(DeviceChoice::Cpu),
            _ => match text.strip_prefix("cuda:").and_then(|n| n.parse().ok()) {
                Some(n) => Ok(DeviceChoice::Cuda(n)),
                None => Err("expected auto, cpu or cuda:N".to_owned()),
            },
        }
    }
}

/// What the doctor looks at.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Which device: auto, cpu or cuda:N.
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: DeviceChoice,
    /// What products are computed in on a GPU.
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub precision: Precision,
    /// Which test of the GPU.
    #[arg(long, value_enum, default_value_t = Stage::Ops)]
    pub stage: Stage,
    /// Only this model of Tables 1 and 2 (for the stages models and speed), or tiny or base (for fiber).
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Training steps that are compared with the CPU's.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub steps: usize,
    /// Seconds per model in the stages speed and fiber.
    #[arg(long, value_name = "S", default_value_t = 2.0)]
    pub seconds: f64,
    /// Prints JSON, a line per finding.
    #[arg(long)]
    pub json: bool,
}

/// Tests of a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    /// Every op against the CPU, and the same bits twice: two seconds.
    Ops,
    /// Every model over many steps against the CPU, twice, and with steps recorded or not: the same bits.
    Models,
    /// Training steps per second, launches per step, and shares of the ceilings.
    Speed,
    /// A small FIBER against the CPU, and the same bits twice (--model tiny); then the published one, timed (--model base).
    Fiber,
}

/// How `check` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// For a terminal.
    Text,
    /// For a program.
    Json,
    /// Annotations of GitHub Actions.
    Github,
    /// For a job summary or a comment.
    Markdown,
}

/// How `report` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// A booktabs fragment to \input.
    Latex,
    /// One line per cell.
    Csv,
    /// A Markdown table.
    Markdown,
    /// A LaTeX document of its own with the tables and figures, to be compiled in the results folder.
    Document,
    /// One page with all tables, figures, claims and deviations, which needs no other file.
    Html,
}

/// Commands about data.
#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Rebuilds a dataset from its open sources.
    #[command(subcommand)]
    Build(BuildCommand),
    /// Hashes every file again and reads all of it as training would.
    #[command(after_help = "Examples:\n  i2m2 data verify avmnist --data data")]
    Verify {
        /// The dataset.
        #[arg(value_parser = dataset())]
        dataset: &'static DatasetSpec,
        /// Folder with real data; without it, the synthetic fixture is verified.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Says which datasets are here, with their digests.
    #[command(after_help = "Examples:\n  i2m2 data status\n  i2m2 data status --data data --json")]
    Status {
        /// One dataset; all of them without it.
        #[arg(value_parser = dataset())]
        dataset: Option<&'static DatasetSpec>,
        /// Folder with real data.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Explains where a dataset or pretrained weights come from, how to get them and under which terms.
    #[command(after_help = "Examples:\n  i2m2 data explain mimic\n  i2m2 data explain fiber")]
    Explain {
        /// The dataset or the weights.
        #[arg(value_parser = explanation(), value_name = "NAME")]
        text: &'static str,
    },
}

/// A dataset to build, with the options that it asks for.
#[derive(Debug)]
pub(crate) struct BuildCommand {
    /// The dataset.
    pub dataset: &'static DatasetSpec,
    /// The options.
    pub options: ArgMatches,
}

fn builds() -> impl Iterator<Item = (&'static DatasetSpec, &'static dyn Build)> {
    registry::all().iter().filter_map(|spec| Some((*spec, spec.build?)))
}

impl Subcommand for BuildCommand {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        builds().fold(command, |command, (_, build)| command.subcommand(build.command()))
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        BuildCommand::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        builds().any(|(spec, _)| spec.id == name)
    }
}

impl FromArgMatches for BuildCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = matches.subcommand();
        let found =
            given.and_then(|(name, options)| Some((builds().find(|(spec, _)| spec.id == name)?.0, options)));
        let (dataset, options) = found.ok_or_else(|| clap::Error::new(ErrorKind::MissingSubcommand))?;
        Ok(BuildCommand { dataset, options: options.clone() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = BuildCommand::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Reads the id of a dataset.
/// What is told of a dataset or of pretrained weights.
fn explanation() -> impl TypedValueParser<Value = &'static str> {
    let datasets = registry::all().iter().map(|spec| spec.id);
    let names = datasets.chain(pretrained::all().iter().map(|spec| spec.id));
    PossibleValuesParser::new(names).try_map(|id| match pretrained::find(&id) {
        Some(spec) => Ok(spec.explain),
        None => registry::find(&id).map(|spec| spec.explain),
    })
}

fn dataset() -> impl TypedValueParser<Value = &'static DatasetSpec> {
    PossibleValuesParser::new(registry::all().iter().map(|spec| spec.id)).try_map(|id| registry::find(&id))
}

/// Commands about the store.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Lists the stored runs.
    List {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Re-hashes every stored run.
    Verify {
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Removes what no longer serves: temporary files and quarantined entries.
    #[command(after_help = "Examples:\n  i2m2 store gc --dry-run\n  i2m2 store gc --corrupt --states")]
    Gc {
        /// Says what would be removed.
        #[arg(long)]
        dry_run: bool,
        /// Also entries that are damaged (every file is hashed).
        #[arg(long)]
        corrupt: bool,
        /// Also entries that another version of i2m2 wrote, which this one does not read.
        #[arg(long)]
        outdated: bool,
        /// Also the states of half-trained runs, which can otherwise be continued.
        #[arg(long)]
        states: bool,
    },
    /// Writes stored runs into a folder that `import` reads.
    Export {
        /// The folder; must not exist yet.
        to: PathBuf,
        /// Leaves weights and logits out.
        #[arg(long, conflicts_with = "credentialed")]
        without_weights: bool,
        /// Includes weights and logits of runs on credentialed data (MIMIC-III, fastMRI), which otherwise stay here.
        #[arg(long)]
        credentialed: bool,
    },
    /// Takes in what `export` wrote, after verifying it.
    Import {
        /// The folder.
        from: PathBuf,
    },
}
