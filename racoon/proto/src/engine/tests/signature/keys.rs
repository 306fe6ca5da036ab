//! Private keys and certificates in memory. A certificate is trusted if it is in a list, so that no chains are built here.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509Name};
use zeroize::Zeroizing;

use crate::credentials::{
    Certificate, CertificateProblem, Credentials, OwnKey, OwnProblem, PeerProblem, SignRequest, Signed, Trust,
    VerifiedPeer, VerifyRequest,
};
use crate::crypto::signature;
use crate::identity::Identity;
use crate::num::{CertEncoding, IdType};
use crate::psk::{KeyTable, NoKey};

/// A private key and the certificate of its owner.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) key: PKey<Private>,
    pub(crate) certificate: Vec<u8>,
    /// DER of the subject.
    pub(crate) subject: Vec<u8>,
}

/// The type of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Rsa,
    Curve(Nid),
}

impl Pair {
    /// A new pair for the owner of `address`, whom it names in subject and subjectAltName.
    pub(crate) fn of(address: IpAddr, kind: Kind) -> Self {
        let key = key(kind);
        let (mut name, mut certificate) = (X509Name::builder().unwrap(), X509::builder().unwrap());
        name.append_entry_by_text("C", "NL").unwrap();
        name.append_entry_by_text("CN", &address.to_string()).unwrap();
        let name = name.build();
        certificate.set_version(2).unwrap();
        certificate.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
        certificate.set_subject_name(&name).unwrap();
        certificate.set_issuer_name(&name).unwrap();
        certificate.set_pubkey(&key).unwrap();
        certificate.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        certificate.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        let names =
            SubjectAlternativeName::new().ip(&address.to_string()).build(&certificate.x509v3_context(None, None));
        certificate.append_extension(names.unwrap()).unwrap();
        certificate.sign(&key, MessageDigest::sha256()).unwrap();
        let certificate = certificate.build().to_der().unwrap();
        Self { key, certificate, subject: name.to_der().unwrap() }
    }

    /// The name under which the key is configured.
    pub(crate) fn own_key() -> Arc<OwnKey> {
        Arc::new(OwnKey::X509 { certificate: PathBuf::from("own.pem"), key: PathBuf::from("own.key") })
    }
}

/// A key of this kind. RSA keys take long to make, so they are used again.
fn key(kind: Kind) -> PKey<Private> {
    static SPARE: Mutex<Vec<PKey<Private>>> = Mutex::new(Vec::new());
    static NEXT: Mutex<usize> = Mutex::new(0);
    match kind {
        Kind::Curve(curve) => {
            let group = EcGroup::from_curve_name(curve).unwrap();
            PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
        }
        Kind::Rsa => {
            let mut spare = SPARE.lock().unwrap();
            let mut next = NEXT.lock().unwrap();
            *next += 1;
            // Never the same for two hosts of a test, which make theirs one after the other.
            if spare.len() < 8 {
                spare.push(PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap());
            }
            spare[*next % spare.len()].clone()
        }
    }
}

/// The credentials of a host.
#[derive(Default)]
pub(crate) struct Keeper {
    pub(crate) own: Option<Pair>,
    /// Trusted certificates in DER, each with the reason why it is refused nevertheless.
    pub(crate) trusted: HashMap<Vec<u8>, Option<CertificateProblem>>,
    /// What is sent in place of our certificate.
    pub(crate) sends: Option<Vec<Certificate>>,
    /// What is sent in place of our signature.
    pub(crate) forged: Option<Vec<u8>>,
    /// Number of signatures that were verified.
    pub(crate) verified: Mutex<usize>,
    /// The trust with which the last one was.
    pub(crate) asked: Mutex<Option<Arc<Trust>>>,
}

impl KeyTable for Keeper {
    fn key(&self, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, NoKey> {
        Err(NoKey::NoFile)
    }
}

impl Credentials for Keeper {
    fn sign(&self, request: &SignRequest) -> Result<Signed, OwnProblem> {
        assert_eq!(request.key, Pair::own_key());
        let own = self.own.as_ref().ok_or(OwnProblem::NotConfigured)?;
        let signature = signature::sign(request.method, &own.key, request.hash.as_bytes());
        let signature = signature.map_err(|_| OwnProblem::KeyKind("of another kind".into()))?;
        let certificate = Certificate { encoding: CertEncoding::X509_SIGNATURE, data: own.certificate.clone() };
        Ok(Signed {
            signature: self.forged.clone().unwrap_or(signature),
            certificates: self.sends.clone().unwrap_or_else(|| vec![certificate]),
        })
    }

    fn verify(&self, request: &VerifyRequest) -> Result<VerifiedPeer, PeerProblem> {
        *self.verified.lock().unwrap() += 1;
        *self.asked.lock().unwrap() = Some(Arc::clone(&request.trust));
        let sent = request.certificates.first().ok_or(PeerProblem::NoCertificate)?;
        let certificate = X509::from_der(&sent.data).map_err(|_| PeerProblem::Unparsable(sent.encoding))?;
        let subject = format!("{:?}", certificate.subject_name());
        match self.trusted.get(&sent.data) {
            None => {
                let issuer = subject.clone();
                return Err(PeerProblem::Certificate(CertificateProblem::UnknownIssuer { subject, issuer }));
            }
            Some(Some(problem)) => return Err(PeerProblem::Certificate(problem.clone())),
            Some(None) => {}
        }
        if !names(&certificate, &request.identity) {
            return Err(PeerProblem::NotNamed { identity: request.identity.clone(), subject, found: Vec::new() });
        }
        let key = certificate.public_key().unwrap();
        match signature::verify(request.method, &key, request.hash.as_bytes(), &request.signature) {
            Ok(true) => {
                Ok(VerifiedPeer { certificate: Some(sent.data.clone()), subject: Some(subject), warnings: Vec::new() })
            }
            Ok(false) => Err(PeerProblem::Signature),
            Err(_) => Err(PeerProblem::KeyKind("of another kind".into())),
        }
    }
}

/// Whether a certificate names an identity.
fn names(certificate: &X509, identity: &Identity) -> bool {
    if identity.kind == IdType::DER_ASN1_DN {
        return certificate.subject_name().to_der().unwrap() == identity.data;
    }
    let names = certificate.subject_alt_names().unwrap();
    names.iter().any(|name| name.ipaddress() == Some(identity.data.as_slice()))
}
