//! The file system and what else of the system a configuration needs.

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Bytes of a file with keys: some ten thousand of them.
pub const KEY_FILE_MAX: u64 = 4 << 20;

/// Reads files. The commands' reads real ones, that of tests has them in memory.
pub trait Loader {
    /// The bytes of a file. A link is followed.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The paths that a pattern of glob(3) matches, `~` expanded, in glob's order. A pattern without special
    /// characters is itself, whether the file exists or not.
    fn expand(&self, pattern: &str) -> io::Result<Vec<PathBuf>>;

    /// What a file is and whose. A link is followed.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// The bytes of a file with keys, and what that very file is, whatever its name means a moment later. A link is followed.
    /// What is not a regular file is not read and has no bytes; one of more than [`KEY_FILE_MAX`] bytes is an error.
    fn read_keys(&self, path: &Path) -> io::Result<(Metadata, Zeroizing<Vec<u8>>)>;

    /// Whether the system has a network interface of this name or number; none if it cannot be told.
    fn has_interface(&self, _name: &str) -> Option<bool> {
        None
    }

    /// The real user id of the process, which must own files with keys.
    fn uid(&self) -> u32;
}

/// What a file is and whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// A regular file, not a directory or a device.
    pub regular: bool,
    /// User id of the owner.
    pub owner: u32,
    /// Permission bits.
    pub mode: u32,
}
