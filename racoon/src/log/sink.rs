//! Where lines go.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use syslog::{Facility, LogFormat, Logger, LoggerBackend, Severity};

use super::level::Level;
use super::line::Stamp;

/// A syslog daemon that does not read may hold us up so long for each line.
const PATIENCE: Duration = Duration::from_millis(100);

/// Bytes of a line to syslog at most: a datagram that is too large is lost as a whole.
const LONGEST: usize = 8 * 1024;

/// The file of `-l`.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
}

impl LogFile {
    /// Appends. Others may not read what is logged about peers.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        Ok(Self { path, file })
    }

    pub(super) fn reopen(&mut self) -> io::Result<()> {
        *self = Self::open(self.path.clone())?;
        Ok(())
    }

    /// A full disk loses the line.
    pub(super) fn put(&mut self, line: &str) {
        let _ = write_whole(&mut self.file, line);
    }
}

/// In one write, so that the lines of several writers do not mix.
pub(super) fn write_whole(to: &mut impl Write, line: &str) -> io::Result<()> {
    to.write_all(line.as_bytes())?;
    to.flush()
}

/// The system's log daemon.
pub(super) struct Syslog {
    logger: Option<Logger<LoggerBackend, Format>>,
    connect: fn() -> syslog::Result<Logger<LoggerBackend, Format>>,
}

impl Syslog {
    pub(super) fn open() -> Self {
        Self::through(|| syslog::unix(Format))
    }

    fn through(connect: fn() -> syslog::Result<Logger<LoggerBackend, Format>>) -> Self {
        let mut syslog = Self { logger: None, connect };
        syslog.connect();
        syslog
    }

    /// The socket of a daemon that was restarted refuses for ever: then once more through a new one.
    pub(super) fn put(&mut self, level: Level, line: &str) {
        let line = shortened(line);
        if self.send(level, line).is_err() {
            self.connect();
            let _ = self.send(level, line);
        }
    }

    fn connect(&mut self) {
        self.logger = (self.connect)().ok();
        if let Some(Logger { backend: LoggerBackend::Unix(socket), .. }) = &self.logger {
            let _ = socket.set_write_timeout(Some(PATIENCE));
        }
    }

    fn send(&mut self, level: Level, line: &str) -> syslog::Result<()> {
        let Some(logger) = &mut self.logger else { return Err(io::Error::from(io::ErrorKind::NotConnected).into()) };
        // Only two severities are told apart: files that sort by them have been written for that.
        if level < Level::Debug { logger.info(line) } else { logger.debug(line) }
    }
}

/// At most [`LONGEST`] bytes of it.
fn shortened(line: &str) -> &str {
    if line.len() <= LONGEST {
        return line;
    }
    (0..=LONGEST).rev().find_map(|length| line.get(..length)).unwrap_or_default()
}

/// RFC 3164 without a host and without a process id: facility daemon, local time.
#[derive(Clone, Copy, Debug)]
struct Format;

impl LogFormat<&str> for Format {
    fn format<W: Write>(&self, to: &mut W, severity: Severity, message: &str) -> syslog::Result<()> {
        let priority = Facility::LOG_DAEMON as u8 | severity as u8;
        Ok(write!(to, "<{priority}>{} racoon: {message}", Stamp::now().traditional())?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixDatagram;
    use std::path::Path;
    use std::sync::OnceLock;

    use super::*;

    static SOCKET: OnceLock<PathBuf> = OnceLock::new();

    fn daemon(path: &Path) -> UnixDatagram {
        let _ = fs::remove_file(path);
        UnixDatagram::bind(path).unwrap()
    }

    fn read(daemon: &UnixDatagram) -> String {
        daemon.set_nonblocking(true).unwrap();
        let mut buffer = vec![0; 65536];
        let length = daemon.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// `<PRI>Mmm dd hh:mm:ss ` is cut off, all but the priority.
    fn undated(line: &str) -> String {
        let (priority, rest) = line.split_once('>').unwrap();
        format!("{priority}>{}", &rest[16..])
    }

    #[test]
    fn syslog_lines_and_a_daemon_that_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = SOCKET.get_or_init(|| directory.path().join("log"));
        let mut syslog = Syslog::through(|| syslog::unix_custom(Format, SOCKET.get().unwrap()));
        syslog.put(Level::Info, "nobody reads this");

        let first = daemon(path);
        syslog.put(Level::Error, "ERROR: one");
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
    fn a_file_is_appended_to_and_opened_anew() {
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
}
