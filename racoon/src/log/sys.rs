//! Local time, which the standard library does not provide.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

/// Converts seconds since 1970 to local time; `None` if the calendar cannot represent it.
pub(super) fn local_time(seconds: i64) -> Option<libc::tm> {
    let time = libc::time_t::try_from(seconds).ok()?;
    let mut tm = MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are valid for the call; localtime_r keeps neither.
    let result = unsafe { libc::localtime_r(&raw const time, tm.as_mut_ptr()) };
    // SAFETY: a non-null result means that tm was filled in.
    (!result.is_null()).then(|| unsafe { tm.assume_init() })
}
