//! Which instruction set kernels run with.
//!
//! Invariant: only what the processor has is ever chosen, and no bit of any result depends on the choice.

use std::sync::atomic::{AtomicU8, Ordering};

/// An instruction set that kernels are compiled for, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Isa {
    /// Whatever the build's target guarantees.
    Portable = 1,
    /// AVX2 with FMA.
    Avx2 = 2,
    /// AVX-512 (F, DQ and VL) beside AVX2 with FMA.
    Avx512 = 3,
}

impl Isa {
    /// All of them.
    pub const ALL: [Isa; 3] = [Isa::Portable, Isa::Avx2, Isa::Avx512];

    /// What `I2M2_ISA` and reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }

    /// The best that this processor has.
    pub fn best() -> Isa {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx2") && has!("fma") {
                let wide = has!("avx512f") && has!("avx512dq") && has!("avx512vl");
                return if wide { Isa::Avx512 } else { Isa::Avx2 };
            }
        }
        Isa::Portable
    }
}

static CHOSEN: AtomicU8 = AtomicU8::new(0);

/// The instruction set in use: the best there is, or less where `I2M2_ISA` names less.
pub fn isa() -> Isa {
    match CHOSEN.load(Ordering::Relaxed) {
        1 => Isa::Portable,
        2 => Isa::Avx2,
        3 => Isa::Avx512,
        _ => {
            let wanted = std::env::var("I2M2_ISA").unwrap_or_default();
            force(Isa::ALL.into_iter().find(|isa| isa.name() == wanted).unwrap_or(Isa::Avx512))
        }
    }
}

/// Chooses the instruction set for the whole process (tests compare their bits). Returns the one now in use: at most the
/// best there is.
pub fn force(isa: Isa) -> Isa {
    let isa = isa.min(Isa::best());
    CHOSEN.store(isa as u8, Ordering::Relaxed);
    isa
}

/// Runs a test on every instruction set of this machine, one test at a time, and puts the best one back. Tests beside it
/// are not disturbed, because they get the same bits.
#[cfg(test)]
pub(crate) fn on_every_isa(mut test: impl FnMut(Isa)) {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for isa in Isa::ALL.into_iter().filter(|&isa| isa <= Isa::best()) {
        force(isa);
        test(isa);
    }
    force(Isa::best());
}
