//! Finds passwords in a configuration, which no problem shows.

use super::token::{Kind, Token, tokens};
use crate::excerpt::Secrets;
use libpfkey::spelling;

/// Statements with a password in them.
const DIRECTIVES: [&str; 4] = ["acct", "auth", "bind_pw", "shared_secret"];
/// Parts of words for passwords in other programs.
const PARTS: [&str; 4] = ["passw", "psk", "pre_shared_key", "secret"];
/// Words with such a part that no password follows.
const HARMLESS: [&str; 2] = ["path", "save_passwd"];
/// The directive whose value may be such a word.
const METHOD: &str = "authentication_method";

/// Returns the spans of a file that are passwords or may be: what follows the word for one in its statement, strings where
/// a statement should begin, and the rest of the line behind such a statement with an unmatched quote.
pub(super) fn passwords(text: &str) -> Secrets {
    let mut spans = Vec::new();
    // The first word of the statement, and whether a password follows.
    let mut first = "";
    let mut follows = false;
    // The last line with a password, and what it was when the statement began.
    let mut line = 0;
    let mut line_before = 0;
    let mut words = 0;
    let mut end_of_last = 0;
    for token in tokens(text) {
        let gap = text.get(end_of_last..token.offset).unwrap_or_default();
        // A comment behind a password may be a part of it.
        if line != 0 && gap.contains('#') && !gap.trim_start_matches([' ', '\t']).starts_with('\n') {
            let length = gap.find('\n').unwrap_or(gap.len());
            spans.push((end_of_last, end_of_last + length));
        }
        end_of_last = token.offset + token.text.len();
        if matches!(token.kind, Kind::Semicolon | Kind::Open | Kind::Close) {
            // The name of a method is not a password, and a semicolon behind it ends the statement.
            if first == METHOD && token.kind == Kind::Semicolon && words == 2 {
                line = line_before;
            }
            (first, follows) = ("", false);
            continue;
        }
        let begins = first.is_empty();
        // A line of the file of pre-shared keys, or of ipsec.secrets.
        let is_peer = begins && token.text.parse::<std::net::IpAddr>().is_ok();
        if begins {
            (first, words, line_before) = (token.text, 0, line);
        }
        words += 1;
        let on_line = line == token.line && !is_directive(token.text);
        let misplaced = begins && matches!(token.kind, Kind::String | Kind::Unclosed);
        if (follows || on_line || misplaced) && token.kind != Kind::End {
            // The quote of a string stays.
            let quote = usize::from(matches!(token.kind, Kind::String | Kind::Unclosed));
            spans.push((token.offset + quote, end_of_last));
            line = token.last_line();
        }
        follows |=
            on_line || misplaced || is_peer || (!HARMLESS.contains(&first) && is_word_for_password(token, begins));
        if follows {
            line = token.last_line();
        }
    }
    Secrets(spans)
}

fn is_directive(word: &str) -> bool {
    DIRECTIVES.contains(&word)
}

/// Whether what follows the word is a password; the first word of a statement may be misspelt.
fn is_word_for_password(token: Token<'_>, first: bool) -> bool {
    let word = token.text;
    let lower = word.to_ascii_lowercase();
    let misspelt = || word.len() > 3 && spelling::guess(word, DIRECTIVES).is_some();
    token.kind == Kind::Word
        && (PARTS.iter().any(|part| lower.contains(part)) || is_directive(word) || (first && misspelt()))
}
