//! Signals, as something to poll for.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::signal;
use nix::unistd::read;

use crate::self_pipe;
use crate::sys;

/// A signal that means something to the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// HUP: read the configuration again, and open the log file anew.
    Reload,
    /// TERM or INT: end in order. With its number.
    Stop(u8),
    /// USR1 or USR2: only logged. With its number.
    User(u8),
    /// CHLD: a script has ended.
    Child,
}

impl Signal {
    /// What a signal's number means.
    fn of(number: u8) -> Option<Self> {
        match signal::Signal::try_from(i32::from(number)).ok()? {
            signal::Signal::SIGHUP => Some(Self::Reload),
            signal::Signal::SIGTERM | signal::Signal::SIGINT => Some(Self::Stop(number)),
            signal::Signal::SIGUSR1 | signal::Signal::SIGUSR2 => Some(Self::User(number)),
            signal::Signal::SIGCHLD => Some(Self::Child),
            _ => None,
        }
    }
}

/// The signals that have arrived. There is one per process.
#[derive(Debug)]
pub struct Signals {
    pipe: OwnedFd,
}

impl Signals {
    /// Installs the handlers, and ignores PIPE.
    ///
    /// # Errors
    /// The system's, from pipe(2) or sigaction(2).
    pub fn watch() -> io::Result<Self> {
        let (reader, writer) = self_pipe::open()?;
        let watched = [
            signal::Signal::SIGHUP,
            signal::Signal::SIGTERM,
            signal::Signal::SIGINT,
            signal::Signal::SIGUSR1,
            signal::Signal::SIGUSR2,
            signal::Signal::SIGCHLD,
        ];
        sys::watch(&watched, writer)?;
        sys::ignore(signal::Signal::SIGPIPE)?;
        Ok(Self { pipe: reader })
    }

    /// What has arrived since it was last asked, each signal once.
    pub fn take(&self) -> Vec<Signal> {
        // First the bytes, then the signals: one that arrives in between is taken now, and its byte wakes in vain.
        while matches!(read(&self.pipe, &mut [0; 4096]), Ok(1..) | Err(Errno::EINTR)) {}
        let mut arrived = sys::arrived().filter_map(Signal::of).collect::<Vec<_>>();
        arrived.sort_unstable();
        arrived
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}
