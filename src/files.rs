//! Files and folders that exist whole or not at all: the one place that puts a file where another one was.
//!
//! Invariant: under its final name a reader sees the old content or the new, never a part, whenever the program or the
//! machine stops. What is written stands aside in the same folder, under a name that no other process or thread has, is
//! flushed to the disk, and is then renamed; what fails is removed again.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, TempDir};

/// A file could not be written; what was there before still is.
#[derive(Debug, thiserror::Error)]
#[error("{}: expected to write it, found: {source}; check permissions and free space, then run the command again", path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// The system's reason.
    pub source: io::Error,
}

/// Gives a file new content. Its folder is created when it is not there.
///
/// # Errors
/// When the system refuses (a full disk, no permission).
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<(), WriteError> {
    write_with(path, |out| out.write_all(content.as_ref()))
}

/// Gives a file new content that is checked before it is used, and can be made again. So nobody waits for the disk, and only a machine
/// that stops can leave a part. Its folder is created when it is not there.
///
/// # Errors
/// When the system refuses (a full disk, no permission).
pub(crate) fn write_again(path: &Path, content: impl AsRef<[u8]>) -> Result<(), WriteError> {
    let written = beside(path, |builder, folder| {
        for_everybody(builder);
        let mut aside = builder.tempfile_in(folder)?;
        aside.write_all(content.as_ref())?;
        aside.persist(path).map(drop).map_err(|error| error.error)
    });
    written.map_err(|source| WriteError { path: path.to_owned(), source })
}

/// Gives a file new content, which `fill` writes. Its folder is created when it is not there.
///
/// # Errors
/// What `fill` says, and when the system refuses.
pub(crate) fn write_with(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), WriteError> {
    let written = beside(path, |builder, folder| {
        for_everybody(builder);
        let aside = builder.tempfile_in(folder)?;
        filled(aside.as_file(), fill)?;
        aside.persist(path).map_err(|error| error.error)?;
        sync_folder(folder)
    });
    written.map_err(|source| WriteError { path: path.to_owned(), source })
}

/// Writes a file under its own name and flushes it to the disk: for a folder that gets its name when all of it is there.
///
/// # Errors
/// What `fill` says, and when the system refuses; a part of the file may then be left.
pub(crate) fn write_in_place(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    filled(&File::create(path)?, fill)
}

/// A new, empty folder beside a path, to be filled and renamed; it is removed with its handle.
///
/// # Errors
/// When the system refuses.
pub(crate) fn folder_beside(path: &Path) -> io::Result<TempDir> {
    beside(path, |builder, folder| builder.tempdir_in(folder))
}

/// Makes what was created, renamed or removed in a folder durable.
///
/// # Errors
/// When the system refuses.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// What the system says of a file or folder; `None` when there is none.
///
/// # Errors
/// Any other error.
pub(crate) fn if_there<T>(said: io::Result<T>) -> io::Result<Option<T>> {
    match said {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        said => said.map(Some),
    }
}

/// The folder that a path stands in.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Creates something in a path's folder, under a name that tells what it was for when a crash leaves it behind.
fn beside<T>(
    path: &Path,
    create: impl FnOnce(&mut Builder<'_, '_>, &Path) -> io::Result<T>,
) -> io::Result<T> {
    let no_name = || io::Error::new(io::ErrorKind::InvalidInput, "the path does not end in a name");
    let name = path.file_name().ok_or_else(no_name)?;
    let folder = parent(path);
    fs::create_dir_all(folder)?;
    let prefix = format!(".{}.", name.to_string_lossy());
    create(Builder::new().prefix(&prefix).suffix(".partial"), folder)
}

/// Everybody may read it whom the umask lets; temporary files are private otherwise.
fn for_everybody(builder: &mut Builder<'_, '_>) {
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    #[cfg(not(unix))]
    let _ = builder;
}

fn filled(file: &File, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    fill(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        fs::read_dir(folder).unwrap().map(name).collect()
    }

    #[test]
    fn a_failed_write_leaves_the_old_content_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("below/file");
        write(&path, b"old").unwrap();
        let error = write_with(&path, |out| {
            out.write_all(b"half of the new")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        })
        .unwrap_err();
        assert_eq!((error.path.as_path(), error.source.kind()), (&*path, io::ErrorKind::StorageFull));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(parent(&path)), ["file"]);
    }

    #[test]
    fn a_crash_leaves_nothing_under_the_final_name() {
        const CRASH: &str = "I2M2_TEST_CRASH";
        if let Some(path) = std::env::var_os(CRASH) {
            let _ = write_with(Path::new(&path), |out| {
                out.write_all(b"half of the new")?;
                out.flush()?;
                std::process::abort();
            });
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (new, old) = (folder.path().join("new"), folder.path().join("old"));
        write(&old, b"old").unwrap();
        for path in [&new, &old] {
            let status = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "files::tests::a_crash_leaves_nothing_under_the_final_name"])
                .env(CRASH, path)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap();
            assert!(!status.success());
        }
        assert!(!new.exists());
        assert_eq!(fs::read(&old).unwrap(), b"old");
        let left = names(folder.path());
        assert_eq!(left.len(), 3, "{left:?}");
        assert!(left.iter().any(|name| name.starts_with(".new.") && name.ends_with(".partial")), "{left:?}");
        // What is left is in nobody's way.
        write(&new, b"new").unwrap();
        assert_eq!(fs::read(&new).unwrap(), b"new");
    }

    #[test]
    fn of_many_writers_one_leaves_its_whole_version() {
        let folder = tempfile::tempdir().unwrap();
        let path = &folder.path().join("file");
        let version = |writer: u8| vec![writer; 100_000 + usize::from(writer)];
        let is_whole = || {
            let found = fs::read(path).unwrap();
            assert!(found == version(found[0]), "{} bytes from writer {}", found.len(), found[0]);
        };
        write(path, version(0)).unwrap();
        std::thread::scope(|scope| {
            for writer in 1..=6 {
                scope.spawn(move || (0..5).for_each(|_| write(path, version(writer)).unwrap()));
            }
            (0..100).for_each(|_| is_whole());
        });
        is_whole();
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_folder_that_takes_no_files_gives_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let no_folder = folder.path().join("file");
        write(&no_folder, b"").unwrap();
        let refused = |path: &Path| {
            let error = write(path, b"new").unwrap_err().to_string();
            assert!(error.starts_with(&path.display().to_string()), "{error}");
            assert!(error.contains("check permissions"), "{error}");
            assert!(!path.exists());
        };
        refused(&no_folder.join("below"));
        let locked = folder.path().join("locked");
        fs::create_dir(&locked).unwrap();
        let mut permissions = fs::metadata(&locked).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&locked, permissions).unwrap();
        // An administrator is not kept out by permissions.
        if File::create(locked.join("probe")).is_err() {
            refused(&locked.join("file"));
        }
        assert!(write(&folder.path().join(".."), b"").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_may_be_read_by_whom_the_umask_lets() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        write(&folder.path().join("ours"), b"").unwrap();
        File::create(folder.path().join("plain")).unwrap();
        assert_eq!(mode("ours"), mode("plain"));
    }

    #[test]
    fn a_folder_beside_goes_with_its_handle_unless_it_was_renamed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        drop(folder_beside(&path).unwrap());
        let aside = folder_beside(&path).unwrap();
        write_in_place(&aside.path().join("file"), |out| out.write_all(b"content")).unwrap();
        assert_eq!(names(parent(&path)).len(), 1);
        fs::rename(aside.path(), &path).unwrap();
        drop(aside);
        assert_eq!(names(parent(&path)), ["b"]);
        assert_eq!(names(&path), ["file"]);
    }
}
