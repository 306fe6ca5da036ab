//! What became of a negotiation, and why. Log lines, events and what is shown later are views of this one value.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

use crate::num::{ExchangeType, Group, NotifyType, PayloadType, Protocol};
use crate::time::Time;
use crate::wire::CookiePair;

/// A negotiation that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Which one.
    pub negotiation: Negotiation,
    /// Our end.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
    /// Name of the remote block, once it was chosen.
    pub block: Option<String>,
    /// When it began.
    pub began: Time,
    /// When it ended.
    pub ended: Time,
    /// What was reached on the way, and how long after the beginning.
    pub steps: Vec<(&'static str, Duration)>,
    /// What the initiator offered, in words: a line for each transform.
    pub offered: Vec<String>,
    /// What the responder has configured, in words.
    pub configured: Vec<String>,
    /// What the peer said about it.
    pub peer_said: Vec<NotifyType>,
    /// How it ended.
    pub ending: Ending,
}

/// Which negotiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Negotiation {
    /// Of an ISAKMP SA.
    Phase1 {
        /// How.
        exchange: ExchangeType,
        /// Who began.
        role: Role,
        /// Which.
        cookies: CookiePair,
    },
    /// Of IPsec SAs.
    Phase2 {
        /// Who began.
        role: Role,
        /// Under which phase 1, once there is one.
        cookies: Option<CookiePair>,
        /// Which; 0 if it did not come to a message.
        message_id: u32,
        /// For what: the selector of the policy, in words.
        traffic: String,
    },
}

/// Who began an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// We.
    Initiator,
    /// The peer.
    Responder,
}

/// How a negotiation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With an SA.
    Established,
    /// Without one.
    Failed(Cause),
    /// Another one has come to the same before it.
    Superseded,
    /// Nobody needs it any more: shutdown, reload, a delete.
    Abandoned,
}

/// Why a negotiation failed: whose fault, what was expected, what was there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Cause {
    /// The peer did not answer.
    #[error("no answer after {sent} transmissions")]
    NoAnswer {
        /// How often the last message was sent.
        sent: u32,
    },
    /// No remote block is for this peer and this exchange.
    #[error("no remote block is for this peer{}", detail(.0))]
    NoRemote(String),
    /// Nothing of what was offered is configured.
    #[error("no suitable proposal found: {0}")]
    NoProposalChosen(String),
    /// What the responder chose is not what was offered.
    #[error("the peer chose what was not offered: {0}")]
    BadChoice(String),
    /// No key for this peer.
    #[error("no pre-shared key for {peer}{}", detail(.why))]
    NoPreSharedKey {
        /// Its address.
        peer: String,
        /// What to do about that, by the table of keys.
        why: String,
    },
    /// The peer's hash is wrong. In Main Mode with another pre-shared key the message cannot even be decrypted.
    #[error("authentication failed: {0}")]
    Authentication(String),
    /// The peer says it is somebody else than expected.
    #[error("identity {claimed} is not the expected {expected}")]
    Identity {
        /// What it says.
        claimed: String,
        /// What `peers_identifier` says.
        expected: String,
    },
    /// Both identities of phase 2, or none, have to be there, and of a known kind.
    #[error("phase 2 identities cannot be used: {0}")]
    Phase2Identity(String),
    /// No policy is for the traffic.
    #[error("no policy is for {0}")]
    NoPolicy(String),
    /// The traffic is not this peer's to have.
    #[error("not authorized: {0}")]
    NotAuthorized(String),
    /// No sainfo is for the traffic.
    #[error("no sainfo is for {0}")]
    NoSainfo(String),
    /// The peer has too many SAs.
    #[error("there are {0} phase 2s with this peer already")]
    TooMany(usize),
    /// No phase 1 came up.
    #[error("no phase 1: {0}")]
    NoPhase1(String),
    /// One is still on its way, but the phase 2 has waited for so long.
    #[error("time up waiting for phase1: none came up within {} s", .0.as_secs())]
    Phase1Late(Duration),
    /// A payload is missing, double, or where it must not be.
    #[error("{payload} payload {problem} in message {message} of {exchange} mode")]
    Payload {
        /// Which payload.
        payload: PayloadType,
        /// What about it.
        problem: &'static str,
        /// In which message, counted from 1.
        message: u8,
        /// Of which exchange.
        exchange: ExchangeType,
    },
    /// Bytes that are no message.
    #[error("malformed: {0}")]
    Malformed(String),
    /// The peer's Diffie-Hellman value is degenerate or of the wrong length, or the group is not there.
    #[error("key exchange in group {group}: {problem}")]
    KeyExchange {
        /// The group.
        group: Group,
        /// What is wrong.
        problem: String,
    },
    /// The peer refused.
    #[error("the peer says {0}")]
    Refused(NotifyType),
    /// The peer deleted an SA of what was being negotiated.
    #[error("the peer deleted its {0} SA")]
    Deleted(Protocol),
    /// The kernel refused.
    #[error("kernel: {0}")]
    Kernel(String),
    /// The kernel did not answer in time.
    #[error("the kernel did not answer within {} s", .0.as_secs())]
    KernelTimeout(Duration),
    /// Our own cryptography failed.
    #[error("cryptography: {0}")]
    Crypto(String),
    /// Something that this version does not do.
    #[error("{0} is not supported")]
    Unsupported(String),
}

fn detail(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

impl Cause {
    /// The phase 1 under which it was negotiated is no more: deleted by somebody, expired, or not renewed.
    pub(crate) fn phase1_gone() -> Self {
        Self::NoPhase1(String::from("the one under which it was negotiated is gone"))
    }

    /// There was no thread for a job, or the thread is no more.
    pub(crate) fn not_computed() -> Self {
        Self::Crypto(String::from("the key exchange could not be computed: too much is waiting"))
    }

    /// The one place that says which notify a peer's fault earns (RFC 2408 section 3.14.1); none: nothing is said.
    pub fn notify(&self) -> Option<NotifyType> {
        Some(match self {
            Self::NoProposalChosen(_) | Self::NoRemote(_) | Self::NoSainfo(_) | Self::TooMany(_) => {
                NotifyType::NO_PROPOSAL_CHOSEN
            }
            Self::BadChoice(_) => NotifyType::BAD_PROPOSAL_SYNTAX,
            Self::Authentication(_) | Self::NoPreSharedKey { .. } => NotifyType::AUTHENTICATION_FAILED,
            Self::Identity { .. } | Self::Phase2Identity(_) | Self::NoPolicy(_) | Self::NotAuthorized(_) => {
                NotifyType::INVALID_ID_INFORMATION
            }
            Self::Payload { .. } | Self::Malformed(_) => NotifyType::PAYLOAD_MALFORMED,
            Self::KeyExchange { .. } => NotifyType::INVALID_KEY_INFORMATION,
            Self::Unsupported(_) => NotifyType::UNSUPPORTED_EXCHANGE_TYPE,
            Self::NoAnswer { .. }
            | Self::NoPhase1(_)
            | Self::Phase1Late(_)
            | Self::Refused(_)
            | Self::Deleted(_)
            | Self::Kernel(_)
            | Self::KernelTimeout(_)
            | Self::Crypto(_) => return None,
        })
    }
}

/// The last outcomes, bounded.
#[derive(Debug)]
pub struct Journal {
    kept: VecDeque<Outcome>,
    limit: usize,
}

impl Journal {
    /// Keeps the last `limit`.
    pub fn new(limit: usize) -> Self {
        Self { kept: VecDeque::new(), limit }
    }

    /// Adds one; the oldest goes when there are too many.
    pub fn add(&mut self, outcome: Outcome) {
        if self.limit == 0 {
            return;
        }
        while self.kept.len() >= self.limit {
            self.kept.pop_front();
        }
        self.kept.push_back(outcome);
    }

    /// Keeps another number from now on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        while self.kept.len() > limit {
            self.kept.pop_front();
        }
    }

    /// All that are kept, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Outcome> {
        self.kept.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number `number` of many.
    fn outcome(number: u64) -> Outcome {
        let end = SocketAddr::from(([192, 0, 2, 1], 500));
        Outcome {
            negotiation: Negotiation::Phase1 {
                exchange: ExchangeType::MAIN,
                role: Role::Initiator,
                cookies: CookiePair::default(),
            },
            local: end,
            remote: end,
            block: None,
            began: Time::from_secs(number),
            ended: Time::from_secs(number),
            steps: Vec::new(),
            offered: Vec::new(),
            configured: Vec::new(),
            peer_said: Vec::new(),
            ending: Ending::Abandoned,
        }
    }

    #[test]
    fn a_journal_keeps_the_last_ones() {
        let kept = |journal: &Journal| journal.iter().map(|one| one.began).collect::<Vec<_>>();
        let last = |numbers: [u64; 3]| numbers.map(Time::from_secs);
        let mut journal = Journal::new(3);
        (1..=100).for_each(|number| journal.add(outcome(number)));
        assert_eq!(kept(&journal), last([98, 99, 100]));
        journal.set_limit(5);
        assert_eq!(kept(&journal), last([98, 99, 100]));
        journal.set_limit(2);
        assert_eq!(kept(&journal), last([98, 99, 100])[1..]);
        journal.set_limit(0);
        journal.add(outcome(101));
        assert_eq!(kept(&journal), []);
    }
}
