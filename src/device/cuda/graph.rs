//! What a step sends to the GPU, one by one or as one CUDA graph.
//!
//! Invariant: both ways send the same in the same order; a driver that knows no graphs only costs time.

use std::ffi::c_void;

use super::library::{Address, Code, Handle, INVALID_VALUE, NO_DEVICE, SUCCESS, UNKNOWN, driver};
use super::stream;

/// One thing that a step does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Launch { function: usize, grid: [u32; 3], block: [u32; 3], shared: u32, arguments: Box<[u64]> },
    Fill { address: Address, value: u8, bytes: usize },
    Copy { to: Address, from: Address, bytes: usize },
}

impl Node {
    /// Sends it.
    pub(super) fn send(&self, stream: Handle) -> Code {
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

/// An instantiated CUDA graph.
pub(super) struct Graph {
    graph: Handle,
    executable: Handle,
}

impl Graph {
    /// Captures what sending the nodes does. A driver that cannot gives an error; sending them one by one is as good.
    pub(super) fn capture(nodes: &[Node]) -> Result<Self, Code> {
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

    pub(super) fn launch(&self, stream: Handle) -> Code {
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
        stream::synchronize(std::ptr::null_mut());
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
