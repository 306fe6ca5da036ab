use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::config::{OwnCertificate, RemoteAddress};
use crate::identity::{Expected, Identity, NameAttribute};
use crate::num::{AuthMethod, Cipher, Group, Hash, IdType};

const TERMS: Phase1Terms = Phase1Terms {
    cipher: Cipher::AES,
    key_length: 128,
    hash: Hash::SHA256,
    group: Group::MODP2048,
    method: AuthMethod::PRE_SHARED_KEY,
    lifetime: 3600,
};

fn section(name: &str, address: Option<&str>) -> Remote {
    let address = address.map(|text| RemoteAddress::At(text.parse::<IpAddr>().unwrap().into()));
    let mut remote = Remote::new(name, address);
    remote.exchange_modes = vec![ExchangeType::MAIN];
    remote.proposals = vec![TERMS];
    remote
}

fn peer() -> RemoteQuery<'static> {
    RemoteQuery::address("192.0.2.1".parse::<IpAddr>().unwrap())
}

fn name_of(remotes: &Remotes, query: &RemoteQuery<'_>) -> Option<String> {
    let index = remotes.select(query).unwrap()?;
    Some(remotes.get(index).unwrap().name.clone())
}

fn issuer(common: &str) -> Name {
    Name(vec![NameAttribute::text("CN", common).unwrap()])
}

#[test]
fn the_address_counts_more_than_none() {
    let remotes = Remotes::new(vec![
        section("any", None),
        section("peer", Some("192.0.2.1")),
        section("other", Some("192.0.2.2")),
    ]);
    assert_eq!(name_of(&remotes, &peer()).as_deref(), Some("peer"));
    let stranger = RemoteQuery::address("198.51.100.1".parse::<IpAddr>().unwrap());
    assert_eq!(name_of(&remotes, &stranger).as_deref(), Some("any"));
    assert_eq!(name_of(&remotes, &RemoteQuery { skip_anonymous: true, ..stranger }), None);
    assert_eq!(remotes.named("other"), Some(RemoteIndex(2)));
    assert_eq!(remotes.named("nobody"), None);
}

/// The key of an address is for the remote sections that name it; where none does, for the anonymous ones.
#[test]
fn the_key_of_an_address_serves_its_own_remote_sections() {
    let mut own = section("peer", Some("192.0.2.1"));
    own.verify_identifier = true;
    let (expected, other) = ([1, 2].map(|last| Identity::address([192, 0, 2, last].into()))).into();
    own.peers_identifiers = vec![Expected::exactly(&expected)];
    let remotes = Remotes::new(vec![section("any", None), own]);
    let claims =
        |claimed, key_of_address| RemoteQuery { claimed: Some(Claimed::plain(claimed)), key_of_address, ..peer() };
    assert_eq!(name_of(&remotes, &claims(&expected, true)).as_deref(), Some("peer"));
    assert_eq!(name_of(&remotes, &claims(&other, true)), None);
    assert_eq!(name_of(&remotes, &claims(&other, false)).as_deref(), Some("any"), "by a key of that identity");
    let elsewhere =
        RemoteQuery { key_of_address: true, ..RemoteQuery::address("192.0.2.3".parse::<IpAddr>().unwrap()) };
    assert_eq!(name_of(&remotes, &elsewhere).as_deref(), Some("any"));
}

#[test]
fn a_name_that_is_not_resolved_fits_nobody() {
    let mut named = section("named", None);
    named.address = Some(RemoteAddress::Unresolved);
    assert_eq!(name_of(&Remotes::new(vec![named]), &peer()), None);
}

#[test]
fn equals_are_ambiguous() {
    let remotes = Remotes::new(vec![section("a", None), section("b", None)]);
    let ambiguous = remotes.select(&peer()).unwrap_err();
    assert_eq!(ambiguous, Ambiguous(vec![RemoteIndex(0), RemoteIndex(1)]));
    assert_eq!(ambiguous.to_string(), "2 remote sections fit equally well");
}

#[test]
fn the_port_decides_between_equals_only() {
    let mut at_500 = section("at 500", Some("192.0.2.1"));
    at_500.port = 500;
    let mut at_4500 = section("at 4500", Some("192.0.2.1"));
    at_4500.port = 4500;
    let remotes = Remotes::new(vec![at_500.clone(), at_4500, section("at any", Some("192.0.2.1"))]);
    assert_eq!(name_of(&remotes, &RemoteQuery { port: 4500, ..peer() }).as_deref(), Some("at 4500"));
    assert_eq!(name_of(&remotes, &RemoteQuery { port: 1024, ..peer() }).as_deref(), Some("at any"));
    let remotes = Remotes::new(vec![at_500]);
    assert_eq!(name_of(&remotes, &RemoteQuery { port: 1024, ..peer() }).as_deref(), Some("at 500"));
    // So it is of two for anybody.
    let [any_at_500, any_at_4500] = [500, 4500].map(|port| Remote { port, ..section(&format!("any at {port}"), None) });
    let remotes = Remotes::new(vec![any_at_500, any_at_4500]);
    assert_eq!(name_of(&remotes, &RemoteQuery { port: 4500, ..peer() }).as_deref(), Some("any at 4500"));
}

#[test]
fn passive_remote_sections_begin_nothing() {
    let mut passive = section("passive", Some("192.0.2.1"));
    passive.passive = true;
    let remotes = Remotes::new(vec![passive, section("any", None)]);
    assert_eq!(name_of(&remotes, &RemoteQuery { skip_passive: true, ..peer() }).as_deref(), Some("any"));
    assert_eq!(name_of(&remotes, &peer()).as_deref(), Some("passive"));
}

#[test]
fn exchange_and_transform_must_fit() {
    let mut aggressive = section("aggressive", Some("192.0.2.1"));
    aggressive.exchange_modes = vec![ExchangeType::AGGRESSIVE];
    let mut sha1 = section("sha1", Some("192.0.2.1"));
    sha1.proposals = vec![Phase1Terms { hash: Hash::SHA1, ..TERMS }];
    let remotes = Remotes::new(vec![aggressive, sha1, section("any", None)]);
    let main = RemoteQuery { exchange: Some(ExchangeType::MAIN), ..peer() };
    assert_eq!(name_of(&remotes, &main).as_deref(), Some("sha1"));
    assert_eq!(name_of(&remotes, &RemoteQuery { accepted: Some(&TERMS), ..main }).as_deref(), Some("any"));
    let base = RemoteQuery { exchange: Some(ExchangeType::BASE), ..peer() };
    assert_eq!(name_of(&remotes, &base), None);
}

#[test]
fn the_identity_counts_where_it_is_verified() {
    let gw = Identity::named(IdType::FQDN, *b"gw");
    let mut verified = section("verified", None);
    verified.verify_identifier = true;
    verified.peers_identifiers = vec![Expected::exactly(&gw)];
    let mut lax = section("lax", Some("192.0.2.1"));
    lax.peers_identifiers = vec![Expected::exactly(&Identity::named(IdType::FQDN, *b"else"))];
    let remotes = Remotes::new(vec![lax, verified]);
    let claimed = RemoteQuery { claimed: Some(Claimed::plain(&gw)), ..peer() };
    assert_eq!(name_of(&remotes, &claimed).as_deref(), Some("verified"));
    let longer = Identity::named(IdType::FQDN, *b"gw.evil");
    let claimed = RemoteQuery { claimed: Some(Claimed::plain(&longer)), ..peer() };
    assert_eq!(name_of(&remotes, &claimed).as_deref(), Some("lax"));
}

#[test]
fn the_certificate_counts_most() {
    let mut by_ca = section("by ca", None);
    by_ca.certificate =
        Some(OwnCertificate { encoding: CertEncoding::X509_SIGNATURE, issuer: Some(issuer("ca")), subject: None });
    let mut without = section("without", Some("192.0.2.1"));
    without.match_empty_cr = true;
    let mut empty = section("empty", None);
    empty.certificate = Some(OwnCertificate { encoding: CertEncoding::X509_SIGNATURE, issuer: None, subject: None });
    empty.match_empty_cr = true;
    let remotes = Remotes::new(vec![by_ca, without, empty]);
    let (ca, other) = (issuer("CA"), issuer("other"));
    let asks = |issuer| RemoteQuery {
        certificate_request: Some(CertificateQuery { encoding: CertEncoding::X509_SIGNATURE, issuer }),
        ..peer()
    };
    assert_eq!(name_of(&remotes, &asks(Some(&ca))).as_deref(), Some("by ca"));
    assert_eq!(name_of(&remotes, &asks(Some(&other))), None);
    assert_eq!(name_of(&remotes, &asks(None)).as_deref(), Some("empty"));
    let pkcs7 = CertificateQuery { encoding: CertEncoding::PKCS7, issuer: None };
    assert_eq!(name_of(&remotes, &RemoteQuery { certificate_request: Some(pkcs7), ..peer() }), None);
}

#[test]
fn a_link_local_address_belongs_to_its_link() {
    let on = |name, zone| {
        let mut section = section(name, Some("fe80::1"));
        section.address = Some(RemoteAddress::At(PeerAddress { ip: "fe80::1".parse().unwrap(), zone }));
        section
    };
    let query = |zone| RemoteQuery::address(PeerAddress { ip: "fe80::1".parse().unwrap(), zone });
    let remotes = Remotes::new(vec![on("two", 2), on("three", 3)]);
    assert_eq!(name_of(&remotes, &query(3)).as_deref(), Some("three"));
    assert_eq!(name_of(&remotes, &query(4)), None);
    let remotes = Remotes::new(vec![on("open", 0)]);
    assert_eq!(name_of(&remotes, &query(4)).as_deref(), Some("open"));
}

#[test]
fn the_peers_first_transform_that_any_remote_section_accepts() {
    let sha1 = Phase1Terms { hash: Hash::SHA1, ..TERMS };
    let md5 = Phase1Terms { hash: Hash::MD5, ..TERMS };
    let mut old = section("old", None);
    old.proposals = vec![sha1];
    old.nat_traversal = NatTraversal::On;
    let remotes = Remotes::new(vec![section("new", Some("192.0.2.1")), old]);
    let choice = remotes.choose_proposal(&peer(), &[md5, sha1, TERMS]).unwrap();
    assert_eq!((choice.remote, choice.acceptance.offered), (RemoteIndex(1), 1));
    assert!(choice.nat_traversal);
    assert_eq!(remotes.choose_proposal(&peer(), &[md5]), None);
    let stranger = RemoteQuery { skip_anonymous: true, ..RemoteQuery::address("192.0.2.9".parse::<IpAddr>().unwrap()) };
    assert_eq!(remotes.choose_proposal(&stranger, &[TERMS]), None);
}

/// Every remote section asked, one after the other.
fn scan(remotes: &Remotes, query: &RemoteQuery<'_>) -> Result<Option<RemoteIndex>, Ambiguous> {
    let scores = remotes.iter().filter_map(|(index, section)| Some((section.score(query)?, index))).collect::<Vec<_>>();
    let highest = scores.iter().map(|(score, _)| *score).max();
    let best = scores.iter().filter(|(score, _)| Some(*score) == highest).map(|(_, index)| *index).collect::<Vec<_>>();
    match best.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(*one)),
        _ => Err(Ambiguous(best)),
    }
}

const NAMES: [&[u8]; 3] = [b"a", b"ab", b"b"];

prop_compose! {
    fn address()(number in 0u8..4, v6 in any::<bool>(), zone in 0u32..3) -> PeerAddress {
        if v6 {
            PeerAddress { ip: IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, u16::from(number)]), zone }
        } else {
            PeerAddress::from(IpAddr::from([10, 0, 0, number]))
        }
    }
}

prop_compose! {
    fn arbitrary_remote()(
        address in prop::option::of(address()), port in 0u16..3, passive in any::<bool>(), verify in any::<bool>(),
        expected in prop::collection::vec(0usize..3, 0..3), hash in 1u16..3, mode in prop::bool::ANY,
        certificate in prop::option::of(0usize..3), match_empty_cr in any::<bool>(),
    ) -> Remote {
        let mut section = Remote::new("section", address.map(RemoteAddress::At));
        section.port = port;
        section.passive = passive;
        section.verify_identifier = verify;
        let id = |at: usize| Identity::named(IdType::FQDN, NAMES[at]);
        section.peers_identifiers = expected.into_iter().map(|at| Expected::exactly(&id(at))).collect();
        section.proposals = vec![Phase1Terms { hash: Hash(hash), ..TERMS }];
        section.exchange_modes = vec![if mode { ExchangeType::MAIN } else { ExchangeType::AGGRESSIVE }];
        let issuer = |at: usize| issuer(std::str::from_utf8(NAMES[at]).unwrap());
        section.certificate = certificate
            .map(|at| OwnCertificate { encoding: CertEncoding::X509_SIGNATURE, issuer: Some(issuer(at)), subject: None });
        section.match_empty_cr = match_empty_cr;
        section
    }
}

proptest! {
    #[test]
    fn the_index_answers_as_a_scan_does(
        sections in prop::collection::vec(arbitrary_remote(), 0..20), address in address(), port in 0u16..3,
        skip_anonymous in any::<bool>(), skip_passive in any::<bool>(), exchange in prop::option::of(any::<bool>()),
        hash in prop::option::of(1u16..3), claimed in prop::option::of(0usize..3),
        requested in prop::option::of(prop::option::of(0usize..3)),
    ) {
        let remotes = Remotes::new(sections);
        let accepted = hash.map(|hash| Phase1Terms { hash: Hash(hash), ..TERMS });
        let id = claimed.map(|at| Identity::named(IdType::FQDN, NAMES[at]));
        let issuer = requested.flatten().map(|at| issuer(std::str::from_utf8(NAMES[at]).unwrap()));
        let request = CertificateQuery { encoding: CertEncoding::X509_SIGNATURE, issuer: issuer.as_ref() };
        let query = RemoteQuery {
            key_of_address: false,
            address, port, skip_anonymous, skip_passive,
            exchange: exchange.map(|main| if main { ExchangeType::MAIN } else { ExchangeType::AGGRESSIVE }),
            accepted: accepted.as_ref(),
            claimed: id.as_ref().map(Claimed::plain),
            certificate_request: requested.map(|_| request),
        };
        let selected = remotes.select(&query).map_err(|Ambiguous(mut list)| { list.sort_unstable(); Ambiguous(list) });
        prop_assert_eq!(selected, scan(&remotes, &query));
        let fitting = remotes.iter().filter(|(_, section)| section.score(&query).is_some()).map(|(index, _)| index);
        prop_assert_eq!(remotes.candidates(&query), fitting.collect::<Vec<_>>());
    }
}
