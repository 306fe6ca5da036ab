//! Search for passwords in a configuration, so that no message shows them.

use super::token::{Kind, Token, tokens};
use crate::excerpt::Secrets;
use libpfkey::spelling;

/// Directives with a password.
const DIRECTIVES: [&str; 4] = ["acct", "auth", "bind_pw", "shared_secret"];
/// Parts of words for passwords in other programs.
const PARTS: [&str; 4] = ["passw", "psk", "pre_shared_key", "secret"];
/// Words that contain such a part, but are not followed by a password.
const HARMLESS: [&str; 2] = ["path", "save_passwd"];
/// Directive whose value may contain such a part.
const METHOD: &str = "authentication_method";

/// Returns the spans of a file that are or may be passwords: what follows a word for one in its statement, strings where
/// a statement should begin, and the rest of the line after such a statement with an unmatched quote. Errs on the side
/// of hiding too much.
pub(super) fn passwords(text: &str) -> Secrets {
    let mut spans = Vec::new();
    // The first word of the statement, and whether a password follows.
    let mut first = "";
    let mut follows = false;
    // The last line with a password, now and when the statement began.
    let mut line = 0;
    let mut line_before = 0;
    let mut words = 0;
    let mut end_of_last = 0;
    for token in tokens(text) {
        let gap = text.get(end_of_last..token.offset).unwrap_or_default();
        // What looks like a comment after a password may be a part of it.
        if line != 0 && gap.contains('#') && !gap.trim_start_matches([' ', '\t']).starts_with('\n') {
            let length = gap.find('\n').unwrap_or(gap.len());
            spans.push((end_of_last, end_of_last + length));
        }
        end_of_last = token.offset + token.text.len();
        if matches!(token.kind, Kind::Semicolon | Kind::Open | Kind::Close) {
            // `pre_shared_key` as a method is followed by a semicolon, not by a key.
            if first == METHOD && token.kind == Kind::Semicolon && words == 2 {
                line = line_before;
            }
            (first, follows) = ("", false);
            continue;
        }
        let begins = first.is_empty();
        // A line that belongs in the file of pre-shared keys, or in ipsec.secrets: a key follows the address.
        let is_peer = begins && token.text.parse::<std::net::IpAddr>().is_ok();
        if begins {
            (first, words, line_before) = (token.text, 0, line);
        }
        words += 1;
        let on_line = line == token.line && !is_directive(token.text);
        let misplaced = begins && matches!(token.kind, Kind::String | Kind::Unclosed);
        if (follows || on_line || misplaced) && token.kind != Kind::End {
            // The quote of a string is shown.
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

/// Whether a password follows a word. The first word of a statement may be misspelt.
fn is_word_for_password(token: Token<'_>, first: bool) -> bool {
    let word = token.text;
    let lower = word.to_ascii_lowercase();
    let misspelt = || word.len() > 3 && spelling::guess(word, DIRECTIVES).is_some();
    token.kind == Kind::Word
        && (PARTS.iter().any(|part| lower.contains(part)) || is_directive(word) || (first && misspelt()))
}
