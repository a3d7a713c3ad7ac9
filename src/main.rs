//! Parse, resolve, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    i2m2::cli::main()
}
