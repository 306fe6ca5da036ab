//! Waiting for several descriptors, some of them more urgent than others.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Order in which ready sources are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// First: the kernel, the control socket, signals, job results.
    Control,
    /// Last: UDP sockets.
    Peers,
}

/// A descriptor to wait for.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a, T> {
    /// The descriptor.
    pub descriptor: BorrowedFd<'a>,
    /// When it is served.
    pub priority: Priority,
    /// Waits for room to write instead of data to read. Waiting for both would keep waking a writer for data that it
    /// does not read yet.
    pub writes: bool,
    /// Identifies the source in the result.
    pub token: T,
}

impl<'a, T> Source<'a, T> {
    /// Returns a source to read from that is served first.
    pub fn control(descriptor: BorrowedFd<'a>, token: T) -> Self {
        Self { descriptor, priority: Priority::Control, writes: false, token }
    }

    /// Returns a source to read from that is served last.
    pub fn peers(descriptor: BorrowedFd<'a>, token: T) -> Self {
        Self { descriptor, priority: Priority::Peers, writes: false, token }
    }
}

/// Readiness of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready<T> {
    /// Identifies the source.
    pub token: T,
    /// Data to read, an error, or end of file.
    pub readable: bool,
    /// Room to write.
    pub writable: bool,
    /// The descriptor is not open: remove the source.
    pub closed: bool,
}

/// Waits until a source is ready or the timeout expires; `None` waits without limit. Ready sources are ordered by
/// priority, within a priority as given. A signal ends the wait with an empty result.
///
/// # Errors
/// Those of poll(2).
pub fn wait<T: Copy>(sources: &[Source<'_, T>], timeout: Option<Duration>) -> io::Result<Vec<Ready<T>>> {
    let mut polled = sources.iter().map(polled).collect::<Vec<_>>();
    match poll(&mut polled, timeout.map_or(PollTimeout::NONE, milliseconds)) {
        // The handler has written to the self-pipe, so the next call reports the signal.
        Err(Errno::EINTR) => return Ok(Vec::new()),
        done => done?,
    };
    let with_priority = |wanted: Priority| {
        sources.iter().zip(&polled).filter(move |(source, _)| source.priority == wanted).filter_map(
            |(source, polled)| {
                let flags = polled.revents().filter(|flags| !flags.is_empty())?;
                Some(readiness(source.token, flags))
            },
        )
    };
    Ok(with_priority(Priority::Control).chain(with_priority(Priority::Peers)).collect())
}

fn polled<'a, T>(source: &Source<'a, T>) -> PollFd<'a> {
    let wanted = if source.writes { PollFlags::POLLOUT } else { PollFlags::POLLIN };
    PollFd::new(source.descriptor, wanted)
}

fn readiness<T>(token: T, flags: PollFlags) -> Ready<T> {
    Ready {
        token,
        // Only a read tells which error it is, or that the stream has ended.
        readable: flags.intersects(PollFlags::POLLIN | PollFlags::POLLERR | PollFlags::POLLHUP),
        writable: flags.contains(PollFlags::POLLOUT),
        closed: flags.contains(PollFlags::POLLNVAL),
    }
}

/// Rounds up: if poll(2) returned early, a timer would not be due yet.
fn milliseconds(time: Duration) -> PollTimeout {
    PollTimeout::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    const NOW: Option<Duration> = Some(Duration::ZERO);

    fn only<T>(token: T, readable: bool, writable: bool) -> Ready<T> {
        Ready { token, readable, writable, closed: false }
    }

    #[test]
    fn control_sources_come_first() {
        let (mut a, peer) = UnixStream::pair().unwrap();
        let (mut b, admin) = UnixStream::pair().unwrap();
        let sources = [Source::peers(peer.as_fd(), "peer"), Source::control(admin.as_fd(), "admin")];
        assert_eq!(wait(&sources, NOW).unwrap(), []);
        a.write_all(b"x").unwrap();
        assert_eq!(wait(&sources, None).unwrap(), [only("peer", true, false)]);
        b.write_all(b"x").unwrap();
        assert_eq!(wait(&sources, None).unwrap(), [only("admin", true, false), only("peer", true, false)]);
    }

    #[test]
    fn writable_and_end_of_file() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let source = Source { writes: true, ..Source::control(ours.as_fd(), 0) };
        assert_eq!(wait(&[source], None).unwrap(), [only(0, false, true)]);
        drop(theirs);
        assert!(wait(&[Source::control(ours.as_fd(), 0)], None).unwrap()[0].readable);
    }

    #[test]
    fn writer_is_not_woken_by_data() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        while ours.write(&[0; 4096]).is_ok() {}
        theirs.write_all(b"one more question").unwrap();
        let source = Source { writes: true, ..Source::control(ours.as_fd(), 0) };
        assert_eq!(wait(&[source], NOW).unwrap(), []);
        drop(theirs);
        assert_eq!(wait(&[source], NOW).unwrap().len(), 1);
    }

    #[test]
    fn timeout_is_rounded_up() {
        let of = |nanoseconds| milliseconds(Duration::from_nanos(nanoseconds)).as_millis();
        assert_eq!((of(0), of(1), of(1_000_000), of(1_000_001)), (Some(0), Some(1), Some(1), Some(2)));
        assert_eq!(milliseconds(Duration::MAX), PollTimeout::MAX);
    }
}
