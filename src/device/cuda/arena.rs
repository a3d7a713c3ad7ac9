//! Memory on the device: the driver's, and arenas whose addresses stay good from step to step.
//!
//! Invariant: nothing in an arena is used twice, and it is freed as a whole, when nothing stands in it any more.

use std::ops::Range;
use std::sync::{PoisonError, RwLock};

use super::error;
use super::library::{Address, Code, Handle, NO_DEVICE, SUCCESS, driver};
use super::stream::{self, count};

/// Where the driver puts allocations, too.
const ALIGNMENT: usize = 256;
/// Bytes of the first piece of an arena; each further one is four times as large, up to [`LARGEST_PIECE`].
const FIRST_PIECE: usize = 512 << 10;
/// Bytes of a piece, unless one allocation needs more.
const LARGEST_PIECE: usize = 64 << 20;
/// What stands for no memory at all: never read, never freed.
pub(super) const NOTHING: Address = 0;

/// Memory that a recorded step works in. Nothing in it is used twice, so all that must be zero is zeroed at once.
#[derive(Default)]
pub(super) struct Arena {
    /// What is zeroed before every step.
    pub(super) zeroed: Pieces,
    /// What a kernel writes before another reads it.
    pub(super) plain: Pieces,
    /// Values that were copied from the host.
    constants: Vec<Range<Address>>,
    /// In use: begun allocations minus freed ones.
    pub(super) live: i64,
}

/// Pieces of memory, filled from their beginnings.
#[derive(Default)]
pub(super) struct Pieces {
    pieces: Vec<Range<Address>>,
    /// Used bytes of the last piece, and of those before.
    used: Vec<usize>,
}

impl Pieces {
    /// What is used: where, and how many bytes.
    pub(super) fn used(&self) -> impl Iterator<Item = (Address, usize)> {
        self.pieces.iter().map(|piece| piece.start).zip(self.used.iter().copied())
    }

    /// Room for that many bytes.
    pub(super) fn take(&mut self, bytes: usize, stream: Handle) -> Result<Address, Code> {
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

impl Arena {
    /// Room on the device for a value from the host that every step reads.
    pub(super) fn constant(&mut self, bytes: usize, stream: Handle) -> Result<Address, Code> {
        let constant = from_driver(bytes, stream)?;
        let range = constant..constant + bytes as u64;
        register(range.clone());
        self.constants.push(range);
        Ok(constant)
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

/// Whether an address stands in some arena.
pub(super) fn in_an_arena(address: Address) -> bool {
    let arenas = ARENAS.read().unwrap_or_else(PoisonError::into_inner);
    arenas.iter().any(|arena| arena.contains(&address))
}

/// Memory that is the caller's to free.
pub(super) fn from_driver(bytes: usize, stream: Handle) -> Result<Address, Code> {
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

/// Gives memory of [`from_driver`] back.
pub(super) fn to_driver(address: Address, stream: Handle) -> Code {
    match (driver(), stream::of(stream)) {
        // SAFETY: the driver gave this address, and it is freed once.
        (Ok(driver), Ok(stream)) => unsafe { (driver.free)(address, stream) },
        _ => NO_DEVICE,
    }
}
