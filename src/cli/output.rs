//! Data goes to stdout, everything else to stderr.
//!
//! Invariant: a reader that closes the pipe early (`| head`) ends the command quietly; any other failure to write is an
//! error, never ignored.

use std::io::{IsTerminal, Write};

/// Writes to stdout.
pub(crate) fn data(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes a value to stdout as pretty JSON.
pub(crate) fn json(value: &impl serde::Serialize) -> std::io::Result<()> {
    data(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Writes a value to stdout: as JSON, or in words.
pub(crate) fn shown(
    json: bool,
    value: &impl serde::Serialize,
    words: impl FnOnce() -> String,
) -> std::io::Result<()> {
    if json { self::json(value) } else { data(&words()) }
}

/// Writes one line to stderr; nothing is lost if stderr is closed.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Whether progress bars make sense.
pub(crate) fn bars(quiet: bool) -> bool {
    !quiet && std::io::stderr().is_terminal()
}
