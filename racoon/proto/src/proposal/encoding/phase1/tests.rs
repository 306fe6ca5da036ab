use proptest::prelude::*;

use super::*;
use crate::num::DEFAULT_LIFETIME;

const AES: Phase1Terms = Phase1Terms {
    cipher: Cipher::AES,
    key_length: 256,
    hash: Hash::SHA256,
    group: Group::MODP2048,
    method: AuthMethod::PRE_SHARED_KEY,
    lifetime: 28_800,
};

const TRIPLE_DES: Phase1Terms = Phase1Terms {
    cipher: Cipher::TRIPLE_DES,
    key_length: 0,
    hash: Hash::SHA1,
    group: Group::MODP1024,
    method: AuthMethod::XAUTH_PSK_SERVER,
    lifetime: 86_400,
};

/// Both, in that order.
const GOLDEN: [u8; 88] = [
    0, 0, 0, 1, 0, 0, 0, 1, // DOI ipsec, identity only
    0, 0, 0, 80, 1, 1, 0, 2, // proposal 1, ISAKMP, no SPI, 2 transforms
    3, 0, 0, 36, 1, 1, 0, 0, // transform 1, KEY_IKE
    0x80, 1, 0, 7, // AES
    0x80, 14, 1, 0, // 256 bits
    0x80, 2, 0, 4, // SHA-256
    0x80, 4, 0, 14, // modp2048
    0x80, 3, 0, 1, // pre-shared key
    0x80, 11, 0, 1, // seconds
    0x80, 12, 0x70, 0x80, // 28800
    0, 0, 0, 36, 2, 1, 0, 0, // transform 2, KEY_IKE
    0x80, 1, 0, 5, // 3DES
    0x80, 2, 0, 2, // SHA-1
    0x80, 4, 0, 2, // modp1024
    0x80, 3, 0xfd, 0xe9, // XAUTH with a pre-shared key, by the initiator's number
    0x80, 11, 0, 1, // seconds
    0, 12, 0, 4, 0, 1, 0x51, 0x80, // 86400
];

/// The attributes of [`TRIPLE_DES`] as a peer may send them.
fn plain() -> Vec<Attribute> {
    attributes(&TRIPLE_DES)
}

/// What becomes of a transform with these attributes.
fn read(attributes: Vec<Attribute>) -> Result<Phase1Terms, SkipReason> {
    let offer = offered_phase1(&sa(1, vec![Transform { number: 7, id: KEY_IKE, attributes }]));
    match (offer.transforms.as_slice(), offer.skipped.as_slice()) {
        ([one], []) => Ok(one.terms),
        ([], [skipped]) => {
            assert_eq!((skipped.proposal, skipped.transform), (1, Some(7)));
            Err(skipped.reason)
        }
        other => panic!("{other:?}"),
    }
}

fn with(more: &[Attribute]) -> Result<Phase1Terms, SkipReason> {
    read([plain(), more.to_vec()].concat())
}

fn without(kind: A) -> Result<Phase1Terms, SkipReason> {
    read(plain().into_iter().filter(|attribute| attribute.kind != kind.0).collect())
}

#[test]
fn golden_bytes() {
    assert_eq!(phase1_sa(&[AES, TRIPLE_DES]).encode(), GOLDEN);
    let offer = offered_phase1(&SaBody::parse(&GOLDEN).unwrap());
    let client = Phase1Terms { method: AuthMethod::XAUTH_PSK_CLIENT, ..TRIPLE_DES };
    assert_eq!(offer.terms(), [AES, client]);
    assert_eq!(offer.skipped, []);
    assert_eq!(offer.transforms.iter().map(|one| one.transform.number).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn an_answer_repeats_the_bytes() {
    let offer = offered_phase1(&SaBody::parse(&GOLDEN).unwrap());
    let answer = phase1_answer(&offer.transforms[1]).encode();
    assert_eq!(answer[..16], [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 44, 1, 1, 0, 1]);
    assert_eq!(answer[16..], GOLDEN[52..]);
}

#[test]
fn an_answer_is_one_of_what_was_sent() {
    let sent = [AES, TRIPLE_DES];
    let answered = |terms: &[Phase1Terms]| answered_phase1(&phase1_sa(terms), &sent);
    assert_eq!(answered(&[TRIPLE_DES]), Ok((1, TRIPLE_DES)));
    let shorter = Phase1Terms { lifetime: 60, ..AES };
    assert_eq!(answered(&[shorter]), Ok((0, shorter)));
    assert_eq!(answered(&[AES, TRIPLE_DES]), Err(AnswerError::NotOne));
    assert_eq!(answered(&[]), Err(AnswerError::NotOne));
    let not_proposed = Err(AnswerError::NotProposed { proposal: 1, transform: 1 });
    assert_eq!(answered(&[Phase1Terms { key_length: 128, ..AES }]), not_proposed);
    assert_eq!(answered(&[Phase1Terms { hash: Hash::SHA1, ..AES }]), not_proposed);
    let unknown = sa(1, vec![Transform { number: 1, id: 9, attributes: plain() }]);
    let error = answered_phase1(&unknown, &sent).unwrap_err();
    assert_eq!(error.to_string(), "proposal 1, transform 1: transform identifier 9 is not allowed here");
}

#[test]
fn attributes_that_have_to_be_there() {
    for kind in [A::ENCRYPTION_ALGORITHM, A::HASH_ALGORITHM, A::GROUP_DESCRIPTION, A::AUTHENTICATION_METHOD] {
        assert_eq!(without(kind), Err(SkipReason::Missing(AttributeName::Phase1(kind))));
    }
}

#[test]
fn attributes_that_are_not_understood() {
    for attribute in [
        Attribute::short(A::PRF.0, 1),
        Attribute::long(A::GROUP_PRIME.0, [7]),
        Attribute::short(A::FIELD_SIZE.0, 7),
        Attribute::long(A::GSS_ID.0, [7]),
        Attribute::short(99, 7),
    ] {
        let expected = SkipReason::Unsupported(AttributeName::Phase1(A(attribute.kind)));
        assert_eq!(with(&[attribute]), Err(expected));
    }
    assert_eq!(with(&[Attribute::short(99, 7)]).unwrap_err().to_string(), "attribute 99 is not understood");
}

#[test]
fn attributes_twice_and_in_long_form() {
    let hash = AttributeName::Phase1(A::HASH_ALGORITHM);
    assert_eq!(with(&[Attribute::short(A::HASH_ALGORITHM.0, 2)]), Err(SkipReason::Doubled(hash)));
    let mut long = plain();
    long[1] = Attribute::long(A::HASH_ALGORITHM.0, [0, 2]);
    assert_eq!(read(long), Err(SkipReason::LongForm(hash)));
}

#[test]
fn lifetimes() {
    let plain = || plain().into_iter().filter(|one| one.kind < A::LIFE_TYPE.0).collect::<Vec<_>>();
    let read = |lifetime: &[Attribute]| read([plain(), lifetime.to_vec()].concat());
    let unit = |unit| Attribute::short(A::LIFE_TYPE.0, unit);
    let duration = |bytes: &[u8]| Attribute::long(A::LIFE_DURATION.0, bytes);
    let life_type = AttributeName::Phase1(A::LIFE_TYPE);
    let life_duration = AttributeName::Phase1(A::LIFE_DURATION);
    for (attributes, expected) in [
        (vec![], Ok(DEFAULT_LIFETIME)),
        (vec![unit(1), duration(&[0, 0, 0x70, 0x80])], Ok(28_800)),
        (vec![unit(1), duration(&[7])], Ok(7)),
        (vec![unit(1), duration(&[0, 0, 0, 0, 0, 0, 0, 7])], Ok(7)),
        (vec![unit(1), duration(&[1, 0, 0, 0, 0])], Ok(u32::MAX)),
        (vec![unit(1), duration(&[1; 20])], Ok(u32::MAX)),
        (vec![unit(2), duration(&[1]), unit(1), duration(&[9])], Ok(9)),
        (vec![unit(1)], Err(SkipReason::Missing(life_duration))),
        (vec![unit(1), unit(1), duration(&[9])], Err(SkipReason::Missing(life_duration))),
        (vec![duration(&[9])], Err(SkipReason::Missing(life_type))),
        (vec![unit(1), duration(&[9]), duration(&[9])], Err(SkipReason::Missing(life_type))),
        (vec![unit(1), duration(&[9]), unit(1), duration(&[9])], Err(SkipReason::Doubled(life_duration))),
        (vec![unit(3), duration(&[9])], Err(SkipReason::Value { attribute: life_type, value: 3 })),
        (vec![unit(1), duration(&[0])], Err(SkipReason::Value { attribute: life_duration, value: 0 })),
        (vec![unit(1), duration(&[])], Err(SkipReason::Value { attribute: life_duration, value: 0 })),
    ] {
        assert_eq!(read(&attributes).map(|terms| terms.lifetime), expected, "{attributes:?}");
    }
}

#[test]
fn key_lengths() {
    let key_length = AttributeName::Phase1(A::KEY_LENGTH);
    let long = Attribute::short(A::KEY_LENGTH.0, 192);
    assert_eq!(with(&[long]), Err(SkipReason::Value { attribute: key_length, value: 192 }));
    let mut aes = plain();
    aes[0] = Attribute::short(A::ENCRYPTION_ALGORITHM.0, Cipher::AES.0);
    assert_eq!(read(aes).map(|terms| terms.key_length), Ok(128));
}

#[test]
fn group_types() {
    let group_type = AttributeName::Phase1(A::GROUP_TYPE);
    for (group, kind, accepted) in [(2, 1, true), (2, 2, false), (19, 2, true), (19, 1, false), (14, 3, false)] {
        let mut attributes = plain();
        attributes[2] = Attribute::short(A::GROUP_DESCRIPTION.0, group);
        attributes.push(Attribute::short(A::GROUP_TYPE.0, kind));
        let expected = match accepted {
            true => Ok(Group(group)),
            false => Err(SkipReason::Value { attribute: group_type, value: kind.into() }),
        };
        assert_eq!(read(attributes).map(|terms| terms.group), expected, "{group} {kind}");
    }
}

#[test]
fn one_bad_transform_leaves_the_others() {
    let mut body = phase1_sa(&[AES, TRIPLE_DES, AES]);
    body.proposals[0].transforms[1].attributes.push(Attribute::short(99, 1));
    body.proposals.push(Proposal { number: 2, protocol: Protocol::ESP, spi: vec![0; 4], transforms: Vec::new() });
    let offer = offered_phase1(&body);
    assert_eq!(offer.transforms.iter().map(|one| one.transform.number).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(
        offer.skipped.iter().map(Skipped::to_string).collect::<Vec<_>>(),
        ["proposal 1, transform 2: attribute 99 is not understood", "proposal 2: protocol esp is not allowed here"]
    );
}

#[test]
fn no_more_than_255_transforms() {
    let body = phase1_sa(&[AES; 300]);
    assert_eq!(body.proposals[0].transforms.len(), 255);
    assert_eq!(body.proposals[0].transforms[254].number, 255);
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        (cipher, key_length) in prop::sample::select(vec![(1, 0), (5, 0), (7, 128), (3, 448), (6, 40), (8, 192)]),
        hash: u16,
        group: u16,
        method: u16,
        lifetime in 1_u32..,
    ) {
        let (cipher, hash, group) = (Cipher(cipher), Hash(hash), Group(group));
        let method = AuthMethod(method).on_the_wire();
        let terms = Phase1Terms { cipher, key_length, hash, group, method, lifetime };
        let body = SaBody::parse(&phase1_sa(&[terms]).encode()).unwrap();
        prop_assert_eq!(offered_phase1(&body).terms(), [terms]);
    }

    #[test]
    fn any_bytes_do_not_panic(attributes in prop::collection::vec(any::<u8>(), 0..60)) {
        let length = u8::try_from(attributes.len()).unwrap();
        let head = [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 16 + length, 1, 1, 0, 1, 0, 0, 0, 8 + length, 1, 1, 0, 0];
        if let Ok(body) = SaBody::parse(&[head.as_slice(), &attributes].concat()) {
            for one in offered_phase1(&body).transforms {
                prop_assert_eq!(phase1_answer(&one), body.clone());
            }
        }
    }
}
