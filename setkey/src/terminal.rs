//! Line editing for `-c` at a terminal.

use std::io::{self, IsTerminal as _, Read};

use nix::sys::signal::{Signal, raise};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Helper};
use zeroize::{Zeroize as _, Zeroizing};

/// Terminals that cannot move the cursor.
const DUMB: [&str; 4] = ["", "dumb", "cons25", "emacs"];

/// A reader of lines that are typed at a terminal. The history is only in memory, because lines may contain keys.
pub(crate) struct Editor {
    editor: rustyline::Editor<Blanks, MemHistory>,
    /// The line, and how much of it has been read.
    line: Zeroizing<Vec<u8>>,
    read: usize,
}

impl Editor {
    /// Returns an editor if standard input and output are a terminal that can edit lines; `None` for pipes and files.
    pub(crate) fn of_terminal() -> Option<Self> {
        let term = std::env::var("TERM").unwrap_or_default();
        if DUMB.contains(&term.as_str()) || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return None;
        }
        let config = Config::builder().auto_add_history(false).build();
        let mut editor = rustyline::Editor::with_history(config, MemHistory::new()).ok()?;
        editor.set_helper(Some(Blanks));
        Some(Self { editor, line: Zeroizing::default(), read: 0 })
    }

    /// Waits for a line. Returns none at the end of the input.
    fn next_line(&mut self) -> io::Result<Option<String>> {
        loop {
            return match self.editor.readline("") {
                Ok(line) => Ok(Some(line)),
                Err(ReadlineError::Eof) => Ok(None),
                Err(ReadlineError::Interrupted) => {
                    // Without line editing, the key sends the signal.
                    raise(Signal::SIGINT)?;
                    Ok(None)
                }
                Err(ReadlineError::Io(error)) => Err(error),
                Err(ReadlineError::Errno(errno)) => Err(errno.into()),
                // The window was resized.
                Err(_) => continue,
            };
        }
    }
}

impl Read for Editor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.line.len() {
            let Some(mut line) = self.next_line()? else { return Ok(0) };
            // A line that is missing in the history is not an error.
            let _ = self.editor.add_history_entry(line.as_str());
            self.line = Zeroizing::new(Vec::with_capacity(line.len() + 1));
            self.line.extend_from_slice(line.as_bytes());
            self.line.push(b'\n');
            self.read = 0;
            line.zeroize();
        }
        let length = self.line.get(self.read..).unwrap_or_default().read(buffer)?;
        self.read += length;
        Ok(length)
    }
}

/// Makes the TAB key insert a blank, because pasted statements contain tabs.
struct Blanks;

impl Completer for Blanks {
    type Candidate = String;

    fn complete(&self, _: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok((at, vec![" ".into()]))
    }
}

impl Helper for Blanks {}

impl Highlighter for Blanks {}

impl Hinter for Blanks {
    type Hint = String;
}

impl Validator for Blanks {}
