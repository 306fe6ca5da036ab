//! The responder of aggressive mode.

use std::net::SocketAddr;

use crate::conversation::Record;
use crate::crypto::{DhOperation, DhTask, Exponent, Iv, Job, JobResult, Task};
use crate::message::rules::AGGRESSIVE;
use crate::num::{ExchangeType, Flags, PayloadType};
use crate::phase1::auth::{self, Authenticator, Proving};
use crate::phase1::exchange::choice::{FirstChoice, describe_offer};
use crate::phase1::exchange::claimed_peer::ClaimedPeer;
use crate::phase1::exchange::identity::expected_peer;
use crate::phase1::exchange::keyed::{Keyed, Transcript, exchanged};
use crate::phase1::exchange::payloads::{
    draw_nonce, features, has_initial_contact, in_clear, key_and_nonce, own_identity,
};
use crate::phase1::exchange::{ExchangeContext, ExchangeResult, Features, Transition, unsupported};
use crate::proposal::Phase1Terms;
use crate::reason::{CryptoFailure, FailureReason, Malformed, Role};
use crate::settings::Settings;
use crate::wire::{self, Header, VendorId};

/// The state of a responder.
pub(crate) enum Responder {
    /// Has received message 1; the job for message 2 runs.
    DerivesKeys(Box<DerivesKeys>),
    /// Has sent message 2.
    AwaitsProof(Box<AwaitsProof>),
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

/// Message 3, after its proof was checked.
struct Proof {
    initial_contact: bool,
    next_iv: Option<Iv>,
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

    /// Adds what the peer has offered, and what is configured, to the record.
    pub(super) fn describe_offer(&self, settings: &Settings, remote: SocketAddr, record: &mut Record) {
        let sa_i = match self {
            Self::DerivesKeys(state) => &state.sa_i,
            Self::AwaitsProof(state) => state.keyed.sa_i(),
        };
        describe_offer(settings, (remote, ExchangeType::AGGRESSIVE), sa_i, record);
    }
}

impl DerivesKeys {
    /// Sends message 2: our choice, public value and nonce, our identity and its proof.
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
            authenticator.distrust(cx);
            cx.record.no_key = Some(reason.clone());
        }
        let values = values?;
        let (Some(g_xr), Some(g_xy)) = (values.public, values.shared) else {
            return Err(FailureReason::Crypto(CryptoFailure::Incomplete));
        };
        let nr = draw_nonce(cx)?;
        let id = own_identity(cx)?.encode();
        let transcript = Transcript { sa_i, g_xi, g_xr: g_xr.clone(), ni, nr: nr.clone() };
        let keyed = Keyed::new(cx, terms, features, transcript, authenticator, &g_xy)?;
        let Proving::Done(proof) = keyed.prove(cx, Role::Responder, &id)? else {
            return Err(unsupported(cx.exchange));
        };
        // A responder announces only what the initiator has announced.
        let dpd = cx.remote_section()?.dpd.filter(|_| features.dpd).map(|_| VendorId::Dpd.encode());
        let mut payloads = vec![
            (PayloadType::SA, answer.as_slice()),
            (PayloadType::KEY_EXCHANGE, &g_xr),
            (PayloadType::NONCE, &nr),
            (PayloadType::ID, &id),
        ];
        payloads.extend(proof.payloads());
        payloads.extend(dpd.as_deref().map(|dpd| (PayloadType::VENDOR_ID, dpd)));
        let message = wire::message(&cx.header(), &payloads);
        let next = AwaitsProof { peer, keyed };
        Ok(Transition::send(Responder::AwaitsProof(Box::new(next)), message))
    }
}

impl AwaitsProof {
    /// The keys, under which the peer may refuse in place of message 3.
    pub(super) fn keyed(&self) -> &Keyed {
        &self.keyed
    }

    /// Processes message 3, the peer's proof.
    fn receive(mut self: Box<Self>, cx: &mut ExchangeContext<'_>, header: &Header, body: &[u8]) -> Transition {
        let proof = match self.read(cx, header, body) {
            Ok(proof) => proof,
            Err(reason) => {
                // If a random key stands in for a missing one, every proof is wrong, and the missing key is the true reason.
                let is_wrong = matches!(reason, FailureReason::Authentication(_));
                let reason = cx.record.no_key.clone().filter(|_| is_wrong).unwrap_or(reason);
                return Transition::ignore(Responder::AwaitsProof(self), reason);
            }
        };
        if let Some(next_iv) = proof.next_iv {
            self.keyed.accept(next_iv);
        }
        // The peer has returned our cookie, so a flood from forged addresses cannot cause this cost.
        describe_offer(cx.settings, (cx.path.remote, cx.exchange), self.keyed.sa_i(), cx.record);
        let Self { peer, keyed } = *self;
        // Refused only if the configuration has changed since message 1; otherwise the section was selected by the identity.
        let verdict = expected_peer(cx, &peer.identity);
        keyed.note_substitute(cx, &peer.identity.id);
        let features = keyed.features();
        let sa = keyed.into_sa(cx, peer.identity, None);
        match verdict {
            Ok(()) => {
                let initial_contact = proof.initial_contact;
                Transition::Established(Box::new(ExchangeResult { sa, last_message: None, features, initial_contact }))
            }
            Err(reason) => Transition::Rejected(Box::new(sa), reason),
        }
    }

    /// Reads message 3 and checks its proof. Changes nothing: until the proof is checked, the message may come from anybody.
    fn read(&self, cx: &ExchangeContext<'_>, header: &Header, body: &[u8]) -> Result<Proof, FailureReason> {
        let rules = &AGGRESSIVE[2];
        if !header.flags.contains(Flags::ENCRYPTED) {
            let payloads = in_clear(rules, header, body)?;
            self.keyed.check_proof(cx, Role::Initiator, &self.peer.id, &payloads)?;
            // Anybody on the path could have added INITIAL-CONTACT.
            return Ok(Proof { initial_contact: false, next_iv: None });
        }
        let opened = self.keyed.open(header, body)?;
        let payloads = self.keyed.payloads(cx, rules, &opened)?;
        self.keyed.check_proof(cx, Role::Initiator, &self.peer.id, &payloads)?;
        Ok(Proof { initial_contact: has_initial_contact(&payloads), next_iv: Some(opened.next_iv) })
    }
}
