//! `i2m2 data build avmnist`.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::ID;
use super::build::{BuildOptions, NoiseOptions, Stage, build};
use crate::data::build::{Build, BuildError, Built, Progress};

/// What AV-MNIST is rebuilt from.
#[derive(Debug, Args)]
struct Options {
    /// Folder with the four MNIST idx files.
    #[arg(long, value_name = "DIR")]
    mnist: PathBuf,
    /// Folder of the Free Spoken Digit Dataset (with recordings/).
    #[arg(long, value_name = "DIR")]
    fsdd: PathBuf,
    /// Folder of ESC clips, for --noise-power.
    #[arg(long, value_name = "DIR")]
    esc: Option<PathBuf>,
    /// Noise added to the speech: speech + P * noise.
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    noise_power: f64,
    /// Probability that a row keeps a clip of its own label, otherwise it gets the clip of a random row; 1 is correct
    /// pairing (A7) [default: the calibrated share].
    #[arg(long, value_name = "A")]
    misalignment: Option<f64>,
    /// Principal components kept of the images (A7).
    #[arg(long, value_name = "K", default_value_t = 4)]
    pca_components: usize,
    /// Root seed of the pairing.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    build_seed: u64,
}

/// Rebuilding the set.
pub(super) struct Rebuild;

impl Build for Rebuild {
    fn command(&self) -> Command {
        let about = "AV-MNIST from MNIST and the Free Spoken Digit Dataset";
        Options::augment_args(Command::new(ID)).about(about).long_about(None).after_help(
            "Examples:
  i2m2 data build avmnist --mnist mnist --fsdd fsdd --out data/avmnist
  i2m2 data build avmnist --mnist mnist --fsdd fsdd --esc esc10 --noise-power 3 --misalignment 1 --out data/avmnist",
        )
    }

    fn run(&self, arguments: &ArgMatches, out: &Path, progress: &dyn Progress) -> Result<Built, BuildError> {
        let options = Options::from_arg_matches(arguments)?;
        let mut build_options = BuildOptions::new(options.mnist, options.fsdd, out.to_owned());
        build_options.noise = match (options.noise_power, options.esc) {
            (0.0, _) => None,
            (power, Some(esc)) => Some(NoiseOptions { esc, power }),
            (_, None) => {
                let missing = "--noise-power needs --esc DIR, the folder of ESC clips";
                return Err(BuildError::Options(missing.to_owned()));
            }
        };
        if let Some(share) = options.misalignment {
            build_options.aligned_share = share;
        }
        build_options.components = options.pca_components;
        build_options.seed = options.build_seed;
        let report = build(&build_options, &|stage: Stage| progress.stage(&stage.to_string()))?;
        let summary = format!("({:.1} MB), digest {}", report.bytes as f64 / 1e6, report.digest);
        Built::new(&report, summary)
    }
}
