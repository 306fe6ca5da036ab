//! RSA keys without certificates, in the file format of racoon.conf(5), from keys of `openssl`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::lab::{Program, write_secret};

/// Numbers of a private key: the name in racoon's format, and that in the output of openssl.
const NUMBERS: [(&str, &str); 8] = [
    ("Modulus", "modulus"),
    ("PublicExponent", "publicExponent"),
    ("PrivateExponent", "privateExponent"),
    ("Prime1", "prime1"),
    ("Prime2", "prime2"),
    ("Exponent1", "exponent1"),
    ("Exponent2", "exponent2"),
    ("Coefficient", "coefficient"),
];

/// Writes a key in PEM to two files, as a private and as a public key.
pub(super) fn write(key: &Path, [private, public]: &[PathBuf; 2]) -> Result<()> {
    let done = Program::new("openssl", &["pkey", "-in", &key.to_string_lossy(), "-noout", "-text"]).run()?;
    ensure!(done.success(), "openssl pkey: {}", done.text());
    let text = done.text();
    let lines: Result<Vec<String>> =
        NUMBERS.iter().map(|(ours, theirs)| Ok(format!("    {ours}: 0x{}\n", number(&text, theirs)?))).collect();
    write_secret(private, format!(": RSA {{\n{}}}\n", lines?.concat()).as_bytes())?;
    fs::write(public, format!(": PUB {}\n", public_key(&text)?))?;
    Ok(())
}

/// Returns the public key in the form of RFC 3110 and hex digits: the length of the exponent, the exponent, the modulus.
fn public_key(text: &str) -> Result<String> {
    let (exponent, modulus) = (number(text, "publicExponent")?, number(text, "modulus")?);
    Ok(format!("0x{:02x}{exponent}{modulus}", exponent.len() / 2))
}

/// Returns a number in the output of openssl as an even number of hex digits, without zeroes at the beginning.
fn number(text: &str, name: &str) -> Result<String> {
    let mut lines = text.lines().skip_while(|line| line.strip_prefix(name).is_none_or(|rest| !rest.starts_with(':')));
    let first = lines.next().with_context(|| format!("no {name}"))?;
    // Small numbers are on the same line, in both notations.
    let digits: String = match first.split_once("(0x") {
        Some((_, hex)) => hex.trim_end_matches(')').to_owned(),
        None => lines.take_while(|line| line.starts_with(' ')).flat_map(|line| line.trim().split(':')).collect(),
    };
    let digits = digits.trim_start_matches('0');
    Ok(if digits.len() % 2 == 1 { format!("0{digits}") } else { digits.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_name() {
        let text = "modulus:\n    00:9f:93:\n    0f\npublicExponent: 65537 (0x10001)\nprivateExponent:\n    05:1c\n";
        assert_eq!(number(text, "modulus").expect("a number"), "9f930f");
        assert_eq!(number(text, "privateExponent").expect("a number"), "051c");
        assert_eq!(public_key(text).expect("a key"), "0x030100019f930f");
        assert!(number(text, "prime1").is_err());
    }
}
