//! The responder of aggressive mode.

use std::net::SocketAddr;

use crate::conversation::Record;
use crate::crypto::{DhOperation, DhTask, Exponent, Job, JobResult, Task};
use crate::message::rules::AGGRESSIVE;
use crate::num::{AuthMethod, ExchangeType, Flags, PayloadType};
use crate::phase1::auth::{self, Authenticator, OwnProof, PeerProof, Proving};
use crate::phase1::exchange::choice::{FirstChoice, describe_offer};
use crate::phase1::exchange::claimed_peer::ClaimedPeer;
use crate::phase1::exchange::identity::expected_peer;
use crate::phase1::exchange::keyed::{Check, Claim, Keyed, Proved, Transcript, exchanged};
use crate::phase1::exchange::payloads::{
    certificate_requests, draw_nonce, features, in_clear, key_and_nonce, own_identity,
};
use crate::phase1::exchange::{ExchangeContext, ExchangeResult, Features, Transition, unsupported};
use crate::proposal::Phase1Terms;
use crate::reason::{CryptoFailure, FailureReason, Malformed, Role};
use crate::settings::Settings;
use crate::wire::{self, Header, RawPayload, VendorId};

/// The state of a responder.
pub(crate) enum Responder {
    /// Has received message 1; the job for the keys runs.
    DerivesKeys(Box<DerivesKeys>),
    /// Has derived the keys; the job for the signature in message 2 runs.
    Signs(Box<Signs>),
    /// Has sent message 2.
    AwaitsProof(Box<AwaitsProof>),
    /// Has received message 3; the job that verifies its signature runs.
    Verifies(Box<Verifies>),
}

/// A responder whose public value and shared secret are being computed while the peer's key is looked up.
pub(crate) struct DerivesKeys {
    peer: ClaimedPeer,
    sa_i: Vec<u8>,
    /// The body of our SA payload.
    answer: Vec<u8>,
    terms: Phase1Terms,
    features: Features,
    g_xi: Vec<u8>,
    ni: Vec<u8>,
}

/// A responder that has sent message 2.
pub(crate) struct AwaitsProof {
    peer: ClaimedPeer,
    keyed: Keyed,
}

/// A responder whose proof in message 2 is being signed.
pub(crate) struct Signs {
    awaiting: AwaitsProof,
    message: Message2,
}

/// A responder that verifies the initiator's signature.
pub(crate) struct Verifies {
    awaiting: Box<AwaitsProof>,
    claim: Box<Claim>,
    /// Whether message 3 is encrypted, so that only the peer can have sent it.
    is_encrypted: bool,
}

/// What message 2 contains besides the proof.
struct Message2 {
    /// The body of our SA payload.
    answer: Vec<u8>,
    g_xr: Vec<u8>,
    nr: Vec<u8>,
    /// The body of our ID payload.
    id: Vec<u8>,
    method: AuthMethod,
}

impl Responder {
    /// Processes message 1, and has the values for message 2 computed.
    pub(crate) fn begin(cx: &mut ExchangeContext<'_>, choice: FirstChoice<'_>) -> Result<Transition, FailureReason> {
        let FirstChoice { payloads, sa_i, answer, terms, peer, .. } = choice;
        // Always there: only the first message of main mode does not name the peer.
        let peer = peer.ok_or(unsupported(cx.exchange))?;
        let (g_xi, ni) = key_and_nonce(&payloads)?;
        let features = features(cx, &payloads, Features::default());
        let exponent = Exponent::draw(terms.group, cx.random)?;
        let exchange = Task::DiffieHellman(DhTask { exponent, operation: DhOperation::Both(g_xi.clone()) });
        // Also for an unexpected peer, so that it takes as long.
        let lookups = auth::lookups(cx, terms.method, Some(&peer.identity.id));
        let tasks = [exchange].into_iter().chain(lookups).collect();
        let next = DerivesKeys { peer, sa_i, answer: answer.encode(), terms, features, g_xi, ni };
        Ok(Transition::run_job(Self::DerivesKeys(Box::new(next)), Job { tasks }))
    }

    /// Processes a message that is not a duplicate.
    pub(super) fn receive(self, cx: &mut ExchangeContext<'_>, header: &Header, body: &[u8]) -> Transition {
        match self {
            Self::AwaitsProof(state) => state.receive(cx, header, body),
            Self::DerivesKeys(_) | Self::Signs(_) | Self::Verifies(_) => {
                Transition::ignore(self, FailureReason::Malformed(Malformed::Busy))
            }
        }
    }

    /// Processes the result of the job that was requested.
    pub(super) fn job_done(self, cx: &mut ExchangeContext<'_>, result: JobResult) -> Transition {
        match self {
            Self::DerivesKeys(state) => state.job_done(cx, result).unwrap_or_else(Transition::Failed),
            Self::Signs(state) => state.job_done(cx, result).unwrap_or_else(Transition::Failed),
            Self::Verifies(state) => state.job_done(cx, result),
            other => Transition::ignore(other, FailureReason::Crypto(CryptoFailure::Unexpected)),
        }
    }

    /// Adds what the peer has offered, and what is configured, to the record.
    pub(super) fn describe_offer(&self, settings: &Settings, remote: SocketAddr, record: &mut Record) {
        let sa_i = match self {
            Self::DerivesKeys(state) => &state.sa_i,
            Self::Signs(state) => state.awaiting.keyed.sa_i(),
            Self::AwaitsProof(state) => state.keyed.sa_i(),
            Self::Verifies(state) => state.awaiting.keyed.sa_i(),
        };
        describe_offer(settings, (remote, ExchangeType::AGGRESSIVE), sa_i, record);
    }
}

impl DerivesKeys {
    /// Proves our identity, as far as this takes no job, and sends message 2.
    ///
    /// If nothing was computed or the peer's value is invalid, the exchange ends: message 1, if it is repeated, begins another one.
    fn job_done(
        self: Box<Self>,
        cx: &mut ExchangeContext<'_>,
        mut result: JobResult,
    ) -> Result<Transition, FailureReason> {
        let (_, values) = exchanged(result.take_diffie_hellman())?;
        let Self { peer, sa_i, answer, terms, features, g_xi, ni } = *self;
        let mut authenticator = Authenticator::new(cx, terms.method, Role::Responder, &mut result)?;
        if let Some(reason) = &peer.unexpected {
            authenticator.distrust(cx, reason);
        }
        let values = values?;
        let (Some(g_xr), Some(g_xy)) = (values.public, values.shared) else {
            return Err(FailureReason::Crypto(CryptoFailure::Incomplete));
        };
        let nr = draw_nonce(cx)?;
        let id = own_identity(cx)?.encode();
        let message = Message2 { answer, g_xr: g_xr.clone(), nr: nr.clone(), id, method: terms.method };
        let transcript = Transcript { sa_i, g_xi, g_xr, ni, nr };
        let keyed = Keyed::new(cx, terms, features, transcript, authenticator, &g_xy)?;
        let next = AwaitsProof { peer, keyed };
        match next.keyed.prove(cx, Role::Responder, &message.id)? {
            Proving::Done(proof) => message.send(cx, next, &proof),
            Proving::Sign(job) => {
                Ok(Transition::run_job(Responder::Signs(Box::new(Signs { awaiting: next, message })), job))
            }
        }
    }
}

impl Signs {
    /// Sends message 2.
    fn job_done(self: Box<Self>, cx: &mut ExchangeContext<'_>, result: JobResult) -> Result<Transition, FailureReason> {
        let proof = Authenticator::signed(cx, result)?;
        self.message.send(cx, self.awaiting, &proof)
    }
}

impl Message2 {
    /// Sends the message with the proof of our identity.
    fn send(
        self,
        cx: &mut ExchangeContext<'_>,
        next: AwaitsProof,
        proof: &OwnProof,
    ) -> Result<Transition, FailureReason> {
        let section = cx.remote_section()?;
        // A responder announces only what the initiator has announced.
        let dpd = section.dpd.filter(|_| next.keyed.features().dpd).map(|_| VendorId::Dpd.encode());
        let requests = certificate_requests(self.method, [section]);
        let mut payloads = vec![
            (PayloadType::SA, self.answer.as_slice()),
            (PayloadType::KEY_EXCHANGE, &self.g_xr),
            (PayloadType::NONCE, &self.nr),
            (PayloadType::ID, &self.id),
        ];
        payloads.extend(proof.payloads());
        payloads.extend(requests.iter().map(|body| (PayloadType::CERT_REQUEST, body.as_slice())));
        payloads.extend(dpd.as_deref().map(|dpd| (PayloadType::VENDOR_ID, dpd)));
        let message = wire::message(&cx.header(), &payloads);
        Ok(Transition::send(Responder::AwaitsProof(Box::new(next)), message))
    }
}

impl AwaitsProof {
    /// The keys, under which the peer may refuse in place of message 3.
    pub(super) fn keyed(&self) -> &Keyed {
        &self.keyed
    }

    /// Processes message 3, the peer's proof.
    fn receive(self: Box<Self>, cx: &mut ExchangeContext<'_>, header: &Header, body: &[u8]) -> Transition {
        match self.read(cx, header, body) {
            Ok(Check::Proved(proved)) => self.complete(cx, proved),
            Ok(Check::Claimed(mut claim)) => match self.keyed.verify(cx, &mut claim) {
                Ok(job) => {
                    let is_encrypted = header.flags.contains(Flags::ENCRYPTED);
                    let next = Box::new(Verifies { awaiting: self, claim, is_encrypted });
                    Transition::run_job(Responder::Verifies(next), job)
                }
                Err(reason) => Transition::ignore(Responder::AwaitsProof(self), reason),
            },
            Err(reason) => {
                // If a random key stands in for a missing one, every proof is wrong, and the missing key is the true reason.
                let is_wrong = matches!(reason, FailureReason::Authentication(_));
                let reason = cx.record.no_key.clone().filter(|_| is_wrong).unwrap_or(reason);
                Transition::ignore(Responder::AwaitsProof(self), reason)
            }
        }
    }

    /// Reads message 3 and checks its proof. Changes nothing: until the proof is checked, the message may come from anybody.
    fn read(&self, cx: &ExchangeContext<'_>, header: &Header, body: &[u8]) -> Result<Check, FailureReason> {
        let rules = &AGGRESSIVE[2];
        let check = |payloads: &[RawPayload<'_>], next_iv| {
            // The identity came in message 1.
            let proof = PeerProof::read(self.keyed.method(), payloads).of_identity(&self.peer.id);
            self.keyed.check(cx, Role::Initiator, proof, payloads, next_iv)
        };
        if header.flags.contains(Flags::ENCRYPTED) {
            let opened = self.keyed.open(header, body)?;
            return check(&self.keyed.payloads(cx, rules, &opened)?, opened.next_iv);
        }
        let mut payloads = in_clear(rules, header, body)?;
        PeerProof::require(rules, self.keyed.method(), &payloads)?;
        // Anybody on the path could have added INITIAL-CONTACT.
        payloads.retain(|payload| payload.kind != PayloadType::NOTIFY);
        check(&payloads, self.keyed.iv())
    }

    /// Establishes the SA.
    fn complete(self: Box<Self>, cx: &mut ExchangeContext<'_>, proved: Proved) -> Transition {
        // The peer has returned our cookie, so a flood from forged addresses cannot cause this cost.
        describe_offer(cx.settings, (cx.path.remote, cx.exchange), self.keyed.sa_i(), cx.record);
        let Self { peer, mut keyed } = *self;
        let verdict = match peer.unexpected {
            // A signature that is right under another section's trust.
            Some(reason) => Err(reason),
            // Refused only if the configuration has changed since message 1; otherwise the section was selected by the identity.
            None => expected_peer(cx, &proved.peer),
        };
        if let Err(reason) = verdict {
            return keyed.reject(cx, proved, reason);
        }
        keyed.note_substitute(cx, &proved.peer.id);
        keyed.accept(proved.next_iv);
        let (features, initial_contact) = (keyed.features(), proved.initial_contact);
        let sa = keyed.into_sa(cx, proved.peer, proved.certificate);
        Transition::Established(Box::new(ExchangeResult { sa, last_message: None, features, initial_contact }))
    }
}

impl Verifies {
    /// The keys.
    pub(super) fn keyed(&self) -> &Keyed {
        &self.awaiting.keyed
    }

    /// Establishes the SA, or refuses the peer. If the job was dropped, waits for message 3 again.
    fn job_done(self, cx: &mut ExchangeContext<'_>, result: JobResult) -> Transition {
        let Self { awaiting, claim, is_encrypted } = self;
        if result.is_dropped() {
            return Transition::ignore(Responder::AwaitsProof(awaiting), FailureReason::not_computed());
        }
        match Keyed::verified(cx, claim, result) {
            Ok(proved) => awaiting.complete(cx, proved),
            Err((claim, reason)) if is_encrypted => awaiting.keyed.reject_claim(cx, claim, reason),
            // Whoever sees the cookies can send an unencrypted message 3, and the true one may still come.
            Err((_, reason)) => Transition::ignore(Responder::AwaitsProof(awaiting), reason),
        }
    }
}
