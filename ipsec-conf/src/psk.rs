//! The file of pre-shared keys and XAUTH clients' passwords.
//!
//! A line consists of an identifier, blanks, and the key, which is the rest of the line including its blanks. `#` in the
//! first column begins a comment. Identifiers are compared octet by octet; `*` matches any. The first matching line counts.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::hex;
pub use crate::key_file::KeyFileError;
pub use crate::psk_nearest::{Mismatch, Nearest};
use crate::racoon::Loader;

/// Keys shorter than this, in octets, earn a warning.
const SHORT: usize = 20;

/// The keys of a file, which `Debug` does not show and which are wiped when dropped.
#[derive(Default)]
pub struct PreSharedKeys {
    pub(crate) entries: Vec<PskEntry>,
    /// The first entry of each identifier.
    by_identifier: HashMap<Box<[u8]>, usize>,
    /// The first `*`.
    any: Option<usize>,
    /// Unusable lines.
    pub(crate) lost: Vec<LostLine>,
}

/// An unusable line. It may contain a key.
pub(crate) struct LostLine {
    pub(crate) problem: LineProblem,
    pub(crate) text: Zeroizing<Vec<u8>>,
}

pub(crate) struct PskEntry {
    pub(crate) line: u32,
    /// Identifier, unless the line has no blank and so includes the key.
    pub(crate) identifier: Zeroizing<Vec<u8>>,
    /// Another identifier has the same key.
    shared: bool,
    pub(crate) key: Zeroizing<Vec<u8>>,
}

/// A line that is not used, or that its author may have meant otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineProblem {
    /// From 1.
    pub line: u32,
    /// What is wrong.
    pub kind: LineProblemKind,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineProblemKind {
    /// An identifier without a key: the line is not used.
    NoKey,
    /// `0x` and something else than hex digits: the line is not used.
    BadHex,
    /// A carriage return at its end is a part of the key.
    CarriageReturn,
    /// Blanks at its end are a part of the key.
    TrailingBlank,
    /// It begins with blanks.
    LeadingBlank,
    /// Quotes around the key are a part of it.
    Quotes,
    /// `: PSK`, as in the ipsec.secrets of other programs, is a part of the key.
    IpsecSecrets,
    /// What looks like a comment is a part of the key.
    Comment,
    /// `0s`, before base64 in other programs, is a part of the key.
    Base64,
    /// A byte order mark is a part of the first identifier.
    ByteOrderMark,
    /// The file is in UTF-16: no line is used.
    Utf16,
    /// An earlier line has the same identifier, or `*`, and so this one is never used.
    Unused {
        /// The earlier line.
        first: u32,
    },
}

impl LineProblem {
    /// Whether the line is skipped, so that its identifier has no key.
    pub fn loses_the_line(&self) -> bool {
        matches!(self.kind, LineProblemKind::NoKey | LineProblemKind::BadHex | LineProblemKind::Utf16)
    }
}

impl PreSharedKeys {
    /// Reads a file that only its owner, the process's user, can write, and that others cannot read.
    pub fn load(path: &Path, loader: &dyn Loader) -> Result<(Self, Vec<LineProblem>), KeyFileError> {
        crate::key_file::read(path, loader).map(|bytes| Self::parse(&bytes))
    }

    /// Parses the bytes of a file. Unusable lines are skipped and reported.
    pub fn parse(bytes: &[u8]) -> (Self, Vec<LineProblem>) {
        let mut keys = Self::default();
        let mut problems = Vec::new();
        // In UTF-16 every second octet of ASCII is 0, so no line could match.
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            let problem = LineProblem { line: 1, kind: LineProblemKind::Utf16 };
            keys.lost.push(LostLine { problem, text: Zeroizing::default() });
            return (keys, vec![problem]);
        }
        // As in the C racoon, only a line feed ends a line: a carriage return is part of the key.
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            keys.add(number, line, &mut |kind| problems.push(LineProblem { line: number, kind }));
        }
        keys.mark_shared();
        (keys, problems)
    }

    /// Parses a line and reports its mistakes.
    fn add(&mut self, number: u32, line: &[u8], problem: &mut dyn FnMut(LineProblemKind)) {
        let mut lose = |keys: &mut Self, kind| {
            problem(kind);
            let problem = LineProblem { line: number, kind };
            keys.lost.push(LostLine { problem, text: Zeroizing::new(line.trim_ascii().to_vec()) });
        };
        let Some((identifier, text)) = fields(line) else {
            if line.iter().any(|byte| !byte.is_ascii_whitespace()) && !line.starts_with(b"#") {
                lose(self, LineProblemKind::NoKey);
            }
            return;
        };
        let Some(key) = key(text) else { return lose(self, LineProblemKind::BadHex) };
        if number == 1 && identifier.starts_with(b"\xef\xbb\xbf") {
            problem(LineProblemKind::ByteOrderMark);
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            problem(LineProblemKind::LeadingBlank);
        }
        looks(identifier, text).into_iter().for_each(&mut *problem);
        let before = self.position(identifier).and_then(|at| self.entries.get(at));
        if let Some(before) = before {
            problem(LineProblemKind::Unused { first: before.line });
        }
        let identifier = Zeroizing::new(identifier.to_vec());
        self.push(PskEntry { line: number, identifier, shared: false, key });
    }

    /// Marks keys that several identifiers share. Lines that no look-up finds do not count.
    fn mark_shared(&mut self) {
        let key = |at: usize| self.entries.get(at).map(|entry| entry.key.as_slice());
        let mut found = self.by_identifier.values().copied().collect::<Vec<_>>();
        // Equal keys become neighbours: the file may have thousands of lines.
        found.sort_unstable_by_key(|at| key(*at));
        let pairs = found.windows(2).filter_map(|pair| <[usize; 2]>::try_from(pair).ok());
        let shared = pairs.filter(|[one, other]| key(*one) == key(*other)).flatten().collect::<Vec<_>>();
        for at in shared {
            if let Some(entry) = self.entries.get_mut(at) {
                entry.shared = true;
            }
        }
    }

    fn push(&mut self, entry: PskEntry) {
        let at = self.entries.len();
        if entry.identifier.as_slice() == b"*" {
            self.any.get_or_insert(at);
        }
        self.by_identifier.entry(entry.identifier.as_slice().into()).or_insert(at);
        self.entries.push(entry);
    }

    /// The key of the first line whose identifier is `identifier` or `*`. An identifier is a numeric address, the
    /// bytes of an identity, or a login.
    pub fn find(&self, identifier: &[u8]) -> Option<&[u8]> {
        self.entries.get(self.position(identifier)?).map(|entry| entry.key.as_slice())
    }

    /// Whether others share the key of this identifier: it is the key of `*` or of another identifier.
    pub fn is_shared(&self, identifier: &[u8]) -> bool {
        let Some(at) = self.position(identifier) else { return false };
        self.any == Some(at) || self.entries.get(at).is_some_and(|entry| entry.shared)
    }

    fn position(&self, identifier: &[u8]) -> Option<usize> {
        let named = self.by_identifier.get(identifier).copied();
        match (named, self.any) {
            // The first line that matches counts: a `*` hides the lines after it.
            (Some(named), Some(any)) => Some(named.min(any)),
            (named, any) => named.or(any),
        }
    }

    /// Returns the lines whose keys have fewer than 20 octets.
    pub fn short_keys(&self) -> impl Iterator<Item = u32> {
        self.entries.iter().filter(|entry| entry.key.len() < SHORT).map(|entry| entry.line)
    }
}

/// Looks for signs that the author meant another key.
fn looks(identifier: &[u8], text: &[u8]) -> Option<LineProblemKind> {
    let key = text.trim_ascii_end();
    let is_hex = text.starts_with(b"0x");
    if is_of_ipsec_secrets(identifier, text) {
        return Some(LineProblemKind::IpsecSecrets);
    }
    if text.ends_with(b"\r") {
        return Some(LineProblemKind::CarriageReturn);
    }
    if let [first @ (b'"' | b'\''), .., last] = key
        && first == last
    {
        return Some(LineProblemKind::Quotes);
    }
    if key.starts_with("\u{201c}".as_bytes()) {
        return Some(LineProblemKind::Quotes);
    }
    if !is_hex && text.windows(2).any(|pair| matches!(pair, b" #" | b"\t#")) {
        return Some(LineProblemKind::Comment);
    }
    // A shorter one may be a password that happens to begin like this.
    if key.starts_with(b"0s") && key.len() > 20 {
        return Some(LineProblemKind::Base64);
    }
    (!is_hex && key.len() < text.len()).then_some(LineProblemKind::TrailingBlank)
}

/// Whether a line is of the form `ID : PSK "KEY"`.
pub(crate) fn is_of_ipsec_secrets(identifier: &[u8], key: &[u8]) -> bool {
    let says = |text: &[u8]| text.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"PSK "));
    (identifier.ends_with(b":") && says(key))
        || key.windows(6).any(|window| window.starts_with(b": ") && window.get(2..).is_some_and(says))
}

/// Identifier and key of a line that has them.
fn fields(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    if line.starts_with(b"#") {
        return None;
    }
    let start = line.iter().position(|byte| !blank(byte))?;
    let (_, line) = line.split_at_checked(start)?;
    let (identifier, rest) = line.split_at_checked(line.iter().position(blank)?)?;
    let (_, key) = rest.split_at_checked(rest.iter().position(|byte| !blank(byte))?)?;
    // An identifier alone, in a file with CR LF line ends.
    (key != b"\r").then_some((identifier, key))
}

/// The octets of a key; `None` when what follows `0x` is not hex.
fn key(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let Some(digits) = text.strip_prefix(b"0x") else { return Some(Zeroizing::new(text.to_vec())) };
    // Blanks after hex digits are not part of the key.
    let digits = digits.trim_ascii_end();
    hex::octets(digits).filter(|key| !key.is_empty())
}

impl fmt::Debug for PreSharedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreSharedKeys({} keys)", self.entries.len())
    }
}

impl fmt::Display for LineProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            LineProblemKind::NoKey => "an identifier without a key",
            LineProblemKind::BadHex => "0x must be followed by hex digits, two for each octet",
            LineProblemKind::CarriageReturn => "the carriage return at the end is a part of the key",
            LineProblemKind::TrailingBlank => "the blank at the end is a part of the key",
            LineProblemKind::LeadingBlank => {
                "the blank at the beginning hides the line from other programs than this racoon"
            }
            LineProblemKind::Quotes => "the quotes are a part of the key",
            LineProblemKind::IpsecSecrets => {
                "`: PSK` is the form of ipsec.secrets: here stand a name, blanks, and the key without quotes"
            }
            LineProblemKind::Comment => "what follows the `#` is a part of the key: comments have lines of their own",
            LineProblemKind::Base64 => "the 0s is a part of the key: only hex digits after 0x are decoded",
            LineProblemKind::ByteOrderMark => {
                "the file begins with a byte order mark, which is a part of the first name"
            }
            LineProblemKind::Utf16 => "the file is in UTF-16: save it as UTF-8",
            LineProblemKind::Unused { first } => {
                return write!(f, "this line is never used: line {first} is found before it");
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(file: &str, identifier: &str) -> Option<String> {
        let (keys, _) = PreSharedKeys::parse(file.as_bytes());
        keys.find(identifier.as_bytes()).map(|key| String::from_utf8_lossy(key).into_owned())
    }

    fn problems(file: &str) -> Vec<(u32, LineProblemKind)> {
        PreSharedKeys::parse(file.as_bytes()).1.into_iter().map(|problem| (problem.line, problem.kind)).collect()
    }

    #[test]
    fn a_file_in_utf_16() {
        let (keys, problems) = PreSharedKeys::parse(b"\xff\xfe1\0 \0k\0\n\x002\0 \0k\0");
        assert!(keys.is_empty());
        assert_eq!(problems, [LineProblem { line: 1, kind: LineProblemKind::Utf16 }]);
        let nearest = keys.nearest(b"1").map(|nearest| nearest.to_string());
        assert_eq!(nearest.as_deref(), Some("line 1 cannot be used: the file is in UTF-16: save it as UTF-8"));
    }

    #[test]
    fn the_key_is_the_rest_of_the_line() {
        let file = "# 192.0.2.1 no\n192.0.2.1\t \ta key, with blanks \nuser@example.net 0x41420a\n2001:db8::1 x";
        assert_eq!(find(file, "192.0.2.1").as_deref(), Some("a key, with blanks "));
        assert_eq!(find(file, "user@example.net").as_deref(), Some("AB\n"));
        assert_eq!(find(file, "2001:db8::1").as_deref(), Some("x"));
        assert_eq!(find(file, "192.0.2"), None);
        assert_eq!(find(file, "192.0.2.10"), None);
        assert_eq!(find(file, "USER@example.net"), None);
        assert_eq!(find(file, "#"), None);
        assert_eq!(problems(file), [(2, LineProblemKind::TrailingBlank)]);
    }

    #[test]
    fn the_first_line_counts() {
        let file = "b early\n* any\na late\nb later\n";
        assert_eq!(find(file, "a").as_deref(), Some("any"));
        assert_eq!(find(file, "b").as_deref(), Some("early"));
        assert_eq!(find(file, "*").as_deref(), Some("any"));
        assert_eq!(find("a one\na two\n", "a").as_deref(), Some("one"));
    }

    #[test]
    fn lines_that_are_told_of() {
        use LineProblemKind::{BadHex, CarriageReturn, NoKey};
        let file = "a\n\n \t\nb \nc 0x123\nd 0xgg\ne 0x\nf key\r\n\r\ng 0x00 \r\n";
        let expected =
            [(1, NoKey), (4, NoKey), (5, BadHex), (6, BadHex), (7, BadHex), (8, CarriageReturn), (10, CarriageReturn)];
        assert_eq!(problems(file), expected);
        assert_eq!(find(file, "c"), None);
        assert_eq!(find(file, "f").as_deref(), Some("key\r"));
        assert_eq!(find(file, "g").as_deref(), Some("\0"));
        let lost = PreSharedKeys::parse(file.as_bytes()).1.iter().filter(|one| one.loses_the_line()).count();
        assert_eq!(lost, 5);
        // The line after a bad one counts.
        assert_eq!(find("a 0x1\na good\n", "a").as_deref(), Some("good"));
    }

    #[test]
    fn keys_that_are_not_what_they_seem() {
        use LineProblemKind::*;
        for (file, expected) in [
            ("a \"secret\"\n", &[(1, Quotes)][..]),
            ("a 'secret'\n", &[(1, Quotes)]),
            ("a “secret”\n", &[(1, Quotes)]),
            ("a \"secret\n", &[]),
            (": PSK \"secret\"\n", &[(1, IpsecSecrets)]),
            ("192.0.2.1 192.0.2.9 : PSK \"secret\"\n", &[(1, IpsecSecrets)]),
            ("192.0.2.9: psk 0xaa\n", &[(1, IpsecSecrets)]),
            ("a secret # of a\n", &[(1, Comment)]),
            ("a se#cret\n", &[]),
            ("a 0sc2VjcmV0c2VjcmV0c2VjcmV0\n", &[(1, Base64)]),
            ("\u{feff}a secret\n", &[(1, ByteOrderMark)]),
            (" a secret\n", &[(1, LeadingBlank)]),
            ("a secret\t\n", &[(1, TrailingBlank)]),
            ("a one\nb two\na three\n", &[(3, Unused { first: 1 })]),
            ("a one\n* two\na three\nb four\n", &[(3, Unused { first: 1 }), (4, Unused { first: 2 })]),
            ("* one\n* two\n", &[(2, Unused { first: 1 })]),
        ] {
            assert_eq!(problems(file), expected, "{file:?}");
        }
    }

    #[test]
    fn octets_that_are_no_text() {
        let (keys, _) = PreSharedKeys::parse(b"\x30\x0b\x80 \xff\x00\xfe\n");
        assert_eq!(keys.find(b"\x30\x0b\x80"), Some(&b"\xff\x00\xfe"[..]));
    }

    #[test]
    fn short_keys() {
        let (keys, _) = PreSharedKeys::parse(b"a 0123456789012345678\nb 01234567890123456789\nc 0x00\n");
        assert_eq!(keys.short_keys().collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn keys_are_not_shown() {
        let (keys, _) = PreSharedKeys::parse(b"a secret\n");
        assert_eq!(format!("{keys:?}"), "PreSharedKeys(1 keys)");
    }
}
