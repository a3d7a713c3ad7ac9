//! A training step, recorded once and sent again as one CUDA graph.
//!
//! While a step is recorded, the thread's memory comes out of an [`Arena`], whose addresses stay good, and every launch, fill
//! and copy is noted besides being sent. Sent again in the same order with the same arguments, they do the same step on
//! whatever is then in the inputs: parameters, running statistics, the batch's rows.
//!
//! Invariant: a recording is complete or refused. Whatever could not be repeated (a value read back, a kernel of dfdx, memory
//! that outlives the step) gives it up with a reason; the step itself has then been done all the same.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ffi::c_void;
use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use super::error::{self, GpuError};
use super::library::{Address, Code, Handle, INVALID_VALUE, NO_DEVICE, SUCCESS, UNKNOWN, driver};
use super::stream::{self, count};

/// Where the driver puts allocations, too.
const ALIGNMENT: usize = 256;
/// Bytes of the first piece of an arena; each further one is four times as large, up to [`LARGEST_PIECE`].
const FIRST_PIECE: usize = 512 << 10;
/// Bytes of a piece, unless one allocation needs more.
const LARGEST_PIECE: usize = 64 << 20;
/// What stands for no memory at all: never read, never freed.
const NOTHING: Address = 0;

/// One thing that a step does.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Launch { function: usize, grid: [u32; 3], block: [u32; 3], shared: u32, arguments: Box<[u64]> },
    Fill { address: Address, value: u8, bytes: usize },
    Copy { to: Address, from: Address, bytes: usize },
}

impl Node {
    /// Sends it.
    fn send(&self, stream: Handle) -> Code {
        let Ok(driver) = driver() else { return NO_DEVICE };
        // SAFETY: addresses and handles were good when this was recorded, and the recording keeps them so; the
        // argument block is as large as the kernel's parameter, which was checked when it was loaded.
        unsafe {
            match self {
                Node::Launch { function, grid, block, shared, arguments } => {
                    let mut parameters = [arguments.as_ptr().cast_mut().cast::<c_void>()];
                    let ([x, y, z], [u, v, w]) = (*grid, *block);
                    let function = std::ptr::with_exposed_provenance_mut(*function);
                    let parameters = parameters.as_mut_ptr();
                    (driver.launch)(
                        function,
                        x,
                        y,
                        z,
                        u,
                        v,
                        w,
                        *shared,
                        stream,
                        parameters,
                        std::ptr::null_mut(),
                    )
                }
                Node::Fill { address, value, bytes } => (driver.fill)(*address, *value, *bytes, stream),
                Node::Copy { to, from, bytes } => (driver.copy)(*to, *from, *bytes, stream),
            }
        }
    }
}

/// Memory that a recorded step works in. Nothing in it is used twice, so all that must be zero is zeroed at once.
#[derive(Default)]
struct Arena {
    /// What is zeroed before every step.
    zeroed: Pieces,
    /// What a kernel writes before another reads it.
    plain: Pieces,
    /// Values that were copied from the host.
    constants: Vec<Range<Address>>,
    /// In use: begun allocations minus freed ones.
    live: i64,
}

/// Pieces of memory, filled from their beginnings.
#[derive(Default)]
struct Pieces {
    pieces: Vec<Range<Address>>,
    /// Used bytes of the last piece, and of those before.
    used: Vec<usize>,
}

impl Pieces {
    fn take(&mut self, bytes: usize, stream: Handle) -> Result<Address, Code> {
        let bytes = bytes.next_multiple_of(ALIGNMENT);
        if let (Some(piece), Some(used)) = (self.pieces.last(), self.used.last_mut())
            && piece.start + (*used + bytes) as u64 <= piece.end
        {
            let address = piece.start + *used as u64;
            *used += bytes;
            return Ok(address);
        }
        let size = bytes.max((FIRST_PIECE << (2 * self.pieces.len().min(10))).min(LARGEST_PIECE));
        let start = from_driver(size, stream)?;
        register(start..start + size as u64);
        self.pieces.push(start..start + size as u64);
        self.used.push(bytes);
        Ok(start)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let pieces = self.zeroed.pieces.iter().chain(&self.plain.pieces).chain(&self.constants);
        for piece in pieces {
            if self.live > 0 {
                // Something still stands in it: better lost than freed under it.
                continue;
            }
            ARENAS.write().unwrap_or_else(PoisonError::into_inner).retain(|arena| arena != piece);
            to_driver(piece.start, std::ptr::null_mut());
        }
    }
}

/// All memory of all arenas: what is freed there is not the driver's to free.
static ARENAS: RwLock<Vec<Range<Address>>> = RwLock::new(Vec::new());

fn register(piece: Range<Address>) {
    ARENAS.write().unwrap_or_else(PoisonError::into_inner).push(piece);
}

fn in_an_arena(address: Address) -> bool {
    let arenas = ARENAS.read().unwrap_or_else(PoisonError::into_inner);
    arenas.iter().any(|arena| arena.contains(&address))
}

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

/// Makes what needs no zeros: a tensor that a kernel writes as a whole before anybody reads it.
pub fn uninitialised<T>(make: impl FnOnce() -> T) -> T {
    let before = UNINITIALISED.replace(true);
    let made = make();
    UNINITIALISED.set(before);
    made
}

fn from_driver(bytes: usize, stream: Handle) -> Result<Address, Code> {
    let mut address = NOTHING;
    count(|counts| counts.allocations += 1);
    // SAFETY: the driver writes an address.
    let code =
        unsafe { (driver().map_err(|_| NO_DEVICE)?.allocate)(&raw mut address, bytes, stream::of(stream)?) };
    if code == SUCCESS {
        Ok(address)
    } else {
        error::remember("allocation on the GPU", code, Some(bytes));
        Err(code)
    }
}

fn to_driver(address: Address, stream: Handle) -> Code {
    match (driver(), stream::of(stream)) {
        // SAFETY: the driver gave this address, and it is freed once.
        (Ok(driver), Ok(stream)) => unsafe { (driver.free)(address, stream) },
        _ => NO_DEVICE,
    }
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
    if recording(|_| ()).is_none() {
        return send_up(to);
    }
    // Within a recording: a constant, kept on the device, and copied from there in every step.
    let constant = match from_driver(bytes, on) {
        Ok(constant) => constant,
        Err(code) => return code,
    };
    let range = constant..constant + bytes as u64;
    register(range.clone());
    recording(|recorder| recorder.arena.constants.push(range));
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
    if super::pointer::probed(from) {
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
        let zeroed = arena.zeroed.pieces.iter().zip(&arena.zeroed.used);
        let fills = zeroed.map(|(piece, &bytes)| Node::Fill { address: piece.start, value: 0, bytes });
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

/// An instantiated CUDA graph.
struct Graph {
    graph: Handle,
    executable: Handle,
}

impl Graph {
    /// Captures what sending the nodes does. A driver that cannot gives an error; sending them one by one is as good.
    fn capture(nodes: &[Node]) -> Result<Self, Code> {
        /// CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads may do as they like meanwhile.
        const THREAD_LOCAL: i32 = 1;
        if std::env::var_os("I2M2_NO_GRAPH").is_some() {
            return Err(INVALID_VALUE);
        }
        let driver = driver().map_err(|_| NO_DEVICE)?;
        let (Some(begin), Some(end), Some(instantiate)) =
            (driver.capture_begin, driver.capture_end, driver.graph_instantiate)
        else {
            return Err(UNKNOWN);
        };
        if driver.graph_launch.is_none() {
            return Err(UNKNOWN);
        }
        let stream = stream::of(std::ptr::null_mut())?;
        let (mut graph, mut executable) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the stream is this thread's own; the nodes are sent to it alone; handles are written by the driver.
        unsafe {
            match begin(stream, THREAD_LOCAL) {
                SUCCESS => {}
                code => return Err(code),
            }
            let sent = nodes.iter().map(|node| node.send(stream)).find(|&code| code != SUCCESS);
            let ended = end(stream, &raw mut graph);
            let captured = Graph { graph, executable };
            if let Some(code) = sent {
                return Err(code);
            }
            if ended != SUCCESS || graph.is_null() {
                return Err(ended);
            }
            match instantiate(&raw mut executable, captured.graph, 0) {
                SUCCESS => {
                    let graph = captured.graph;
                    std::mem::forget(captured);
                    Ok(Graph { graph, executable })
                }
                code => Err(code),
            }
        }
    }

    fn launch(&self, stream: Handle) -> Code {
        match driver().ok().and_then(|driver| driver.graph_launch) {
            // SAFETY: instantiated by `capture`, not destroyed before `self` is.
            Some(launch) => unsafe { launch(self.executable, stream) },
            None => UNKNOWN,
        }
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        let Ok(driver) = driver() else { return };
        // A graph must not be destroyed under the step that is still at work.
        let _ = stream::wait();
        for (handle, destroy) in
            [(self.executable, driver.graph_exec_destroy), (self.graph, driver.graph_destroy)]
        {
            if let (false, Some(destroy)) = (handle.is_null(), destroy) {
                // SAFETY: made by `capture`, destroyed once.
                unsafe { destroy(handle) };
            }
        }
    }
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
