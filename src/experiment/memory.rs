//! Memory between steps.
//!
//! Invariant: only how fast a step is depends on this, never what it gives.

/// Larger than any tensor of a training step, at most what glibc takes as a hint (32 MiB).
const HINT: usize = 16 << 20;

/// Keeps the allocator from handing the memory of one step back to the system, only to ask for it in the next.
///
/// glibc learns from the largest block that was freed which blocks are worth keeping; models with small tensors would
/// otherwise spend two fifths of a step in page faults. The block is never touched, so it costs no memory. dfdx's own
/// cache is no way out: it also keeps vectors that were handed to it, and so grows with every step.
pub fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(std::hint::black_box(HINT))));
}
