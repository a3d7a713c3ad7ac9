//! Memory between steps.
//!
//! Invariant: only how fast a step is depends on this, never what it gives.

use std::sync::Once;

/// Keeps the memory of one step for the next: a step then takes nothing from the system, where models with small tensors
/// otherwise spend two fifths of it in page faults. Best called before the first thread is started.
///
/// dfdx's own cache is no way out: it also keeps vectors that were handed to it, and so grows with every step.
pub fn keep_freed_memory() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        for (parameter, value) in [
            // Arenas of single threads are heaps of 64 MiB that come and go with their largest blocks.
            (libc::M_ARENA_MAX, 1),
            // Blocks up to the largest size that glibc allows for are taken from the heap, which is never cut.
            (libc::M_MMAP_THRESHOLD, 32 << 20),
            (libc::M_TRIM_THRESHOLD, i32::MAX),
        ] {
            // SAFETY: `mallopt` only sets a number; it takes the allocator's lock.
            unsafe { libc::mallopt(parameter, value) };
        }
    });
}
