//! The listening socket of a server, and who may connect to it.

use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{Backlog, UnixAddr, bind, connect, listen};

use super::ClientEvent;
use crate::backend::socket::seqpacket;
use crate::error::{Error, Result};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 16;

/// A listening socket. Its file is removed on drop.
#[derive(Debug)]
pub(super) struct Listener {
    socket: UnixListener,
    path: PathBuf,
}

impl Listener {
    /// Binds the socket at `path`, mode 0600. A stale socket file is replaced.
    ///
    /// # Errors
    /// [`Error::System`]; [`Error::Backend`] on systems without `SOCK_SEQPACKET` (macOS).
    pub(super) fn bind(path: &Path) -> Result<Self> {
        let socket = seqpacket()?;
        let address = UnixAddr::new(path).map_err(|errno| Error::system("bind", errno))?;
        let mut bound = bind(socket.as_raw_fd(), &address);
        if bound == Err(Errno::EADDRINUSE) && is_abandoned(path) {
            std::fs::remove_file(path).map_err(|source| Error::System { call: "unlink", source })?;
            bound = bind(socket.as_raw_fd(), &address);
        }
        bound.map_err(|errno| Error::system("bind", errno))?;
        // Nobody can connect before listen, so the mode is never too wide.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(path, mode).map_err(|source| Error::System { call: "chmod", source })?;
        listen(&socket, Backlog::new(BACKLOG).unwrap_or(Backlog::MAXCONN))
            .map_err(|errno| Error::system("listen", errno))?;
        let socket = UnixListener::from(socket);
        socket.set_nonblocking(true).map_err(|source| Error::System { call: "fcntl", source })?;
        Ok(Self { socket, path: path.to_owned() })
    }

    /// Readable when a client connects.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Accepts a client if one waits. Returns the event, and the socket unless the client's user is refused.
    ///
    /// # Errors
    /// [`Error::System`]
    pub(super) fn accept(&self) -> Result<Option<(ClientEvent, Option<OwnedFd>)>> {
        let socket = match self.socket.accept() {
            Ok((stream, _)) => OwnedFd::from(stream),
            // The client may have given up since the socket became readable.
            Err(error) if is_passing(error.kind()) => return Ok(None),
            Err(source) => return Err(Error::System { call: "accept", source }),
        };
        let uid = peer_uid(socket.as_fd())?;
        // The messages hold keys. Not every system checks the mode of a socket file on connect.
        if uid != 0 && uid != nix::unistd::geteuid().as_raw() {
            return Ok(Some((ClientEvent::Refused { uid }, None)));
        }
        Ok(Some((ClientEvent::Accepted { uid }, Some(socket))))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn is_passing(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted)
}

/// Whether no server listens on a socket file.
fn is_abandoned(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refused = || match (seqpacket(), UnixAddr::new(path)) {
        (Ok(socket), Ok(address)) => connect(socket.as_raw_fd(), &address) == Err(Errno::ECONNREFUSED),
        _ => false,
    };
    is_socket && refused()
}

/// The effective user id of the peer.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn peer_uid(socket: BorrowedFd<'_>) -> Result<u32> {
    use nix::sys::socket::{getsockopt, sockopt};
    let peer = getsockopt(&socket, sockopt::PeerCredentials).map_err(|errno| Error::system("getsockopt", errno))?;
    Ok(peer.uid())
}

/// The effective user id of the peer.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn peer_uid(socket: BorrowedFd<'_>) -> Result<u32> {
    let (uid, _) = nix::unistd::getpeereid(socket).map_err(|errno| Error::system("getpeereid", errno))?;
    Ok(uid.as_raw())
}
