//! Learns from where a copy to the host would read, without copying.
//!
//! Invariant: while a thread probes, its copies to the host move nothing and wait for nothing.

use std::cell::Cell;

use super::library::Address;

thread_local! {
    /// Set while a copy to the host only serves to learn the address.
    static PROBE: Cell<Option<Option<Address>>> = const { Cell::new(None) };
}

/// From where the copy that is made would read; `None` if it is none.
pub(super) fn reads(copy: impl FnOnce()) -> Option<Address> {
    PROBE.set(Some(None));
    copy();
    PROBE.take().flatten()
}

/// Takes note of the address that a copy to the host reads from, if that is all it is for.
pub(super) fn probed(from: Address) -> bool {
    PROBE
        .try_with(|probe| probe.get().is_some() && probe.replace(Some(Some(from))).is_some())
        .unwrap_or(false)
}

/// Whether a copy to the host only serves to learn an address: then there is nothing to wait for.
pub(super) fn probing() -> bool {
    PROBE.try_with(|probe| probe.get().is_some()).unwrap_or(false)
}
