//! Check of who has access to a file with keys.

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::racoon::Loader;

/// Permission bits that a file with keys must not have: write access for the group, any access for others.
const FORBIDDEN: u32 = 0o027;

/// Reason not to use a file with keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read.
    #[error("{}: {}", path.display(), crate::system_error(error))]
    Io {
        /// Its name.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// It is a directory or a device.
    #[error("{}: not a regular file", .0.display())]
    NotRegular(PathBuf),
    /// It belongs to another user than the process.
    #[error("{}: owned by user {owner}, not by {uid}", path.display())]
    Owner {
        /// Its name.
        path: PathBuf,
        /// User id of its owner.
        owner: u32,
        /// User id of the process.
        uid: u32,
    },
    /// Others can read or change it.
    #[error("{}: mode {mode:04o} is too open: 0600 or 0640 keeps its keys secret", path.display())]
    Mode {
        /// Its name.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// Reads a file with keys. It must belong to the process's user; only the owner may write it, and only the owner and its
/// group may read it.
///
/// # Errors
/// If it cannot be read, is not a regular file, or others have access to it.
pub fn read(path: &Path, loader: &dyn Loader) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let io_error = |error| KeyFileError::Io { path: path.into(), error };
    let (metadata, bytes) = loader.read_keys(path).map_err(io_error)?;
    let (mode, owner, uid) = (metadata.mode & 0o7777, metadata.owner, loader.uid());
    // The metadata is that of the file that was read, so the checks cannot be circumvented by replacing it.
    if !metadata.regular {
        return Err(KeyFileError::NotRegular(path.into()));
    }
    if owner != uid {
        return Err(KeyFileError::Owner { path: path.into(), owner, uid });
    }
    if mode & FORBIDDEN != 0 {
        return Err(KeyFileError::Mode { path: path.into(), mode });
    }
    Ok(bytes)
}
