//! The key and the certificate that all simulated hosts of a suite have, and the pre-shared key.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use openssl::pkey::{PKey, Private, Public};
use openssl::x509::X509;
use racoon_proto::credentials::{
    Certificate, Credentials, OwnKey, OwnProblem, PeerProblem, SignRequest, Signed, VerifiedPeer, VerifyRequest,
};
use racoon_proto::crypto::signature;
use racoon_proto::identity::Identity;
use racoon_proto::num::{CertEncoding, IdType};
use racoon_proto::psk::{KeyTable, NoKey};
use zeroize::Zeroizing;

use crate::suite::Suite;

/// The keys of a suite.
pub(crate) struct Keys {
    certified: Option<Certified>,
}

/// A key with its certificate.
struct Certified {
    key: PKey<Private>,
    certificate: X509,
    der: Vec<u8>,
    authority: PKey<Public>,
}

impl Keys {
    /// Loads `client-KIND.key`, `client-KIND.pem` and `root.pem` if the suite has signatures.
    pub(crate) fn load(suite: Suite, dir: &Path) -> Result<Arc<Self>> {
        let read = |name: &str| fs::read(dir.join(name)).with_context(|| dir.join(name).display().to_string());
        let certified = match suite.signature {
            None => None,
            Some(signature) => {
                let name = format!("client-{}", signature.name);
                let certificate = X509::from_pem(&read(&format!("{name}.pem"))?)?;
                Some(Certified {
                    key: PKey::private_key_from_pem(&read(&format!("{name}.key"))?)?,
                    der: certificate.to_der()?,
                    certificate,
                    authority: X509::from_pem(&read("root.pem")?)?.public_key()?,
                })
            }
        };
        Ok(Arc::new(Self { certified }))
    }

    /// Returns the pre-shared key alone.
    pub(crate) fn pre_shared() -> Arc<Self> {
        Arc::new(Self { certified: None })
    }

    /// Returns the subject of the certificate as an identity; an empty one without a certificate.
    pub(crate) fn identity(&self) -> Identity {
        let subject = self.certified.as_ref().and_then(|own| own.certificate.subject_name().to_der().ok());
        Identity::named(IdType::DER_ASN1_DN, subject.unwrap_or_default())
    }
}

impl KeyTable for Keys {
    fn key(&self, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, NoKey> {
        Ok(Zeroizing::new(b"handshakes".to_vec()))
    }
}

impl Credentials for Keys {
    fn sign(&self, request: &SignRequest) -> Result<Signed, OwnProblem> {
        let own = self.certified.as_ref().ok_or(OwnProblem::NotConfigured)?;
        let signature = signature::sign(request.method, &own.key, request.hash.as_bytes())
            .map_err(|error| OwnProblem::Signing(error.to_string()))?;
        let certificate = Certificate { encoding: CertEncoding::X509_SIGNATURE, data: own.der.clone() };
        Ok(Signed { signature, certificates: vec![certificate] })
    }

    /// Verifies the chain of two certificates and the signature, without names and times.
    fn verify(&self, request: &VerifyRequest) -> Result<VerifiedPeer, PeerProblem> {
        let own = self.certified.as_ref().ok_or(PeerProblem::NoCertificate)?;
        let sent = request.certificates.first().ok_or(PeerProblem::NoCertificate)?;
        let unparsable = |_| PeerProblem::Unparsable(sent.encoding);
        let certificate = X509::from_der(&sent.data).map_err(unparsable)?;
        let key = certificate.public_key().map_err(unparsable)?;
        let is_certified = certificate.verify(&own.authority).is_ok_and(|is_valid| is_valid);
        let is_signed = signature::verify(request.method, &key, request.hash.as_bytes(), &request.signature);
        if is_certified && is_signed.is_ok_and(|is_valid| is_valid) {
            Ok(VerifiedPeer::default())
        } else {
            Err(PeerProblem::Signature)
        }
    }
}

/// Returns a name of the key for the engine. There is only one key.
pub(crate) fn own_key() -> Arc<OwnKey> {
    Arc::new(OwnKey::X509 { certificate: PathBuf::from("certificate"), key: PathBuf::from("key") })
}
