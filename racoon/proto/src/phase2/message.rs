//! Reads and writes messages of quick mode.

use thiserror::Error;

use std::net::SocketAddr;

use crate::crypto::{CryptoError, Iv, Secret, equal};
use crate::message::codec::MessageCodec;
use crate::message::rules::{self, MessageRules};
use crate::num::{ExchangeType, PayloadType};
use crate::phase1::Phase1Sa;
use crate::random::Random;
use crate::reason::{FailureReason, Phase2IdentityError, Unreadable};
use crate::wire::{Header, NONCE_MAX, NONCE_MIN, Notify, RawPayload, SaBody, chain, nonce};

/// The reason why a message is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Rejection {
    /// Its sender is unknown: the message is ignored.
    #[error(transparent)]
    Unproved(#[from] Unproved),
    /// The peer has sent it, and it ends the negotiation.
    #[error(transparent)]
    Fatal(#[from] FailureReason),
}

/// Why the sender of a message is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Unproved {
    /// It is not encrypted.
    #[error("{0}")]
    Clear(FailureReason),
    /// It cannot be decrypted.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Its hash is not that of the peer.
    #[error("its HASH is wrong")]
    Hash,
}

/// The hash that authenticates a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Proof<'a> {
    /// HASH(1).
    First,
    /// HASH(2), over the initiator's nonce.
    Second(&'a [u8]),
    /// HASH(3), over both nonces.
    Third(&'a [u8], &'a [u8]),
}

/// A received message, not authenticated yet.
#[derive(Clone, Copy)]
pub(crate) struct Received<'a> {
    pub(crate) header: &'a Header,
    /// The bytes after the header.
    pub(crate) body: &'a [u8],
    /// The codec, and the peer for its trace.
    pub(crate) codec: (&'a MessageCodec, SocketAddr),
}

/// An authenticated message.
pub(crate) struct Message<T> {
    /// Its contents.
    pub(crate) content: T,
    /// The IV of the next message.
    pub(crate) iv: Iv,
}

/// The contents of messages 1 and 2.
#[derive(Debug)]
pub(crate) struct QuickModePayloads {
    /// All proposals, or the chosen one.
    pub(crate) sa: SaBody,
    /// The sender's nonce.
    pub(crate) nonce: Vec<u8>,
    /// The sender's public value, for perfect forward secrecy.
    pub(crate) public: Option<Vec<u8>>,
    /// The bodies of both identities, the initiator's first.
    pub(crate) ids: Option<(Vec<u8>, Vec<u8>)>,
    /// The notifies.
    pub(crate) notifies: Vec<Notify>,
}

/// Decrypts a message, authenticates it, checks that it has the required payloads, and passes them to `read`.
///
/// # Errors
/// [`Rejection::Unproved`] unless it is authenticated.
pub(crate) fn open<T>(
    sa: &Phase1Sa,
    rules: &MessageRules,
    iv: &Iv,
    received: Received<'_>,
    proof: Proof<'_>,
    read: impl FnOnce(&[RawPayload<'_>]) -> Result<T, FailureReason>,
) -> Result<Message<T>, Rejection> {
    let Received { header, body, codec } = received;
    rules.check_encryption(header).map_err(Unproved::Clear)?;
    let opened = sa.open(iv, header, body).map_err(Unproved::from)?;
    let payloads = opened.payloads(codec.0, codec.1).map_err(Unproved::from)?;
    // Before the other payloads are looked at: all that follows from them must be authenticated.
    let hash = payloads.first().filter(|first| first.kind == PayloadType::HASH);
    let expected =
        expected_hash(sa, header.message_id, proof, opened.behind_first(&payloads)).map_err(FailureReason::from)?;
    if !hash.is_some_and(|hash| equal(hash.body, expected.as_bytes())) {
        return Err(Unproved::Hash.into());
    }
    rules.check(&payloads)?;
    let content = read(&payloads)?;
    Ok(Message { content, iv: opened.next_iv })
}

/// Encodes and encrypts a message with the hash that authenticates it, and sets `iv` to that of the next message.
///
/// # Errors
/// If libcrypto fails.
pub(crate) fn seal(
    sa: &Phase1Sa,
    message_id: u32,
    payloads: &[(PayloadType, Vec<u8>)],
    iv: &mut Iv,
    proof: Proof<'_>,
    codec: (&MessageCodec, SocketAddr),
    random: &mut dyn Random,
) -> Result<Vec<u8>, FailureReason> {
    let payloads = payloads.iter().map(|(kind, body)| (*kind, body.as_slice())).collect::<Vec<_>>();
    let hash = expected_hash(sa, message_id, proof, &chain::encode(&payloads))?;
    let all = [&[(PayloadType::HASH, hash.as_bytes())], payloads.as_slice()].concat();
    let header = sa.header(ExchangeType::QUICK, message_id);
    Ok(sa.protect(&header, &all, iv, codec, random)?)
}

impl QuickModePayloads {
    /// Reads the payloads of message 1 or 2.
    ///
    /// # Errors
    /// If one of them is malformed, or if there is only one identity.
    pub(crate) fn read(payloads: &[RawPayload<'_>]) -> Result<Self, FailureReason> {
        let body = |kind| rules::find(payloads, kind).unwrap_or_default();
        let mut ids = rules::all(payloads, PayloadType::ID).map(<[u8]>::to_vec);
        let ids = match (ids.next(), ids.next()) {
            // Both or none (RFC 2409 section 5.5); the first one is the initiator's.
            (None, _) => None,
            (Some(initiator), Some(responder)) => Some((initiator, responder)),
            (Some(_), None) => return Err(FailureReason::Phase2Identity(Phase2IdentityError::Single)),
        };
        let notifies = rules::all(payloads, PayloadType::NOTIFY).map(Notify::parse);
        Ok(Self {
            sa: SaBody::parse(body(PayloadType::SA))?,
            nonce: nonce(body(PayloadType::NONCE))?.to_vec(),
            public: rules::find(payloads, PayloadType::KEY_EXCHANGE).map(<[u8]>::to_vec),
            ids,
            notifies: notifies.collect::<Result<_, _>>()?,
        })
    }
}

/// Draws a nonce.
pub(crate) fn draw_nonce(length: u16, random: &mut dyn Random) -> Vec<u8> {
    let mut nonce = vec![0; usize::from(length).clamp(NONCE_MIN, NONCE_MAX)];
    random.fill(&mut nonce);
    nonce
}

fn expected_hash(sa: &Phase1Sa, message_id: u32, proof: Proof<'_>, rest: &[u8]) -> Result<Secret, CryptoError> {
    match proof {
        Proof::First => sa.keys.hash1(message_id, rest),
        Proof::Second(ni) => sa.keys.hash2(message_id, ni, rest),
        Proof::Third(ni, nr) => sa.keys.hash3(message_id, ni, nr),
    }
}
