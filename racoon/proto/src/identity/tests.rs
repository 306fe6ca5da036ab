use proptest::prelude::*;

use super::*;

fn host(text: &str) -> Identity {
    Identity::address(text.parse().unwrap())
}

fn subnet(text: &str, prefix: u8) -> Identity {
    Identity::subnet(text.parse().unwrap(), prefix)
}

fn text(kind: &str, text: &str) -> NameAttribute {
    NameAttribute::text(kind, text).unwrap()
}

fn name(country: &str, organization: &str, common: &str) -> Name {
    Name(vec![text("C", country), text("O", organization), text("CN", common)])
}

fn matches_name(pattern: &NamePattern, name: &Name) -> bool {
    let id = Identity::named(IdType::DER_ASN1_DN, *b"der");
    Expected::Name(pattern.clone()).matches(Claimed { id: &id, name: Some(name) })
}

#[test]
fn bodies() {
    assert_eq!(host("192.0.2.1").data, [192, 0, 2, 1]);
    assert_eq!(subnet("10.1.2.3", 12).data, [10, 0, 0, 0, 255, 240, 0, 0]);
    assert_eq!(subnet("10.1.2.3", 0).data, [0; 8]);
    assert_eq!(subnet("2001:db8::1", 33).data.get(16..22), Some(&[255, 255, 255, 255, 128, 0][..]));
    let range = Identity::range("10.0.0.1".parse().unwrap(), "10.0.0.9".parse().unwrap()).unwrap();
    assert_eq!((range.kind, range.data), (IdType::IPV4_ADDR_RANGE, vec![10, 0, 0, 1, 10, 0, 0, 9]));
    assert_eq!(Identity::range("10.0.0.1".parse().unwrap(), "::1".parse().unwrap()), None);
}

#[test]
fn a_subnet_of_one_is_an_address() {
    assert_eq!(subnet("192.0.2.1", 32).key(), host("192.0.2.1").key());
    assert_eq!(subnet("2001:db8::1", 128).single_address(), Some("2001:db8::1".parse().unwrap()));
    assert_ne!(subnet("192.0.2.1", 31).key(), host("192.0.2.1").key());
    let expected = Expected::exactly(&host("192.0.2.1"));
    assert!(expected.matches(Claimed::plain(&subnet("192.0.2.1", 32))));
    assert!(!expected.matches(Claimed::plain(&subnet("192.0.2.1", 24))));
    assert!(Expected::exactly(&subnet("192.0.2.1", 32)).matches(Claimed::plain(&host("192.0.2.1"))));
}

#[test]
fn bodies_of_a_wrong_length_name_no_address() {
    for (kind, length) in [(IdType::IPV4_ADDR, 3), (IdType::IPV4_ADDR, 16), (IdType::IPV6_ADDR_SUBNET, 31)] {
        assert_eq!(Identity::named(kind, vec![0xff; length]).single_address(), None, "{kind} {length}");
    }
    assert_eq!(Identity::named(IdType::IPV4_ADDR_SUBNET, []).single_address(), None);
}

#[test]
fn a_longer_or_shorter_value_is_another_one() {
    let expected = Expected::exactly(&Identity::named(IdType::FQDN, *b"gw.example"));
    let claims = |data: &[u8]| expected.matches(Claimed::plain(&Identity::named(IdType::FQDN, data)));
    assert!(claims(b"gw.example"));
    assert!(!claims(b"gw.example.org"));
    assert!(!claims(b"gw"));
    assert!(!claims(b""));
    assert!(!claims(b"GW.example"));
    let other = Identity::named(IdType::USER_FQDN, *b"gw.example");
    assert!(!expected.matches(Claimed::plain(&other)));
}

#[test]
fn protocol_and_port_are_no_part_of_an_identity() {
    let expected = Expected::exactly(&host("192.0.2.1"));
    assert!(expected.matches(Claimed::plain(&host("192.0.2.1").with_protocol(17, 500))));
}

#[test]
fn names_are_compared_by_component() {
    let exact = NamePattern::from(name("NL", "Example", "gw"));
    assert!(matches_name(&exact, &name("nl", " Example ", "GW")));
    assert!(!matches_name(&exact, &name("NL", "Example", "gw2")));
    let mut open = exact.clone();
    open.0[2].value = None;
    assert!(matches_name(&open, &name("NL", "Example", "anybody")));
    assert!(!matches_name(&open, &name("NL", "Else", "anybody")));
    let mut longer = name("NL", "Example", "gw");
    longer.0.push(text("CN", "gw"));
    assert!(!matches_name(&open, &longer));
    let mut other_type = name("NL", "Example", "gw");
    other_type.0[2].kind = AttributeType::named("O").unwrap();
    assert!(!matches_name(&open, &other_type));
}

#[test]
fn a_peer_cannot_call_itself_everybody() {
    let exact = NamePattern::from(name("NL", "Example", "gw"));
    assert!(!matches_name(&exact, &name("NL", "Example", "*")));
}

#[test]
fn a_name_that_is_none_matches_no_pattern() {
    let open = Expected::Name(NamePattern::default());
    let id = Identity::named(IdType::DER_ASN1_DN, *b"junk");
    assert!(!open.matches(Claimed { id: &id, name: None }));
    let fqdn = Identity::named(IdType::FQDN, *b"gw");
    assert!(!open.matches(Claimed { id: &fqdn, name: Some(&Name::default()) }));
}

#[test]
fn verdicts() {
    let gw = Expected::exactly(&Identity::named(IdType::FQDN, *b"gw"));
    let host = host("192.0.2.1");
    let claimed = Claimed::plain(&host);
    assert_eq!(verify(&[], true, claimed), Verdict::Expected);
    assert_eq!(verify(std::slice::from_ref(&gw), true, claimed), Verdict::Refused);
    assert_eq!(verify(std::slice::from_ref(&gw), false, claimed), Verdict::Tolerated);
    assert_eq!(verify(&[gw.clone(), Expected::exactly(&host)], true, claimed), Verdict::Expected);
    assert_eq!(verify(&[gw, Expected::Anything], true, claimed), Verdict::Expected);
}

proptest! {
    /// Only the same type and the same bytes are accepted, whatever arrives.
    #[test]
    fn accepted_bytes_are_the_expected_bytes(
        kind in 0u8..13, data in prop::collection::vec(any::<u8>(), 0..40),
        other_kind in 0u8..13, other in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let ours = Identity::named(IdType(kind), data);
        let theirs = Identity::named(IdType(other_kind), other);
        let equal = ours.key() == theirs.key();
        prop_assert_eq!(Expected::exactly(&ours).matches(Claimed::plain(&theirs)), equal);
        prop_assert!(Expected::exactly(&ours).matches(Claimed::plain(&ours)));
    }
}
