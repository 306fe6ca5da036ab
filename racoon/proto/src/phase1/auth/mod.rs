//! How a peer is authenticated (RFC 2409 section 5): what must be looked up for it, how SKEYID is derived, and which payload
//! proves an identity.
//!
//! An exchange asks [`lookups`] for the tasks to add to its job, makes an [`Authenticator`] of their results, and leaves
//! everything that depends on the method to that. Signatures and hybrid authentication become variants of it, with files next
//! to [`pre_shared_key`]; their signing and verifying are tasks of a job, like the look-up of a key.

mod pre_shared_key;

use crate::crypto::{JobResult, Prf, Secret, Task};
use crate::message::protection::Unreadable;
use crate::num::{AuthMethod, Hash, PayloadType};
use crate::phase1::KeyOwner;
use crate::phase1::exchange::{Context, Transcript};
use crate::reason::{FailureReason, Role};
use crate::wire::RawPayload;
use pre_shared_key::PreSharedKey;

/// Whether there is an implementation of a method. Proposals with other methods are neither offered nor accepted.
pub(crate) fn is_supported(method: AuthMethod) -> bool {
    method == AuthMethod::PRE_SHARED_KEY
}

/// What must be looked up before an [`Authenticator`] can be made.
///
/// Main mode needs the result before it can read the peer's identity, which is encrypted with keys that depend on it.
pub(crate) fn lookups(cx: &Context<'_>) -> Vec<Task> {
    vec![PreSharedKey::lookup(cx)]
}

/// What proves the identities of both sides.
pub(crate) enum Authenticator {
    /// A key that both sides know (RFC 2409 section 5.4).
    PreSharedKey(PreSharedKey),
}

impl Authenticator {
    /// Takes what [`lookups`] has asked for from the result of the job.
    ///
    /// A responder gets one even if it has no key for the peer: see [`pre_shared_key`].
    pub(crate) fn new(cx: &mut Context<'_>, role: Role, result: &mut JobResult) -> Result<Self, FailureReason> {
        let found = PreSharedKey::found(cx, result.take_key());
        let key = match role {
            Role::Initiator => found?,
            Role::Responder => PreSharedKey::or_random(cx, found)?,
        };
        Ok(Self::PreSharedKey(key))
    }

    /// Derives SKEYID. Some methods derive it from the secret shared by Diffie-Hellman.
    pub(crate) fn skeyid(&self, hash: Hash, transcript: &Transcript, _g_xy: &Secret) -> Result<Prf, FailureReason> {
        match self {
            Self::PreSharedKey(key) => key.skeyid(hash, transcript),
        }
    }

    /// Returns the payload that proves an identity, given HASH_I or HASH_R over it.
    pub(crate) fn prove(&self, hash: Secret) -> (PayloadType, Secret) {
        match self {
            Self::PreSharedKey(_) => (PayloadType::HASH, hash),
        }
    }

    /// Checks the peer's proof, given the HASH_I or HASH_R that it should have.
    ///
    /// # Errors
    /// If the proof is wrong.
    pub(crate) fn verify(&self, hash: &Secret, payloads: &[RawPayload<'_>]) -> Result<(), FailureReason> {
        match self {
            Self::PreSharedKey(_) => pre_shared_key::verify(hash, payloads),
        }
    }

    /// Returns the reason for a message that cannot be decrypted.
    pub(crate) fn unreadable(&self, error: Unreadable) -> FailureReason {
        match self {
            Self::PreSharedKey(_) => pre_shared_key::unreadable(error),
        }
    }

    /// Whose key the proof depends on.
    pub(crate) fn key_owner(&self) -> KeyOwner {
        match self {
            Self::PreSharedKey(key) => key.owner(),
        }
    }
}
