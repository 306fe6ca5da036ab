//! Repair of a configuration with characters that word processors, web pages and other systems put into it, and with comments
//! of other languages.

use crate::characters;

/// Kind of a stray character, by what it was most likely meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A byte order mark at the beginning, which has no meaning.
    ByteOrderMark,
    /// A blank.
    Space,
    /// Nothing.
    Invisible,
    /// A blank or nothing, in a string.
    InString,
    /// The quote of a string.
    Quote,
    /// `-`.
    Dash,
    /// The ASCII character of the same shape.
    FullWidth,
    /// `#`.
    Comment,
    /// A line end.
    Return,
    /// A line end in a comment, which hides the text after it.
    ReturnInComment,
}

/// The stray characters of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) kind: Kind,
    /// Offset of the first one in octets.
    pub(super) offset: usize,
    /// The first one.
    pub(super) character: char,
    /// How many there are.
    pub(super) count: u32,
}

impl Found {
    /// Whether the configuration has the same meaning without it.
    pub(super) fn is_harmless(&self) -> bool {
        matches!(self.kind, Kind::ByteOrderMark | Kind::InString | Kind::Return)
    }

    pub(super) fn message(&self) -> String {
        let name = name(self.character);
        match self.kind {
            Kind::ByteOrderMark => format!("{name} at the beginning of the file"),
            Kind::Space => format!("{name} in place of a blank"),
            Kind::Invisible => format!("{name}, which is invisible"),
            Kind::InString => format!("{name} in a string"),
            Kind::Quote => format!("{name} in place of `\"`"),
            Kind::Dash => format!("{name} in place of `-`"),
            Kind::FullWidth => format!("{name} in place of `{}`", lookalike(self.character).unwrap_or('?')),
            Kind::Comment => format!("`/{}` does not begin a comment", self.character),
            Kind::Return | Kind::ReturnInComment => format!("{name} without a line feed"),
        }
    }

    pub(super) fn hint(&self) -> String {
        let hint = match self.kind {
            Kind::ByteOrderMark => "racoon ignores it, but other programs refuse it: save the file as plain UTF-8",
            Kind::Space => "web pages and word processors write it: replace it with a plain blank",
            Kind::Invisible => "web pages and word processors write it: delete it and write the word again",
            Kind::InString => "it is part of the value, and the peer's value probably lacks it",
            Kind::Quote => "write a string between two plain double quotes",
            Kind::Dash | Kind::FullWidth => "write the plain ASCII character",
            Kind::Comment => "comments begin with `#`",
            Kind::Return => "it is treated as a line end; convert the file, for example with `tr '\\r' '\\n'`",
            Kind::ReturnInComment => {
                "a comment extends to the line feed, so what follows would be lost; convert the file, for example with `tr '\\r' '\\n'`"
            }
        };
        match self.count {
            1 => hint.to_owned(),
            2 => format!("{hint} (once more in this file)"),
            count => format!("{hint} ({} more times in this file)", count - 1),
        }
    }
}

/// Returns the name and number of a character.
fn name(c: char) -> String {
    let name = match c {
        '\'' => return "a single quote".to_owned(),
        '`' => return "a backquote".to_owned(),
        '\r' => return "a carriage return".to_owned(),
        '\u{a0}' | '\u{202f}' => "a no-break space",
        '\u{feff}' => "a byte order mark",
        '\u{ad}' => "a soft hyphen",
        '\u{200b}'..='\u{200d}' | '\u{2060}' => "a zero-width character",
        '\u{2013}' | '\u{96}' => "an en dash",
        '\u{2014}' | '\u{97}' => "an em dash",
        '\u{2212}' => "a minus sign",
        _ if is_quote(c) => "a typographic quote",
        _ if is_dash(c) => "a typographic dash",
        _ if c.is_whitespace() => "a special space",
        '\u{ff01}'..='\u{ff5e}' => "a full-width character",
        _ if lookalike(c).is_some() => "a character of the same shape",
        _ => "a character",
    };
    format!("{name} (U+{:04X})", u32::from(c))
}

fn is_space(c: char) -> bool {
    matches!(c, '\u{b}' | '\u{c}') || is(c, |kind| matches!(kind, characters::Kind::Space | characters::Kind::LineEnd))
}

fn is_invisible(c: char) -> bool {
    is(c, |kind| matches!(kind, characters::Kind::Invisible | characters::Kind::ByteOrderMark))
}

/// Whether it is a quote of any kind but `"`.
fn is_quote(c: char) -> bool {
    matches!(c, '\'' | '`') || is(c, |kind| kind == characters::Kind::Quote)
}

fn is_dash(c: char) -> bool {
    is(c, |kind| kind == characters::Kind::Dash)
}

/// Returns the ASCII character that another one looks like.
fn lookalike(c: char) -> Option<char> {
    match characters::Kind::of(c) {
        characters::Kind::Lookalike(plain) if !c.is_ascii() => Some(plain),
        _ => None,
    }
}

/// Whether a character is of a kind and not ASCII. One that code page 1252 defines counts as defined there.
fn is(c: char, kind: impl FnOnce(characters::Kind) -> bool) -> bool {
    !c.is_ascii() && kind(characters::Kind::of(characters::of_windows(c).unwrap_or(c)))
}

/// Replaces stray characters by plain ones, keeping the offset of every token; `None` if there are none.
pub(super) fn repair(text: &str) -> Option<(String, Vec<Found>)> {
    let mut scanner =
        Scanner { text, at: 0, out: String::with_capacity(text.len()), pad: 0, found: Vec::new(), unclosed: false };
    while let Some(c) = scanner.peek() {
        scanner.next(c);
    }
    scanner.flush();
    (!scanner.found.is_empty()).then_some((scanner.out, scanner.found))
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
    /// The repaired text, as long as the text read so far, less `pad`.
    out: String,
    /// Blanks to append after the word, so that later offsets stay the same.
    pad: usize,
    found: Vec<Found>,
    /// Whether no `*/` follows.
    unclosed: bool,
}

impl<'t> Scanner<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn flush(&mut self) {
        self.out.extend(std::iter::repeat_n(' ', std::mem::take(&mut self.pad)));
    }

    fn find(&mut self, kind: Kind, offset: usize, character: char) {
        match self.found.iter_mut().find(|found| found.kind == kind) {
            Some(found) => found.count = found.count.saturating_add(1),
            None => self.found.push(Found { kind, offset, character, count: 1 }),
        }
    }

    /// Copies the next `octets`.
    fn copy(&mut self, octets: usize) {
        self.flush();
        self.out.push_str(self.rest().get(..octets).unwrap_or_default());
        self.at += octets;
    }

    /// Replaces a character with `plain`.
    fn replace(&mut self, kind: Kind, c: char, plain: Option<char>) {
        self.find(kind, self.at, c);
        self.out.extend(plain);
        self.pad += c.len_utf8() - plain.map_or(0, char::len_utf8);
        self.at += c.len_utf8();
    }

    fn next(&mut self, c: char) {
        match c {
            '"' => self.string(),
            '#' => self.comment(),
            '/' if self.is_comment() => self.foreign_comment(),
            '\r' => self.returns(),
            '\u{feff}' if self.at == 0 => self.replace(Kind::ByteOrderMark, c, None),
            _ if is_space(c) => {
                self.flush();
                self.replace(Kind::Space, c, Some(' '));
            }
            _ if is_invisible(c) => self.replace(Kind::Invisible, c, None),
            _ if is_quote(c) => self.foreign_quote(c),
            _ if is_dash(c) => self.replace(Kind::Dash, c, Some('-')),
            // The word ends here, so blanks for the octets that it lost do not split it.
            ' ' | '\t' | '\n' | ';' | ',' | '{' | '}' | '[' | ']' | '=' | '(' | ')' => self.copy(1),
            _ => match lookalike(c) {
                Some(plain) => self.replace(Kind::FullWidth, c, Some(plain)),
                None => {
                    self.out.push(c);
                    self.at += c.len_utf8();
                }
            },
        }
    }

    /// Handles carriage returns; those before a line feed are part of the line end.
    fn returns(&mut self) {
        let rest = self.rest();
        let run = rest.find(|c| c != '\r').unwrap_or(rest.len());
        if rest.get(run..).is_some_and(|rest| rest.starts_with('\n')) {
            return self.copy(run);
        }
        self.flush();
        (0..run).for_each(|_| self.replace(Kind::Return, '\r', Some('\n')));
    }

    /// Handles a string as in the grammar; a typographic quote may close it.
    fn string(&mut self) {
        let rest = self.rest();
        let line = rest.split('\n').next().unwrap_or_default();
        if let Some(end) = line.get(1..).and_then(|inside| inside.find('"')) {
            return self.inside(end + 2);
        }
        // A quote after a `;` more likely belongs to the next string, and a single one is more likely an apostrophe.
        let quote = line.char_indices().skip(1).find(|(_, c)| *c == ';' || (is_quote(*c) && *c != '\'' && *c != '`'));
        if let Some((end, c)) = quote.filter(|(_, c)| *c != ';') {
            self.inside(end);
            return self.replace(Kind::Quote, c, Some('"'));
        }
        // A string may extend over lines, unless what follows looks like the rest of a statement.
        let several = rest.get(1..).and_then(|inside| inside.find(['"', ';', '{', '}']));
        match several.filter(|end| rest.get(end + 1..).is_some_and(|rest| rest.starts_with('"'))) {
            Some(end) => self.inside(end + 2),
            None => self.copy(line.find(';').unwrap_or(line.len())),
        }
    }

    /// Copies `octets` of a string, and records stray characters in it.
    fn inside(&mut self, octets: usize) {
        let text = self.rest().get(..octets).unwrap_or_default();
        for (at, c) in text.char_indices().filter(|(_, c)| is_space(*c) || is_invisible(*c)) {
            self.find(Kind::InString, self.at + at, c);
        }
        self.copy(octets);
    }

    fn comment(&mut self) {
        let line = self.rest().split('\n').next().unwrap_or_default();
        let end = line.find('\r').filter(|end| line.get(*end..).is_some_and(|rest| !rest.trim().is_empty()));
        match end {
            None => self.copy(line.len()),
            Some(end) => {
                self.copy(end);
                self.replace(Kind::ReturnInComment, '\r', Some('\n'));
            }
        }
    }

    /// Whether `//` or `/*` begins a comment as in C++, and is not part of a name such as a path.
    fn is_comment(&self) -> bool {
        let rest = self.rest();
        let begins = || self.out.trim_end().chars().next_back().is_none_or(|c| matches!(c, ';' | '{' | '}'));
        let apart = || {
            let after = rest.get(2..).unwrap_or_default();
            self.out.chars().next_back().is_none_or(char::is_whitespace) && after.starts_with(char::is_whitespace)
        };
        (rest.starts_with("//") || rest.starts_with("/*")) && (begins() || apart())
    }

    fn foreign_comment(&mut self) {
        let rest = self.rest();
        let line = rest.split('\n').next().unwrap_or_default().len();
        let end = if rest.starts_with("/*") && !self.unclosed { rest.find("*/") } else { None };
        // Remembered: searching for the end again at each `/*` would take quadratic time.
        self.unclosed |= rest.starts_with("/*") && end.is_none();
        let length = end.map_or(line, |end| end + 2);
        self.find(Kind::Comment, self.at, if rest.starts_with("/*") { '*' } else { '/' });
        // Line ends stay, so that later places have the right line.
        let blank = |byte| if byte == b'\n' { '\n' } else { ' ' };
        self.out.extend(rest.bytes().take(length).map(blank));
        self.at += length;
    }

    /// Handles a quote other than `"`: it delimits a string if there is a second one on the line.
    fn foreign_quote(&mut self, c: char) {
        let width = c.len_utf8();
        let line = self.rest().split('\n').next().unwrap_or_default();
        let inside = line.get(width..).unwrap_or_default();
        let Some((end, close)) = inside.char_indices().find(|(_, c)| *c == '"' || is_quote(*c)) else {
            return self.replace(Kind::Quote, c, None);
        };
        self.flush();
        self.find(Kind::Quote, self.at, c);
        self.out.extend(std::iter::repeat_n(' ', width - 1));
        self.out.push('"');
        self.at += width;
        self.copy(end);
        self.out.push('"');
        self.pad = close.len_utf8() - 1;
        self.at += close.len_utf8();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn tokens_stay_where_they_are(text in "[a\"'#;/*{} \t\r\n\u{a0}\u{200b}\u{feff}\u{201c}\u{201d}\u{2013}\u{ff1b}é]{0,60}") {
            if let Some((out, found)) = repair(&text) {
                prop_assert_eq!(out.len(), text.len());
                prop_assert!(found.iter().all(|one| text.is_char_boundary(one.offset)));
                prop_assert!(found.iter().all(|one| !one.message().is_empty() && !one.hint().is_empty()));
            }
        }
    }

    fn check(text: &str, expected: &str, kinds: &[(Kind, u32)]) {
        let (out, found) = repair(text).unwrap_or_else(|| (text.to_owned(), Vec::new()));
        assert_eq!(out.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{text:?}");
        assert_eq!(out.len(), text.len(), "{text:?}");
        let all = found.iter().map(|one| (one.kind, one.count)).collect::<Vec<_>>();
        assert_eq!(all, kinds, "{text:?}");
    }

    #[test]
    fn nothing_to_repair() {
        for text in ["", "a \"it's “so”\"; # don't //\r\nb //c;", "\"a\nb'\"", "a\r\r\n# b\r\r\n", "é;"] {
            assert_eq!(repair(text), None, "{text:?}");
        }
    }

    #[test]
    fn plain_characters_in_place_of_others() {
        check("\u{feff}a;", "a ;", &[(Kind::ByteOrderMark, 1)]);
        check("a\u{a0}b\u{2003}c;", "a b c ;", &[(Kind::Space, 2)]);
        check("ex\u{200b}ch\u{ad}ange x", "exchange x", &[(Kind::Invisible, 2)]);
        check("10.0.0.1–10.0.0.2 any", "10.0.0.1-10.0.0.2 any", &[(Kind::Dash, 1)]);
        check("a “x y”; b 'z';", "a \"x y\" ; b \"z\";", &[(Kind::Quote, 2)]);
        check("a \"x”;\nb „y\";", "a \"x\" ; b \"y\";", &[(Kind::Quote, 2)]);
        check("a don't;", "a dont ;", &[(Kind::Quote, 1)]);
        check("a b； ｛", "a b; {", &[(Kind::FullWidth, 2)]);
        check("a \"x\u{200b}\";", "a \"x\u{200b}\";", &[(Kind::InString, 1)]);
    }

    #[test]
    fn comments_of_other_languages() {
        check("// x;\na; //y\nb // z\n;", "a; b ;", &[(Kind::Comment, 3)]);
        check("/* x;\n y */ a;", "a;", &[(Kind::Comment, 1)]);
        check("a //b;", "a //b;", &[]);
    }

    #[test]
    fn carriage_returns() {
        check("a;\rb;\r", "a; b;", &[(Kind::Return, 2)]);
        check("# x\rb;\n", "# x b;", &[(Kind::ReturnInComment, 1)]);
    }
}
