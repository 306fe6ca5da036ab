//! The local time, which the standard library does not know.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

use super::line::Stamp;

/// The local time of `seconds` since 1970, or `None` when the calendar cannot hold it.
pub(super) fn local_time(seconds: i64) -> Option<Stamp> {
    let time = libc::time_t::try_from(seconds).ok()?;
    let mut tm = MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are valid for the call; localtime_r keeps neither.
    let result = unsafe { libc::localtime_r(&raw const time, tm.as_mut_ptr()) };
    // SAFETY: a non-null result means that tm was filled in.
    let tm = (!result.is_null()).then(|| unsafe { tm.assume_init() })?;
    Some(Stamp {
        year: tm.tm_year.checked_add(1900)?,
        month: u8::try_from(tm.tm_mon).ok()?.checked_add(1)?,
        day: u8::try_from(tm.tm_mday).ok()?,
        hour: u8::try_from(tm.tm_hour).ok()?,
        minute: u8::try_from(tm.tm_min).ok()?,
        second: u8::try_from(tm.tm_sec).ok()?,
    })
}
