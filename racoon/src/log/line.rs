//! Formatting of a log line.

use std::fmt;
use std::net::IpAddr;
use std::panic::Location;

use super::level::Level;
use super::timestamp::Timestamp;

/// A log line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) level: Level,
    pub(super) peer: Option<IpAddr>,
    pub(super) place: Option<&'a Location<'a>>,
    pub(super) text: &'a str,
}

impl Line<'_> {
    /// Formats the line with the local time in front and a newline at the end.
    pub(super) fn dated(&self) -> String {
        format!("{}: {self}\n", Timestamp::now())
    }

    /// Returns the text with all characters escaped that could affect a terminal.
    pub(super) fn escaped(&self) -> String {
        let mut escaped = String::with_capacity(self.text.len());
        for character in self.text.chars() {
            if is_harmful(character) {
                escaped.extend(character.escape_default());
            } else {
                escaped.push(character);
            }
        }
        escaped
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.level)?;
        if let Some(place) = self.place {
            // The path of the build machine means nothing to an operator.
            let file = place.file().rsplit_once("src/").map_or(place.file(), |(_, file)| file);
            write!(formatter, "{file}:{}: ", place.line())?;
        }
        formatter.write_str(&self.escaped())?;
        match self.peer {
            Some(peer) if !names(self.text, peer) || ends_like_peer_suffix(self.text) => write!(formatter, " [{peer}]"),
            _ => Ok(()),
        }
    }
}

/// Whether a text contains an address as such, not as part of a longer one.
fn names(text: &str, address: IpAddr) -> bool {
    let address = address.to_string();
    let is_part = |character: char| character.is_ascii_hexdigit() || matches!(character, '.' | ':');
    text.match_indices(&address).any(|(start, _)| {
        let (before, rest) = text.split_at(start);
        let after = rest.strip_prefix(address.as_str()).unwrap_or_default();
        // A full stop or a colon behind the address may be punctuation.
        let mut after = after.chars();
        let continues = match after.next() {
            Some('.' | ':') => after.next().is_some_and(is_part),
            next => next.is_some_and(is_part),
        };
        !continues && !before.ends_with(is_part)
    })
}

/// Whether a text ends like one with the peer's address appended. Text that a peer sent could otherwise name another
/// address there.
fn ends_like_peer_suffix(text: &str) -> bool {
    let last = text.strip_suffix(']').and_then(|text| text.rsplit_once('['));
    last.is_some_and(|(_, address)| address.parse::<IpAddr>().is_ok())
}

/// Whether a character ends the line, controls a terminal, or changes the order of text.
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Line { level: Level::Info, peer: None, place: None, text }.to_string()
    }

    #[test]
    fn with_and_without_a_peer() {
        let line = Line { level: Level::Error, peer: Some([192, 0, 2, 1].into()), place: None, text: "no" };
        assert_eq!(line.to_string(), "ERROR: no [192.0.2.1]");
        assert_eq!(shown("yes"), "INFO: yes");
    }

    #[test]
    fn peer_is_not_repeated() {
        let shown =
            |text| Line { level: Level::Info, peer: Some([192, 0, 2, 1].into()), place: None, text }.to_string();
        for text in [
            "ISAKMP-SA established 192.0.2.9[500]-192.0.2.1[500] spi:1:2",
            "192.0.2.1 -> 192.0.2.9",
            "remote 192.0.2.1: unknown",
            "nothing from 192.0.2.1.",
        ] {
            assert_eq!(shown(text), format!("INFO: {text}"));
        }
        for text in ["192.0.2.10 is not it", "10.192.0.2.1", "192.0.2.1.7"] {
            assert_eq!(shown(text), format!("INFO: {text} [192.0.2.1]"));
        }
        let forged = "the peer says X: 192.0.2.1 [198.51.100.7]";
        assert_eq!(shown(forged), format!("INFO: {forged} [192.0.2.1]"));
        let peer = Some("2001:db8::1".parse().unwrap());
        let shown = |text| Line { level: Level::Info, peer, place: None, text }.to_string();
        assert_eq!(shown("2001:db8::1%eth0"), "INFO: 2001:db8::1%eth0");
        assert_eq!(shown("2001:db8::1:2"), "INFO: 2001:db8::1:2 [2001:db8::1]");
    }

    #[test]
    fn with_source_location() {
        let place = Location::caller();
        let line = Line { level: Level::Debug2, peer: None, place: Some(place), text: "x" };
        assert_eq!(line.to_string(), format!("DEBUG2: log/line.rs:{}: x", place.line()));
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(shown("a\nb\r\t\0"), r"INFO: a\nb\r\t\u{0}");
        assert_eq!(shown("\x1b[2J\u{9b}2J\u{7f}"), r"INFO: \u{1b}[2J\u{9b}2J\u{7f}");
        assert_eq!(shown("\u{202e}cba\u{2069}"), r"INFO: \u{202e}cba\u{2069}");
        assert_eq!(shown("Zürich → \\"), "INFO: Zürich → \\");
        let long = "\x1b".repeat(70_000);
        assert!(!shown(&long).contains('\x1b'));
    }
}
