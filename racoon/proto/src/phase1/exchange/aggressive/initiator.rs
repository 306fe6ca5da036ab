//! The initiator of aggressive mode.

use crate::conversation::record::{bounded, in_words};
use crate::crypto::{DhOperation, DhTask, Exponent, Job, JobResult, Secret, Task};
use crate::identity::Identity;
use crate::message::rules::{self, AGGRESSIVE};
use crate::num::PayloadType;
use crate::phase1::PeerIdentity;
use crate::phase1::auth::{self, Authenticator, Proving};
use crate::phase1::exchange::identity::expected_peer;
use crate::phase1::exchange::keyed::{Keyed, Transcript, exchanged};
use crate::phase1::exchange::payloads::{chosen_terms, draw_nonce, features, in_clear, key_and_nonce, own_identity};
use crate::phase1::exchange::{ExchangeContext, ExchangeResult, Features, Transition, unsupported};
use crate::proposal::{Phase1Terms, phase1_sa};
use crate::reason::{CryptoFailure, FailureReason, Malformed, Role};
use crate::wire::{self, Header, RawPayload, VendorId};

/// The state of an initiator.
pub(crate) enum Initiator {
    /// The job for message 1 runs.
    PreparesKey(PreparesKey),
    /// Has sent message 1.
    AwaitsAnswer(AwaitsAnswer),
    /// Has received message 2; the job for message 3 runs.
    DerivesKeys(Box<DerivesKeys>),
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
    /// The body of the peer's ID payload.
    id: Vec<u8>,
    peer: PeerIdentity,
    /// The message, for the payloads that prove the identity.
    message: (Header, Vec<u8>),
}

impl Initiator {
    /// Has the public value for message 1 computed.
    pub(crate) fn begin(cx: &mut ExchangeContext<'_>) -> Result<Transition, FailureReason> {
        let section = cx.remote_section()?;
        let can_use = |terms: &&Phase1Terms| auth::is_usable(section, cx.exchange, terms.method);
        let mut supported = section.proposals.iter().filter(can_use).peekable();
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
            Self::PreparesKey(_) | Self::DerivesKeys(_) => {
                Transition::ignore(self, FailureReason::Malformed(Malformed::Busy))
            }
        }
    }

    /// Processes the result of the job that was requested.
    pub(super) fn job_done(self, cx: &mut ExchangeContext<'_>, result: JobResult) -> Transition {
        match self {
            Self::PreparesKey(state) => state.job_done(cx, result).unwrap_or_else(Transition::Failed),
            Self::DerivesKeys(state) => state.job_done(cx, result).unwrap_or_else(Transition::Failed),
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
        let dpd = cx.remote_section()?.dpd.map(|_| VendorId::Dpd.encode());
        let mut payloads = vec![
            (PayloadType::SA, sa_i.as_slice()),
            (PayloadType::KEY_EXCHANGE, &g_xi),
            (PayloadType::NONCE, &ni),
            (PayloadType::ID, &id),
        ];
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
        let lookups = auth::lookups(cx, answer.terms.method, Some(&answer.peer.id));
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
        let id = rules::find(&payloads, PayloadType::ID).unwrap_or_default().to_vec();
        let peer = PeerIdentity::new(Identity::parse(&id).map_err(FailureReason::from)?);
        let features = features(cx, &payloads, Features::default());
        Ok(Self { terms, features, g_xr, nr, id, peer, message: (*header, body.to_vec()) })
    }
}

impl DerivesKeys {
    /// Checks the peer's proof and sends message 3, ours. If message 2 is not authentic, waits for another one.
    fn job_done(
        self: Box<Self>,
        cx: &mut ExchangeContext<'_>,
        mut result: JobResult,
    ) -> Result<Transition, FailureReason> {
        let (exponent, values) = exchanged(result.take_diffie_hellman())?;
        // Message 2 may be forged: its value may be invalid, or its identity one without a key, and the true one may still come.
        let keyed = match values.and_then(|values| self.authenticated(cx, &values.shared, result)) {
            Ok(keyed) => keyed,
            Err(own @ FailureReason::Crypto(_)) => return Err(own),
            Err(reason) => {
                let awaiting = AwaitsAnswer { sent: self.sent, exponent };
                return Ok(Transition::ignore(Initiator::AwaitsAnswer(awaiting), reason));
            }
        };
        self.finish(cx, keyed)
    }

    /// Derives the keys and checks the peer's proof.
    fn authenticated(
        &self,
        cx: &mut ExchangeContext<'_>,
        g_xy: &Option<Secret>,
        mut result: JobResult,
    ) -> Result<Keyed, FailureReason> {
        let Self { sent, answer } = self;
        let g_xy = g_xy.as_ref().ok_or(FailureReason::Crypto(CryptoFailure::Incomplete))?;
        let authenticator = Authenticator::new(cx, answer.terms.method, Role::Initiator, &mut result)?;
        let transcript = Transcript {
            sa_i: sent.sa_i.clone(),
            g_xi: sent.g_xi.clone(),
            g_xr: answer.g_xr.clone(),
            ni: sent.ni.clone(),
            nr: answer.nr.clone(),
        };
        let keyed = Keyed::new(cx, answer.terms, answer.features, transcript, authenticator, g_xy)?;
        let payloads = answer.payloads()?;
        keyed.check_proof(cx, Role::Responder, &answer.id, &payloads)?;
        Ok(keyed)
    }

    /// Checks the proved identity and sends message 3.
    fn finish(self, cx: &mut ExchangeContext<'_>, mut keyed: Keyed) -> Result<Transition, FailureReason> {
        let Self { sent, answer } = self;
        if let Err(reason) = expected_peer(cx, &answer.peer) {
            return Ok(Transition::Rejected(Box::new(keyed.into_sa(cx, answer.peer, None)), reason));
        }
        keyed.note_substitute(cx, &answer.peer.id);
        let Proving::Done(proof) = keyed.prove(cx, Role::Initiator, &sent.id)? else {
            return Err(unsupported(cx.exchange));
        };
        let message = keyed.seal(cx, &proof.payloads().collect::<Vec<_>>())?;
        let sa = keyed.into_sa(cx, answer.peer, None);
        Ok(Transition::Established(Box::new(ExchangeResult {
            sa,
            last_message: Some(message),
            features: answer.features,
            // It is not authenticated in message 2; an authentic one follows under the SA.
            initial_contact: false,
        })))
    }
}

impl Answer {
    /// The payloads, which were checked when the message arrived.
    fn payloads(&self) -> Result<Vec<RawPayload<'_>>, FailureReason> {
        let (header, body) = &self.message;
        in_clear(&AGGRESSIVE[1], header, body)
    }
}
