use std::collections::HashMap;

use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey, EcPoint};
use openssl::pkey::{PKey, Public};
use openssl::rsa::Rsa;

use super::*;
use crate::crypto::hex;

const ECDSA: [(AuthMethod, &str); 3] =
    [(AuthMethod::ECDSA_256, "ECDSA 256"), (AuthMethod::ECDSA_384, "ECDSA 384"), (AuthMethod::ECDSA_521, "ECDSA 521")];
const RSA: [&str; 4] = ["RSA 1024", "RSA 2048", "RSA 3072", "RSA 4096"];

struct Vector(HashMap<&'static str, Vec<u8>>);

impl Vector {
    /// Returns a vector of the file.
    fn of(name: &str) -> Self {
        let mut values: HashMap<_, Vec<u8>> = HashMap::new();
        let (_, section) = include_str!("vectors.txt").split_once(&format!("[{name}]\n")).unwrap();
        let mut field = "";
        for line in section.lines().take_while(|line| !line.is_empty()) {
            let (name, digits) = line.split_once(" =").unwrap_or((field, line));
            field = name;
            values.entry(field).or_default().extend(hex::bytes(digits));
        }
        Self(values)
    }

    fn private_key(&self, method: AuthMethod) -> PKey<Private> {
        let Form::Ecdsa { curve, .. } = Form::of(method).unwrap() else {
            return PKey::from_rsa(Rsa::private_key_from_der(&self.0["key"]).unwrap()).unwrap();
        };
        let curve = EcGroup::from_curve_name(curve).unwrap();
        let mut context = openssl::bn::BigNumContext::new().unwrap();
        let public = EcPoint::from_bytes(&curve, &self.0["U"], &mut context).unwrap();
        let private = BigNum::from_slice(&self.0["x"]).unwrap();
        PKey::from_ec_key(EcKey::from_private_components(&curve, &private, &public).unwrap()).unwrap()
    }

    fn public_key(&self, method: AuthMethod) -> PKey<Public> {
        let der = self.private_key(method).public_key_to_der().unwrap();
        PKey::public_key_from_der(&der).unwrap()
    }

    /// Whether the vector's key has signed its hash with `signature`.
    fn verify(&self, method: AuthMethod, signature: &[u8]) -> Result<bool, SignatureError> {
        let valid = verify(method, &self.public_key(method), &self.0["hash"], signature);
        assert!(ErrorStack::get().errors().is_empty());
        valid
    }
}

fn rsa_key(modulus: &[u8], exponent: u32) -> PKey<Public> {
    let (modulus, exponent) = (BigNum::from_slice(modulus).unwrap(), BigNum::from_u32(exponent).unwrap());
    PKey::from_rsa(Rsa::from_public_components(modulus, exponent).unwrap()).unwrap()
}

#[test]
fn known_signatures_are_made_and_accepted() {
    for name in RSA {
        let vector = Vector::of(name);
        let signature =
            sign(AuthMethod::RSA_SIGNATURES, &vector.private_key(AuthMethod::RSA_SIGNATURES), &vector.0["hash"]);
        assert_eq!(signature.as_ref(), Ok(&vector.0["signature"]), "{name}");
        assert_eq!(vector.verify(AuthMethod::RSA_SIGNATURES, &vector.0["signature"]), Ok(true), "{name}");
        assert_eq!(vector.verify(AuthMethod::XAUTH_RSA_CLIENT, &vector.0["signature"]), Ok(true), "{name}");
    }
    for (method, name) in ECDSA {
        let vector = Vector::of(name);
        assert_eq!(vector.verify(method, &vector.0["signature"]), Ok(true), "{name}");
        // An ECDSA signature contains a random number.
        let signature = sign(method, &vector.private_key(method), &vector.0["hash"]).unwrap();
        assert_eq!(signature.len(), vector.0["signature"].len());
        assert_eq!(vector.verify(method, &signature), Ok(true), "{name}");
    }
}

#[test]
fn signatures_of_strongswan_are_accepted() {
    for (kind, method) in [("RSA", AuthMethod::RSA_SIGNATURES), ("ECDSA 256", AuthMethod::ECDSA_256)] {
        let [initiator, responder] =
            ["initiator", "responder"].map(|role| Vector::of(&format!("strongSwan {kind} {role}")));
        let key = PKey::public_key_from_der(&initiator.0["public key"]).unwrap();
        let valid = |hash: &[u8]| verify(method, &key, hash, &initiator.0["signature"]);
        assert_eq!((valid(&initiator.0["hash"]), valid(&responder.0["hash"])), (Ok(true), Ok(false)), "{kind}");
        let key = PKey::public_key_from_der(&responder.0["public key"]).unwrap();
        assert_eq!(verify(method, &key, &responder.0["hash"], &responder.0["signature"]), Ok(true), "{kind}");
    }
}

#[test]
fn short_numbers_are_padded() {
    let vector = Vector::of("ECDSA 256");
    let key = vector.private_key(AuthMethod::ECDSA_256);
    // A number begins with a zero byte in one of 128 signatures.
    let is_short = |signature: &Vec<u8>| signature[0] == 0 || signature[32] == 0;
    let mut signatures = (0..10_000).map(|_| sign(AuthMethod::ECDSA_256, &key, &vector.0["hash"]).unwrap());
    let short = signatures.find(is_short).unwrap();
    assert_eq!((short.len(), vector.verify(AuthMethod::ECDSA_256, &short)), (64, Ok(true)));
}

#[test]
fn a_changed_bit_makes_it_invalid() {
    let methods = ECDSA.into_iter().chain([(AuthMethod::RSA_SIGNATURES, "RSA 1024")]);
    for (method, name) in methods {
        let vector = Vector::of(name);
        for at in 0..vector.0["signature"].len() {
            let mut signature = vector.0["signature"].clone();
            signature[at] ^= 1;
            assert_eq!(vector.verify(method, &signature), Ok(false), "{name} {at}");
        }
        let mut hash = vector.0["hash"].clone();
        hash[7] ^= 0x80;
        let valid = verify(method, &vector.public_key(method), &hash, &vector.0["signature"]);
        assert_eq!(valid, Ok(false), "{name}");
    }
}

#[test]
fn an_rsa_signature_is_as_long_as_the_modulus() {
    let vector = Vector::of("RSA 1024");
    let signature = &vector.0["signature"];
    for wrong in [
        vec![],
        vec![0; 128],
        vec![0xff; 128],
        [&[0], signature.as_slice()].concat(),
        [signature.as_slice(), &[0]].concat(),
    ] {
        assert_eq!(vector.verify(AuthMethod::RSA_SIGNATURES, &wrong), Ok(false), "{}", wrong.len());
    }
    // The same number in fewer bytes: a signature that begins with 0 occurs soon.
    let private = vector.private_key(AuthMethod::RSA_SIGNATURES);
    let found = (0_u32..10_000).find_map(|hash| {
        let signature = sign(AuthMethod::RSA_SIGNATURES, &private, &hash.to_be_bytes()).unwrap();
        (signature[0] == 0).then_some((hash.to_be_bytes(), signature))
    });
    let (hash, signature) = found.unwrap();
    let valid = |signature: &[u8]| {
        verify(AuthMethod::RSA_SIGNATURES, &vector.public_key(AuthMethod::RSA_SIGNATURES), &hash, signature)
    };
    assert_eq!((valid(&signature), valid(&signature[1..])), (Ok(true), Ok(false)));
}

/// Bleichenbacher's forgery of 2006 (CVE-2006-4339) and its variant with bytes inside the padding (CVE-2014-1568).
#[test]
fn forgeries_for_exponent_3_are_refused() {
    let vector = Vector::of("RSA 1024");
    let rsa = vector.public_key(AuthMethod::RSA_SIGNATURES).rsa().unwrap();
    let block = |forgery: &[u8]| {
        let mut block = vec![0; 128];
        rsa.public_decrypt(forgery, &mut block, Padding::NONE).unwrap();
        block
    };
    let (behind, inside) = (&vector.0["garbage behind"], &vector.0["garbage inside"]);
    let head = [0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    let hash = [&[0], vector.0["hash"].as_slice()].concat();
    // They would be accepted by a search for the hash behind eight bytes of padding, or at the end.
    assert!(block(behind).starts_with(&[head.as_slice(), &hash].concat()));
    assert!(block(inside).starts_with(&head) && block(inside).ends_with(&hash));
    for forgery in [behind, inside] {
        assert_eq!(vector.verify(AuthMethod::RSA_SIGNATURES, forgery), Ok(false));
    }
}

#[test]
fn a_digest_info_is_not_part_of_it() {
    let vector = Vector::of("RSA 2048");
    let key = vector.private_key(AuthMethod::RSA_SIGNATURES);
    let mut context = PkeyCtx::new(&key).unwrap();
    context.sign_init().unwrap();
    context.set_signature_md(openssl::md::Md::sha256()).unwrap();
    let mut signature = Vec::new();
    context.sign_to_vec(&vector.0["hash"], &mut signature).unwrap();
    assert_eq!(vector.verify(AuthMethod::RSA_SIGNATURES, &signature), Ok(false));
}

#[test]
fn ecdsa_numbers_have_their_length_and_range() {
    for (method, name) in ECDSA {
        let vector = Vector::of(name);
        let (r, s) = vector.0["signature"].split_at(vector.0["signature"].len() / 2);
        let (zero, q) = (vec![0; r.len()], vector.0["q"].as_slice());
        let [plus_r, above] = [BigNum::from_slice(r).unwrap(), BigNum::from_u32(1).unwrap()].map(|number| {
            let sum = &number + &BigNum::from_slice(q).unwrap();
            sum.to_vec_padded(i32::try_from(r.len()).unwrap() + 1).unwrap()
        });
        let pairs = [
            [&zero, s],
            [r, &zero],
            [&zero, &zero],
            [q, s],
            [r, q],
            [s, r],
            // r + q is r modulo q, but does not fit except on P-521.
            [&plus_r[1..], s],
            [&plus_r, s],
            [&above[1..], s],
            [&r[1..], s],
            [r, &s[1..]],
            [&[0], &vector.0["signature"]],
            [&vector.0["signature"], &[0]],
            [&[], &[]],
        ];
        for (at, pair) in pairs.iter().enumerate() {
            assert_eq!(vector.verify(method, &pair.concat()), Ok(false), "{name} {at}");
        }
        let numbers = EcdsaSig::from_private_components(BigNum::from_slice(r).unwrap(), BigNum::from_slice(s).unwrap());
        assert_eq!(vector.verify(method, &numbers.unwrap().to_der().unwrap()), Ok(false), "{name} in DER");
    }
}

#[test]
fn a_key_of_another_kind_is_named() {
    let key = |name: &str, method| Vector::of(name).public_key(method);
    let keys = [
        (key("RSA 1024", AuthMethod::RSA_SIGNATURES), "RSA", Some(AuthMethod::RSA_SIGNATURES)),
        (key("ECDSA 256", AuthMethod::ECDSA_256), "P-256", Some(AuthMethod::ECDSA_256)),
        (key("ECDSA 384", AuthMethod::ECDSA_384), "P-384", Some(AuthMethod::ECDSA_384)),
        (key("ECDSA 521", AuthMethod::ECDSA_521), "P-521", Some(AuthMethod::ECDSA_521)),
    ];
    let hash_length = |method| match Form::of(method) {
        Ok(Form::Ecdsa { hash_length, .. }) => hash_length,
        _ => 20,
    };
    for (key, kind, method) in &keys {
        assert_eq!((key_kind(key), signature_method(key)), ((*kind).into(), *method));
        for other in keys.iter().filter_map(|(.., other)| *other).filter(|other| Some(*other) != *method) {
            let refused = Err(SignatureError::KeyKind(other, (*kind).into()));
            assert_eq!(verify(other, key, &vec![1; hash_length(other)], &[0; 64]), refused);
        }
    }
    let other = EcGroup::from_curve_name(Nid::SECP256K1).unwrap();
    let other = PKey::from_ec_key(EcKey::generate(&other).unwrap()).unwrap();
    assert_eq!((key_kind(&other), signature_method(&other)), ("secp256k1".into(), None));
    let refused = SignatureError::KeyKind(AuthMethod::ECDSA_256, "secp256k1".into());
    assert_eq!(sign(AuthMethod::ECDSA_256, &other, &[1; 32]), Err(refused.clone()));
    assert_eq!(refused.to_string(), "authentication method ecdsa_256 needs another key than secp256k1");
    let edwards = PKey::generate_ed25519().unwrap();
    assert_eq!((key_kind(&edwards), signature_method(&edwards)), ("ED25519".into(), None));
}

#[test]
fn an_exponent_with_which_anybody_can_sign_is_refused() {
    let modulus = Vector::of("RSA 1024").public_key(AuthMethod::RSA_SIGNATURES).rsa().unwrap().n().to_vec();
    let hash = [0x5a; 20];
    // With the exponent 1 the padded hash is its own signature.
    let block = [&[0, 1], [0xff; 105].as_slice(), &[0], &hash].concat();
    for exponent in [1, 2, 65536] {
        let refused = verify(AuthMethod::RSA_SIGNATURES, &rsa_key(&modulus, exponent), &hash, &block);
        let kind = "RSA with an unusable exponent".to_owned();
        assert_eq!(refused, Err(SignatureError::KeyKind(AuthMethod::RSA_SIGNATURES, kind)), "{exponent}");
    }
}

#[test]
fn a_hash_of_another_length_is_refused() {
    for (method, name) in ECDSA {
        let vector = Vector::of(name);
        for length in [0, 16, 20, 31, 33, 63, 65] {
            let refused = SignatureError::HashLength(method, length);
            assert_eq!(sign(method, &vector.private_key(method), &vec![1; length]), Err(refused.clone()));
            let signature = &vector.0["signature"];
            assert_eq!(verify(method, &vector.public_key(method), &vec![1; length], signature), Err(refused));
        }
    }
    let vector = Vector::of("RSA 1024");
    let private = vector.private_key(AuthMethod::RSA_SIGNATURES);
    assert_eq!(
        sign(AuthMethod::RSA_SIGNATURES, &private, &[]),
        Err(SignatureError::HashLength(AuthMethod::RSA_SIGNATURES, 0))
    );
    // The padding has at least eight bytes, and three more belong to it.
    assert!(sign(AuthMethod::RSA_SIGNATURES, &private, &[1; 128 - 11]).is_ok());
    assert!(matches!(sign(AuthMethod::RSA_SIGNATURES, &private, &[1; 128 - 10]), Err(SignatureError::Crypto(_))));
    for length in [19, 21, 64] {
        let mut hash = vector.0["hash"].clone();
        hash.resize(length, 0);
        let valid = verify(
            AuthMethod::RSA_SIGNATURES,
            &vector.public_key(AuthMethod::RSA_SIGNATURES),
            &hash,
            &vector.0["signature"],
        );
        assert_eq!(valid, Ok(false), "{length}");
    }
}

#[test]
fn methods_have_their_hashes() {
    let hashes = [
        (AuthMethod::ECDSA_256, Some(Hash::SHA256)),
        (AuthMethod::ECDSA_384, Some(Hash::SHA384)),
        (AuthMethod::ECDSA_521, Some(Hash::SHA512)),
        (AuthMethod::RSA_SIGNATURES, None),
        (AuthMethod::PRE_SHARED_KEY, None),
    ];
    for (method, hash) in hashes {
        assert_eq!(signature_hash(method), hash, "{method}");
    }
    let key = Vector::of("RSA 1024").public_key(AuthMethod::RSA_SIGNATURES);
    for method in [AuthMethod::PRE_SHARED_KEY, AuthMethod::DSS_SIGNATURES, AuthMethod(0)] {
        assert_eq!(verify(method, &key, &[1; 20], &[0; 128]), Err(SignatureError::Method(method)));
    }
}
