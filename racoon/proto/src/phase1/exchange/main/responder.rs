//! The responder of main mode.

use std::net::SocketAddr;

use crate::conversation::Record;
use crate::crypto::{DhOperation, DhTask, Exponent, Job, JobResult, Task};
use crate::message::rules::MAIN;
use crate::num::ExchangeType;
use crate::phase1::PeerIdentity;
use crate::phase1::auth::{self, Authenticator, OwnProof, Proving};
use crate::phase1::exchange::choice::{FirstChoice, describe_offer, for_method, peer_query};
use crate::phase1::exchange::identity::{expected_peer, select_remote_by_identity};
use crate::phase1::exchange::keyed::{Check, Claim, Keyed, Proved, Transcript, exchanged};
use crate::phase1::exchange::payloads::{
    certificate_requests, draw_nonce, features, in_clear, key_and_nonce, key_message, own_identity, proposal_message,
};
use crate::phase1::exchange::{ExchangeContext, ExchangeResult, Features, Transition};
use crate::proposal::Phase1Terms;
use crate::reason::{CryptoFailure, FailureReason, Malformed, Role};
use crate::select::RemoteQuery;
use crate::settings::Settings;
use crate::wire::{CertificateRequest, Header};

/// The state of a responder.
pub(crate) enum Responder {
    /// Has sent message 2.
    AwaitsKey(AwaitsKey),
    /// Has received message 3; the job for message 4 runs.
    DerivesKeys(DerivesKeys),
    /// Has sent message 4.
    AwaitsIdentity(AwaitsIdentity),
    /// Has received message 5; the job that verifies its signature runs.
    Verifies(Verifies),
    /// Has verified message 5; the job for the signature in message 6 runs.
    Signs(Signs),
}

/// A responder that has sent message 2.
pub(crate) struct AwaitsKey {
    sa_i: Vec<u8>,
    offered: Phase1Terms,
    terms: Phase1Terms,
    features: Features,
}

/// A responder whose public value and shared secret are being computed while the peer's key is looked up.
pub(crate) struct DerivesKeys {
    awaited: AwaitsKey,
    features: Features,
    g_xi: Vec<u8>,
    ni: Vec<u8>,
}

/// A responder that has sent message 4.
pub(crate) struct AwaitsIdentity {
    offered: Phase1Terms,
    keyed: Box<Keyed>,
}

/// A responder that verifies the initiator's signature.
pub(crate) struct Verifies {
    awaited: AwaitsIdentity,
    claim: Box<Claim>,
}

/// A responder whose proof is being signed.
pub(crate) struct Signs {
    awaited: AwaitsIdentity,
    proved: Proved,
    id: Vec<u8>,
}

impl Responder {
    /// Sends message 2, our choice.
    pub(crate) fn begin(cx: &mut ExchangeContext<'_>, choice: FirstChoice<'_>) -> Result<Transition, FailureReason> {
        let FirstChoice { payloads, sa_i, answer, offered, terms, .. } = choice;
        let features = features(cx, &payloads, Features::default());
        // A responder announces only what the initiator has announced.
        let dpd = features.dpd && cx.remote_section()?.dpd.is_some();
        let message = proposal_message(cx, &answer.encode(), dpd);
        Ok(Transition::send(Self::AwaitsKey(AwaitsKey { sa_i, offered, terms, features }), message))
    }

    /// Processes a message that is not a duplicate.
    pub(super) fn receive(self, cx: &mut ExchangeContext<'_>, header: &Header, body: &[u8]) -> Transition {
        match self {
            Self::AwaitsKey(state) => state.receive(cx, header, body),
            Self::AwaitsIdentity(state) => state.receive(cx, header, body),
            Self::DerivesKeys(_) | Self::Verifies(_) | Self::Signs(_) => {
                Transition::ignore(self, FailureReason::Malformed(Malformed::Busy))
            }
        }
    }

    /// Processes the result of the job that was requested.
    pub(super) fn job_done(self, cx: &mut ExchangeContext<'_>, result: JobResult) -> Transition {
        match self {
            Self::DerivesKeys(state) => state.job_done(cx, result).unwrap_or_else(Transition::Failed),
            Self::Verifies(state) => state.job_done(cx, result),
            Self::Signs(state) => state.job_done(cx, result),
            other => Transition::ignore(other, FailureReason::Crypto(CryptoFailure::Unexpected)),
        }
    }

    /// Adds what the peer has offered, and what is configured, to the record if only message 1 has arrived.
    pub(super) fn describe_offer(&self, settings: &Settings, remote: SocketAddr, record: &mut Record) {
        if let Self::AwaitsKey(state) = self {
            state.describe_offer(settings, remote, record);
        }
    }

    /// The state as `racoonctl show-sa isakmp` numbers it.
    pub(super) fn status(&self) -> u8 {
        match self {
            Self::AwaitsKey(_) => 3,
            Self::DerivesKeys(_) => 4,
            Self::AwaitsIdentity(_) => 5,
            Self::Verifies(_) | Self::Signs(_) => 6,
        }
    }
}

impl AwaitsKey {
    fn describe_offer(&self, settings: &Settings, remote: SocketAddr, record: &mut Record) {
        describe_offer(settings, (remote, ExchangeType::MAIN), &self.sa_i, record);
    }

    /// Processes message 3, the peer's public value and nonce.
    fn receive(self, cx: &mut ExchangeContext<'_>, header: &Header, body: &[u8]) -> Transition {
        let read = in_clear(&MAIN[2], header, body)
            .and_then(|payloads| key_and_nonce(&payloads).map(|values| (payloads, values)));
        let (payloads, (g_xi, ni)) = match read {
            Ok(read) => read,
            Err(reason) => return Transition::ignore(Responder::AwaitsKey(self), reason),
        };
        let exponent = match Exponent::draw(self.terms.group, cx.random) {
            Ok(exponent) => exponent,
            Err(error) => return Transition::Failed(error.into()),
        };
        let exchange = Task::DiffieHellman(DhTask { exponent, operation: DhOperation::Both(g_xi.clone()) });
        let tasks = [exchange].into_iter().chain(auth::lookups(cx, self.terms.method, None)).collect();
        let features = features(cx, &payloads, self.features);
        // The peer has returned our cookie, so a flood from forged addresses cannot cause this cost.
        self.describe_offer(cx.settings, cx.path.remote, cx.record);
        Transition::run_job(Responder::DerivesKeys(DerivesKeys { awaited: self, features, g_xi, ni }), Job { tasks })
    }
}

impl DerivesKeys {
    /// Sends message 4, our public value and nonce. If the peer's public value is invalid or the job was dropped, waits for
    /// message 3 again.
    fn job_done(self, cx: &mut ExchangeContext<'_>, mut result: JobResult) -> Result<Transition, FailureReason> {
        // The shell was overloaded. The peer retransmits message 3, and then there may be a thread for the job.
        if result.is_dropped() {
            return Ok(Transition::ignore(Responder::AwaitsKey(self.awaited), FailureReason::not_computed()));
        }
        let authenticator = Authenticator::new(cx, self.awaited.terms.method, Role::Responder, &mut result)?;
        let values = match exchanged(result.take_diffie_hellman())?.1 {
            Ok(values) => values,
            Err(reason) => return Ok(Transition::ignore(Responder::AwaitsKey(self.awaited), reason)),
        };
        let (Some(g_xr), Some(g_xy)) = (values.public, values.shared) else {
            return Err(FailureReason::Crypto(CryptoFailure::Incomplete));
        };
        let nr = draw_nonce(cx)?;
        let requests = requests(cx, &self.awaited.offered);
        let message = key_message(cx, &g_xr, &nr, &requests);
        let Self { awaited: AwaitsKey { sa_i, offered, terms, .. }, features, g_xi, ni } = self;
        let transcript = Transcript { sa_i, g_xi, g_xr, ni, nr };
        let keyed = Box::new(Keyed::new(cx, terms, features, transcript, authenticator, &g_xy)?);
        Ok(Transition::send(Responder::AwaitsIdentity(AwaitsIdentity { offered, keyed }), message))
    }
}

/// Returns the Certificate Request payloads of message 4: those of all sections that the peer may turn out to belong to.
fn requests(cx: &ExchangeContext<'_>, offered: &Phase1Terms) -> Vec<Vec<u8>> {
    let remotes = &cx.settings.remotes;
    let known = for_method(&peer_query(cx.path.remote, ExchangeType::MAIN), offered.method);
    let candidates = remotes.candidates(&RemoteQuery { accepted: Some(offered), ..known });
    certificate_requests(offered.method, candidates.into_iter().filter_map(|index| remotes.get(index)))
}

impl AwaitsIdentity {
    /// Processes message 5, the peer's identity and its proof, selects the remote section for that identity, and sends
    /// message 6, our own identity and proof.
    fn receive(self, cx: &mut ExchangeContext<'_>, header: &Header, body: &[u8]) -> Transition {
        match self.keyed.read(cx, &MAIN[4], Role::Initiator, header, body) {
            // Until now the section was a guess by the address: main mode hides the identity until message 5.
            Ok(Check::Proved(proved)) => match self.select_section(cx, &proved.peer, &[]) {
                Ok(()) => self.answer(cx, proved),
                Err(reason) => self.keyed.reject(cx, proved, reason),
            },
            Ok(Check::Claimed(mut claim)) => {
                // Before the signature is verified: the section says whom to trust.
                let section = self.select_section(cx, claim.peer(), &claim.requests);
                match section.and_then(|()| self.keyed.verify(cx, &mut claim)) {
                    Ok(job) => Transition::run_job(Responder::Verifies(Verifies { awaited: self, claim }), job),
                    Err(reason) => self.keyed.reject_claim(cx, claim, reason),
                }
            }
            // If a random key stands in for a missing one, every proof is wrong, and the missing key is the true reason.
            Err(FailureReason::Authentication(why)) => {
                let reason = cx.record.no_key.clone().unwrap_or(FailureReason::Authentication(why));
                Transition::ignore(Responder::AwaitsIdentity(self), reason)
            }
            Err(reason) => Transition::ignore(Responder::AwaitsIdentity(self), reason),
        }
    }

    fn select_section(
        &self,
        cx: &mut ExchangeContext<'_>,
        peer: &PeerIdentity,
        requests: &[CertificateRequest],
    ) -> Result<(), FailureReason> {
        cx.remote_section = select_remote_by_identity(cx, &self.offered, peer, requests)?;
        Ok(())
    }

    /// Sends message 6 if the peer is an expected one.
    fn answer(self, cx: &mut ExchangeContext<'_>, proved: Proved) -> Transition {
        if let Err(reason) = expected_peer(cx, &proved.peer) {
            return self.keyed.reject(cx, proved, reason);
        }
        let id = match own_identity(cx) {
            Ok(id) => id.encode(),
            Err(reason) => return Transition::Failed(reason),
        };
        match self.keyed.prove(cx, Role::Responder, &id) {
            Ok(Proving::Done(proof)) => self.complete(cx, proved, &id, &proof),
            Ok(Proving::Sign(job)) => Transition::run_job(Responder::Signs(Signs { awaited: self, proved, id }), job),
            Err(reason) => Transition::Failed(reason),
        }
    }

    /// Sends message 6 and establishes the SA.
    fn complete(mut self, cx: &mut ExchangeContext<'_>, proved: Proved, id: &[u8], proof: &OwnProof) -> Transition {
        // Message 6 is chained to the last block of message 5 (RFC 2409 Appendix B).
        self.keyed.accept(proved.next_iv);
        let message = match self.keyed.identify(cx, Role::Responder, id, proof) {
            Ok(message) => message,
            Err(reason) => return Transition::Failed(reason),
        };
        let (features, initial_contact) = (self.keyed.features(), proved.initial_contact);
        let sa = self.keyed.into_sa(cx, proved.peer, proved.certificate);
        let last_message = Some(message);
        Transition::Established(Box::new(ExchangeResult { sa, last_message, features, initial_contact }))
    }
}

impl Verifies {
    /// Answers the peer, or refuses it. If the job was dropped, waits for message 5 again.
    fn job_done(self, cx: &mut ExchangeContext<'_>, result: JobResult) -> Transition {
        if result.is_dropped() {
            return Transition::ignore(Responder::AwaitsIdentity(self.awaited), FailureReason::not_computed());
        }
        match Keyed::verified(cx, self.claim, result) {
            Ok(proved) => self.awaited.answer(cx, proved),
            Err((claim, reason)) => self.awaited.keyed.reject_claim(cx, claim, reason),
        }
    }
}

impl Signs {
    /// Sends message 6. If the job was dropped, waits for message 5 again.
    fn job_done(self, cx: &mut ExchangeContext<'_>, result: JobResult) -> Transition {
        if result.is_dropped() {
            return Transition::ignore(Responder::AwaitsIdentity(self.awaited), FailureReason::not_computed());
        }
        match Authenticator::signed(cx, result) {
            Ok(proof) => self.awaited.complete(cx, self.proved, &self.id, &proof),
            // The peer waits for message 6, and can read the reason why there is none.
            Err(reason) => self.awaited.keyed.reject(cx, self.proved, reason),
        }
    }
}
