use openssl::pkcs7::Pkcs7Flags;
use openssl::stack::Stack;
use proptest::prelude::*;

use super::*;
use crate::certificate::fixture::{certificate, key, name};

fn x509_of(common: &str) -> X509 {
    certificate(&name(&[("CN", common)]).to_der().unwrap(), &key(), |_| ())
}

fn payload(encoding: CertEncoding, data: impl Into<Vec<u8>>) -> Certificate {
    Certificate { encoding, data: data.into() }
}

/// Returns certificates as PKCS #7, with a signature over nothing by the first one's key.
fn collection(others: &[X509]) -> Vec<u8> {
    let key = key();
    let signer = certificate(&name(&[("CN", "signer")]).to_der().unwrap(), &key, |_| ());
    let mut stack = Stack::new().unwrap();
    for one in others {
        stack.push(one.clone()).unwrap();
    }
    Pkcs7::sign(&signer, &key, &stack, &[], Pkcs7Flags::NOATTR).unwrap().to_der().unwrap()
}

fn subjects(payloads: &[Certificate]) -> Result<Vec<String>, PeerProblem> {
    let subjects = parse_all(payloads).map(|found| found.iter().map(|one| crate::certificate::subject(one)).collect());
    assert!(ErrorStack::get().errors().is_empty());
    subjects
}

#[test]
fn certificates_stay_in_order() {
    let (a, b) = (x509_of("a").to_der().unwrap(), x509_of("b").to_der().unwrap());
    let payloads = [
        payload(CertEncoding::X509_SIGNATURE, a.clone()),
        payload(CertEncoding::CRL, [1]),
        payload(CertEncoding::PKCS7, collection(&[x509_of("c"), x509_of("d")])),
        payload(CertEncoding::X509_KEY_EXCHANGE, b),
    ];
    let expected = ["CN=a", "CN=signer", "CN=c", "CN=d", "CN=b"].map(String::from);
    assert_eq!(subjects(&payloads), Ok(expected.into()));
    assert_eq!(parse_all(&payloads).unwrap()[0].to_der().unwrap(), a);
}

/// `openssl crl2pkcs7 -nocrl`, with whose form Windows wraps a chain, has neither a signer nor contents.
#[test]
fn a_collection_needs_no_signer() {
    let certificate = x509_of("a").to_der().unwrap();
    let element = |tag: u8, contents: &[u8]| {
        let [high, low] = u16::try_from(contents.len()).unwrap().to_be_bytes();
        [&[tag, 0x82, high, low], contents].concat()
    };
    let data_type = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
    let signed_type = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
    let version_and_hashes = [2, 1, 1, 0x31, 0];
    let contents = [&[0x30, 11], &data_type[..]].concat();
    let signed = [&version_and_hashes[..], &contents, &element(0xa0, &certificate), &[0x31, 0]].concat();
    let wrapped = element(0x30, &[&signed_type[..], &element(0xa0, &element(0x30, &signed))].concat());
    assert_eq!(subjects(&[payload(CertEncoding::PKCS7, wrapped)]), Ok(vec!["CN=a".into()]));
    // Another type of PKCS #7, and signed data without contents.
    for other in [[&[0x30, 11], &data_type[..]].concat(), [&[0x30, 11], &signed_type[..]].concat()] {
        let refused = Err(PeerProblem::Unparsable(CertEncoding::PKCS7));
        assert_eq!(subjects(&[payload(CertEncoding::PKCS7, other)]), refused);
    }
}

#[test]
fn what_is_no_certificate_is_refused() {
    let der = x509_of("a").to_der().unwrap();
    for encoding in [CertEncoding::X509_SIGNATURE, CertEncoding::PKCS7] {
        let refused = Err(PeerProblem::Unparsable(encoding));
        for bytes in [&[][..], &[0], &[0x30, 0], &[0x30, 0x80, 0, 0], &der[..der.len() - 1], &[&der[..], &[0]].concat()]
        {
            assert_eq!(subjects(&[payload(encoding, bytes)]), refused, "{encoding} {}", bytes.len());
        }
        // A valid one does not make up for an invalid one.
        let both = [payload(CertEncoding::X509_SIGNATURE, der.clone()), payload(encoding, [0x30, 0])];
        assert_eq!(subjects(&both), refused);
    }
    let nested = vec![0x30; 60_000];
    assert!(subjects(&[payload(CertEncoding::X509_SIGNATURE, nested)]).is_err());
}

#[test]
fn other_encodings_are_named() {
    assert_eq!(subjects(&[]), Err(PeerProblem::NoCertificate));
    let others = [payload(CertEncoding(2), [1]), payload(CertEncoding::CRL, [1])];
    assert_eq!(subjects(&others), Err(PeerProblem::Encoding(CertEncoding(2))));
    let empty = [0x30, 0x80];
    assert_eq!(subjects(&[payload(CertEncoding(0), empty)]), Err(PeerProblem::Encoding(CertEncoding(0))));
}

#[test]
fn number_and_length_are_limited() {
    let der = x509_of("a").to_der().unwrap();
    let one = payload(CertEncoding::X509_SIGNATURE, der.clone());
    assert_eq!(parse_all(&vec![one.clone(); CERTIFICATES_MAX]).map(|found| found.len()), Ok(CERTIFICATES_MAX));
    let too_many = vec![one; CERTIFICATES_MAX + 1];
    assert_eq!(subjects(&too_many), Err(PeerProblem::TooMany(11, 11 * der.len())));
    let long = [payload(CertEncoding::CRL, vec![0; CERTIFICATES_LEN_MAX]), payload(CertEncoding::CRL, [0])];
    assert_eq!(subjects(&long), Err(PeerProblem::TooMany(2, CERTIFICATES_LEN_MAX + 1)));
    // Eleven in one payload.
    let packed = collection(&vec![x509_of("a"); CERTIFICATES_MAX]);
    let refused = Err(PeerProblem::TooMany(11, packed.len()));
    assert_eq!(subjects(&[payload(CertEncoding::PKCS7, packed)]), refused);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn anything_can_be_parsed(encoding in 0_u8..8, byte in any::<u8>(), at in any::<prop::sample::Index>()) {
        for mut der in [x509_of("a").to_der().unwrap(), collection(&[])] {
            *at.get_mut(&mut der) = byte;
            if let Ok(found) = parse(&payload(CertEncoding(encoding), der)) {
                for one in found {
                    let _ = (crate::certificate::subject(&one), crate::certificate::names(&one, crate::num::IdType::FQDN));
                }
            }
        }
    }
}
