//! The end of a failure's line: the offered and configured proposals, and what to check.

use crate::credentials::{CertificateProblem, OwnProblem, PeerProblem};
use crate::kernel::Direction;
use crate::num::{ExchangeType, NotifyType};
use crate::proposal::ProposalRefusal;
use crate::reason::{
    FailureReason, MissingPolicy, MissingRemote, Negotiation, Outcome, PolicyProblem, Role, Unanswered,
};

/// A longer message may need fragments on a path with a small MTU: IPv6 guarantees packets of 1280 bytes.
const LARGE: usize = 1200;

/// Advice for a peer that speaks IKEv2.
const IKEV1_AT_PEER: &str = "configure the peer for IKEv1 (strongSwan: `version = 1` or `keyexchange=ikev1`, \
                             libreswan: `ikev2=no` or `keyexchange=ikev1`)";

/// Returns the end of a failure's line: what was offered and configured, where that matters, and what to look at unless the peer
/// has explained its refusal. Empty, or begins with a semicolon.
pub(super) fn context(outcome: &Outcome, reason: &FailureReason) -> String {
    let (exchange, role) = match outcome.negotiation {
        Negotiation::Phase1 { exchange, role, .. } => (exchange, role),
        Negotiation::Phase2 { role, .. } => (ExchangeType::QUICK, role),
    };
    let mut text = String::new();
    if is_about_proposals(reason, exchange, role) {
        for (what, lines) in [("offered", &outcome.offered), ("configured", &outcome.configured)] {
            if !lines.is_empty() {
                text.push_str(&format!("; {what}: [{}]", lines.join("; ")));
            }
        }
    }
    let is_known = outcome.peer_text.is_some() && matches!(reason, FailureReason::Refused(_));
    if let Some(hint) = hint(reason, exchange).filter(|_| !is_known) {
        text.push_str(&format!("; {hint}"));
    }
    text
}

/// Whether the offered and the configured proposals help to explain a failure.
fn is_about_proposals(reason: &FailureReason, exchange: ExchangeType, role: Role) -> bool {
    match reason {
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

/// Returns the one thing to check.
pub(super) fn hint(reason: &FailureReason, exchange: ExchangeType) -> Option<&'static str> {
    let is_phase2 = exchange == ExchangeType::QUICK;
    Some(match reason {
        FailureReason::NoAnswer(unanswered) => unanswered.hint(),
        FailureReason::OtherVersion { major: 2, .. } => IKEV1_AT_PEER,
        FailureReason::NoProposalChosen(ProposalRefusal::NoAlgorithm(_)) => "add one to it",
        FailureReason::NoProposalChosen(refusal) if refusal.is_of_policies() => "compare the policies of both hosts",
        FailureReason::NoProposalChosen(_) if is_phase2 => "compare the sainfo of both hosts",
        FailureReason::NoProposalChosen(_) if exchange == ExchangeType::AGGRESSIVE => {
            "compare the proposals of both hosts; in aggressive mode the initiator fixes the dh_group"
        }
        FailureReason::NoProposalChosen(_) => "compare the proposals of both hosts",
        FailureReason::Refused(NotifyType::NO_PROPOSAL_CHOSEN) => "the peer's log names the difference",
        FailureReason::Refused(NotifyType::AUTHENTICATION_FAILED) => "compare the pre-shared keys of both hosts",
        FailureReason::Refused(NotifyType::INVALID_ID_INFORMATION) if is_phase2 => {
            "the peer needs a policy and a sainfo for this traffic: compare those of both hosts"
        }
        FailureReason::Refused(NotifyType::INVALID_ID_INFORMATION) => {
            "compare my_identifier here with peers_identifier there"
        }
        FailureReason::Signature(problem) => return problem.hint(),
        FailureReason::OwnKey(problem) => return problem.hint(),
        FailureReason::Refused(
            NotifyType::INVALID_SIGNATURE
            | NotifyType::INVALID_CERTIFICATE
            | NotifyType::INVALID_CERT_ENCODING
            | NotifyType::INVALID_CERT_AUTHORITY,
        ) => "the peer does not accept our certificate or signature: see its log for the reason",
        FailureReason::Refused(NotifyType::CERTIFICATE_UNAVAILABLE) => {
            "the peer has no key that it can use: see its log for the reason"
        }
        FailureReason::NoRemote(MissingRemote::Address { .. }) => "add a remote section for it, or remote anonymous",
        FailureReason::NoPolicy(missing) => return missing.hint(),
        FailureReason::NoSainfo(_) => "both endpoints of a sainfo are anonymous or equal those of the policy",
        _ => return None,
    })
}

impl PeerProblem {
    /// Returns the one thing to check.
    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NoCertificate => "let the peer send its certificate, or name its file in peers_certfile",
            Self::Certificate(problem) => return problem.hint(),
            Self::NotNamed { .. } => "let the peer's my_identifier be a name in its certificate",
            Self::KeyKind(_) => "compare authentication_method with the key of the peer's certificate",
            Self::NoPlainKey(_) => "add the peer's public key to it",
            Self::Signature => "check that the peer's private key belongs to its certificate",
            Self::Encoding(_) | Self::Unparsable(_) | Self::TooMany(..) | Self::File(..) => return None,
        })
    }
}

impl CertificateProblem {
    /// Returns the one thing to check.
    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Expired { .. } => "renew it, or check the clock of this host",
            Self::NotYetValid { .. } => "check the clock of this host",
            Self::UnknownIssuer { .. } => "add the issuer to the ca_type file, or let the peer send the chain",
            Self::SelfSigned { .. } => "add it to the ca_type file if the peer may use it",
            Self::NoCrl { .. } => "install the list in the path certificate directory, or set crl_policy optional",
            Self::BadCrl { .. } => "install a new list in the path certificate directory",
            _ => return None,
        })
    }
}

impl OwnProblem {
    /// Returns the one thing to check.
    fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::NotConfigured => "set certificate_type in the remote section",
            Self::KeyKind(_) => "compare authentication_method with the key of certificate_type",
            Self::NoPlainKey(_) => "add one to it",
            Self::File(..) | Self::Mismatch { .. } | Self::Signing(_) => return None,
        })
    }
}

impl Unanswered {
    /// Returns the probable cause of the silence, and what to check.
    fn hint(&self) -> &'static str {
        const LOST: &str =
            "packets of this size seem to be lost on the path to the peer: check its MTU, and that fragments pass";
        const RETURN_PATH: &str = "our answers do not reach the peer: check the route to it and packet filters";
        let is_large = self.bytes > LARGE;
        match (self.exchange, self.role, self.message) {
            (ExchangeType::AGGRESSIVE | ExchangeType::BASE, Role::Initiator, 1) => {
                "check that an IKEv1 daemon runs there that accepts this exchange and this host's identity, and that UDP port 500 \
                 is open; otherwise see the peer's log"
            }
            (ExchangeType::AGGRESSIVE, Role::Responder, 2) => {
                "the peer gave up, has another pre-shared key, or expects another identity: see its log"
            }
            (ExchangeType::MAIN, Role::Initiator, 1) => {
                "check that an IKEv1 daemon runs there, that it is configured for this host, and that UDP port 500 is open"
            }
            // The peer repeats message 2, so message 3 has not reached it, but the smaller message 1 has.
            (ExchangeType::MAIN, Role::Initiator, 3) if self.repeated > 0 => LOST,
            (ExchangeType::MAIN, Role::Initiator, 3) => {
                "packets of this size, or the answers to them, may be lost on the path: check its MTU, and that fragments \
                 pass; otherwise see the peer's log"
            }
            // With another key, a responder cannot decrypt message 5. It cannot know that this is no forgery, and may say nothing.
            (ExchangeType::MAIN, Role::Initiator, 5) => {
                "the pre-shared keys probably differ: compare those of both hosts; otherwise see the peer's log"
            }
            // The same in the other direction: message 2 has arrived, but not the larger message 4.
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

impl MissingPolicy {
    /// Returns the one thing to check.
    fn hint(&self) -> Option<&'static str> {
        match &self.problem {
            PolicyProblem::Missing { needed, .. } if needed.direction == Direction::In => {
                Some("each out policy of the peer needs this in policy here: compare `setkey -DP` of both hosts")
            }
            PolicyProblem::Missing { .. } | PolicyProblem::Unprotected(_) | PolicyProblem::Tunnel { .. } => {
                Some("compare `setkey -DP` of both hosts")
            }
            _ => None,
        }
    }
}
