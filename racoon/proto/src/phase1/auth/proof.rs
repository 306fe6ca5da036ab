//! The payloads by which both sides prove their identities (RFC 2409 section 5): HASH, or CERT payloads and SIG.

use crate::credentials::{CERTIFICATES_LEN_MAX, CERTIFICATES_MAX, Certificate, PeerProblem, Signed};
use crate::crypto::Secret;
use crate::message::rules::{self, MessageRules};
use crate::num::{AuthMethod, CertEncoding, PayloadType};
use crate::reason::FailureReason;
use crate::wire::RawPayload;

/// Returns the payload that a message of a peer must have to prove its identity.
fn required(method: AuthMethod) -> PayloadType {
    if method.is_signature() { PayloadType::SIGNATURE } else { PayloadType::HASH }
}

/// The payloads that prove our identity, in the order in which they follow the ID payload.
pub(crate) struct OwnProof(Vec<(PayloadType, Secret)>);

impl OwnProof {
    /// HASH_I or HASH_R.
    pub(super) fn hash(hash: Secret) -> Self {
        Self(vec![(PayloadType::HASH, hash)])
    }

    /// A signature, after the certificates if they are sent.
    pub(super) fn signature(signed: Signed, send_cert: bool) -> Self {
        let Signed { signature, certificates } = signed;
        let certificates = certificates.into_iter().filter(|_| send_cert);
        let certificates = certificates.map(|one| (PayloadType::CERT, one.encode().into()));
        Self(certificates.chain([(PayloadType::SIGNATURE, signature.into())]).collect())
    }

    /// Returns the payloads.
    pub(crate) fn payloads(&self) -> impl Iterator<Item = (PayloadType, &[u8])> {
        self.0.iter().map(|(kind, body)| (*kind, body.as_bytes()))
    }
}

/// What a peer has sent to prove its identity. Nothing in it is authenticated.
#[derive(Debug)]
pub(crate) struct PeerProof {
    /// The body of its ID payload.
    pub(crate) id: Vec<u8>,
    /// The body of HASH, or of SIG.
    pub(super) proof: Vec<u8>,
    /// Its certificates of encodings that are read; none with a pre-shared key.
    pub(super) certificates: Result<Vec<Certificate>, PeerProblem>,
    /// The first encoding of a certificate that is not read.
    pub(super) skipped: Option<CertEncoding>,
}

impl PeerProof {
    /// Checks that a message has the payload that the method requires.
    ///
    /// # Errors
    /// If it is missing.
    pub(crate) fn require(
        rules: &MessageRules,
        method: AuthMethod,
        payloads: &[RawPayload<'_>],
    ) -> Result<(), FailureReason> {
        rules.require(payloads, required(method))
    }

    /// Takes the proof from a message, with the identity if that is in the same message.
    pub(crate) fn read(method: AuthMethod, payloads: &[RawPayload<'_>]) -> Self {
        let body = |kind| rules::find(payloads, kind).unwrap_or_default().to_vec();
        let (id, proof) = (body(PayloadType::ID), body(required(method)));
        let mut read = Self { id, proof, certificates: Ok(Vec::new()), skipped: None };
        // With a pre-shared key, a certificate is superfluous.
        if method.is_signature() {
            read.read_certificates(payloads);
        }
        read
    }

    /// The proof of an identity whose ID payload has come in an earlier message; `id` is its body.
    pub(crate) fn of_identity(self, id: &[u8]) -> Self {
        Self { id: id.to_vec(), ..self }
    }

    fn read_certificates(&mut self, payloads: &[RawPayload<'_>]) {
        let bodies = || rules::all(payloads, PayloadType::CERT);
        let (count, length) = (bodies().count(), bodies().map(<[u8]>::len).sum());
        if count > CERTIFICATES_MAX || length > CERTIFICATES_LEN_MAX {
            self.certificates = Err(PeerProblem::TooMany(count, length));
            return;
        }
        let mut certificates = Vec::with_capacity(count);
        for body in bodies() {
            match Certificate::parse(body) {
                Ok(one) if matches!(one.encoding, CertEncoding::X509_SIGNATURE | CertEncoding::PKCS7) => {
                    certificates.push(one);
                }
                Ok(other) => self.skipped = self.skipped.or(Some(other.encoding)),
                // It has no data.
                Err(_) => {
                    self.certificates = Err(PeerProblem::Unparsable(CertEncoding(body.first().copied().unwrap_or(0))));
                    return;
                }
            }
        }
        self.certificates = Ok(certificates);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(certificates: &[&[u8]]) -> PeerProof {
        let raw = |body| RawPayload { kind: PayloadType::CERT, body, offset: 0, whole: &[] };
        let payloads = certificates.iter().map(|body| raw(*body)).collect::<Vec<_>>();
        PeerProof::read(AuthMethod::RSA_SIGNATURES, &payloads)
    }

    #[test]
    fn certificates_are_bounded_in_number_and_length() {
        let most = [4; CERTIFICATES_LEN_MAX / CERTIFICATES_MAX];
        assert_eq!(read(&[most.as_slice(); CERTIFICATES_MAX]).certificates.map(|all| all.len()), Ok(CERTIFICATES_MAX));
        let too_long = [4; CERTIFICATES_LEN_MAX / CERTIFICATES_MAX + 1];
        let expected = PeerProblem::TooMany(CERTIFICATES_MAX, CERTIFICATES_MAX * too_long.len());
        assert_eq!(read(&[too_long.as_slice(); CERTIFICATES_MAX]).certificates, Err(expected));
        let expected = PeerProblem::TooMany(CERTIFICATES_MAX + 1, 2 * (CERTIFICATES_MAX + 1));
        assert_eq!(read(&[[4, 1].as_slice(); CERTIFICATES_MAX + 1]).certificates, Err(expected));
    }

    #[test]
    fn certificates_of_other_encodings_are_skipped() {
        let found = read(&[&[4, 1], &[7, 2], &[1, 3], &[10, 4]]);
        let encodings = found.certificates.unwrap().iter().map(|one| one.encoding).collect::<Vec<_>>();
        assert_eq!(encodings, [CertEncoding::X509_SIGNATURE, CertEncoding::PKCS7]);
        assert_eq!(found.skipped, Some(CertEncoding::CRL));
        assert_eq!(read(&[&[4]]).certificates, Err(PeerProblem::Unparsable(CertEncoding::X509_SIGNATURE)));
        assert_eq!(read(&[&[]]).certificates, Err(PeerProblem::Unparsable(CertEncoding(0))));
    }
}
