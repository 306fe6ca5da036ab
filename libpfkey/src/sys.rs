//! The few calls into libc that have no safe wrapper elsewhere.

use std::ffi::{CStr, CString};
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
