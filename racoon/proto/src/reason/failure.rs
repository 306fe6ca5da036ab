//! The reasons why negotiations fail, as values. [`text`](super::text) makes text of them, [`notify`](super::notify) chooses the notify
//! for the peer, and [`event`](super::event) the event.

use std::net::IpAddr;
use std::time::Duration;

use super::{
    AuthenticationFailure, CryptoFailure, Denied, ExpectedIdentity, KernelFailure, Malformed, MissingPolicy,
    MissingRemote, MissingSainfo, NoPhase1, PayloadProblem, Phase2IdentityError, Role,
};
use crate::credentials::{OwnProblem, PeerProblem};
use crate::crypto::PeerValueError;
use crate::identity::Identity;
use crate::num::{ExchangeType, Group, NotifyType, PayloadType, Protocol};
use crate::proposal::ProposalRefusal;
use crate::proposal::encoding::{AnswerError, ProposalError};
use crate::psk::NoKey;

/// Why a negotiation failed: what was expected and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureReason {
    /// The peer did not answer.
    NoAnswer(Unanswered),
    /// The peer speaks another major version of IKE.
    OtherVersion {
        /// Major version.
        major: u8,
        /// Minor version.
        minor: u8,
    },
    /// No remote section matches this peer and this exchange.
    NoRemote(MissingRemote),
    /// No offered proposal is configured.
    NoProposalChosen(ProposalRefusal),
    /// The responder's choice is not among the offered proposals.
    BadChoice(BadChoice),
    /// No pre-shared key exists for this peer.
    NoPreSharedKey {
        /// The peer's address.
        peer: IpAddr,
        /// The result of the look-up.
        why: NoKey,
    },
    /// The peer has not proved that it knows the key.
    Authentication(AuthenticationFailure),
    /// The peer's signature, or the certificate of its key, is refused.
    Signature(Box<PeerProblem>),
    /// Our own key cannot be used.
    OwnKey(Box<OwnProblem>),
    /// The peer's identity is not an expected one.
    Identity {
        /// The peer's identity.
        claimed: Identity,
        /// What the remote sections in question expect.
        expected: Vec<ExpectedIdentity>,
    },
    /// The identities of phase 2 cannot be used.
    Phase2Identity(Phase2IdentityError),
    /// No policy matches the traffic.
    NoPolicy(Box<MissingPolicy>),
    /// The peer may not have the traffic.
    NotAuthorized(Box<Denied>),
    /// No sainfo matches the traffic.
    NoSainfo(Box<MissingSainfo>),
    /// The peer already has this many phase 2s.
    TooMany(usize),
    /// No phase 1 can be used.
    NoPhase1(NoPhase1),
    /// Phase 1 was still being negotiated when the phase 2 had waited this long.
    Phase1Late(Duration),
    /// A payload is missing, repeated or misplaced.
    Payload {
        /// The payload.
        payload: PayloadType,
        /// What is wrong with it.
        problem: PayloadProblem,
        /// Number of the message in the exchange, counted from 1.
        message: u8,
        /// The exchange.
        exchange: ExchangeType,
    },
    /// A message cannot be parsed, or does not belong to the exchange.
    Malformed(Malformed),
    /// The peer's Diffie-Hellman value cannot be used.
    KeyExchange {
        /// The group.
        group: Group,
        /// What is wrong with the value.
        problem: PeerValueError,
    },
    /// The peer refused.
    Refused(NotifyType),
    /// The peer deleted an SA that was being negotiated.
    Deleted(Protocol),
    /// The kernel refused a request, or has lost an SA.
    Kernel(KernelFailure),
    /// The kernel did not answer within this time.
    KernelTimeout(Duration),
    /// Our own cryptography failed.
    Crypto(CryptoFailure),
    /// This version does not implement the exchange.
    UnsupportedExchange(ExchangeType),
    /// A remote section has no authentication method that this version implements.
    NoAuthMethod {
        /// Name of the remote section.
        remote: String,
    },
    /// `my_identifier asn1dn` without a name needs a certificate.
    NoCertificate,
    /// This version does not implement the transform of an IPsec SA.
    UnsupportedTransform {
        /// The protocol of the SA.
        protocol: Protocol,
        /// Number of the transform.
        id: u8,
    },
    /// A policy applies the same protocol twice.
    RepeatedProtocol(Protocol),
}

/// Why an SA payload of the peer is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadChoice {
    /// It is not a choice among the offered proposals.
    Answer(AnswerError),
    /// It is an offered proposal with changes that are not allowed.
    Changed(ProposalRefusal),
    /// Its proposal numbers are invalid.
    Proposals(ProposalError),
    /// It does not have one choice for each protocol.
    Incomplete,
}

/// Our last message of an exchange, which the peer did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// The exchange.
    pub exchange: ExchangeType,
    /// Our role in it.
    pub role: Role,
    /// Number of the message in the exchange, counted from 1.
    pub message: u8,
    /// Size of the message in bytes, without the headers of UDP and IP.
    pub bytes: usize,
    /// How often it was sent, including answers to retransmissions of the peer.
    pub sent: u32,
    /// How often the peer retransmitted the message that it answers.
    pub repeated: u32,
    /// How many encrypted messages of the peer since then could not be read.
    pub unreadable: u32,
}
