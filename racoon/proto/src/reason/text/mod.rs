//! The text of reasons and outcomes: what happened, what was offered and configured, and the one thing to check. No other module
//! makes text of them.

mod certificate;
mod details;
mod hint;
mod missing;
mod outcome;
mod peer;

use std::fmt;

use super::{FailureReason, KernelFailure};
use crate::num::ExchangeType;
use crate::proposal::ProposalRefusal;

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
            Self::NoPreSharedKey { peer, why } => write!(f, "no pre-shared key for {peer}: {why}"),
            Self::Authentication(why) => write!(f, "authentication failed: {why}"),
            Self::Signature(why) => write!(f, "the peer is not authenticated: {why}"),
            Self::OwnKey(why) => write!(f, "our signature cannot be made: {why}"),
            Self::Identity { claimed, expected } => {
                write!(f, "identity {claimed} is not the expected {}", joined(expected, " or "))
            }
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
            // This text begins with `kernel` already.
            Self::Kernel(KernelFailure::Refused(error)) if error.missing.is_some() => error.fmt(f),
            Self::Kernel(failure) => write!(f, "kernel: {failure}"),
            Self::KernelTimeout(wait) => write!(f, "the kernel did not answer within {} s", wait.as_secs()),
            Self::Crypto(failure) => write!(f, "cryptography: {failure}"),
            Self::UnsupportedExchange(exchange) => write!(f, "{exchange} mode is not supported"),
            Self::NoAuthMethod { remote } => {
                write!(f, "no authentication method of remote section {remote} is supported")
            }
            Self::NoCertificate => f.write_str(
                "my_identifier asn1dn without a name needs a certificate, and none is configured with certificate_type",
            ),
            Self::UnsupportedTransform { protocol, id } => {
                write!(f, "{protocol} with {} is not supported", protocol.transform_name(*id))
            }
            Self::RepeatedProtocol(protocol) => write!(f, "a policy with {protocol} twice is not supported"),
        }
    }
}

impl std::error::Error for FailureReason {}

impl FailureReason {
    /// Returns what happened and what to check.
    pub(crate) fn explained(&self) -> String {
        let hint = hint::hint(self, ExchangeType::MAIN);
        format!("{self}{}", hint.map(|hint| format!("; {hint}")).unwrap_or_default())
    }

    /// Whether the text names the traffic that was negotiated.
    pub(crate) fn names_traffic(&self) -> bool {
        matches!(self, Self::NoPolicy(_) | Self::NoSainfo(_) | Self::NotAuthorized(_))
    }
}

/// Joins the texts of several values.
fn joined(values: &[impl fmt::Display], separator: &str) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}
