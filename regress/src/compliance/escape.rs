//! Bytes as lines of text, and back.
//!
//! A line stands for itself and its newline, unless it starts with a backslash. Then `\\`, `\r`, `\t` and `\xHH` in the
//! rest of it are one byte each, and `\c` at its end means that no newline follows. This form is used for lines with
//! control characters or invalid UTF-8, for lines that look like a heading, and for a last line without a newline.

use anyhow::{Context, Result, bail};

/// Returns the text form, which is empty or ends in a newline.
pub(crate) fn write(bytes: &[u8]) -> String {
    bytes.split_inclusive(|&byte| byte == b'\n').map(write_line).collect()
}

/// Returns the bytes that a text form stands for.
pub(crate) fn read(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match line.strip_prefix('\\') {
            Some(escaped) => read_line(escaped.trim_end_matches('\n'), &mut bytes).with_context(|| line.to_owned())?,
            None => bytes.extend_from_slice(line.as_bytes()),
        }
    }
    Ok(bytes)
}

fn write_line(line: &[u8]) -> String {
    let (content, whole) = match line.strip_suffix(b"\n") {
        Some(content) => (content, true),
        None => (line, false),
    };
    let heading = [&b"==="[..], b"---", b"\\"].iter().any(|mark| content.starts_with(mark));
    // Tabs are frequent in dumps and remain as they are.
    match str::from_utf8(content) {
        Ok(text) if whole && !heading && !text.chars().any(|c| c.is_control() && c != '\t') => format!("{text}\n"),
        _ => {
            let escaped: String = content.iter().map(|&byte| write_byte(byte)).collect();
            format!("\\{escaped}{}\n", if whole { "" } else { "\\c" })
        }
    }
}

fn write_byte(byte: u8) -> String {
    match byte {
        b'\\' => "\\\\".to_owned(),
        b'\r' => "\\r".to_owned(),
        b'\t' => "\\t".to_owned(),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    }
}

fn read_line(line: &str, bytes: &mut Vec<u8>) -> Result<()> {
    let mut rest = line;
    while let Some(at) = rest.find('\\') {
        let (plain, escape) = rest.split_at(at);
        bytes.extend_from_slice(plain.as_bytes());
        let mut letters = escape.chars();
        letters.next();
        rest = match letters.next() {
            Some('c') if letters.as_str().is_empty() => return Ok(()),
            Some('x') => {
                let digits = letters.as_str().get(..2).context("\\x needs two digits")?;
                bytes.push(u8::from_str_radix(digits, 16).context("\\x needs two digits")?);
                letters.as_str().get(2..).unwrap_or_default()
            }
            Some(letter) => {
                bytes.push(match letter {
                    '\\' => b'\\',
                    'r' => b'\r',
                    't' => b'\t',
                    other => bail!("unknown escape \\{other}"),
                });
                letters.as_str()
            }
            None => bail!("a lone backslash at the end"),
        };
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes.push(b'\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_lines_are_unchanged() {
        assert_eq!(write(b"one\n\ttwo `x' \n\n"), "one\n\ttwo `x' \n\n");
        assert_eq!(read("one\n\n").expect("text"), b"one\n\n");
    }

    #[test]
    fn special_lines_are_escaped() {
        assert_eq!(write(b"no newline"), "\\no newline\\c\n");
        assert_eq!(write(b"a\r\n--- b\n\xff\0\n\\"), "\\a\\r\n\\--- b\n\\\\xff\\x00\n\\\\\\\\c\n");
    }

    #[test]
    fn every_byte_round_trips() {
        let all: Vec<u8> = (0..=255).chain([b'\n', b'=', b'=', b'=', b'\n', b'\\', b'c', b'\\']).collect();
        for end in 0..=all.len() {
            let bytes = &all[..end];
            assert_eq!(read(&write(bytes)).expect("escaped"), bytes);
        }
    }

    #[test]
    fn invalid_escapes_are_errors() {
        for text in ["\\\\q\n", "\\a\\\n", "\\\\x1\n", "\\\\xzz\n"] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
