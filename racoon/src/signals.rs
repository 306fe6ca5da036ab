//! Signals as a descriptor to poll.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::signal;
use nix::unistd::read;

use crate::self_pipe;
use crate::sys;

/// A signal that the daemon handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// SIGHUP: reload the configuration and reopen the log file.
    Reload,
    /// SIGTERM or SIGINT, by number: shut down.
    Stop(u8),
    /// SIGUSR1 or SIGUSR2, by number: only logged.
    User(u8),
    /// SIGCHLD: a script has exited.
    Child,
}

impl Signal {
    /// Returns the meaning of a signal number.
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

/// Receiver of signals. There can be one per process.
#[derive(Debug)]
pub struct Signals {
    pipe: OwnedFd,
}

impl Signals {
    /// Installs the handlers, and ignores SIGPIPE.
    ///
    /// # Errors
    /// Those of pipe(2) and sigaction(2).
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
        sys::signals::watch(&watched, writer)?;
        sys::signals::ignore(signal::Signal::SIGPIPE)?;
        Ok(Self { pipe: reader })
    }

    /// Returns the signals received since the last call, each once.
    pub fn take(&self) -> Vec<Signal> {
        // Empty the pipe first. A signal that arrives in between is returned now, and its byte causes one wake-up for
        // nothing; the other way round it would be lost.
        while matches!(read(&self.pipe, &mut [0; 4096]), Ok(1..) | Err(Errno::EINTR)) {}
        let mut arrived = sys::signals::arrived().filter_map(Signal::of).collect::<Vec<_>>();
        arrived.sort_unstable();
        arrived
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}
