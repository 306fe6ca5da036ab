use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Two proposals of one number, the second with two transforms.
const GOLDEN: [u8; 64] = [
    0, 0, 0, 1, // DOI ipsec
    0, 0, 0, 1, // identity only
    2, 0, 0, 26, // proposal, one follows
    1, 2, 4, 1, // number 1, AH, SPI of 4 bytes, one transform
    0x11, 0x22, 0x33, 0x44, // SPI
    0, 0, 0, 14, // transform, the last
    1, 3, 0, 0, // number 1, SHA-1
    0, 2, 0, 2, 0x0e, 0x10, // attribute 2, long, 3600
    0, 0, 0, 30, // proposal, the last
    1, 4, 2, 2, // number 1, IPComp, SPI of 2 bytes, two transforms
    0x55, 0x66, // SPI
    3, 0, 0, 12, // transform, one follows
    1, 2, 0, 0, // number 1, DEFLATE
    0x80, 4, 0, 2, // attribute 4, short, 2
    0, 0, 0, 8, // transform, the last
    2, 3, 0, 0, // number 2, LZS
];

fn golden() -> SaBody {
    SaBody::new(vec![
        Proposal {
            number: 1,
            protocol: Protocol::AH,
            spi: vec![0x11, 0x22, 0x33, 0x44],
            transforms: vec![Transform { number: 1, id: 3, attributes: vec![Attribute::long(2, [0x0e, 0x10])] }],
        },
        Proposal {
            number: 1,
            protocol: Protocol::IPCOMP,
            spi: vec![0x55, 0x66],
            transforms: vec![
                Transform { number: 1, id: 2, attributes: vec![Attribute::short(4, 2)] },
                Transform { number: 2, id: 3, attributes: Vec::new() },
            ],
        },
    ])
}

/// What becomes of the golden bytes with one of them changed.
fn changed(at: usize, value: u8) -> Result<SaBody, WireError> {
    let mut bytes = GOLDEN;
    bytes[at] = value;
    SaBody::parse(&bytes)
}

#[test]
fn golden_bytes() {
    assert_eq!(SaBody::parse(&GOLDEN), Ok(golden()));
    assert_eq!(golden().encode(), GOLDEN);
}

#[test]
fn every_shorter_body_is_refused() {
    for length in 0..GOLDEN.len() {
        assert!(SaBody::parse(&GOLDEN[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn other_domains_and_situations() {
    assert_eq!(changed(3, 0), Err(WireError::Doi { found: Doi::ISAKMP }));
    assert_eq!(changed(7, 3), Err(WireError::Situation { found: 3 }));
}

#[test]
fn chains_end_where_their_payload_ends() {
    for (at, value, what) in [
        (8, 0, "no proposal follows, but one does"),
        (8, 3, "a transform follows a proposal"),
        (34, 2, "a proposal follows, but none does"),
        (23, 13, "a transform is shorter than its attribute"),
        (23, 15, "a transform is longer than its proposal"),
        (23, 3, "a transform is shorter than a generic header"),
        (20, 3, "a transform follows, but none does"),
        (44, 0, "no transform follows, but one does"),
        (44, 2, "a proposal follows a transform"),
        (11, 25, "a proposal is shorter than its transform"),
        (11, 27, "a proposal is longer than its transform"),
        (15, 2, "one transform too few"),
        (41, 1, "one transform too many"),
        (41, 0, "none is counted"),
        (14, 17, "the SPI is too long"),
        (14, 200, "the SPI goes beyond the proposal"),
        (31, 200, "an attribute goes beyond its transform"),
    ] {
        assert_ne!(GOLDEN[at], value, "{what}");
        assert!(changed(at, value).is_err(), "{what}");
    }
}

#[test]
fn reserved_bytes_are_tolerated() {
    for at in [9, 21, 26, 27, 45] {
        assert_eq!(changed(at, 0xff), Ok(golden()), "byte {at}");
    }
}

#[test]
fn no_proposal_and_no_transform() {
    assert!(SaBody::parse(&GOLDEN[..8]).is_err());
    let empty = [&GOLDEN[..8], &[0, 0, 0, 8, 1, 3, 0, 0]].concat();
    assert!(matches!(SaBody::parse(&empty), Err(WireError::Truncated { part: "Proposal payload", .. })));
}

#[test]
fn too_many_transforms_are_cut() {
    let transform = Transform { number: 1, id: 1, attributes: Vec::new() };
    let transforms = vec![transform; 300];
    let body = SaBody::new(vec![Proposal { number: 1, protocol: Protocol::ISAKMP, spi: Vec::new(), transforms }]);
    let read = SaBody::parse(&body.encode()).unwrap();
    assert_eq!(read.proposals[0].transforms.len(), 255);
}

fn attributes() -> impl Strategy<Value = Attribute> {
    prop_oneof![
        (0_u16..0x8000, any::<u16>()).prop_map(|(kind, value)| Attribute::short(kind, value)),
        (0_u16..0x8000, vec(any::<u8>(), 0..20)).prop_map(|(kind, value)| Attribute::long(kind, value)),
    ]
}

prop_compose! {
    fn transforms()(number: u8, id: u8, attributes in vec(attributes(), 0..5)) -> Transform {
        Transform { number, id, attributes }
    }
}

prop_compose! {
    fn proposals()(
        number: u8, protocol: u8, spi in vec(any::<u8>(), 0..17), transforms in vec(transforms(), 1..4),
    ) -> Proposal {
        Proposal { number, protocol: Protocol(protocol), spi, transforms }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(proposals in vec(proposals(), 1..4)) {
        let body = SaBody::new(proposals);
        prop_assert_eq!(SaBody::parse(&body.encode()), Ok(body));
    }

    #[test]
    fn changed_bytes_do_not_panic(changes in vec((0_usize..64, any::<u8>()), 1..6)) {
        let mut bytes = GOLDEN;
        for (at, value) in changes {
            bytes[at] = value;
        }
        if let Ok(body) = SaBody::parse(&bytes) {
            prop_assert_eq!(SaBody::parse(&body.encode()), Ok(body));
        }
    }

    #[test]
    fn any_bytes_do_not_panic(rest in vec(any::<u8>(), 0..60)) {
        let _ = SaBody::parse(&rest);
        let _ = SaBody::parse(&[&GOLDEN[..8], rest.as_slice()].concat());
    }
}
