//! The system calls of a daemon that have no safe wrapper.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{ForkResult, fork};

/// Where the handler writes.
static PIPE: AtomicI32 = AtomicI32::new(-1);

/// The signals that have arrived: bit n is the one with the number n.
static ARRIVED: AtomicU32 = AtomicU32::new(0);

/// Only what may be called in a signal handler: one write(2), and errno as it was.
extern "C" fn handler(signal: libc::c_int) {
    let bit = u32::try_from(signal).ok().and_then(|number| 1_u32.checked_shl(number));
    ARRIVED.fetch_or(bit.unwrap_or(0), Ordering::SeqCst);
    let errno = Errno::last_raw();
    // SAFETY: the pointer is to one byte. The descriptor is a pipe that is never closed, or -1.
    let _ = unsafe { libc::write(PIPE.load(Ordering::Relaxed), [0_u8].as_ptr().cast(), 1) };
    Errno::set_raw(errno);
}

/// The numbers of the signals that have arrived since this was last asked, each once.
pub(crate) fn arrived() -> impl Iterator<Item = u8> {
    let arrived = ARRIVED.swap(0, Ordering::SeqCst);
    (0..32).filter(move |number| arrived >> number & 1 == 1)
}

/// From now on a byte is written to the pipe when one of these signals arrives. A pipe without room for it has bytes to read.
/// It stays open for ever.
pub(crate) fn watch(signals: &[Signal], pipe: OwnedFd) -> io::Result<()> {
    let descriptor: RawFd = pipe.as_raw_fd();
    // The handler may run at any time from now on.
    std::mem::forget(pipe);
    PIPE.store(descriptor, Ordering::Relaxed);
    let action = SigAction::new(SigHandler::Handler(handler), SaFlags::SA_RESTART, SigSet::empty());
    for &signal in signals {
        // SAFETY: the handler calls nothing but write(2), and keeps errno.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

/// Ignores a signal.
pub(crate) fn ignore(signal: Signal) -> io::Result<()> {
    let action = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler is installed.
    unsafe { sigaction(signal, &action) }?;
    Ok(())
}

/// Whether this is the child. To be called while there is one thread only: what other threads hold would be held for
/// ever.
pub(crate) fn fork_once() -> io::Result<ForkResult> {
    // SAFETY: the caller's single thread holds no lock that the child could wait for.
    Ok(unsafe { fork() }?)
}
