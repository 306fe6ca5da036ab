//! Quick mode of the initiator.

use super::agreement::Agreement;
use super::bundle::Bundle;
use super::lifetime::apply_responder_lifetime;
use super::message::{Message, Proof, QuickModePayloads, Received, Rejection, draw_nonce, open, seal};
use super::pending_inputs::CompletedExchange;
use super::traffic::Identities;
use std::net::SocketAddr;

use crate::config::CheckLevel;
use crate::crypto::{Exponent, Iv};
use crate::identity::Identity;
use crate::message::codec::MessageCodec;
use crate::message::rules;
use crate::num::{ExchangeType, NotifyType, PayloadType};
use crate::phase1::Phase1Sa;
use crate::proposal::encoding::{Suite, phase2_sa};
use crate::random::Random;
use crate::reason::{FailureReason, PayloadProblem, Phase2IdentityError};

/// What an initiator wants to negotiate.
#[derive(Debug)]
pub(crate) struct Phase2Request {
    pub(crate) bundle: Bundle,
    pub(crate) ids: Identities,
}

/// An initiator that has sent message 1.
pub(crate) struct Offered {
    phase2_request: Phase2Request,
    suite: Suite,
    spis: Vec<u32>,
    exponent: Option<Exponent>,
    nonce: Vec<u8>,
    iv: Iv,
}

/// An initiator that has accepted message 2.
pub(crate) struct Agreed {
    pub(crate) agreement: Agreement,
    /// Our SPIs, in the order of the agreement.
    pub(crate) spis: Vec<u32>,
    pub(crate) ni: Vec<u8>,
    pub(crate) nr: Vec<u8>,
    /// Our exponent and the peer's public value.
    pub(crate) exchange: Option<(Exponent, Vec<u8>)>,
    /// The responder has sent a RESPONDER-LIFETIME that `proposal_check` forbids.
    pub(crate) ignores_lifetime: bool,
    /// Other notifies of the peer.
    pub(crate) notifies: Vec<NotifyType>,
    iv: Iv,
}

impl Phase2Request {
    /// Encodes message 1: HASH, SA, NONCE, perhaps KE, IDci and IDcr.
    ///
    /// # Errors
    /// If libcrypto fails.
    pub(crate) fn offer(
        self,
        sa: &Phase1Sa,
        message_id: u32,
        (spis, exchange): (Vec<u32>, Option<CompletedExchange>),
        nonce_size: u16,
        codec: (&MessageCodec, SocketAddr),
        random: &mut dyn Random,
    ) -> Result<(Offered, Vec<u8>), FailureReason> {
        let suite = self.bundle.suite(&spis);
        let nonce = draw_nonce(nonce_size, random);
        let mut payloads = vec![
            (PayloadType::SA, phase2_sa(std::slice::from_ref(&suite)).encode()),
            (PayloadType::NONCE, nonce.clone()),
        ];
        let (exponent, public) = exchange.map_or((None, None), |gathered| (Some(gathered.exponent), gathered.public));
        payloads.extend(public.map(|public| (PayloadType::KEY_EXCHANGE, public)));
        payloads.extend([&self.ids.local, &self.ids.remote].map(|id| (PayloadType::ID, id.encode())));
        let mut iv = sa.iv(message_id)?;
        let message = seal(sa, message_id, &payloads, &mut iv, Proof::First, codec, random)?;
        Ok((Offered { phase2_request: self, suite, spis, exponent, nonce, iv }, message))
    }
}

impl Offered {
    /// Reads message 2.
    ///
    /// # Errors
    /// If it is not accepted. An unauthenticated one does not end the negotiation.
    pub(crate) fn read(&self, sa: &Phase1Sa, received: Received<'_>) -> Result<Message<QuickModePayloads>, Rejection> {
        let proof = Proof::Second(&self.nonce);
        open(sa, &rules::QUICK[1], &self.iv, received, proof, QuickModePayloads::read)
    }

    /// Checks that message 2 chooses from what was offered and returns the identities unchanged.
    ///
    /// # Errors
    /// What the responder has changed.
    pub(crate) fn agree(
        self,
        level: CheckLevel,
        nat: bool,
        answer: Message<QuickModePayloads>,
    ) -> Result<Agreed, FailureReason> {
        let Message { content, iv, .. } = answer;
        self.check_ids(content.ids.as_ref())?;
        let bundle = &self.phase2_request.bundle;
        let mut agreement = bundle.confirm(level, nat, &self.suite, &content.sa)?;
        let mut ignores_lifetime = false;
        for notify in content.notifies.iter().filter(|notify| notify.kind == NotifyType::RESPONDER_LIFETIME) {
            ignores_lifetime |= !apply_responder_lifetime(level, &bundle.terms, &mut agreement.terms, notify);
        }
        let exchange = match (self.exponent, content.public) {
            (Some(exponent), Some(public)) => Some((exponent, public)),
            (None, None) => None,
            (Some(_), None) => return Err(key_exchange(PayloadProblem::Missing)),
            (None, Some(_)) => return Err(key_exchange(PayloadProblem::Unexpected)),
        };
        Ok(Agreed {
            agreement,
            spis: self.spis,
            ni: self.nonce,
            nr: content.nonce,
            exchange,
            ignores_lifetime,
            notifies: content.notifies.iter().map(|notify| notify.kind).collect(),
            iv,
        })
    }

    /// Checks that the responder returns the identities as they were sent, or with port 0 in place of a port.
    fn check_ids(&self, returned: Option<&(Vec<u8>, Vec<u8>)>) -> Result<(), FailureReason> {
        let Identities { local, remote } = &self.phase2_request.ids;
        let problem = match returned {
            Some((first, second)) if is_returned(local, first) && is_returned(remote, second) => return Ok(()),
            Some(_) => Phase2IdentityError::Changed,
            None => Phase2IdentityError::NotReturned,
        };
        Err(FailureReason::Phase2Identity(problem))
    }
}

impl Agreed {
    /// Encodes message 3: HASH.
    ///
    /// # Errors
    /// If libcrypto fails.
    pub(crate) fn confirmation(
        &self,
        sa: &Phase1Sa,
        message_id: u32,
        codec: (&MessageCodec, SocketAddr),
        random: &mut dyn Random,
    ) -> Result<Vec<u8>, FailureReason> {
        let mut iv = self.iv;
        seal(sa, message_id, &[], &mut iv, Proof::Third(&self.ni, &self.nr), codec, random)
    }
}

/// Whether a returned body is the identity that was sent, perhaps without its port.
fn is_returned(sent: &Identity, returned: &[u8]) -> bool {
    let any_port = || sent.clone().with_protocol(sent.protocol, 0);
    returned == sent.encode() || returned == any_port().encode()
}

fn key_exchange(problem: PayloadProblem) -> FailureReason {
    FailureReason::Payload { payload: PayloadType::KEY_EXCHANGE, problem, message: 2, exchange: ExchangeType::QUICK }
}
