//! Remotes without an entry in the file of pre-shared keys.

use super::*;

const PROPOSAL: &str = "proposal { encryption_algorithm aes; hash_algorithm sha256; \
                        authentication_method pre_shared_key; dh_group 14; } }";
const KEY: &str = "a key of twenty octets or more";

/// Returns message and hint of each problem.
fn said(remote: &str, keys: &str) -> Vec<String> {
    let text = format!("path pre_shared_key \"/psk\"; remote {remote} {PROPOSAL}");
    let load = load("a.conf", &Files::default().with("a.conf", &text).with("/psk", keys.replace("KEY", KEY)));
    assert!(load.config.is_some(), "{}", show(&load));
    let problems = load.problems.iter().filter(|problem| !problem.message.contains("aggressive"));
    let line = |problem: &Problem| {
        assert!(!problem.to_string().contains(KEY), "{problem}");
        let hint = problem.hint.as_deref().map_or_else(String::new, |hint| format!("; {hint}"));
        format!("{}:{}{hint}", problem.place.line, problem.message)
    };
    problems.map(line).collect()
}

#[test]
fn by_the_address_in_main_mode() {
    let remote = "192.0.2.9 { exchange_mode main;";
    let missing = |hint: &str| vec![format!("1:no line of /psk matches 192.0.2.9; {hint}")];
    for (keys, hint) in [
        ("198.51.100.1 KEY\n", "its only line is for another peer"),
        ("198.51.100.1 KEY\n198.51.100.2 KEY\n", "its 2 lines are for other peers"),
        ("192.0.2.9/32 KEY\n", "line 1 has a prefix length after the address: write the address alone"),
        ("192.0.2.9[500] KEY\n", "line 1 has a port after the address: write the address alone"),
        ("# keys\n\"192.0.2.9\" KEY\n", "line 2 has the name in quotes: write it without"),
        ("192.0.2.09 KEY\n", "line 1 has the name in another notation, and it is compared octet by octet"),
        ("%any KEY\n", "line 1 is for any peer in other programs: here that is `*`"),
    ] {
        assert_eq!(said(remote, keys), missing(hint), "{keys}");
    }
    for (keys, hint) in [
        ("192.0.2.9\n", "line 1 cannot be used: an identifier without a key"),
        ("192.0.2.9 0xno\n", "line 1 cannot be used: 0x must be followed by hex digits, two for each octet"),
    ] {
        assert_eq!(said(remote, keys), missing(hint), "told once");
    }
    for keys in ["192.0.2.9 KEY\n", "* KEY\n", "192.0.2.8 KEY\n* KEY\n"] {
        assert_eq!(said(remote, keys), [""; 0], "{keys}");
    }
    assert_eq!(said(remote, ""), ["1:no line of /psk matches this remote; it contains no key"]);
    assert_eq!(
        said(remote, "\u{feff}192.0.2.9\tKEY\n"),
        [
            "1:no line of /psk matches 192.0.2.9; line 1 begins with a byte order mark, which is a part of the name: save the \
             file without it",
        ]
    );
    assert_eq!(
        said(remote, "192.0.2.9\t\"KEY\"\n192.0.2.9\tKEY\n"),
        ["1:the quotes are a part of the key", "2:this line is never used: line 1 is found before it"]
    );
    assert_eq!(
        said("192.0.2.9 { exchange_mode main; peers_identifier fqdn \"gw\";", "gw KEY\n"),
        missing("there is one for gw, but main mode looks the key up by the peer's address alone")
    );
}

#[test]
fn by_the_identity_in_the_other_modes() {
    let remote = |more: &str| format!("192.0.2.9 {{ exchange_mode aggressive; {more}");
    let named = "peers_identifier fqdn \"gw.example\";";
    assert_eq!(said(&remote(named), "gw.example KEY\n"), [""; 0]);
    assert_eq!(said(&remote(named), "192.0.2.9 KEY\n"), [""; 0], "the address is looked for, too");
    assert_eq!(
        said(&remote(&format!("verify_identifier on; {named}")), "192.0.2.9 KEY\n"),
        ["1:no line of /psk matches gw.example; its only line is for another peer"]
    );
    assert_eq!(
        said(&remote(named), "GW.example KEY\n"),
        ["1:no line of /psk matches gw.example; line 1 differs in upper and lower case"]
    );
    // Nobody knows by what name the peer comes.
    assert_eq!(said(&remote(""), "x KEY\n"), [""; 0]);
    assert_eq!(said("anonymous { exchange_mode main;", "x KEY\n"), [""; 0]);
}

#[test]
fn many_remotes_without_a_key() {
    let remote = |n: u32| format!("remote 192.0.2.{n} {{ exchange_mode main; {PROPOSAL}\n");
    let text = (1..=30).map(remote).collect::<String>() + "path pre_shared_key \"/psk\";";
    let files = Files::default().with("a.conf", &text).with("/psk", format!("192.0.2.7 {KEY}\n"));
    let all = messages(&load("a.conf", &files));
    assert_eq!(all.len(), 21);
    assert_eq!(all[20], "a.conf:22:1: warning: 9 more remotes have no pre-shared key");
}
