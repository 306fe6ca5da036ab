//! The log: to syslog or to the file of `-l`, and with `-F` to standard output, too.
//!
//! ```text
//! file and standard output   2026-01-31 12:00:00: ERROR: net/mod.rs:17: text [192.0.2.1]
//! syslog                     ERROR: net/mod.rs:17: text [192.0.2.1]
//! ```
//!
//! The address of the peer ends a line about one whose text does not name it; the place in the program is there with `-L`.

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

/// What the command line says about the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `-l`: this file instead of syslog.
    pub file: Option<PathBuf>,
    /// `-F`: standard output, too.
    pub foreground: bool,
    /// `-L`: each line says which line of the program wrote it.
    pub location: bool,
    /// `-d`: so many levels more than the configuration asks for.
    pub raise: u8,
}

/// Where lines go. A clone writes to the same place.
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
    main: Main,
    stdout: bool,
    /// Texts of lines at level error, while they are remembered.
    errors: Option<Vec<String>>,
}

/// Lines at level error that are remembered at most.
const ERRORS_MAX: usize = 100;

enum Main {
    Syslog(Syslog),
    File(LogFile),
    #[cfg(test)]
    Memory(Vec<String>),
}

impl Log {
    /// Opens the log, at level `info` and what `-d` adds to it. A system without a syslog daemon is none to fail on: it
    /// is looked for again with each line.
    ///
    /// # Errors
    /// The file cannot be opened for writing.
    pub fn open(options: &Options) -> io::Result<Self> {
        let main = match &options.file {
            Some(path) => Main::File(LogFile::open(path.clone())?),
            None => Main::Syslog(Syslog::open()),
        };
        Ok(Self::to(main, options))
    }

    fn to(main: Main, options: &Options) -> Self {
        let shared = Shared {
            level: AtomicU8::new(Level::Info.raised(options.raise) as u8),
            raise: options.raise,
            location: options.location,
            sinks: Mutex::new(Sinks { main, stdout: options.foreground, errors: None }),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A log that [`Log::written`] reads.
    #[cfg(test)]
    pub(crate) fn in_memory() -> Self {
        Self::to(Main::Memory(Vec::new()), &Options { raise: 2, ..Options::default() })
    }

    /// What is in the log of a test, and no longer after this.
    #[cfg(test)]
    pub(crate) fn written(&self) -> Vec<String> {
        match &mut self.sinks().main {
            Main::Memory(lines) => std::mem::take(lines),
            _ => Vec::new(),
        }
    }

    /// The `log` directive. What `-d` says is added to it.
    pub fn set_level(&self, level: Level) {
        let level = level.raised(self.shared.raise);
        self.shared.level.store(level as u8, Ordering::Relaxed);
    }

    /// Whether a line of this level is written. Asked before the costly composing of one.
    pub fn enabled(&self, level: Level) -> bool {
        level as u8 <= self.shared.level.load(Ordering::Relaxed)
    }

    /// Opens the file of `-l` anew: it may have been renamed.
    ///
    /// # Errors
    /// It cannot be opened; the old one stays in use.
    pub fn reopen(&self) -> io::Result<()> {
        match &mut self.sinks().main {
            Main::File(file) => file.reopen(),
            _ => Ok(()),
        }
    }

    /// Remembers lines at level error from now on, for a start that fails: whoever typed the command may not read the log.
    pub fn remember_errors(&self) {
        self.sinks().errors = Some(Vec::new());
    }

    /// The first lines at level error since [`Log::remember_errors`], which ends with this.
    pub fn take_errors(&self) -> Vec<String> {
        self.sinks().errors.take().unwrap_or_default()
    }

    /// From now on a panic is a line at level error, too: in the background nobody reads what it prints.
    pub fn log_panics(&self) {
        let (log, before) = (self.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            before(panic);
            log.error(panic.to_string().replace('\n', " "));
        }));
    }

    /// A line at level error.
    #[track_caller]
    pub fn error(&self, text: impl Display) {
        self.write(Level::Error, None, text);
    }

    /// A line at level warning.
    #[track_caller]
    pub fn warning(&self, text: impl Display) {
        self.write(Level::Warning, None, text);
    }

    /// A line at level notify.
    #[track_caller]
    pub fn notify(&self, text: impl Display) {
        self.write(Level::Notify, None, text);
    }

    /// A line at level info.
    #[track_caller]
    pub fn info(&self, text: impl Display) {
        self.write(Level::Info, None, text);
    }

    /// A line at level debug.
    #[track_caller]
    pub fn debug(&self, text: impl Display) {
        self.write(Level::Debug, None, text);
    }

    /// A line about a peer. What could end the line or command a terminal is escaped, whoever sent it.
    #[track_caller]
    pub fn write(&self, level: Level, peer: Option<IpAddr>, text: impl Display) {
        if self.enabled(level) {
            self.lines(level, peer, [text.to_string().as_str()]);
        }
    }

    /// Several lines, which stay together: a dump. None of them can become two.
    #[track_caller]
    pub fn lines<'a>(&self, level: Level, peer: Option<IpAddr>, texts: impl IntoIterator<Item = &'a str>) {
        self.lines_from(Location::caller(), level, peer, texts);
    }

    /// The same for somebody else, who wrote them in another place.
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

    /// A thread that panicked while it wrote a line has left nothing half done that matters.
    fn sinks(&self) -> MutexGuard<'_, Sinks> {
        self.shared.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A local date and time as lines of the log begin with it, or `None` when the calendar cannot hold it.
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
    /// A line that cannot be written is lost: there is nobody to tell.
    fn put(&mut self, line: &Line<'_>) {
        if let Some(errors) = self.errors.as_mut().filter(|errors| errors.len() < ERRORS_MAX)
            && line.level == Level::Error
        {
            errors.push(line.escaped());
        }
        if self.stdout {
            let _ = sink::write_whole(&mut io::stdout().lock(), &line.dated());
        }
        match &mut self.main {
            Main::Syslog(syslog) => syslog.put(line.level, &line.to_string()),
            Main::File(file) => file.put(&line.dated()),
            #[cfg(test)]
            Main::Memory(lines) => lines.push(line.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
