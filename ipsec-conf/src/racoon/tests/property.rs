use std::fmt::Write;
use std::time::Instant;

use proptest::prelude::*;

use super::accepted::{ALL, files};
use super::*;

/// Returns words and punctuation of the language, and others.
fn token() -> impl Strategy<Value = String> {
    let words: Vec<String> = ALL
        .split([' ', '\n'])
        .map(str::to_owned)
        .chain(
            ["{", "}", ";", ",", "[", "]", "=", "\"", "#", "\n", "é", "0", "-", "/", "\\", "%", "\0"]
                .map(str::to_owned),
        )
        .collect();
    prop_oneof![8 => prop::sample::select(words), 1 => any::<String>()]
}

/// Returns `ALL` with some of its words dropped, doubled or replaced.
fn mutated() -> impl Strategy<Value = String> {
    prop::collection::vec((0..ALL.len(), token(), 0..3_usize), 1..4).prop_map(|changes| {
        let mut text = ALL.to_owned();
        for (at, token, drop) in changes {
            let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
            let end = (at..=text.len()).filter(|end| text.is_char_boundary(*end)).nth(drop).unwrap_or(text.len());
            text.replace_range(at..end, &token);
        }
        text
    })
}

/// A printed configuration reads back as the same one.
fn check(text: &str) {
    let files = files().with("a.conf", text);
    let load = load("a.conf", &files);
    assert_eq!(load.config.is_some(), load.errors == 0);
    for problem in &load.problems {
        let _ = (problem.to_string(), problem.log_line());
    }
    let Some(config) = load.config else { return };
    let printed = config.to_text(Passwords::Shown);
    let again = super::load("b.conf", &files.with("b.conf", &printed));
    assert_eq!(again.errors, 0, "{printed}\n{}", show(&again));
    assert_eq!(again.config.unwrap(), config);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn tokens_in_any_order(tokens in prop::collection::vec(token(), 0..60)) {
        check(&tokens.join(" "));
    }

    #[test]
    fn changed_configurations(text in mutated()) {
        check(&text);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let load = load("a.conf", &Files::default().with("a.conf", &bytes));
        prop_assert!(load.problems.len() <= 500);
    }
}

fn tunnels(count: u32) -> String {
    let mut text = String::new();
    for n in 0..count {
        let [_, a, b, c] = n.to_be_bytes();
        writeln!(
            text,
            "remote 10.{a}.{b}.{c} {{ exchange_mode main; my_identifier fqdn \"a\"; proposal {{ \
            encryption_algorithm aes; hash_algorithm sha256; authentication_method rsasig; dh_group 14; }} }}"
        )
        .unwrap();
        writeln!(text, "sainfo subnet 10.{a}.{b}.{c} any anonymous {SAINFO}").unwrap();
    }
    text
}

#[test]
fn time_is_linear() {
    let time = |text: &str| {
        let start = Instant::now();
        let load = load_text(text);
        assert_eq!(load.errors, 0);
        start.elapsed().as_secs_f64()
    };
    let few = tunnels(300);
    let many = tunnels(3000);
    // Were it quadratic, no attempt would do; a machine that stands still for a moment spoils one.
    let (mut small, mut large) = (f64::MAX, f64::MAX);
    let is_linear = (0..20).any(|_| {
        (small, large) = (small.min(time(&few)), large.min(time(&many)));
        large < small * 40.0
    });
    assert!(is_linear, "{small} s, {large} s for ten times as many");
}

#[test]
fn braces_do_not_exhaust_the_stack() {
    for text in ["remote x {".repeat(100_000), "{".repeat(100_000), "}".repeat(100_000), "a ".repeat(100_000)] {
        let load = load_text(&text);
        assert!(load.errors > 0 && load.problems.len() <= 500);
    }
    // One line of errors, each of which shows its line.
    let load = load_text(&"log nothing; ".repeat(20_000));
    assert_eq!(load.errors, 20_000);
    assert!(load.problems.iter().all(|problem| problem.to_string().len() < 1000));
}
