//! Authentication with signatures (RFC 2409 section 5.1; ECDSA: RFC 4754).
//!
//! Signing and verifying are jobs, which use the keys and certificates of [`Credentials`](crate::credentials::Credentials).

use crate::config::Remote;
use crate::credentials::{OwnProblem, PeerProblem, PinnedKey, SignRequest, VerifiedPeer, VerifyRequest};
use crate::crypto::{Job, JobResult, Prf, Secret, Task, digest, skeyid_signature};
use crate::identity::Identity;
use crate::message::protection::Unreadable;
use crate::num::{AuthMethod, Hash};
use crate::output::Level;
use crate::phase1::KeyOwner;
use crate::phase1::auth::proof::{OwnProof, PeerProof};
use crate::phase1::exchange::{ExchangeContext, Transcript};
use crate::reason::{CryptoFailure, FailureReason};

/// Authentication with signatures of one method.
pub(crate) struct Signature {
    method: AuthMethod,
}

/// What a peer has signed, before the signature is verified.
#[derive(Debug)]
pub(crate) struct SignedClaim {
    identity: Identity,
    hash: Secret,
    proof: PeerProof,
}

impl Signature {
    pub(super) fn new(method: AuthMethod) -> Self {
        Self { method }
    }

    pub(super) fn skeyid(hash: Hash, transcript: &Transcript, g_xy: &Secret) -> Result<Prf, FailureReason> {
        Ok(skeyid_signature(hash, &transcript.ni, &transcript.nr, g_xy)?)
    }

    /// Returns the prf for HASH_I and HASH_R if it is not that of SKEYID: ECDSA has a hash for each curve, whatever was
    /// negotiated. SKEYID remains the key.
    pub(super) fn proof_prf(&self, skeyid: &Prf) -> Result<Option<Prf>, FailureReason> {
        Ok(self.method.ecdsa_hash().map(|hash| skeyid.with_hash(hash)).transpose()?)
    }

    /// Returns the prf for HASH_I and HASH_R of base mode, whose key is hash(Ni_b | Nr_b).
    pub(super) fn base_mode_prf(&self, hash: Hash, transcript: &Transcript) -> Result<Prf, FailureReason> {
        let key = digest(hash, &[&transcript.ni, &transcript.nr])?;
        Ok(Prf::new(self.method.ecdsa_hash().unwrap_or(hash), &key)?)
    }

    /// Returns the job that signs HASH_I or HASH_R.
    ///
    /// # Errors
    /// If the remote section has no key.
    pub(super) fn sign(&self, cx: &ExchangeContext<'_>, hash: Secret) -> Result<Job, FailureReason> {
        let key = cx.remote_section()?.own_key.clone();
        let key = key.ok_or_else(|| FailureReason::OwnKey(OwnProblem::NotConfigured.into()))?;
        let request = SignRequest { key, addresses: cx.path.addresses(), method: self.method, hash };
        Ok(Task::Sign(request).into())
    }

    /// Takes our proof from the result of that job.
    ///
    /// # Errors
    /// If the key cannot be used, or the job was dropped.
    pub(super) fn signed(cx: &ExchangeContext<'_>, mut result: JobResult) -> Result<OwnProof, FailureReason> {
        match result.take_signed() {
            Some(Ok(signed)) => Ok(OwnProof::signature(signed, cx.remote_section()?.send_cert)),
            Some(Err(problem)) => Err(FailureReason::OwnKey(problem.into())),
            None => Err(FailureReason::not_computed()),
        }
    }

    /// Returns the job that verifies a peer's signature with the trust of the remote section.
    ///
    /// # Errors
    /// If the certificates are too many, or of no kind that is read.
    pub(super) fn verify(&self, cx: &mut ExchangeContext<'_>, claim: SignedClaim) -> Result<Job, FailureReason> {
        let SignedClaim { identity, hash, proof } = claim;
        let PeerProof { proof: signature, certificates, skipped, .. } = proof;
        let trust = cx.remote_section()?.trust.clone();
        let certificates = match (&trust.pinned, certificates, skipped) {
            // What the peer sends does not replace what is configured.
            (Some(_), ..) => Vec::new(),
            (None, Ok(none), Some(encoding)) if none.is_empty() => {
                return Err(FailureReason::Signature(PeerProblem::Encoding(encoding).into()));
            }
            (None, Ok(certificates), _) => certificates,
            (None, Err(problem), _) => return Err(FailureReason::Signature(problem.into())),
        };
        if let Some(encoding) = skipped.filter(|_| trust.pinned.is_none()) {
            cx.note(Level::Info, || format!("a certificate of encoding {encoding} is ignored"));
        }
        let (addresses, method) = (cx.path.addresses(), self.method);
        Ok(Task::Verify(VerifyRequest { trust, addresses, method, identity, certificates, hash, signature }).into())
    }

    /// Takes the verified peer from the result of that job.
    ///
    /// # Errors
    /// If the peer is refused.
    pub(super) fn verified(cx: &mut ExchangeContext<'_>, mut result: JobResult) -> Result<VerifiedPeer, FailureReason> {
        match result.take_verified() {
            Some(Ok(peer)) => {
                for warning in &peer.warnings {
                    cx.note(Level::Warning, || format!("the peer's certificate is accepted although {warning}"));
                }
                Ok(peer)
            }
            Some(Err(problem)) => Err(FailureReason::Signature(problem.into())),
            None => Err(FailureReason::Crypto(CryptoFailure::Incomplete)),
        }
    }

    /// Returns the owner of a key that was verified with the trust of this section.
    pub(super) fn key_owner(section: &Remote) -> KeyOwner {
        // A key without a certificate names nobody: its owner may claim any identity, whatever `verify_cert` says.
        let has_certificate = !matches!(section.trust.pinned, Some(PinnedKey::PlainRsa(_)));
        if section.trust.verify_cert && has_certificate {
            KeyOwner::Identity
        } else if section.trust.pinned.is_some() && section.address.is_some() {
            KeyOwner::Peer
        } else {
            // Any key with any certificate was accepted.
            KeyOwner::Group
        }
    }
}

impl SignedClaim {
    /// `hash` is the HASH_I or HASH_R that the peer should have signed.
    ///
    /// # Errors
    /// If the ID payload cannot be parsed.
    pub(super) fn new(hash: Secret, proof: PeerProof) -> Result<Self, FailureReason> {
        Ok(Self { identity: Identity::parse(&proof.id)?, hash, proof })
    }

    /// The identity that the peer claims.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }
}

/// Returns the reason for a message that cannot be decrypted. The keys do not depend on those of the peers, so it was changed in
/// transit.
pub(super) fn unreadable(error: Unreadable) -> FailureReason {
    FailureReason::Malformed(error.into())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::config::RemoteAddress;
    use crate::credentials::Trust;

    #[test]
    fn owners_of_keys() {
        let owner = |verify_cert, pinned: &Option<PinnedKey>, address: Option<&str>| {
            let address = address.map(|text| RemoteAddress::At(text.parse::<IpAddr>().unwrap().into()));
            let trust = Arc::new(Trust { verify_cert, pinned: pinned.clone(), ..Trust::default() });
            Signature::key_owner(&Remote { trust, ..Remote::new("peer", address) })
        };
        let host = Some("192.0.2.2");
        let certificate = Some(PinnedKey::X509(PathBuf::from("peer.crt")));
        let plain = Some(PinnedKey::PlainRsa(PathBuf::from("peer.pub")));
        for pinned in [&None, &certificate] {
            assert_eq!(owner(true, pinned, None), KeyOwner::Identity, "{pinned:?}");
        }
        assert_eq!(owner(false, &None, host), KeyOwner::Group);
        assert_eq!(owner(false, &certificate, host), KeyOwner::Peer);
        assert_eq!(owner(false, &certificate, None), KeyOwner::Group);
        // `verify_cert` is on by default, and does not apply to keys without certificates.
        for verify_cert in [true, false] {
            assert_eq!(owner(verify_cert, &plain, host), KeyOwner::Peer, "{verify_cert}");
            assert_eq!(owner(verify_cert, &plain, None), KeyOwner::Group, "{verify_cert}");
        }
    }
}
