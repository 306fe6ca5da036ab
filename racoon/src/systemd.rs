//! Notification of systemd (sd_notify(3)): a datagram to the socket that the environment names.

use std::ffi::OsStr;
use std::io;
use std::os::unix::net::UnixDatagram;

/// State of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Startup is complete.
    Ready,
    /// Shutdown has begun.
    Stopping,
}

/// Notifies the service manager, if it asked for it.
///
/// # Errors
/// Those of the socket. The daemon can go on without.
pub fn notify(state: State) -> io::Result<()> {
    std::env::var_os("NOTIFY_SOCKET").map_or(Ok(()), |socket| send(&socket, state))
}

fn send(socket: &OsStr, state: State) -> io::Result<()> {
    let text: &[u8] = match state {
        State::Ready => b"READY=1",
        State::Stopping => b"STOPPING=1",
    };
    let sender = UnixDatagram::unbound()?;
    // `@` stands for the NUL byte that begins an abstract socket address.
    #[cfg(target_os = "linux")]
    if let Some(name) = std::os::unix::ffi::OsStrExt::as_bytes(socket).strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt as _;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        return sender.send_to_addr(text, &address).map(drop);
    }
    sender.send_to(text, socket).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn path_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        send(path.as_os_str(), State::Ready).unwrap_err();
        let manager = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), State::Ready).unwrap();
        send(path.as_os_str(), State::Stopping).unwrap();
        assert_eq!(read(&manager), "READY=1");
        assert_eq!(read(&manager), "STOPPING=1");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn abstract_socket() {
        use std::os::linux::net::SocketAddrExt as _;
        // Unique, because a directory has this name.
        let directory = tempfile::tempdir().unwrap();
        let name = directory.path().to_str().unwrap();
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        send(OsStr::new(&format!("@{name}")), State::Ready).unwrap();
        assert_eq!(read(&manager), "READY=1");
    }
}
