use proptest::prelude::*;

use super::*;
use crate::num::{AhTransform, DEFAULT_LIFETIME, IpcompTransform};

const TERMS: Phase2Terms = Phase2Terms { lifetime: 3600, kilobytes: None, group: None };

const ESP: Phase2Transform = Phase2Transform {
    protocol: Protocol::ESP,
    id: EspTransform::AES.0,
    key_length: 128,
    authentication: AuthAlgorithm::HMAC_SHA1,
    truncated: false,
    mode: EncapsulationMode::TUNNEL,
};

const AH: Phase2Transform = Phase2Transform {
    protocol: Protocol::AH,
    id: AhTransform::SHA256.0,
    key_length: 0,
    authentication: AuthAlgorithm::HMAC_SHA256,
    truncated: false,
    mode: EncapsulationMode::TRANSPORT,
};

const IPCOMP: Phase2Transform = Phase2Transform {
    protocol: Protocol::IPCOMP,
    id: IpcompTransform::DEFLATE.0,
    key_length: 0,
    authentication: AuthAlgorithm::NONE,
    truncated: false,
    mode: EncapsulationMode::TUNNEL,
};

fn protocol(spi: u32, transforms: &[Phase2Transform]) -> SuiteProtocol {
    let transforms: Vec<_> =
        (1..).zip(transforms).map(|(number, one)| SuiteTransform::new(number, *one, TERMS, false)).collect();
    SuiteProtocol { protocol: transforms[0].transform.protocol, spi, transforms }
}

/// IPComp and ESP together, or else AH.
fn suites() -> Vec<Suite> {
    let null = Phase2Transform { id: EspTransform::NULL.0, key_length: 0, ..ESP };
    vec![
        Suite { number: 1, protocols: vec![protocol(0x1234, &[IPCOMP]), protocol(0x0102_0304, &[ESP, null])] },
        Suite { number: 2, protocols: vec![protocol(0x0a0b_0c0d, &[AH])] },
    ]
}

/// [`suites`] on the wire.
const GOLDEN: [u8; 138] = [
    0, 0, 0, 1, 0, 0, 0, 1, // DOI ipsec, identity only
    2, 0, 0, 30, 1, 4, 2, 1, 0x12, 0x34, // proposal 1, IPComp, CPI of 2 bytes, 1 transform
    0, 0, 0, 20, 1, 2, 0, 0, // transform 1, DEFLATE
    0x80, 1, 0, 1, // seconds
    0x80, 2, 0x0e, 0x10, // 3600
    0x80, 4, 0, 1, // tunnel
    2, 0, 0, 64, 1, 3, 4, 2, 1, 2, 3, 4, // proposal 1, ESP, SPI of 4 bytes, 2 transforms
    3, 0, 0, 28, 1, 12, 0, 0, // transform 1, AES
    0x80, 1, 0, 1, // seconds
    0x80, 2, 0x0e, 0x10, // 3600
    0x80, 4, 0, 1, // tunnel
    0x80, 6, 0, 128, // 128 bits
    0x80, 5, 0, 2, // HMAC-SHA-1
    0, 0, 0, 24, 2, 11, 0, 0, // transform 2, NULL
    0x80, 1, 0, 1, // seconds
    0x80, 2, 0x0e, 0x10, // 3600
    0x80, 4, 0, 1, // tunnel
    0x80, 5, 0, 2, // HMAC-SHA-1
    0, 0, 0, 36, 2, 2, 4, 1, 10, 11, 12, 13, // proposal 2, AH, SPI of 4 bytes, 1 transform
    0, 0, 0, 24, 1, 5, 0, 0, // transform 1, SHA-256
    0x80, 1, 0, 1, // seconds
    0x80, 2, 0x0e, 0x10, // 3600
    0x80, 4, 0, 2, // transport
    0x80, 5, 0, 5, // HMAC-SHA-256
];

fn offered(body: &SaBody) -> Phase2Offer {
    offered_phase2(body, EncapsulationMode::TRANSPORT).unwrap()
}

/// What becomes of a proposal with one transform with these attributes.
fn read(protocol: Protocol, id: u8, attributes: &[Attribute]) -> Result<SuiteTransform, SkipReason> {
    let wire = wire::Transform { number: 7, id, attributes: attributes.to_vec() };
    let offer = offered(&SaBody::new(vec![proposal(3, protocol, 0x1234, vec![wire])]));
    match (offer.suites.as_slice(), offer.skipped.as_slice()) {
        ([suite], []) => Ok(suite.protocols[0].transforms[0].clone()),
        ([], [skipped, whole]) => {
            assert_eq!((skipped.proposal, skipped.transform), (3, Some(7)));
            assert_eq!((whole.transform, whole.reason), (None, SkipReason::NoTransform(protocol)));
            Err(skipped.reason)
        }
        other => panic!("{other:?}"),
    }
}

/// The reason for an attribute's value.
fn value(attribute: A, value: u64) -> SkipReason {
    SkipReason::Value { attribute: AttributeName::Phase2(attribute), value }
}

#[test]
fn golden_bytes() {
    assert_eq!(phase2_sa(&suites()).encode(), GOLDEN);
}

#[test]
fn what_is_proposed_is_offered() {
    let offer = offered(&SaBody::parse(&phase2_sa(&suites()).encode()).unwrap());
    assert_eq!(offer, Phase2Offer { suites: suites(), skipped: Vec::new() });
}

#[test]
fn every_attribute() {
    let terms = Phase2Terms { lifetime: 100_000, kilobytes: Some(5), group: Some(Group::ECP256) };
    let gcm = Phase2Transform {
        id: EspTransform::AES_GCM_16.0,
        key_length: 256,
        authentication: AuthAlgorithm::NONE,
        mode: EncapsulationMode::UDP_TRANSPORT_DRAFT,
        ..ESP
    };
    let transform = SuiteTransform::new(9, gcm, terms, true);
    assert_eq!(transform.number(), 9);
    assert_eq!(
        transform.wire().attributes,
        [
            Attribute::short(1, 1),
            Attribute::long(2, [0, 1, 0x86, 0xa0]),
            Attribute::short(1, 2),
            Attribute::short(2, 5),
            Attribute::short(4, 61444),
            Attribute::short(6, 256),
            Attribute::short(3, 19),
            Attribute::short(11, 1),
        ]
    );
    assert_eq!(read(Protocol::ESP, 20, &transform.wire().attributes).unwrap().transform, gcm);
    let again = read(Protocol::ESP, 20, &transform.wire().attributes).unwrap();
    assert_eq!((again.terms, again.esn), (terms, true));
}

#[test]
fn what_is_left_out_has_a_default() {
    let esp = read(Protocol::ESP, EspTransform::TRIPLE_DES.0, &[]).unwrap();
    assert_eq!(esp.terms, Phase2Terms { lifetime: DEFAULT_LIFETIME, kilobytes: None, group: None });
    assert_eq!(esp.transform.authentication, AuthAlgorithm::NONE);
    assert_eq!(esp.transform.mode, EncapsulationMode::TRANSPORT);
    assert!(!esp.esn);
    assert_eq!(read(Protocol::ESP, EspTransform::AES.0, &[]).unwrap().transform.key_length, 128);
    let unlimited = [Attribute::short(1, 2), Attribute::long(2, [0; 4])];
    assert_eq!(read(Protocol::ESP, 3, &unlimited).unwrap().terms.kilobytes, None);
}

#[test]
fn transforms_that_are_skipped() {
    let auth = |algorithm: AuthAlgorithm| Attribute::short(A::AUTHENTICATION_ALGORITHM.0, algorithm.0);
    let key_length = |length| Attribute::short(A::KEY_LENGTH.0, length);
    let esn = |value| Attribute::short(A::EXTENDED_SEQUENCE_NUMBER.0, value);
    for (protocol, id, attributes, reason) in [
        (Protocol::ESP, 3, vec![key_length(192)], value(A::KEY_LENGTH, 192)),
        (Protocol::ESP, 12, vec![key_length(129)], value(A::KEY_LENGTH, 129)),
        (Protocol::AH, 3, vec![], SkipReason::Missing(AttributeName::Phase2(A::AUTHENTICATION_ALGORITHM))),
        (Protocol::AH, 3, vec![auth(AuthAlgorithm::HMAC_MD5)], value(A::AUTHENTICATION_ALGORITHM, 1)),
        (Protocol::AH, 3, vec![auth(AuthAlgorithm::HMAC_SHA1), key_length(160)], value(A::KEY_LENGTH, 160)),
        (Protocol::IPCOMP, 2, vec![key_length(8)], value(A::KEY_LENGTH, 8)),
        (Protocol::IPCOMP, 2, vec![auth(AuthAlgorithm::HMAC_MD5)], value(A::AUTHENTICATION_ALGORITHM, 1)),
        (Protocol::IPCOMP, 2, vec![esn(1)], value(A::EXTENDED_SEQUENCE_NUMBER, 1)),
        (Protocol::ESP, 3, vec![esn(2)], value(A::EXTENDED_SEQUENCE_NUMBER, 2)),
        (
            Protocol::ESP,
            3,
            vec![Attribute::short(A::KEY_ROUNDS.0, 7)],
            SkipReason::Unsupported(AttributeName::Phase2(A::KEY_ROUNDS)),
        ),
        (
            Protocol::ESP,
            3,
            vec![Attribute::long(A::ENCAPSULATION_MODE.0, [0, 1])],
            SkipReason::LongForm(AttributeName::Phase2(A::ENCAPSULATION_MODE)),
        ),
        (
            Protocol::ESP,
            3,
            vec![auth(AuthAlgorithm::HMAC_MD5); 2],
            SkipReason::Doubled(AttributeName::Phase2(A::AUTHENTICATION_ALGORITHM)),
        ),
    ] {
        assert_eq!(read(protocol, id, &attributes), Err(reason), "{protocol} {id} {attributes:?}");
    }
}

#[test]
fn an_unknown_attribute_costs_one_transform_only() {
    let mut body = phase2_sa(&suites());
    body.proposals[1].transforms[0].attributes.push(Attribute::short(99, 1));
    let offer = offered(&body);
    assert_eq!(offer.suites.len(), 2);
    assert_eq!(offer.suites[0].protocols[1].transforms.len(), 1);
    assert_eq!(offer.skipped[0].to_string(), "proposal 1, transform 1: attribute 99 is not understood");
}

#[test]
fn a_suite_is_offered_as_a_whole_or_not_at_all() {
    type Change = fn(&mut SaBody);
    let changes: [(Change, SkipReason); 5] = [
        (|body| body.proposals[0].protocol = Protocol::ISAKMP, SkipReason::Protocol(Protocol::ISAKMP)),
        (|body| body.proposals[0].protocol = Protocol(9), SkipReason::Protocol(Protocol(9))),
        (|body| body.proposals[0] = body.proposals[1].clone(), SkipReason::ProtocolTwice(Protocol::ESP)),
        (|body| body.proposals[0].transforms.clear(), SkipReason::NoTransform(Protocol::IPCOMP)),
        (|body| body.proposals[1].spi.clear(), SkipReason::Spi(Protocol::ESP)),
    ];
    for (change, reason) in changes {
        let mut body = phase2_sa(&suites());
        change(&mut body);
        let offer = offered(&body);
        assert_eq!(offer.suites, suites()[1..], "{reason}");
        assert_eq!(offer.skipped, [Skipped { proposal: 1, transform: None, reason }]);
    }
}

/// charon names the group beside the keys only.
#[test]
fn ipcomp_has_the_group_of_what_has_keys() {
    let with = |transform: Phase2Transform, group| {
        let one = SuiteTransform::new(1, transform, Phase2Terms { group, ..TERMS }, false);
        SuiteProtocol { protocol: transform.protocol, spi: 0x1234, transforms: vec![one] }
    };
    let groups = |ipcomp, esp| {
        let suite = Suite { number: 1, protocols: vec![with(ESP, esp), with(IPCOMP, ipcomp)] };
        let offer = offered(&phase2_sa(&[suite]));
        offer.suites[0].protocols.iter().map(|one| one.transforms[0].terms.group).collect::<Vec<_>>()
    };
    let (one, other) = (Some(Group::ECP256), Some(Group::MODP2048));
    assert_eq!(groups(None, one), [one, one]);
    assert_eq!(groups(other, one), [one, other], "for the check to refuse");
    assert_eq!(groups(one, None), [None, one]);
    assert_eq!(groups(None, None), [None, None]);
    let sent = [Suite { number: 1, protocols: vec![with(ESP, one), with(IPCOMP, one)] }];
    let answer = phase2_sa(&[Suite { number: 1, protocols: vec![with(ESP, one), with(IPCOMP, None)] }]);
    assert!(answered_phase2(&answer, &sent).is_ok());
}

#[test]
fn spis() {
    for (protocol, bytes, expected) in [
        (Protocol::ESP, &[0, 0, 1, 0][..], Some(256)),
        (Protocol::ESP, &[0, 0, 0, 255], None),
        (Protocol::ESP, &[0, 0, 0, 0], None),
        (Protocol::AH, &[0xff; 4], Some(u32::MAX)),
        (Protocol::ESP, &[1, 2], None),
        (Protocol::ESP, &[1; 8], None),
        (Protocol::IPCOMP, &[0, 2], Some(2)),
        (Protocol::IPCOMP, &[0, 0, 0x12, 0x34], Some(0x1234)),
        (Protocol::IPCOMP, &[0, 1, 0, 0], None),
        (Protocol::IPCOMP, &[0, 0], None),
        (Protocol::IPCOMP, &[1, 2, 3], None),
        (Protocol::IPCOMP, &[], None),
    ] {
        assert_eq!(spi(protocol, bytes), expected, "{protocol} {bytes:?}");
    }
}

#[test]
fn numbers_go_up() {
    let mut body = phase2_sa(&suites());
    body.proposals.swap(0, 2);
    let error = offered_phase2(&body, EncapsulationMode::TUNNEL).unwrap_err();
    assert_eq!(error, ProposalError::Order { before: 2, number: 1 });
    body.proposals.truncate(1);
    body.proposals[0].number = 0;
    assert_eq!(offered(&body).suites[0].number, 0);
}

#[test]
fn an_answer_repeats_the_bytes_with_our_spis() {
    let mut body = SaBody::parse(&GOLDEN).unwrap();
    // A duration in long form, and attributes in another order than ours.
    body.proposals[1].transforms[1].attributes[1] = Attribute::long(2, [0, 0, 0x0e, 0x10]);
    body.proposals[1].transforms[1].attributes.rotate_right(1);
    let received = body.encode();
    let offer = offered(&SaBody::parse(&received).unwrap());
    let choices = [Choice { transform: 0, spi: 0xabcd }, Choice { transform: 1, spi: 0x7777_7777 }];
    let answer = phase2_answer(&offer.suites[0], &choices).unwrap().encode();
    let expected = [
        &[0, 0, 0, 1, 0, 0, 0, 1],
        &[2, 0, 0, 30, 1, 4, 2, 1, 0xab, 0xcd][..],
        &received[18..38],
        &[0, 0, 0, 40, 1, 3, 4, 1, 0x77, 0x77, 0x77, 0x77],
        &received[78..106],
    ]
    .concat();
    assert_eq!(answer, expected);
}

#[test]
fn an_answer_chooses_what_there_is() {
    let suite = &suites()[0];
    let choice = |transform| Choice { transform, spi: 256 };
    assert!(phase2_answer(suite, &[choice(0), choice(1)]).is_some());
    for choices in [vec![], vec![choice(0)], vec![choice(1), choice(0)], vec![choice(0); 3]] {
        assert_eq!(phase2_answer(suite, &choices), None, "{choices:?}");
    }
}

/// An answer that chooses the second transform of ESP in the first suite.
fn answer() -> SaBody {
    let choices = [Choice { transform: 0, spi: 0xabcd }, Choice { transform: 1, spi: 0x7777_7777 }];
    phase2_answer(&suites()[0], &choices).unwrap()
}

#[test]
fn an_answer_is_one_of_what_was_sent() {
    let mut sent = suites();
    sent[0].protocols[1].transforms[1].transform.truncated = true;
    let mut expected = sent[0].clone();
    expected.protocols[0].spi = 0xabcd;
    expected.protocols[1].spi = 0x7777_7777;
    expected.protocols[1].transforms.remove(0);
    assert_eq!(answered_phase2(&answer(), &sent), Ok(expected.clone()));
    let mut reordered = answer();
    reordered.proposals.reverse();
    assert_eq!(answered_phase2(&reordered, &sent), Ok(expected));
}

#[test]
fn an_answer_may_change_lifetimes_only() {
    let sent = suites();
    let mut shorter = answer();
    shorter.proposals[1].transforms[0].attributes[1] = Attribute::short(2, 60);
    let agreed = answered_phase2(&shorter, &sent).unwrap();
    assert_eq!(agreed.protocols[1].transforms[0].terms.lifetime, 60);
    let not_proposed = |proposal| Err(AnswerError::NotProposed { proposal, transform: 1 });
    for more in [Attribute::short(3, 2), Attribute::short(11, 1)] {
        let mut changed = answer();
        changed.proposals[1].transforms[0].attributes.push(more);
        assert_eq!(answered_phase2(&changed, &sent), not_proposed(1));
    }
    let mut changed = answer();
    changed.proposals[1].transforms[0].id = EspTransform::TRIPLE_DES.0;
    assert_eq!(answered_phase2(&changed, &sent), not_proposed(1));
    let mut half = answer();
    half.proposals.truncate(1);
    assert_eq!(answered_phase2(&half, &sent), not_proposed(1));
    let mut other = answer();
    other.proposals.iter_mut().for_each(|proposal| proposal.number = 3);
    assert_eq!(answered_phase2(&other, &sent), not_proposed(3));
}

#[test]
fn an_answer_is_exactly_one() {
    let sent = suites();
    assert_eq!(answered_phase2(&phase2_sa(&sent), &sent), Err(AnswerError::NotOne));
    assert_eq!(answered_phase2(&phase2_sa(&sent[..1]), &sent), Err(AnswerError::NotOne));
    assert_eq!(answered_phase2(&phase2_sa(&[]), &sent), Err(AnswerError::NotOne));
    let mut unknown = answer();
    unknown.proposals[1].transforms[0].attributes.push(Attribute::short(99, 1));
    let error = answered_phase2(&unknown, &sent).unwrap_err();
    assert_eq!(error.to_string(), "proposal 1, transform 2: attribute 99 is not understood");
}

/// strongSwan 5.9.8 as the responder to ESP with IPComp: under number 1 what it chose, without a lifetime; under number 2,
/// which nobody offered, the same ESP alone. The body of its SA payload as it was received.
const STRONGSWAN: [u8; 102] = [
    0, 0, 0, 1, 0, 0, 0, 1, // DOI ipsec, identity only
    2, 0, 0, 36, 1, 3, 4, 1, 0xc3, 0xea, 0x37, 0x1d, // proposal 1, ESP
    0, 0, 0, 24, 1, 12, 0, 0, 0x80, 6, 0, 128, 0x80, 5, 0, 1, 0x80, 3, 0, 14, 0x80, 4, 0, 2, // AES, HMAC-MD5
    2, 0, 0, 22, 1, 4, 2, 1, 0x6e, 0x20, // proposal 1, IPComp
    0, 0, 0, 12, 1, 2, 0, 0, 0x80, 4, 0, 2, // DEFLATE
    0, 0, 0, 36, 2, 3, 4, 1, 0xc3, 0xea, 0x37, 0x1d, // proposal 2, ESP
    0, 0, 0, 24, 1, 12, 0, 0, 0x80, 6, 0, 128, 0x80, 5, 0, 1, 0x80, 3, 0, 14, 0x80, 4, 0, 2, // the same
];

#[test]
fn what_was_not_offered_is_passed_over_beside_what_was() {
    let body = SaBody::parse(&STRONGSWAN).unwrap();
    let proposed = |lifetime, kilobytes| {
        let terms = Phase2Terms { lifetime, kilobytes, group: Some(Group::MODP2048) };
        let of = |spi, transform: Phase2Transform| {
            let transform = Phase2Transform { mode: EncapsulationMode::TRANSPORT, ..transform };
            let transforms = vec![SuiteTransform::new(1, transform, terms, false)];
            SuiteProtocol { protocol: transform.protocol, spi, transforms }
        };
        let esp = Phase2Transform { authentication: AuthAlgorithm::HMAC_MD5, ..ESP };
        let protocols = vec![of(0x56fa, IPCOMP), of(0x05d8_870a, esp)];
        [Suite { number: 1, protocols }]
    };
    let chosen = answered_phase2(&body, &proposed(43200, Some(5))).unwrap();
    let spis = chosen.protocols.iter().map(|one| (one.protocol, one.spi)).collect::<Vec<_>>();
    assert_eq!(spis, [(Protocol::IPCOMP, 0x6e20), (Protocol::ESP, 0xc3ea_371d)]);
    let terms = |suite: &Suite| suite.protocols.iter().map(|one| one.transforms[0].terms).collect::<Vec<_>>();
    let expected = |lifetime, kilobytes| vec![Phase2Terms { lifetime, kilobytes, group: Some(Group::MODP2048) }; 2];
    assert_eq!(terms(&chosen), expected(28800, Some(5)));
    assert_eq!(terms(&answered_phase2(&body, &proposed(600, None)).unwrap()), expected(600, None));

    let mut alone = body.clone();
    alone.proposals.drain(..2);
    let not_proposed = Err(AnswerError::NotProposed { proposal: 2, transform: 1 });
    assert_eq!(answered_phase2(&alone, &proposed(600, None)), not_proposed, "no choice but of what was not offered");
    let mut both = body.clone();
    both.proposals[2].number = 1;
    let error = answered_phase2(&both, &proposed(600, None)).unwrap_err();
    assert_eq!(error.to_string(), "proposal 1: protocol esp occurs twice");
    let mut unknown = body;
    unknown.proposals[2].protocol = Protocol(9);
    assert!(answered_phase2(&unknown, &proposed(600, None)).is_ok(), "not even understood, and nobody minds");
}

proptest! {
    #[test]
    fn any_bytes_do_not_panic(attributes in prop::collection::vec(any::<u8>(), 0..60), protocol in 0_u8..6, id: u8) {
        let length = u8::try_from(attributes.len()).unwrap();
        let head = [
            &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 20 + length, 1, protocol, 4, 1, 1, 2, 3, 4],
            &[0, 0, 0, 8 + length, 1, id, 0, 0][..],
        ];
        if let Ok(body) = SaBody::parse(&[head.concat(), attributes].concat()) {
            for suite in offered(&body).suites {
                prop_assert_eq!(phase2_sa(&[suite]), body.clone());
            }
        }
    }
}
