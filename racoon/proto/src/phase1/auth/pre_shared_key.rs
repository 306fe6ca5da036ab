//! Authentication with a pre-shared key (RFC 2409 section 5.4).
//!
//! A responder that has no key for the peer goes on with a random one. If it ended the exchange instead, anybody could find
//! out which addresses have a key (CVE-2002-1623). No peer can prove knowledge of a random key, so its proof fails as it does
//! with a wrong one, and the log names the real reason.

use zeroize::Zeroizing;

use crate::crypto::{KeyQuery, KeyResult, Prf, Secret, Task, equal, skeyid_psk};
use crate::identity::Identity;
use crate::message::protection::Unreadable;
use crate::num::Hash;
use crate::phase1::KeyOwner;
use crate::phase1::auth::proof::PeerProof;
use crate::phase1::exchange::{ExchangeContext, Transcript};
use crate::psk;
use crate::reason::{AuthenticationFailure, CryptoFailure, FailureReason};

/// Length in bytes of the random key that replaces a missing one.
const RANDOM_KEY_LEN: usize = 32;

/// A pre-shared key that was found.
pub(crate) struct PreSharedKey {
    secret: Secret,
    owner: KeyOwner,
    /// It is the key of the peer's address, because there is none for the identity that the peer claims.
    is_substitute: bool,
}

impl PreSharedKey {
    /// Returns the task that looks up the peer's key.
    pub(super) fn lookup(cx: &ExchangeContext<'_>, claimed: Option<&Identity>) -> Task {
        let verify_identifier = cx.remote_section().is_ok_and(|section| section.verify_identifier);
        Task::FindKey(KeyQuery { names: psk::names(cx.exchange, claimed, cx.path.remote.ip(), verify_identifier) })
    }

    /// Takes the key from the result of the look-up.
    ///
    /// # Errors
    /// If the peer has no key.
    pub(super) fn found(cx: &ExchangeContext<'_>, result: Option<KeyResult>) -> Result<Self, FailureReason> {
        match result {
            Some(KeyResult::Found { name, key, shared }) => {
                let owner = if shared { KeyOwner::Group } else { KeyOwner::Peer };
                Ok(Self { secret: key, owner, is_substitute: name > 0 })
            }
            Some(KeyResult::Unknown(why)) => Err(FailureReason::NoPreSharedKey { peer: cx.path.remote.ip(), why }),
            None => Err(FailureReason::Crypto(CryptoFailure::Incomplete)),
        }
    }

    /// Returns the key that was found, or a random one if the peer has none.
    pub(super) fn or_random(
        cx: &mut ExchangeContext<'_>,
        found: Result<Self, FailureReason>,
    ) -> Result<Self, FailureReason> {
        let key = match found {
            Err(no_key @ FailureReason::NoPreSharedKey { .. }) => {
                cx.record.no_key = Some(no_key);
                return Ok(Self::random(cx));
            }
            other => other?,
        };
        // After an invalid message 3, the key is looked up again, and may have been added to the file in the meantime.
        cx.record.no_key = None;
        Ok(key)
    }

    /// Draws a key that no peer knows.
    pub(super) fn random(cx: &mut ExchangeContext<'_>) -> Self {
        let mut random = Zeroizing::new(vec![0; RANDOM_KEY_LEN]);
        cx.random.fill(&mut random);
        Self { secret: random.into(), owner: KeyOwner::Group, is_substitute: false }
    }

    pub(super) fn skeyid(&self, hash: Hash, transcript: &Transcript) -> Result<Prf, FailureReason> {
        Ok(skeyid_psk(hash, &self.secret, &transcript.ni, &transcript.nr)?)
    }

    /// Wipes the key. An exchange may wait long for the peer's proof, which depends on SKEYID only.
    pub(super) fn forget_secret(&mut self) {
        self.secret = Zeroizing::new(Vec::new()).into();
    }

    /// Whether the peer has proved its address instead of its identity.
    pub(super) fn is_substitute(&self) -> bool {
        self.is_substitute
    }

    pub(super) fn owner(&self) -> KeyOwner {
        self.owner
    }
}

/// Compares the HASH payload of the peer with the expected value.
pub(super) fn verify(hash: &Secret, proof: &PeerProof) -> Result<(), FailureReason> {
    let wrong = FailureReason::Authentication(AuthenticationFailure::Hash);
    if equal(hash.as_bytes(), &proof.proof) { Ok(()) } else { Err(wrong) }
}

/// Returns the reason for a message that cannot be decrypted, which is most likely another key.
pub(super) fn unreadable(error: Unreadable) -> FailureReason {
    match error {
        Unreadable::Encryption(_) => FailureReason::Malformed(error.into()),
        Unreadable::Payloads(_) | Unreadable::Padding(_) => {
            FailureReason::Authentication(AuthenticationFailure::Unreadable(error))
        }
    }
}
