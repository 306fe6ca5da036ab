//! An exchange once its keys are derived: both sides prove their identities.

use std::net::SocketAddr;

use super::payloads::{has_initial_contact, own_identity};
use super::{ExchangeContext, Features};
use crate::crypto::{DhResult, DhValues, Exponent, GroupError, HashInput, Iv, Phase1Keys, Prf, Secret};
use crate::identity::Identity;
use crate::message::codec::MessageCodec;
use crate::message::protection::{Opened, seal};
use crate::message::rules::{self, MessageRules};
use crate::num::{NotifyType, PayloadType};
use crate::phase1::auth::Authenticator;
use crate::phase1::sa::{UsedMessageIds, open_informational};
use crate::phase1::{PeerIdentity, Phase1Sa};
use crate::proposal::Phase1Terms;
use crate::reason::{FailureReason, Role};
use crate::wire::{Header, Notify, RawPayload};

/// The values that both sides have exchanged, as they were on the wire (RFC 2409 section 5 hashes them unchanged).
pub(crate) struct Transcript {
    /// SAi_b.
    pub(super) sa_i: Vec<u8>,
    /// g^xi.
    pub(super) g_xi: Vec<u8>,
    /// g^xr.
    pub(super) g_xr: Vec<u8>,
    /// Ni_b.
    pub(crate) ni: Vec<u8>,
    /// Nr_b.
    pub(crate) nr: Vec<u8>,
}

/// The keys of an exchange, and what the proofs of both sides depend on.
pub(super) struct Keyed {
    terms: Phase1Terms,
    authenticator: Authenticator,
    transcript: Transcript,
    skeyid: Prf,
    keys: Phase1Keys,
    iv: Iv,
    features: Features,
}

/// The identity that a peer has proved.
pub(super) struct Proved {
    /// The peer's identity.
    pub(super) peer: PeerIdentity,
    /// The peer has sent INITIAL-CONTACT.
    pub(super) initial_contact: bool,
    /// For [`Keyed::accept`].
    pub(super) next_iv: Iv,
}

impl Keyed {
    /// Derives the keys and the first IV.
    pub(super) fn new(
        cx: &ExchangeContext<'_>,
        terms: Phase1Terms,
        features: Features,
        transcript: Transcript,
        mut authenticator: Authenticator,
        g_xy: &Secret,
    ) -> Result<Self, FailureReason> {
        let skeyid = authenticator.skeyid(terms.hash, &transcript, g_xy)?;
        // The exchange may wait long for the peer's proof, which depends on SKEYID only.
        authenticator.forget_secret();
        let keys = Phase1Keys::derive(&terms, &skeyid, g_xy, &cx.cookies.initiator.0, &cx.cookies.responder.0)?;
        let iv = Iv::phase1(terms.hash, &transcript.g_xi, &transcript.g_xr, keys.cipher.block_length())?;
        Ok(Self { terms, authenticator, transcript, skeyid, keys, iv, features })
    }

    /// Encrypts the message with our identity and its proof.
    pub(super) fn identify(&mut self, cx: &mut ExchangeContext<'_>, role: Role) -> Result<Vec<u8>, FailureReason> {
        let id = own_identity(cx)?.encode();
        let (kind, proof) = self.prove(cx, role, &id)?;
        let mut payloads = vec![(PayloadType::ID, id.as_slice()), (kind, proof.as_bytes())];
        let contact = Notify::of_isakmp(cx.cookies, NotifyType::INITIAL_CONTACT, &[]).encode();
        // Other daemons look for INITIAL-CONTACT in message 5 only.
        if role == Role::Initiator && cx.first_contact {
            payloads.push((PayloadType::NOTIFY, &contact));
        }
        self.seal(cx, &payloads)
    }

    /// Returns the payload that proves our identity, of which `id` is the body.
    pub(super) fn prove(
        &self,
        cx: &ExchangeContext<'_>,
        role: Role,
        id: &[u8],
    ) -> Result<(PayloadType, Secret), FailureReason> {
        Ok(self.authenticator.prove(self.hash_of(cx, role, id)?))
    }

    /// Encrypts a message of the exchange.
    pub(super) fn seal(
        &mut self,
        cx: &mut ExchangeContext<'_>,
        payloads: &[(PayloadType, &[u8])],
    ) -> Result<Vec<u8>, FailureReason> {
        Ok(seal(&self.keys.cipher, &mut self.iv, &cx.header(), payloads, (cx.codec, cx.path.remote), cx.random)?)
    }

    /// Decrypts a message of the exchange. Call [`Keyed::accept`] if it is accepted.
    pub(super) fn open(&self, header: &Header, body: &[u8]) -> Result<Opened, FailureReason> {
        Opened::new(&self.keys.cipher, &self.iv, header, body).map_err(|error| self.authenticator.unreadable(error))
    }

    /// Returns the payloads of a decrypted message that complies with `rules`.
    pub(super) fn payloads<'a>(
        &self,
        cx: &ExchangeContext<'_>,
        rules: &MessageRules,
        opened: &'a Opened,
    ) -> Result<Vec<RawPayload<'a>>, FailureReason> {
        let payloads =
            opened.payloads(cx.codec, cx.path.remote).map_err(|error| self.authenticator.unreadable(error))?;
        rules.check(&payloads)?;
        Ok(payloads)
    }

    /// Reads the message with the peer's identity and checks its proof. Changes nothing: until the proof is checked, the
    /// message may come from anybody. Call [`Keyed::accept`] if it is accepted.
    pub(super) fn read(
        &self,
        cx: &ExchangeContext<'_>,
        rules: &MessageRules,
        peer: Role,
        header: &Header,
        body: &[u8],
    ) -> Result<Proved, FailureReason> {
        rules.check_encryption(header)?;
        let opened = self.open(header, body)?;
        let payloads = self.payloads(cx, rules, &opened)?;
        let id = rules::find(&payloads, PayloadType::ID).unwrap_or_default();
        self.check_proof(cx, peer, id, &payloads)?;
        // It is parsed only after it has been authenticated.
        let id = Identity::parse(id).map_err(FailureReason::from)?;
        let initial_contact = has_initial_contact(&payloads);
        Ok(Proved { peer: PeerIdentity::new(id), initial_contact, next_iv: opened.next_iv })
    }

    /// Checks the peer's proof of its identity, of which `id` is the body as received (RFC 2409 section 5).
    pub(super) fn check_proof(
        &self,
        cx: &ExchangeContext<'_>,
        peer: Role,
        id: &[u8],
        payloads: &[RawPayload<'_>],
    ) -> Result<(), FailureReason> {
        self.authenticator.verify(&self.hash_of(cx, peer, id)?, payloads)
    }

    /// Notes if the proof does not depend on the identity that the peer has claimed.
    pub(super) fn note_substitute(&self, cx: &mut ExchangeContext<'_>, claimed: &Identity) {
        self.authenticator.note_substitute(cx, claimed);
    }

    /// Reads an informational message that the peer sends instead of its last message.
    pub(super) fn informational<T>(
        &self,
        message: (&Header, &[u8]),
        codec: (&MessageCodec, SocketAddr),
        read: impl FnOnce(&[RawPayload<'_>]) -> Result<T, FailureReason>,
    ) -> Result<T, FailureReason> {
        open_informational(&self.keys, &self.iv, message, codec, read)
    }

    /// Computes HASH_I or HASH_R over the identity of the side with this role.
    fn hash_of(&self, cx: &ExchangeContext<'_>, role: Role, id: &[u8]) -> Result<Secret, FailureReason> {
        let input = HashInput {
            g_xi: &self.transcript.g_xi,
            g_xr: &self.transcript.g_xr,
            cookie_i: &cx.cookies.initiator.0,
            cookie_r: &cx.cookies.responder.0,
            sa_i: &self.transcript.sa_i,
        };
        let hash = match role {
            Role::Initiator => input.hash_i(&self.skeyid, id),
            Role::Responder => input.hash_r(&self.skeyid, id),
        };
        Ok(hash?)
    }

    /// Accepts the peer's message: its last block becomes the next IV.
    pub(super) fn accept(&mut self, next_iv: Iv) {
        self.iv = next_iv;
    }

    /// Returns the body of the initiator's SA payload.
    pub(super) fn sa_i(&self) -> &[u8] {
        &self.transcript.sa_i
    }

    /// Returns what the peer supports.
    pub(super) fn features(&self) -> Features {
        self.features
    }

    /// Makes the SA; secrets that it does not need are wiped.
    pub(super) fn into_sa(self, cx: &ExchangeContext<'_>, peer: PeerIdentity) -> Phase1Sa {
        Phase1Sa {
            cookies: cx.cookies,
            exchange: cx.exchange,
            remote_section: cx.remote_section,
            terms: self.terms,
            keys: self.keys,
            peer,
            key: self.authenticator.key_owner(),
            last_block: self.iv,
            used: UsedMessageIds::default(),
        }
    }
}

/// Returns the exponent that a Diffie-Hellman task gives back, with the computed values or the reason why the peer's value is
/// invalid.
///
/// # Errors
/// If nothing was computed for a reason of our own.
pub(super) fn exchanged(
    result: Option<DhResult>,
) -> Result<(Exponent, Result<DhValues, FailureReason>), FailureReason> {
    let Some(DhResult { exponent, outcome }) = result else {
        return Err(FailureReason::not_computed());
    };
    let group = exponent.group();
    match outcome {
        Ok(values) => Ok((exponent, Ok(values))),
        Err(GroupError::Peer(problem)) => Ok((exponent, Err(FailureReason::KeyExchange { group, problem }))),
        Err(GroupError::Crypto(error)) => Err(error.into()),
    }
}
