use super::*;

const PARENT: &str = "remote \"parent\" { remote_address 192.0.2.1 [501]; exchange_mode main, base; my_identifier fqdn \"a\";
    peers_identifier fqdn \"b\"; peers_identifier fqdn \"c\"; lifetime time 1 hour; dpd_delay 10;
    proposal { encryption_algorithm aes; hash_algorithm sha1; authentication_method rsasig; dh_group 14; }
    proposal { encryption_algorithm aes; hash_algorithm sha256; authentication_method rsasig; dh_group 14; lifetime time 1 min; } }
";

fn child(text: &str) -> Remote {
    // A copy has its parent's address, of which it is warned.
    load_text(&format!("{PARENT}{text}")).config.unwrap().remotes.remove(1)
}

#[test]
fn pure_copy() {
    let parent = config(PARENT).remotes.remove(0);
    let child = child("remote \"child\" inherit \"parent\";");
    assert_eq!(child.name, RemoteName::Quoted("child".into()));
    assert_eq!(child.place.line, 5);
    assert_eq!(Remote { name: parent.name.clone(), ..child }, parent);
}

#[test]
fn lists_replace_inherited_lists() {
    let child = child(
        "remote \"child\" inherit \"parent\" { remote_address 192.0.2.2; peers_identifier fqdn \"d\"; exchange_mode base;
         proposal { encryption_algorithm 3des; hash_algorithm sha1; authentication_method rsasig; dh_group 15; } }",
    );
    assert_eq!(child.address, Some(RemoteAddress::Numeric(Address { ip: [192, 0, 2, 2].into(), scope: None })));
    assert_eq!(child.port, None);
    assert_eq!(child.peers_identifiers, [Identifier::Fqdn("d".into())]);
    assert_eq!(child.exchange_modes, [ExchangeMode::Base]);
    assert_eq!(child.proposals.len(), 1);
    assert_eq!(child.proposals[0].lifetime.as_secs(), 3600);
    assert_eq!(child.dpd_delay.unwrap().as_secs(), 10);
}

#[test]
fn lifetime_applies_to_inherited_proposals() {
    let child = child("remote \"child\" inherit \"parent\" { lifetime time 2 hour; }");
    let lifetimes: Vec<u64> = child.proposals.iter().map(|proposal| proposal.lifetime.as_secs()).collect();
    assert_eq!(lifetimes, [7200, 60]);
}

#[test]
fn chains_addresses_and_anonymous() {
    let anonymous = REMOTE.replace("192.0.2.1", "anonymous");
    let config = config(&format!(
        "{anonymous}remote 192.0.2.2 inherit anonymous {{ passive on; }}\nremote 2001:db8::1 [5000] inherit 192.0.2.2;\n\
         remote anonymous [501] inherit 2001:db8::1;\nremote 192.0.2.2 [7] inherit 2001:db8::1 [5000] {{ passive off; }}"
    ));
    let all: Vec<_> = config.remotes.iter().map(|one| (one.name.to_string(), one.port, one.passive)).collect();
    let expected = [
        ("anonymous", None, false),
        ("192.0.2.2", None, true),
        ("2001:db8::1 [5000]", Some(5000), true),
        ("anonymous [501]", Some(501), true),
        ("192.0.2.2 [7]", Some(7), false),
    ];
    assert_eq!(all, expected.map(|(name, port, passive)| (name.to_owned(), port, passive)));
    assert_eq!(config.remotes[3].address, None);
}

#[test]
fn refused() {
    let check = |text: &str, message: &str| {
        let load = load_text(&format!("{PARENT}{text}"));
        assert_eq!(messages(&load), [format!("a.conf:5:{message}")], "{text}");
    };
    check("remote \"child\" inherit \"nobody\";", "24: no remote configuration to inherit from");
    check("remote 192.0.2.9 inherit 192.0.2.8 { passive on; }", "26: no remote configuration to inherit from");
    check("remote 192.0.2.9 inherit \"parent\" { passive on; }", "26: syntax error at `\"parent\"'");
    check("remote \"parent\" inherit \"parent\";", "8: duplicated remote");
    check(
        "remote \"child\" inherit \"parent\" { remote_address 192.0.2.2; remote_address 192.0.2.3; }",
        "61: remote_address is already defined",
    );
    check("remote \"child\";", "15: syntax error at `;'");
}
