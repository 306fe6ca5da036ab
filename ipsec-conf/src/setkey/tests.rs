//! The language as a whole: what is accepted with which meaning, and what is refused with which words.

use proptest::prelude::*;

use super::*;
use libpfkey::policy;

mod refused;
mod samples;
mod secrets;

fn command(source: &str) -> Command<'_> {
    match parse(source, 1) {
        Ok(statement) => statement.command,
        Err(error) => panic!("{source}: {error}"),
    }
}

/// The word `text` at its first place in `source`.
fn word<'s>(source: &'s str, text: &str) -> Word<'s> {
    let offset = source.find(text).unwrap();
    Word { text: &source[offset..offset + text.len()], offset }
}

fn host<'s>(source: &'s str, text: &str) -> Endpoint<'s> {
    Endpoint { host: word(source, text), port: None }
}

/// Parses all of a script; the rest, too.
fn parse_all(mut splitter: Splitter, bytes: &[u8], size: usize) -> Vec<String> {
    let mut seen = Vec::new();
    for mut piece in bytes.chunks(size) {
        while let Ok(Some(raw)) = splitter.split(&mut piece) {
            let result = raw.parse();
            match &result {
                Ok(statement) => assert_eq!(statement.line, raw.line),
                Err(error) => seen.push(Diagnostic::new("x", raw, error).to_string()),
            }
            seen.push(format!("{result:?}"));
        }
    }
    if let Some(raw) = splitter.finish() {
        let error = raw.parse().expect_err("there is no semicolon");
        seen.push(Diagnostic::new("x", raw, &error).to_string());
    }
    seen
}

fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let words = proptest::sample::select(vec![
        "add",
        "spdadd",
        "dump",
        "192.0.2.1",
        "2001:db8::1",
        "esp",
        "esp-udp",
        "256",
        "0x1f",
        "-E",
        "-A",
        "-P",
        "null",
        "\"",
        "\"key\"",
        "#",
        ";",
        "\n",
        " ",
        "\t",
        "\\\n",
        "any",
        "icmp",
        "8,0",
        "[",
        "]",
        "/",
        "-m",
        "tunnel",
        "-",
        "-natt",
        "-46n",
        "out",
        "ipsec",
        "esp/transport//use",
        "none",
        "hmac-md5",
        "aes-cbc",
        "x",
    ]);
    prop_oneof![
        6 => words.prop_map(|word| word.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..6),
    ]
}

proptest! {
    #[test]
    fn hostile_scripts(
        fragments in proptest::collection::vec((fragment(), any::<bool>()), 0..60),
        size in 1usize..7,
        interactive: bool,
    ) {
        let bytes: Vec<u8> = fragments
            .into_iter()
            .flat_map(|(mut fragment, blank)| {
                if blank {
                    fragment.push(b' ');
                }
                fragment
            })
            .collect();
        let new = || if interactive { Splitter::interactive() } else { Splitter::script() };
        prop_assert_eq!(parse_all(new(), &bytes, size), parse_all(new(), &bytes, bytes.len().max(1)));
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "\\PC*") {
        if let Err(error) = parse(&text, 1) {
            prop_assert!(error.offset <= text.len());
        }
    }
}

#[test]
fn names_of_algorithms_are_all_in_the_grammar() {
    for word in EncryptionWord::all() {
        let name = word.name;
        let key = if matches!(name, "null" | "simple") { "" } else { "0x00" };
        let protocol = if name == "des-32iv" { "esp-old" } else { "esp" };
        let source = format!("add a b {protocol} 256 -E {name} {key};");
        let Command::Add(sa) = command(&source) else { panic!("{source}") };
        assert_eq!(sa.algorithms.encryption.map(|keyed| keyed.algorithm), Some(word), "{source}");
    }
    for word in AuthenticationWord::all() {
        let name = word.name;
        let key = if name == "null" { "" } else { "0x00" };
        let source = format!("add a b ah 256 -A {name} {key};");
        let Command::Add(sa) = command(&source) else { panic!("{source}") };
        assert_eq!(sa.algorithms.authentication.map(|keyed| keyed.algorithm), Some(word), "{source}");
    }
    for word in CompressionWord::all() {
        let source = format!("add a b ipcomp 256 -C {};", word.name);
        let Command::Add(sa) = command(&source) else { panic!("{source}") };
        assert_eq!(sa.algorithms.compression, Some(word), "{source}");
    }
}

#[test]
fn keys() {
    let key = |source: &str| match command(source) {
        Command::Add(sa) => sa.algorithms.authentication.unwrap().key.unwrap().bytes().to_vec(),
        other => panic!("{other:?}"),
    };
    assert_eq!(key("add a b ah 256 -A hmac-md5 \"a;#\n\\b\";"), b"a;#\n\\b");
    assert_eq!(key("add a b ah 256 -A hmac-md5 \"\u{ff}\";"), [0xff]);
    assert_eq!(key("add a b ah 256 -A hmac-md5 \"\";"), b"");
    assert_eq!(key("add a b ah 256 -A hmac-md5 0xabc;"), [0x0a, 0xbc]);
    assert_eq!(key("add a b ah 256 -A hmac-md5 0XAbCd;"), [0xab, 0xcd]);
    assert_eq!(narrow("\u{ff}a"), [0xff, b'a']);
}

#[test]
fn errors_found_later() {
    let statement = parse("\nadd nosuch.example 192.0.2.1\n esp 256 -E null;", 3).unwrap();
    let Command::Add(sa) = &statement.command else { panic!() };
    let error = statement.error_after(sa.source.host.offset, "Name or service not known");
    assert_eq!((error.to_string().as_str(), error.line), ("Name or service not known at `192.0.2.1'", 4));
    assert_eq!(error.offset, sa.source.host.offset);
    let error = statement.error_after(sa.destination.host.offset, "Name or service not known");
    assert_eq!((error.to_string().as_str(), error.line), ("Name or service not known at `esp'", 5));
    let error = statement.error_at(sa.algorithms.encryption.as_ref().unwrap().name.offset, "Not supported");
    assert_eq!(error.to_string(), "Not supported at `null'");

    let statement = parse("delete one.example 192.0.2.1 esp 256\n;", 1).unwrap();
    let error = statement.error_at_end(7, "multiple address specified");
    assert_eq!((error.to_string().as_str(), error.line), ("multiple address specified at `;'", 2));

    let statement = parse("spdadd one.example 192.0.2.1 any -P out none;", 1).unwrap();
    let error = statement.error_at_end(7, "multiple address specified");
    assert_eq!(error.to_string(), "multiple address specified at ` out none;'");
    assert!(!error.is_fatal());
    assert_eq!(statement.error_at(44, "x").token.as_deref(), Some(";"));
    assert_eq!(statement.error_at(4000, "x").token.as_deref(), Some(""));

    let statement = parse("add a b ah 256 -A hmac-md5 \"key\";", 1).unwrap();
    assert_eq!(statement.error_at(27, "Invalid key length").token, None);
}
