use std::io;
use std::path::PathBuf;

use ipsec_conf::racoon::{Loader, Metadata, load};
use racoon_proto::config::{LocalIdentity, PeerAddress, RemoteAddress, RemoteSide, Side};
use racoon_proto::credentials::OwnKey;
use racoon_proto::identity::{Claimed, Identity, NameAttribute};
use racoon_proto::num::{AuthAlgorithm, CertEncoding, Cipher, EspTransform, ExchangeType, Group, IdType};
use racoon_proto::select::{CertificateQuery, RemoteQuery, SainfoQuery};
use zeroize::Zeroizing;

use super::*;

struct Text<'a>(&'a str);

impl Loader for Text<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        Ok(if path == Path::new("racoon.conf") { self.0.into() } else { b"contents".to_vec() })
    }

    fn expand(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        Ok(vec![pattern.into()])
    }

    fn metadata(&self, _: &Path) -> io::Result<Metadata> {
        Ok(Metadata { regular: true, owner: 0, mode: 0o600 })
    }

    fn read_keys(&self, path: &Path) -> io::Result<(Metadata, Zeroizing<Vec<u8>>)> {
        Ok((self.metadata(path)?, self.read(path)?.into()))
    }

    fn uid(&self) -> u32 {
        0
    }
}

/// A host with one interface, and a single authority for all certificates.
struct Host;

impl Environment for Host {
    fn interface(&self, name: &str) -> Option<u32> {
        (name == "eth0").then_some(2)
    }

    fn certificate(&self, _: &Path) -> Option<CertificateFacts> {
        let name = authority();
        let der = name.to_der().unwrap();
        let ecdsa = Some(AuthMethod::ECDSA_384);
        Some(CertificateFacts { issuer: name, issuer_der: der.clone(), subject_der: der, ecdsa })
    }

    fn authorities(&self, _: &Path) -> Vec<Vec<u8>> {
        vec![authority().to_der().unwrap()]
    }
}

fn authority() -> Name {
    Name(vec![NameAttribute::text("CN", "CA").unwrap()])
}

fn sections(text: &str) -> Result<Sections, Vec<ConfigError>> {
    let load = load("racoon.conf", &Text(text));
    translate(&load.config.unwrap_or_else(|| panic!("{:#?}", load.problems)), &Host)
}

fn known(address: &str, zone: u32) -> RemoteQuery<'static> {
    RemoteQuery::address(PeerAddress { ip: address.parse().unwrap(), zone })
}

const PROPOSAL: &str = "exchange_mode main, aggressive; proposal { encryption_algorithm aes 256; hash_algorithm sha256;
    authentication_method pre_shared_key; dh_group modp2048; }";

#[test]
fn remotes() {
    let sections = sections(&format!(
        r#"remote 192.0.2.1 [501] {{ {PROPOSAL} my_identifier fqdn "me"; peers_identifier address 192.0.2.1; dpd off; }}
        remote fe80::1%eth0 {{ {PROPOSAL} my_identifier address 192.0.2.7; }}
        remote fe80::1%eth7 {{ {PROPOSAL} }}
        remote "named" {{ remote_address "gw.example"; {PROPOSAL} }}
        remote anonymous {{ {PROPOSAL} my_identifier asn1dn "C=NL, CN=me"; lifetime time 2 min; }}"#
    ))
    .unwrap();
    let of = |known: RemoteQuery<'_>| sections.remotes.get(sections.remotes.select(&known).unwrap().unwrap()).unwrap();

    let peer = of(known("192.0.2.1", 0));
    assert_eq!((peer.name.as_str(), peer.port), ("192.0.2.1", 501));
    assert_eq!(peer.exchange_modes, [ExchangeType::MAIN, ExchangeType::AGGRESSIVE]);
    assert_eq!(peer.my_identifier, LocalIdentity::Fixed(Identity::named(IdType::FQDN, *b"me")));
    assert!(peer.peers_identifiers[0].matches(Claimed::plain(&Identity::address("192.0.2.1".parse().unwrap()))));
    assert_eq!(peer.dpd, None);
    let terms = peer.proposals[0];
    assert_eq!((terms.cipher, terms.key_length, terms.group), (Cipher::AES, 256, Group::MODP2048));
    assert_eq!(terms.lifetime, 28_800);

    let neighbour = of(known("fe80::1", 2));
    assert_eq!(neighbour.name, "fe80::1%eth0");
    let address = Identity::address("192.0.2.7".parse().unwrap()).with_protocol(17, 500);
    assert_eq!(neighbour.my_identifier, LocalIdentity::Fixed(address));

    let stranger = of(known("198.51.100.1", 0));
    assert_eq!((stranger.name.as_str(), stranger.proposals[0].lifetime), ("anonymous", 120));
    let me = [("C", "NL"), ("CN", "me")].map(|(kind, text)| NameAttribute::text(kind, text).unwrap());
    let me = Name(me.into());
    assert_eq!(stranger.my_identifier, LocalIdentity::Name(me));

    let named = sections.remotes.get(sections.remotes.named("named").unwrap()).unwrap();
    assert_eq!(named.address, Some(RemoteAddress::Unresolved));
}

#[test]
fn proposals_with_unsupported_groups_are_skipped() {
    let groups = |text: &str| {
        let (_, section) = sections(text)
            .map(|sections| sections.remotes.iter().next().map(|(at, one)| (at, one.clone())))
            .unwrap()
            .unwrap();
        section.proposals.iter().map(|one| one.group).collect::<Vec<_>>()
    };
    let old = PROPOSAL.replace("exchange_mode main, aggressive;", "").replace("modp2048", "3");
    assert_eq!(groups(&format!("remote anonymous {{ {old} {PROPOSAL} }}")), [Group::MODP2048]);
    assert_eq!(groups(&format!("remote anonymous {{ exchange_mode main; {old} }}")), []);
}

/// Each implemented directive of a remote reaches the engine's section.
#[test]
fn each_directive_of_a_remote() {
    let translated = |text: &str| {
        let sections = sections(&format!("remote anonymous [501] {{ {PROPOSAL} {text} }}")).unwrap();
        let (_, section) = sections.remotes.iter().next().unwrap();
        section.clone()
    };
    let default = format!("{:#?}", translated(""));
    for (text, lines) in [
        ("", &["port: 501"][..]),
        ("exchange_mode main;", &["exchange_modes: [", "main"]),
        ("verify_identifier on;", &["verify_identifier: true"]),
        ("weak_phase1_check on;", &["weak_phase1_check: true"]),
        ("initial_contact off;", &["initial_contact: false"]),
        ("passive on;", &["passive: true"]),
        ("proposal_check obey;", &["proposal_check: Obey"]),
        ("proposal_check claim;", &["proposal_check: Claim"]),
        ("proposal_check exact;", &["proposal_check: Exact"]),
        ("support_proxy on;", &["support_proxy: true"]),
        ("generate_policy on;", &["generate_policy: Require"]),
        ("generate_policy unique;", &["generate_policy: Unique"]),
        ("generate_policy_bounds off;", &["generate_policy_bounds: false"]),
        ("dpd off;", &["dpd: None"]),
        ("dpd_delay 11;", &["delay: 11"]),
        ("dpd_retry 12;", &["retry: 12"]),
        ("dpd_maxfail 13;", &["max_fail: 13"]),
        ("dpd_mode traffic;", &["mode: Traffic"]),
        ("dpd_mode idle;", &["mode: Idle"]),
        ("rekey off;", &["rekey: Off"]),
        ("rekey force;", &["rekey: Force"]),
        ("nonce_size 32;", &["nonce_size: 32"]),
        ("ph1id 7;", &["ph1id: 7"]),
        ("lifetime time 3 min;", &["lifetime: 180"]),
    ] {
        let shown = format!("{:#?}", translated(text));
        assert!(text.is_empty() || shown != default, "{text}");
        for line in lines {
            assert!(shown.contains(line), "{text} {line}: {shown}");
        }
    }
}

/// Each implemented directive of a sainfo reaches the engine's section.
#[test]
fn each_directive_of_a_sainfo() {
    let algorithms = "encryption_algorithm aes; authentication_algorithm hmac_sha1; compression_algorithm deflate;";
    let translated = |text: &str| {
        let sections = sections(&format!("sainfo anonymous {{ {algorithms} {text} }}")).unwrap();
        let (_, section) = sections.sainfos.iter().next().unwrap();
        format!("{section:#?}")
    };
    let default = translated("");
    for (text, line) in [
        ("pfs_group x25519;", "group: Some("),
        ("remoteid 7;", "remoteid: 7"),
        ("lifetime time 3 min;", "lifetime: 180"),
        ("lifetime byte 3 MB;", "3072"),
        ("encryption_algorithm 3des;", "key_length: 0"),
        ("authentication_algorithm hmac_sha256_96;", "truncated: true"),
        ("esn on;", "esn: On"),
        ("esn require;", "esn: Require"),
        ("replay_window 128;", "replay_window: 128"),
    ] {
        let shown = translated(text);
        assert!(shown != default && shown.contains(line), "{text}: {shown}");
    }
}

#[test]
fn identities() {
    let all = r#"keyid tag "x y"; keyid "file"; user_fqdn "a@example.net"; address 2001:db8::1; asn1dn "C=NL, CN=*";
        asn1dn "~300f310d300b0603550403130447572041"; asn1dn"#;
    let list = all.split(';').map(|one| format!("peers_identifier {one};")).collect::<String>();
    let sections = sections(&format!("remote anonymous {{ {PROPOSAL} {list} }}")).unwrap();
    let (_, section) = sections.remotes.iter().next().unwrap();
    let shown = section.peers_identifiers.iter().map(ToString::to_string).collect::<Vec<_>>();
    let expected = [
        "KEY_ID x y",
        "KEY_ID contents",
        "User_FQDN a@example.net",
        "IPv6_address 2001:db8::1",
        "DER_ASN1_DN C=NL, CN=*",
        "DER_ASN1_DN CN=GW A",
        "anything",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn certificates() {
    let sections = sections(
        r#"path certificate "/c"; remote "a" { exchange_mode main; certificate_type x509 "a.pem" "a.key"; ca_type x509 "ca";
        proposal { encryption_algorithm 3des; hash_algorithm sha1; authentication_method ecdsasig; dh_group 19; } }"#,
    )
    .unwrap();
    let issuer = authority();
    let request = CertificateQuery { encoding: CertEncoding::X509_SIGNATURE, issuer: Some(&issuer) };
    let asks = RemoteQuery { certificate_request: Some(request), ..known("192.0.2.1", 0) };
    let remote = sections.remotes.get(sections.remotes.select(&asks).unwrap().unwrap()).unwrap();
    assert_eq!(remote.proposals.iter().map(|terms| terms.method).collect::<Vec<_>>(), [AuthMethod::ECDSA_384]);
    assert_eq!(remote.proposals[0].key_length, 0);
    assert_eq!(
        remote.own_key.as_deref(),
        Some(&OwnKey::X509 { certificate: "/c/a.pem".into(), key: "/c/a.key".into() })
    );
    assert_eq!(remote.trust.authorities.as_deref(), Some(Path::new("/c/ca")));
    assert!(remote.trust.verify_cert && !remote.trust.crl_required && !remote.trust.system);
    assert_eq!(remote.authorities, [issuer.to_der().unwrap()]);
}

#[test]
fn sainfos() {
    let algorithms = "encryption_algorithm aes 192, 3des; authentication_algorithm hmac_sha256_96;
        compression_algorithm deflate;";
    let sections = sections(&format!(
        r#"sainfo anonymous {{ {algorithms} }}
        sainfo address 10.1.0.0/16 any address 10.2.0.1/32[80] tcp from fqdn "gw" {{ {algorithms} remoteid 7;
            pfs_group 14; lifetime time 1 hour; lifetime byte 1500 B; }}
        sainfo address 10.1.0.1-10.1.0.9 any clientaddr {{ {algorithms} }}"#
    ))
    .unwrap();
    let local = Identity::subnet("10.1.0.0".parse().unwrap(), 16);
    let remote = Identity::address("10.2.0.1".parse().unwrap()).with_protocol(6, 443);
    let gw = Identity::named(IdType::FQDN, *b"gw");
    let claimed = Some(Claimed::plain(&gw));
    let traffic = SainfoQuery { local: &local, remote: &remote, claimed, client: None, remoteid: 7 };
    let sainfo = sections.sainfos.get(sections.sainfos.select(&traffic).unwrap()).unwrap();
    assert_eq!((sainfo.terms.lifetime, sainfo.terms.kilobytes), (3600, Some(2)));
    assert_eq!(sainfo.pfs_group(), Some(Group::MODP2048));
    let encryption = sainfo.encryption.iter().map(|one| (one.transform, one.key_length)).collect::<Vec<_>>();
    assert_eq!(encryption, [(EspTransform::AES, 192), (EspTransform::TRIPLE_DES, 0)]);
    let authentication = sainfo.authentication[0];
    assert_eq!((authentication.algorithm, authentication.truncated), (AuthAlgorithm::HMAC_SHA256, true));

    let range = Identity::range("10.1.0.1".parse().unwrap(), "10.1.0.9".parse().unwrap()).unwrap();
    let (_, clients) = sections.sainfos.iter().find(|(_, one)| one.remote == RemoteSide::ClientAddress).unwrap();
    assert_eq!(clients.local, Side::Id(range));
}

#[test]
fn unknown_name_attributes_are_reported() {
    let text = format!(r#"remote anonymous {{ {PROPOSAL} peers_identifier asn1dn "XYZ=a"; }}"#);
    let errors = match sections(&text) {
        Ok(_) => panic!("translated"),
        Err(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
    };
    assert_eq!(errors, ["racoon.conf:1:1: unknown attribute `XYZ` in a distinguished name"]);
    let text = format!(r#"remote anonymous {{ {PROPOSAL} peers_identifier asn1dn "~3001"; }}"#);
    assert_eq!(
        sections(&text).unwrap_err()[0].to_string(),
        "racoon.conf:1:1: asn1dn: what follows `~` is not the encoding of a name"
    );
}
