//! The text of a line.

use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::panic::Location;

use super::level::Level;
use super::stamp::Stamp;

/// A line before it is text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) level: Level,
    pub(super) peer: Option<IpAddr>,
    pub(super) place: Option<&'a Location<'a>>,
    pub(super) text: &'a str,
}

impl Line<'_> {
    /// With the local time in front and a newline at the end.
    pub(super) fn dated(&self) -> String {
        format!("{}: {self}\n", Stamp::now())
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(peer) = self.peer {
            write!(formatter, "[{peer}] ")?;
        }
        write!(formatter, "{}: ", self.level)?;
        if let Some(place) = self.place {
            let file = place.file().rsplit_once("src/").map_or(place.file(), |(_, file)| file);
            write!(formatter, "{file}:{}: ", place.line())?;
        }
        self.text.chars().try_for_each(|character| match character {
            _ if is_harmful(character) => write!(formatter, "{}", character.escape_default()),
            _ => formatter.write_char(character),
        })
    }
}

/// What ends a line, commands a terminal, or shows text in another order than it stands.
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
        assert_eq!(line.to_string(), "[192.0.2.1] ERROR: no");
        assert_eq!(shown("yes"), "INFO: yes");
    }

    #[test]
    fn with_its_place_in_the_program() {
        let place = Location::caller();
        let line = Line { level: Level::Debug2, peer: None, place: Some(place), text: "x" };
        assert_eq!(line.to_string(), format!("DEBUG2: log/line.rs:{}: x", place.line()));
    }

    #[test]
    fn what_a_peer_sent_stays_on_its_line() {
        assert_eq!(shown("a\nb\r\t\0"), r"INFO: a\nb\r\t\u{0}");
        assert_eq!(shown("\x1b[2J\u{9b}2J\u{7f}"), r"INFO: \u{1b}[2J\u{9b}2J\u{7f}");
        assert_eq!(shown("\u{202e}cba\u{2069}"), r"INFO: \u{202e}cba\u{2069}");
        assert_eq!(shown("Zürich → \\"), "INFO: Zürich → \\");
        let long = "\x1b".repeat(70_000);
        assert!(!shown(&long).contains('\x1b'));
    }
}
