//! The responder of base mode.

use std::net::SocketAddr;

use super::Hashes;
use crate::conversation::Record;
use crate::credentials::VerifiedPeer;
use crate::crypto::{DhOperation, DhTask, Exponent, Job, JobResult, Secret, Task};
use crate::message::rules::{self, BASE};
use crate::num::{ExchangeType, PayloadType};
use crate::phase1::auth::{self, Authenticator, Checking, OwnProof, PeerProof, Proving};
use crate::phase1::exchange::choice::{FirstChoice, describe_offer};
use crate::phase1::exchange::claimed_peer::ClaimedPeer;
use crate::phase1::exchange::identity::expected_peer;
use crate::phase1::exchange::keyed::{Keyed, Proved, Transcript, exchanged};
use crate::phase1::exchange::payloads::{draw_nonce, features, in_clear, own_identity, proof_message, received_nonce};
use crate::phase1::exchange::{ExchangeContext, ExchangeResult, Features, Transition, unsupported};
use crate::proposal::Phase1Terms;
use crate::reason::{CryptoFailure, FailureReason, Malformed, Role};
use crate::settings::Settings;
use crate::wire::{self, Header, VendorId};

/// The state of a responder.
pub(crate) enum Responder {
    /// Has sent message 2.
    AwaitsKey(Box<AwaitsKey>),
    /// Has received message 3; the job for the keys runs.
    DerivesKeys(Box<DerivesKeys>),
    /// Has derived the keys; the job that verifies the signature in message 3 runs.
    Verifies(Box<Verifies>),
    /// Has verified it; the job for the signature in message 4 runs.
    Signs(Box<Signs>),
}

/// A responder that has sent message 2.
pub(crate) struct AwaitsKey {
    peer: ClaimedPeer,
    sa_i: Vec<u8>,
    terms: Phase1Terms,
    features: Features,
    ni: Vec<u8>,
    nr: Vec<u8>,
    /// The body of our ID payload.
    id: Vec<u8>,
}

/// A responder whose public value and shared secret are being computed while the peer's key is looked up.
pub(crate) struct DerivesKeys {
    awaited: AwaitsKey,
    g_xi: Vec<u8>,
    proof: PeerProof,
}

/// A responder that verifies the initiator's signature.
pub(crate) struct Verifies {
    awaited: AwaitsKey,
    derived: Derived,
}

/// A responder whose proof is being signed.
pub(crate) struct Signs {
    awaited: AwaitsKey,
    keyed: Keyed,
    proved: Proved,
    g_xr: Vec<u8>,
}

/// What a responder has computed from message 3.
struct Derived {
    authenticator: Authenticator,
    hashes: Hashes,
    transcript: Transcript,
    g_xy: Secret,
}

impl Responder {
    /// Sends message 2: our choice and our identity.
    pub(crate) fn begin(cx: &mut ExchangeContext<'_>, choice: FirstChoice<'_>) -> Result<Transition, FailureReason> {
        let FirstChoice { payloads, sa_i, answer, terms, peer, .. } = choice;
        // Always there: only the first message of main mode does not name the peer.
        let peer = peer.ok_or(unsupported(cx.exchange))?;
        let ni = received_nonce(&payloads)?;
        let features = features(cx, &payloads, Features::default());
        let (id, nr) = (own_identity(cx)?.encode(), draw_nonce(cx)?);
        let answer = answer.encode();
        // A responder announces only what the initiator has announced.
        let dpd = cx.remote_section()?.dpd.filter(|_| features.dpd).map(|_| VendorId::Dpd.encode());
        let mut payloads =
            vec![(PayloadType::SA, answer.as_slice()), (PayloadType::ID, &id), (PayloadType::NONCE, &nr)];
        payloads.extend(dpd.as_deref().map(|dpd| (PayloadType::VENDOR_ID, dpd)));
        let message = wire::message(&cx.header(), &payloads);
        let next = AwaitsKey { peer, sa_i, terms, features, ni, nr, id };
        Ok(Transition::send(Self::AwaitsKey(Box::new(next)), message))
    }

    /// Processes a message that is not a duplicate.
    pub(super) fn receive(self, cx: &mut ExchangeContext<'_>, header: &Header, body: &[u8]) -> Transition {
        match self {
            Self::AwaitsKey(state) => state.receive(cx, header, body),
            Self::DerivesKeys(_) | Self::Verifies(_) | Self::Signs(_) => {
                Transition::ignore(self, FailureReason::Malformed(Malformed::Busy))
            }
        }
    }

    /// Processes the result of the job that was requested. If it was dropped, waits for message 3 again.
    pub(super) fn job_done(self, cx: &mut ExchangeContext<'_>, result: JobResult) -> Transition {
        if result.is_dropped() {
            let awaited = match self {
                Self::AwaitsKey(state) => *state,
                Self::DerivesKeys(state) => state.awaited,
                Self::Verifies(state) => state.awaited,
                Self::Signs(state) => state.awaited,
            };
            return Transition::ignore(Self::AwaitsKey(Box::new(awaited)), FailureReason::not_computed());
        }
        match self {
            Self::DerivesKeys(state) => state.job_done(cx, result).unwrap_or_else(Transition::Failed),
            Self::Verifies(state) => state.job_done(cx, result).unwrap_or_else(Transition::Failed),
            Self::Signs(state) => state.job_done(cx, result),
            other @ Self::AwaitsKey(_) => Transition::ignore(other, FailureReason::Crypto(CryptoFailure::Unexpected)),
        }
    }

    /// Adds what the peer has offered, and what is configured, to the record.
    pub(super) fn describe_offer(&self, settings: &Settings, remote: SocketAddr, record: &mut Record) {
        let awaited = match self {
            Self::AwaitsKey(state) => state,
            Self::DerivesKeys(state) => &state.awaited,
            Self::Verifies(state) => &state.awaited,
            Self::Signs(state) => &state.awaited,
        };
        describe_offer(settings, (remote, ExchangeType::BASE), &awaited.sa_i, record);
    }
}

impl AwaitsKey {
    /// Processes message 3, the peer's public value and its proof.
    fn receive(self: Box<Self>, cx: &mut ExchangeContext<'_>, header: &Header, body: &[u8]) -> Transition {
        let (g_xi, proof) = match self.read(header, body) {
            Ok(read) => read,
            Err(reason) => return Transition::ignore(Responder::AwaitsKey(self), reason),
        };
        let exponent = match Exponent::draw(self.terms.group, cx.random) {
            Ok(exponent) => exponent,
            Err(error) => return Transition::Failed(error.into()),
        };
        let exchange = Task::DiffieHellman(DhTask { exponent, operation: DhOperation::Both(g_xi.clone()) });
        // Also for an unexpected peer, so that it takes as long.
        let lookups = auth::lookups(cx, self.terms.method, Some(&self.peer.identity.id));
        let tasks = [exchange].into_iter().chain(lookups).collect();
        // The peer has returned our cookie, so a flood from forged addresses cannot cause this cost.
        describe_offer(cx.settings, (cx.path.remote, cx.exchange), &self.sa_i, cx.record);
        let next = DerivesKeys { awaited: *self, g_xi, proof };
        Transition::run_job(Responder::DerivesKeys(Box::new(next)), Job { tasks })
    }

    fn read(&self, header: &Header, body: &[u8]) -> Result<(Vec<u8>, PeerProof), FailureReason> {
        let payloads = in_clear(&BASE[2], header, body)?;
        PeerProof::require(&BASE[2], self.terms.method, &payloads)?;
        let g_xi = rules::find(&payloads, PayloadType::KEY_EXCHANGE).unwrap_or_default().to_vec();
        // The identity came in message 1.
        let proof = PeerProof::read(self.terms.method, &payloads).of_identity(&self.peer.id);
        Ok((g_xi, proof))
    }
}

impl DerivesKeys {
    /// Checks the peer's proof, as far as this takes no job. If it is wrong, or the public value is invalid, waits for message 3 again.
    fn job_done(
        self: Box<Self>,
        cx: &mut ExchangeContext<'_>,
        mut result: JobResult,
    ) -> Result<Transition, FailureReason> {
        let Self { awaited, g_xi, proof } = *self;
        let mut authenticator = Authenticator::new(cx, awaited.terms.method, Role::Responder, &mut result)?;
        if let Some(reason) = &awaited.peer.unexpected {
            authenticator.distrust(cx, reason);
        }
        let values = match exchanged(result.take_diffie_hellman())?.1 {
            Ok(values) => values,
            Err(reason) => return Ok(Transition::ignore(Responder::AwaitsKey(Box::new(awaited)), reason)),
        };
        let (Some(g_xr), Some(g_xy)) = (values.public, values.shared) else {
            return Err(FailureReason::Crypto(CryptoFailure::Incomplete));
        };
        let AwaitsKey { sa_i, ni, nr, .. } = &awaited;
        let transcript = Transcript { sa_i: sa_i.clone(), g_xi, g_xr, ni: ni.clone(), nr: nr.clone() };
        let hashes = Hashes::new(&authenticator, &awaited.terms, &transcript)?;
        let hash = hashes.of_initiator(cx, &transcript, &awaited.peer.id)?;
        let checking = authenticator.check(hash, proof);
        let derived = Derived { authenticator, hashes, transcript, g_xy };
        let reason = match checking {
            Ok(Checking::Proved(_)) => return derived.answer(cx, awaited, None),
            Ok(Checking::Claimed(claim)) => match derived.authenticator.verify(cx, claim) {
                Ok(job) => {
                    let next = Box::new(Verifies { awaited, derived });
                    return Ok(Transition::run_job(Responder::Verifies(next), job));
                }
                Err(reason) => reason,
            },
            // If a random key stands in for a missing one, every proof is wrong, and the missing key is the true reason.
            Err(FailureReason::Authentication(why)) => {
                cx.record.no_key.clone().unwrap_or(FailureReason::Authentication(why))
            }
            Err(reason) => reason,
        };
        Ok(Transition::ignore(Responder::AwaitsKey(Box::new(awaited)), reason))
    }
}

impl Verifies {
    /// Answers the peer. If its signature is wrong, waits for message 3 again: it is not encrypted, and may be forged.
    fn job_done(self: Box<Self>, cx: &mut ExchangeContext<'_>, result: JobResult) -> Result<Transition, FailureReason> {
        let Self { awaited, derived } = *self;
        match Authenticator::verified(cx, result) {
            Ok(peer) => derived.answer(cx, awaited, Some(peer)),
            Err(reason) => Ok(Transition::ignore(Responder::AwaitsKey(Box::new(awaited)), reason)),
        }
    }
}

impl Derived {
    /// Proves our identity to a peer that has proved its own, as far as this takes no job, and sends message 4.
    fn answer(
        self,
        cx: &mut ExchangeContext<'_>,
        mut awaited: AwaitsKey,
        peer: Option<VerifiedPeer>,
    ) -> Result<Transition, FailureReason> {
        let Self { authenticator, hashes, transcript, g_xy } = self;
        let hash = hashes.of_responder(cx, &transcript, &awaited.peer.id, &awaited.id)?;
        let proving = authenticator.prove(cx, hash)?;
        let g_xr = transcript.g_xr.clone();
        let keyed = Keyed::new(cx, awaited.terms, awaited.features, transcript, authenticator, &g_xy)?;
        let proved = keyed.proved(cx, awaited.peer.identity.id.clone(), peer);
        let verdict = match awaited.peer.unexpected.take() {
            // A signature that is right under another section's trust.
            Some(reason) => Err(reason),
            None => expected_peer(cx, &proved.peer),
        };
        if let Err(reason) = verdict {
            return Ok(keyed.reject(cx, proved, reason));
        }
        keyed.note_substitute(cx, &proved.peer.id);
        Ok(match proving {
            Proving::Done(proof) => complete(cx, keyed, proved, &g_xr, &proof),
            Proving::Sign(job) => {
                Transition::run_job(Responder::Signs(Box::new(Signs { awaited, keyed, proved, g_xr })), job)
            }
        })
    }
}

impl Signs {
    /// Sends message 4.
    fn job_done(self: Box<Self>, cx: &mut ExchangeContext<'_>, result: JobResult) -> Transition {
        let Self { keyed, proved, g_xr, .. } = *self;
        match Authenticator::signed(cx, result) {
            Ok(proof) => complete(cx, keyed, proved, &g_xr, &proof),
            Err(reason) => Transition::Failed(reason),
        }
    }
}

/// Sends message 4 and establishes the SA.
fn complete(cx: &mut ExchangeContext<'_>, keyed: Keyed, proved: Proved, g_xr: &[u8], proof: &OwnProof) -> Transition {
    let last_message = Some(proof_message(cx, keyed.method(), g_xr, proof));
    let (features, initial_contact) = (keyed.features(), false);
    let sa = keyed.into_sa(cx, proved.peer, proved.certificate);
    Transition::Established(Box::new(ExchangeResult { sa, last_message, features, initial_contact }))
}
