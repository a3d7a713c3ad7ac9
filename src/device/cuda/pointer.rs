//! Where a tensor of dfdx's stands in the device's memory.
//!
//! dfdx 0.13 offers no way to ask. Its `{:?}` prints the address, which costs 0.2 microseconds; and copying a tensor to the
//! host names the address to the driver, whose functions are ours ([`super::symbols`]), at the price of an empty vector.
//! The first is used if [`check`] finds that both agree, otherwise the second.
//!
//! Invariant: an address is only read of a contiguous tensor, and never from text that does not look as expected.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use dfdx::prelude::*;
use dfdx::shapes::{Shape, Unit};

use super::error::GpuError;
use super::library::Address;
use super::{buffer, probe};

/// Whether addresses are read out of `{:?}`.
static FROM_DEBUG: AtomicBool = AtomicBool::new(false);

/// The address of the first element; 0 for an empty tensor.
pub fn address<S: Shape, E: Unit, T>(tensor: &Tensor<S, E, Cuda, T>) -> Address
where
    Tensor<S, E, Cuda, T>: std::fmt::Debug,
{
    let from_debug = FROM_DEBUG.load(Ordering::Relaxed).then(|| from_debug(tensor)).flatten();
    from_debug.unwrap_or_else(|| by_probe(tensor))
}

/// As `{:?}` prints it.
fn from_debug(tensor: &impl std::fmt::Debug) -> Option<Address> {
    let mut scan = Scan::default();
    // An error ends the printing early: that is the purpose.
    let _ = write!(scan, "{tensor:?}");
    (scan.state == State::Done).then_some(scan.address)
}

/// As the driver is told when the tensor is copied to the host. Nothing is copied.
fn by_probe<S: Shape, E: Unit, T>(tensor: &Tensor<S, E, Cuda, T>) -> Address {
    let mut room = vec![E::default(); tensor.shape().num_elements()];
    probe::reads(|| tensor.copy_into(&mut room)).unwrap_or(0)
}

/// Checks on a tensor of known values that the address can be trusted, and how it is best found. Called once per process,
/// when the device is opened.
///
/// # Errors
/// If the memory there does not hold the tensor's values.
pub(super) fn check(device: &Cuda) -> Result<(), GpuError> {
    let failed = |why: String| GpuError::Other(format!("dfdx's tensors cannot be found on the GPU: {why}"));
    let values: Vec<f32> = (0..64u8).map(|i| f32::from(i) * 1.5 - 7.0).collect();
    let tensor =
        device.try_tensor_from_vec(values.clone(), (64,)).map_err(|error| failed(error.to_string()))?;
    let probed = by_probe(&tensor);
    let printed = from_debug(&tensor);
    FROM_DEBUG.store(printed == Some(probed) && !forced_fallback(), Ordering::Relaxed);
    let mut found = vec![0.0f32; values.len()];
    buffer::read(address(&tensor), &mut found)?;
    if found != values {
        return Err(failed(format!("at {probed:#x} there is {:?} ...", &found[..4])));
    }
    Ok(())
}

/// For tests of the other way.
fn forced_fallback() -> bool {
    std::env::var_os("I2M2_POINTER_PROBE").is_some()
}

/// Where a scan of `... cu_device_ptr: 1234, ...` is.
#[derive(Default, PartialEq, Eq)]
enum State {
    #[default]
    Before,
    Named,
    Digits,
    Done,
}

/// Reads the first number after `cu_device_ptr`.
#[derive(Default)]
struct Scan {
    state: State,
    address: Address,
}

impl Write for Scan {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
            match self.state {
                State::Before if word.starts_with("cu_device_ptr") => self.state = State::Named,
                State::Before => {}
                State::Named | State::Digits => {
                    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
                    for digit in word.bytes().take(digits) {
                        let shifted = self.address.checked_mul(10).ok_or(std::fmt::Error)?;
                        self.address = shifted.checked_add(u64::from(digit - b'0')).ok_or(std::fmt::Error)?;
                        self.state = State::Digits;
                    }
                    if digits < word.len() && self.state == State::Digits {
                        self.state = State::Done;
                        return Err(std::fmt::Error);
                    }
                    // Between the name and the number stand a colon and a space, and nothing else.
                    if self.state == State::Named && !word.bytes().all(|c| c == b':' || c == b' ') {
                        return Err(std::fmt::Error);
                    }
                }
                State::Done => return Err(std::fmt::Error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_out_of_what_looks_like_a_tensor() {
        #[derive(Debug)]
        #[expect(dead_code, reason = "printed")]
        struct Slice {
            cu_device_ptr: u64,
            len: usize,
        }
        #[derive(Debug)]
        #[expect(dead_code, reason = "printed")]
        struct Tensor {
            id: u64,
            data: Slice,
        }
        let tensor = Tensor { id: 17, data: Slice { cu_device_ptr: 140_234_567_890_944, len: 3 } };
        assert_eq!(from_debug(&tensor), Some(140_234_567_890_944));
        assert_eq!(from_debug(&"cu_device_ptr: none, 7"), None);
        assert_eq!(from_debug(&"no such field: 7"), None);
        assert_eq!(from_debug(&"cu_device_ptr: 99999999999999999999999,"), None);
    }
}
