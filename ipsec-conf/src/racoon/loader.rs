//! Access to files and to what else of the system a configuration needs.

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Maximum size of a file with keys in bytes, enough for some ten thousand keys.
pub const KEY_FILE_MAX: u64 = 4 << 20;

/// Reads files. The commands read real ones; tests keep them in memory.
pub trait Loader {
    /// The bytes of a file. A link is followed.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The paths that a pattern of glob(3) matches, `~` expanded, in glob's order. A pattern without special
    /// characters is itself, whether the file exists or not.
    fn expand(&self, pattern: &str) -> io::Result<Vec<PathBuf>>;

    /// Returns a file's type, owner and mode. Follows links.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// Reads a file with keys; returns type, owner and mode of the very file that was opened. Follows links. Other than
    /// regular files are not read; a file of more than [`KEY_FILE_MAX`] bytes is an error.
    fn read_keys(&self, path: &Path) -> io::Result<(Metadata, Zeroizing<Vec<u8>>)>;

    /// Whether the system has a network interface of this name or number; `None` if unknown.
    fn has_interface(&self, _name: &str) -> Option<bool> {
        None
    }

    /// The real user id of the process, which must own files with keys.
    fn uid(&self) -> u32;
}

/// Type, owner and mode of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// A regular file, not a directory or a device.
    pub regular: bool,
    /// User id of the owner.
    pub owner: u32,
    /// Permission bits.
    pub mode: u32,
}
