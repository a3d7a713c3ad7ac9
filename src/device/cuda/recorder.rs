//! A training step, recorded once and sent again as one CUDA graph.
//!
//! While a step is recorded, the thread's memory comes out of an [`Arena`], whose addresses stay good, and every launch, fill
//! and copy is noted besides being sent. Sent again in the same order with the same arguments, they do the same step on
//! whatever is then in the inputs: parameters, running statistics, the batch's rows.
//!
//! Invariant: a recording is complete or refused. Whatever could not be repeated (a value read back, a kernel of dfdx, memory
//! that outlives the step, a value of the host's that is another one in every step) gives it up with a reason; the step itself has then been done all the same.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ffi::c_void;

use super::arena::{Arena, NOTHING, from_driver, in_an_arena, to_driver};
use super::error::GpuError;
use super::graph::{Graph, Node};
use super::library::{Address, Code, Handle, NO_DEVICE, SUCCESS, driver};
use super::probe;
use super::stream::{self, count};

/// A recording under way.
#[derive(Default)]
struct Recorder {
    arena: Arena,
    nodes: Vec<Node>,
    /// Allocations that were not zeroed yet.
    fresh: BTreeSet<Address>,
    refused: Option<String>,
}

thread_local! {
    static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) };
    static UNINITIALISED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `with` on the recording of this thread, if there is one.
fn recording<T>(with: impl FnOnce(&mut Recorder) -> T) -> Option<T> {
    RECORDER.try_with(|recorder| recorder.borrow_mut().as_mut().map(with)).ok().flatten()
}

/// Gives up the recording of this thread, if there is one.
pub(super) fn give_up(why: &str) {
    recording(|recorder| {
        recorder.refused.get_or_insert_with(|| why.to_owned());
    });
}

/// Says that the step uses a value of the host's that is another one in the next step: a recording, which would send the same one
/// again, is given up. Tokens of a text, its padding, and the keys of dropout are such values; so FIBER's training steps are sent
/// as they are. (They could be recorded once such values stand in buffers at fixed addresses that are written before each step,
/// as the numbers of a batch's rows are.)
pub fn varies(what: &str) {
    give_up(&format!("{what} differ from step to step"));
}

/// Makes what needs no zeros: a tensor that a kernel writes as a whole before anybody reads it.
pub fn uninitialised<T>(make: impl FnOnce() -> T) -> T {
    let before = UNINITIALISED.replace(true);
    let made = make();
    UNINITIALISED.set(before);
    made
}

pub(super) fn allocate(bytes: usize, on: Handle) -> Result<Address, Code> {
    // The driver refuses to allocate nothing, which dfdx does.
    if bytes == 0 {
        return Ok(NOTHING);
    }
    let recorded = recording(|recorder| {
        let arena = &mut recorder.arena;
        let plain = UNINITIALISED.get();
        let pieces = if plain { &mut arena.plain } else { &mut arena.zeroed };
        let address = pieces.take(bytes, on)?;
        arena.live += 1;
        if !plain {
            recorder.fresh.insert(address);
        }
        Ok(address)
    });
    recorded.unwrap_or_else(|| from_driver(bytes, on))
}

pub(super) fn free(address: Address, on: Handle) -> Code {
    if address == NOTHING {
        return SUCCESS;
    }
    if !in_an_arena(address) {
        return to_driver(address, on);
    }
    recording(|recorder| recorder.arena.live -= 1);
    SUCCESS
}

/// Sends a node, and notes it.
fn send(node: Node, on: Handle) -> Code {
    let code = match stream::of(on) {
        Ok(stream) => node.send(stream),
        Err(code) => code,
    };
    if code == SUCCESS {
        recording(|recorder| recorder.nodes.push(node));
    }
    code
}

pub(super) fn fill(address: Address, value: u8, bytes: usize, on: Handle) -> Code {
    if bytes == 0 || UNINITIALISED.get() {
        return SUCCESS;
    }
    count(|counts| counts.fills += 1);
    let node = Node::Fill { address, value, bytes };
    // The first fill of an allocation is done for all of them at the beginning of a step.
    if value == 0 && recording(|recorder| recorder.fresh.remove(&address)) == Some(true) {
        return stream::of(on).map_or_else(|code| code, |stream| node.send(stream));
    }
    send(node, on)
}

pub(super) fn copy(to: Address, from: Address, bytes: usize, on: Handle) -> Code {
    if bytes == 0 {
        return SUCCESS;
    }
    count(|counts| counts.copies += 1);
    send(Node::Copy { to, from, bytes }, on)
}

/// # Safety
/// `from` must hold `bytes` readable bytes.
pub(super) unsafe fn upload(to: Address, from: *const c_void, bytes: usize, on: Handle) -> Code {
    if bytes == 0 {
        return SUCCESS;
    }
    count(|counts| counts.uploads += 1);
    let send_up = |to| match (driver(), stream::of(on)) {
        // SAFETY: the caller vouches for the bytes; memory that is not pinned is copied before the call returns.
        (Ok(driver), Ok(stream)) => unsafe { (driver.upload)(to, from, bytes, stream) },
        _ => NO_DEVICE,
    };
    // Within a recording: a constant, kept on the device, and copied from there in every step.
    let constant = match recording(|recorder| recorder.arena.constant(bytes, on)) {
        None => return send_up(to),
        Some(Ok(constant)) => constant,
        Some(Err(code)) => return code,
    };
    match send_up(constant) {
        SUCCESS => copy(to, constant, bytes, on),
        code => code,
    }
}

/// # Safety
/// `to` must hold `bytes` writable bytes until the stream was waited for.
pub(super) unsafe fn download(to: *mut c_void, from: Address, bytes: usize, on: Handle) -> Code {
    if bytes == 0 {
        return SUCCESS;
    }
    if probe::probed(from) {
        return SUCCESS;
    }
    give_up("a value was read back within the step");
    count(|counts| counts.downloads += 1);
    match (driver(), stream::of(on)) {
        // SAFETY: the caller vouches for the bytes.
        (Ok(driver), Ok(stream)) => unsafe { (driver.download)(to, from, bytes, stream) },
        _ => NO_DEVICE,
    }
}

/// Waits for a stream.
pub(super) fn synchronize(on: Handle) -> Code {
    if probe::probing() {
        return SUCCESS;
    }
    give_up("the host waited for the device within the step");
    stream::synchronize(on)
}

/// Waits until everything that this thread sent is done.
///
/// # Errors
/// Whatever went wrong on the device meanwhile.
pub fn wait() -> Result<(), GpuError> {
    GpuError::check("waiting for the GPU", synchronize(std::ptr::null_mut()))
}

/// Launches a kernel of ours; `arguments` is its one parameter.
pub(super) fn launch(
    function: usize,
    grid: [u32; 3],
    block: [u32; 3],
    shared: u32,
    arguments: Box<[u64]>,
) -> Code {
    count(|counts| counts.launches += 1);
    send(Node::Launch { function, grid, block, shared, arguments }, std::ptr::null_mut())
}

/// A step that can be sent again.
pub struct Recorded {
    nodes: Vec<Node>,
    graph: Option<Graph>,
    /// Keeps the addresses good.
    _arena: Arena,
}

/// What became of a recording.
pub enum Recording {
    /// It can be sent again.
    Done(Recorded),
    /// It cannot, and why.
    Refused(String),
}

/// Does a step and records it.
///
/// # Errors
/// What the step itself gives.
pub fn record<T, E>(step: impl FnOnce() -> Result<T, E>) -> Result<(T, Recording), E> {
    RECORDER.set(Some(Recorder::default()));
    let stop = StopOnDrop;
    let done = step();
    std::mem::forget(stop);
    let recorder = RECORDER.take();
    let done = done?;
    let recording = match recorder {
        None => Recording::Refused("the recording was lost".to_owned()),
        Some(Recorder { refused: Some(why), .. }) => Recording::Refused(why),
        Some(recorder) if recorder.arena.live != 0 => {
            Recording::Refused(format!("{} tensors of the step outlive it", recorder.arena.live))
        }
        Some(recorder) => Recording::Done(Recorded::of(recorder)),
    };
    Ok((done, recording))
}

/// Ends the recording of a step that panics.
struct StopOnDrop;

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        RECORDER.set(None);
    }
}

impl Recorded {
    fn of(recorder: Recorder) -> Self {
        let Recorder { arena, nodes, .. } = recorder;
        let fills = arena.zeroed.used().map(|(address, bytes)| Node::Fill { address, value: 0, bytes });
        let nodes: Vec<Node> = fills.chain(nodes).collect();
        let graph = Graph::capture(&nodes).ok();
        Recorded { nodes, graph, _arena: arena }
    }

    /// Does the step again.
    ///
    /// # Errors
    /// When the device refuses it.
    pub fn again(&self) -> Result<(), GpuError> {
        let stream = stream::of(std::ptr::null_mut())
            .map_err(|code| GpuError::Call { call: "making a stream".to_owned(), code })?;
        if let Some(graph) = &self.graph {
            count(|counts| counts.graphs += 1);
            return GpuError::check("sending a recorded step", graph.launch(stream));
        }
        for node in &self.nodes {
            if matches!(node, Node::Launch { .. }) {
                count(|counts| counts.launches += 1);
            }
            GpuError::check("sending a recorded step", node.send(stream))?;
        }
        Ok(())
    }

    /// Launches of kernels, fills and copies in one step.
    pub fn size(&self) -> StepSize {
        let count = |is: fn(&Node) -> bool| self.nodes.iter().filter(|node| is(node)).count();
        StepSize {
            launches: count(|node| matches!(node, Node::Launch { .. })),
            fills: count(|node| matches!(node, Node::Fill { .. })),
            copies: count(|node| matches!(node, Node::Copy { .. })),
            graph: self.graph.is_some(),
        }
    }
}

/// What a recorded step is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StepSize {
    /// Launches of kernels.
    pub launches: usize,
    /// Fills of memory.
    pub fills: usize,
    /// Copies within the device.
    pub copies: usize,
    /// Whether they are sent as one graph.
    pub graph: bool,
}

/// These need a GPU, or the emulated one (see `tests/cuda.rs`).
#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Precision;
    use crate::device::cuda::{Address, Buffer, Grid, arguments, launch};

    // As in `ops/concat/concat.cu`: adds `from` to `to`.
    arguments! {
        struct AddTo {
            from: Address,
            to: Address,
            count: u32,
            padding: u32,
        }
    }

    fn add(from: &Buffer<f32>, to: &Buffer<f32>) -> Result<(), GpuError> {
        let arguments =
            AddTo { from: from.address(), to: to.address(), count: from.len() as u32, padding: 0 };
        launch("add_to", Grid::over(from.len()), arguments)
    }

    /// The device; kept until the end of the test.
    fn open() -> dfdx::prelude::Cuda {
        crate::ops::cuda::open(0, Precision::F32).expect("a GPU, or the emulated one: see tests/cuda.rs")
    }

    #[test]
    fn a_recorded_step_does_the_same_again_with_fresh_zeros_and_its_constants() {
        let _device = open();
        let total = Buffer::of(&[1.0f32, 2.0]).unwrap();
        let step = || {
            let constant = Buffer::of(&[10.0f32, 20.0])?;
            let sum = Buffer::<f32>::zeros(2)?;
            add(&constant, &sum)?;
            // Were the zeros not fresh in every step, this would grow from step to step.
            add(&sum, &total)
        };
        let ((), Recording::Done(recorded)) = record(step).unwrap() else { panic!("refused") };
        assert_eq!(total.read(0, 2).unwrap(), [11.0, 22.0], "a recorded step is done");
        for _ in 0..3 {
            recorded.again().unwrap();
        }
        assert_eq!(total.read(0, 2).unwrap(), [41.0, 82.0]);
        let StepSize { launches, fills, copies, .. } = recorded.size();
        assert_eq!((launches, fills, copies), (2, 1, 1));
    }

    #[test]
    fn what_cannot_be_repeated_is_refused_with_its_reason_and_done_all_the_same() {
        let _device = open();
        let why = |recording| match recording {
            Recording::Refused(why) => why,
            Recording::Done(_) => panic!("recorded"),
        };
        let values = Buffer::of(&[3.0f32]).unwrap();
        let (read, recording) = record(|| values.read(0, 1)).unwrap();
        assert_eq!(read, [3.0]);
        assert!(why(recording).contains("read back"));
        let (kept, recording) = record(|| Buffer::of(&[4.0f32])).unwrap();
        assert!(why(recording).contains("1 tensors of the step outlive it"));
        // What outlives a refused recording stays good.
        add(&values, &kept).unwrap();
        assert_eq!(kept.read(0, 1).unwrap(), [7.0]);
        // An error, or a panic, ends the recording.
        assert!(record(|| Err::<(), _>(GpuError::Other("no".to_owned()))).is_err());
        let panicked = std::panic::catch_unwind(|| record(|| -> Result<(), GpuError> { panic!("no") }));
        assert!(panicked.is_err());
        let outside = Buffer::of(&[5.0f32]).unwrap();
        assert!(!in_an_arena(outside.address()));
    }

    #[test]
    fn nothing_is_allocated_for_nothing() {
        let _device = open();
        let empty = Buffer::<f32>::of(&[]).unwrap();
        assert!(empty.is_empty() && empty.address() == NOTHING);
        assert!(empty.read(0, 0).unwrap().is_empty());
        assert!(empty.read(0, 1).is_err());
    }
}
