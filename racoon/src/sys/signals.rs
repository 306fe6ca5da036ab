//! Signal handlers and fork(2).

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{ForkResult, fork};

/// Descriptor that the signal handler writes to.
static PIPE: AtomicI32 = AtomicI32::new(-1);

/// Received signals: bit n stands for signal number n.
static ARRIVED: AtomicU32 = AtomicU32::new(0);

/// Async-signal-safe: a single write(2), and errno is preserved.
extern "C" fn handler(signal: libc::c_int) {
    let bit = u32::try_from(signal).ok().and_then(|number| 1_u32.checked_shl(number));
    ARRIVED.fetch_or(bit.unwrap_or(0), Ordering::SeqCst);
    let errno = Errno::last_raw();
    // SAFETY: the pointer is to one byte. The descriptor is a pipe that is never closed, or -1.
    let _ = unsafe { libc::write(PIPE.load(Ordering::Relaxed), [0_u8].as_ptr().cast(), 1) };
    Errno::set_raw(errno);
}

/// Returns the numbers of the signals received since the last call, each once.
pub(crate) fn arrived() -> impl Iterator<Item = u8> {
    let arrived = ARRIVED.swap(0, Ordering::SeqCst);
    (0..32).filter(move |number| arrived >> number & 1 == 1)
}

/// Writes a byte to the pipe whenever one of these signals arrives. If the pipe is full the byte is not needed. The
/// pipe is never closed.
pub(crate) fn watch(signals: &[Signal], pipe: OwnedFd) -> io::Result<()> {
    let descriptor: RawFd = pipe.as_raw_fd();
    // Left open for ever: the handler may run at any time from now on.
    std::mem::forget(pipe);
    PIPE.store(descriptor, Ordering::Relaxed);
    // Other system calls are restarted; poll(2) fails with EINTR all the same.
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

/// Forks. Call it only while there is a single thread: locks held by other threads would stay locked in the child.
pub(crate) fn fork_once() -> io::Result<ForkResult> {
    // SAFETY: the caller's single thread holds no lock that the child could wait for.
    Ok(unsafe { fork() }?)
}
