use expect_test::{Expect, expect};

use super::*;

fn check(load: &Load, expected: Expect) {
    assert!(load.config.is_some(), "refused");
    expected.assert_eq(&show(load));
}

const PSK: &str = "path pre_shared_key \"/psk\";\nremote anonymous {\n  exchange_mode aggressive;\n  proposal {\n    \
    encryption_algorithm des;\n    hash_algorithm md5;\n    authentication_method pre_shared_key;\n    dh_group 2;\n  }\n}\n";

fn with_psk(text: &str, owner: u32, mode: u32) -> Load {
    load("a.conf", &Files::default().with("a.conf", PSK).with_mode("/psk", text, owner, mode))
}

#[test]
fn weak_choices_once() {
    let text = PSK.to_owned() + PSK;
    let load = load("a.conf", &Files::default().with("a.conf", text).with("/psk", "* short\nx 0x12\n"));
    check(
        &load,
        expect![[r#"
            a.conf:2:1: warning: aggressive mode with a pre-shared key is weak
              remote anonymous {
              ^
              anyone can obtain a hash and guess the key offline: use main mode or certificates
            a.conf:5:26: warning: des is weak
                  encryption_algorithm des;
                                       ^
              its 56-bit keys can be found by exhaustive search
            a.conf:6:20: warning: md5 is weak
                  hash_algorithm md5;
                                 ^
              MD5 is broken; sha256 and hmac_sha256 are not slower
            a.conf:8:14: warning: modp1024 is weak
                  dh_group 2;
                           ^
              its discrete logarithms can be computed: use at least modp2048 or ecp256
            /psk:1:1: warning: a pre-shared key of fewer than 20 characters is weak
              it can be guessed from a recorded negotiation: use at least 20 random characters
            /psk:2:1: warning: this line is never used: line 1 is found before it
            a.conf:12:1: warning: a second remote for anonymous: the first one is in a.conf:2
              remote anonymous {
              ^
              identities and proposals decide between remotes for the same peer: merge them, or give each a quoted name
        "#]],
    );
}

#[test]
fn directives_without_effect() {
    let remote = PSK.split_once('\n').unwrap().1.replace("  exchange_mode aggressive;", "  exchange_mode main; VALUES");
    let algorithms =
        "{ encryption_algorithm aes; authentication_algorithm hmac_sha1; compression_algorithm deflate; }\n";
    let said = |text: &str| {
        let load = load_text(text);
        let effects = load
            .problems
            .iter()
            .filter(|one| one.message.contains("effect") || one.message.contains("matches no policy"));
        effects.map(|one| format!("{}:{}", one.place.line, one.message)).collect::<Vec<_>>()
    };
    let of_remote = |values: &str| said(&remote.replace("VALUES", values));
    assert_eq!(of_remote("verify_identifier on;"), ["1:verify_identifier on has no effect"]);
    assert_eq!(of_remote("verify_identifier on; peers_identifier fqdn \"a\";"), [""; 0]);
    let of_sainfo = |ends: &str| said(&format!("sainfo {ends} {algorithms}")).len();
    for (ends, count) in [
        ("anonymous", 0),
        ("address 10.0.0.0-10.0.0.255 any anonymous", 0),
        ("address 10.0.0.8-10.0.0.8 any address 10.0.0.8-10.0.0.15 any", 0),
        ("address ::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff any anonymous", 0),
        ("address 0.0.0.0-255.255.255.255 any anonymous", 0),
        ("address 10.0.0.1-10.0.0.9 any anonymous", 1),
        ("address 10.0.0.4-10.0.0.11 any anonymous", 1),
        ("address 2001:db8::1-2001:db8::2 any address 10.0.0.1-10.0.0.2 any", 2),
        ("fqdn \"a\" user_fqdn \"b\"", 2),
        ("keyid \"a\" anonymous", 1),
        ("anonymous from fqdn \"a\"", 0),
    ] {
        assert_eq!(of_sainfo(ends), count, "{ends}");
    }
}

#[test]
fn key_file() {
    let good = "* twenty octets and more\n";
    let last =
        |load: &Load| show(load).lines().skip_while(|line| !line.contains("no pre-shared")).nth(3).map(str::to_owned);
    assert_eq!(last(&with_psk(good, 0, 0o640)), None);
    assert_eq!(last(&with_psk(good, 0, 0o400)), None);
    let refused = |mode| Some(format!("  /psk: mode {mode:04o} is too open: 0600 or 0640 keeps its keys secret"));
    for mode in [0o644, 0o604, 0o660, 0o602, 0o601] {
        assert_eq!(last(&with_psk(good, 0, mode)), refused(mode));
    }
    assert_eq!(last(&with_psk(good, 7, 0o600)).as_deref(), Some("  /psk: owned by user 7, not by 0"));
    assert_eq!(last(&load_text(PSK)).as_deref(), Some("  /psk: no such file"));
    let unset = PSK.split_once('\n').unwrap().1;
    assert_eq!(last(&load_text(unset)).as_deref(), Some("  `path pre_shared_key` is not set"));
    let bad = show(&with_psk("a\n* twenty octets and more\r\n", 0, 0o600));
    assert!(bad.ends_with(
        "/psk:1:1: warning: an identifier without a key\n\
         /psk:2:1: warning: the carriage return at the end is a part of the key\n"
    ));
}

#[test]
fn words_of_other_versions() {
    let text = format!(
        "policy {{ a b; c {{ d; }} }}\ntimer {{ auto_exit_delay 3600 sec; }}\n{}\nsainfo anonymous {{\n\
         encryption_algorithm aes; authentication_algorithm hmac_sha1; identifier address 10.0.0.1;\n}}",
        REMOTE.replace(
            "exchange_mode main;",
            "exchange_mode main; disconnect_on_idle idle_timeout 60; keepalive; support_mip6 on; script \"/s\" phase1_up;"
        )
    );
    check(
        &load_text(&text),
        expect![[r#"
        a.conf:1:1: warning: policy is ignored
          policy { a b; c { d; } }
          ^
          a directive of the old KAME racoon: policies are set with setkey
        a.conf:2:9: warning: auto_exit_delay is ignored
          timer { auto_exit_delay 3600 sec; }
                  ^
          a directive of Apple's racoon: racoon runs until it is stopped
        a.conf:3:40: warning: disconnect_on_idle is ignored
          remote 192.0.2.1 { exchange_mode main; disconnect_on_idle idle_timeout 60; keepalive; support_mip6 o...
                                                 ^
          a directive of Apple's racoon: lifetimes and dpd_delay end idle SAs
        a.conf:3:76: warning: keepalive is ignored
          ...ge_mode main; disconnect_on_idle idle_timeout 60; keepalive; support_mip6 on; script "/s" phase1_up;...
                                                               ^
          a directive of the old KAME racoon: dpd_delay in remote replaces it
        a.conf:3:87: warning: support_mip6 is ignored
          ...n; disconnect_on_idle idle_timeout 60; keepalive; support_mip6 on; script "/s" phase1_up; my_identif...
                                                               ^
          a directive of the old KAME racoon: support_proxy replaces it
        a.conf:3:111: warning: no such script
          ...le_timeout 60; keepalive; support_mip6 on; script "/s" phase1_up; my_identifier fqdn "a"; proposal {...
                                                               ^
          /s: no such file
        a.conf:6:63: warning: identifier is ignored
          encryption_algorithm aes; authentication_algorithm hmac_sha1; identifier address 10.0.0.1;
                                                                        ^
          a directive of the old KAME racoon: my_identifier in remote replaces it
        a.conf:7:1: warning: no compression algorithm
          }
          ^
          IPComp is not offered
    "#]],
    );
}

#[test]
fn deprecated_and_contradicting() {
    let text = REMOTE.replace(
        "my_identifier fqdn \"a\"",
        "my_identifier asn1dn \"CN=a\"; certificate_type x509 \"c\" \"k\";\n  peers_certfile \"p\"; verify_cert off",
    );
    let files = ["c", "k", "p"].iter().fold(Files::default().with("a.conf", &text), |files, name| files.with(name, ""));
    check(
        &load("a.conf", &files),
        expect![[r#"
        a.conf:1:1: warning: my_identifier has a DN in spite of a certificate
          remote 192.0.2.1 { exchange_mode main; my_identifier asn1dn "CN=a"; certificate_type x509 "c" "k";
          ^
          without a DN, racoon sends the certificate's subject; peers refuse any other name
        a.conf:1:1: warning: verify_cert off is weak
          remote 192.0.2.1 { exchange_mode main; my_identifier asn1dn "CN=a"; certificate_type x509 "c" "k";
          ^
          anyone can impersonate the peer
        a.conf:2:18: warning: peers_certfile without a type is deprecated
            peers_certfile "p"; verify_cert off; proposal { encryption_algorithm aes; hash_algorithm sha256; a...
                           ^
          write x509 before it
    "#]],
    );
    let text = format!(
        "sainfo anonymous {SAINFO}sainfo anonymous {SAINFO}sainfo address fe80::1%eth0-fe80::2/64 any anonymous {SAINFO}"
    );
    check(
        &load_text(&text.replace("hmac_sha256", "non_auth")),
        expect![[r#"
        a.conf:1:71: warning: non_auth is weak
          sainfo anonymous { encryption_algorithm aes; authentication_algorithm non_auth; compression_algorith...
                                                                                ^
          packets can be modified in transit
        a.conf:2:1: warning: this sainfo is never used
          sainfo anonymous { encryption_algorithm aes; authentication_algorithm non_auth; compression_algorith...
          ^
          the one in a.conf:1 matches everything that this one does
        a.conf:3:16: warning: the scope of the address is ignored
          sainfo address fe80::1%eth0-fe80::2/64 any anonymous { encryption_algorithm aes; authentication_algo...
                         ^
    "#]],
    );
}

#[test]
fn used_and_unimplemented_directives() {
    let text = format!("log info;\n{REMOTE}").replacen("exchange_mode", "ike_frag on; exchange_mode", 1);
    let config = config(&text);
    fn list<'a>(all: impl Iterator<Item = (&'static Directive, &'a Place)>) -> Vec<String> {
        all.map(|(directive, place)| format!("{} {place}", directive.name)).collect()
    }
    let expected = [
        "log a.conf:1:1",
        "remote a.conf:2:1",
        "ike_frag a.conf:2:20",
        "exchange_mode a.conf:2:33",
        "my_identifier a.conf:2:53",
        "proposal a.conf:2:77",
        "encryption_algorithm a.conf:2:88",
        "hash_algorithm a.conf:2:114",
        "authentication_method a.conf:2:137",
        "dh_group a.conf:2:167",
    ];
    assert_eq!(list(config.used()), expected);
    assert_eq!(list(config.not_yet_in_effect()), ["ike_frag a.conf:2:20"]);
}

/// Remotes whose peers may choose their traffic, and remotes that limit it.
#[test]
fn open_combinations() {
    let warnings = |remote: &str, sainfo: &str| {
        let text = REMOTE.replace("exchange_mode main;", &format!("exchange_mode main; {remote}"));
        let sainfo = format!(
            "sainfo {sainfo} {{\nencryption_algorithm aes; authentication_algorithm hmac_sha1; compression_algorithm deflate; }}"
        );
        let load = load_text(&format!("{text}\n{sainfo}"));
        let shown = load.problems.iter().map(ToString::to_string).filter(|one| one.contains("peers of this remote"));
        shown.map(|one| one.lines().next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let chosen = ["a.conf:1:1: warning: peers of this remote may choose any address that nobody else has"];
    let any = ["a.conf:1:1: warning: peers of this remote may claim any traffic that no other peer has"];
    assert_eq!(warnings("generate_policy on;", "anonymous"), chosen);
    assert_eq!(warnings("generate_policy unique; generate_policy_bounds off;", "anonymous"), any);
    assert_eq!(warnings("generate_policy on;", "address 10.0.0.0/8 any anonymous"), chosen);
    for (remote, sainfo) in [
        ("", "anonymous"),
        ("generate_policy off; generate_policy_bounds off;", "anonymous"),
        ("generate_policy on;", "anonymous clientaddr"),
        ("generate_policy on;", "anonymous address 10.3.0.0/16 any"),
        ("generate_policy on;", "anonymous from fqdn \"a\""),
        ("generate_policy on; ph1id 7;", "anonymous"),
    ] {
        assert!(warnings(remote, sainfo).is_empty(), "{remote} {sainfo}");
    }
}
