//! The initiator of aggressive mode.

use crate::conversation::record::{bounded, in_words};
use crate::crypto::{DhOperation, DhTask, Exponent, Job, JobResult, Secret, Task};
use crate::identity::Identity;
use crate::message::rules::{self, AGGRESSIVE};
use crate::num::PayloadType;
use crate::phase1::auth::{self, Authenticator, OwnProof, PeerProof, Proving};
use crate::phase1::exchange::identity::expected_peer;
use crate::phase1::exchange::keyed::{Check, Claim, Keyed, Proved, Transcript, exchanged};
use crate::phase1::exchange::payloads::{
    certificate_requests, chosen_terms, draw_nonce, features, in_clear, key_and_nonce, own_identity, usable_proposals,
};
use crate::phase1::exchange::{ExchangeContext, ExchangeResult, Features, Transition};
use crate::proposal::{Phase1Terms, phase1_sa};
use crate::reason::{CryptoFailure, FailureReason, Malformed, Role};
use crate::wire::{self, Header, VendorId};

/// The state of an initiator.
pub(crate) enum Initiator {
    /// The job for message 1 runs.
    PreparesKey(PreparesKey),
    /// Has sent message 1.
    AwaitsAnswer(AwaitsAnswer),
    /// Has received message 2; the job for the keys runs.
    DerivesKeys(Box<DerivesKeys>),
    /// Has derived the keys; the job that verifies the signature in message 2 runs.
    Verifies(Box<Verifies>),
    /// Has verified it; the job for the signature in message 3 runs.
    Signs(Box<Signs>),
}

/// An initiator whose public value is being computed.
pub(crate) struct PreparesKey {
    sa_i: Vec<u8>,
    offered: Vec<Phase1Terms>,
}

/// An initiator that has sent message 1.
pub(crate) struct AwaitsAnswer {
    sent: Message1,
    exponent: Exponent,
}

/// An initiator whose shared secret is being computed while the peer's key is looked up. The job has the exponent.
pub(crate) struct DerivesKeys {
    sent: Message1,
    answer: Answer,
}

/// An initiator that verifies the responder's signature. It may have to wait for another message 2.
pub(crate) struct Verifies {
    awaiting: AwaitsAnswer,
    keyed: Keyed,
    claim: Box<Claim>,
}

/// An initiator whose proof is being signed.
pub(crate) struct Signs {
    keyed: Keyed,
    proved: Proved,
}

/// What message 1 contains.
struct Message1 {
    offered: Vec<Phase1Terms>,
    sa_i: Vec<u8>,
    g_xi: Vec<u8>,
    ni: Vec<u8>,
    /// The body of our ID payload.
    id: Vec<u8>,
}

/// Message 2, which is not authenticated yet.
struct Answer {
    terms: Phase1Terms,
    features: Features,
    g_xr: Vec<u8>,
    nr: Vec<u8>,
    claimed: Identity,
    /// The message, for the payloads that prove the identity.
    message: (Header, Vec<u8>),
}

impl Initiator {
    /// Has the public value for message 1 computed.
    pub(crate) fn begin(cx: &mut ExchangeContext<'_>) -> Result<Transition, FailureReason> {
        let section = cx.remote_section()?;
        let mut supported = usable_proposals(section).peekable();
        let Some(group) = supported.peek().map(|first| first.group) else {
            return Err(FailureReason::NoAuthMethod { remote: section.name.clone() });
        };
        // Racoon.conf is refused if the groups differ. A section that another one inherits may still have several.
        let offered: Vec<_> = supported.filter(|terms| terms.group == group).copied().collect();
        cx.record.offered = bounded(in_words(&offered));
        let exponent = Exponent::draw(group, cx.random)?;
        let sa_i = phase1_sa(&offered).encode();
        let exchange = Task::DiffieHellman(DhTask { exponent, operation: DhOperation::Public });
        Ok(Transition::run_job(Self::PreparesKey(PreparesKey { sa_i, offered }), exchange))
    }

    /// Processes a message that is not a duplicate.
    pub(super) fn receive(self, cx: &mut ExchangeContext<'_>, header: &Header, body: &[u8]) -> Transition {
        match self {
            Self::AwaitsAnswer(state) => state.receive(cx, header, body),
            Self::PreparesKey(_) | Self::DerivesKeys(_) | Self::Verifies(_) | Self::Signs(_) => {
                Transition::ignore(self, FailureReason::Malformed(Malformed::Busy))
            }
        }
    }

    /// Processes the result of the job that was requested.
    pub(super) fn job_done(self, cx: &mut ExchangeContext<'_>, result: JobResult) -> Transition {
        match self {
            Self::PreparesKey(state) => state.job_done(cx, result).unwrap_or_else(Transition::Failed),
            Self::DerivesKeys(state) => state.job_done(cx, result).unwrap_or_else(Transition::Failed),
            Self::Verifies(state) => state.job_done(cx, result),
            Self::Signs(state) => state.job_done(cx, result).unwrap_or_else(Transition::Failed),
            other => Transition::ignore(other, FailureReason::Crypto(CryptoFailure::Unexpected)),
        }
    }
}

impl PreparesKey {
    /// Sends message 1: all proposals, our public value and nonce, and our identity.
    fn job_done(self, cx: &mut ExchangeContext<'_>, mut result: JobResult) -> Result<Transition, FailureReason> {
        let (exponent, values) = exchanged(result.take_diffie_hellman())?;
        let g_xi = values?.public.unwrap_or_default();
        let ni = draw_nonce(cx)?;
        let id = own_identity(cx)?.encode();
        let Self { sa_i, offered } = self;
        let section = cx.remote_section()?;
        let method = offered.iter().map(|terms| terms.method).find(|method| method.is_signature());
        let requests = method.map(|method| certificate_requests(method, [section])).unwrap_or_default();
        let dpd = section.dpd.map(|_| VendorId::Dpd.encode());
        let mut payloads = vec![
            (PayloadType::SA, sa_i.as_slice()),
            (PayloadType::KEY_EXCHANGE, &g_xi),
            (PayloadType::NONCE, &ni),
            (PayloadType::ID, &id),
        ];
        payloads.extend(requests.iter().map(|body| (PayloadType::CERT_REQUEST, body.as_slice())));
        payloads.extend(dpd.as_deref().map(|dpd| (PayloadType::VENDOR_ID, dpd)));
        let message = wire::message(&cx.header(), &payloads);
        let sent = Message1 { offered, sa_i, g_xi, ni, id };
        Ok(Transition::send(Initiator::AwaitsAnswer(AwaitsAnswer { sent, exponent }), message))
    }
}

impl AwaitsAnswer {
    /// Processes message 2. Nothing of it can be believed before the keys are derived.
    fn receive(self, cx: &mut ExchangeContext<'_>, header: &Header, body: &[u8]) -> Transition {
        let answer = match Answer::read(cx, &self.sent.offered, header, body) {
            Ok(answer) => answer,
            Err(reason) => return Transition::ignore(Initiator::AwaitsAnswer(self), reason),
        };
        let Self { sent, exponent } = self;
        let exchange = Task::DiffieHellman(DhTask { exponent, operation: DhOperation::Shared(answer.g_xr.clone()) });
        let lookups = auth::lookups(cx, answer.terms.method, Some(&answer.claimed));
        let tasks = [exchange].into_iter().chain(lookups).collect();
        Transition::run_job(Initiator::DerivesKeys(Box::new(DerivesKeys { sent, answer })), Job { tasks })
    }
}

impl Answer {
    fn read(
        cx: &mut ExchangeContext<'_>,
        offered: &[Phase1Terms],
        header: &Header,
        body: &[u8],
    ) -> Result<Self, FailureReason> {
        let payloads = in_clear(&AGGRESSIVE[1], header, body)?;
        let terms = chosen_terms(cx, &payloads, offered)?;
        let (g_xr, nr) = key_and_nonce(&payloads)?;
        PeerProof::require(&AGGRESSIVE[1], terms.method, &payloads)?;
        let claimed = Identity::parse(rules::find(&payloads, PayloadType::ID).unwrap_or_default())?;
        let features = features(cx, &payloads, Features::default());
        Ok(Self { terms, features, g_xr, nr, claimed, message: (*header, body.to_vec()) })
    }
}

impl DerivesKeys {
    /// Checks the peer's proof, as far as this takes no job, and sends message 3. If message 2 is not authentic, waits for another one.
    fn job_done(
        self: Box<Self>,
        cx: &mut ExchangeContext<'_>,
        mut result: JobResult,
    ) -> Result<Transition, FailureReason> {
        let (exponent, values) = exchanged(result.take_diffie_hellman())?;
        // Message 2 may be forged: its value may be invalid, or its identity one without a key, and the true one may still come.
        match values.and_then(|values| self.checked(cx, &values.shared, result)) {
            Ok((keyed, Check::Proved(proved))) => Ok(answer(cx, self.sent.id, keyed, proved)),
            Ok((keyed, Check::Claimed(mut claim))) => match keyed.verify(cx, &mut claim) {
                Ok(job) => {
                    let awaiting = AwaitsAnswer { sent: self.sent, exponent };
                    let next = Box::new(Verifies { awaiting, keyed, claim });
                    Ok(Transition::run_job(Initiator::Verifies(next), job))
                }
                Err(reason) => Ok(self.wait_again(exponent, reason)),
            },
            Err(own @ FailureReason::Crypto(_)) => Err(own),
            Err(reason) => Ok(self.wait_again(exponent, reason)),
        }
    }

    /// Derives the keys and checks the peer's proof.
    fn checked(
        &self,
        cx: &mut ExchangeContext<'_>,
        g_xy: &Option<Secret>,
        mut result: JobResult,
    ) -> Result<(Keyed, Check), FailureReason> {
        let Self { sent, answer } = self;
        let g_xy = g_xy.as_ref().ok_or(FailureReason::Crypto(CryptoFailure::Incomplete))?;
        let method = answer.terms.method;
        let authenticator = Authenticator::new(cx, method, Role::Initiator, &mut result)?;
        let transcript = Transcript {
            sa_i: sent.sa_i.clone(),
            g_xi: sent.g_xi.clone(),
            g_xr: answer.g_xr.clone(),
            ni: sent.ni.clone(),
            nr: answer.nr.clone(),
        };
        let keyed = Keyed::new(cx, answer.terms, answer.features, transcript, authenticator, g_xy)?;
        let (header, body) = &answer.message;
        let payloads = in_clear(&AGGRESSIVE[1], header, body)?;
        let proof = PeerProof::read(method, &payloads);
        let check = keyed.check(cx, Role::Responder, proof, &payloads, keyed.iv())?;
        Ok((keyed, check))
    }

    fn wait_again(self: Box<Self>, exponent: Exponent, reason: FailureReason) -> Transition {
        Transition::ignore(Initiator::AwaitsAnswer(AwaitsAnswer { sent: self.sent, exponent }), reason)
    }
}

impl Verifies {
    /// Sends message 3. If the signature in message 2 is wrong, waits for another one: this one may be forged.
    fn job_done(self: Box<Self>, cx: &mut ExchangeContext<'_>, result: JobResult) -> Transition {
        let Self { awaiting, keyed, claim } = *self;
        match Keyed::verified(cx, claim, result) {
            Ok(proved) => answer(cx, awaiting.sent.id, keyed, proved),
            Err((_, reason)) => Transition::ignore(Initiator::AwaitsAnswer(awaiting), reason),
        }
    }
}

/// Proves our identity, of which `id` is the body of the ID payload, to a peer that has proved its own.
fn answer(cx: &mut ExchangeContext<'_>, id: Vec<u8>, keyed: Keyed, proved: Proved) -> Transition {
    if let Err(reason) = expected_peer(cx, &proved.peer) {
        return keyed.reject(cx, proved, reason);
    }
    keyed.note_substitute(cx, &proved.peer.id);
    match keyed.prove(cx, Role::Initiator, &id) {
        Ok(Proving::Done(proof)) => complete(cx, keyed, proved, &proof).unwrap_or_else(Transition::Failed),
        Ok(Proving::Sign(job)) => Transition::run_job(Initiator::Signs(Box::new(Signs { keyed, proved })), job),
        Err(reason) => Transition::Failed(reason),
    }
}

impl Signs {
    /// Sends message 3.
    fn job_done(self: Box<Self>, cx: &mut ExchangeContext<'_>, result: JobResult) -> Result<Transition, FailureReason> {
        let proof = Authenticator::signed(cx, result)?;
        complete(cx, self.keyed, self.proved, &proof)
    }
}

/// Sends message 3 and establishes the SA.
fn complete(
    cx: &mut ExchangeContext<'_>,
    mut keyed: Keyed,
    proved: Proved,
    proof: &OwnProof,
) -> Result<Transition, FailureReason> {
    let message = keyed.seal(cx, &proof.payloads().collect::<Vec<_>>())?;
    let features = keyed.features();
    let sa = keyed.into_sa(cx, proved.peer, proved.certificate);
    // INITIAL-CONTACT is not authenticated in message 2; an authentic one follows under the SA.
    let initial_contact = false;
    Ok(Transition::Established(Box::new(ExchangeResult { sa, last_message: Some(message), features, initial_contact })))
}
