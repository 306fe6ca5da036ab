//! System calls without a safe wrapper.

use std::ffi::CString;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::Duration;

/// Sets the interface `lo` in the network namespace of the calling thread up.
pub(crate) fn lo_up() -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: ifreq is plain old data, for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    let flags = libc::IFF_UP | libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open, and SIOCSIFFLAGS reads one ifreq, which outlives the call.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Access to the files below a mount point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    ReadOnly,
    Writable,
}

/// `struct mount_attr` of `linux/mount.h`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Changes the access of the mount at `path` and all mounts below it. Does nothing before Linux 5.12, which cannot
/// change it.
pub(crate) fn set_access(path: &Path, access: Access) -> io::Result<()> {
    const READ_ONLY: u64 = 1;
    let path = CString::new(path.as_os_str().as_bytes())?;
    let (set, clear) = if access == Access::ReadOnly { (READ_ONLY, 0) } else { (0, READ_ONLY) };
    let attributes = MountAttributes { set, clear, propagation: 0, user_namespace: 0 };
    // SAFETY: the path ends with a zero byte, and the pointer and size describe one live structure that is only read.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    match io::Error::last_os_error() {
        error if done < 0 && error.raw_os_error() != Some(libc::ENOSYS) => Err(error),
        _ => Ok(()),
    }
}

/// Returns how many bytes sent to a terminal have not been read. They are complete lines.
pub(crate) fn unread(terminal: impl AsFd) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: the descriptor is open, and FIONREAD writes one int, which outlives the call.
    let done = unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut count) };
    if done < 0 { Err(io::Error::last_os_error()) } else { usize::try_from(count).map_err(io::Error::other) }
}

/// Returns a UDP socket with an inbound and an outbound bypass policy.
pub(crate) fn socket_policies() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    for direction in [0_u8, 1] {
        match set_policy(&socket, IP_IPSEC_POLICY, &bypass_of_pfkey(direction)) {
            // Without af_key the kernel does not accept this form.
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                set_policy(&socket, IP_XFRM_POLICY, &bypass_of_xfrm(direction))?;
            }
            done => done?,
        }
    }
    Ok(socket)
}

/// Returns a `sadb_x_policy`: length 2 words, extension 18, type bypass, direction; reserved, id and priority are 0.
fn bypass_of_pfkey(direction: u8) -> Vec<u8> {
    const BYPASS: u16 = 4;
    let mut policy = Vec::with_capacity(16);
    for word in [2, 18, BYPASS] {
        policy.extend_from_slice(&u16::to_ne_bytes(word));
    }
    policy.push(direction + 1);
    policy.resize(16, 0);
    policy
}

/// Returns an `xfrm_userpolicy_info` that allows all IPv4 packets without limits.
fn bypass_of_xfrm(direction: u8) -> Vec<u8> {
    let mut policy = vec![0; 168];
    policy[40..42].copy_from_slice(&2_u16.to_ne_bytes());
    policy[56..88].fill(0xff);
    policy[160] = direction;
    policy
}

fn set_policy(socket: &UdpSocket, option: libc::c_int, policy: &[u8]) -> io::Result<()> {
    let length = libc::socklen_t::try_from(policy.len()).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open, and the pointer and length describe one live buffer that is only read.
    let done =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_IP, option, policy.as_ptr().cast(), length) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Resources used by a process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) user: Duration,
    pub(crate) system: Duration,
    /// Peak memory in KiB.
    pub(crate) peak: i64,
}

/// Waits for `child`, and returns what it used; `getrusage` would include all children.
pub(crate) fn wait_usage(child: &Child) -> io::Result<(ExitStatus, Usage)> {
    let id = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    let mut status = 0;
    // SAFETY: rusage is plain old data, for which all zeroes is a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the types that wait4 fills in.
    let done = unsafe { libc::wait4(id, &raw mut status, 0, &raw mut usage) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    let usage = Usage { user: duration(usage.ru_utime), system: duration(usage.ru_stime), peak: usage.ru_maxrss };
    Ok((ExitStatus::from_raw(status), usage))
}

fn duration(time: libc::timeval) -> Duration {
    let part = |count: i64| u64::try_from(count).unwrap_or_default();
    Duration::from_secs(part(time.tv_sec)) + Duration::from_micros(part(time.tv_usec))
}

/// Socket options of `linux/in.h`.
const IP_IPSEC_POLICY: libc::c_int = 16;
const IP_XFRM_POLICY: libc::c_int = 17;
