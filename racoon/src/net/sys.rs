//! Socket options that take a structure.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd as _};

/// setsockopt(2) with any bytes.
pub(super) fn set_option(socket: impl AsFd, level: i32, option: i32, value: &[u8]) -> io::Result<()> {
    let length = libc::socklen_t::try_from(value.len()).map_err(io::Error::other)?;
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open, and pointer and length describe one live buffer that is only read.
    let done = unsafe { libc::setsockopt(descriptor, level, option, value.as_ptr().cast(), length) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
