//! Splits a stream of bytes into statements; holds at most one statement in memory.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

use super::ast::Statement;
use super::error::ParseError;
use super::parser::parse_piece;
use super::secret::secrets_of;

/// Maximum length of a statement in bytes, including blanks and comments inside it.
pub const MAX_STATEMENT: usize = 64 * 1024;

/// Initial capacity of the buffer, enough for nearly every statement.
const INITIAL_CAPACITY: usize = 512;

/// Finds the end of each statement in a stream of bytes.
///
/// It knows quotes, comments and the raw text after `-P`, so that a `;` in the first two does not end a statement.
///
/// ```
/// use ipsec_conf::setkey::Splitter;
///
/// let mut input: &[u8] = b"flush; # all of it;\n dump esp;";
/// let mut splitter = Splitter::script();
/// let mut seen = Vec::new();
/// while let Some(piece) = splitter.split(&mut input)? {
///     seen.push((piece.line, piece.text.trim().to_owned()));
/// }
/// assert_eq!(seen, [(1, "flush;".to_owned()), (2, "dump esp;".to_owned())]);
/// assert!(splitter.finish().is_none());
/// # Ok::<(), ipsec_conf::setkey::StatementTooLong>(())
/// ```
pub struct Splitter {
    /// Text of the statement so far, widened as Latin-1. It may contain keys.
    text: Zeroizing<String>,
    state: State,
    /// Whether `text` is a complete statement that was returned; the next call drops it.
    done: bool,
    /// Whether the statement has a token so far.
    begun: bool,
    /// Whether comments are also recognised in the text after `-P`.
    comments_in_policy: bool,
    line: u32,
    column: u32,
    first_line: u32,
    first_column: u32,
    /// Whether a quoted string of the statement spans several lines.
    has_long_quote: bool,
    /// Whether such a statement was wrong: the text inside and outside of quotes may be swapped from there on.
    swapped: bool,
    /// Whether the statement contains a key, a quote or a part of one.
    has_key: bool,
    doubtful: bool,
}

/// The text of one statement. Its `Debug` form has no keys in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RawStatement<'b> {
    /// The statement with its `;`, bytes widened as Latin-1. Blank lines and comment lines before it are left out.
    pub text: &'b str,
    /// Line of the text's first byte, from 1.
    pub first_line: u32,
    /// Column of the text's first byte, in bytes from 1: more than 1 behind another statement.
    pub first_column: u32,
    /// Line of the last byte, which is the `;` of a whole statement.
    pub line: u32,
    /// Whether the statement may be part of a key, because an earlier quote may be unmatched.
    pub doubtful: bool,
}

impl<'b> RawStatement<'b> {
    /// Parses the statement.
    ///
    /// # Errors
    /// As [`parse`](super::parse).
    pub fn parse(&self) -> Result<Statement<'b>, ParseError> {
        parse_piece(self.text, (self.first_line, self.line), self.doubtful)
    }
}

impl fmt::Debug for RawStatement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawStatement")
            .field("text", &secrets_of(self.text, self.doubtful).blot(self.text, 0))
            .field("first_line", &self.first_line)
            .field("first_column", &self.first_column)
            .field("line", &self.line)
            .field("doubtful", &self.doubtful)
            .finish()
    }
}

impl fmt::Debug for Splitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Splitter").field("line", &self.line).field("state", &self.state).finish_non_exhaustive()
    }
}

/// A statement is longer than [`MAX_STATEMENT`], usually because a quote is not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("statement longer than {MAX_STATEMENT} bytes")]
pub struct StatementTooLong {
    /// Line where it begins.
    pub first_line: u32,
    /// Line where reading stopped.
    pub line: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Between,
    Word,
    Quote,
    Comment,
    /// After a `-` that begins a token.
    Dash,
    Policy,
    PolicyComment,
}

impl Splitter {
    /// For a script (`-f`).
    pub fn script() -> Self {
        Self {
            text: Zeroizing::new(String::with_capacity(INITIAL_CAPACITY)),
            state: State::Between,
            done: false,
            begun: false,
            comments_in_policy: false,
            line: 1,
            column: 1,
            first_line: 1,
            first_column: 1,
            has_long_quote: false,
            swapped: false,
            has_key: false,
            doubtful: false,
        }
    }

    /// For standard input (`-c`), where a `#` begins a comment even in the text after `-P`. Such a comment is blanked.
    pub fn interactive() -> Self {
        Self { comments_in_policy: true, ..Self::script() }
    }

    /// Consumes `input` up to the end of the next statement; returns `None` if more input is needed.
    ///
    /// # Errors
    /// If the statement exceeds [`MAX_STATEMENT`]. [`finish`](Self::finish) returns what was read of it; parsing that
    /// locates the mistake.
    pub fn split(&mut self, input: &mut &[u8]) -> Result<Option<RawStatement<'_>>, StatementTooLong> {
        if self.done {
            self.done = false;
            self.restart();
        }
        while !self.done {
            let Some((&byte, rest)) = input.split_first() else { return Ok(None) };
            if self.text.len() >= MAX_STATEMENT {
                return Err(StatementTooLong { first_line: self.first_line, line: self.line });
            }
            let (run, state) = self.run(input);
            if run.is_empty() {
                *input = rest;
                self.take(byte);
            } else {
                *input = input.get(run.len()..).unwrap_or_default();
                self.take_run(run, state);
            }
        }
        Ok(Some(self.raw()))
    }

    /// Returns the text after the last `;`, unless it is blank. A script must not have any; standard input may.
    pub fn finish(&mut self) -> Option<RawStatement<'_>> {
        (self.begun && !self.done).then(|| self.raw())
    }

    /// Whether a statement has begun and not ended, which a prompt shows.
    pub fn is_inside(&self) -> bool {
        self.begun && !self.done
    }

    fn raw(&self) -> RawStatement<'_> {
        RawStatement {
            text: &self.text,
            first_line: self.first_line,
            first_column: self.first_column,
            line: self.line,
            doubtful: self.doubtful,
        }
    }

    fn restart(&mut self) {
        if std::mem::take(&mut self.has_long_quote) {
            self.swapped = self.raw().parse().is_err();
        }
        if self.text.capacity() > INITIAL_CAPACITY {
            self.text = Zeroizing::new(String::with_capacity(INITIAL_CAPACITY));
        } else if self.begun {
            // Only what was written: the rest of the buffer is already wiped.
            self.text.as_mut_str().zeroize();
        }
        self.text.clear();
        self.begun = false;
        // The rest of the line may belong to the key: if a quote is missing, a `;` inside the key ends the statement.
        self.has_key &= self.column != 1;
        self.doubtful = self.swapped || self.has_key;
        self.first_line = self.line;
        self.first_column = self.column;
    }

    /// Appends a character.
    fn push(&mut self, c: char) {
        self.reserve(c.len_utf8());
        self.text.push(c);
    }

    /// Makes room for `length` more bytes; wipes the old buffer if the text has to move.
    fn reserve(&mut self, length: usize) {
        let needed = self.text.len() + length;
        if needed > self.text.capacity() {
            // `String` would free its old buffer with the keys in it.
            let mut larger = Zeroizing::new(String::with_capacity(needed.max(2 * self.text.capacity())));
            larger.push_str(&self.text);
            self.text = larger;
        }
    }

    /// Returns the bytes at the start of `input` that [`Self::take`] would only append, and the state after them. These are
    /// nearly all bytes of a script, and it is faster to append them at once.
    fn run<'i>(&self, input: &'i [u8]) -> (&'i str, State) {
        let room = MAX_STATEMENT - self.text.len();
        let input = input.get(..room).unwrap_or(input);
        let (end, state) = match self.state {
            State::Dash | State::PolicyComment => (0, self.state),
            State::Quote | State::Comment | State::Policy => (length_until(input, SPECIAL), self.state),
            State::Between | State::Word => self.end_of_words(input),
        };
        // Only ASCII is in the run, because `take` widens the other bytes.
        (std::str::from_utf8(input.get(..end).unwrap_or_default()).unwrap_or_default(), state)
    }

    /// Returns the length of the words and blanks at the start of `input`, up to a special byte or an option, and the state
    /// after them.
    fn end_of_words(&self, input: &[u8]) -> (usize, State) {
        let (mut end, mut state) = (0, self.state);
        loop {
            let rest = input.get(end..).unwrap_or_default();
            if state == State::Word {
                // A hyphen inside a word is a character like others.
                end += length_until(rest, SPECIAL | BETWEEN);
            } else {
                // A hyphen between words begins an option, which `take` has to see.
                end += length_until(rest, SPECIAL | HYPHEN | BEGINS_WORD);
            }
            state = match input.get(end) {
                Some(byte) if class(*byte) & BEGINS_WORD != 0 => State::Word,
                Some(byte) if class(*byte) & (SPECIAL | HYPHEN) == 0 => State::Between,
                _ => return (end, state),
            };
        }
    }

    fn take_run(&mut self, run: &str, state: State) {
        self.state = state;
        self.begun = self.begun || (state != State::Comment && !run.bytes().all(is_blank));
        self.column = self.column.saturating_add(u32::try_from(run.len()).unwrap_or(u32::MAX));
        if state != State::Comment || self.begun {
            self.reserve(run.len());
            self.text.push_str(run);
        }
    }

    fn take(&mut self, byte: u8) {
        let before = self.state;
        self.state = self.step(byte);
        self.has_long_quote |= self.state == State::Quote && byte == b'\n';
        // The options for algorithms announce a key, which may lack its quotes.
        self.has_key |= self.state == State::Quote || (before == State::Dash && matches!(byte, b'A' | b'E'));
        self.begun |= self.state != State::Comment && !is_blank(byte);
        self.column = self.column.saturating_add(1);
        match byte {
            b'\n' => {
                self.line = self.line.saturating_add(1);
                self.column = 1;
                self.push('\n');
                if !self.begun {
                    self.restart();
                }
            }
            _ if self.state == State::PolicyComment => self.push(' '),
            // A comment before the statement is not kept: nothing needs it, and it may be long.
            _ if self.state == State::Comment && !self.begun => {}
            _ => self.push(char::from(byte)),
        }
        if byte == b';' && !matches!(self.state, State::Quote | State::Comment | State::PolicyComment) {
            self.state = State::Between;
            self.done = true;
        }
    }

    /// Returns the state after `byte`.
    fn step(&self, byte: u8) -> State {
        match (self.state, byte) {
            (State::Quote, b'"') | (State::Comment, b'\n') => State::Between,
            (State::PolicyComment, b'\n') => State::Policy,
            (State::Policy, b'#') if self.comments_in_policy => State::PolicyComment,
            (State::Dash, b'P') => State::Policy,
            (State::Quote | State::Comment | State::Policy | State::PolicyComment, _) => self.state,
            (_, b'"') => State::Quote,
            (_, b'#') => State::Comment,
            (State::Between, b'-') => State::Dash,
            (State::Between, byte) if begins_word(byte) => State::Word,
            (State::Word, byte) if is_in_word(byte) => State::Word,
            (State::Between | State::Word | State::Dash, _) => State::Between,
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n')
}

/// A byte that may change the state to one other than between words and in a word, that ends a line, or that is widened.
const SPECIAL: u8 = 1;
/// A `-`, which is part of a word or begins an option.
const HYPHEN: u8 = 2;
/// A byte that begins a word.
const BEGINS_WORD: u8 = 4;
/// A byte that ends a word.
const BETWEEN: u8 = 8;

/// The classes of each byte: the splitter asks for them at every byte of a script, and a table is faster than comparisons.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = u8::MIN;
    loop {
        classes[byte as usize] = classes_of(byte);
        if byte == u8::MAX {
            break classes;
        }
        byte += 1;
    }
};

const fn classes_of(byte: u8) -> u8 {
    let special = if matches!(byte, b'"' | b'#' | b';' | b'\n') || !byte.is_ascii() { SPECIAL } else { 0 };
    let hyphen = if byte == b'-' { HYPHEN } else { 0 };
    let begins = if begins_word(byte) { BEGINS_WORD } else { 0 };
    let between = if is_in_word(byte) { 0 } else { BETWEEN };
    special | hyphen | begins | between
}

fn class(byte: u8) -> u8 {
    CLASSES[usize::from(byte)]
}

/// Returns the number of bytes before the first one of any of the `classes`.
fn length_until(input: &[u8], classes: u8) -> usize {
    input.iter().position(|byte| class(*byte) & classes != 0).unwrap_or(input.len())
}

const fn begins_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b':'
}

/// Whether a word that has begun continues with this byte.
const fn is_in_word(byte: u8) -> bool {
    begins_word(byte) || matches!(byte, b'-' | b'.' | b'%' | b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Everything the splitter says when fed in pieces of `size` bytes.
    fn split_all(mut splitter: Splitter, bytes: &[u8], size: usize) -> Vec<String> {
        let mut seen = Vec::new();
        for mut piece in bytes.chunks(size) {
            loop {
                match splitter.split(&mut piece) {
                    Ok(Some(raw)) => seen.push(format!("{raw:?} {}", raw.text)),
                    Ok(None) => break,
                    Err(error) => {
                        seen.push(error.to_string());
                        return seen;
                    }
                }
            }
        }
        seen.push(format!("{:?}", splitter.finish()));
        seen
    }

    /// The same without runs, one byte after the other.
    fn split_bytewise(mut splitter: Splitter, bytes: &[u8]) -> Vec<String> {
        let mut seen = Vec::new();
        for &byte in bytes {
            if std::mem::take(&mut splitter.done) {
                splitter.restart();
            }
            splitter.take(byte);
            if splitter.done {
                let raw = splitter.raw();
                seen.push(format!("{raw:?} {}", raw.text));
            }
        }
        seen.push(format!("{:?}", splitter.finish()));
        seen
    }

    fn texts(splitter: Splitter, text: &str) -> Vec<String> {
        let mut splitter = splitter;
        let mut input = text.as_bytes();
        let mut seen = Vec::new();
        while let Some(raw) = splitter.split(&mut input).unwrap() {
            seen.push(raw.text.to_owned());
        }
        seen.extend(splitter.finish().map(|raw| format!("rest:{}", raw.text)));
        seen
    }

    #[test]
    fn semicolons_that_end_nothing() {
        let text = "add a b ah 1 -A null \"a;#\n;b\"; # c;\nflush # d;\n;;";
        let expected = ["add a b ah 1 -A null \"a;#\n;b\";", "flush # d;\n;", ";"];
        assert_eq!(texts(Splitter::script(), text), expected);
        assert_eq!(texts(Splitter::interactive(), text), expected);
    }

    #[test]
    fn comments_in_a_policy_are_for_standard_input_only() {
        let text = "spdadd a b any -P out # x;\n none;";
        assert_eq!(texts(Splitter::script(), text), ["spdadd a b any -P out # x;", " none;"]);
        assert_eq!(texts(Splitter::interactive(), text), ["spdadd a b any -P out     \n none;"]);
        assert_eq!(texts(Splitter::script(), "a-P # b;\n;"), ["a-P # b;\n;"]);
    }

    #[test]
    fn places() {
        let mut splitter = Splitter::script();
        let mut input: &[u8] = b"# one\n\n flush; dump\n ;\n\n  ";
        let first = RawStatement { text: " flush;", first_line: 3, first_column: 1, line: 3, doubtful: false };
        assert_eq!(splitter.split(&mut input), Ok(Some(first)));
        let second = RawStatement { text: " dump\n ;", first_line: 3, first_column: 8, line: 4, doubtful: false };
        assert_eq!(splitter.split(&mut input), Ok(Some(second)));
        assert_eq!(splitter.split(&mut input), Ok(None));
        assert_eq!(splitter.finish(), None);
        input = b"exit\n";
        assert_eq!(splitter.split(&mut input), Ok(None));
        let rest = RawStatement { text: "  exit\n", first_line: 6, first_column: 1, line: 7, doubtful: false };
        assert_eq!(splitter.finish(), Some(rest));
    }

    #[test]
    fn an_open_quote_does_not_swallow_the_file() {
        let mut splitter = Splitter::script();
        let line = b"add a b ah 1 -A hmac-md5 \"x;\n";
        let mut fed = 0;
        let error = loop {
            // An even number of quotes would close what the odd one opened.
            let mut input: &[u8] = if fed == 0 { line } else { &line[..20] };
            fed += input.len();
            assert!(fed < 2 * MAX_STATEMENT);
            match splitter.split(&mut input) {
                Ok(raw) => assert_eq!(raw, None),
                Err(error) => break error,
            }
        };
        assert_eq!(error, StatementTooLong { first_line: 1, line: 2 });
        assert_eq!(splitter.finish().unwrap().text.len(), MAX_STATEMENT);
    }

    #[test]
    fn long_comments_between_statements_cost_nothing() {
        let mut splitter = Splitter::script();
        for _ in 0..4 * MAX_STATEMENT / 10 {
            assert_eq!(splitter.split(&mut b"# comment \n".as_slice()), Ok(None));
        }
        for _ in 0..4 * MAX_STATEMENT / 10 {
            assert_eq!(splitter.split(&mut b"# comment ".as_slice()), Ok(None));
        }
        assert_eq!(splitter.finish(), None);
        assert_eq!(splitter.text.capacity(), INITIAL_CAPACITY);
    }

    #[test]
    fn bytes_are_widened() {
        assert_eq!(texts(Splitter::script(), "é\";\";"), ["Ã©\";\";"]);
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(
            bytes in proptest::collection::vec(
                prop_oneof![3 => proptest::sample::select(b"\"#;\n-P a.:\\".as_slice()), 1 => any::<u8>()], 0..300),
            size in 1usize..9,
            interactive: bool,
        ) {
            let new = || if interactive { Splitter::interactive() } else { Splitter::script() };
            let whole = split_all(new(), &bytes, bytes.len().max(1));
            prop_assert_eq!(&split_all(new(), &bytes, size), &whole);
            prop_assert_eq!(split_bytewise(new(), &bytes), whole);
        }
    }
}
