//! The state file: a list of what racoon has in the kernel, by which the next start cleans up after a crash.
//!
//! Each record is written before its request goes to the kernel. Nothing is synced to disk, because a reboot empties
//! the kernel's tables too. Records are only appended, two lines per installation, whatever the number of tunnels. Once
//! most lines concern removed entries, a new file replaces the old one.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use libpfkey::kernel_state::{FormatError, KernelId, KernelState, Record, StateFile};
use libpfkey::state_file;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::output::with_path;

/// Number of lines up to which a file is never rewritten.
const LINES_MIN: usize = 128;

/// Lines per entry above which a file is rewritten. A new file has two per entry.
const LINES_PER_ENTRY: usize = 8;

/// Attempts to lock the file while other processes replace it.
const LOCK_ATTEMPTS: usize = 8;

/// Mode of the directory if it has to be created, the same as for the control socket's.
const DIRECTORY_MODE: u32 = 0o710;

/// The state file, open and locked.
#[derive(Debug)]
pub struct StateLog {
    path: PathBuf,
    file: Flock<File>,
    id: KernelId,
    state: KernelState,
    /// Number of lines after the header line.
    lines: usize,
    /// Length of the file in bytes.
    length: u64,
}

impl StateLog {
    /// Opens or creates the state file. Its contents become the state if they are of this boot and network namespace,
    /// and are void otherwise. `warn` receives a line for each part that is skipped.
    ///
    /// # Errors
    /// Those of the system, if another process has locked the file, or if it is not a regular file of this user; each
    /// with the file's name.
    pub fn open(path: &Path, id: KernelId, warn: &mut dyn FnMut(String)) -> io::Result<Self> {
        Self::open_unnamed(path, id, warn).map_err(|error| with_path(path, &error))
    }

    fn open_unnamed(path: &Path, id: KernelId, warn: &mut dyn FnMut(String)) -> io::Result<Self> {
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            create_directory(directory)?;
        }
        let file = open_and_lock(path)?;
        let name = path.display();
        let bytes = state_file::bytes(&file)?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let (state, lines, clean) = match StateFile::parse(&bytes) {
            Ok(StateFile { id: of, state, lines, skipped, skipped_lines }) if of == id => {
                skipped.iter().for_each(|skipped| warn(format!("{name}: skipped {skipped}")));
                let unreported = skipped_lines.saturating_sub(skipped.len());
                if unreported > 0 {
                    warn(format!("{name}: skipped {unreported} more lines"));
                }
                (state, lines, skipped_lines == 0)
            }
            // Of another boot or network namespace.
            Ok(_) => (KernelState::default(), 0, false),
            Err(FormatError::Header) if bytes.is_empty() => (KernelState::default(), 0, false),
            Err(error) => {
                warn(format!("{name}: {error}; ignoring its entries and starting a new list"));
                (KernelState::default(), 0, false)
            }
        };
        let mut log = Self { path: std::path::absolute(path)?, file, id, state, lines, length };
        // At once, so that skipped lines are reported only once.
        if !clean {
            log.rewrite()?;
        }
        Ok(log)
    }

    /// Returns the listed entries.
    pub fn state(&self) -> &KernelState {
        &self.state
    }

    /// Appends a record. The system has it when this returns. A record that changes nothing is not written.
    ///
    /// # Errors
    /// Those of the system, with the file's name. The file then has no part of the record.
    pub fn record(&mut self, record: Record) -> io::Result<()> {
        // Formatted first, because `apply` consumes the record.
        let line = format!("{record}\n");
        if !self.state.apply(record) {
            return Ok(());
        }
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            // Otherwise the next record would continue this partial line.
            let _ = self.file.set_len(self.length);
            return Err(with_path(&self.path, &error));
        }
        self.length += u64::try_from(line.len()).unwrap_or(u64::MAX);
        self.lines += 1;
        let entries = self.state.policies.len() + self.state.sas.len();
        if self.lines > LINES_MIN.max(LINES_PER_ENTRY * entries) {
            self.rewrite().map_err(|error| with_path(&self.path, &error))?;
        }
        Ok(())
    }

    /// Removes the file if it lists nothing.
    pub fn remove_if_empty(self) {
        if self.state.policies.is_empty() && self.state.sas.is_empty() {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Replaces the file with one that lists only the current entries. The rename is atomic, and the new file is locked
    /// before it gets the name.
    fn rewrite(&mut self) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let new = PathBuf::from(name);
        // Left behind by a crash.
        let _ = fs::remove_file(&new);
        let written = self.write_new(&new);
        if written.is_err() {
            let _ = fs::remove_file(&new);
        }
        (self.file, self.lines, self.length) = written?;
        Ok(())
    }

    fn write_new(&self, new: &Path) -> io::Result<(Flock<File>, usize, u64)> {
        let mut options = OpenOptions::new();
        options.append(true).create_new(true).mode(0o600);
        let file = lock(state_file::open(new, &mut options)?)?;
        let mut writer = BufWriter::new(&*file);
        writeln!(writer, "{}", self.id)?;
        let mut lines = 0;
        for record in self.state.records() {
            writeln!(writer, "{record}")?;
            lines += 1;
        }
        writer.flush()?;
        drop(writer);
        let length = file.metadata()?.len();
        fs::rename(new, &self.path)?;
        Ok((file, lines, length))
    }
}

fn create_directory(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(DIRECTORY_MODE).create(directory) {
        // Independent of the umask.
        Ok(()) => fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opens and locks the file. Whoever held the lock may have replaced the file meanwhile, so the name is checked again.
fn open_and_lock(path: &Path) -> io::Result<Flock<File>> {
    for _ in 0..LOCK_ATTEMPTS {
        let file = lock(state_file::open(path, OpenOptions::new().append(true).create(true).mode(0o600))?)?;
        let (opened, there) = (file.metadata()?, fs::symlink_metadata(path));
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (opened.dev(), opened.ino())) {
            // An older file may be readable by others.
            file.set_permissions(Permissions::from_mode(0o600))?;
            return Ok(file);
        }
    }
    Err(in_use())
}

fn lock(file: File) -> io::Result<Flock<File>> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => in_use(),
        errno => errno.into(),
    })
}

fn in_use() -> io::Error {
    io::Error::new(ErrorKind::ResourceBusy, "another racoon uses it")
}

#[cfg(test)]
mod tests;
