//! The initiator of base mode.

use super::Hashes;
use crate::conversation::record::{bounded, in_words};
use crate::crypto::{DhOperation, DhTask, Exponent, Job, JobResult, Task};
use crate::identity::Identity;
use crate::message::rules::{self, BASE};
use crate::num::PayloadType;
use crate::phase1::auth::{self, Authenticator, Checking, OwnProof, PeerProof, Proving};
use crate::phase1::exchange::identity::expected_peer;
use crate::phase1::exchange::keyed::{Keyed, Transcript, exchanged};
use crate::phase1::exchange::payloads::{
    chosen_terms, draw_nonce, features, in_clear, own_identity, proof_message, received_nonce, usable_proposals,
};
use crate::phase1::exchange::{ExchangeContext, ExchangeResult, Features, Transition};
use crate::proposal::{Phase1Terms, phase1_sa};
use crate::reason::{CryptoFailure, FailureReason, Malformed, Role};
use crate::wire::{self, Header, VendorId};

/// The state of an initiator.
pub(crate) enum Initiator {
    /// Has sent message 1.
    AwaitsAnswer(AwaitsAnswer),
    /// Has received message 2; the job for message 3 runs.
    PreparesKey(Box<PreparesKey>),
    /// Has a public value; the job for the signature in message 3 runs.
    Signs(Box<AwaitsKey>),
    /// Has sent message 3.
    AwaitsKey(Box<AwaitsKey>),
    /// Has received message 4; the job for the keys runs, and verifies a signature.
    DerivesKeys(Box<DerivesKeys>),
}

/// An initiator that has sent message 1.
pub(crate) struct AwaitsAnswer {
    offered: Vec<Phase1Terms>,
    sa_i: Vec<u8>,
    ni: Vec<u8>,
    /// The body of our ID payload.
    id: Vec<u8>,
}

/// An initiator whose public value is being computed while the peer's key is looked up.
pub(crate) struct PreparesKey {
    awaited: AwaitsAnswer,
    answer: Answer,
}

/// Message 2.
struct Answer {
    terms: Phase1Terms,
    features: Features,
    nr: Vec<u8>,
    /// The body of the peer's ID payload.
    id: Vec<u8>,
    claimed: Identity,
}

/// An initiator that has sent message 3.
pub(crate) struct AwaitsKey {
    answer: Answer,
    /// The body of our ID payload.
    id: Vec<u8>,
    authenticator: Authenticator,
    hashes: Hashes,
    exponent: Exponent,
    /// Without g^xr.
    transcript: Transcript,
}

/// An initiator whose shared secret is being computed. The job has the exponent, too.
pub(crate) struct DerivesKeys {
    awaited: AwaitsKey,
    g_xr: Vec<u8>,
}

impl Initiator {
    /// Sends message 1, with all proposals of the remote section that can be used, and our identity.
    pub(crate) fn begin(cx: &mut ExchangeContext<'_>) -> Result<Transition, FailureReason> {
        let section = cx.remote_section()?;
        let offered: Vec<_> = usable_proposals(section).copied().collect();
        if offered.is_empty() {
            return Err(FailureReason::NoAuthMethod { remote: section.name.clone() });
        }
        cx.record.offered = bounded(in_words(&offered));
        let sa_i = phase1_sa(&offered).encode();
        let (id, ni) = (own_identity(cx)?.encode(), draw_nonce(cx)?);
        let dpd = section.dpd.map(|_| VendorId::Dpd.encode());
        let mut payloads = vec![(PayloadType::SA, sa_i.as_slice()), (PayloadType::ID, &id), (PayloadType::NONCE, &ni)];
        payloads.extend(dpd.as_deref().map(|dpd| (PayloadType::VENDOR_ID, dpd)));
        let message = wire::message(&cx.header(), &payloads);
        Ok(Transition::send(Self::AwaitsAnswer(AwaitsAnswer { offered, sa_i, ni, id }), message))
    }

    /// Processes a message that is not a duplicate.
    pub(super) fn receive(self, cx: &mut ExchangeContext<'_>, header: &Header, body: &[u8]) -> Transition {
        match self {
            Self::AwaitsAnswer(state) => state.receive(cx, header, body),
            Self::AwaitsKey(state) => state.receive(cx, header, body),
            Self::PreparesKey(_) | Self::Signs(_) | Self::DerivesKeys(_) => {
                Transition::ignore(self, FailureReason::Malformed(Malformed::Busy))
            }
        }
    }

    /// Processes the result of the job that was requested.
    pub(super) fn job_done(self, cx: &mut ExchangeContext<'_>, result: JobResult) -> Transition {
        match self {
            Self::PreparesKey(state) => state.job_done(cx, result).unwrap_or_else(Transition::Failed),
            Self::Signs(state) => match Authenticator::signed(cx, result) {
                Ok(proof) => state.send(cx, &proof),
                Err(reason) => Transition::Failed(reason),
            },
            Self::DerivesKeys(state) => state.job_done(cx, result).unwrap_or_else(Transition::Failed),
            other => Transition::ignore(other, FailureReason::Crypto(CryptoFailure::Unexpected)),
        }
    }
}

impl AwaitsAnswer {
    /// Processes message 2, the peer's choice and its identity.
    fn receive(self, cx: &mut ExchangeContext<'_>, header: &Header, body: &[u8]) -> Transition {
        let answer = match Answer::read(cx, &self.offered, header, body) {
            Ok(answer) => answer,
            // Message 2 is not authenticated. If this one is forged, the true one may still arrive.
            Err(reason) => return Transition::ignore(Initiator::AwaitsAnswer(self), reason),
        };
        let exponent = match Exponent::draw(answer.terms.group, cx.random) {
            Ok(exponent) => exponent,
            Err(error) => return Transition::Failed(error.into()),
        };
        let exchange = Task::DiffieHellman(DhTask { exponent, operation: DhOperation::Public });
        let lookups = auth::lookups(cx, answer.terms.method, Some(&answer.claimed));
        let tasks = [exchange].into_iter().chain(lookups).collect();
        Transition::run_job(Initiator::PreparesKey(Box::new(PreparesKey { awaited: self, answer })), Job { tasks })
    }
}

impl Answer {
    fn read(
        cx: &mut ExchangeContext<'_>,
        offered: &[Phase1Terms],
        header: &Header,
        body: &[u8],
    ) -> Result<Self, FailureReason> {
        let payloads = in_clear(&BASE[1], header, body)?;
        let terms = chosen_terms(cx, &payloads, offered)?;
        let nr = received_nonce(&payloads)?;
        let id = rules::find(&payloads, PayloadType::ID).unwrap_or_default().to_vec();
        let claimed = Identity::parse(&id)?;
        let features = features(cx, &payloads, Features::default());
        Ok(Self { terms, features, nr, id, claimed })
    }
}

impl PreparesKey {
    /// Proves our identity, as far as this takes no job, and sends message 3.
    fn job_done(self, cx: &mut ExchangeContext<'_>, mut result: JobResult) -> Result<Transition, FailureReason> {
        let (exponent, values) = exchanged(result.take_diffie_hellman())?;
        let g_xi = values?.public.unwrap_or_default();
        let Self { awaited, answer } = self;
        let authenticator = match Authenticator::new(cx, answer.terms.method, Role::Initiator, &mut result) {
            Ok(authenticator) => authenticator,
            // The identity in message 2 may be forged, and the true one may have a key.
            Err(reason @ FailureReason::NoPreSharedKey { .. }) => {
                return Ok(Transition::ignore(Initiator::AwaitsAnswer(awaited), reason));
            }
            Err(reason) => return Err(reason),
        };
        let AwaitsAnswer { sa_i, ni, id, .. } = awaited;
        let transcript = Transcript { sa_i, g_xi, g_xr: Vec::new(), ni, nr: answer.nr.clone() };
        let hashes = Hashes::new(&authenticator, &answer.terms, &transcript)?;
        let proving = authenticator.prove(cx, hashes.of_initiator(cx, &transcript, &id)?)?;
        let next = Box::new(AwaitsKey { answer, id, authenticator, hashes, exponent, transcript });
        Ok(match proving {
            Proving::Done(proof) => next.send(cx, &proof),
            Proving::Sign(job) => Transition::run_job(Initiator::Signs(next), job),
        })
    }
}

impl AwaitsKey {
    /// Sends message 3, our public value and proof.
    fn send(self: Box<Self>, cx: &ExchangeContext<'_>, proof: &OwnProof) -> Transition {
        let message = proof_message(cx, self.answer.terms.method, &self.transcript.g_xi, proof);
        Transition::send(Initiator::AwaitsKey(self), message)
    }

    /// Processes message 4, the peer's public value and proof.
    fn receive(mut self: Box<Self>, cx: &mut ExchangeContext<'_>, header: &Header, body: &[u8]) -> Transition {
        let (g_xr, verification) = match self.check(cx, header, body) {
            Ok(checked) => checked,
            Err(reason) => return Transition::ignore(Initiator::AwaitsKey(self), reason),
        };
        let exponent = self.exponent.clone();
        let exchange = Task::DiffieHellman(DhTask { exponent, operation: DhOperation::Shared(g_xr.clone()) });
        let tasks = [exchange].into_iter().chain(verification).collect();
        Transition::run_job(Initiator::DerivesKeys(Box::new(DerivesKeys { awaited: *self, g_xr })), Job { tasks })
    }

    /// Checks message 4. Returns the peer's public value, and the tasks that verify its signature, if it has one.
    fn check(
        &mut self,
        cx: &mut ExchangeContext<'_>,
        header: &Header,
        body: &[u8],
    ) -> Result<(Vec<u8>, Vec<Task>), FailureReason> {
        let payloads = in_clear(&BASE[3], header, body)?;
        let method = self.answer.terms.method;
        PeerProof::require(&BASE[3], method, &payloads)?;
        // The identity came in message 2.
        let proof = PeerProof::read(method, &payloads).of_identity(&self.answer.id);
        self.transcript.g_xr = rules::find(&payloads, PayloadType::KEY_EXCHANGE).unwrap_or_default().to_vec();
        let hash = self.hashes.of_responder(cx, &self.transcript, &self.id, &self.answer.id)?;
        let tasks = match self.authenticator.check(hash, proof)? {
            Checking::Proved(_) => Vec::new(),
            Checking::Claimed(claim) => self.authenticator.verify(cx, claim)?.tasks,
        };
        Ok((self.transcript.g_xr.clone(), tasks))
    }
}

impl DerivesKeys {
    /// Establishes the SA. If the peer's public value or signature is invalid, waits for message 4 again.
    fn job_done(
        self: Box<Self>,
        cx: &mut ExchangeContext<'_>,
        mut result: JobResult,
    ) -> Result<Transition, FailureReason> {
        let Self { awaited, g_xr } = *self;
        let (_, values) = exchanged(result.take_diffie_hellman())?;
        let is_signed = awaited.answer.terms.method.is_signature();
        let verified = values.and_then(|values| {
            let peer = if is_signed { Some(Authenticator::verified(cx, result)?) } else { None };
            Ok((values.shared.ok_or(FailureReason::Crypto(CryptoFailure::Incomplete))?, peer))
        });
        let (g_xy, peer) = match verified {
            Ok(verified) => verified,
            Err(reason) => return Ok(Transition::ignore(Initiator::AwaitsKey(Box::new(awaited)), reason)),
        };
        let AwaitsKey { answer, authenticator, transcript, .. } = awaited;
        let transcript = Transcript { g_xr, ..transcript };
        let keyed = Keyed::new(cx, answer.terms, answer.features, transcript, authenticator, &g_xy)?;
        let proved = keyed.proved(cx, answer.claimed, peer);
        if let Err(reason) = expected_peer(cx, &proved.peer) {
            return Ok(keyed.reject(cx, proved, reason));
        }
        keyed.note_substitute(cx, &proved.peer.id);
        let (features, initial_contact) = (keyed.features(), false);
        let sa = keyed.into_sa(cx, proved.peer, proved.certificate);
        Ok(Transition::Established(Box::new(ExchangeResult { sa, last_message: None, features, initial_contact })))
    }
}
