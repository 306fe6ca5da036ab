//! Whether a file has changed since it was read.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime};

/// Coarsest timestamp granularity of a file system.
const TIMESTAMP_GRANULARITY: Duration = Duration::from_secs(2);

/// Differs whenever a file's contents, owner or permissions differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileVersion {
    device: u64,
    inode: u64,
    size: u64,
    /// Inode change time in seconds and nanoseconds since 1970.
    changed: (i64, i64),
}

impl FileVersion {
    /// Returns `None` as long as another change might leave the timestamp the same.
    pub(crate) fn settled(status: &fs::Metadata, now: SystemTime) -> Option<Self> {
        let changed = Duration::from_secs(u64::try_from(status.ctime()).ok()?);
        let changed = SystemTime::UNIX_EPOCH.checked_add(changed)?;
        (now.duration_since(changed).ok()? > TIMESTAMP_GRANULARITY).then(|| Self {
            device: status.dev(),
            inode: status.ino(),
            size: status.size(),
            changed: (status.ctime(), status.ctime_nsec()),
        })
    }
}
