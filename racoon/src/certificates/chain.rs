//! Verification of a certificate's chain up to a trusted authority (RFC 5280 section 6), by OpenSSL.

use openssl::error::ErrorStack;
use openssl::stack::Stack;
use openssl::x509::{CrlStatus, X509, X509NameRef, X509Ref, X509StoreContext, X509VerifyResult};
use openssl_sys as code;
use racoon_proto::certificate;
use racoon_proto::credentials::CertificateProblem;

use super::authorities::Store;
use super::{file, times, validity};
use crate::sys;

/// Verifies a certificate with the help of those that the peer has sent. Returns warnings.
///
/// # Errors
/// The first problem that OpenSSL finds.
pub(super) fn verify(
    store: &Store,
    leaf: &X509,
    sent: &[X509],
    crl_required: bool,
) -> Result<Vec<CertificateProblem>, CertificateProblem> {
    let verified = match run(store, leaf, sent, crl_required) {
        Ok(Ok(verified)) => verified,
        Ok(Err((error, at))) => return Err(problem(store, sent, error, &at)),
        Err(error) => {
            let subject = certificate::subject(leaf);
            return Err(CertificateProblem::Other { subject, why: file::library(&error) });
        }
    };
    let last = verified.chain.len().saturating_sub(1);
    verified.chain.iter().enumerate().try_for_each(|(at, one)| validity::strength(one, at == last))?;
    if !validity::may_sign(leaf) {
        return Err(CertificateProblem::KeyUsage { subject: certificate::subject(leaf) });
    }
    without_lists(store, &verified)
}

/// A verified chain.
struct Verified {
    /// The certificate first, and the trusted authority last.
    chain: Vec<X509>,
    /// Indices of certificates for which OpenSSL has found no revocation list.
    without_list: Vec<usize>,
}

/// What OpenSSL says: an error has the certificate that it is about.
type Outcome = Result<Verified, (X509VerifyResult, X509)>;

fn run(store: &Store, leaf: &X509, sent: &[X509], crl_required: bool) -> Result<Outcome, ErrorStack> {
    let mut others = Stack::new()?;
    for one in sent {
        others.push(one.clone())?;
    }
    X509StoreContext::new()?.init(&store.store, leaf, &others, |context| {
        let (is_verified, without_list) = match crl_required {
            true => (context.verify_cert()?, Vec::new()),
            false => sys::x509::verify_without_lists(context)?,
        };
        if is_verified {
            let chain = context.chain().into_iter().flatten().map(X509Ref::to_owned).collect();
            return Ok(Ok(Verified { chain, without_list }));
        }
        let at = context.current_cert().map_or_else(|| leaf.clone(), X509Ref::to_owned);
        Ok(Err((context.error(), at)))
    })
}

/// Translates an error about a certificate.
fn problem(store: &Store, sent: &[X509], error: X509VerifyResult, at: &X509) -> CertificateProblem {
    let subject = certificate::subject(at);
    let issuer = certificate::issuer(at);
    match error.as_raw() {
        code::X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT
        | code::X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
        | code::X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE
        | code::X509_V_ERR_CERT_UNTRUSTED => {
            let mut candidates = store.certificates().chain(sent);
            // OpenSSL does not say why it has not taken an issuer that is there.
            match candidates.any(|one| one.issued(at).as_raw() == code::X509_V_ERR_KEYUSAGE_NO_CERTSIGN) {
                true => CertificateProblem::NotAuthority { issuer },
                false => CertificateProblem::UnknownIssuer { subject, issuer },
            }
        }
        code::X509_V_ERR_UNABLE_TO_GET_CRL => CertificateProblem::NoCrl { issuer },
        code::X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE
        | code::X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY
        | code::X509_V_ERR_CERT_SIGNATURE_FAILURE => CertificateProblem::BadSignature { subject },
        code::X509_V_ERR_CERT_NOT_YET_VALID => {
            CertificateProblem::NotYetValid { subject, from: times::text(at.not_before()) }
        }
        code::X509_V_ERR_CERT_HAS_EXPIRED => {
            CertificateProblem::Expired { subject, since: times::text(at.not_after()) }
        }
        code::X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT | code::X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN => {
            CertificateProblem::SelfSigned { subject }
        }
        code::X509_V_ERR_CERT_CHAIN_TOO_LONG | code::X509_V_ERR_PATH_LENGTH_EXCEEDED => {
            CertificateProblem::ChainTooLong { subject }
        }
        code::X509_V_ERR_CERT_REVOKED => CertificateProblem::Revoked { subject, at: revoked_at(store, at) },
        code::X509_V_ERR_INVALID_CA | code::X509_V_ERR_KEYUSAGE_NO_CERTSIGN => {
            CertificateProblem::NotAuthority { issuer: subject }
        }
        code::X509_V_ERR_PERMITTED_VIOLATION
        | code::X509_V_ERR_EXCLUDED_VIOLATION
        | code::X509_V_ERR_SUBTREE_MINMAX
        | code::X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE
        | code::X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX
        | code::X509_V_ERR_UNSUPPORTED_NAME_SYNTAX => CertificateProblem::NameConstraints { subject },
        code::X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE
        | code::X509_V_ERR_CRL_SIGNATURE_FAILURE
        | code::X509_V_ERR_CRL_NOT_YET_VALID
        | code::X509_V_ERR_CRL_HAS_EXPIRED
        | code::X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD
        | code::X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD
        | code::X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER
        | code::X509_V_ERR_KEYUSAGE_NO_CRL_SIGN
        | code::X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION
        | code::X509_V_ERR_DIFFERENT_CRL_SCOPE
        | code::X509_V_ERR_CRL_PATH_VALIDATION_ERROR => {
            CertificateProblem::BadCrl { why: list_fault(store, at.issuer_name(), error), issuer }
        }
        _ => CertificateProblem::Other { subject, why: error.error_string().to_owned() },
    }
}

/// Says what is wrong with an issuer's revocation list, with the time where it is about time.
fn list_fault(store: &Store, issuer: &X509NameRef, error: X509VerifyResult) -> String {
    let list = lists(store, issuer).next();
    match (error.as_raw(), list.and_then(|list| list.next_update())) {
        (code::X509_V_ERR_CRL_HAS_EXPIRED, Some(end)) => format!("expired on {}", times::text(end)),
        (code::X509_V_ERR_CRL_NOT_YET_VALID, _) => {
            list.map_or_else(String::new, |list| format!("valid only from {}", times::text(list.last_update())))
        }
        (code::X509_V_ERR_CRL_SIGNATURE_FAILURE | code::X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE, _) => {
            "its signature is wrong".to_owned()
        }
        _ => error.error_string().to_owned(),
    }
}

/// Returns the revocation lists of an issuer.
fn lists<'a>(store: &'a Store, issuer: &'a X509NameRef) -> impl Iterator<Item = &'a openssl::x509::X509Crl> {
    store.lists.iter().filter(move |list| is_same(list.issuer_name(), issuer))
}

fn is_same(one: &X509NameRef, other: &X509NameRef) -> bool {
    one.try_cmp(other).is_ok_and(|order| order.is_eq())
}

fn revoked_at(store: &Store, certificate: &X509) -> String {
    let mut times = lists(store, certificate.issuer_name()).filter_map(|list| match list.get_by_cert(certificate) {
        CrlStatus::Revoked(entry) => Some(times::text(entry.revocation_date())),
        _ => None,
    });
    times.next().unwrap_or_else(|| "an unknown time".to_owned())
}

/// Returns a warning about each authority of a chain without a revocation list.
///
/// # Errors
/// If it has one after all: OpenSSL ignores a list that another key has signed, and a revoked certificate would pass.
fn without_lists(store: &Store, verified: &Verified) -> Result<Vec<CertificateProblem>, CertificateProblem> {
    let mut warnings = Vec::new();
    for one in verified.without_list.iter().filter_map(|depth| verified.chain.get(*depth)) {
        let issuer = certificate::issuer(one);
        if lists(store, one.issuer_name()).next().is_some() {
            let why = "it is not that of this authority's key".to_owned();
            return Err(CertificateProblem::BadCrl { issuer, why });
        }
        let warning = CertificateProblem::NoCrl { issuer };
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    Ok(warnings)
}
