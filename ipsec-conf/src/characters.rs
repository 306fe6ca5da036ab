//! Characters that word processors, web pages and other systems put into a file: what each was meant to be, and hints.

use std::borrow::Cow;

type Advice = Cow<'static, str>;

/// What a character that is not ASCII was most likely meant to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A blank.
    Space,
    /// A line end.
    LineEnd,
    /// Nothing; it marks the encoding of the file.
    ByteOrderMark,
    /// Nothing; it is invisible.
    Invisible,
    /// `"`.
    Quote,
    /// `-`.
    Dash,
    /// The ASCII character of the same shape.
    Lookalike(char),
    /// Itself.
    Other,
}

impl Kind {
    /// Classifies a character that is not ASCII.
    pub(crate) fn of(c: char) -> Self {
        match c {
            '\u{feff}' => Self::ByteOrderMark,
            '\u{85}' | '\u{2028}' | '\u{2029}' => Self::LineEnd,
            '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}' => Self::Invisible,
            c if c.is_whitespace() => Self::Space,
            '\u{2018}'..='\u{201f}'
            | '\u{2032}'..='\u{2037}'
            | '\u{ab}'
            | '\u{b4}'
            | '\u{bb}'
            | '\u{2039}'
            | '\u{203a}'
            | '\u{2bc}'
            | '\u{300c}'..='\u{300f}'
            | '\u{301d}'..='\u{301f}'
            | '\u{ff02}'
            | '\u{ff07}' => Self::Quote,
            '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2e3a}' | '\u{2e3b}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' => {
                Self::Dash
            }
            '\u{2044}' | '\u{2215}' => Self::Lookalike('/'),
            '\u{37e}' | '\u{61b}' => Self::Lookalike(';'),
            // The full-width forms are in the order of ASCII.
            '\u{ff01}'..='\u{ff5e}' => Self::Lookalike(char::from_u32(u32::from(c) - 0xfee0).unwrap_or('?')),
            _ => Self::Other,
        }
    }
}

/// Decodes the UTF-8 character at the beginning of a text whose bytes were widened as Latin-1.
pub(crate) fn decode(widened: &str) -> Option<char> {
    // UTF-8 encodes a character in at most 4 bytes (RFC 3629 section 3).
    let bytes: Vec<u8> = widened.chars().take(4).map_while(|c| u8::try_from(u32::from(c)).ok()).collect();
    bytes.utf8_chunks().next()?.valid().chars().next()
}

/// Returns the first typographic double quote in a text whose bytes were widened as Latin-1.
pub(crate) fn typographic_quote(widened: &str) -> Option<char> {
    // In UTF-8, all of them begin with E2.
    let starts = widened.char_indices().filter(|(_, c)| *c == '\u{e2}');
    starts.filter_map(|(at, _)| decode(widened.get(at..)?)).find(|c| ('\u{201c}'..='\u{201f}').contains(c))
}

/// Decodes a byte above 127 in Windows code page 1252, for the punctuation that is often found.
pub(crate) fn of_windows(byte: char) -> Option<char> {
    Some(match byte {
        '\u{82}' | '\u{91}' | '\u{92}' => '\u{2019}',
        '\u{84}' | '\u{93}' | '\u{94}' => '\u{201d}',
        '\u{96}' => '\u{2013}',
        '\u{97}' => '\u{2014}',
        // These are the same in Latin-1, and thus in Unicode.
        '\u{a0}' | '\u{ab}' | '\u{ad}' | '\u{b4}' | '\u{bb}' => byte,
        _ => return None,
    })
}

/// Returns a hint for the character at the beginning of `rest`, a text whose bytes were widened as Latin-1. `at_start`:
/// whether it is the first of the file.
pub(crate) fn advice(rest: &str, at_start: bool) -> Option<Advice> {
    let first = rest.chars().next()?;
    if at_start && (rest.starts_with("\u{ff}\u{fe}") || rest.starts_with("\u{fe}\u{ff}")) {
        return Some("the file is in UTF-16: save it as UTF-8".into());
    }
    if first.is_ascii() {
        return of_ascii(first, rest);
    }
    match decode(rest) {
        Some('\u{feff}') if at_start => {
            Some("the file begins with a byte order mark (U+FEFF): save it as UTF-8 without one".into())
        }
        Some(c) => Some(of_unicode(c)),
        None => match of_windows(first) {
            Some(c) => Some(of_unicode(c)),
            None => Some("not ASCII: other characters may stand only in quoted strings and comments".into()),
        },
    }
}

fn of_ascii(c: char, rest: &str) -> Option<Advice> {
    Some(match c {
        '\0' => "a NUL byte: if the file is in UTF-16, save it as UTF-8".into(),
        '\r' if rest.starts_with("\r\n") || rest == "\r" => "the file has CR LF line ends: remove the CRs".into(),
        '\r' => "a carriage return (CR): lines end with LF alone".into(),
        c if c.is_ascii_control() => format!("a control character (0x{:02x}): remove it", u32::from(c)).into(),
        _ => return None,
    })
}

fn of_unicode(c: char) -> Advice {
    let (name, advice) = match (Kind::of(c), c) {
        (Kind::Space, '\u{a0}' | '\u{2007}' | '\u{202f}') => ("a no-break space", "write a plain blank"),
        (Kind::Space, _) => ("a typographic space", "write a plain blank"),
        (Kind::LineEnd, _) => ("a line separator", "begin a new line"),
        (Kind::ByteOrderMark, _) => ("a byte order mark", "remove it"),
        (Kind::Invisible, '\u{200b}') => ("a zero-width space", "remove it"),
        (Kind::Invisible, _) => ("an invisible character", "remove it"),
        (Kind::Quote, _) => ("a typographic quote", "write a plain \""),
        (Kind::Dash, _) => ("a typographic dash", "write a plain -"),
        (Kind::Lookalike('/'), '\u{2044}' | '\u{2215}') => ("a typographic slash", "write a plain /"),
        (Kind::Lookalike(_), '\u{37e}' | '\u{61b}') => {
            ("a question mark or semicolon of another script", "write a plain ;")
        }
        (Kind::Lookalike(plain), _) => {
            return format!("a full-width character (U+{:04X}): write a plain {plain}", u32::from(c)).into();
        }
        (Kind::Other, _) => {
            let text = "is not ASCII: it may stand only in quoted strings and comments";
            return format!("U+{:04X} {text}", u32::from(c)).into();
        }
    };
    format!("{name} (U+{:04X}): {advice}", u32::from(c)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8], at_start: bool) -> String {
        let widened: String = bytes.iter().copied().map(char::from).collect();
        advice(&widened, at_start).unwrap_or_default().into_owned()
    }

    #[test]
    fn copied_from_elsewhere() {
        for (text, expected) in [
            ("\u{feff}flush", "a byte order mark (U+FEFF): remove it"),
            ("\u{a0}", "a no-break space (U+00A0): write a plain blank"),
            ("\u{202f}x", "a no-break space (U+202F): write a plain blank"),
            ("\u{3000}", "a typographic space (U+3000): write a plain blank"),
            ("\u{200b}", "a zero-width space (U+200B): remove it"),
            ("\u{200d}x", "an invisible character (U+200D): remove it"),
            ("\u{ad}", "an invisible character (U+00AD): remove it"),
            ("\u{201c}key\u{201d}", "a typographic quote (U+201C): write a plain \""),
            ("\u{2019}", "a typographic quote (U+2019): write a plain \""),
            ("\u{ab}", "a typographic quote (U+00AB): write a plain \""),
            ("\u{2013}P", "a typographic dash (U+2013): write a plain -"),
            ("\u{2014}", "a typographic dash (U+2014): write a plain -"),
            ("\u{2212}1", "a typographic dash (U+2212): write a plain -"),
            ("\u{ff1b}", "a full-width character (U+FF1B): write a plain ;"),
            ("\u{2028}", "a line separator (U+2028): begin a new line"),
            ("\u{e9}", "U+00E9 is not ASCII: it may stand only in quoted strings and comments"),
            ("\u{c}", "a control character (0x0c): remove it"),
            ("\r\n", "the file has CR LF line ends: remove the CRs"),
            ("\rflush", "a carriage return (CR): lines end with LF alone"),
            ("a", ""),
        ] {
            assert_eq!(of(text.as_bytes(), false), expected, "{text:?}");
        }
    }

    #[test]
    fn other_encodings() {
        let mark = "the file begins with a byte order mark (U+FEFF): save it as UTF-8 without one";
        assert_eq!(of("\u{feff}flush".as_bytes(), true), mark);
        assert_eq!(of(b"\xff\xfef\0l\0", true), "the file is in UTF-16: save it as UTF-8");
        assert_eq!(of(b"\xfe\xff\0f\0l", true), "the file is in UTF-16: save it as UTF-8");
        assert_eq!(of(b"\x93key\x94", false), "a typographic quote (U+201D): write a plain \"");
        assert_eq!(of(b"\x96P", false), "a typographic dash (U+2013): write a plain -");
        assert_eq!(of(b"\xa0x", false), "a no-break space (U+00A0): write a plain blank");
        assert_eq!(of(b"\xe9;", false), "not ASCII: other characters may stand only in quoted strings and comments");
        assert_eq!(of(b"\xe2\x80", false), "not ASCII: other characters may stand only in quoted strings and comments");
        assert_eq!(of(b"\0", false), "a NUL byte: if the file is in UTF-16, save it as UTF-8");
    }
}
