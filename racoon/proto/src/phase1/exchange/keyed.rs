//! An exchange once its keys are derived: both sides prove their identities.
//!
//! What is the same in every exchange and for every authentication method is here. It takes one or two steps to prove our
//! identity, and to check that of the peer, because signatures are made and verified by jobs:
//!
//! ```text
//! prove  ->  Proving::Done(proof) ------------------------------------->  identify, or proof.payloads()
//!            Proving::Sign(job)  -> job -> Authenticator::signed(proof) ->  the same
//!
//! read, or check  ->  Check::Proved(proved) --------------------------------------->  expected_peer, accept, into_sa
//!                     Check::Claimed(claim)  -> verify -> job -> verified(proved) -->  the same
//! ```
//!
//! With a pre-shared key each ends at once, so that no state waits for a job. An exchange that has a [`Claim`] selects the remote
//! section by [`Claim::peer`] before it calls [`Keyed::verify`], which uses the trust of that section; nothing else in a claim
//! is believed. A peer whose claim is refused has the keys all the same: [`Keyed::reject`] refuses it under them.

use std::net::SocketAddr;
use std::sync::Arc;

use super::payloads::{certificate_requests, has_initial_contact, received_requests};
use super::{ExchangeContext, Features, Transition};
use crate::credentials::VerifiedPeer;
use crate::crypto::{DhResult, DhValues, Exponent, GroupError, HashInput, Iv, Job, JobResult, Phase1Keys, Prf, Secret};
use crate::identity::Identity;
use crate::message::codec::MessageCodec;
use crate::message::protection::{Opened, seal};
use crate::message::rules::MessageRules;
use crate::num::{AuthMethod, NotifyType, PayloadType};
use crate::output::Level;
use crate::phase1::auth::{Authenticator, Checking, OwnProof, PeerProof, Proving, SignedClaim};
use crate::phase1::sa::{UsedMessageIds, open_informational};
use crate::phase1::{PeerIdentity, Phase1Sa};
use crate::proposal::Phase1Terms;
use crate::reason::{CryptoFailure, FailureReason, Role};
use crate::wire::{CertificateRequest, Header, Notify, RawPayload};

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
    /// The prf for HASH_I and HASH_R, unless it is that of SKEYID.
    proof_prf: Option<Prf>,
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
    /// Its certificate in DER, if it has signed.
    pub(super) certificate: Option<Arc<[u8]>>,
}

/// The identity that a peer claims, with a signature that is not verified yet.
pub(super) struct Claim {
    /// The bodies of its Certificate Request payloads.
    pub(super) requests: Vec<CertificateRequest>,
    /// What it proves if the signature is right.
    proved: Proved,
    /// What is verified; `None` once the job for it runs.
    signed: Option<SignedClaim>,
}

impl Claim {
    /// The identity that the peer claims.
    pub(super) fn peer(&self) -> &PeerIdentity {
        &self.proved.peer
    }
}

/// The result of reading a peer's identity and its proof.
pub(super) enum Check {
    /// It is proved.
    Proved(Proved),
    /// Its signature has to be verified.
    Claimed(Box<Claim>),
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
        let proof_prf = authenticator.proof_prf(&skeyid)?;
        let keys = Phase1Keys::derive(&terms, &skeyid, g_xy, &cx.cookies.initiator.0, &cx.cookies.responder.0)?;
        let iv = Iv::phase1(terms.hash, &transcript.g_xi, &transcript.g_xr, keys.cipher.block_length())?;
        Ok(Self { terms, authenticator, transcript, skeyid, proof_prf, keys, iv, features })
    }

    /// Proves our identity, of which `id` is the body of the ID payload.
    ///
    /// # Errors
    /// If we have no key.
    pub(super) fn prove(&self, cx: &ExchangeContext<'_>, role: Role, id: &[u8]) -> Result<Proving, FailureReason> {
        self.authenticator.prove(cx, self.hash_of(cx, role, id)?)
    }

    /// Encrypts the message with our identity and its proof.
    pub(super) fn identify(
        &mut self,
        cx: &mut ExchangeContext<'_>,
        role: Role,
        id: &[u8],
        proof: &OwnProof,
    ) -> Result<Vec<u8>, FailureReason> {
        let mut payloads = vec![(PayloadType::ID, id)];
        payloads.extend(proof.payloads());
        let contact = Notify::of_isakmp(cx.cookies, NotifyType::INITIAL_CONTACT, &[]).encode();
        let requests;
        if role == Role::Initiator {
            // A responder has requested certificates in message 4.
            requests = certificate_requests(self.terms.method, [cx.remote_section()?]);
            payloads.extend(requests.iter().map(|body| (PayloadType::CERT_REQUEST, body.as_slice())));
            // Other daemons look for INITIAL-CONTACT in message 5 only.
            if cx.first_contact {
                payloads.push((PayloadType::NOTIFY, &contact));
            }
        }
        self.seal(cx, &payloads)
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

    /// Returns the payloads of a decrypted message that complies with `rules`, and has the payload that the method requires.
    pub(super) fn payloads<'a>(
        &self,
        cx: &ExchangeContext<'_>,
        rules: &MessageRules,
        opened: &'a Opened,
    ) -> Result<Vec<RawPayload<'a>>, FailureReason> {
        let payloads =
            opened.payloads(cx.codec, cx.path.remote).map_err(|error| self.authenticator.unreadable(error))?;
        PeerProof::require(rules, self.terms.method, &payloads)?;
        rules.check(&payloads)?;
        Ok(payloads)
    }

    /// Reads an encrypted message with the peer's identity and checks its proof. Changes nothing: until the proof is checked, the
    /// message may come from anybody. Call [`Keyed::accept`] if it is accepted.
    pub(super) fn read(
        &self,
        cx: &ExchangeContext<'_>,
        rules: &MessageRules,
        peer: Role,
        header: &Header,
        body: &[u8],
    ) -> Result<Check, FailureReason> {
        rules.check_encryption(header)?;
        let opened = self.open(header, body)?;
        let payloads = self.payloads(cx, rules, &opened)?;
        self.check(cx, peer, PeerProof::read(self.terms.method, &payloads), &payloads, opened.next_iv)
    }

    /// Checks the proof of the peer, which may have come in several messages; `payloads` are those of the last one. `next_iv` is
    /// the IV after it.
    pub(super) fn check(
        &self,
        cx: &ExchangeContext<'_>,
        peer: Role,
        proof: PeerProof,
        payloads: &[RawPayload<'_>],
        next_iv: Iv,
    ) -> Result<Check, FailureReason> {
        let hash = self.hash_of(cx, peer, &proof.id)?;
        let initial_contact = has_initial_contact(payloads);
        let proved = |id| Proved { peer: PeerIdentity::new(id), initial_contact, next_iv, certificate: None };
        Ok(match self.authenticator.check(hash, proof)? {
            Checking::Proved(id) => Check::Proved(proved(id)),
            Checking::Claimed(signed) => Check::Claimed(Box::new(Claim {
                requests: received_requests(payloads),
                proved: proved(signed.identity().clone()),
                signed: Some(signed),
            })),
        })
    }

    /// Returns the job that verifies a claim with the trust of the remote section.
    ///
    /// # Errors
    /// If it can be refused without a job.
    pub(super) fn verify(&self, cx: &mut ExchangeContext<'_>, claim: &mut Claim) -> Result<Job, FailureReason> {
        let signed = claim.signed.take().ok_or(FailureReason::Crypto(CryptoFailure::Unexpected))?;
        self.authenticator.verify(cx, signed)
    }

    /// Takes the result of the job that verified a claim.
    ///
    /// # Errors
    /// If the peer is refused: what it claims, for [`Keyed::reject`], and the reason.
    pub(super) fn verified(
        cx: &mut ExchangeContext<'_>,
        claim: Box<Claim>,
        result: JobResult,
    ) -> Result<Proved, (Box<Claim>, FailureReason)> {
        match Authenticator::verified(cx, result) {
            Ok(peer) => Ok(Proved { certificate: noted(cx, peer), ..claim.proved }),
            Err(reason) => Err((claim, reason)),
        }
    }

    /// Returns what a peer has proved whose proof was checked before the keys were derived; `verified` is the result for a signature.
    pub(super) fn proved(
        &self,
        cx: &mut ExchangeContext<'_>,
        claimed: Identity,
        verified: Option<VerifiedPeer>,
    ) -> Proved {
        let certificate = verified.and_then(|peer| noted(cx, peer));
        Proved { peer: PeerIdentity::new(claimed), initial_contact: false, next_iv: self.iv, certificate }
    }

    /// Refuses a peer that has the keys, under an SA that is used for nothing else.
    pub(super) fn reject(mut self, cx: &ExchangeContext<'_>, proved: Proved, reason: FailureReason) -> Transition {
        self.accept(proved.next_iv);
        Transition::Rejected(Box::new(self.into_sa(cx, proved.peer, None)), reason)
    }

    /// Refuses a peer whose claim is refused.
    pub(super) fn reject_claim(self, cx: &ExchangeContext<'_>, claim: Box<Claim>, reason: FailureReason) -> Transition {
        self.reject(cx, claim.proved, reason)
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
        let prf = self.proof_prf.as_ref().unwrap_or(&self.skeyid);
        let hash = match role {
            Role::Initiator => input.hash_i(prf, id),
            Role::Responder => input.hash_r(prf, id),
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

    /// Returns the IV of the next encrypted message.
    pub(super) fn iv(&self) -> Iv {
        self.iv
    }

    /// Returns the authentication method.
    pub(super) fn method(&self) -> AuthMethod {
        self.terms.method
    }

    /// Returns what the peer supports.
    pub(super) fn features(&self) -> Features {
        self.features
    }

    /// Makes the SA; secrets that it does not need are wiped.
    pub(super) fn into_sa(
        self,
        cx: &ExchangeContext<'_>,
        peer: PeerIdentity,
        certificate: Option<Arc<[u8]>>,
    ) -> Phase1Sa {
        Phase1Sa {
            cookies: cx.cookies,
            exchange: cx.exchange,
            remote_section: cx.remote_section,
            terms: self.terms,
            keys: self.keys,
            peer,
            certificate,
            key: self.authenticator.key_owner(cx),
            last_block: self.iv,
            used: UsedMessageIds::default(),
        }
    }
}

/// Notes whose certificate the peer has, and returns it.
fn noted(cx: &mut ExchangeContext<'_>, peer: VerifiedPeer) -> Option<Arc<[u8]>> {
    if let Some(subject) = &peer.subject {
        cx.note(Level::Info, || format!("the peer's certificate is that of {subject}"));
    }
    peer.certificate.map(Arc::from)
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
