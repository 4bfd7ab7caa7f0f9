//! Atomic writes of files and directories.
//!
//! Everything is written under a temporary name beside the target, synced, and renamed. Only regular files are replaced:
//! a link stays a link to the file that is replaced, and devices and pipes are written to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Returns whether a directory can be written at this path: there is nothing, or an empty directory.
#[must_use]
pub fn is_free(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(_) => fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none()),
        Err(_) => fs::symlink_metadata(path).is_err(),
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
    let written = beside(path, files)?;
    move_to(written, path)
}

/// Writes a directory with files, possibly in subdirectories, in place of an existing one.
///
/// # Errors
/// If anything cannot be written; then the existing directory is unchanged, or its content is left beside the new one.
pub fn replace_directory(path: &Path, files: &[(&str, String)]) -> io::Result<()> {
    let written = beside(path, files)?;
    let old = tempfile::Builder::new().prefix(".dmos-old-").tempdir_in(parent(path))?;
    let moved = old.path().join("old");
    fs::rename(path, &moved)?;
    if let Err(error) = move_to(written, path) {
        // The earlier directory must not go with the temporary one in which it lies.
        if fs::rename(&moved, path).is_err() {
            let _left = old.keep();
        }
        return Err(error);
    }
    old.close()
}

/// Writes files to a new directory beside a path.
fn beside(path: &Path, files: &[(&str, String)]) -> io::Result<tempfile::TempDir> {
    let parent = parent(path);
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
    Ok(temporary)
}

/// Renames a written directory.
fn move_to(written: tempfile::TempDir, path: &Path) -> io::Result<()> {
    // After the rename, the temporary directory no longer exists and need not be removed.
    fs::rename(written.path(), path)?;
    let _moved = written.keep();
    sync_directory(parent(path))
}

/// Verifies that [`write_directory`] can probably write this directory. Nothing is left behind.
///
/// # Errors
/// If the directory exists and is not empty, or nothing can be written beside it.
pub fn try_directory(path: &Path) -> io::Result<()> {
    if !is_free(path) {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it exists and is not an empty directory"));
    }
    try_beside(path)
}

/// Verifies that [`write_file`] can probably write this file. Nothing is left behind.
///
/// # Errors
/// If the path is a directory or a link to nothing, or nothing can be written beside the file.
pub fn try_file(path: &Path) -> io::Result<()> {
    match target(path)? {
        Target::File(path) => try_beside(&path),
        Target::Stream => Ok(()),
    }
}

/// Writes and removes a file in the closest directory above a path that exists.
fn try_beside(path: &Path) -> io::Result<()> {
    let mut directory = parent(path);
    while fs::metadata(directory).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        directory = parent(directory);
    }
    tempfile::NamedTempFile::new_in(directory).map(drop)
}

/// Writes a file, replacing an existing regular one. A link is followed, and devices and pipes are written to.
///
/// # Errors
/// If the path is a directory or a link to nothing, or anything cannot be written; then an existing file is unchanged.
pub fn write_file(path: &Path, content: &str) -> io::Result<()> {
    let path = match target(path)? {
        Target::File(path) => path,
        Target::Stream => {
            let mut stream = OpenOptions::new().append(true).open(path)?;
            return stream.write_all(content.as_bytes()).and_then(|()| stream.flush());
        }
    };
    let parent = parent(&path);
    fs::create_dir_all(parent)?;
    let mut file = tempfile::NamedTempFile::new_in(parent)?;
    file.write_all(content.as_bytes())?;
    file.as_file().sync_all()?;
    make_file_readable(file.path())?;
    file.persist(&path)?;
    sync_directory(parent)
}

/// Kind of a target.
enum Target {
    /// The regular file at this path, without links, or a new one.
    File(PathBuf),
    /// A device or a pipe.
    Stream,
}

/// Returns what is to be written at a path.
fn target(path: &Path) -> io::Result<Target> {
    let invalid = |message: &str| io::Error::new(io::ErrorKind::InvalidInput, message);
    let is_system = ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder));
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(invalid("it is a directory")),
        // A link of the system, such as that to the standard output, may lead to a file that others write to as well.
        Ok(found) if found.is_file() && !is_system => {
            let is_link = fs::symlink_metadata(path)?.is_symlink();
            Ok(Target::File(if is_link { fs::canonicalize(path)? } else { path.to_owned() }))
        }
        Ok(_) => Ok(Target::Stream),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) if fs::symlink_metadata(path).is_ok() => {
            Err(invalid("it is a link to a file that does not exist"))
        }
        Err(_) => Ok(Target::File(path.to_owned())),
    }
}

/// Returns the directory of a path.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a rename in a directory durable.
#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Other systems cannot open directories, and make renames durable themselves.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
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

    #[test]
    fn a_file_is_replaced_whole() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let path = root.path().join("new/trace");
        try_file(&path).expect("it can be written");
        assert!(!path.exists());
        write_file(&path, "one").expect("the file is written");
        write_file(&path, "two").expect("the file is written again");
        assert_eq!(fs::read_to_string(&path).expect("the file exists"), "two");
        for path in [root.path().to_owned(), root.path().join("new/trace/below")] {
            assert!(try_file(&path).is_err() && write_file(&path, "three").is_err(), "{}", path.display());
        }
        assert!(try_directory(&root.path().join("new")).is_err(), "it is not empty");
        assert!(try_directory(&root.path().join("deep/run")).is_ok());
        let left: Vec<_> = fs::read_dir(root.path())
            .expect("the folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(left, ["new"], "trying leaves nothing");
    }

    #[test]
    fn a_directory_is_replaced_whole() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let target = root.path().join("run");
        let one = [("a", "one".to_owned()), ("b", "one".to_owned())];
        write_directory(&target, &one).expect("the directory is written");
        let bad = [("a", String::new()), ("a/below", String::new())];
        assert!(replace_directory(&target, &bad).is_err());
        assert_eq!(fs::read_to_string(target.join("b")).expect("the file"), "one", "it is unchanged");
        replace_directory(&target, &[("a", "two".to_owned())]).expect("the directory is written");
        assert_eq!(fs::read_to_string(target.join("a")).expect("the file"), "two");
        assert!(!target.join("b").exists());
        assert_eq!(fs::read_dir(root.path()).expect("the folder").count(), 1, "nothing is left behind");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let (link, real) = (root.path().join("link"), root.path().join("real"));
        std::os::unix::fs::symlink("real", &link).expect("a link");
        let error = write_file(&link, "one").expect_err("it leads nowhere");
        assert!(error.to_string().contains("link") && try_file(&link).is_err(), "{error}");
        fs::write(&real, "zero").expect("a file");
        try_file(&link).expect("it can be written");
        write_file(&link, "two").expect("the file is written");
        assert!(fs::symlink_metadata(&link).expect("the link").is_symlink());
        assert_eq!(fs::read_to_string(&real).expect("the file exists"), "two");
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_written_to() {
        use std::os::unix::fs::FileTypeExt;
        let root = tempfile::tempdir().expect("a temporary directory");
        let pipe = root.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
        assert!(made.success());
        try_file(&pipe).expect("it can be written");
        let reader = {
            let pipe = pipe.clone();
            std::thread::spawn(move || fs::read_to_string(pipe).expect("a text"))
        };
        write_file(&pipe, "three").expect("the pipe is written");
        assert_eq!(reader.join().expect("the reader"), "three");
        assert!(fs::metadata(&pipe).expect("the pipe").file_type().is_fifo());
    }
}
