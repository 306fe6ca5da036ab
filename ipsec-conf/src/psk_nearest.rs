//! Finds the line of a file of pre-shared keys that comes nearest to a peer without a key.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use crate::psk::{LineProblem, LineProblemKind, LostLine, PreSharedKeys, PskEntry, is_of_ipsec_secrets};

/// Maximum number of lines examined, which bounds the work that a peer can cause.
const LINES_MAX: usize = 1000;

/// A word that means any peer in other programs.
const ANY: [&str; 10] = ["%any", "%any4", "%any6", "any", "anonymous", "default", "0.0.0.0", "0.0.0.0/0", "::", "::/0"];

/// The line nearest to a peer, and why it does not match. It reveals nothing of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nearest {
    /// From 1.
    pub line: u32,
    /// Why it does not match the peer.
    pub why: Mismatch,
}

/// Why a line does not match a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// A byte order mark is before the name.
    ByteOrderMark,
    /// A character that cannot be seen, or a special blank, is in the name.
    Invisible,
    /// The name is in quotes.
    Quoted,
    /// A prefix length is after the address.
    Prefix,
    /// A network, and not one address.
    Network,
    /// A port is after the address.
    Port,
    /// An interface is after the address.
    Scope,
    /// The name or address is written in another way.
    Notation,
    /// Upper and lower case differ.
    Case,
    /// A punctuation mark, and no blank, is behind the name.
    Punctuation,
    /// `@` is before the name.
    At,
    /// A word that means any peer in other programs.
    Any,
    /// A line of ipsec.secrets.
    IpsecSecrets,
    /// The line cannot be used.
    Unusable(LineProblem),
}

impl PreSharedKeys {
    /// Returns the line nearest to `wanted`, which no line matches; `None` if all are for others. Only the first lines of a
    /// large file are examined.
    pub fn nearest(&self, wanted: &[u8]) -> Option<Nearest> {
        let wanted = std::str::from_utf8(wanted).ok()?;
        let named = |entry: &PskEntry| Some(Nearest { line: entry.line, why: mismatch(&entry.identifier, wanted)? });
        let lost = || self.lost.iter().take(LINES_MAX);
        let entries = || self.entries.iter().take(LINES_MAX);
        let unusable = |problem: LineProblem| Nearest { line: problem.line, why: Mismatch::Unusable(problem) };
        // If a line has no plain blank, its key follows the character in the blank's place.
        let near = |line: &LostLine| {
            let why = mismatch(&line.text, wanted).filter(|_| line.problem.kind == LineProblemKind::NoKey);
            Nearest { why: why.unwrap_or(Mismatch::Unusable(line.problem)), ..unusable(line.problem) }
        };
        let begins = |text: &[u8]| text.starts_with(wanted.as_bytes());
        let of_secrets = |entry: &&PskEntry| is_of_ipsec_secrets(&entry.identifier, &entry.key);
        let in_secrets = |entry: &PskEntry| Nearest { line: entry.line, why: Mismatch::IpsecSecrets };
        // From certain to vague: a line for this peer, an unusable one for it, one of ipsec.secrets, a word for any peer, and any
        // unusable one.
        entries()
            .find_map(named)
            .filter(|nearest| nearest.why != Mismatch::Any)
            .or_else(|| lost().find(|line| begins(&line.text)).map(near))
            .or_else(|| entries().find(of_secrets).map(in_secrets))
            .or_else(|| entries().find_map(named))
            .or_else(|| lost().next().map(|line| unusable(line.problem)))
    }

    /// Returns the number of keys, including those that no look-up finds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Returns why an identifier does not match `wanted`; `None` if it is unrelated.
fn mismatch(identifier: &[u8], wanted: &str) -> Option<Mismatch> {
    let text = std::str::from_utf8(identifier).ok().filter(|text| *text != wanted)?;
    let mut name = text;
    while let Some(rest) = name.strip_prefix('\u{feff}') {
        if rest == wanted {
            return Some(Mismatch::ByteOrderMark);
        }
        name = rest;
    }
    let why = without_mark(name, wanted)?;
    Some(if name.len() < text.len() { Mismatch::ByteOrderMark } else { why })
}

/// Returns why an identifier that does not begin with a byte order mark does not match `wanted`.
fn without_mark(text: &str, wanted: &str) -> Option<Mismatch> {
    let is_strange = |c: char| !c.is_ascii() && (c.is_whitespace() || c.is_control() || is_invisible(c));
    if text.contains(is_strange) {
        let is_name = text.split(is_strange).any(|part| part == wanted) || text.replace(is_strange, "") == wanted;
        return is_name.then_some(Mismatch::Invisible);
    }
    if ANY.contains(&text.to_ascii_lowercase().as_str()) {
        return Some(Mismatch::Any);
    }
    let quotes = ['"', '\'', '`', '<', '>', '\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}'];
    if text.trim_matches(quotes) == wanted {
        return Some(Mismatch::Quoted);
    }
    if text.strip_prefix('@') == Some(wanted) {
        return Some(Mismatch::At);
    }
    match wanted.parse() {
        Ok(address) => of_address(text, wanted, address),
        Err(_) => of_name(text, wanted),
    }
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

fn of_name(text: &str, wanted: &str) -> Option<Mismatch> {
    if text.eq_ignore_ascii_case(wanted) {
        return Some(Mismatch::Case);
    }
    if text.trim_end_matches('.').eq_ignore_ascii_case(wanted.trim_end_matches('.')) {
        return Some(Mismatch::Notation);
    }
    punctuation(text, wanted)
}

/// Whether a punctuation mark stands in place of a blank.
fn punctuation(text: &str, wanted: &str) -> Option<Mismatch> {
    text.strip_prefix(wanted)?.starts_with([':', '=', ',', ';', '|']).then_some(Mismatch::Punctuation)
}

fn of_address(text: &str, wanted: &str, address: IpAddr) -> Option<Mismatch> {
    let is_it = |text: &str| lenient(text) == Some(address);
    if is_it(text) {
        return Some(Mismatch::Notation);
    }
    if let Some((network, length)) = text.split_once('/') {
        let mismatch = if is_it(network) { Mismatch::Prefix } else { Mismatch::Network };
        return contains(lenient(network)?, length, address).then_some(mismatch);
    }
    if let Some((first, last)) = text.split_once('-') {
        return (lenient(first)? <= address && address <= lenient(last)?).then_some(Mismatch::Network);
    }
    if text.split_once('%').is_some_and(|(ip, _)| is_it(ip)) {
        return Some(Mismatch::Scope);
    }
    let before_port = text.strip_suffix(']').and_then(|text| text.rsplit_once('[')).or_else(|| text.rsplit_once(':'));
    if before_port.is_some_and(|(ip, port)| is_it(ip) && port.parse::<u16>().is_ok()) {
        return Some(Mismatch::Port);
    }
    punctuation(text, wanted)
}

/// Parses an address in any notation: in brackets, with leading zeros, or as an IPv4-mapped IPv6 address.
fn lenient(text: &str) -> Option<IpAddr> {
    let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    // The standard library refuses leading zeros, because some programs read such numbers as octal.
    let numbers = text.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u8>>>()?;
    <[u8; 4]>::try_from(numbers).ok().map(|numbers| Ipv4Addr::from(numbers).into())
}

/// Whether an address is in a network, given with a prefix length or a mask. (The line is wrong anyway: `ipnet` would refuse
/// the lengths that it may have.)
fn contains(network: IpAddr, length: &str, address: IpAddr) -> bool {
    let mask = length.parse::<Ipv4Addr>().ok().map(|mask| mask.to_bits().leading_ones());
    let Some(length) = mask.or_else(|| length.parse().ok()) else { return network == address };
    match (network, address) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            let differing = one.to_bits() ^ other.to_bits();
            differing.leading_zeros() >= length.min(32)
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            let differing = one.to_bits() ^ other.to_bits();
            differing.leading_zeros() >= length.min(128)
        }
        _ => false,
    }
}

impl fmt::Display for Nearest {
    /// The mismatch as a clause about the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} {}", self.line, self.why)
    }
}

impl fmt::Display for Mismatch {
    /// The predicate of a clause about the line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ByteOrderMark => {
                "begins with a byte order mark, which is a part of the name: save the file without it"
            }
            Self::Invisible => {
                "has a special or invisible character in the name: write the name again, and a plain blank"
            }
            Self::Quoted => "has the name in quotes: write it without",
            Self::Prefix => "has a prefix length after the address: write the address alone",
            Self::Network => "is for a network: write one line for each address, or `*`",
            Self::Port => "has a port after the address: write the address alone",
            Self::Scope => "has an interface after the address: write the address alone",
            Self::Notation => "has the name in another notation, and it is compared octet by octet",
            Self::Case => "differs in upper and lower case",
            Self::Punctuation => "has a punctuation mark behind the name: write a blank",
            Self::At => "has an `@` before the name: write it without",
            Self::Any => "is for any peer in other programs: here that is `*`",
            Self::IpsecSecrets => "is in the form of ipsec.secrets: write a name, blanks, and the key without quotes",
            Self::Unusable(problem) => return write!(f, "cannot be used: {problem}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_file_and_name(file in "[0-9a:./%@\\[\\]\" \t\n\u{a0}\u{feff}-]{0,80}", name in "[0-9a:.]{0,20}") {
            let (keys, _) = PreSharedKeys::parse(file.as_bytes());
            if let Some(nearest) = keys.nearest(name.as_bytes()) {
                let begins = format!("line {} ", nearest.line);
                prop_assert!(nearest.to_string().starts_with(&begins));
            }
        }
    }

    fn nearest(file: &str, wanted: &str) -> Option<(u32, Mismatch)> {
        let (keys, _) = PreSharedKeys::parse(file.as_bytes());
        assert_eq!(keys.find(wanted.as_bytes()), None, "{file:?}");
        keys.nearest(wanted.as_bytes()).map(|nearest| (nearest.line, nearest.why))
    }

    #[test]
    fn lines_that_come_near() {
        use Mismatch::*;
        for (identifier, wanted, expected) in [
            ("\u{feff}192.0.2.9", "192.0.2.9", ByteOrderMark),
            ("\u{feff}\u{feff}\"192.0.2.9\"", "192.0.2.9", ByteOrderMark),
            ("192.0.2.9\u{a0}x", "192.0.2.9", Invisible),
            ("192.0.2.9\u{200b}", "192.0.2.9", Invisible),
            ("\"192.0.2.9\"", "192.0.2.9", Quoted),
            ("192.0.2.9/32", "192.0.2.9", Prefix),
            ("192.0.2.0/24", "192.0.2.9", Network),
            ("192.0.2.0/255.255.255.0", "192.0.2.9", Network),
            ("192.0.2.1-192.0.2.20", "192.0.2.9", Network),
            ("2001:db8::/32", "2001:db8::9", Network),
            ("192.0.2.9[500]", "192.0.2.9", Port),
            ("192.0.2.9:500", "192.0.2.9", Port),
            ("[2001:db8::9]:500", "2001:db8::9", Port),
            ("fe80::1%eth0", "fe80::1", Scope),
            ("2001:DB8::9", "2001:db8::9", Notation),
            ("2001:db8:0:0:0:0:0:9", "2001:db8::9", Notation),
            ("[2001:db8::9]", "2001:db8::9", Notation),
            ("192.0.002.009", "192.0.2.9", Notation),
            ("::ffff:192.0.2.9", "192.0.2.9", Notation),
            ("192.0.2.9:", "192.0.2.9", Punctuation),
            ("gw.example=x", "gw.example", Punctuation),
            ("GW.Example", "gw.example", Case),
            ("gw.example.", "gw.example", Notation),
            ("@gw.example", "gw.example", At),
            ("%any", "192.0.2.9", Any),
            ("0.0.0.0/0", "192.0.2.9", Any),
        ] {
            let file = format!("# keys\n198.51.100.1 other\n{identifier} key\n");
            assert_eq!(nearest(&file, wanted), Some((3, expected)), "{identifier}");
        }
    }

    /// They could exhaust the stack if each one took a call.
    #[test]
    fn many_byte_order_marks() {
        let file = format!("{}192.0.2.9 key\n", "\u{feff}".repeat(1_000_000));
        assert_eq!(nearest(&file, "192.0.2.9"), Some((1, Mismatch::ByteOrderMark)));
    }

    #[test]
    fn lines_of_others() {
        for file in ["", "198.51.100.1 key\n", "192.0.2.90 key\n", "gw key\n192.0.2.0/29 key\n"] {
            assert_eq!(nearest(file, "192.0.2.9"), None, "{file:?}");
        }
        assert_eq!(nearest("a 192.0.2.9\n", "192.0.2.9"), None, "keys are not compared");
    }

    #[test]
    fn lines_of_other_forms() {
        assert_eq!(nearest(": PSK \"secret\"\n", "192.0.2.9"), Some((1, Mismatch::IpsecSecrets)));
        assert_eq!(nearest("192.0.2.1 192.0.2.9 : PSK \"s\"\n", "192.0.2.9"), Some((1, Mismatch::IpsecSecrets)));
        let unusable = |line, kind| Some((line, Mismatch::Unusable(LineProblem { line, kind })));
        assert_eq!(nearest("x y\n192.0.2.9\n", "192.0.2.9"), unusable(2, LineProblemKind::NoKey));
        assert_eq!(nearest("x y\n192.0.2.9:secret\n", "192.0.2.9"), Some((2, Mismatch::Punctuation)));
        assert_eq!(nearest("192.0.2.9\u{a0}secret\n", "192.0.2.9"), Some((1, Mismatch::Invisible)));
        assert_eq!(nearest("192.0.2.9 0xyz\n", "192.0.2.9"), unusable(1, LineProblemKind::BadHex));
    }

    #[test]
    fn keys_are_not_shown() {
        for file in ["192.0.2.9:hidden\n", "192.0.2.9=hidden x\n", "192.0.2.9\u{a0}hidden x\n", ": PSK \"hidden\"\n"] {
            let (keys, problems) = PreSharedKeys::parse(file.as_bytes());
            let all = format!("{} {problems:?}", keys.nearest(b"192.0.2.9").unwrap());
            assert!(!all.contains("hidden"), "{all}");
        }
    }
}
