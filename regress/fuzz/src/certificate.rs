//! Body of the fuzz target `certificate`. Tests of racoon-proto run it with the seeds on the stable compiler.

use racoon_proto::certificate::{check_identity, issuer, names, parse_all, subject};
use racoon_proto::credentials::{CERTIFICATES_MAX, Certificate};
use racoon_proto::crypto::signature;
use racoon_proto::identity::{Identity, Name};
use racoon_proto::num::IdType;
use racoon_proto::wire::Certificate as Payload;

/// Reads the body of a CERT payload, and its data also as the name in a CR payload and as the body of a SIG payload.
pub fn certificate(bytes: &[u8]) {
    let Ok(Payload { encoding, data }) = Payload::parse(bytes) else { return };
    name(&data);
    let Ok(found) = parse_all(&[Certificate { encoding, data: data.clone() }]) else { return };
    assert!(!found.is_empty() && found.len() <= CERTIFICATES_MAX);
    for one in &found {
        shown(&subject(one));
        shown(&issuer(one));
        for kind in [IdType::FQDN, IdType::USER_FQDN, IdType::IPV4_ADDR, IdType::IPV6_ADDR, IdType::DER_ASN1_DN] {
            names(one, kind).iter().for_each(|name| shown(name));
            // No certificate names itself.
            assert!(check_identity(&Identity::named(kind, data.clone()), one).is_err());
        }
        if let Ok(der) = one.subject_name().to_der() {
            let is_contained = check_identity(&Identity::named(IdType::DER_ASN1_DN, der), one).is_ok();
            assert_eq!(is_contained, one.subject_name().entries().next().is_some());
        }
        let Ok(key) = one.public_key() else { continue };
        shown(&signature::key_kind(&key));
        if let Some(method) = signature::signature_method(&key) {
            for length in [20, 32, 48, 64] {
                let _ = signature::verify(method, &key, &vec![0x5a; length], &data);
            }
        }
    }
}

fn name(der: &[u8]) {
    let Some(name) = Name::from_der(der) else { return };
    shown(&name.to_string());
    if let Ok(der) = name.to_der() {
        assert_eq!(Name::from_der(&der), Some(name));
    }
}

/// Text of a peer must not break a log line.
fn shown(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
}
