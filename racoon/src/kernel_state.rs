//! The state file: racoon lists in it what it has in the kernel, so that after a crash its next start can remove that.
//!
//! A record is written before the request that it is about goes to the kernel; nothing is synchronised to the disk, because a
//! reboot clears the kernel's tables, too. Records are only appended: an installation costs two lines, however many tunnels
//! there are. Once most lines are about what is gone, a new file takes the old one's place.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use libpfkey::kernel_state::{FormatError, KernelId, KernelState, Record, StateFile};
use libpfkey::state_file;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// Number of lines below which a file is never rewritten.
const LINES_MIN: usize = 128;

/// Number of lines for each entry above which a file is rewritten; a new file has two.
const LINES_PER_ENTRY: usize = 8;

/// Number of attempts to lock the file that has the name, while others replace it.
const LOCK_ATTEMPTS: usize = 8;

/// Mode of the directory if it has to be created: that of the control socket's directory.
const DIRECTORY_MODE: u32 = 0o710;

/// The state file, opened and locked.
#[derive(Debug)]
pub struct StateLog {
    path: PathBuf,
    file: Flock<File>,
    id: KernelId,
    state: KernelState,
    /// Lines in the file behind the first.
    lines: usize,
    /// Length of the file in bytes.
    length: u64,
}

impl StateLog {
    /// Opens the state file, or creates it. What it lists for this boot and network namespace is its state now; anything else
    /// in it is void, and is described in a line each that goes to `remark`.
    ///
    /// # Errors
    /// With the file's name: another process has locked it, it is not a regular file of this user, or what the system says.
    pub fn open(path: &Path, id: KernelId, remark: &mut dyn FnMut(String)) -> io::Result<Self> {
        Self::open_unnamed(path, id, remark).map_err(|error| named(path, &error))
    }

    fn open_unnamed(path: &Path, id: KernelId, remark: &mut dyn FnMut(String)) -> io::Result<Self> {
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            create_directory(directory)?;
        }
        let file = open_and_lock(path)?;
        let name = path.display();
        let bytes = state_file::bytes(&file)?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let (state, lines, clean) = match StateFile::parse(&bytes) {
            Ok(StateFile { id: of, state, lines, skipped, skipped_lines }) if of == id => {
                skipped.iter().for_each(|skipped| remark(format!("{name}: skipped {skipped}")));
                let untold = skipped_lines.saturating_sub(skipped.len());
                if untold > 0 {
                    remark(format!("{name}: skipped {untold} more lines"));
                }
                (state, lines, skipped_lines == 0)
            }
            // Of another boot or network namespace.
            Ok(_) => (KernelState::default(), 0, false),
            Err(FormatError::Header) if bytes.is_empty() => (KernelState::default(), 0, false),
            Err(error) => {
                remark(format!("{name}: {error}; its entries are ignored, and a new list begins"));
                (KernelState::default(), 0, false)
            }
        };
        let mut log = Self { path: std::path::absolute(path)?, file, id, state, lines, length };
        if !clean {
            log.rewrite()?;
        }
        Ok(log)
    }

    /// What is listed.
    pub fn state(&self) -> &KernelState {
        &self.state
    }

    /// Appends a record; when this returns, the system has it. A record about what is not listed is not written.
    ///
    /// # Errors
    /// With the file's name; no part of the record is in the file then.
    pub fn record(&mut self, record: Record) -> io::Result<()> {
        let line = format!("{record}\n");
        if !self.state.apply(record) {
            return Ok(());
        }
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            // The next record would continue a part of this one.
            let _ = self.file.set_len(self.length);
            return Err(named(&self.path, &error));
        }
        self.length += u64::try_from(line.len()).unwrap_or(u64::MAX);
        self.lines += 1;
        let entries = self.state.policies.len() + self.state.sas.len();
        if self.lines > LINES_MIN.max(LINES_PER_ENTRY * entries) {
            self.rewrite().map_err(|error| named(&self.path, &error))?;
        }
        Ok(())
    }

    /// Removes the file if it lists nothing.
    pub fn remove_if_empty(self) {
        if self.state.policies.is_empty() && self.state.sas.is_empty() {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Puts a file with what is listed, and nothing else, in the file's place. Whatever happens meanwhile, one of the two is
    /// there, and the one that is there is locked.
    fn rewrite(&mut self) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let new = PathBuf::from(name);
        // One that was left behind by a crash.
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
        // Its mode does not depend on the umask.
        Ok(()) => fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opens and locks the file that has the name: whoever held the lock may have put another one in its place.
fn open_and_lock(path: &Path) -> io::Result<Flock<File>> {
    for _ in 0..LOCK_ATTEMPTS {
        let file = lock(state_file::open(path, OpenOptions::new().append(true).create(true).mode(0o600))?)?;
        let (opened, there) = (file.metadata()?, fs::symlink_metadata(path));
        if there.is_ok_and(|there| (there.dev(), there.ino()) == (opened.dev(), opened.ino())) {
            // A file of another time may be readable for others.
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

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {}", path.display(), crate::output::reason(error)))
}

#[cfg(test)]
mod tests;
