//! Errors never contain keys, whatever is wrong with a script.

use crate::program::{Scratch, fed, setkey};

const HEX: &str = "0x5e8a31c0d97b4f2266aa10fe83bb7c49";
const QUOTED: &str = "\"a phrase; of #29 octets, two\"";

/// Scripts with one error each.
fn mistakes() -> Vec<String> {
    let add = "add 192.0.2.1 192.0.2.2";
    let digits = &HEX[2..];
    let groups = format!("{} {} {} {}", &digits[..8], &digits[8..16], &digits[16..24], &digits[24..]);
    let open = &QUOTED[..QUOTED.len() - 1];
    vec![
        format!("{add} esp 0x1001 -E aes-cbc {HEX} hmac-sha1 {QUOTED};"),
        format!("{add} esp 0x1001 aes-cbc {HEX};"),
        format!("{add} esp 0x1001 -E {HEX};"),
        format!("{add} esp 0x1001 -E {QUOTED} -A hmac-sha1 {HEX};"),
        format!("{add} esp 0x1001 {HEX};"),
        format!("{add} esp 0x1001 -E aes-cbc {digits};"),
        format!("{add} esp 0x1001 -E aes-cbc {HEX}g;"),
        format!("{add} esp 0x1001 -E aes-cbc {HEX} {HEX};"),
        format!("{add} esp 0x1001 -E aes-cbc {groups};"),
        format!("{add} esp 0x1001 -E aes-cbc 0x{groups};"),
        format!("{add} esp 0x1001 -E null {HEX};"),
        format!("{add} esp 0x1001 -E des-32iv {HEX};"),
        format!("{add} esp 0x1001 -E des-cbc {HEX} -A hmac-sha1 {QUOTED};"),
        format!("{add} esp 0x1001 -E aes-cbc\n{HEX};\n{QUOTED};"),
        format!("{add} esp 0x1001 -E aes-cbc ;\n{HEX};"),
        format!("{add} esp 0x1001 -E aes-cbc {};\nflush;", &QUOTED[1..]),
        format!("{add} ah 0x1001 -A hmac-sha1 {open};\n{add} ah 0x1002 -A hmac-sha1 {QUOTED};"),
        format!("{add} ah 0x1001 -A hmac-sha1 {QUOTED}{QUOTED};"),
        format!("{add} ipcomp 0x1001 -C {HEX};"),
        format!("{add} ipcomp 0x1001 -C deflate {QUOTED};"),
        format!("spdadd 192.0.2.1 192.0.2.2 any -P out none\n{add} esp 0x1001 -E aes-cbc {HEX};"),
        format!("spdadd 192.0.2.1 192.0.2.2 any -P out none\n{add} esp 0x1001 -E aes-cbc {QUOTED};"),
        format!("spdadd {QUOTED} 192.0.2.2 any -P out none;"),
    ]
}

#[test]
fn no_mode_prints_a_key() {
    for text in mistakes() {
        let file = Scratch::file(&text);
        let memory = ["--backend", "memory", "--dialect", "linux"];
        for mode in [&["-e", "-f", file.as_str()][..], &["-v", "-n", "-f", file.as_str()], &["-c"]] {
            let ended = fed(&[&memory[..], mode].concat(), text.as_bytes());
            let said = ended.stdout + &ended.stderr;
            assert!(!said.is_empty(), "{mode:?}: {text}");
            assert_no_key(&said, &text);
        }
        let checked = setkey(&["--dialect", "linux", "--check", file.as_str()]);
        assert_eq!(checked.code, Some(1), "{text}");
        assert_no_key(&checked.stderr, &text);
    }
}

fn assert_no_key(said: &str, text: &str) {
    for key in [HEX, QUOTED] {
        let key = key.trim_matches('"');
        for at in 2..key.len() - 5 {
            assert!(!said.contains(&key[at..at + 6]), "{text}\n{said}");
        }
    }
}

#[test]
fn key_is_mentioned_but_not_shown() {
    let ended = fed(
        &["--backend", "memory", "--dialect", "linux", "-f", "-"],
        format!("add 192.0.2.1 192.0.2.2 ah 0x1001 -A hmac-md5 {};", &HEX[2..]).as_bytes(),
    );
    assert_eq!(ended.all(), (Some(1), "", "setkey: -,1: syntax error at the key\nsetkey: -,1: parse failed\n"));
}
