//! The responder of main mode.

use std::net::SocketAddr;

use crate::conversation::Record;
use crate::crypto::{DhOperation, DhTask, Exponent, Job, JobResult, Task};
use crate::message::rules::MAIN;
use crate::num::ExchangeType;
use crate::phase1::auth::{self, Authenticator};
use crate::phase1::exchange::choice::{FirstChoice, describe_offer};
use crate::phase1::exchange::identity::{expected_peer, select_remote_by_identity};
use crate::phase1::exchange::keyed::{Keyed, Proved, Transcript, exchanged};
use crate::phase1::exchange::payloads::{draw_nonce, features, in_clear, key_and_nonce, key_message, proposal_message};
use crate::phase1::exchange::{ExchangeContext, ExchangeResult, Features, Transition};
use crate::proposal::Phase1Terms;
use crate::reason::{CryptoFailure, FailureReason, Malformed, Role};
use crate::settings::Settings;
use crate::wire::Header;

/// The state of a responder.
pub(crate) enum Responder {
    /// Has sent message 2.
    AwaitsKey(AwaitsKey),
    /// Has received message 3; the job for message 4 runs.
    DerivesKeys(DerivesKeys),
    /// Has sent message 4.
    AwaitsIdentity(AwaitsIdentity),
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
    keyed: Keyed,
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
            Self::DerivesKeys(_) => Transition::ignore(self, FailureReason::Malformed(Malformed::Busy)),
        }
    }

    /// Processes the result of the job that was requested.
    pub(super) fn job_done(self, cx: &mut ExchangeContext<'_>, result: JobResult) -> Transition {
        match self {
            Self::DerivesKeys(state) => state.job_done(cx, result).unwrap_or_else(Transition::Failed),
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
        let message = key_message(cx, &g_xr, &nr);
        let Self { awaited: AwaitsKey { sa_i, offered, terms, .. }, features, g_xi, ni } = self;
        let transcript = Transcript { sa_i, g_xi, g_xr, ni, nr };
        let keyed = Keyed::new(cx, terms, features, transcript, authenticator, &g_xy)?;
        Ok(Transition::send(Responder::AwaitsIdentity(AwaitsIdentity { offered, keyed }), message))
    }
}

impl AwaitsIdentity {
    /// Processes message 5, the peer's identity and its proof, selects the remote section for that identity, and sends
    /// message 6, our own identity and proof.
    fn receive(mut self, cx: &mut ExchangeContext<'_>, header: &Header, body: &[u8]) -> Transition {
        let proved = match self.keyed.read(cx, &MAIN[4], Role::Initiator, header, body) {
            Ok(proved) => proved,
            // If a random key stands in for a missing one, every proof is wrong, and the missing key is the true reason.
            Err(FailureReason::Authentication(why)) => {
                let reason = cx.record.no_key.clone().unwrap_or(FailureReason::Authentication(why));
                return Transition::ignore(Responder::AwaitsIdentity(self), reason);
            }
            Err(reason) => return Transition::ignore(Responder::AwaitsIdentity(self), reason),
        };
        // The message is authentic: message 6 is chained to its last block (RFC 2409 Appendix B).
        self.keyed.accept(proved.next_iv);
        // Until now the section was a guess by the address: main mode hides the identity until message 5.
        let verdict = select_remote_by_identity(cx, &self.offered, &proved.peer).and_then(|remote_section| {
            cx.remote_section = remote_section;
            expected_peer(cx, &proved.peer)
        });
        let last_message = match verdict {
            Ok(()) => match self.keyed.identify(cx, Role::Responder) {
                Ok(message) => Ok(message),
                Err(reason) => return Transition::Failed(reason),
            },
            Err(reason) => Err(reason),
        };
        let Proved { peer, initial_contact, .. } = proved;
        let features = self.keyed.features();
        let sa = self.keyed.into_sa(cx, peer);
        match last_message {
            Ok(message) => Transition::Established(Box::new(ExchangeResult {
                sa,
                last_message: Some(message),
                features,
                initial_contact,
            })),
            Err(reason) => Transition::Rejected(Box::new(sa), reason),
        }
    }
}
