//! Atomic writes of files and directories.
//!
//! Everything is written under a temporary name beside the target, synced, and renamed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Returns whether a directory can be written at this path: there is nothing, or an empty directory.
#[must_use]
pub fn is_free(path: &Path) -> bool {
    match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Writes a directory with files, possibly in subdirectories. The directory must not exist, unless it is
/// empty.
///
/// # Errors
/// If the directory exists and is not empty, or anything cannot be written; then nothing is left behind.
pub fn write_directory(path: &Path, files: &[(&str, String)]) -> io::Result<()> {
    if !is_free(path) {
        let message = "the directory exists and is not empty; choose another, or remove it";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent)?;
    let temporary = tempfile::Builder::new().prefix(".dmos-").tempdir_in(parent)?;
    for (name, content) in files {
        let path = temporary.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(temporary.path()))?;
        let mut file = File::create(path)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
    }
    make_readable(temporary.path())?;
    // After the rename, the temporary directory no longer exists and need not be removed.
    fs::rename(temporary.path(), path)?;
    let _moved = temporary.keep();
    File::open(parent)?.sync_all()
}

/// Writes a file, replacing an existing one.
///
/// # Errors
/// If anything cannot be written; then an existing file is unchanged.
pub fn write_file(path: &Path, content: &str) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent)?;
    let mut file = tempfile::NamedTempFile::new_in(parent)?;
    file.write_all(content.as_bytes())?;
    file.as_file().sync_all()?;
    make_file_readable(file.path())?;
    file.persist(path)?;
    File::open(parent)?.sync_all()
}

#[cfg(unix)]
fn make_file_readable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_file_readable(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Temporary directories are private, but results are not.
#[cfg(unix)]
fn make_readable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_readable(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_atomically() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let target = root.path().join("deep/run");
        let files = [("a.txt", "one".to_owned()), ("c/b.txt", "two".to_owned())];
        write_directory(&target, &files).expect("the file is written");
        assert_eq!(fs::read_to_string(target.join("c/b.txt")).expect("the file exists"), "two");
        let again = write_directory(&target, &files).expect_err("it is not overwritten");
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        let no_place = [("file", String::new()), ("file/below", String::new())];
        let bad = write_directory(&root.path().join("bad"), &no_place);
        assert!(bad.is_err() && !root.path().join("bad").exists());
        let left: Vec<_> = fs::read_dir(root.path())
            .expect("a readable directory")
            .map(|e| e.expect("a directory entry").file_name())
            .collect();
        assert_eq!(left, ["deep"]);
    }
}
