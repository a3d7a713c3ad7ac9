//! Which instruction set kernels run with.
//!
//! Invariant: only what the processor has is ever chosen, and no bit of any result depends on the choice.

use std::sync::atomic::{AtomicU8, Ordering};

use strum::{Display, EnumString, FromRepr, VariantArray};

/// An instruction set that kernels are compiled for, from the least to the most.
///
/// `I2M2_ISA` and reports call them by their names in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Display, EnumString, FromRepr, VariantArray)]
#[strum(serialize_all = "lowercase")]
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
    Isa::from_repr(CHOSEN.load(Ordering::Relaxed)).unwrap_or_else(|| {
        let wanted = std::env::var("I2M2_ISA").unwrap_or_default();
        force(wanted.parse().unwrap_or(Isa::Avx512))
    })
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
    for &isa in Isa::VARIANTS.iter().filter(|&&isa| isa <= Isa::best()) {
        force(isa);
        test(isa);
    }
    force(Isa::best());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_environment_variable() {
        let names: Vec<String> = Isa::VARIANTS.iter().map(Isa::to_string).collect();
        assert_eq!(names, ["portable", "avx2", "avx512"]);
        assert!(Isa::VARIANTS.iter().zip(&names).all(|(isa, name)| name.parse() == Ok(*isa)));
    }
}
