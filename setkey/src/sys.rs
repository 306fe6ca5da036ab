//! Binding of `getaddrinfo(3)`. The standard library's look-ups cannot restrict the family, do not resolve service names, and
//! do not return the resolver's error text.

use std::ffi::{CStr, CString};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ptr;

/// Restrictions of a look-up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hints {
    /// `AF_UNSPEC`, `AF_INET` or `AF_INET6`.
    pub(crate) family: i32,
    /// Numeric addresses only.
    pub(crate) numeric: bool,
}

/// Returns the addresses of a host with a (UDP) service.
///
/// # Errors
/// Returns the text of `gai_strerror(3)`.
pub(crate) fn lookup(host: &str, service: Option<&str>, hints: Hints) -> Result<Vec<SocketAddr>, String> {
    let text = |code| {
        // SAFETY: gai_strerror returns a pointer to a static string for every code.
        unsafe { CStr::from_ptr(libc::gai_strerror(code)) }.to_string_lossy().into_owned()
    };
    let host = CString::new(host).map_err(|_| text(libc::EAI_NONAME))?;
    let service = service.map(CString::new).transpose().map_err(|_| text(libc::EAI_SERVICE))?;
    // SAFETY: addrinfo is a plain C structure for which all zeros is a valid value (null pointers, no flags).
    let mut wanted: libc::addrinfo = unsafe { std::mem::zeroed() };
    wanted.ai_family = hints.family;
    wanted.ai_socktype = libc::SOCK_DGRAM;
    wanted.ai_protocol = libc::IPPROTO_UDP;
    wanted.ai_flags = if hints.numeric { libc::AI_NUMERICHOST } else { 0 };
    let service = service.as_ref().map_or(ptr::null(), |service| service.as_ptr());
    let mut list: *mut libc::addrinfo = ptr::null_mut();
    // SAFETY: the strings are NUL-terminated and live until after the call; `list` receives a list to be freed.
    let code = unsafe { libc::getaddrinfo(host.as_ptr(), service, &raw const wanted, &raw mut list) };
    if code != 0 {
        return Err(text(code));
    }
    let mut addresses = Vec::new();
    let mut entry = list;
    // SAFETY: the list is valid until freed, and each ai_next is null or the next entry.
    while let Some(info) = unsafe { entry.as_ref() } {
        // SAFETY: ai_addr points to a sockaddr of ai_family, or is null.
        addresses.extend(unsafe { socket_address(info.ai_addr) });
        entry = info.ai_next;
    }
    // SAFETY: getaddrinfo succeeded, so `list` is its list and has not been freed.
    unsafe { libc::freeaddrinfo(list) };
    Ok(addresses)
}

/// Returns the address in an IPv4 or IPv6 sockaddr.
///
/// # Safety
/// `address` is null, or points to a complete sockaddr of the family that it names.
unsafe fn socket_address(address: *const libc::sockaddr) -> Option<SocketAddr> {
    // SAFETY: guaranteed by the caller.
    let family = i32::from(unsafe { address.as_ref() }?.sa_family);
    if family == libc::AF_INET {
        // SAFETY: a sockaddr of AF_INET is a sockaddr_in; read_unaligned asks for no alignment.
        let v4 = unsafe { ptr::read_unaligned(address.cast::<libc::sockaddr_in>()) };
        let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
        return Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into());
    }
    if family == libc::AF_INET6 {
        // SAFETY: a sockaddr of AF_INET6 is a sockaddr_in6; read_unaligned asks for no alignment.
        let v6 = unsafe { ptr::read_unaligned(address.cast::<libc::sockaddr_in6>()) };
        let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
        return Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into());
    }
    None
}
