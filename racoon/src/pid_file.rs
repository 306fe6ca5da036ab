//! The pid file.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process;

use crate::output::with_path;

/// Directory of a relative name.
const RUN_DIRECTORY: &str = "/var/run";

/// Default name.
const NAME: &str = "racoon.pid";

/// The pid file. Dropping it removes the file, unless it belongs to another process by then.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    text: String,
}

impl PidFile {
    /// Writes the process id in decimal and a newline, readable by everybody. `name` is `path pidfile`.
    ///
    /// # Errors
    /// Those of the system, with the file's name.
    pub fn create(name: Option<&Path>) -> io::Result<Self> {
        let path = Path::new(RUN_DIRECTORY).join(name.unwrap_or(Path::new(NAME)));
        let text = format!("{}\n", process::id());
        write(&path, &text).map_err(|error| with_path(&path, &error))?;
        Ok(Self { path, text })
    }

    /// Returns the absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if fs::read_to_string(&self.path).is_ok_and(|text| text == self.text) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    // Do not overwrite another file through a symbolic link, nor wait for the reader of a FIFO.
    options.write(true).create(true).truncate(true).mode(0o644).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let mut file = options.open(path)?;
    // Independent of the umask, which makes everything else private.
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn written_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("racoon.pid");
        fs::write(&path, "a stale number of a process").unwrap();
        let file = PidFile::create(Some(&path)).unwrap();
        assert_eq!(file.path(), path);
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", process::id()));
        drop(file);
        assert!(!path.exists());

        let file = PidFile::create(Some(&path)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
    }

    #[test]
    fn unusable_paths() {
        let directory = tempfile::tempdir().unwrap();
        let (victim, link) = (directory.path().join("victim"), directory.path().join("racoon.pid"));
        fs::write(&victim, "text").unwrap();
        symlink(&victim, &link).unwrap();
        let error = PidFile::create(Some(&link)).unwrap_err();
        assert!(error.to_string().starts_with(link.to_str().unwrap()), "{error}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "text");
        let error = PidFile::create(Some(Path::new("no-such-directory/x.pid"))).unwrap_err();
        assert!(error.to_string().starts_with("/var/run/no-such-directory/x.pid: "), "{error}");
    }
}
