//! Verification of a peer: its certificate, the identity in it, and its signature.

use std::path::Path;

use openssl::pkey::{PKeyRef, Public};
use openssl::x509::X509;
use racoon_proto::certificate;
use racoon_proto::credentials::{CertificateProblem, PeerProblem, PinnedKey, Trust, VerifiedPeer, VerifyRequest};
use racoon_proto::crypto::signature::{self, SignatureError};
use racoon_proto::num::CertEncoding;

use super::{Snapshot, chain};

impl Snapshot {
    /// Checks a peer's signature, see [`racoon_proto::credentials::Credentials::verify`].
    pub(super) fn verify(&self, request: &VerifyRequest) -> Result<VerifiedPeer, PeerProblem> {
        let certificates = match &request.trust.pinned {
            Some(PinnedKey::PlainRsa(file)) => return self.verify_plain_rsa(file, request),
            Some(PinnedKey::X509(file)) => self.pinned(file)?,
            None => certificate::parse_all(&request.certificates)?,
        };
        let leaf = leaf(&certificates, request).ok_or(PeerProblem::NoCertificate)?;
        let warnings = match request.trust.verify_cert {
            true => self.verify_certificate(leaf, &certificates, request)?,
            false => Vec::new(),
        };
        let key = leaf.public_key().map_err(|_| PeerProblem::Unparsable(CertEncoding::X509_SIGNATURE))?;
        verify_signature(&key, request)?;
        let subject = Some(certificate::subject(leaf));
        Ok(VerifiedPeer { certificate: leaf.to_der().ok(), subject, warnings })
    }

    /// Checks a signature with configured public keys, one of which must have made it.
    fn verify_plain_rsa(&self, file: &Path, request: &VerifyRequest) -> Result<VerifiedPeer, PeerProblem> {
        let mut problem = PeerProblem::NoPlainKey(file.into());
        for key in self.plain_keys(file, request.addresses) {
            match verify_signature(key, request) {
                Ok(()) => return Ok(VerifiedPeer::default()),
                Err(other) => problem = other,
            }
        }
        Err(problem)
    }

    /// Verifies the chain of a certificate and that it names the claimed identity. Returns warnings.
    fn verify_certificate(
        &self,
        leaf: &X509,
        certificates: &[X509],
        request: &VerifyRequest,
    ) -> Result<Vec<CertificateProblem>, PeerProblem> {
        let Trust { authorities, system, crl_required, .. } = &*request.trust;
        let store = self.authorities(authorities.as_deref(), *system).ok_or_else(|| {
            let (subject, issuer) = (certificate::subject(leaf), certificate::issuer(leaf));
            PeerProblem::Certificate(CertificateProblem::UnknownIssuer { subject, issuer })
        })?;
        let warnings = chain::verify(&store.store(), leaf, certificates, *crl_required);
        let warnings = warnings.map_err(PeerProblem::Certificate)?;
        certificate::check_identity(&request.identity, leaf).map(|()| warnings)
    }
}

fn verify_signature(key: &PKeyRef<Public>, request: &VerifyRequest) -> Result<(), PeerProblem> {
    match signature::verify(request.method, key, request.hash.as_bytes(), &request.signature) {
        Ok(true) => Ok(()),
        Err(SignatureError::KeyKind(_, kind)) => Err(PeerProblem::KeyKind(kind)),
        Ok(false) | Err(_) => Err(PeerProblem::Signature),
    }
}

/// Returns the peer's own certificate among those that it has sent: the first, unless another one names its identity.
fn leaf<'a>(certificates: &'a [X509], request: &VerifyRequest) -> Option<&'a X509> {
    // A file of `peers_certfile' begins with the certificate that the operator means.
    let named = certificates.iter().find(|one| certificate::check_identity(&request.identity, one).is_ok());
    named.filter(|_| request.trust.pinned.is_none()).or(certificates.first())
}
