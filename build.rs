//! Finds out what only the build can know: the commit of this repository, the compiler, the target, the sources.
//!
//! Invariant: it never fails the build; what it cannot find out is `unknown`. It runs again only when a source, the
//! lock file or the commit changes.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

/// What goes into the binary, besides dependencies.
const INPUTS: &[&str] = &["src", "paper", "fixtures", "build.rs", "Cargo.toml", "Cargo.lock"];

fn main() {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    for input in INPUTS.iter().filter(|input| root.join(input).exists()) {
        println!("cargo::rerun-if-changed={input}");
    }
    let (commit, dirty) = commit(&root).unwrap_or_else(|| ("unknown".to_owned(), "unknown".to_owned()));
    let rustc = output(&root, &variable("RUSTC"), &["--version"]);
    println!("cargo::rustc-env=I2M2_COMMIT={commit}");
    println!("cargo::rustc-env=I2M2_DIRTY={dirty}");
    println!("cargo::rustc-env=I2M2_RUSTC={}", rustc.as_deref().unwrap_or("unknown"));
    println!("cargo::rustc-env=I2M2_TARGET={}", variable("TARGET"));
    println!("cargo::rustc-env=I2M2_TARGET_FEATURES={}", variable("CARGO_CFG_TARGET_FEATURE"));
    println!("cargo::rustc-env=I2M2_PROFILE={}", variable("PROFILE"));
    println!("cargo::rustc-env=I2M2_BUILD={}", build(&root).as_deref().unwrap_or("unknown"));
    let sources = sources(&root.join("src"));
    let written = fs::write(Path::new(&variable("OUT_DIR")).join("sources.rs"), sources);
    if let Err(error) = written {
        println!("cargo::error=cannot write to the build's own folder: {error}");
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn output(folder: &Path, program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).current_dir(folder).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The commit of this very repository and whether the build's inputs differ from it.
fn commit(root: &Path) -> Option<(String, String)> {
    let git = |arguments: &[&str]| output(root, "git", arguments);
    // A copy of the sources inside somebody else's repository must not take that one's commit.
    let top = fs::canonicalize(git(&["rev-parse", "--show-toplevel"])?).ok()?;
    if top != fs::canonicalize(root).ok()? {
        return None;
    }
    // HEAD's log grows with every commit and checkout; without it, HEAD and what it points to do.
    let reference = git(&["symbolic-ref", "-q", "HEAD"]).unwrap_or_default();
    for watched in ["HEAD", "logs/HEAD", &reference, "packed-refs"] {
        let path = git(&["rev-parse", "--git-path", watched]).map(|path| root.join(path));
        // A watched path that does not exist would make every build run this again.
        if let Some(path) = path.filter(|path| path.is_file()) {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    let commit = git(&["rev-parse", "HEAD"])?;
    let mut status = vec!["status", "--porcelain", "--"];
    status.extend(INPUTS);
    let dirty = !git(&status)?.is_empty();
    Some((commit, dirty.to_string()))
}

/// The digest of all that this build is made of: every input, the compiler, the target with its features, the flags. `None`
/// where something of it cannot be read.
fn build(root: &Path) -> Option<String> {
    let mut hasher = Sha256::new();
    let mut field = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    let all = |_: &Path| true;
    for file in INPUTS.iter().flat_map(|input| files(&root.join(input), &all)) {
        field(file.strip_prefix(root).ok()?.to_string_lossy().as_bytes());
        field(&fs::read(&file).ok()?);
    }
    field(output(root, &variable("RUSTC"), &["-vV"])?.as_bytes());
    for name in ["TARGET", "PROFILE", "OPT_LEVEL", "DEBUG", "CARGO_ENCODED_RUSTFLAGS"] {
        field(variable(name).as_bytes());
    }
    let chosen = |name: &str| name.starts_with("CARGO_CFG_") || name.starts_with("CARGO_FEATURE_");
    let mut chosen: Vec<_> =
        std::env::vars_os().filter(|(name, _)| chosen(&name.to_string_lossy())).collect();
    chosen.sort();
    for (name, value) in chosen {
        field(name.to_string_lossy().as_bytes());
        field(value.to_string_lossy().as_bytes());
    }
    Some(hexadecimal(&hasher.finalize()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A Rust expression: the digest of each module below `src/`, over its files' names and content.
fn sources(src: &Path) -> String {
    let mut modules: Vec<PathBuf> = entries(src);
    modules.sort();
    let mut code = "[\n".to_owned();
    for module in modules {
        let mut hasher = Sha256::new();
        for file in files(&module, &is_rust) {
            let name = file.strip_prefix(src).unwrap_or(&file).to_string_lossy().replace('\\', "/");
            let content = fs::read(&file).unwrap_or_default();
            for field in [name.as_bytes(), &content] {
                hasher.update((field.len() as u64).to_le_bytes());
                hasher.update(field);
            }
        }
        let digest = hexadecimal(&hasher.finalize());
        let name = module.file_stem().unwrap_or_default().to_string_lossy();
        let _ = writeln!(code, "    ({name:?}, {digest:?}),");
    }
    code + "]\n"
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn is_rust(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "rs")
}

/// The wanted files at or below a path, sorted.
fn files(path: &Path, wanted: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    if path.is_dir() {
        let mut below: Vec<PathBuf> = entries(path).iter().flat_map(|entry| files(entry, wanted)).collect();
        below.sort();
        return below;
    }
    if wanted(path) { vec![path.to_owned()] } else { Vec::new() }
}
