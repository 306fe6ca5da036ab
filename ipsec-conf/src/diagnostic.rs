//! Display of errors with their source line.

use std::fmt;

use crate::excerpt::{Excerpt, Secrets, printable};
use crate::setkey::{ErrorKind, ParseError, RawStatement, Token, secrets_of, tokens};

/// An error with its source line: `FILE:LINE:COLUMN: MESSAGE`, the line with keys masked, a caret, and a hint, without a
/// newline at the end.
#[derive(Clone, Debug)]
pub struct Diagnostic<'a> {
    file: &'a str,
    source: RawStatement<'a>,
    error: &'a ParseError,
}

impl<'a> Diagnostic<'a> {
    /// Returns the display of an error in the statement `source` of `file`.
    pub fn new(file: &'a str, source: RawStatement<'a>, error: &'a ParseError) -> Self {
        Self { file, source, error }
    }

    /// Returns the offset of the caret: at the error, or after the last token if something is missing.
    fn offset(&self) -> usize {
        let text = self.source.text;
        let offset = self.error.offset;
        if offset < text.len() && text.is_char_boundary(offset) {
            return offset;
        }
        tokens(text).last().map_or(0, |(start, token)| start + token.source().len())
    }

    /// Returns the word that is wrong.
    fn word(&self) -> &'a str {
        Token::at(self.source.text, self.error.offset).source()
    }

    fn message(&self, secrets: &Secrets) -> String {
        let message = &self.error.message;
        if matches!(self.error.kind, ErrorKind::Policy(_)) {
            // libipsec's message, which may say more.
            let line = self.error.library_line.as_deref().and_then(|line| line.strip_prefix("libipsec: "));
            return printable(line.unwrap_or(message));
        }
        match Token::at(self.source.text, self.error.offset) {
            Token::Illegal(text) => format!("{message} at `{}'", printable(text)),
            _ if secrets.cover(self.error.offset) => format!("{message} at the key"),
            Token::End => format!("{message} at the end"),
            token => format!("{message} at `{}'", printable(token.source())),
        }
    }
}

impl fmt::Display for Diagnostic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut secrets = secrets_of(self.source.text, self.source.doubtful);
        // The message itself shows this number, so it is not worth hiding in the line.
        if self.error.kind == ErrorKind::Value && self.error.token.as_deref() == Some(self.word()) {
            secrets.0.retain(|(start, _)| *start != self.error.offset);
        }
        let Line { line, column, excerpt } = Line::new(self.source, self.offset(), &secrets);
        writeln!(f, "{}:{line}:{column}: {}", printable(self.file), self.message(&secrets))?;
        writeln!(f, "  {}", excerpt.text)?;
        write!(f, "  {:width$}^", "", width = excerpt.caret)?;
        match &self.error.hint {
            Some(hint) => write!(f, "\n  {}", printable(hint)),
            None => Ok(()),
        }
    }
}

/// The line with an error.
struct Line {
    /// From 1.
    line: u32,
    /// In characters, from 1.
    column: u32,
    excerpt: Excerpt,
}

impl Line {
    /// Returns the line of the statement that contains `offset`, a character boundary.
    fn new(source: RawStatement<'_>, offset: usize, secrets: &Secrets) -> Self {
        let (before, after) = source.text.split_at_checked(offset).unwrap_or((source.text, ""));
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = after.split('\n').next().unwrap_or_default();
        let head = before.get(start..).unwrap_or_default();

        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let line = source.first_line.saturating_add(count(before.matches('\n').count()));
        let first_column = if start == 0 { source.first_column } else { 1 };
        let column = first_column.saturating_add(count(head.chars().count()));
        Self { line, column, excerpt: Excerpt::new(head, rest, start, secrets) }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::setkey::Splitter;

    /// The diagnostic of the first error in a script.
    fn diagnose(script: &[u8]) -> String {
        let mut splitter = Splitter::script();
        let mut input = script;
        while let Some(raw) = splitter.split(&mut input).unwrap() {
            if let Err(error) = raw.parse() {
                return Diagnostic::new("a.conf", raw, &error).to_string();
            }
        }
        let raw = splitter.finish().unwrap();
        Diagnostic::new("a.conf", raw, &raw.parse().unwrap_err()).to_string()
    }

    fn check(script: &str, expected: Expect) {
        expected.assert_eq(&diagnose(script.as_bytes()));
    }

    #[test]
    fn places_and_hints() {
        check(
            "flush;\n# one\n  dump; spadd a b any -P in none;\n",
            expect![[r#"
                a.conf:3:9: syntax error at `spadd'
                   spadd a b any -P in none;
                   ^
                  did you mean `spdadd`?"#]],
        );
        check(
            "flush\n\tadd 192.0.2.1 192.0.2.2 esp 1000 -E null;\n",
            expect![[r#"
                a.conf:2:2: syntax error at `add'
                          add 192.0.2.1 192.0.2.2 esp 1000 -E null;
                          ^
                  `add` begins a statement: the one before it is cut short or lacks its `;`"#]],
        );
        check(
            "dump ah\n\n\n",
            expect![[r#"
                a.conf:1:8: syntax error at the end
                  dump ah
                         ^
                  the `;` that ends the statement is missing"#]],
        );
        check(
            "add 192.0.2.1 192.0.2.2\tesp\tx -E null;",
            expect![[r#"
                a.conf:1:29: syntax error at `x'
                  add 192.0.2.1 192.0.2.2 esp     x -E null;
                                                  ^
                  expected an SPI"#]],
        );
    }

    #[test]
    fn policies() {
        check(
            "spdadd ::/0 ::/0 any\n  -P out ipsec\n  esp/tunel/2001:db8::1-2001:db8::2/require;",
            expect![[r#"
                a.conf:3:7: Too few arguments
                    esp/tunel/2001:db8::1-2001:db8::2/require;
                        ^
                  did you mean `tunnel`?"#]],
        );
        check(
            "spdadd ::/0 ::/0 any -P out ipsec esp/transport//required;",
            expect![[r#"
                a.conf:1:50: syntax error while parsing "required"
                  spdadd ::/0 ::/0 any -P out ipsec esp/transport//required;
                                                                   ^
                  did you mean `require`?"#]],
        );
    }

    #[test]
    fn keys_are_not_shown() {
        check(
            "add 192.0.2.1 192.0.2.2 esp 0x10001 -E aes-cbc 0x00112233445566778899aabbccddeeff -u 5;",
            expect![[r#"
                a.conf:1:83: syntax error at `-u'
                  ...001 -E aes-cbc ********************************** -u 5;
                                                                       ^
                  -u goes before -E and -A"#]],
        );
        check(
            "add a b ah 256 -A hmac-md5 \"sixteen octets!!\" -A null;",
            expect![[r#"
            a.conf:1:47: syntax error at `-A'
              add a b ah 256 -A hmac-md5 ****************** -A null;
                                                            ^
              -A was given already"#]],
        );
        check(
            "add a b ah 256 -A hmac-md5 0123456789ABCDEF0123456789ABCDEF;",
            expect![[r#"
            a.conf:1:28: syntax error at the key
              add a b ah 256 -A hmac-md5 ********************************;
                                         ^
              hex digits need 0x before them"#]],
        );
        check(
            "add a b ah 256 -A hmac-md5 secret;",
            expect![[r#"
            a.conf:1:28: syntax error at the key
              add a b ah 256 -A hmac-md5 ******;
                                         ^
              a key is "quoted" or 0x and hex digits"#]],
        );
        check(
            "add a b esp 256 -E null secret -A hmac-md5 \"sixteen octets!!\";",
            expect![[r#"
            a.conf:1:25: syntax error at the key
              add a b esp 256 -E null ****** -A hmac-md5 ******************;
                                      ^
              expected -A or `;`"#]],
        );
        check(
            "add a b ah 256 -A hmac-md5 \"no end;\n secret;\nflush;\n",
            expect![[r#"
            a.conf:1:28: Syntax error at `"'
              add a b ah 256 -A hmac-md5 "*******
                                         ^
              this quote is not closed"#]],
        );
        check(
            "add a b ah 256 -A hmac-md5 \"line\nsecret\" x;",
            expect![[r#"
                a.conf:2:9: syntax error at the key
                  ******* *;
                          ^
                  expected `;`"#]],
        );
    }

    #[test]
    fn bytes_and_long_lines() {
        expect![[r#"
            a.conf:1:6: Syntax error at `\x1b'
              dump \x1b[2J\xe9 ;
                   ^
              a control character (0x1b): remove it"#]]
        .assert_eq(&diagnose(b"dump \x1b[2J\xe9 ;"));
        check(
            &format!("{} frob;", "flush".to_owned() + &" ".repeat(300)),
            expect![[r#"
            a.conf:1:307: syntax error at `frob'
              ...                                                  frob;
                                                                   ^
              expected `;` or a protocol"#]],
        );
        check(
            &format!("flush {} ;", "x".repeat(300)),
            expect![[r#"
            a.conf:1:7: syntax error at `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'
              flush xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
                    ^
              expected `;` or a protocol"#]],
        );
    }
}
