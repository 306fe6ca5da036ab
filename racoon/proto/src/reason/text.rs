//! The text of failures: what happened, what was offered and configured, and the one thing to look at.

use std::fmt;

use super::{BadChoice, FailureReason, MissingRemote, Role, Unanswered};
use crate::num::{ExchangeType, NotifyType};
use crate::proposal::ProposalRefusal;

/// A message of more bytes may need fragments on a path with a small MTU: IPv6 guarantees packets of 1280 bytes.
const LARGE: usize = 1200;

/// What to do about a peer that speaks IKEv2.
const IKEV1_AT_PEER: &str = "configure the peer for IKEv1 (strongSwan: `version = 1` or `keyexchange=ikev1`, \
                             libreswan: `ikev2=no` or `keyexchange=ikev1`)";

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(unanswered) => unanswered.fmt(f),
            Self::OtherVersion { major: 2, .. } => f.write_str("the peer speaks IKEv2, this host only IKEv1"),
            Self::OtherVersion { major, minor } => {
                write!(f, "the peer speaks version {major}.{minor} of ISAKMP, this host only 1.0")
            }
            Self::NoRemote(missing) => missing.fmt(f),
            Self::NoProposalChosen(ProposalRefusal::NotCompared) => f.write_str("no suitable proposal found"),
            Self::NoProposalChosen(why) => write!(f, "no suitable proposal found: {why}"),
            Self::BadChoice(what) => write!(f, "the peer chose what was not offered: {what}"),
            Self::NoPreSharedKey { peer, why } => write!(f, "no pre-shared key for {peer}{}", detail(why)),
            Self::Authentication(why) => write!(f, "authentication failed: {why}"),
            Self::Identity { claimed, expected } => write!(f, "identity {claimed} is not the expected {expected}"),
            Self::Phase2Identity(why) => write!(f, "phase 2 identities cannot be used: {why}"),
            Self::NoPolicy(missing) => missing.fmt(f),
            Self::NotAuthorized(why) => write!(f, "not authorized: {why}"),
            Self::NoSainfo(missing) => missing.fmt(f),
            Self::TooMany(count) => write!(f, "there are {count} phase 2s with this peer already"),
            Self::NoPhase1(why) => write!(f, "no phase 1: {why}"),
            Self::Phase1Late(wait) => {
                write!(f, "time up waiting for phase1: none came up within {} s", wait.as_secs())
            }
            Self::Payload { payload, problem, message, exchange } => {
                write!(f, "{payload} payload {problem} in message {message} of {exchange} mode")
            }
            Self::Malformed(what) => write!(f, "malformed: {what}"),
            Self::KeyExchange { group, problem } => write!(f, "key exchange in group {group}: {problem}"),
            Self::Refused(notify) => write!(f, "the peer says {notify}"),
            Self::Deleted(protocol) => write!(f, "the peer deleted its {protocol} SA"),
            // The text may begin with the word itself.
            Self::Kernel(error) if error.starts_with("kernel ") => f.write_str(error),
            Self::Kernel(error) => write!(f, "kernel: {error}"),
            Self::KernelTimeout(wait) => write!(f, "the kernel did not answer within {} s", wait.as_secs()),
            Self::Crypto(error) => write!(f, "cryptography: {error}"),
            Self::Unsupported(what) => write!(f, "{what} is not supported"),
        }
    }
}

impl std::error::Error for FailureReason {}

impl FailureReason {
    /// What happened, and what to look at.
    pub(crate) fn explained(&self) -> String {
        format!("{self}{}", hint(self, ExchangeType::MAIN).map(|hint| format!("; {hint}")).unwrap_or_default())
    }
}

fn detail(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

impl fmt::Display for BadChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(error) => error.fmt(f),
            Self::Changed(difference) => difference.fmt(f),
            Self::Proposals(error) => error.fmt(f),
            Self::Incomplete => f.write_str("there is not one choice for each protocol"),
        }
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { exchange, role, message, bytes, sent, repeated, unreadable } = self;
        let transmissions = counted(*sent, "transmission");
        write!(f, "no answer to message {message} of {exchange} mode ({bytes} bytes) after {transmissions}")?;
        match (*exchange, role, message) {
            (ExchangeType::MAIN, Role::Initiator, 3) => f.write_str("; message 1 was answered")?,
            (ExchangeType::MAIN, Role::Initiator, 5) => f.write_str("; messages 1 and 3 were answered")?,
            (ExchangeType::MAIN, Role::Responder, 4) => f.write_str("; message 2 was answered")?,
            (ExchangeType::QUICK, ..) => f.write_str("; phase 1 is established")?,
            _ => {}
        }
        if *repeated > 0 {
            write!(f, "; the peer repeated message {} {}", message.saturating_sub(1), counted(*repeated, "time"))?;
        }
        if *unreadable > 0 {
            write!(f, "; the peer sent {} that cannot be read", counted(*unreadable, "encrypted message"))?;
        }
        Ok(())
    }
}

impl Unanswered {
    /// What the silence means, and where to look.
    fn hint(&self) -> &'static str {
        const LOST: &str =
            "packets of this size seem to be lost on the path to the peer: check its MTU, and that fragments pass";
        const RETURN_PATH: &str = "our answers do not reach the peer: check the route to it and packet filters";
        let is_large = self.bytes > LARGE;
        match (self.exchange, self.role, self.message) {
            (ExchangeType::MAIN, Role::Initiator, 1) => {
                "check that an IKEv1 daemon runs there, that it is configured for this host, and that UDP port 500 is open"
            }
            (ExchangeType::MAIN, Role::Initiator, 3) if self.repeated > 0 => LOST,
            (ExchangeType::MAIN, Role::Initiator, 3) => {
                "packets of this size, or the answers to them, may be lost on the path: check its MTU, and that fragments \
                 pass; otherwise see the peer's log"
            }
            (ExchangeType::MAIN, Role::Initiator, 5) => {
                "the pre-shared keys probably differ: compare those of both hosts; otherwise see the peer's log"
            }
            (ExchangeType::MAIN, Role::Responder, 4) if self.repeated > 0 => LOST,
            (ExchangeType::QUICK, Role::Responder, _) if self.repeated > 0 && is_large => LOST,
            (_, Role::Responder, _) if self.repeated > 0 => RETURN_PATH,
            (ExchangeType::MAIN, Role::Responder, 2) => {
                "the peer gave up, or its message 3 is lost on the path (check the MTU, and that fragments pass): see its log"
            }
            (ExchangeType::MAIN, Role::Responder, _) => {
                "the peer gave up or has no key for this host, or its message 5 is lost: see its log"
            }
            (ExchangeType::QUICK, Role::Initiator, _) if is_large => {
                "the peer refuses in silence, has lost phase 1, or large packets are lost on the path: see its log, check the MTU"
            }
            (ExchangeType::QUICK, Role::Initiator, _) => {
                "the peer refuses in silence, or has lost phase 1: see its log"
            }
            _ => "the peer gave up, or its message is lost on the path: see its log",
        }
    }
}

/// `1 time`, `2 times`.
fn counted(count: u32, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What follows a cause in a line: what was offered and configured, where that matters, and what to look at. Empty, or
/// begins with a semicolon.
pub(crate) fn context(
    cause: &FailureReason,
    (exchange, role): (ExchangeType, Role),
    offered: &[String],
    configured: &[String],
) -> String {
    let mut text = String::new();
    if is_about_proposals(cause, exchange, role) {
        for (what, lines) in [("offered", offered), ("configured", configured)] {
            if !lines.is_empty() {
                text.push_str(&format!("; {what}: [{}]", lines.join("; ")));
            }
        }
    }
    if let Some(hint) = hint(cause, exchange) {
        text.push_str(&format!("; {hint}"));
    }
    text
}

/// Whether what was offered and what is configured say more about a failure.
fn is_about_proposals(cause: &FailureReason, exchange: ExchangeType, role: Role) -> bool {
    match cause {
        FailureReason::NoProposalChosen(_) | FailureReason::BadChoice(_) => true,
        FailureReason::NoPolicy(_)
        | FailureReason::NoSainfo(_)
        | FailureReason::NotAuthorized(_)
        | FailureReason::Phase2Identity(_) => true,
        FailureReason::Refused(notify) if role == Role::Initiator => match *notify {
            NotifyType::NO_PROPOSAL_CHOSEN
            | NotifyType::BAD_PROPOSAL_SYNTAX
            | NotifyType::ATTRIBUTES_NOT_SUPPORTED
            | NotifyType::INVALID_TRANSFORM_ID
            | NotifyType::INVALID_PROTOCOL_ID => true,
            NotifyType::INVALID_ID_INFORMATION => exchange == ExchangeType::QUICK,
            _ => false,
        },
        _ => false,
    }
}

/// The one thing to look at.
fn hint(cause: &FailureReason, exchange: ExchangeType) -> Option<&'static str> {
    let is_phase2 = exchange == ExchangeType::QUICK;
    Some(match cause {
        FailureReason::NoAnswer(unanswered) => unanswered.hint(),
        FailureReason::OtherVersion { major: 2, .. } => IKEV1_AT_PEER,
        FailureReason::NoProposalChosen(ProposalRefusal::NoAlgorithm(_)) => "add one to it",
        FailureReason::NoProposalChosen(refusal) if refusal.is_of_policies() => "compare the policies of both hosts",
        FailureReason::NoProposalChosen(_) if is_phase2 => "compare the sainfo of both hosts",
        FailureReason::NoProposalChosen(_) => "compare the proposals of both hosts",
        FailureReason::Refused(NotifyType::NO_PROPOSAL_CHOSEN) => "the peer's log names the difference",
        FailureReason::Refused(NotifyType::AUTHENTICATION_FAILED) => "compare the pre-shared keys of both hosts",
        FailureReason::Refused(NotifyType::INVALID_ID_INFORMATION) if is_phase2 => {
            "the peer needs a policy and a sainfo for this traffic: compare those of both hosts"
        }
        FailureReason::Refused(NotifyType::INVALID_ID_INFORMATION) => {
            "compare my_identifier here with peers_identifier there"
        }
        FailureReason::NoRemote(MissingRemote::Address { .. }) => "add a remote section for it, or remote anonymous",
        FailureReason::NoPolicy(missing) => return missing.hint(),
        FailureReason::NoSainfo(_) => "both endpoints of a sainfo are anonymous or equal those of the policy",
        _ => return None,
    })
}

impl FailureReason {
    /// Whether its text names the traffic that was negotiated.
    pub(crate) fn names_traffic(&self) -> bool {
        matches!(self, Self::NoPolicy(_) | Self::NoSainfo(_) | Self::NotAuthorized(_))
    }
}
