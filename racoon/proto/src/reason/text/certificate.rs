//! The text of problems with keys and certificates.

use std::fmt;

use super::joined;
use crate::credentials::{CERTIFICATES_LEN_MAX, CERTIFICATES_MAX, CertificateProblem, OwnProblem, PeerProblem};

impl fmt::Display for PeerProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("it sent no certificate, and none is configured for it"),
            Self::Encoding(encoding) => {
                write!(f, "its certificate has encoding {encoding}, only x509_signature and pkcs7 are read")
            }
            Self::Unparsable(encoding) => write!(f, "its certificate of encoding {encoding} cannot be parsed"),
            Self::TooMany(count, bytes) => write!(
                f,
                "it sent {count} certificates with {bytes} bytes, more than {CERTIFICATES_MAX} or {CERTIFICATES_LEN_MAX} bytes"
            ),
            Self::Certificate(problem) => problem.fmt(f),
            Self::NotNamed { identity, subject, found } if found.is_empty() => {
                write!(f, "identity {identity} is not in its certificate {subject}, which has no name of this type")
            }
            Self::NotNamed { identity, subject, found } => write!(
                f,
                "identity {identity} is not in its certificate {subject}, which names {}",
                joined(found, ", ")
            ),
            Self::KeyKind(kind) => write!(f, "its certificate has a key of type {kind}, not that of the agreed method"),
            Self::File(file, why) => write!(f, "peers_certfile {}: {why}", file.display()),
            Self::NoPlainKey(file) => write!(f, "{} has no public key for its address", file.display()),
            Self::Signature => f.write_str("its signature was not made with its key"),
        }
    }
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { subject, since } => write!(f, "certificate {subject} expired at {since}"),
            Self::NotYetValid { subject, from } => write!(f, "certificate {subject} is not valid before {from}"),
            Self::UnknownIssuer { subject, issuer } => {
                write!(f, "issuer {issuer} of certificate {subject} is not a trusted authority")
            }
            Self::SelfSigned { subject } => write!(f, "certificate {subject} is self-signed and not trusted"),
            Self::Revoked { subject, at } => write!(f, "certificate {subject} was revoked at {at}"),
            Self::NoCrl { issuer } => write!(f, "there is no revocation list of authority {issuer}"),
            Self::BadCrl { issuer, why } => write!(f, "the revocation list of authority {issuer} is unusable: {why}"),
            Self::ChainTooLong { subject } => write!(f, "the chain of certificates is too long at {subject}"),
            Self::WeakKey { subject, bits } => write!(f, "certificate {subject} has a weak key of {bits} bits"),
            Self::WeakHash { subject, algorithm } => {
                write!(f, "certificate {subject} is signed with the weak algorithm {algorithm}")
            }
            Self::BadSignature { subject } => write!(f, "the issuer's signature of certificate {subject} is wrong"),
            Self::NotAuthority { issuer } => write!(f, "issuer {issuer} may not sign certificates"),
            Self::KeyUsage { subject } => {
                write!(f, "certificate {subject} does not allow signatures (keyUsage)")
            }
            Self::NameConstraints { subject } => {
                write!(f, "certificate {subject} has a name that its authority may not certify")
            }
            Self::Other { subject, why } => write!(f, "certificate {subject}: {why}"),
        }
    }
}

impl fmt::Display for OwnProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured => f.write_str("no private key is configured"),
            Self::File(file, why) => write!(f, "{}: {why}", file.display()),
            Self::Mismatch { certificate, key } => write!(
                f,
                "certificate {} and private key {} do not belong together",
                certificate.display(),
                key.display()
            ),
            Self::KeyKind(kind) => write!(f, "the private key is of type {kind}, not that of the agreed method"),
            Self::NoPlainKey(file) => write!(f, "{} has no private key for these addresses", file.display()),
            Self::Signing(why) => write!(f, "openssl: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::num::{CertEncoding, IdType};
    use crate::reason::FailureReason;

    /// What happened and what to check, after `the peer is not authenticated: `.
    fn peer(problem: PeerProblem) -> String {
        let text = FailureReason::Signature(problem.into()).explained();
        text.strip_prefix("the peer is not authenticated: ").unwrap().to_owned()
    }

    fn certificate(problem: CertificateProblem) -> String {
        peer(PeerProblem::Certificate(problem))
    }

    #[test]
    fn a_refused_peer() {
        let identity = || Identity::named(IdType::FQDN, *b"gw.example");
        let not_named = |found: &[&str]| {
            let found = found.iter().map(ToString::to_string).collect();
            peer(PeerProblem::NotNamed { identity: identity(), subject: "CN=gw".into(), found })
        };
        let hint = "; let the peer's my_identifier be a name in its certificate";
        let text = "identity FQDN gw.example is not in its certificate CN=gw, which names a.example, b.example";
        assert_eq!(not_named(&["a.example", "b.example"]), format!("{text}{hint}"));
        let text = "identity FQDN gw.example is not in its certificate CN=gw, which has no name of this type";
        assert_eq!(not_named(&[]), format!("{text}{hint}"));
        let text = "its certificate has encoding crl, only x509_signature and pkcs7 are read";
        assert_eq!(peer(PeerProblem::Encoding(CertEncoding::CRL)), text);
        let text = "it sent 11 certificates with 70000 bytes, more than 10 or 65536 bytes";
        assert_eq!(peer(PeerProblem::TooMany(11, 70_000)), text);
        let text = "its certificate has a key of type P-256, not that of the agreed method; compare \
                    authentication_method with the key of the peer's certificate";
        assert_eq!(peer(PeerProblem::KeyKind("P-256".into())), text);
    }

    #[test]
    fn a_refused_certificate() {
        let (subject, issuer) = (|| String::from("C=NL, CN=gw"), || String::from("CN=CA"));
        let text = "issuer CN=CA of certificate C=NL, CN=gw is not a trusted authority; add the issuer to the ca_type file, \
                    or let the peer send the chain";
        assert_eq!(certificate(CertificateProblem::UnknownIssuer { subject: subject(), issuer: issuer() }), text);
        let text = "certificate C=NL, CN=gw was revoked at 2026-11-30 20:00:00 UTC";
        let at = "2026-11-30 20:00:00 UTC".into();
        assert_eq!(certificate(CertificateProblem::Revoked { subject: subject(), at }), text);
        let text = "there is no revocation list of authority CN=CA; install the list in the path certificate directory, or \
                    set crl_policy optional";
        assert_eq!(certificate(CertificateProblem::NoCrl { issuer: issuer() }), text);
    }

    #[test]
    fn a_key_of_ours() {
        let own = |problem: OwnProblem| FailureReason::OwnKey(problem.into()).explained();
        let text =
            "our signature cannot be made: no private key is configured; set certificate_type in the remote section";
        assert_eq!(own(OwnProblem::NotConfigured), text);
        let text = "our signature cannot be made: certificate a.pem and private key b.pem do not belong together";
        assert_eq!(own(OwnProblem::Mismatch { certificate: "a.pem".into(), key: "b.pem".into() }), text);
    }
}
