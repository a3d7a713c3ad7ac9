//! One stream per thread, and what was sent to it.
//!
//! Invariant: the default stream is never used: where dfdx names it, the thread's own stream stands in. So runs side by side
//! do not wait for each other, and a step can be captured as a graph. What threads share is complete (synchronised)
//! before another thread sees it.

use std::cell::{Cell, RefCell};
use std::sync::Mutex;

use super::library::{Code, Handle, NO_DEVICE, SUCCESS, driver};

/// CU_STREAM_NON_BLOCKING: does not wait for the default stream.
const NON_BLOCKING: u32 = 1;

/// What a thread has sent to its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Launches of our kernels, one by one.
    pub launches: u64,
    /// Launches of kernels of dfdx.
    pub foreign: u64,
    /// Launches of whole recorded steps.
    pub graphs: u64,
    /// Fills of memory.
    pub fills: u64,
    /// Copies from host to device.
    pub uploads: u64,
    /// Copies from device to host.
    pub downloads: u64,
    /// Copies within the device.
    pub copies: u64,
    /// Allocations.
    pub allocations: u64,
    /// Multiply-adds of the products (those with what is outside of an image included).
    pub multiply_adds: u64,
}

impl Counts {
    /// What was sent since an earlier count.
    #[must_use]
    pub fn since(self, before: Counts) -> Counts {
        Counts {
            launches: self.launches - before.launches,
            foreign: self.foreign - before.foreign,
            graphs: self.graphs - before.graphs,
            fills: self.fills - before.fills,
            uploads: self.uploads - before.uploads,
            downloads: self.downloads - before.downloads,
            copies: self.copies - before.copies,
            allocations: self.allocations - before.allocations,
            multiply_adds: self.multiply_adds - before.multiply_adds,
        }
    }
}

/// A stream, handed from thread to thread.
struct Owned(Handle);

// SAFETY: the driver lets any thread use a stream.
unsafe impl Send for Owned {}

/// Streams of threads that have ended.
static IDLE: Mutex<Vec<Owned>> = Mutex::new(Vec::new());

/// Gives the stream back when the thread ends.
struct Own(Cell<Handle>);

impl Drop for Own {
    fn drop(&mut self) {
        if !self.0.get().is_null()
            && let Ok(mut idle) = IDLE.lock()
        {
            idle.push(Owned(self.0.get()));
        }
    }
}

thread_local! {
    static STREAM: Own = const { Own(Cell::new(std::ptr::null_mut())) };
    static COUNTS: RefCell<Counts> = const { RefCell::new(Counts {
        launches: 0, foreign: 0, graphs: 0, fills: 0, uploads: 0, downloads: 0, copies: 0, allocations: 0,
        multiply_adds: 0,
    }) };
}

/// Adds to the thread's counts.
pub(crate) fn count(add: impl FnOnce(&mut Counts)) {
    // A thread that is ending counts no more.
    let _ = COUNTS.try_with(|counts| add(&mut counts.borrow_mut()));
}

/// What this thread has sent so far.
pub fn counts() -> Counts {
    COUNTS.with(|counts| *counts.borrow())
}

/// The stream that stands in for the one named: the thread's own for the default stream.
pub(super) fn of(stream: Handle) -> Result<Handle, Code> {
    if !stream.is_null() {
        return Ok(stream);
    }
    // A thread that is ending (and drops what it held) has no stream of its own any more; the default one waits for all.
    STREAM.try_with(|own| own_or_new(&own.0)).unwrap_or(Ok(std::ptr::null_mut()))
}

fn own_or_new(own: &Cell<Handle>) -> Result<Handle, Code> {
    if own.get().is_null() {
        let idle = IDLE.lock().ok().and_then(|mut idle| idle.pop());
        own.set(match idle {
            Some(Owned(stream)) => stream,
            None => {
                let mut stream = std::ptr::null_mut();
                let driver = driver().map_err(|_| NO_DEVICE)?;
                // SAFETY: the driver writes a handle.
                match unsafe { (driver.stream_create)(&raw mut stream, NON_BLOCKING) } {
                    SUCCESS => stream,
                    code => return Err(code),
                }
            }
        });
    }
    Ok(own.get())
}

/// Waits for a stream.
pub(super) fn synchronize(stream: Handle) -> Code {
    let Ok(driver) = driver() else { return NO_DEVICE };
    match of(stream) {
        // SAFETY: a live stream.
        Ok(stream) => unsafe { (driver.stream_synchronize)(stream) },
        Err(code) => code,
    }
}
