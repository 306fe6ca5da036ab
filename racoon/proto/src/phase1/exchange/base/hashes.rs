//! HASH_I and HASH_R of base mode.

use crate::crypto::{HashInput, Prf, Secret};
use crate::num::AuthMethod;
use crate::phase1::auth::Authenticator;
use crate::phase1::exchange::{ExchangeContext, Transcript};
use crate::proposal::Phase1Terms;
use crate::reason::FailureReason;

/// What HASH_I and HASH_R are computed with. They do not depend on g^xy, so that proofs are checked before the keys are derived.
pub(super) struct Hashes {
    prf: Prf,
    method: AuthMethod,
}

impl Hashes {
    /// With a pre-shared key, the prf is that of SKEYID; with signatures, its key is hash(Ni_b | Nr_b). `transcript` has the nonces.
    pub(super) fn new(
        authenticator: &Authenticator,
        terms: &Phase1Terms,
        transcript: &Transcript,
    ) -> Result<Self, FailureReason> {
        Ok(Self { prf: authenticator.base_mode_prf(terms.hash, transcript)?, method: terms.method })
    }

    /// Computes HASH_I, which covers neither g^xr nor the responder's identity.
    pub(super) fn of_initiator(
        &self,
        cx: &ExchangeContext<'_>,
        transcript: &Transcript,
        id_ii: &[u8],
    ) -> Result<Secret, FailureReason> {
        Ok(input(cx, transcript).base_mode_hash_i(&self.prf, id_ii)?)
    }

    /// Computes HASH_R. With signatures it covers the identity of the initiator instead of the responder's, as in ipsec-tools.
    pub(super) fn of_responder(
        &self,
        cx: &ExchangeContext<'_>,
        transcript: &Transcript,
        id_ii: &[u8],
        id_ir: &[u8],
    ) -> Result<Secret, FailureReason> {
        let input = input(cx, transcript);
        let hash = if self.method.is_signature() {
            input.base_mode_signed_hash_r(&self.prf, id_ii)
        } else {
            input.hash_r(&self.prf, id_ir)
        };
        Ok(hash?)
    }
}

fn input<'a>(cx: &'a ExchangeContext<'_>, transcript: &'a Transcript) -> HashInput<'a> {
    HashInput {
        g_xi: &transcript.g_xi,
        g_xr: &transcript.g_xr,
        cookie_i: &cx.cookies.initiator.0,
        cookie_r: &cx.cookies.responder.0,
        sa_i: &transcript.sa_i,
    }
}
