//! The initiator of main mode.

use crate::conversation::record::{bounded, in_words};
use crate::crypto::{DhOperation, DhTask, Exponent, Job, JobResult, Task};
use crate::message::rules::MAIN;
use crate::phase1::auth::{self, Authenticator, OwnProof, Proving};
use crate::phase1::exchange::identity::expected_peer;
use crate::phase1::exchange::keyed::{Check, Claim, Keyed, Proved, Transcript, exchanged};
use crate::phase1::exchange::payloads::{
    chosen_terms, draw_nonce, features, in_clear, key_and_nonce, key_message, own_identity, proposal_message,
    usable_proposals,
};
use crate::phase1::exchange::{ExchangeContext, ExchangeResult, Features, Transition};
use crate::proposal::{Phase1Terms, phase1_sa};
use crate::reason::{CryptoFailure, FailureReason, Malformed, Role};
use crate::wire::Header;

/// The state of an initiator.
pub(crate) enum Initiator {
    /// Has sent message 1.
    AwaitsChoice(AwaitsChoice),
    /// Has received message 2; the job for message 3 runs.
    PreparesKey(PreparesKey),
    /// Has sent message 3.
    AwaitsKey(AwaitsKey),
    /// Has received message 4; the job for message 5 runs.
    DerivesKeys(DerivesKeys),
    /// Has keys; the job for the signature in message 5 runs.
    Signs(Signs),
    /// Has sent message 5.
    AwaitsIdentity(AwaitsIdentity),
    /// Has received message 6; the job that verifies its signature runs.
    Verifies(Verifies),
}

/// An initiator that has sent message 1.
pub(crate) struct AwaitsChoice {
    sa_i: Vec<u8>,
    offered: Vec<Phase1Terms>,
}

/// An initiator whose public value is being computed while the peer's key is looked up.
pub(crate) struct PreparesKey {
    sa_i: Vec<u8>,
    terms: Phase1Terms,
    features: Features,
}

/// An initiator that has sent message 3.
pub(crate) struct AwaitsKey {
    sa_i: Vec<u8>,
    terms: Phase1Terms,
    features: Features,
    authenticator: Authenticator,
    exponent: Exponent,
    g_xi: Vec<u8>,
    ni: Vec<u8>,
}

/// An initiator whose shared secret is being computed. The job has the exponent.
pub(crate) struct DerivesKeys {
    terms: Phase1Terms,
    features: Features,
    authenticator: Authenticator,
    transcript: Transcript,
}

/// An initiator whose proof is being signed.
pub(crate) struct Signs {
    keyed: Box<Keyed>,
    id: Vec<u8>,
}

/// An initiator that has sent message 5.
pub(crate) struct AwaitsIdentity {
    keyed: Box<Keyed>,
}

/// An initiator that verifies the responder's signature.
pub(crate) struct Verifies {
    awaited: AwaitsIdentity,
    claim: Box<Claim>,
}

impl Initiator {
    /// Sends message 1, with all proposals of the remote section whose authentication method is supported.
    pub(crate) fn begin(cx: &mut ExchangeContext<'_>) -> Result<Transition, FailureReason> {
        let section = cx.remote_section()?;
        let offered: Vec<_> = usable_proposals(section).copied().collect();
        if offered.is_empty() {
            return Err(FailureReason::NoAuthMethod { remote: section.name.clone() });
        }
        cx.record.offered = bounded(in_words(&offered));
        let sa_i = phase1_sa(&offered).encode();
        let message = proposal_message(cx, &sa_i, section.dpd.is_some());
        Ok(Transition::send(Self::AwaitsChoice(AwaitsChoice { sa_i, offered }), message))
    }

    /// Processes a message that is not a duplicate.
    pub(super) fn receive(self, cx: &mut ExchangeContext<'_>, header: &Header, body: &[u8]) -> Transition {
        match self {
            Self::AwaitsChoice(state) => state.receive(cx, header, body),
            Self::AwaitsKey(state) => state.receive(cx, header, body),
            Self::AwaitsIdentity(state) => state.receive(cx, header, body),
            Self::PreparesKey(_) | Self::DerivesKeys(_) | Self::Signs(_) | Self::Verifies(_) => {
                Transition::ignore(self, FailureReason::Malformed(Malformed::Busy))
            }
        }
    }

    /// Processes the result of the job that was requested.
    pub(super) fn job_done(self, cx: &mut ExchangeContext<'_>, result: JobResult) -> Transition {
        match self {
            Self::PreparesKey(state) => state.job_done(cx, result).unwrap_or_else(Transition::Failed),
            Self::DerivesKeys(state) => state.job_done(cx, result).unwrap_or_else(Transition::Failed),
            Self::Signs(state) => state.job_done(cx, result).unwrap_or_else(Transition::Failed),
            Self::Verifies(state) => state.job_done(cx, result),
            other => Transition::ignore(other, FailureReason::Crypto(CryptoFailure::Unexpected)),
        }
    }

    /// The state as `racoonctl show-sa isakmp` numbers it.
    pub(super) fn status(&self) -> u8 {
        match self {
            Self::AwaitsChoice(_) => 3,
            Self::PreparesKey(_) => 4,
            Self::AwaitsKey(_) => 5,
            Self::DerivesKeys(_) | Self::Signs(_) => 6,
            Self::AwaitsIdentity(_) => 7,
            Self::Verifies(_) => 8,
        }
    }
}

impl AwaitsChoice {
    /// Processes message 2, the peer's choice, and draws an exponent.
    fn receive(self, cx: &mut ExchangeContext<'_>, header: &Header, body: &[u8]) -> Transition {
        let (terms, features) = match self.read(cx, header, body) {
            Ok(read) => read,
            // Message 2 is not authenticated. If this one is forged, the true one may still arrive.
            Err(reason) => return Transition::ignore(Initiator::AwaitsChoice(self), reason),
        };
        let exponent = match Exponent::draw(terms.group, cx.random) {
            Ok(exponent) => exponent,
            Err(error) => return Transition::Failed(error.into()),
        };
        let exchange = Task::DiffieHellman(DhTask { exponent, operation: DhOperation::Public });
        // One job for both: message 3 needs the public value, and without a key for the peer it need not be sent.
        let tasks = [exchange].into_iter().chain(auth::lookups(cx, terms.method, None)).collect();
        Transition::run_job(Initiator::PreparesKey(PreparesKey { sa_i: self.sa_i, terms, features }), Job { tasks })
    }

    fn read(
        &self,
        cx: &mut ExchangeContext<'_>,
        header: &Header,
        body: &[u8],
    ) -> Result<(Phase1Terms, Features), FailureReason> {
        let payloads = in_clear(&MAIN[1], header, body)?;
        let terms = chosen_terms(cx, &payloads, &self.offered)?;
        Ok((terms, features(cx, &payloads, Features::default())))
    }
}

impl PreparesKey {
    /// Sends message 3, our public value and nonce.
    fn job_done(self, cx: &mut ExchangeContext<'_>, mut result: JobResult) -> Result<Transition, FailureReason> {
        let (exponent, values) = exchanged(result.take_diffie_hellman())?;
        // Without a key the exchange ends here. An initiator need not hide this, as a responder must.
        let authenticator = Authenticator::new(cx, self.terms.method, Role::Initiator, &mut result)?;
        let g_xi = values?.public.unwrap_or_default();
        let ni = draw_nonce(cx)?;
        let message = key_message(cx, &g_xi, &ni, &[]);
        let Self { sa_i, terms, features } = self;
        let next = AwaitsKey { sa_i, terms, features, authenticator, exponent, g_xi, ni };
        Ok(Transition::send(Initiator::AwaitsKey(next), message))
    }
}

impl AwaitsKey {
    /// Processes message 4, the peer's public value and nonce.
    fn receive(self, cx: &mut ExchangeContext<'_>, header: &Header, body: &[u8]) -> Transition {
        let (payloads, (g_xr, nr)) = match in_clear(&MAIN[3], header, body)
            .and_then(|payloads| key_and_nonce(&payloads).map(|values| (payloads, values)))
        {
            Ok(read) => read,
            Err(reason) => return Transition::ignore(Initiator::AwaitsKey(self), reason),
        };
        // Vendor IDs may be in any message of the exchange.
        let features = features(cx, &payloads, self.features);
        let Self { sa_i, terms, authenticator, exponent, g_xi, ni, .. } = self;
        let exchange = Task::DiffieHellman(DhTask { exponent, operation: DhOperation::Shared(g_xr.clone()) });
        let transcript = Transcript { sa_i, g_xi, g_xr, ni, nr };
        let next = DerivesKeys { terms, features, authenticator, transcript };
        Transition::run_job(Initiator::DerivesKeys(next), exchange)
    }
}

impl DerivesKeys {
    /// Sends message 5, our identity and its proof. If the peer's public value is invalid, waits for message 4 again.
    fn job_done(self, cx: &mut ExchangeContext<'_>, mut result: JobResult) -> Result<Transition, FailureReason> {
        let (exponent, values) = exchanged(result.take_diffie_hellman())?;
        let g_xy = match values {
            Ok(values) => values.shared.ok_or(FailureReason::Crypto(CryptoFailure::Incomplete))?,
            // Message 4 is not authenticated: the invalid value may be forged, and the true one may still come.
            Err(reason) => return Ok(Transition::ignore(Initiator::AwaitsKey(self.into_awaits_key(exponent)), reason)),
        };
        let keyed = Keyed::new(cx, self.terms, self.features, self.transcript, self.authenticator, &g_xy)?;
        let keyed = Box::new(keyed);
        let id = own_identity(cx)?.encode();
        match keyed.prove(cx, Role::Initiator, &id)? {
            Proving::Done(proof) => AwaitsIdentity::after(cx, keyed, &id, &proof),
            Proving::Sign(job) => Ok(Transition::run_job(Initiator::Signs(Signs { keyed, id }), job)),
        }
    }

    fn into_awaits_key(self, exponent: Exponent) -> AwaitsKey {
        let Self { terms, features, authenticator, transcript } = self;
        let Transcript { sa_i, g_xi, ni, .. } = transcript;
        AwaitsKey { sa_i, terms, features, authenticator, exponent, g_xi, ni }
    }
}

impl Signs {
    /// Sends message 5.
    fn job_done(self, cx: &mut ExchangeContext<'_>, result: JobResult) -> Result<Transition, FailureReason> {
        let proof = Authenticator::signed(cx, result)?;
        AwaitsIdentity::after(cx, self.keyed, &self.id, &proof)
    }
}

impl AwaitsIdentity {
    /// Sends message 5.
    fn after(
        cx: &mut ExchangeContext<'_>,
        mut keyed: Box<Keyed>,
        id: &[u8],
        proof: &OwnProof,
    ) -> Result<Transition, FailureReason> {
        let message = keyed.identify(cx, Role::Initiator, id, proof)?;
        Ok(Transition::send(Initiator::AwaitsIdentity(Self { keyed }), message))
    }

    /// The keys, under which the peer may refuse in place of message 6.
    pub(super) fn keyed(&self) -> &Keyed {
        &self.keyed
    }

    /// Processes message 6, the peer's identity and its proof.
    fn receive(self, cx: &mut ExchangeContext<'_>, header: &Header, body: &[u8]) -> Transition {
        match self.keyed.read(cx, &MAIN[5], Role::Responder, header, body) {
            Ok(Check::Proved(proved)) => self.complete(cx, proved),
            Ok(Check::Claimed(mut claim)) => match self.keyed.verify(cx, &mut claim) {
                Ok(job) => Transition::run_job(Initiator::Verifies(Verifies { awaited: self, claim }), job),
                Err(reason) => self.keyed.reject_claim(cx, claim, reason),
            },
            Err(reason) => Transition::ignore(Initiator::AwaitsIdentity(self), reason),
        }
    }

    /// Establishes the SA if the peer is an expected one.
    fn complete(mut self, cx: &mut ExchangeContext<'_>, proved: Proved) -> Transition {
        // The peer has the SA already. If its identity is refused, it must be told under this SA.
        if let Err(reason) = expected_peer(cx, &proved.peer) {
            return self.keyed.reject(cx, proved, reason);
        }
        self.keyed.accept(proved.next_iv);
        let (features, initial_contact) = (self.keyed.features(), proved.initial_contact);
        let sa = self.keyed.into_sa(cx, proved.peer, proved.certificate);
        Transition::Established(Box::new(ExchangeResult { sa, last_message: None, features, initial_contact }))
    }
}

impl Verifies {
    /// The keys, which the peer uses already.
    pub(super) fn keyed(&self) -> &Keyed {
        &self.awaited.keyed
    }

    /// Establishes the SA, or refuses the peer. If the job was dropped, waits for message 6 again.
    fn job_done(self, cx: &mut ExchangeContext<'_>, result: JobResult) -> Transition {
        if result.is_dropped() {
            return Transition::ignore(Initiator::AwaitsIdentity(self.awaited), FailureReason::not_computed());
        }
        match Keyed::verified(cx, self.claim, result) {
            Ok(proved) => self.awaited.complete(cx, proved),
            Err((claim, reason)) => self.awaited.keyed.reject_claim(cx, claim, reason),
        }
    }
}
