//! Examination of a log for what an operator would find in it.

use std::fmt;
use std::time::Duration;

use super::failure::Expected;

/// The lines of one log since the failure was provoked, with the time at which each was seen.
#[derive(Default)]
pub(super) struct LogExcerpt {
    /// Bytes of the log that have been read.
    read: usize,
    lines: Vec<Line>,
}

/// A log line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    level: String,
    /// The text after the level.
    text: String,
    after: Duration,
}

/// The verdict on one side's log.
pub(super) struct Verdict {
    role: &'static str,
    /// The line that an operator would rely on.
    line: Option<Line>,
    problem: Option<String>,
    /// All warnings and errors, printed if the verdict is bad.
    lines: Vec<Line>,
    /// The texts of all lines.
    all: Vec<String>,
}

impl From<String> for LogExcerpt {
    /// Ignores what the log contains before the failure.
    fn from(log: String) -> Self {
        Self { read: log.len(), lines: Vec::new() }
    }
}

impl LogExcerpt {
    /// Reads what was added to the log.
    pub(super) fn note(&mut self, log: &str, after: Duration) {
        let fresh = log.get(self.read..).unwrap_or_default();
        // The last line may be incomplete.
        let Some(end) = fresh.rfind('\n') else { return };
        self.read += end + 1;
        self.lines.extend(fresh.get(..end).unwrap_or_default().lines().filter_map(|line| Line::read(line, after)));
    }
}

impl Line {
    /// Parses `2026-11-22 03:10:42: ERROR: text`.
    fn read(line: &str, after: Duration) -> Option<Self> {
        let (_, rest) = line.split_at_checked("2026-11-22 03:10:42: ".len())?;
        let (level, text) = rest.split_once(": ")?;
        Some(Self { level: level.to_owned(), text: text.to_owned(), after })
    }

    fn is_error(&self) -> bool {
        self.level == "ERROR"
    }

    fn is_noticed(&self) -> bool {
        self.is_error() || self.level == "WARNING"
    }

    fn has(&self, words: &[&str]) -> bool {
        words.iter().all(|word| self.text.contains(word))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:4.1} s  {}: {}", self.after.as_secs_f64(), self.level, self.text)
    }
}

impl Verdict {
    pub(super) fn new(role: &'static str, excerpt: LogExcerpt, expected: Expected) -> Self {
        let all = excerpt.lines.iter().map(|line| line.text.clone()).collect();
        let lines: Vec<_> = excerpt.lines.into_iter().filter(Line::is_noticed).collect();
        let errors = lines.iter().filter(|line| line.is_error()).count();
        let (within, words, wanted) = match expected {
            Expected::Line(within, words) => (within, words, 1..=1),
            Expected::Warning(within, words) => (within, words, 0..=0),
            Expected::Nothing => (0, [].as_slice(), 0..=0),
        };
        let named = lines.iter().find(|line| !words.is_empty() && line.has(words));
        // A missing line is the first problem to report, then a late one, then the number of errors.
        let problem = match named {
            None if !words.is_empty() => Some(format!("no line with {words:?}")),
            Some(line) if line.after > Duration::from_secs(within.into()) => Some(format!("later than {within} s")),
            _ if !wanted.contains(&errors) => Some(format!("{errors} errors instead of {}", wanted.end())),
            _ => None,
        };
        let line = named.or_else(|| lines.first()).cloned();
        Self { role, line, problem, lines, all }
    }

    /// Examines the standard error of a daemon that did not start.
    pub(super) fn of_start(stderr: &str, after: Duration, words: &[&str]) -> Self {
        let lines: Vec<_> =
            stderr.lines().map(|text| Line { level: "stderr".to_owned(), text: text.to_owned(), after }).collect();
        let named = lines.iter().find(|line| line.has(words));
        let problem = named.is_none().then(|| format!("no line with {words:?}"));
        let line = named.or_else(|| lines.first()).cloned();
        Self { role: "daemon", line, problem, lines, all: Vec::new() }
    }

    pub(super) fn is_good(&self) -> bool {
        self.problem.is_none()
    }

    /// Returns the texts of all lines of the log.
    pub(super) fn texts(&self) -> &[String] {
        &self.all
    }

    /// Returns what is wrong, and on which side.
    pub(super) fn problem(&self) -> Option<String> {
        self.problem.as_ref().map(|problem| format!("{}: {problem}", self.role))
    }
}

/// Formats role, verdict, seconds and line; for a bad verdict, also all warnings and errors.
impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_good() { "ok" } else { "FAILED" };
        match &self.line {
            Some(line) => writeln!(formatter, "  {:9} {word:6} {line}", self.role)?,
            None => writeln!(formatter, "  {:9} {word:6}    -    no warning, no error", self.role)?,
        }
        if let Some(problem) = &self.problem {
            writeln!(formatter, "            {problem}; warnings and errors:")?;
            self.lines.iter().try_for_each(|line| writeln!(formatter, "            {line}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the excerpt of a log whose lines are seen one second apart.
    fn excerpt(lines: &[&str]) -> LogExcerpt {
        let mut excerpt = LogExcerpt::from(String::from("before\n"));
        let mut log = String::from("before\n");
        for (number, line) in (1..).zip(lines) {
            log += &format!("2026-11-22 03:10:42: {line}\n");
            excerpt.note(&log, Duration::from_secs(number));
        }
        excerpt
    }

    fn problem(lines: &[&str], expected: Expected) -> Option<String> {
        Verdict::new("initiator", excerpt(lines), expected).problem()
    }

    #[test]
    fn the_cause_must_be_logged_once_and_in_time() {
        let line = "ERROR: phase1 negotiation failed: keys differ [192.0.2.2]";
        let expected = Expected::Line(2, &["phase1", "keys differ"]);
        assert_eq!(problem(&["INFO: one", line], expected), None);
        assert_eq!(problem(&["INFO: one", "INFO: two", line], expected), Some("initiator: later than 2 s".into()));
        assert_eq!(problem(&[line, line], expected), Some("initiator: 2 errors instead of 1".into()));
        assert_eq!(
            problem(&["INFO: phase1 keys differ"], expected),
            Some("initiator: no line with [\"phase1\", \"keys differ\"]".into())
        );
    }

    #[test]
    fn a_warning_may_name_the_cause() {
        let expected = Expected::Line(2, &["keys differ"]);
        assert_eq!(problem(&["WARNING: keys differ", "ERROR: phase1 failed"], expected), None);
        assert_eq!(problem(&["WARNING: keys differ"], expected), Some("initiator: 0 errors instead of 1".into()));
        assert_eq!(problem(&["WARNING: keys differ"], Expected::Warning(2, &["keys differ"])), None);
    }

    #[test]
    fn an_uninvolved_side_must_not_log_errors() {
        assert_eq!(problem(&["WARNING: one"], Expected::Nothing), None);
        assert_eq!(problem(&["ERROR: one"], Expected::Nothing), Some("initiator: 1 errors instead of 0".into()));
    }

    #[test]
    fn incomplete_lines_are_read_later() {
        let mut excerpt = LogExcerpt::from(String::new());
        excerpt.note("2026-11-22 03:10:42: ERROR: no", Duration::from_secs(1));
        assert_eq!(excerpt.lines, []);
        excerpt.note("2026-11-22 03:10:42: ERROR: no key\n", Duration::from_secs(2));
        assert_eq!(excerpt.lines.len(), 1);
        assert_eq!(excerpt.lines[0].to_string(), " 2.0 s  ERROR: no key");
    }
}
