//! What every model gives after a few training steps, as a digest for each instruction set of this machine; fails where
//! two differ. Sizes are small and odd, so that it also ends in an emulator (`scripts/emulate-avx512.sh`).
//!
//! ```text
//! cargo run --release --example isa_digest
//! cargo rustc --release --example isa_digest -- -C target-feature=+crt-static
//! scripts/emulate-avx512.sh target/release/examples/isa_digest --fast avmnist/inter-lrtf mimic/series mimic/static mimic/inter small-resnet
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod common;

use anyhow::ensure;
use common::Model;
use i2m2::digest::{Digest, Hasher};
use i2m2::experiment::workload::{MODELS, SMALL_RESNET};
use i2m2::ops::simd::{Isa, force, isa};
use strum::VariantArray as _;

/// Losses and parameters of three steps on batches that fill no, some and several vectors.
fn digest(name: &str) -> anyhow::Result<Digest> {
    let mut hasher = Hasher::new("i2m2 instruction sets");
    let (batches, sides): (&[usize], &[usize]) =
        if name == SMALL_RESNET { (&[1, 3], &[27]) } else { (&[5, 16, 43], &[18, 66]) };
    for &batch in batches {
        let mut model = Model::with(name, batch, sides)?;
        for _ in 0..3 {
            hasher.field(&model.step()?.to_le_bytes());
        }
        for (path, parameter) in model.learner.experts.named_tensors().parameters {
            hasher.field(path.as_bytes());
            for value in parameter.value.as_vec() {
                hasher.raw(&value.to_le_bytes());
            }
        }
    }
    Ok(hasher.finish())
}

fn main() -> anyhow::Result<()> {
    // Emulators are slow, and software fused multiply-adds slower still: AVX2 stands for the rest there.
    let (flags, names): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let least = if flags.contains(&"--fast".to_owned()) { Isa::Avx2 } else { Isa::Portable };
    let sets: Vec<Isa> =
        Isa::VARIANTS.iter().copied().filter(|&isa| least <= isa && isa <= Isa::best()).collect();
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let models = MODELS.into_iter().chain([SMALL_RESNET]);
    for name in models.filter(|name| wanted(name)) {
        let mut digests = Vec::new();
        for &set in &sets {
            ensure!(force(set) == set && isa() == set, "{set} is not here");
            let digest = digest(name)?;
            println!("{name:<20} {:<8} {digest}", set.to_string());
            digests.push(digest);
        }
        ensure!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{name}: instruction sets differ");
    }
    println!("equal: {}", sets.iter().map(Isa::to_string).collect::<Vec<_>>().join(", "));
    Ok(())
}
