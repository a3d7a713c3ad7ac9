//! The machine a run was made on.
//!
//! Invariant: what it is, never which one it is.

use std::collections::BTreeSet;
use std::fs::read_to_string;

use serde::{Deserialize, Serialize};

/// The machine a run was made on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Operating system and kernel version.
    pub os: String,
    /// Processor model.
    pub cpu: String,
    /// Processors that this process may use.
    pub cores: usize,
    /// Bytes of memory; absent where the system does not say.
    pub memory: Option<u64>,
    /// Instruction sets of the processor that kernels might use.
    pub cpu_features: Vec<String>,
}

impl Machine {
    pub(super) fn here() -> Self {
        let unknown = || "unknown".to_owned();
        let release = read_to_string("/etc/os-release").unwrap_or_default();
        let os = field(&release, "PRETTY_NAME", '=')
            .map_or_else(|| std::env::consts::OS.to_owned(), |name| name.trim_matches('"').to_owned());
        let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        // The version's number; what follows is up to whoever built the kernel.
        let kernel = kernel.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap_or_default();
        let cpu = read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = read_to_string("/proc/meminfo").unwrap_or_default();
        Machine {
            os: format!("{os}, kernel {}", if kernel.is_empty() { "unknown" } else { kernel }),
            cpu: field(&cpu, "model name", ':').map_or_else(unknown, str::to_owned),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: kilobytes(&memory, "MemTotal"),
            cpu_features: cpu_features(),
        }
    }
}

/// Largest resident memory of this process so far, in bytes; `None` where the system does not say.
pub fn peak_memory() -> Option<u64> {
    kilobytes(&read_to_string("/proc/self/status").ok()?, "VmHWM")
}

/// Pages that the system has handed to this process so far; `None` where it does not say.
pub fn page_faults() -> Option<u64> {
    let stat = read_to_string("/proc/self/stat").ok()?;
    // The name, which may hold anything, ends at the last parenthesis; minor and major faults follow as 8th and 10th.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(7).step_by(2);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

fn field<'a>(text: &'a str, name: &str, separator: char) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(separator))
        .find_map(|(key, value)| (key.trim() == name).then_some(value.trim()))
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    Some(field(text, name, ':')?.strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(target_arch = "x86_64")]
fn cpu_features() -> Vec<String> {
    let mut found = BTreeSet::new();
    macro_rules! detect {
        ($($name:tt),*) => {
            $(if std::arch::is_x86_feature_detected!($name) { found.insert($name.to_owned()); })*
        };
    }
    detect!("sse4.2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512dq", "avx512vl", "sha");
    found.into_iter().collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_features() -> Vec<String> {
    BTreeSet::<String>::new().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "MemTotal:       16384 kB\nMemTotalX: 1 kB\nmodel name\t: Some CPU: fast\n";
        assert_eq!(kilobytes(text, "MemTotal"), Some(16384 * 1024));
        assert_eq!(field(text, "model name", ':'), Some("Some CPU: fast"));
        assert_eq!(kilobytes(text, "Mem"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn peak_memory_grows_with_what_is_touched() {
        let (before, faults) = (peak_memory().unwrap(), page_faults().unwrap());
        let touched = vec![1u8; before as usize + (64 << 20)];
        assert!(std::hint::black_box(&touched).iter().all(|&b| b == 1));
        assert!(peak_memory().unwrap() >= before + (32 << 20));
        assert!(page_faults().unwrap() > faults);
    }

    #[test]
    fn nothing_names_the_machine() {
        let described = format!("{:?}", Machine::here());
        if let Ok(host) = read_to_string("/proc/sys/kernel/hostname") {
            let host = host.trim();
            // A host may be called after its distribution.
            assert!(host.len() < 8 || !described.contains(host), "{described}");
        }
    }
}
