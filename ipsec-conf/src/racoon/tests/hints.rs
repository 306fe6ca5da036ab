//! Hints for words and characters that come from other programs, habits and editors.

use expect_test::{Expect, expect};

use super::*;

fn check(text: &str, expected: Expect) {
    let load = load_text(text);
    assert!(load.config.is_none(), "accepted");
    expected.assert_eq(&show(&load));
}

fn check_warnings(text: &str, expected: Expect) {
    let load = load_text(text);
    assert!(load.config.is_some(), "refused: {}", show(&load));
    expected.assert_eq(&show(&load));
}

/// Returns line, column and hint of each problem.
fn hints(text: &str) -> Vec<String> {
    let load = load_text(text);
    let hint = |problem: &Problem| {
        format!("{}:{} {}", problem.place.line, problem.place.column, problem.hint.as_deref().unwrap_or_default())
    };
    load.problems.iter().map(hint).collect()
}

fn in_remote(directives: &str) -> String {
    REMOTE.replace("exchange_mode main;", &format!("exchange_mode main;\n{directives}\n"))
}

fn in_proposal(directives: &str) -> String {
    REMOTE.replace("proposal {", &format!("proposal {{\n{directives}\n"))
}

fn in_sainfo(directives: &str) -> String {
    format!("sainfo anonymous {{\n{directives}\ncompression_algorithm deflate; }}")
}

#[test]
fn addresses_in_quotes() {
    let text = in_remote(
        "my_identifier address \"192.0.2.1\"; peers_identifier address \"2001:db8::1\"; remote_address \"192.0.2.9\";",
    )
    .replace("remote 192.0.2.1", "remote \"gw\"");
    let remote = config(&text.replace("my_identifier fqdn \"a\";", "")).remotes.remove(0);
    assert_eq!(remote.my_identifier, Identifier::Address(Some([192, 0, 2, 1].into())));
    assert_eq!(remote.peers_identifiers, [Identifier::Address(Some("2001:db8::1".parse().unwrap()))]);
    assert_eq!(remote.address, Some(RemoteAddress::Numeric(Address { ip: [192, 0, 2, 9].into(), scope: None })));
    let from = config(&format!("sainfo anonymous from address \"192.0.2.1\" {SAINFO}")).sainfos.remove(0);
    assert_eq!(from.from, Some(Identifier::Address(Some([192, 0, 2, 1].into()))));
    let ends = config(&format!("sainfo address \"10.0.0.1\" address \"2001:db8::1\" tcp {SAINFO}")).sainfos.remove(0);
    let host = |address: &str, prefix, protocol| SainfoId::Network {
        address: address.parse().unwrap(),
        prefix,
        port: 0,
        protocol,
    };
    assert_eq!((ends.local, ends.remote), (host("10.0.0.1", 32, 0), host("2001:db8::1", 128, 6)));
    // And names that look like addresses without.
    let remote = config(&REMOTE.replace("fqdn \"a\"", "fqdn 192.0.2.1")).remotes.remove(0);
    assert_eq!(remote.my_identifier, Identifier::Fqdn("192.0.2.1".into()));
    check(
        &in_remote("my_identifier address \"gw.example\"; peers_identifier address \"192.0.2.1/32\";"),
        expect![[r#"
            a.conf:2:23: syntax error at `"gw.example"'
              my_identifier address "gw.example"; peers_identifier address "192.0.2.1/32";
                                    ^
              expected a numeric address: host names are not looked up here
            a.conf:2:62: syntax error at `"192.0.2.1/32"'
              my_identifier address "gw.example"; peers_identifier address "192.0.2.1/32";
                                                                           ^
              `192.0.2.1/32` is not an IPv4 or IPv6 address
        "#]],
    );
}

#[test]
fn switches() {
    let text = "generate_policy no; nat_traversal no; passive yes; dpd true; rekey 0; ike_frag disable; send_cert false;\n\
                crl_policy yes; verify_cert Off; mode_cfg none; passive non; nat_traversal forced; dpd_delay off;";
    let expected: &[&str] = &[
        "2:17 expected off, require, on or unique: `no` is `off` here",
        "2:35 expected off, on or force: `no` is `off` here",
        "2:47 expected on or off: `yes` is `on` here",
        "2:56 expected on or off: `true` is `on` here",
        "2:68 expected off, on or force: `0` is `off` here",
        "2:80 expected off, on or force: `disable` is `off` here",
        "2:99 expected on or off: `false` is `off` here",
        "3:12 expected optional or require: `yes` is `require` here",
        "3:29 write `off`",
        "3:43 expected on or off: `none` is `off` here",
        "3:57 expected on or off: `non` is `off` here",
        "3:76 expected off, on or force: `forced` is `force` here",
        "3:94 expected a number; 0 is off",
    ];
    assert_eq!(hints(&in_remote(text)), expected);
    assert_eq!(hints("listen { adminsock off; }"), ["1:20 write `disabled`"]);
    assert_eq!(hints("padding { randomize no; }"), ["1:21 expected on or off: `no` is `off` here"]);
}

#[test]
fn algorithms_of_other_programs() {
    let text = "encryption_algorithm 3des-cbc; hash_algorithm hmac-sha1; authentication_method psk; dh_group group2;\n\
                encryption_algorithm aes-256; hash_algorithm sha-1; authentication_method secret; dh_group modp-1024;\n\
                encryption_algorithm aes128-sha1-modp1024; hash_algorithm aes; dh_group group 14; dh_group 24;\n\
                encryption_algorithm aes, 3des; hash sha1; authentication pre-share; group 2;";
    let expected: &[&str] = &[
        "2:22 write `3des`",
        "2:47 write `sha1`",
        "2:80 write `pre_shared_key`",
        "2:94 write `modp1024`",
        "3:22 write `aes 256`",
        "3:46 write `sha1`",
        "3:75 write `pre_shared_key`",
        "3:92 write `modp1024`",
        "4:22 each has its own directive: `encryption_algorithm aes 128; hash_algorithm sha1; dh_group modp1024;`",
        "4:59 that belongs in another directive: `encryption_algorithm aes;`",
        "4:73 write `modp2048`",
        "4:92 groups 22 to 24 are not trustworthy and not supported: use modp2048",
        "5:25 expected `;`: encryption_algorithm takes one value",
        "5:33 write `hash_algorithm`",
        "5:44 write `authentication_method`",
        "5:70 write `dh_group`",
    ];
    assert_eq!(hints(&in_proposal(text)), expected);
    let text = "encryption_algorithm aes 3des; encryption_algorithm 3des aes; encryption_algorithm aes 256 3des;\n\
                authentication_algorithm sha1; authentication_algorithm hmac_sha1 hmac_md5; pfs_group none;\n\
                encryption_algorithm aes128-sha1; encryption_algorithm aes 128, 256; authentication_algorithm none;\n\
                encryption_algorithm aes; 3des; encryption_algorithm aes256gcm16; lifetime 3600; lifetime time 8h;";
    let expected: &[&str] = &[
        "2:26 a comma is missing before it",
        "2:58 a comma is missing before it",
        "2:92 a comma is missing before it",
        "3:26 write `hmac_sha1`",
        "3:67 a comma is missing before it",
        "3:87 without a pfs_group there is no PFS: remove the line",
        "4:22 each has its own directive: `encryption_algorithm aes 128; authentication_algorithm hmac_sha1;`",
        "4:65 write the cipher's name before the length of its key, as in `aes 256`",
        "4:95 write `non_auth` for no authentication",
        "5:27 write several algorithms in one list, separated by commas",
        "5:54 write `aes_gcm 256`",
        "5:76 expected `time` or `byte`, a number and a unit, as in `lifetime time 1 hour`",
        "5:97 write `hour`",
    ];
    assert_eq!(hints(&in_sainfo(text)), expected);
}

#[test]
fn lists_without_commas() {
    let text = "mode_cfg { dns4 192.0.2.1 192.0.2.2; split_dns \"a\" \"b\"; auth_groups \"a\" \"b\"; }";
    assert_eq!(
        hints(text),
        ["1:27 a comma is missing before it", "1:52 a comma is missing before it", "1:73 a comma is missing before it"]
    );
}

#[test]
fn words_of_other_programs() {
    let text = "my_identifier 192.0.2.1; my_identifier @gw.example; my_identifier email \"a@b\"; peers_identifier \"a\";\n\
                left=192.0.2.1; rightid=\"a\"; authby=rsasig; keyexchange=ikev1; dpddelay=30; exchange_mode ikev2;\n\
                Exchange-Mode main; remote_address 192.0.2.1:500;";
    let expected: &[&str] = &[
        "2:15 write `address 192.0.2.1`",
        "2:40 write `fqdn \"gw.example\"`",
        "2:67 write `user_fqdn`",
        "2:97 expected address, fqdn, user_fqdn, keyid or asn1dn, and then the value",
        "3:1 local addresses are configured in `listen` and in setkey's policies",
        "3:17 write `peers_identifier`, and `verify_identifier on`",
        "3:30 write `authentication_method` in `proposal`",
        "3:45 racoon speaks only IKEv1: remove the line",
        "3:64 write `dpd_delay`",
        "3:91 racoon speaks IKEv1 only: main, aggressive or base",
        "4:1 write `exchange_mode`",
        "4:36 write the port in brackets: `192.0.2.1 [500]`",
    ];
    assert_eq!(hints(&in_remote(text).replace("remote 192.0.2.1", "remote \"gw\"")), expected);
    for (text, hint) in [
        (
            "conn a\n left=192.0.2.1\n",
            "1:1 this is a keyword of strongSwan's and libreswan's ipsec.conf: a conn is a `remote` and a `sainfo` here",
        ),
        (
            "connections {\n gw {\n version = 1\n }\n}\n",
            "1:1 this is a keyword of strongSwan's swanctl.conf: a connection is a `remote`, its children are `sainfo` sections",
        ),
        (
            "[General]\nListen-on= 192.0.2.1\n",
            "1:1 `[section]` is the form of isakmpd.conf: here a section is a word followed by braces",
        ),
        ("flush;", "1:1 this is a statement of setkey: put it into a file of its own for `setkey -f`"),
    ] {
        assert_eq!(hints(text), [hint], "{text}");
    }
    for (text, hint) in [
        ("10.0.0.0/8 anonymous", "write `address 10.0.0.0/8 any`"),
        ("any any", "write `anonymous`"),
        ("address 10.0.0.0/8 all anonymous", "write `any`"),
        ("address 10.0.0.0/255.0.0.0 any anonymous", "write `/8`"),
        ("address \"10.0.0.0/8\" any anonymous", "write a network without quotes: `10.0.0.0/8`"),
    ] {
        assert!(hints(&format!("sainfo {text} {SAINFO}"))[0].ends_with(hint), "{text}");
    }
    for (text, hint) in [
        ("%any", "expected a numeric address; `remote anonymous` matches any peer"),
        ("192.0.2.0/24", "expected `{`: a remote is one address, or anonymous"),
        ("192.0.2.1 [500", "the `]` after the port is missing"),
        ("192.0.2.1 500", "write the port in brackets: `[500]`"),
        ("[2001:db8::1]", "expected an address, anonymous, or a name in quotes"),
        ("192.000.002.001", "write `192.0.2.1`, without leading zeros"),
        ("X.X.X.X", "replace the placeholder with a numeric address"),
    ] {
        let all = hints(&REMOTE.replace("remote 192.0.2.1", &format!("remote {text}")));
        assert!(all[0].ends_with(hint), "{all:?}");
    }
}

#[test]
fn listening_on_any_address() {
    assert_eq!(
        hints("listen { isakmp any; }"),
        ["1:17 without `isakmp`, racoon listens on all addresses: remove the line"]
    );
}

#[test]
fn values_after_the_only_one() {
    let text = "encryption_algorithm des3; hash_algorithm sha1 sha256; dh_group 2 5; dh_group modp14;\n\
                encryption_algorithm aes256 128; authentication_method psk; encryption_algo aes;";
    assert_eq!(
        hints(&in_proposal(text)),
        [
            "2:22 write `3des`",
            "2:48 expected `;`: hash_algorithm takes one value",
            "2:67 expected `;`: dh_group takes one value",
            "2:79 write `modp2048`",
            "3:29 expected `;`: encryption_algorithm takes one value",
            "3:56 write `pre_shared_key`",
            "3:61 did you mean `encryption_algorithm`?",
        ]
    );
    let text = REMOTE.replace("proposal {", "dpd_delay 30s; proposal {");
    assert!(hints(&text)[0].ends_with("expected `;`: the number takes no unit"), "{:?}", hints(&text));
}

#[test]
fn lines_of_a_key_file() {
    for text in
        ["192.0.2.9 topsecret1", "2001:db8::9\ttopsecret1\n", "192.0.2.9 : PSK \"topsecret1\"", ": PSK \"topsecret1\""]
    {
        let said = show(&load_text(text));
        assert!(!said.contains("topsecret1"), "{said}");
        let hint = "pre-shared keys are in a file of their own, which `path pre_shared_key` names";
        assert!(said.contains(hint) || text.starts_with(':'), "{said}");
    }
}

#[test]
fn word_after_a_method_is_shown() {
    let text = in_proposal("encryption_algorithm aes; authentication_method psk; dh_grup 14;");
    let load = load_text(&text);
    assert!(show(&load).contains("syntax error at `dh_grup'"), "{}", show(&load));
    assert!(show(&load).contains("authentication_method psk; dh_grup 14;"), "{}", show(&load));
}

#[test]
fn incomplete_statements() {
    for (text, expected) in [
        ("remote", "a.conf:1:7: `remote` is incomplete"),
        ("log info;\nremote\n\n", "a.conf:2:7: `remote` is incomplete"),
        ("remote 192.0.2.9", "a.conf:1:17: a `{` is missing"),
        ("sainfo", "a.conf:1:7: `sainfo` is incomplete"),
        ("timer", "a.conf:1:6: a `{` is missing"),
        ("path", "a.conf:1:5: `path` is incomplete"),
        ("path pre_shared_key", "a.conf:1:20: `path` is incomplete"),
        ("path pre_shared_key \"/x\"", "a.conf:1:25: a `;` is missing"),
        ("log", "a.conf:1:4: `log` is incomplete"),
        ("log\nlisten { }", "a.conf:1:4: `log` is incomplete"),
        ("log info\nlisten { }", "a.conf:1:9: a `;` is missing"),
        ("listen { strict_address\n }", "a.conf:1:24: a `;` is missing"),
        ("timer {\n counter 5 # five\n intervall 10 sec;\n}", "a.conf:2:11: a `;` is missing"),
        ("path include \"/a\n/b\"\nlog info;", "a.conf:2:4: a `;` is missing"),
    ] {
        assert_eq!(messages(&load_text(text)), [expected], "{text}");
    }
    let text = REMOTE.replace("exchange_mode main;", "exchange_mode main,\n passive on;");
    assert_eq!(hints(&text), ["1:39 expected main, aggressive or base, then `;`"]);
    let text = REMOTE.replace("exchange_mode main;", "exchange_mode \"main;\n");
    assert_eq!(hints(&text), ["1:34 this quote is not closed"]);
    check(
        &REMOTE.replace("14; } }", "14; }\npassive on\nremote 192.0.2.2 { "),
        expect![[r#"
        a.conf:2:11: a `;` is missing
          passive on
                    ^
          `remote` in line 3 begins another statement
        a.conf:3:1: syntax error at `remote'
          remote 192.0.2.2 { 
          ^
          `remote 192.0.2.1 {` in line 1 is not closed by a `}`
        a.conf:3:19: syntax error at the end
          remote 192.0.2.2 { 
                            ^
          `remote 192.0.2.2 {` in line 3 is not closed by a `}`
    "#]],
    );
}

#[test]
fn characters_of_editors() {
    check(
        "remote\u{a0}anonymous {\n\u{a0}exchange_mode main; }\npath script “/s”;\npath certificate '/c';\nlog in\u{200b}fo;\n\
         sainfo address 10.0.0.0–10.0.0.255 any anonymous { }\n// no\n",
        expect![[r#"
            a.conf:1:7: a no-break space (U+00A0) in place of a blank
              remote\xa0anonymous {
                    ^
              web pages and word processors write it: replace it with a plain blank (once more in this file)
            a.conf:2:23: no proposal specified.
              \xa0exchange_mode main; }
                                      ^
              at least one `proposal { ... }` is needed
            a.conf:3:13: a typographic quote (U+201C) in place of `"`
              path script \u{201c}/s\u{201d};
                          ^
              write a string between two plain double quotes (once more in this file)
            a.conf:5:7: a zero-width character (U+200B), which is invisible
              log in\u{200b}fo;
                    ^
              web pages and word processors write it: delete it and write the word again
            a.conf:6:24: an en dash (U+2013) in place of `-`
              sainfo address 10.0.0.0\u{2013}10.0.0.255 any anonymous { }
                                     ^
              write the plain ASCII character
            a.conf:6:54: no encryption algorithm
              sainfo address 10.0.0.0\u{2013}10.0.0.255 any anonymous { }
                                                                        ^
              in this sainfo
            a.conf:6:54: no authentication algorithm
              sainfo address 10.0.0.0\u{2013}10.0.0.255 any anonymous { }
                                                                        ^
              in this sainfo
            a.conf:6:54: warning: no compression algorithm
              sainfo address 10.0.0.0\u{2013}10.0.0.255 any anonymous { }
                                                                        ^
              IPComp is not offered
            a.conf:7:1: `//` does not begin a comment
              // no
              ^
              comments begin with `#`
        "#]],
    );
    check_warnings(
        "\u{feff}log info;\n",
        expect![[r#"
        a.conf:1:1: warning: a byte order mark (U+FEFF) at the beginning of the file
          \u{feff}log info;
          ^
          racoon ignores it, but other programs refuse it: save the file as plain UTF-8
    "#]],
    );
    check_warnings(
        "log info;\rlog debug;\r",
        expect![[r#"
        a.conf:1:10: warning: a carriage return without a line feed
          log info;
                   ^
          it is treated as a line end; convert the file, for example with `tr '\r' '\n'` (once more in this file)
    "#]],
    );
    assert_eq!(messages(&load_text("log info;\r\n# a\r\nlog debug;\r\n")), [""; 0]);
    check(
        "# a\rlog loud;\r",
        expect![[r#"
        a.conf:1:4: a carriage return without a line feed
          # a
             ^
          a comment extends to the line feed, so what follows would be lost; convert the file, for example with `tr '\r' '\n'`
        a.conf:1:14: warning: a carriage return without a line feed
          log loud;
                   ^
          it is treated as a line end; convert the file, for example with `tr '\r' '\n'`
        a.conf:2:5: syntax error at `loud'
          log loud;
              ^
          expected error, warning, notify, info, debug or debug2
    "#]],
    );
    let utf16 = "log info;".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    for bytes in [utf16.clone(), [&b"\xff\xfe"[..], &utf16].concat()] {
        let load = load("a.conf", &Files::default().with("a.conf", bytes));
        assert_eq!(messages(&load), ["a.conf: the file is in UTF-16"]);
    }
    check_warnings(
        &REMOTE.replace("fqdn \"a\"", "fqdn \"a\u{200b}\""),
        expect![[r#"
        a.conf:1:61: warning: a zero-width character (U+200B) in a string
          remote 192.0.2.1 { exchange_mode main; my_identifier fqdn "a\u{200b}"; proposal { encryption_algorit...
                                                                      ^
          it is part of the value, and the peer's value probably lacks it
    "#]],
    );
    // What is in quotes of another kind is as secret as what is in plain ones.
    for text in [
        "ldapcfg { bind_pw hidden{",
        "ldapcfg { bind_pw hidden\nfoo; }",
        "bind_pw hidden",
        "bind_pw “hidden",
        "radiuscfg { auth a\" \"b\"; acct \"c\" \"{//hidden",
    ] {
        let shown = show(&load_text(text));
        assert!(!shown.contains("hidden"), "{shown}");
    }
    let shown = show(&load_text("radiuscfg { auth “host” “hidden”; auth 'h' 'hidden' x; acct \"h\" \"hidden”; }"));
    assert!(!shown.contains("hidden"), "{shown}");
}

#[test]
fn unsupported_groups() {
    let text = REMOTE.replace(
        "proposal",
        "proposal { encryption_algorithm aes; hash_algorithm sha1; authentication_method rsasig; dh_group 4; }\n proposal",
    );
    check_warnings(
        &text,
        expect![[r#"
            a.conf:1:161: warning: ec2n185 (group 4) is not supported
              ...ithm sha1; authentication_method rsasig; dh_group 4; }
                                                                   ^
              this proposal can never be agreed on: use modp2048 or ecp256
        "#]],
    );
    check_warnings(
        &REMOTE.replace("dh_group 14", "dh_group ec2n155"),
        expect![[r#"
            a.conf:1:1: warning: nothing can be negotiated with this remote
              remote 192.0.2.1 { exchange_mode main; my_identifier fqdn "a"; proposal { encryption_algorithm aes; ...
              ^
              all its proposals have EC2N groups
            a.conf:1:163: warning: ec2n155 (group 3) is not supported
              ...hm sha256; authentication_method rsasig; dh_group ec2n155; } }
                                                                   ^
              this proposal can never be agreed on: use modp2048 or ecp256
        "#]],
    );
    check_warnings(
        &in_sainfo("pfs_group 3; encryption_algorithm aes; authentication_algorithm hmac_sha1;"),
        expect![[r#"
            a.conf:2:11: warning: ec2n155 (group 3) is not supported
              pfs_group 3; encryption_algorithm aes; authentication_algorithm hmac_sha1;
                        ^
              this sainfo can never be agreed on: use modp2048 or ecp256
        "#]],
    );
    let config = load_text(&text).config.unwrap();
    assert!(config.to_text(Passwords::Shown).contains("dh_group ec2n185;"));
}

#[test]
fn remotes_for_the_same_peer() {
    let second = |one: &str, other: &str| {
        let text = [one, other].map(|name| REMOTE.replace("remote 192.0.2.1 {", name)).concat();
        let load = load_text(&text);
        assert!(load.config.is_some());
        messages(&load)
    };
    let same =
        |what: &str| vec![format!("a.conf:2:1: warning: a second remote for {what}: the first one is in a.conf:1")];
    assert_eq!(second("remote 192.0.2.1 {", "remote 192.0.2.1 {"), same("192.0.2.1"));
    assert_eq!(second("remote 2001:db8::1 {", "remote 2001:DB8:0::1 {"), same("2001:db8::1"));
    assert_eq!(second("remote 192.0.2.1 {", "remote \"a\" { remote_address 192.0.2.1;"), same("192.0.2.1"));
    assert_eq!(second("remote 192.0.2.1 [500] {", "remote 192.0.2.1 [501] {"), same("192.0.2.1"));
    assert_eq!(second("remote anonymous {", "remote anonymous {"), same("anonymous"));
    assert_eq!(second("remote 192.0.2.1 { passive on;", "remote 192.0.2.1 { passive on;"), same("192.0.2.1"));
    for (one, other) in [
        ("remote 192.0.2.1 {", "remote 192.0.2.2 {"),
        ("remote 192.0.2.1 {", "remote anonymous {"),
        ("remote fe80::1%eth0 {", "remote fe80::1%eth1 {"),
        ("remote \"a\" { remote_address 192.0.2.1;", "remote \"b\" { passive on; remote_address 192.0.2.1;"),
        ("remote \"a\" {", "remote \"b\" {"),
    ] {
        assert_eq!(second(one, other), [""; 0], "{one} {other}");
    }
    let shown = messages(&load_text(&REMOTE.replace("remote 192.0.2.1", "remote \"192.0.2.1\"")));
    assert_eq!(shown, ["a.conf:1:1: warning: this remote matches any peer"]);
}

#[test]
fn missing_interfaces() {
    let text = format!(
        "listen {{ isakmp fe80::9%eth1; isakmp fe80::9%eth0; }}\n{}{}{}",
        REMOTE.replace("192.0.2.1", "fe80::2%nosuch"),
        REMOTE.replace("192.0.2.1", "fe80::2%eth0"),
        REMOTE.replace("192.0.2.1 {", "\"a\" { remote_address fe80::3%nosuch;"),
    );
    let files = Files::default().with("a.conf", &text).with("interface eth0", "");
    let expected = [
        "a.conf:1:24: warning: there is no interface `eth1`",
        "a.conf:2:15: warning: there is no interface `nosuch`",
        "a.conf:4:36: warning: there is no interface `nosuch`",
    ];
    assert_eq!(messages(&load("a.conf", &files)), expected);
}
