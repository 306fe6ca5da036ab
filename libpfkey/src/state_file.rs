//! The state file in which racoon lists its policies and SAs: its path, its permissions, and the kernel that it belongs to.
//! [`kernel_state`](crate::kernel_state) describes its format.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::kernel_state::{KernelId, StateFile};
use crate::sys;

/// Directory of state files, the same as of racoon's control socket.
pub const DIRECTORY: &str = "/var/run/racoon";

/// Largest size of a state file, in bytes: more than a hundred thousand tunnels need.
pub const SIZE_MAX: u64 = 256 << 20;

/// The name of a network namespace where there are none.
const NO_NAMESPACE: &str = "-";

/// Identifies the running kernel of this host and the network namespace of the calling process.
///
/// # Errors
/// [`ErrorKind::Unsupported`] if the system has no name for a boot; those of the system.
pub fn kernel_id() -> io::Result<KernelId> {
    let boot = sys::boot_id()?;
    // What the system says must not break a line.
    let is_word = !boot.is_empty() && boot.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_word {
        return Err(io::Error::new(ErrorKind::InvalidData, "the system's boot id is not a word"));
    }
    Ok(KernelId { boot, namespace: namespace()? })
}

/// The inode of the network namespace, which is unique as long as the namespace exists.
fn namespace() -> io::Result<String> {
    if !cfg!(target_os = "linux") {
        return Ok(NO_NAMESPACE.into());
    }
    // Each thread may have another namespace; sockets are opened in that of the calling one.
    std::fs::metadata("/proc/thread-self/ns/net").map(|namespace| namespace.ino().to_string())
}

/// Returns the path of the state file for a kernel. Network namespaces usually share `/var/run`, so each has its own file.
pub fn path(id: &KernelId) -> PathBuf {
    let name = match id.namespace.as_str() {
        NO_NAMESPACE => "kernel.state".into(),
        namespace => format!("kernel-{namespace}.state"),
    };
    Path::new(DIRECTORY).join(name)
}

/// Opens a state file. It must be a regular file of this user that nobody else can write to; a symbolic link is not followed.
///
/// # Errors
/// Those of the system; [`ErrorKind::PermissionDenied`], [`ErrorKind::FileTooLarge`].
pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // A link or a FIFO in a directory that others may write to must neither redirect nor block the reader.
    let file = options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC).open(path)?;
    let metadata = file.metadata()?;
    let own = metadata.is_file() && metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o022 == 0;
    if !own {
        let text = "must be a regular file of racoon's user that nobody else can write to (mode 0600)";
        return Err(io::Error::new(ErrorKind::PermissionDenied, text));
    }
    if metadata.len() > SIZE_MAX {
        return Err(ErrorKind::FileTooLarge.into());
    }
    Ok(file)
}

/// Reads racoon's list for a kernel, without locking the file; `None` if there is no file, or one of another boot or network
/// namespace.
///
/// # Errors
/// As [`open`]; [`ErrorKind::InvalidData`] if the file is not a state file of this version.
pub fn read(path: &Path, id: &KernelId) -> io::Result<Option<StateFile>> {
    let file = match open(path, &mut OpenOptions::new()) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let state = StateFile::parse(&bytes(&file)?).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
    Ok(Some(state).filter(|state| state.id == *id))
}

/// Reads an opened state file from its current position. It may grow meanwhile; at most [`SIZE_MAX`] bytes are read.
///
/// # Errors
/// Those of the system.
pub fn bytes(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(SIZE_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn this_kernel_is_identified() {
        let id = kernel_id().unwrap();
        assert_eq!(kernel_id().unwrap(), id);
        let file = StateFile::parse(format!("{id}\n").as_bytes()).unwrap();
        assert_eq!(file.id, id);
        assert!(path(&id).starts_with(DIRECTORY));
    }

    #[test]
    fn a_file_is_read_only_for_its_kernel_and_from_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().join("kernel.state");
        let id = KernelId { boot: "a".into(), namespace: "1".into() };
        assert_eq!(read(&at, &id).unwrap(), None);
        fs::write(&at, format!("{id}\nsa request esp 192.0.2.1 192.0.2.2 0x00000100 tunnel 0 1\n")).unwrap();
        assert_eq!(read(&at, &id).unwrap().unwrap().state.sas.len(), 1);
        for other in [KernelId { boot: "b".into(), ..id.clone() }, KernelId { namespace: "2".into(), ..id.clone() }] {
            assert_eq!(read(&at, &other).unwrap(), None);
        }
        let link = directory.path().join("link");
        symlink(&at, &link).unwrap();
        assert!(read(&link, &id).is_err());
        fs::set_permissions(&at, Permissions::from_mode(0o620)).unwrap();
        assert_eq!(read(&at, &id).unwrap_err().kind(), ErrorKind::PermissionDenied);
        assert_eq!(read(directory.path(), &id).unwrap_err().kind(), ErrorKind::PermissionDenied);
        let strange = directory.path().join("strange");
        fs::write(&strange, "flush;\n").unwrap();
        assert_eq!(read(&strange, &id).unwrap_err().kind(), ErrorKind::InvalidData);
        File::create(directory.path().join("large")).unwrap().set_len(SIZE_MAX + 1).unwrap();
        assert_eq!(read(&directory.path().join("large"), &id).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }
}
