//! Addresses of this host, and notification of changes.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, SockaddrStorage, recv, socket};

/// Returns the addresses of all interfaces, with port 0. Link-local ones have their scope.
pub(super) fn present() -> io::Result<BTreeSet<SocketAddr>> {
    let addresses = getifaddrs()?.filter_map(|interface| socket_address(&interface.address?));
    let addresses = addresses.map(|address| super::with_port(address, 0));
    Ok(addresses.filter(|address| !address.ip().is_unspecified() && !address.ip().is_multicast()).collect())
}

/// Whether an address belongs to this host, by the result of [`present`]. Linux lists one address of 127.0.0.0/8 but
/// accepts all.
pub(super) fn is_local(mut address: SocketAddr, present: &BTreeSet<SocketAddr>) -> bool {
    address.set_port(0);
    let is_loopback = cfg!(target_os = "linux") && address.is_ipv4() && address.ip().is_loopback();
    is_loopback || present.contains(&address)
}

/// Converts an address of the system. The IPv6 flow label is dropped; it does not identify a peer.
pub(super) fn socket_address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = storage.as_sockaddr_in() {
        return Some((v4.ip(), v4.port()).into());
    }
    let v6 = storage.as_sockaddr_in6()?;
    Some(scoped(v6.ip().into(), v6.port(), v6.scope_id()))
}

/// Returns a socket address that has a scope only if the address needs one.
pub(super) fn scoped(ip: IpAddr, port: u16, scope: u32) -> SocketAddr {
    match ip {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => SocketAddrV6::new(v6, port, 0, scope).into(),
        _ => SocketAddr::new(ip, port),
    }
}

/// Returns the scope id of what follows `%`: a number, or the name of an interface.
pub(super) fn scope_number(scope: &str) -> Option<u32> {
    scope.parse().ok().or_else(|| if_nametoindex(scope).ok())
}

/// Socket that reports added and removed addresses.
#[derive(Debug)]
pub(super) struct AddressWatch {
    socket: OwnedFd,
}

impl AddressWatch {
    /// # Errors
    /// Those of socket(2) and bind(2).
    #[cfg(target_os = "linux")]
    pub(super) fn open() -> io::Result<Self> {
        use nix::sys::socket::{NetlinkAddr, SockProtocol, bind};
        use std::os::fd::AsRawFd as _;
        const IPV4_AND_IPV6_ADDRESSES: u32 = 0x10 | 0x100;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, IPV4_AND_IPV6_ADDRESSES))?;
        Ok(Self { socket })
    }

    /// # Errors
    /// Those of socket(2) and fcntl(2).
    #[cfg(not(target_os = "linux"))]
    pub(super) fn open() -> io::Result<Self> {
        use nix::fcntl::{FcntlArg, OFlag, fcntl};
        let socket = socket(AddressFamily::Route, SockType::Raw, SockFlag::empty(), None)?;
        crate::self_pipe::close_on_exec(&socket)?;
        fcntl(&socket, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { socket })
    }

    /// Reads the pending notifications. Returns whether any is about an address.
    pub(super) fn changed(&self) -> bool {
        use std::os::fd::AsRawFd as _;
        let mut changed = false;
        let mut message = [0; 4096];
        // Bounded; the rest is read in the next round.
        for _ in 0..1000 {
            match recv(self.socket.as_raw_fd(), &mut message, MsgFlags::empty()) {
                Ok(length) => changed |= concerns_addresses(message.get(..length).unwrap_or_default()),
                // Notifications were lost, so any address may have changed.
                Err(Errno::ENOBUFS) => changed = true,
                Err(Errno::EINTR) => {}
                Err(_) => break,
            }
        }
        changed
    }
}

impl AsFd for AddressWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Only address changes are subscribed to.
#[cfg(target_os = "linux")]
fn concerns_addresses(_: &[u8]) -> bool {
    true
}

/// A message of the routing socket has its type in byte 3. Most are about routes.
#[cfg(not(target_os = "linux"))]
fn concerns_addresses(message: &[u8]) -> bool {
    let of_addresses = [libc::RTM_NEWADDR, libc::RTM_DELADDR];
    message.get(3).is_some_and(|&kind| of_addresses.contains(&i32::from(kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_present() {
        assert!(present().unwrap().contains(&"127.0.0.1:0".parse().unwrap()));
    }

    #[test]
    fn whole_loopback_network_is_local() {
        let is_local = |text: &str| is_local(text.parse().unwrap(), &present().unwrap());
        assert!(is_local("127.0.0.1:500"));
        let has_ipv6 = std::net::UdpSocket::bind("[::1]:0").is_ok();
        assert_eq!(is_local("[::1]:500"), has_ipv6);
        assert_eq!(is_local("127.1.2.3:500"), cfg!(target_os = "linux"));
        assert!(!is_local("192.0.2.77:500") && !is_local("[::2]:500"));
    }

    #[test]
    fn scopes() {
        assert_eq!(scope_number("7"), Some(7));
        assert!(scope_number("lo").or(scope_number("lo0")).is_some());
        assert_eq!(scope_number("no such interface"), None);
        assert_eq!(scoped("fe80::1".parse().unwrap(), 500, 3).to_string(), "[fe80::1%3]:500");
        assert_eq!(scoped("2001:db8::1".parse().unwrap(), 500, 3).to_string(), "[2001:db8::1]:500");
    }

    #[test]
    fn no_notification_without_change() {
        if let Ok(watch) = AddressWatch::open() {
            // The host may have changes just now.
            assert!((0..100).any(|_| !watch.changed()));
        }
    }
}
