//! Quick mode of the responder.

use super::agreement::Agreement;
use super::lifetime::responder_lifetime;
use super::message::{Message, Proof, QuickModePayloads, Received, Rejection, draw_nonce, open, seal};
use super::traffic::Identities;
use std::net::SocketAddr;

use crate::crypto::Iv;
use crate::identity::Identity;
use crate::message::codec::MessageCodec;
use crate::message::rules;
use crate::num::{ExchangeType, Group, PayloadType};
use crate::phase1::Phase1Sa;
use crate::random::Random;
use crate::reason::{FailureReason, PayloadProblem, Phase2IdentityError};

/// A responder that has accepted message 1.
pub(crate) struct Accepted {
    pub(crate) agreement: Agreement,
    /// The initiator's nonce.
    pub(crate) ni: Vec<u8>,
    /// Our nonce.
    pub(crate) nr: Vec<u8>,
    /// The bodies of the identities, which message 2 returns.
    ids: Option<(Vec<u8>, Vec<u8>)>,
    iv: Iv,
}

/// A responder that has sent message 2.
#[derive(Debug)]
pub(crate) struct Answered {
    ni: Vec<u8>,
    nr: Vec<u8>,
    iv: Iv,
}

/// Reads message 1.
///
/// # Errors
/// If it is not accepted.
pub(crate) fn read(sa: &Phase1Sa, received: Received<'_>) -> Result<Message<QuickModePayloads>, Rejection> {
    let iv = sa.iv(received.header.message_id).map_err(FailureReason::from)?;
    open(sa, &rules::QUICK[0], &iv, received, Proof::First, QuickModePayloads::read)
}

/// Returns the identities of message 1, ours and the peer's.
///
/// # Errors
/// If they are malformed.
pub(crate) fn identities(negotiation: &QuickModePayloads) -> Result<Option<Identities>, FailureReason> {
    let read = |body: &[u8]| {
        Identity::parse(body).map_err(|error| FailureReason::Phase2Identity(Phase2IdentityError::Malformed(error)))
    };
    let Some((initiator, responder)) = &negotiation.ids else { return Ok(None) };
    Ok(Some(Identities { local: read(responder)?, remote: read(initiator)? }))
}

/// Checks that the initiator has sent a public value if and only if it proposes perfect forward secrecy.
///
/// # Errors
/// If the agreement needs one that is missing, or there is one that it does not need.
pub(crate) fn check_exchange(group: Option<Group>, public: Option<&Vec<u8>>) -> Result<(), FailureReason> {
    let problem = match (group.is_some(), public.is_some()) {
        (true, false) => PayloadProblem::Missing,
        (false, true) => PayloadProblem::Unexpected,
        _ => return Ok(()),
    };
    let payload = PayloadType::KEY_EXCHANGE;
    Err(FailureReason::Payload { payload, problem, message: 1, exchange: ExchangeType::QUICK })
}

impl Accepted {
    /// Accepts message 1 with an agreement, and draws a nonce.
    pub(crate) fn new(
        agreement: Agreement,
        message: Message<QuickModePayloads>,
        nonce_size: u16,
        random: &mut dyn Random,
    ) -> Self {
        let Message { content: QuickModePayloads { nonce, ids, .. }, iv, .. } = message;
        Self { agreement, ni: nonce, nr: draw_nonce(nonce_size, random), ids, iv }
    }

    /// Encodes message 2: HASH, SA, NONCE, and perhaps KE, IDci and IDcr, RESPONDER-LIFETIME. The SPIs are in the order of the
    /// agreement.
    ///
    /// # Errors
    /// If libcrypto fails.
    pub(crate) fn answer(
        self,
        sa: &Phase1Sa,
        message_id: u32,
        spis: &[u32],
        public: Option<Vec<u8>>,
        codec: (&MessageCodec, SocketAddr),
        random: &mut dyn Random,
    ) -> Result<(Answered, Vec<u8>), FailureReason> {
        let Self { agreement, ni, nr, ids, mut iv } = self;
        let mut payloads = vec![(PayloadType::SA, agreement.answer(spis)?.encode()), (PayloadType::NONCE, nr.clone())];
        payloads.extend(public.map(|public| (PayloadType::KEY_EXCHANGE, public)));
        for id in ids.into_iter().flat_map(|(initiator, responder)| [initiator, responder]) {
            payloads.push((PayloadType::ID, id));
        }
        if agreement.claims_lifetime
            && let (Some(agreed), Some(spi)) = (agreement.members.first(), spis.first())
        {
            let notify = responder_lifetime(&agreement.terms, agreed.member.protocol, *spi);
            payloads.push((PayloadType::NOTIFY, notify.encode()));
        }
        let message = seal(sa, message_id, &payloads, &mut iv, Proof::Second(&ni), codec, random)?;
        Ok((Answered { ni, nr, iv }, message))
    }
}

impl Answered {
    /// Reads message 3.
    ///
    /// # Errors
    /// If it is not accepted. An unauthenticated one does not end the negotiation.
    pub(crate) fn read(&self, sa: &Phase1Sa, received: Received<'_>) -> Result<Message<()>, Rejection> {
        let proof = Proof::Third(&self.ni, &self.nr);
        open(sa, &rules::QUICK[2], &self.iv, received, proof, |_| Ok(()))
    }
}
