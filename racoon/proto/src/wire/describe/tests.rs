use proptest::prelude::*;

use super::*;
use crate::num::{CertEncoding, ConfigType, Doi, ExchangeType, IdType, NotifyType};
use crate::proposal::encoding::{Suite, SuiteProtocol, SuiteTransform, phase1_sa, phase2_sa};
use crate::proposal::{Phase1Terms, Phase2Terms};
use crate::wire::{Cookie, NatTVersion, Tail, chain};

fn pair() -> CookiePair {
    CookiePair { initiator: Cookie([1; 8]), responder: Cookie([2; 8]) }
}

#[test]
fn a_message() {
    let hash = [7; 20];
    let chain = chain::encode(&[(PayloadType::HASH, &hash), (PayloadType::NONCE, &hash[..1])]);
    let payloads = chain::walk(PayloadType::HASH, &chain, Tail::Exact).unwrap();
    let flags = Flags::ENCRYPTED | Flags::COMMIT;
    let head = Header { flags, length: 57, ..Header::new(pair(), ExchangeType::QUICK, 0xabc) };
    assert_eq!(
        message(&head, &payloads),
        [
            "0101010101010101:0202020202020202 quick, message id 00000abc, flags encrypted+commit, version 1.0, \
             57 bytes",
            "HASH: 20 bytes",
            "NONCE: 1 byte",
        ]
    );
    assert!(header(&Header { flags: Flags::empty(), ..head }).contains("flags none"));
}

#[test]
fn sa_of_phase_1() {
    let terms = Phase1Terms {
        cipher: Cipher::AES,
        key_length: 256,
        hash: Hash::SHA256,
        group: Group::MODP2048,
        method: AuthMethod::PRE_SHARED_KEY,
        lifetime: 86_400,
    };
    assert_eq!(
        payload(PayloadType::SA, &phase1_sa(&[terms]).encode()),
        "SA: proposal 1 isakmp: transform 1 KEY_IKE (Encryption Algorithm aes, Key Length 256, Hash Algorithm sha256, \
         Group Description modp2048, Authentication Method pre_shared_key, Life Type seconds, Life Duration 86400)"
    );
}

#[test]
fn sa_of_phase_2() {
    let transform = crate::proposal::Phase2Transform {
        protocol: Protocol::ESP,
        id: EspTransform::AES.0,
        key_length: 128,
        authentication: AuthAlgorithm::HMAC_SHA1,
        truncated: false,
        mode: EncapsulationMode::TUNNEL,
    };
    let terms = Phase2Terms { lifetime: 3600, kilobytes: None, group: None };
    let transforms = vec![SuiteTransform::new(1, transform, terms, false)];
    let protocols = vec![SuiteProtocol { protocol: Protocol::ESP, spi: 0x0102_0304, transforms }];
    assert_eq!(
        payload(PayloadType::SA, &phase2_sa(&[Suite { number: 1, protocols }]).encode()),
        "SA: proposal 1 esp SPI 0x01020304: transform 1 aes (SA Life Type seconds, SA Life Duration 3600, \
         Encapsulation Mode tunnel, Key Length 128, Authentication Algorithm hmac_sha1)"
    );
}

#[test]
fn the_other_payloads() {
    let spi = pair().to_bytes().to_vec();
    let notify = Notify {
        doi: Doi::IPSEC,
        protocol: Protocol::ISAKMP,
        spi: spi.clone(),
        kind: NotifyType::R_U_THERE,
        data: vec![0; 4],
    };
    let initial = Notify { spi: Vec::new(), kind: NotifyType::INITIAL_CONTACT, data: Vec::new(), ..notify.clone() };
    let delete = |protocol, spis| Delete { doi: Doi::IPSEC, protocol, spis };
    let certificate = Certificate { encoding: CertEncoding::X509_SIGNATURE, data: vec![0; 900] };
    let nat_oa = NatOa { address: [192, 0, 2, 1].into() };
    let fragment = Fragment { id: 1, index: 3, last: true, data: vec![0; 9] };
    for (kind, body, line) in [
        (
            PayloadType::NOTIFY,
            notify.encode(),
            "N: R-U-THERE, DOI ipsec, protocol isakmp, SPI 0101010101010101:0202020202020202, 4 bytes of data",
        ),
        (
            PayloadType::NOTIFY,
            initial.encode(),
            "N: INITIAL-CONTACT, DOI ipsec, protocol isakmp, no SPI, 0 bytes of data",
        ),
        (
            PayloadType::DELETE,
            delete(Protocol::ESP, vec![vec![1, 2, 3, 4], vec![5, 6, 7, 8]]).encode(),
            "D: DOI ipsec, protocol esp, SPI 0x01020304, SPI 0x05060708",
        ),
        (
            PayloadType::DELETE,
            delete(Protocol::ISAKMP, vec![spi]).encode(),
            "D: DOI ipsec, protocol isakmp, SPI 0101010101010101:0202020202020202",
        ),
        (PayloadType::CERT, certificate.encode(), "CERT: x509_signature, 900 bytes"),
        (PayloadType::CERT_REQUEST, vec![4], "CR: x509_signature, 0 bytes"),
        (PayloadType::NAT_OA_DRAFT, nat_oa.encode(), "NAT-OA (drafts 00-03): 192.0.2.1"),
        (PayloadType::FRAGMENT, fragment.encode(), "FRAG: id 1, index 3, the last, 9 bytes"),
        (PayloadType::VENDOR_ID, VendorId::NatT(NatTVersion::Rfc3947).encode(), "VID: RFC 3947"),
        (PayloadType::VENDOR_ID, vec![0xab; 33], &format!("VID: unknown {}...", "ab".repeat(32))),
        (PayloadType::KEY_EXCHANGE, vec![1; 256], "KE: 256 bytes"),
        (PayloadType(99), vec![1; 3], "99: 3 bytes"),
        (
            PayloadType::DELETE,
            vec![0, 0, 0, 1, 3, 4, 0, 0],
            "D: malformed: Delete payload: byte 8: at least 1 is expected, number of SPIs is 0",
        ),
    ] {
        assert_eq!(payload(kind, &body), line);
    }
}

#[test]
fn answers_to_questions_are_not_told() {
    let attributes = vec![
        Attribute::short(ConfigAttribute::XAUTH_TYPE.0, 0),
        Attribute::long(ConfigAttribute::XAUTH_USER_NAME.0, *b"user"),
        Attribute::long(ConfigAttribute::XAUTH_USER_PASSWORD.0, *b"secret"),
        Attribute::short(ConfigAttribute::XAUTH_PASSCODE.0, 0x1234),
    ];
    let body = Attributes { kind: ConfigType::REPLY, id: 9, attributes };
    assert_eq!(
        payload(PayloadType::ATTRIBUTES, &body.encode()),
        "ATTR: REPLY 9: XAUTH_TYPE 0, XAUTH_USER_NAME (4 bytes), XAUTH_USER_PASSWORD (6 bytes), XAUTH_PASSCODE (short)"
    );
}

#[test]
fn lines_have_an_end() {
    let spis = vec![vec![0xff, 0xff, 0xff, 0xff]; 10_000];
    let line = payload(PayloadType::DELETE, &Delete { doi: Doi::IPSEC, protocol: Protocol::ESP, spis }.encode());
    assert!(line.ends_with("SPI 0xffffffff, 9984 more"), "{line}");
    let name = Identity::named(IdType::FQDN, vec![b'\n'; 3]);
    assert_eq!(payload(PayloadType::ID, &name.encode()), "ID: FQDN \\n\\n\\n");
}

proptest! {
    #[test]
    fn any_payload_has_a_line(kind in 0_u8..135, body in prop::collection::vec(any::<u8>(), 0..200)) {
        let line = payload(PayloadType(kind), &body);
        prop_assert!(!line.is_empty());
        prop_assert!(line.chars().all(|c| c.is_ascii_graphic() || c == ' '));
    }
}
