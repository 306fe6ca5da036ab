//! The file system, as far as a configuration needs it.

use std::io;
use std::path::{Path, PathBuf};

/// Reads files. The commands' reads real ones, that of tests has them in memory.
pub trait Loader {
    /// The bytes of a file. A link is followed.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The paths that a pattern of glob(3) matches, `~` expanded, in glob's order. A pattern without special
    /// characters is itself, whether the file exists or not.
    fn expand(&self, pattern: &str) -> io::Result<Vec<PathBuf>>;

    /// What a file is and whose. A link is followed.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

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
