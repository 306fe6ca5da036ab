//! The text of a failure for the peer, which a notify carries.

use crate::reason::FailureReason;

/// Longest text in a notify, in bytes; a racoon that receives it shows up to 200.
const NOTIFY_TEXT_MAX: usize = 150;

impl FailureReason {
    /// Returns the text for the data of a notify, cut to what a peer shows.
    pub(crate) fn text_for_peer(&self) -> String {
        first_clauses(&self.to_string(), NOTIFY_TEXT_MAX).to_owned()
    }
}

/// Returns the beginning of a text, up to the end of a clause or else of a character.
fn first_clauses(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let ends = text
        .match_indices([':', ';'])
        .filter(|(at, _)| text.get(at + 1..).is_some_and(|rest| rest.starts_with(' ')))
        .map(|(at, _)| at)
        .take_while(|at| *at <= max);
    let within = (0..=max).rev().find(|at| text.is_char_boundary(*at));
    ends.last().or(within).and_then(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::first_clauses;

    #[test]
    fn text_for_the_peer_ends_with_a_clause() {
        let text = "kernel: SPI 0x1::2 expired; raise the limit";
        assert_eq!(first_clauses(text, 100), text);
        assert_eq!(first_clauses(text, text.len() - 1), "kernel: SPI 0x1::2 expired");
        assert_eq!(first_clauses(text, 20), "kernel");
        assert_eq!(first_clauses("überlang", 1), "");
        assert_eq!(first_clauses("überlang", 3), "üb");
    }
}
