//! Compiles all CUDA kernels with NVRTC, for several architectures, without any GPU: a source that does not compile cannot
//! land.
//!
//! ```text
//! scripts/cuda-env.sh nvrtc target/nvrtc && . target/nvrtc/env.sh
//! cargo run --release --features cuda --example compile_kernels -- sm_80 sm_90
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr)]

use i2m2::device::Precision;

fn main() -> anyhow::Result<()> {
    let architectures: Vec<String> = std::env::args().skip(1).collect();
    anyhow::ensure!(!architectures.is_empty(), "name at least one architecture, such as sm_90");
    let (major, minor) = i2m2::device::cuda::compiler_version()?;
    let kernels = i2m2::device::cuda::names(i2m2::ops::cuda::SOURCES).count();
    for architecture in architectures {
        for precision in [Precision::F32, Precision::Tf32] {
            let begun = std::time::Instant::now();
            let image = i2m2::device::cuda::compile(&architecture, precision, i2m2::ops::cuda::SOURCES)?;
            anyhow::ensure!(image.starts_with(b"\x7fELF"), "NVRTC gave no image for {architecture}");
            println!(
                "NVRTC {major}.{minor}, {architecture}, {precision:?}: {kernels} kernels, {} KiB, {:.1} s",
                image.len() / 1024,
                begun.elapsed().as_secs_f64()
            );
        }
    }
    Ok(())
}
