//! `i2m2 data build fastmri`.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::build::{self, BuildOptions};
use super::{Geometry, Space};
use crate::data::StatCache;
use crate::data::build::{Build, BuildError, Built, Progress};

/// What the slices of fastMRI are made from.
#[derive(Debug, Args)]
struct Options {
    /// Folder with the volumes (*.h5) of singlecoil_train and singlecoil_val.
    #[arg(long, value_name = "DIR")]
    volumes: PathBuf,
    /// fastMRI+'s knee.csv.
    #[arg(long, value_name = "FILE")]
    annotations: PathBuf,
    /// fastMRI+'s knee_file_list.csv: the volumes that are split; without it, those of the folder.
    #[arg(long, value_name = "FILE")]
    file_list: Option<PathBuf>,
    /// Whose magnitude and phase the modalities are (F2).
    #[arg(long, value_name = "SPACE", default_value = "image")]
    space: Space,
}

/// Building the slices.
pub(super) struct Slices;

impl Build for Slices {
    fn command(&self) -> Command {
        let about = "fastMRI knee: slices from the raw single-coil volumes and the fastMRI+ annotations";
        Options::augment_args(Command::new("fastmri")).about(about).long_about(None).after_help(
            "Examples:
  i2m2 data build fastmri --volumes singlecoil --annotations knee.csv --file-list knee_file_list.csv --out data/fastmri

It can be interrupted: the same command goes on where it stopped.",
        )
    }

    fn run(&self, arguments: &ArgMatches, out: &Path, progress: &dyn Progress) -> Result<Built, BuildError> {
        let Options { volumes, annotations, file_list, space } = Options::from_arg_matches(arguments)?;
        let geometry = Geometry::FASTMRI;
        let options = BuildOptions { volumes, annotations, file_list, space, geometry, out: out.to_owned() };
        let built = build::build(&options, &Told(progress), &StatCache::in_memory())?;
        let (megabytes, volumes, dropped) = (built.bytes as f64 / 1e6, built.volumes, built.dropped);
        let summary = format!(
            "({megabytes:.1} MB, {volumes} volumes, {dropped} dropped as too wide), digest {}",
            built.digest
        );
        Built::new(&built, summary)
    }
}

struct Told<'a>(&'a dyn Progress);

impl build::Progress for Told<'_> {
    fn volume(&self, done: usize, all: usize, reused: bool) {
        self.0.part(done, all, "volumes", reused);
    }
}
