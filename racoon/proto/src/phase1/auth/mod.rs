//! How a peer is authenticated (RFC 2409 section 5): what must be looked up for it, how SKEYID is derived, and which payload
//! proves an identity.
//!
//! An exchange adds the tasks of [`lookups`] to its job and makes an [`Authenticator`] of their results, which does everything that
//! depends on the method. Signatures and hybrid authentication become variants of it, with files next
//! to [`pre_shared_key`]; their signing and verifying are tasks of a job, like the look-up of a key.

mod pre_shared_key;

use crate::crypto::{JobResult, Prf, Secret, Task};
use crate::identity::Identity;
use crate::message::protection::Unreadable;
use crate::num::{AuthMethod, Hash, PayloadType};
use crate::output::Level;
use crate::phase1::KeyOwner;
use crate::phase1::exchange::{ExchangeContext, Transcript};
use crate::proposal::ProposalRefusal;
use crate::reason::{FailureReason, Role};
use crate::wire::RawPayload;
use pre_shared_key::PreSharedKey;

/// Whether a method is implemented. Proposals with other methods are neither offered nor accepted.
pub(crate) fn is_supported(method: AuthMethod) -> bool {
    method == AuthMethod::PRE_SHARED_KEY
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
            // Such a proposal is neither offered nor accepted.
            other => Err(FailureReason::NoProposalChosen(ProposalRefusal::Method(other))),
        }
    }

    /// Makes sure that nothing a peer proves is accepted: it has claimed an identity that no remote section expects.
    pub(crate) fn distrust(&mut self, cx: &mut ExchangeContext<'_>) {
        match self {
            Self::PreSharedKey(key) => *key = PreSharedKey::random(cx),
        }
    }

    /// Derives SKEYID: here from the key and the nonces; with signatures it will be from the nonces and `g_xy`.
    pub(crate) fn skeyid(&self, hash: Hash, transcript: &Transcript, _g_xy: &Secret) -> Result<Prf, FailureReason> {
        match self {
            Self::PreSharedKey(key) => key.skeyid(hash, transcript),
        }
    }

    /// Wipes a secret that is needed only for SKEYID.
    pub(crate) fn forget_secret(&mut self) {
        match self {
            Self::PreSharedKey(key) => key.forget_secret(),
        }
    }

    /// Returns the payload that proves our identity, given HASH_I or HASH_R over it.
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

    /// Notes if the key does not prove the identity that the peer claims.
    pub(crate) fn note_substitute(&self, cx: &mut ExchangeContext<'_>, claimed: &Identity) {
        let Self::PreSharedKey(key) = self;
        if key.is_substitute() {
            let address = cx.path.remote.ip();
            cx.note(Level::Notify, || {
                format!(
                    "no pre-shared key for {claimed}, using that of {address}: it proves the address, not the identity"
                )
            });
        }
    }

    /// Returns the owner of the key that the proof depends on.
    pub(crate) fn key_owner(&self) -> KeyOwner {
        match self {
            Self::PreSharedKey(key) => key.owner(),
        }
    }
}
