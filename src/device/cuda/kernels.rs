//! Our kernels: compiled by NVRTC for the device that is here, kept on disk, loaded once per process.
//!
//! Invariant: what is loaded was compiled from the sources of this program for this architecture by this compiler: its
//! file is named by the digest of all three, and ends with the digest of its content. A cache that is damaged, or cannot be
//! written, costs a compilation and nothing else.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::devices::{Gpu, compiler_version, driver_version};
use super::error::{GpuError, describe};
use super::library::{Handle, compiler, driver};
use super::recorder;
use crate::device::Precision;
use crate::digest::{Digest, Hasher};
use crate::files::{self, WriteError};

/// A source, by its place below `src/`.
pub type Source = (&'static str, &'static str);

/// Options of the compiler, beside the architecture. What is fused is written as `fmaf`.
fn options(precision: Precision) -> &'static [&'static str] {
    match precision {
        Precision::F32 => &["-std=c++17", "--fmad=false"],
        Precision::Tf32 => &["-std=c++17", "--fmad=false", "-DI2M2_TF32"],
    }
}

/// The one parameter of a kernel: what [`arguments!`] declares.
///
/// # Safety
/// The type must be plain data without padding.
pub unsafe trait Arguments: Copy {
    /// The struct's name, here and in the kernel's source.
    const NAME: &'static str;
    /// Name, offset and size of each field.
    const LAYOUT: &'static [(&'static str, usize, usize)];
}

/// Declares the parameter of a kernel, field by field as in its source, which a test compares.
macro_rules! arguments {
    ($($(#[$doc:meta])* struct $name:ident { $($field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[repr(C)]
            #[derive(Clone, Copy, Debug, Default)]
            pub(crate) struct $name { $(pub(crate) $field: $type,)* }

            // SAFETY: `#[repr(C)]`, of numbers, and without padding, as the assertion below shows.
            unsafe impl $crate::device::cuda::Arguments for $name {
                const NAME: &'static str = stringify!($name);
                const LAYOUT: &'static [(&'static str, usize, usize)] =
                    &[$((stringify!($field), std::mem::offset_of!($name, $field), size_of::<$type>()),)*];
            }

            const _: () = assert!(size_of::<$name>() == 0 $(+ size_of::<$type>())*, "no padding");
        )*
    };
}
pub(crate) use arguments;

/// The loaded kernels.
struct Loaded {
    functions: BTreeMap<String, Function>,
}

#[derive(Clone, Copy)]
struct Function {
    /// The driver's handle, as a number.
    handle: usize,
    /// Bytes of its parameter, where the driver tells.
    parameter: Option<usize>,
}

static LOADED: OnceLock<Loaded> = OnceLock::new();

/// How a kernel is launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Blocks.
    pub blocks: [u32; 3],
    /// Threads of a block.
    pub threads: [u32; 3],
    /// Bytes of shared memory that the kernel does not declare itself.
    pub shared: u32,
}

impl Grid {
    /// `count` threads in a row, 256 to a block.
    pub fn over(count: usize) -> Self {
        Grid { blocks: [count.div_ceil(256).max(1) as u32, 1, 1], threads: [256, 1, 1], shared: 0 }
    }
}

/// Launches a kernel on the thread's stream.
///
/// # Errors
/// If no device was opened, there is no such kernel, its parameter has another size, or the driver refuses.
pub fn launch<A: Arguments>(kernel: &str, grid: Grid, arguments: A) -> Result<(), GpuError> {
    let wrong = |why: &str| GpuError::Kernel { kernel: kernel.to_owned(), why: why.to_owned() };
    let loaded = LOADED.get().ok_or_else(|| wrong("was launched before a GPU was opened"))?;
    let function = *loaded.functions.get(kernel).ok_or_else(|| wrong("is not among the compiled ones"))?;
    if function.parameter.is_some_and(|bytes| bytes != size_of::<A>()) {
        return Err(wrong(&format!(
            "takes {} bytes but is given {}",
            function.parameter.unwrap_or(0),
            size_of::<A>()
        )));
    }
    let mut words = vec![0u64; size_of::<A>().div_ceil(8)].into_boxed_slice();
    // SAFETY: `A` is plain data without padding, and the words have room for all of it.
    unsafe {
        std::ptr::copy_nonoverlapping(
            (&raw const arguments).cast::<u8>(),
            words.as_mut_ptr().cast::<u8>(),
            size_of::<A>(),
        );
    }
    let code = recorder::launch(function.handle, grid.blocks, grid.threads, grid.shared, words);
    GpuError::check(kernel, code)
}

/// Loads the kernels for a device; from the cache if they are there.
pub(super) fn load(gpu: &Gpu, precision: Precision, sources: &'static [Source]) -> Result<(), GpuError> {
    if LOADED.get().is_some() {
        return Ok(());
    }
    let image = image(gpu, precision, sources)?;
    let driver = driver().map_err(|why| GpuError::Missing(why.to_owned()))?;
    let mut module: Handle = std::ptr::null_mut();
    // SAFETY: the image is complete; the driver copies what it needs, and refuses what is no image.
    let code = unsafe { (driver.module_load)(&raw mut module, image.as_ptr().cast()) };
    if code != 0
        && let (Ok((major, minor)), Ok(version)) = (compiler_version(), driver_version())
        && major > version / 1000
    {
        return Err(GpuError::Other(format!(
            "the driver (CUDA {}.{}) does not take what NVRTC {major}.{minor} compiled ({}): install an NVRTC of its \
             version, or a newer driver",
            version / 1000,
            version % 1000 / 10,
            describe(code)
        )));
    }
    GpuError::check("loading the CUDA kernels", code)?;
    let mut functions = BTreeMap::new();
    for name in names(sources) {
        let c_name = CString::new(name).map_err(|error| GpuError::Other(error.to_string()))?;
        let mut handle: Handle = std::ptr::null_mut();
        // SAFETY: a loaded module and a C string; the driver writes a handle.
        let code = unsafe { (driver.module_function)(&raw mut handle, module, c_name.as_ptr()) };
        GpuError::check(&format!("finding the CUDA kernel `{name}`"), code)?;
        let parameter = driver.parameter_info.and_then(|info| {
            let (mut offset, mut size) = (0, 0);
            // SAFETY: a function of a loaded module; the driver writes two numbers.
            (unsafe { info(handle, 0, &raw mut offset, &raw mut size) } == 0).then_some(size)
        });
        functions.insert(name.to_owned(), Function { handle: handle.expose_provenance(), parameter });
    }
    let _ = LOADED.set(Loaded { functions });
    Ok(())
}

/// The names of all kernels, as the sources declare them.
pub fn names(sources: &'static [Source]) -> impl Iterator<Item = &'static str> {
    sources.iter().flat_map(|(_, text)| text.lines()).filter_map(|line| {
        let declared = line.strip_prefix("KERNEL(").or_else(|| line.strip_prefix("KERNEL_BOUNDS("))?;
        declared.split(',').next()
    })
}

/// Where compiled kernels are kept: I2M2_KERNEL_CACHE, or the user's cache folder.
pub fn cache() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("I2M2_KERNEL_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("i2m2/kernels")))
        .or_else(|| Some(set("HOME")?.join(".cache/i2m2/kernels")))
}

/// The compiled kernels.
fn image(gpu: &Gpu, precision: Precision, sources: &[Source]) -> Result<Vec<u8>, GpuError> {
    let version = compiler_version()?;
    let digest = identity(gpu, precision, version, sources);
    let file = cache().map(|folder| folder.join(format!("{digest}.cubin")));
    if let Some(image) = file.as_deref().and_then(read_cached) {
        return Ok(image);
    }
    let image = compile(&gpu.architecture(), precision, sources)?;
    if let Some(file) = file {
        // Best effort: without it the next process compiles again.
        let _ = write_cached(&file, &image);
    }
    Ok(image)
}

/// What a compiled image depends on.
fn identity(gpu: &Gpu, precision: Precision, version: (i32, i32), sources: &[Source]) -> Digest {
    let mut hasher = Hasher::new("i2m2 kernels");
    // The model, too: an emulated GPU has the architecture of a real one.
    hasher.field(gpu.name.as_bytes()).field(gpu.architecture().as_bytes());
    hasher.field(format!("{}.{}", version.0, version.1).as_bytes());
    for option in options(precision) {
        hasher.field(option.as_bytes());
    }
    for (name, text) in sources {
        hasher.field(name.as_bytes()).field(text.as_bytes());
    }
    hasher.finish()
}

/// A cached image, if it is whole: its content, and behind it the SHA-256 of that.
fn read_cached(file: &Path) -> Option<Vec<u8>> {
    let mut bytes = std::fs::read(file).ok()?;
    let digest = bytes.split_off(bytes.len().checked_sub(32)?);
    (Digest::of(&bytes).bytes()[..] == digest[..] && !bytes.is_empty()).then_some(bytes)
}

fn write_cached(file: &Path, image: &[u8]) -> Result<(), WriteError> {
    files::write(file, [image, &Digest::of(image).bytes()[..]].concat())
}

/// Compiles all sources as one program into an image for an architecture.
///
/// # Errors
/// [`GpuError::Compile`] with the compiler's messages.
pub fn compile(architecture: &str, precision: Precision, sources: &[Source]) -> Result<Vec<u8>, GpuError> {
    let compiler = compiler().map_err(|why| GpuError::Missing(why.to_owned()))?;
    let text: String = sources.iter().map(|(name, text)| format!("#line 1 \"{name}\"\n{text}\n")).collect();
    let other = |error: std::ffi::NulError| GpuError::Other(error.to_string());
    let text = CString::new(text).map_err(other)?;
    let mut all = vec![CString::new(format!("--gpu-architecture={architecture}")).map_err(other)?];
    for &option in options(precision) {
        all.push(CString::new(option).map_err(other)?);
    }
    let pointers: Vec<*const c_char> = all.iter().map(|option| option.as_ptr()).collect();
    let mut program = Program(std::ptr::null_mut());
    // SAFETY: C strings that outlive the calls; NVRTC writes handles, sizes, and as many bytes as it said.
    unsafe {
        let create = compiler.create;
        let (none, name) = (std::ptr::null(), c"i2m2.cu".as_ptr());
        GpuError::check(
            "nvrtcCreateProgram",
            create(&raw mut program.0, text.as_ptr(), name, 0, none, none),
        )?;
        if (compiler.compile)(program.0, pointers.len() as i32, pointers.as_ptr()) != 0 {
            return Err(GpuError::Compile { architecture: architecture.to_owned(), log: program.log() });
        }
        let mut size = 0;
        GpuError::check("nvrtcGetCUBINSize", (compiler.cubin_size)(program.0, &raw mut size))?;
        let mut image = vec![0u8; size];
        GpuError::check("nvrtcGetCUBIN", (compiler.cubin)(program.0, image.as_mut_ptr().cast()))?;
        Ok(image)
    }
}

/// A program of NVRTC's.
struct Program(Handle);

impl Program {
    fn log(&self) -> String {
        let Ok(compiler) = compiler() else { return String::new() };
        let mut size = 0;
        // SAFETY: a live program; NVRTC writes a size, and then as many bytes, the last of them zero.
        unsafe {
            if (compiler.log_size)(self.0, &raw mut size) != 0 || size == 0 {
                return "no log".to_owned();
            }
            let mut log = vec![0u8; size + 1];
            (compiler.log)(self.0, log.as_mut_ptr().cast());
            CStr::from_bytes_until_nul(&log)
                .map_or_else(|_| String::new(), |log| log.to_string_lossy().into_owned())
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let (Ok(compiler), false) = (compiler(), self.0.is_null()) {
            // SAFETY: created once, destroyed once.
            unsafe { (compiler.destroy)(&raw mut self.0) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_cache_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sub/image.cubin");
        write_cached(&file, b"an image").unwrap();
        assert_eq!(read_cached(&file).unwrap(), b"an image");
        let good = std::fs::read(&file).unwrap();
        for broken in [&good[1..], &good[..good.len() - 1], &good[..32], &[]] {
            std::fs::write(&file, broken).unwrap();
            assert_eq!(read_cached(&file), None);
        }
        let mut flipped = good.clone();
        flipped[0] ^= 1;
        std::fs::write(&file, flipped).unwrap();
        assert_eq!(read_cached(&file), None);
        assert_eq!(read_cached(&folder.path().join("none")), None);
    }

    #[test]
    fn the_identity_depends_on_sources_architecture_and_compiler() {
        let sources: &[Source] = &[("a.cu", "KERNEL(one, One) {}\n  KERNEL(not, This)")];
        let gpu = |name: &str, major| Gpu {
            index: 0,
            name: name.to_owned(),
            compute_capability: (major, 0),
            memory: 1,
            multiprocessors: 1,
            clock: 1,
            bandwidth: 1,
        };
        let base = identity(&gpu("one", 9), Precision::F32, (13, 0), sources);
        assert_eq!(base, identity(&gpu("one", 9), Precision::F32, (13, 0), sources));
        assert_ne!(base, identity(&gpu("one", 8), Precision::F32, (13, 0), sources));
        assert_ne!(base, identity(&gpu("one", 9), Precision::Tf32, (13, 0), sources));
        assert_ne!(base, identity(&gpu("another", 9), Precision::F32, (13, 0), sources));
        assert_ne!(base, identity(&gpu("one", 9), Precision::F32, (12, 9), sources));
        assert_ne!(base, identity(&gpu("one", 9), Precision::F32, (13, 0), &[("a.cu", "")]));
        assert_eq!(names(sources).collect::<Vec<_>>(), ["one"]);
    }
}
