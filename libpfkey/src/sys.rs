//! The few calls into libc that have no safe wrapper elsewhere.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::sync::Mutex;

/// The local time of `seconds` since 1970, or `None` when the calendar cannot hold it.
pub(crate) fn local_time(seconds: i64) -> Option<libc::tm> {
    let time = libc::time_t::try_from(seconds).ok()?;
    let mut tm = MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are valid for the call; localtime_r keeps neither.
    let result = unsafe { libc::localtime_r(&raw const time, tm.as_mut_ptr()) };
    // SAFETY: a non-null result means that tm was filled in.
    (!result.is_null()).then(|| unsafe { tm.assume_init() })
}

/// `getproto*` answer from a static buffer.
static PROTOCOLS: Mutex<()> = Mutex::new(());

/// The name of an IP protocol in the system's table.
pub(crate) fn protocol_name(number: u8) -> Option<String> {
    let _turn = PROTOCOLS.lock().ok()?;
    // SAFETY: the result is null or points to a static entry, which the lock keeps from being overwritten.
    let entry = unsafe { libc::getprotobynumber(i32::from(number)).as_ref()? };
    // SAFETY: p_name of a non-null entry is a NUL-terminated string, copied before the lock is released.
    let name = unsafe { CStr::from_ptr(entry.p_name) };
    Some(name.to_string_lossy().into_owned())
}

/// The number of an IP protocol in the system's table.
pub(crate) fn protocol_number(name: &str) -> Option<u8> {
    let name = CString::new(name).ok()?;
    let _turn = PROTOCOLS.lock().ok()?;
    // SAFETY: the argument is a NUL-terminated string; the result is null or points to a static entry, which the
    // lock keeps from being overwritten.
    let entry = unsafe { libc::getprotobyname(name.as_ptr()).as_ref()? };
    u8::try_from(entry.p_proto).ok()
}

/// Identifies the running boot.
#[cfg(target_os = "linux")]
pub(crate) fn boot_id() -> io::Result<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim_end().to_owned())
}

/// Identifies the running boot: a UUID where the system has one, else the time of the boot, which some systems correct when
/// the clock is set.
#[cfg(any(target_os = "freebsd", target_os = "netbsd", target_os = "macos"))]
pub(crate) fn boot_id() -> io::Result<String> {
    let text = |name| {
        let bytes = sysctl(name).ok()?;
        let text = CStr::from_bytes_until_nul(&bytes).ok()?.to_str().ok()?;
        (!text.is_empty()).then(|| text.to_owned())
    };
    if let Some(id) = text(c"kern.boot_id").or_else(|| text(c"kern.bootsessionuuid")) {
        return Ok(id);
    }
    // A struct timeval, or on NetBSD a struct timespec: both begin with the seconds.
    let bytes = sysctl(c"kern.boottime")?;
    let seconds = bytes.first_chunk().ok_or(io::ErrorKind::Unsupported)?;
    Ok(libc::time_t::from_ne_bytes(*seconds).to_string())
}

/// Identifies the running boot.
#[cfg(not(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd", target_os = "macos")))]
pub(crate) fn boot_id() -> io::Result<String> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The value of a variable of the kernel; one of more than 64 bytes is an error.
#[cfg(any(target_os = "freebsd", target_os = "netbsd", target_os = "macos"))]
fn sysctl(name: &CStr) -> io::Result<Vec<u8>> {
    let mut value = vec![0; 64];
    let mut length = value.len();
    let (buffer, nothing) = (value.as_mut_ptr().cast(), std::ptr::null_mut());
    // SAFETY: the name is NUL-terminated, the buffer has room for `length` bytes, and nothing is set.
    let result = unsafe { libc::sysctlbyname(name.as_ptr(), buffer, &raw mut length, nothing, 0) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    value.truncate(length);
    Ok(value)
}
