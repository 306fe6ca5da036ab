//! Destinations of log lines.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use syslog::{Facility, LogFormat, Logger, LoggerBackend, Severity};

use super::level::Level;
use super::timestamp::Timestamp;

/// Maximum time per [`WINDOW`] to wait for a syslog daemon that does not read.
const PATIENCE: Duration = Duration::from_millis(100);
const WINDOW: Duration = Duration::from_secs(1);

/// Maximum length of a line to syslog in bytes. A datagram that is too large would be lost entirely.
const LONGEST: usize = 8 * 1024;

/// The file of `-l`.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
}

impl LogFile {
    /// Opens the file for appending, readable by the owner only, because it contains data about peers. Symbolic links
    /// are not followed: with write access to the directory, anybody could redirect root's output to any file. Does not
    /// wait for the reader of a FIFO.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = options.open(&path).map_err(|error| match error.raw_os_error() {
            // The errno is ELOOP, on the BSDs EMLINK or EFTYPE.
            Some(_) if fs::symlink_metadata(&path).is_ok_and(|status| status.is_symlink()) => io::Error::new(
                error.kind(),
                "is a symbolic link, which is not followed; name the file that it leads to",
            ),
            _ => error,
        })?;
        Ok(Self { path, file })
    }

    pub(super) fn reopen(&mut self) -> io::Result<()> {
        *self = Self::open(self.path.clone())?;
        Ok(())
    }

    /// Appends a line. On a full disk it is lost.
    pub(super) fn put(&mut self, line: &str) {
        let _ = write_whole(&mut self.file, line);
    }
}

/// Writes with one system call, so that the lines of several writers do not mix.
pub(super) fn write_whole(to: &mut impl Write, line: &str) -> io::Result<()> {
    to.write_all(line.as_bytes())?;
    to.flush()
}

/// Connection to the syslog daemon. Lines that it does not accept are counted, and the count is logged when it accepts
/// lines again.
pub(super) struct Syslog {
    logger: Option<Logger<LoggerBackend, Format>>,
    connect: fn() -> syslog::Result<Logger<LoggerBackend, Format>>,
    patience: WaitBudget,
    lost: u64,
}

impl Syslog {
    pub(super) fn open() -> Self {
        Self::through(|| syslog::unix(Format))
    }

    fn through(connect: fn() -> syslog::Result<Logger<LoggerBackend, Format>>) -> Self {
        let mut syslog = Self { logger: None, connect, patience: WaitBudget::default(), lost: 0 };
        syslog.connect();
        syslog
    }

    pub(super) fn put(&mut self, level: Level, line: &str) {
        // Before the line, so that the log shows where the gap is.
        if self.lost > 0 {
            let text = format!("WARNING: lines lost before this one because syslogd was busy: {}", self.lost);
            if self.deliver(Level::Warning, &text) {
                self.lost = 0;
            }
        }
        if self.lost > 0 || !self.deliver(level, shortened(line)) {
            self.lost += 1;
        }
    }

    /// Sends a line. Returns whether the daemon accepted it.
    fn deliver(&mut self, level: Level, line: &str) -> bool {
        let begin = Instant::now();
        // Not even tried: a stream waits inside the write.
        if self.patience.left(begin).is_zero() {
            return false;
        }
        let mut sent = self.send(level, line);
        if sent.as_ref().is_err_and(is_full) {
            if self.await_room() {
                sent = self.send(level, line);
            }
            self.patience.waited += begin.elapsed();
        } else if sent.is_err() {
            // The socket of a daemon that was restarted refuses for ever: reconnect.
            self.connect();
            sent = self.send(level, line);
        }
        sent.is_ok()
    }

    fn connect(&mut self) {
        self.logger = (self.connect)().ok();
        let _ = match self.logger.as_ref().map(|logger| &logger.backend) {
            Some(LoggerBackend::Unix(socket)) => socket.set_nonblocking(true),
            // A stream could otherwise accept half a line.
            Some(LoggerBackend::UnixStream(stream)) => stream.get_ref().set_write_timeout(Some(PATIENCE)),
            _ => Ok(()),
        };
    }

    fn send(&mut self, level: Level, line: &str) -> syslog::Result<()> {
        let Some(logger) = &mut self.logger else { return Err(io::Error::from(ErrorKind::NotConnected).into()) };
        // Only two severities, as the C racoon has used them: existing syslog.conf filters rely on that.
        if level < Level::Debug { logger.info(line) } else { logger.debug(line) }
    }

    /// Waits for room in the daemon's queue as long as [`PATIENCE`] allows. A stream has waited already.
    fn await_room(&mut self) -> bool {
        let left = self.patience.left(Instant::now());
        let Some(Logger { backend: LoggerBackend::Unix(socket), .. }) = &self.logger else { return false };
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)], timeout).is_ok_and(|ready| ready > 0)
    }
}

/// Time spent waiting for the daemon in the current window.
#[derive(Default)]
struct WaitBudget {
    /// Start of the window.
    since: Option<Instant>,
    waited: Duration,
}

impl WaitBudget {
    /// Returns how long to wait at most.
    fn left(&mut self, now: Instant) -> Duration {
        if self.since.is_none_or(|since| now.saturating_duration_since(since) >= WINDOW) {
            *self = Self { since: Some(now), waited: Duration::ZERO };
        }
        PATIENCE.saturating_sub(self.waited)
    }
}

/// Whether the daemon's queue is full. The BSDs report a lack of memory then.
fn is_full(error: &syslog::Error) -> bool {
    match error {
        syslog::Error::Io(error) | syslog::Error::Write(error) => {
            matches!(error.kind(), ErrorKind::WouldBlock) || error.raw_os_error() == Some(libc::ENOBUFS)
        }
        syslog::Error::Initialization(_) => false,
    }
}

/// Truncates a line to [`LONGEST`] bytes.
fn shortened(line: &str) -> &str {
    if line.len() <= LONGEST {
        return line;
    }
    (0..=LONGEST).rev().find_map(|length| line.get(..length)).unwrap_or_default()
}

/// Format of RFC 3164 without host and process id: facility daemon, local time.
#[derive(Clone, Copy, Debug)]
struct Format;

impl LogFormat<&str> for Format {
    fn format<W: Write>(&self, to: &mut W, severity: Severity, message: &str) -> syslog::Result<()> {
        let priority = Facility::LOG_DAEMON as u8 | severity as u8;
        Ok(write!(to, "<{priority}>{} racoon: {message}", Timestamp::now().traditional())?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::os::unix::net::UnixDatagram;
    use std::path::Path;
    use std::sync::OnceLock;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    static SOCKET: OnceLock<PathBuf> = OnceLock::new();
    static HUNG: OnceLock<PathBuf> = OnceLock::new();

    fn daemon(path: &Path) -> UnixDatagram {
        let _ = fs::remove_file(path);
        UnixDatagram::bind(path).unwrap()
    }

    fn read(daemon: &UnixDatagram) -> String {
        next(daemon).unwrap()
    }

    fn next(daemon: &UnixDatagram) -> io::Result<String> {
        daemon.set_nonblocking(true).unwrap();
        let mut buffer = vec![0; 65536];
        let length = daemon.recv(&mut buffer)?;
        Ok(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }

    /// Removes `Mmm dd hh:mm:ss ` after the priority.
    fn undated(line: &str) -> String {
        let (priority, rest) = line.split_once('>').unwrap();
        format!("{priority}>{}", &rest[16..])
    }

    #[test]
    fn syslog_reconnects() {
        let directory = tempfile::tempdir().unwrap();
        let path = SOCKET.get_or_init(|| directory.path().join("log"));
        let mut syslog = Syslog::through(|| syslog::unix_custom(Format, SOCKET.get().unwrap()));
        syslog.put(Level::Info, "nobody reads this");

        let first = daemon(path);
        syslog.put(Level::Error, "ERROR: one");
        let lost = "<30>racoon: WARNING: lines lost before this one because syslogd was busy: 1";
        assert_eq!(undated(&read(&first)), lost);
        assert_eq!(undated(&read(&first)), "<30>racoon: ERROR: one");
        syslog.put(Level::Debug2, "DEBUG2: two");
        assert_eq!(undated(&read(&first)), "<31>racoon: DEBUG2: two");

        drop(first);
        let second = daemon(path);
        syslog.put(Level::Info, "INFO: three");
        assert_eq!(undated(&read(&second)), "<30>racoon: INFO: three");

        syslog.put(Level::Info, &"ü".repeat(100_000));
        assert_eq!(undated(&read(&second)), format!("<30>racoon: {}", "ü".repeat(LONGEST / 2)));
    }

    #[test]
    fn hung_syslog_does_not_block() {
        let directory = tempfile::tempdir().unwrap();
        let daemon = daemon(HUNG.get_or_init(|| directory.path().join("log")));
        let mut syslog = Syslog::through(|| syslog::unix_custom(Format, HUNG.get().unwrap()));
        let count = 5000;
        (0..count).for_each(|_| syslog.put(Level::Info, "INFO: nobody reads this"));
        assert!(syslog.lost > 0 && syslog.patience.waited > Duration::ZERO);
        let read_before = std::iter::from_fn(|| next(&daemon).ok()).count();

        syslog.patience = WaitBudget::default();
        syslog.put(Level::Info, "INFO: awake");
        let expected = format!(
            "<30>racoon: WARNING: lines lost before this one because syslogd was busy: {}",
            count - read_before
        );
        assert_eq!(undated(&read(&daemon)), expected);
        assert_eq!(undated(&read(&daemon)), "<30>racoon: INFO: awake");
        assert_eq!(syslog.lost, 0);
    }

    #[test]
    fn waiting_time_is_limited_per_window() {
        let (mut patience, begin) = (WaitBudget::default(), Instant::now());
        let mut left = |milliseconds| {
            let left = patience.left(begin + Duration::from_millis(milliseconds));
            patience.waited += Duration::from_millis(60);
            left.as_millis()
        };
        assert_eq!([left(0), left(300), left(600), left(999)], [100, 40, 0, 0]);
        assert_eq!([left(1000), left(1999), left(2000)], [100, 40, 100]);
    }

    #[test]
    fn file_is_appended_and_reopened() {
        let directory = tempfile::tempdir().unwrap();
        let (path, rotated) = (directory.path().join("log"), directory.path().join("log.0"));
        fs::write(&path, "before\n").unwrap();
        let mut log = LogFile::open(path.clone()).unwrap();
        log.put("one\n");
        fs::rename(&path, &rotated).unwrap();
        log.put("two\n");
        log.reopen().unwrap();
        log.put("three\n");
        assert_eq!(fs::read_to_string(&rotated).unwrap(), "before\none\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        log.reopen().unwrap_err();
        log.put("still there\n");
    }

    /// Neither opening nor reopening the log follows a symbolic link that another user put there.
    #[test]
    fn symbolic_links_are_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, victim) = (directory.path().join("log"), directory.path().join("victim"));
        fs::write(&victim, "text").unwrap();
        let refused = |result: io::Result<()>| result.unwrap_err().to_string();
        let expected = "is a symbolic link, which is not followed; name the file that it leads to";
        symlink(&victim, &path).unwrap();
        assert_eq!(refused(LogFile::open(path.clone()).map(drop)), expected);
        fs::remove_file(&path).unwrap();
        let mut log = LogFile::open(path.clone()).unwrap();
        fs::remove_file(&path).unwrap();
        symlink(directory.path().join("not there"), &path).unwrap();
        assert_eq!(refused(log.reopen()), expected);
        log.put("to the old file\n");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "text");
        assert!(!directory.path().join("not there").exists());
        // Nor does it wait for the reader of a FIFO.
        fs::remove_file(&path).unwrap();
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        log.reopen().unwrap_err();
    }
}
