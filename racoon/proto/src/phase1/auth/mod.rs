//! How a peer is authenticated (RFC 2409 section 5): what must be looked up for it, how SKEYID is derived, and which payloads
//! prove an identity.
//!
//! An exchange adds the tasks of [`lookups`] to its job and makes an [`Authenticator`] of their results, which does everything that
//! depends on the method. With a [pre-shared key](pre_shared_key), both proofs are a hash that is computed at once; to make a
//! [signature] or to verify one takes a job. Hybrid authentication becomes a variant that combines them.

mod pre_shared_key;
mod proof;
mod signature;

use crate::credentials::VerifiedPeer;
use crate::crypto::{Job, JobResult, Prf, Secret, Task};
use crate::identity::Identity;
use crate::message::protection::Unreadable;
use crate::num::{AuthMethod, Hash};
use crate::output::Level;
use crate::phase1::KeyOwner;
use crate::phase1::exchange::{ExchangeContext, Transcript};
use crate::proposal::ProposalRefusal;
use crate::reason::{FailureReason, Role};
use pre_shared_key::PreSharedKey;
pub(crate) use proof::{OwnProof, PeerProof};
use signature::Signature;
pub(crate) use signature::SignedClaim;

/// Whether a method is implemented. Proposals with other methods are neither offered nor accepted.
pub(crate) fn is_supported(method: AuthMethod) -> bool {
    method == AuthMethod::PRE_SHARED_KEY || method.is_signature()
}

/// Returns what must be looked up before an [`Authenticator`] for the method can be made. `claimed` is the peer's identity, if
/// the exchange has transmitted it by then.
pub(crate) fn lookups(cx: &ExchangeContext<'_>, method: AuthMethod, claimed: Option<&Identity>) -> Vec<Task> {
    match method {
        AuthMethod::PRE_SHARED_KEY => vec![PreSharedKey::lookup(cx, claimed)],
        _ => Vec::new(),
    }
}

/// What proves the identities of both sides.
pub(crate) enum Authenticator {
    /// A key that both sides know (RFC 2409 section 5.4).
    PreSharedKey(PreSharedKey),
    /// Signatures (RFC 2409 section 5.1).
    Signature(Signature),
}

/// The beginning of our proof.
pub(crate) enum Proving {
    /// It is complete.
    Done(OwnProof),
    /// A job signs it; [`Authenticator::signed`] takes its result.
    Sign(Job),
}

/// The beginning of the check of a peer's proof.
pub(crate) enum Checking {
    /// The peer has proved this identity.
    Proved(Identity),
    /// The peer claims an identity. [`Authenticator::verify`] returns the job that verifies it.
    Claimed(SignedClaim),
}

impl Authenticator {
    /// Makes an authenticator of what [`lookups`] has found.
    ///
    /// # Errors
    /// If an initiator has no key for the peer (a responder continues without, see [`pre_shared_key`]), or if the method is not
    /// implemented.
    pub(crate) fn new(
        cx: &mut ExchangeContext<'_>,
        method: AuthMethod,
        role: Role,
        result: &mut JobResult,
    ) -> Result<Self, FailureReason> {
        match method {
            AuthMethod::PRE_SHARED_KEY => {
                let found = PreSharedKey::found(cx, result.take_key());
                let key = if role == Role::Responder { PreSharedKey::or_random(cx, found) } else { found };
                key.map(Self::PreSharedKey)
            }
            method if method.is_signature() => Ok(Self::Signature(Signature::new(method))),
            // Such a proposal is neither offered nor accepted.
            other => Err(FailureReason::NoProposalChosen(ProposalRefusal::Method(other))),
        }
    }

    /// Makes sure that nothing a peer proves with a pre-shared key is accepted, because it has claimed an identity that no remote section
    /// expects. With signatures, the caller refuses it.
    pub(crate) fn distrust(&mut self, cx: &mut ExchangeContext<'_>, reason: &FailureReason) {
        if let Self::PreSharedKey(key) = self {
            *key = PreSharedKey::random(cx);
            cx.record.no_key = Some(reason.clone());
        }
    }

    /// Derives SKEYID: from the key and the nonces, or with signatures from the nonces and `g_xy`.
    pub(crate) fn skeyid(&self, hash: Hash, transcript: &Transcript, g_xy: &Secret) -> Result<Prf, FailureReason> {
        match self {
            Self::PreSharedKey(key) => key.skeyid(hash, transcript),
            Self::Signature(_) => Signature::skeyid(hash, transcript, g_xy),
        }
    }

    /// Returns the prf for HASH_I and HASH_R, unless it is that of SKEYID.
    pub(crate) fn proof_prf(&self, skeyid: &Prf) -> Result<Option<Prf>, FailureReason> {
        match self {
            Self::PreSharedKey(_) => Ok(None),
            Self::Signature(signature) => signature.proof_prf(skeyid),
        }
    }

    /// Returns the prf for HASH_I and HASH_R of base mode, which depend on SKEYID only with a pre-shared key. `transcript` has the
    /// nonces.
    pub(crate) fn base_mode_prf(&self, hash: Hash, transcript: &Transcript) -> Result<Prf, FailureReason> {
        match self {
            Self::PreSharedKey(key) => key.skeyid(hash, transcript),
            Self::Signature(signature) => signature.base_mode_prf(hash, transcript),
        }
    }

    /// Wipes a secret that is needed only for SKEYID.
    pub(crate) fn forget_secret(&mut self) {
        match self {
            Self::PreSharedKey(key) => key.forget_secret(),
            Self::Signature(_) => {}
        }
    }

    /// Proves our identity, given HASH_I or HASH_R over it.
    ///
    /// # Errors
    /// If we have no key.
    pub(crate) fn prove(&self, cx: &ExchangeContext<'_>, hash: Secret) -> Result<Proving, FailureReason> {
        match self {
            Self::PreSharedKey(_) => Ok(Proving::Done(OwnProof::hash(hash))),
            Self::Signature(signature) => signature.sign(cx, hash).map(Proving::Sign),
        }
    }

    /// Completes our proof with the result of the job of [`Proving::Sign`].
    ///
    /// # Errors
    /// If the key cannot be used, or the job was dropped.
    pub(crate) fn signed(cx: &ExchangeContext<'_>, result: JobResult) -> Result<OwnProof, FailureReason> {
        Signature::signed(cx, result)
    }

    /// Checks the peer's proof as far as this takes no job, given the HASH_I or HASH_R that it should be for.
    ///
    /// # Errors
    /// If the proof is wrong.
    pub(crate) fn check(&self, hash: Secret, proof: PeerProof) -> Result<Checking, FailureReason> {
        match self {
            Self::PreSharedKey(_) => {
                pre_shared_key::verify(&hash, &proof)?;
                // Parsed only now that it is authenticated.
                Ok(Checking::Proved(Identity::parse(&proof.id)?))
            }
            Self::Signature(_) => SignedClaim::new(hash, proof).map(Checking::Claimed),
        }
    }

    /// Returns the job that verifies the claim of a peer with the trust of the remote section, which is chosen by then.
    ///
    /// # Errors
    /// If it can be refused without a job.
    pub(crate) fn verify(&self, cx: &mut ExchangeContext<'_>, claim: SignedClaim) -> Result<Job, FailureReason> {
        match self {
            // `check` makes no claim with a pre-shared key.
            Self::PreSharedKey(_) => Err(FailureReason::not_computed()),
            Self::Signature(signature) => signature.verify(cx, claim),
        }
    }

    /// Takes the peer from the result of the job of [`Authenticator::verify`].
    ///
    /// # Errors
    /// If the peer is refused.
    pub(crate) fn verified(cx: &mut ExchangeContext<'_>, result: JobResult) -> Result<VerifiedPeer, FailureReason> {
        Signature::verified(cx, result)
    }

    /// Returns the reason for a message that cannot be decrypted.
    pub(crate) fn unreadable(&self, error: Unreadable) -> FailureReason {
        match self {
            Self::PreSharedKey(_) => pre_shared_key::unreadable(error),
            Self::Signature(_) => signature::unreadable(error),
        }
    }

    /// Notes if the key does not prove the identity that the peer claims.
    pub(crate) fn note_substitute(&self, cx: &mut ExchangeContext<'_>, claimed: &Identity) {
        if let Self::PreSharedKey(key) = self
            && key.is_substitute()
        {
            let address = cx.path.remote.ip();
            cx.note(Level::Notify, || {
                format!(
                    "no pre-shared key for {claimed}, using that of {address}: it proves the address, not the identity"
                )
            });
        }
    }

    /// Returns the owner of the key that the proof depends on.
    pub(crate) fn key_owner(&self, cx: &ExchangeContext<'_>) -> KeyOwner {
        match self {
            Self::PreSharedKey(key) => key.owner(),
            // The stricter answer for a section that a reload has removed.
            Self::Signature(_) => cx.remote_section().map_or(KeyOwner::Group, Signature::key_owner),
        }
    }
}
