//! The control socket in the file system.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _, lchown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use ipsec_conf::racoon::{Account, SocketAccess};
use libpfkey::state_file;
use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
use nix::unistd::{Gid, Group, Uid, User, chown, getegid, geteuid};
use socket2::{Domain, SockAddr, Socket, Type};
use thiserror::Error;

/// Mode of racoon's run directory: the group may pass to the socket, but not list the directory.
const DIRECTORY_MODE: u32 = 0o710;
/// Added to the mode if users outside the group may use the socket.
const DIRECTORY_MODE_OTHERS: u32 = 0o001;
/// Bits of a socket's mode that let its group, and others, connect.
const GROUP_WRITE: u16 = 0o020;
const OTHERS_WRITE: u16 = 0o002;
/// Default mode of the socket.
const SOCKET_MODE: u16 = 0o600;

/// Reason why the control socket cannot be opened.
#[derive(Debug, Error)]
pub enum SocketError {
    /// The path is not a socket.
    #[error("{}: exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// Another daemon listens there.
    #[error("{}: another daemon listens there", .0.display())]
    InUse(PathBuf),
    /// Unknown user.
    #[error("unknown user {0}")]
    User(Box<str>),
    /// Unknown group.
    #[error("unknown group {0}")]
    Group(Box<str>),
    /// A system call failed.
    #[error("{}: {}", path.display(), crate::output::reason(error))]
    Io {
        /// File of the call.
        path: PathBuf,
        /// Error of the call.
        error: io::Error,
    },
}

/// The listening control socket. Dropping it removes the file, unless another daemon has replaced it.
#[derive(Debug)]
pub struct AdminListener {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file.
    identity: Option<(u64, u64)>,
    unsearchable_directory: Option<PathBuf>,
}

impl AdminListener {
    fn new(listener: UnixListener, path: &Path) -> Self {
        // The file is removed at the end, when the process is in another directory.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        Self { listener, identity: identity(&path), path, unsearchable_directory: None }
    }

    /// Returns a directory on the path that the socket's group may not search, although the socket's mode lets the
    /// group connect.
    pub fn unsearchable_directory(&self) -> Option<&Path> {
        self.unsearchable_directory.as_deref()
    }

    /// Accepts a connection, as a non-blocking stream.
    pub(super) fn accept(&self) -> io::Result<UnixStream> {
        let (stream, _) = self.listener.accept()?;
        stream.set_nonblocking(true)?;
        Ok(stream)
    }
}

impl Drop for AdminListener {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Opens the socket. With the process's umask of 077 only the owner can use it until its permissions are set. A missing
/// directory is created. That directory, or racoon's own run directory, is opened to the users of the socket; any other
/// stays as it is, because it may serve other purposes. A stale socket is replaced.
///
/// Needs no capability but CAP_CHOWN.
///
/// # Errors
/// See [`SocketError`].
pub fn listen(path: &Path, access: Option<&SocketAccess>) -> Result<AdminListener, SocketError> {
    listen_in(Path::new(state_file::DIRECTORY), path, access)
}

/// As [`listen`], with another run directory.
fn listen_in(run: &Path, path: &Path, access: Option<&SocketAccess>) -> Result<AdminListener, SocketError> {
    let io_error = |at: &Path| {
        let path = at.to_owned();
        move |error| SocketError::Io { path, error }
    };
    let owners = access.map(|access| Ok((user(&access.owner)?, group(&access.group)?))).transpose()?;
    let mode = access.map_or(SOCKET_MODE, |access| access.mode);
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        let is_new = !directory.exists();
        if is_new {
            DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory).map_err(io_error(directory))?;
        }
        if is_new || is_ours(directory, run) {
            let (owner, group) = owners.unwrap_or((geteuid(), getegid()));
            // To the directory, whose owner is this process's user, the socket's owner is one of the others.
            let others = owner != geteuid() || mode & OTHERS_WRITE != 0;
            let mode = DIRECTORY_MODE | if others { DIRECTORY_MODE_OTHERS } else { 0 };
            chown(directory, None, Some(group)).map_err(io::Error::from).map_err(io_error(directory))?;
            fs::set_permissions(directory, Permissions::from_mode(mode)).map_err(io_error(directory))?;
        }
    }
    remove_stale(path)?;
    let mut listener = AdminListener::new(UnixListener::bind(path).map_err(io_error(path))?, path);
    listener.listener.set_nonblocking(true).map_err(io_error(path))?;
    // The owner last: afterwards only that user, or CAP_FOWNER, may change the mode.
    if let Some((_, group)) = owners {
        lchown(path, None, Some(group.as_raw())).map_err(io_error(path))?;
    }
    set_mode(path, mode).map_err(io_error(path))?;
    if let Some((owner, group)) = owners {
        lchown(path, Some(owner.as_raw()), None).map_err(io_error(path))?;
        listener.unsearchable_directory =
            if mode & GROUP_WRITE != 0 { unsearchable_directory(&listener.path, group) } else { None };
    }
    Ok(listener)
}

/// Sets the mode of a file, without following a symbolic link that someone with access to the directory could have put
/// there. (Linux before 6.6 needs /proc for that.)
fn set_mode(path: &Path, mode: u16) -> io::Result<()> {
    let bits = Mode::from_bits_truncate(libc::mode_t::from(mode));
    match fchmodat(AT_FDCWD, path, bits, FchmodatFlags::NoFollowSymlink) {
        Err(Errno::EOPNOTSUPP) if path.is_symlink() => Err(Errno::ELOOP.into()),
        Err(Errno::EOPNOTSUPP) => fs::set_permissions(path, Permissions::from_mode(mode.into())),
        done => Ok(done?),
    }
}

/// Whether a directory is the run directory and belongs to this user.
fn is_ours(directory: &Path, run: &Path) -> bool {
    let same = |a: &Path, b: &Path| fs::canonicalize(a).ok().zip(fs::canonicalize(b).ok()).is_some_and(|(a, b)| a == b);
    same(directory, run) && fs::metadata(directory).is_ok_and(|metadata| metadata.uid() == geteuid().as_raw())
}

/// Returns the outermost directory on a path that a group may not search.
fn unsearchable_directory(path: &Path, group: Gid) -> Option<PathBuf> {
    const SEARCH_GROUP: u32 = 0o010;
    const SEARCH_OTHERS: u32 = 0o001;
    let closed = |directory: &&Path| {
        fs::metadata(directory).is_ok_and(|metadata| {
            let needed = if metadata.gid() == group.as_raw() { SEARCH_GROUP } else { SEARCH_OTHERS };
            metadata.mode() & needed == 0
        })
    };
    path.ancestors().skip(1).filter(closed).last().map(Path::to_owned)
}

/// Removes a socket that a daemon left behind.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(SocketError::Io { path: path.into(), error }),
        Ok(metadata) => metadata,
    };
    // A mistyped path must not cost a file.
    if !metadata.file_type().is_socket() {
        return Err(SocketError::NotASocket(path.into()));
    }
    let mut answer = connect(path);
    if answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::PermissionDenied) {
        // The socket belongs to the configured owner, and without CAP_DAC_OVERRIDE, as under systemd, its mode keeps us
        // out.
        if lchown(path, Some(geteuid().as_raw()), None).is_ok() {
            answer = connect(path);
            if !answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
                let _ = lchown(path, Some(metadata.uid()), None);
            }
        }
    }
    match answer.map_err(|error| error.kind()) {
        Err(ErrorKind::ConnectionRefused) => {}
        // Removed in the meantime.
        Err(ErrorKind::NotFound) => return Ok(()),
        // In use: the daemon may be too busy to accept, or expect datagrams.
        _ => return Err(SocketError::InUse(path.into())),
    }
    fs::remove_file(path).map_err(|error| SocketError::Io { path: path.into(), error })
}

/// Connects without waiting.
fn connect(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)
}

fn user(account: &Account) -> Result<Uid, SocketError> {
    match account {
        Account::Id(id) => Ok(Uid::from_raw(*id)),
        Account::Name(name) => {
            let user = User::from_name(name).ok().flatten();
            user.map(|user| user.uid).ok_or_else(|| SocketError::User(name.clone()))
        }
    }
}

fn group(account: &Account) -> Result<Gid, SocketError> {
    match account {
        Account::Id(id) => Ok(Gid::from_raw(*id)),
        Account::Name(name) => {
            let group = Group::from_name(name).ok().flatten();
            group.map(|group| group.gid).ok_or_else(|| SocketError::Group(name.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use nix::unistd::{getgid, getuid};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn creates_directory_and_replaces_stale_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("racoon/racoon.sock");
        let before = mode(directory.path());
        let first = listen(&path, None).unwrap();
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o710, 0o600));
        assert!(matches!(listen(&path, None), Err(SocketError::InUse(_))));
        // As a killed daemon leaves it.
        let name = directory.path().join("left.sock");
        fs::rename(&path, &name).unwrap();
        drop(first);
        fs::rename(&name, &path).unwrap();
        let own = (Account::Id(getuid().as_raw()), Account::Id(getgid().as_raw()));
        let access = SocketAccess { owner: own.0, group: own.1, mode: 0o660 };
        let second = listen(&path, Some(&access)).unwrap();
        assert_eq!(mode(&path), 0o660);
        assert_eq!(fs::metadata(&path).unwrap().gid(), getgid().as_raw());
        UnixStream::connect(&path).unwrap();
        assert!(second.listener.accept().is_ok());
        drop(second);
        assert!(!path.exists());
        assert_eq!(mode(directory.path()), before);
    }

    /// systemd creates the directory before the daemon starts, and gives it to root's group.
    #[test]
    fn run_directory_is_searchable_for_users() {
        let directory = tempfile::tempdir().unwrap();
        let run = directory.path().join("racoon");
        let path = run.join("racoon.sock");
        let own = (Account::Id(getuid().as_raw()), Account::Id(getgid().as_raw()));
        let access = |mode| SocketAccess { owner: own.0.clone(), group: own.1.clone(), mode };
        for (configured, expected) in
            [(None, 0o710), (Some(access(0o660)), 0o710), (Some(access(0o666)), 0o711), (None, 0o710)]
        {
            let _ = fs::create_dir(&run);
            fs::set_permissions(&run, Permissions::from_mode(0o700)).unwrap();
            let listener = listen_in(&run, &path, configured.as_ref()).unwrap();
            assert_eq!(mode(&run), expected, "{configured:?}");
            assert_eq!(
                listener.unsearchable_directory().is_some(),
                mode(directory.path()) & 0o011 == 0 && configured.is_some()
            );
        }
        // Another existing directory stays as it is.
        let other = directory.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::set_permissions(&other, Permissions::from_mode(0o700)).unwrap();
        let listener = listen_in(&run, &other.join("racoon.sock"), Some(&access(0o666))).unwrap();
        assert_eq!(mode(&other), 0o700);
        assert_eq!(unsearchable_directory(&listener.path, getgid()).as_deref(), listener.unsearchable_directory());
        fs::set_permissions(directory.path(), Permissions::from_mode(0o711)).unwrap();
        assert_eq!(unsearchable_directory(&listener.path, getgid()).as_deref(), Some(other.as_path()));
        fs::set_permissions(&other, Permissions::from_mode(0o710)).unwrap();
        assert_eq!(unsearchable_directory(&listener.path, getgid()), None);
        assert_eq!(
            unsearchable_directory(&listener.path, Gid::from_raw(getgid().as_raw() + 1)).as_deref(),
            Some(other.as_path())
        );
    }

    #[test]
    fn busy_daemon_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("racoon.sock");
        let busy = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        busy.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        busy.listen(0).unwrap();
        let waiting = (0..3).map(|_| {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let connected = socket.connect(&SockAddr::unix(&path).unwrap());
            (socket, connected.is_ok())
        });
        let waiting = waiting.collect::<Vec<_>>();
        assert!(waiting.iter().any(|(_, connected)| !connected), "the queue is not full");
        assert!(matches!(listen(&path, None), Err(SocketError::InUse(_))));

        let other = directory.path().join("other.sock");
        let _datagrams = UnixDatagram::bind(&other).unwrap();
        assert!(matches!(listen(&other, None), Err(SocketError::InUse(_))));
    }

    #[test]
    fn other_files_are_not_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("racoon.sock");
        fs::write(&path, "precious").unwrap();
        let error = listen(&path, None).unwrap_err();
        assert_eq!(error.to_string(), format!("{}: exists and is not a socket", path.display()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        // A link to a socket is no socket either.
        let (link, socket) = (directory.path().join("link.sock"), directory.path().join("real.sock"));
        let _listener = listen(&socket, None).unwrap();
        std::os::unix::fs::symlink(&socket, &link).unwrap();
        assert!(matches!(listen(&link, None), Err(SocketError::NotASocket(_))));
    }

    /// A symbolic link put in the socket's place before its permissions are set does not redirect them to another file.
    #[test]
    fn mode_is_not_set_through_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (victim, link) = (directory.path().join("victim"), directory.path().join("racoon.sock"));
        fs::write(&victim, "").unwrap();
        fs::set_permissions(&victim, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        // Some systems set the mode of the link itself.
        let _ = set_mode(&link, 0o666);
        assert_eq!(mode(&victim), 0o600);
        set_mode(&victim, 0o640).unwrap();
        assert_eq!(mode(&victim), 0o640);
    }

    #[test]
    fn unknown_accounts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("racoon.sock");
        let access = |owner: &str, group: &str| SocketAccess {
            owner: Account::Name(owner.into()),
            group: Account::Name(group.into()),
            mode: 0o600,
        };
        let error = |access: SocketAccess| listen(&path, Some(&access)).unwrap_err().to_string();
        assert_eq!(error(access("nobody-of-that-name", "root")), "unknown user nobody-of-that-name");
        assert_eq!(error(access("root", "no-such-group")), "unknown group no-such-group");
        assert!(!path.exists());
    }
}
