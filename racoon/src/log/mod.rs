//! The log, written to syslog or to the file of `-l`, and with `-F` also to standard output.
//!
//! ```text
//! file and standard output   2026-01-31 12:00:00: ERROR: net/mod.rs:17: text [192.0.2.1]
//! syslog                     ERROR: net/mod.rs:17: text [192.0.2.1]
//! ```
//!
//! A line about a peer ends with its address unless the text contains it. The source location is there with `-L`.

mod level;
mod line;
mod sink;
mod sys;
mod timestamp;

use std::fmt::{self, Display};
use std::io;
use std::net::IpAddr;
use std::panic::Location;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use level::{Level, configured};
use line::Line;
use sink::{LogFile, Syslog};
use timestamp::Timestamp;

/// Options of the command line that concern the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// `-l`: this file instead of syslog.
    pub file: Option<PathBuf>,
    /// `-F`: standard output as well.
    pub foreground: bool,
    /// `-L`: source location on each line.
    pub location: bool,
    /// `-d`: number of levels to raise the configured level by.
    pub raise: u8,
}

/// Handle of the log. Clones write to the same place.
#[derive(Clone)]
pub struct Log {
    shared: Arc<Shared>,
}

struct Shared {
    level: AtomicU8,
    raise: u8,
    location: bool,
    sinks: Mutex<Sinks>,
}

struct Sinks {
    main: Sink,
    stdout: bool,
    /// Texts of the error lines, while they are remembered.
    errors: Option<Vec<String>>,
}

/// Maximum number of remembered error lines.
const ERRORS_MAX: usize = 100;

enum Sink {
    Syslog(Syslog),
    File(LogFile),
    #[cfg(test)]
    Memory(Vec<String>),
}

impl Log {
    /// Opens the log at level `info`, raised by `-d`. A missing syslog daemon is no error; the connection is tried
    /// again with each line.
    ///
    /// # Errors
    /// If the file cannot be opened for writing.
    pub fn open(options: &LogOptions) -> io::Result<Self> {
        let main = match &options.file {
            Some(path) => Sink::File(LogFile::open(path.clone())?),
            None => Sink::Syslog(Syslog::open()),
        };
        Ok(Self::to(main, options))
    }

    fn to(main: Sink, options: &LogOptions) -> Self {
        let shared = Shared {
            level: AtomicU8::new(Level::Info.raised(options.raise) as u8),
            raise: options.raise,
            location: options.location,
            sinks: Mutex::new(Sinks { main, stdout: options.foreground, errors: None }),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Returns a log in memory; see [`Log::written`].
    #[cfg(test)]
    pub(crate) fn in_memory() -> Self {
        Self::to(Sink::Memory(Vec::new()), &LogOptions { raise: 2, ..LogOptions::default() })
    }

    /// Removes and returns the lines of a log in memory.
    #[cfg(test)]
    pub(crate) fn written(&self) -> Vec<String> {
        match &mut self.sinks().main {
            Sink::Memory(lines) => std::mem::take(lines),
            _ => Vec::new(),
        }
    }

    /// Sets the configured level, which `-d` raises.
    pub fn set_level(&self, level: Level) {
        let level = level.raised(self.shared.raise);
        // Relaxed, because lines written during a change may use either level.
        self.shared.level.store(level as u8, Ordering::Relaxed);
    }

    /// Whether lines of a level are written. Ask before formatting an expensive one.
    pub fn enabled(&self, level: Level) -> bool {
        level as u8 <= self.shared.level.load(Ordering::Relaxed)
    }

    /// Reopens the file of `-l` after log rotation.
    ///
    /// # Errors
    /// If it cannot be opened; the old file stays in use.
    pub fn reopen(&self) -> io::Result<()> {
        match &mut self.sinks().main {
            Sink::File(file) => file.reopen(),
            _ => Ok(()),
        }
    }

    /// Starts remembering error lines, to be shown to the user if the start fails.
    pub fn remember_errors(&self) {
        self.sinks().errors = Some(Vec::new());
    }

    /// Stops remembering. Returns the first error lines since [`Log::remember_errors`].
    pub fn take_errors(&self) -> Vec<String> {
        self.sinks().errors.take().unwrap_or_default()
    }

    /// Logs panics at level error as well: in the background nobody reads standard error.
    pub fn log_panics(&self) {
        let (log, before) = (self.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            // The previous hook prints to standard error, which is still open in the foreground.
            before(panic);
            log.error(panic.to_string().replace('\n', " "));
        }));
    }

    /// Logs at level error.
    #[track_caller]
    pub fn error(&self, text: impl Display) {
        self.write(Level::Error, None, text);
    }

    /// Logs at level warning.
    #[track_caller]
    pub fn warning(&self, text: impl Display) {
        self.write(Level::Warning, None, text);
    }

    /// Logs at level notify.
    #[track_caller]
    pub fn notify(&self, text: impl Display) {
        self.write(Level::Notify, None, text);
    }

    /// Logs at level info.
    #[track_caller]
    pub fn info(&self, text: impl Display) {
        self.write(Level::Info, None, text);
    }

    /// Logs at level debug.
    #[track_caller]
    pub fn debug(&self, text: impl Display) {
        self.write(Level::Debug, None, text);
    }

    /// Logs a line about a peer. Characters that could end the line or affect a terminal are escaped.
    #[track_caller]
    pub fn write(&self, level: Level, peer: Option<IpAddr>, text: impl Display) {
        if self.enabled(level) {
            self.lines(level, peer, [text.to_string().as_str()]);
        }
    }

    /// Logs several lines without others in between, such as a dump. No text can become two lines.
    #[track_caller]
    pub fn lines<'a>(&self, level: Level, peer: Option<IpAddr>, texts: impl IntoIterator<Item = &'a str>) {
        self.lines_from(Location::caller(), level, peer, texts);
    }

    /// As [`Log::lines`], with the source location of the original caller.
    pub fn lines_from<'a>(
        &self,
        place: &Location<'_>,
        level: Level,
        peer: Option<IpAddr>,
        texts: impl IntoIterator<Item = &'a str>,
    ) {
        if !self.enabled(level) {
            return;
        }
        let place = self.shared.location.then_some(place);
        let mut sinks = self.sinks();
        for text in texts {
            sinks.put(&Line { level, peer, place, text });
        }
    }

    /// Locks the sinks. A panic while writing leaves nothing inconsistent.
    fn sinks(&self) -> MutexGuard<'_, Sinks> {
        self.shared.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Formats local date and time as in log lines; `None` if the calendar cannot represent it.
pub(crate) fn local_time(seconds: i64) -> Option<String> {
    Timestamp::of(seconds).map(|stamp| stamp.to_string())
}

impl fmt::Debug for Log {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.shared.level.load(Ordering::Relaxed);
        formatter.debug_struct("Log").field("level", &level).finish_non_exhaustive()
    }
}

impl Sinks {
    /// Writes a line. Failures are ignored: there is nowhere to report them.
    fn put(&mut self, line: &Line<'_>) {
        if let Some(errors) = self.errors.as_mut().filter(|errors| errors.len() < ERRORS_MAX)
            && line.level == Level::Error
        {
            errors.push(line.escaped());
        }
        // -F may be used without a terminal, as under a service manager, so a closed pipe is no error.
        if self.stdout {
            let _ = sink::write_whole(&mut io::stdout().lock(), &line.dated());
        }
        match &mut self.main {
            Sink::Syslog(syslog) => syslog.put(line.level, &line.to_string()),
            Sink::File(file) => file.put(&line.dated()),
            #[cfg(test)]
            Sink::Memory(lines) => lines.push(line.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
