//! No key in an error: scripts with known keys, and one mistake.

use std::sync::LazyLock;

use super::*;

/// A key as written: digits, or any characters but quotes.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        "0x[0-9a-f]{16,64}",
        "0x[0-9A-F]{32}",
        // With what ends words, statements and lines of the language.
        "\"[!#-~]{8,40}\"",
        "\"[a-zA-Z0-9 ;#-]{8,40}\"",
        "\"[a-z]{8,16}[;#][a-z]{8,16}\"",
        "\"[a-z]{8} [a-z]{8}; ?[a-z]{8} [a-z]{8}\"",
    ]
}

/// What goes wrong.
#[derive(Clone, Debug)]
enum Mistake {
    DropWord,
    DropQuote,
    DropPrefix,
    DropEnd,
    /// A digit of a key becomes another character.
    Digit(char),
    /// As a dump shows it: in groups of eight digits.
    Groups,
    /// A line of its own, as a statement of its own or not.
    OwnLine(bool),
}

fn mistake() -> impl Strategy<Value = Mistake> {
    prop_oneof![
        3 => Just(Mistake::DropWord),
        3 => Just(Mistake::DropQuote),
        1 => Just(Mistake::DropPrefix),
        1 => Just(Mistake::DropEnd),
        1 => proptest::char::range('!', '~').prop_map(Mistake::Digit),
        1 => Just(Mistake::Groups),
        1 => any::<bool>().prop_map(Mistake::OwnLine),
    ]
}

/// Every statement that may have keys, and some without.
fn script(keys: &[String]) -> String {
    let [a, b, c, d] = keys else { unreachable!() };
    format!(
        "flush;\nspdflush;\nadd 192.0.2.1 192.0.2.2 esp 0x1001 -m tunnel -E aes-cbc {a} -A hmac-sha1 {b};\n\
         add 192.0.2.2 192.0.2.1 ah 0x1002 -A hmac-sha256 {c};\n\
         update 2001:db8::1 2001:db8::2 esp 4099\n\t-E null -A hmac-md5\n\t{d}\n;\n\
         spdadd 192.0.2.1 192.0.2.2 any -P out ipsec esp/transport//require;\n"
    )
}

/// The script with one mistake at the `at`th place where it can be made.
fn spoilt(script: &str, keys: &[String], mistake: &Mistake, at: usize) -> String {
    let replace =
        |place: usize, length: usize, text: &str| [&script[..place], text, &script[place + length..]].concat();
    let nth = |places: Vec<usize>| (!places.is_empty()).then(|| places[at % places.len()]);
    let every = |pattern: char| script.match_indices(pattern).map(|(place, _)| place).collect::<Vec<_>>();
    let key = &keys[at % keys.len()];
    let place = script.find(key.as_str()).unwrap();
    match mistake {
        Mistake::DropWord => {
            let words: Vec<&str> = script.split_whitespace().collect();
            let word = words[at % words.len()];
            let offset = word.as_ptr() as usize - script.as_ptr() as usize;
            replace(offset, word.len(), "")
        }
        Mistake::DropQuote => nth(every('"')).map_or_else(|| script.to_owned(), |place| replace(place, 1, "")),
        Mistake::DropEnd => nth(every(';')).map_or_else(|| script.to_owned(), |place| replace(place, 1, "")),
        Mistake::DropPrefix => replace(place, key.len(), key.trim_start_matches("0x")),
        Mistake::Digit(digit) => replace(place + 2 + at % (key.len() - 2), 1, &digit.to_string()),
        Mistake::Groups => {
            let digits = key.trim_start_matches("0x").trim_matches('"').as_bytes();
            let groups: Vec<_> = digits.chunks(8).map(String::from_utf8_lossy).collect();
            replace(place, key.len(), &groups.join(" "))
        }
        Mistake::OwnLine(ended) => replace(place, 0, if *ended { ";\n" } else { "\n" }),
    }
}

/// Everything that a run could print about the script: it goes on behind errors.
fn printed(splitter: Splitter, bytes: &[u8]) -> String {
    let mut splitter = splitter;
    let mut input = bytes;
    let mut text = String::new();
    let mut show = |raw: RawStatement<'_>| match raw.parse() {
        Err(error) => {
            text += &format!("{raw:?}\n");
            text += &format!("{error}\n{:?}\n{}\n", error.library_line, Diagnostic::new("x", raw, &error));
        }
        Ok(statement) => {
            text += &format!("{statement:?}\n");
            for offset in [0, statement.source.len() / 2] {
                text += &format!("{}\n", statement.error_at_end(offset, "wrong"));
            }
            for (offset, _) in tokens(raw.text).step_by(3) {
                let errors = [statement.error_at(offset, "wrong"), statement.error_after(offset, "wrong")];
                errors.iter().for_each(|error| text += &format!("{error}\n{}\n", Diagnostic::new("x", raw, error)));
            }
        }
    };
    while let Ok(Some(raw)) = splitter.split(&mut input) {
        show(raw);
    }
    splitter.finish().map(&mut show);
    text
}

/// What is printed about the script with keys that have no letters and digits.
static USUAL: LazyLock<String> = LazyLock::new(|| {
    let keys = ["\"~~~~~~~~\""; 4].map(str::to_owned);
    printed(Splitter::script(), script(&keys).as_bytes())
});

/// A piece of six characters of a key that is in the text. Blanks and punctuation alone do not count, as they stand in masked
/// text and in front of a caret; nor does what is printed about other keys, too, such as the name of a field.
fn piece<'k>(keys: &'k [String], text: &str) -> Option<&'k str> {
    let pieces = keys.iter().flat_map(|key| {
        let key = key.trim_matches('"');
        (2..key.len().saturating_sub(5)).filter_map(move |at| key.get(at..at + 6))
    });
    let is_telling = |piece: &&str| piece.contains(|c: char| c.is_ascii_alphanumeric()) && !USUAL.contains(*piece);
    pieces.into_iter().filter(is_telling).find(|piece| text.contains(*piece))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_piece_of_a_key_is_in_an_error(
        keys in proptest::collection::vec(key(), 4),
        mistake in mistake(),
        at: usize,
        interactive: bool,
    ) {
        let spoilt = spoilt(&script(&keys), &keys, &mistake, at);
        let splitter = if interactive { Splitter::interactive() } else { Splitter::script() };
        let text = printed(splitter, spoilt.as_bytes());
        prop_assert_eq!(piece(&keys, &text), None, "{}\n---\n{}", spoilt, text);
    }
}

#[test]
fn ordinary_mistakes_show_their_word() {
    for (source, word) in [
        ("spadd 192.0.2.1 192.0.2.2 any -P out none;", "spadd"),
        ("add 192.0.2.1 192.0.2.2 esq 0x1001 -E null;", "esq"),
        ("add 192.0.2.1/24 192.0.2.2 esp 0x1001 -E null;", "/"),
        ("add 192.0.2.1 esp 0x1001 -E aes-cbc \"sixteen octets!!\";", "esp"),
        ("add 192.0.2.1 192.0.2.2 esp 0x1001 aes-cbc \"sixteen octets!!\";", "aes-cbc"),
        ("add 192.0.2.1 192.0.2.2 esp 0x1001 -E aes-cbs \"sixteen octets!!\";", "aes-cbs"),
        ("add 192.0.2.1 192.0.2.2 esp 0x1001 -E aes-cbc \"sixteen octets!!\" hmac-md5 0x00;", "hmac-md5"),
        ("add 192.0.2.1 192.0.2.2 esp 0x1001 -E aes-cbc \"sixteen octets!!\"\nflush;", "flush"),
    ] {
        let error = parse(source, 1).unwrap_err();
        assert_eq!(error.token.as_deref(), Some(word), "{source}");
    }
}
