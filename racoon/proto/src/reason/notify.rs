//! The notify for each reason (RFC 2408 section 3.14.1).

use super::FailureReason;
use crate::credentials::PeerProblem;
use crate::num::NotifyType;

impl FailureReason {
    /// Returns the type of the notify for the peer; `None` if none is sent.
    pub fn notify(&self) -> Option<NotifyType> {
        Some(match self {
            // No notify reports a refusal by our kernel or a policy that cannot be negotiated. Without one the peer would wait,
            // and take the silence for a lost packet.
            Self::NoProposalChosen(_)
            | Self::NoRemote(_)
            | Self::NoSainfo(_)
            | Self::TooMany(_)
            | Self::Kernel(_)
            | Self::RepeatedProtocol(_)
            | Self::UnsupportedTransform { .. } => NotifyType::NO_PROPOSAL_CHOSEN,
            // The peer's choice is a malformed answer to our proposals, not an unacceptable proposal.
            Self::BadChoice(_) => NotifyType::BAD_PROPOSAL_SYNTAX,
            Self::Authentication(_) | Self::NoPreSharedKey { .. } => NotifyType::AUTHENTICATION_FAILED,
            Self::Signature(problem) => problem.notify(),
            Self::Identity { .. } | Self::Phase2Identity(_) | Self::NoPolicy(_) | Self::NotAuthorized(_) => {
                NotifyType::INVALID_ID_INFORMATION
            }
            Self::Payload { .. } | Self::Malformed(_) => NotifyType::PAYLOAD_MALFORMED,
            Self::KeyExchange { .. } => NotifyType::INVALID_KEY_INFORMATION,
            Self::UnsupportedExchange(_) => NotifyType::UNSUPPORTED_EXCHANGE_TYPE,
            Self::OwnKey(_) | Self::NoCertificate => NotifyType::CERTIFICATE_UNAVAILABLE,
            // The peer does not answer, knows the reason already, or cannot help.
            Self::NoAnswer(_)
            | Self::OtherVersion { .. }
            | Self::NoPhase1(_)
            | Self::Phase1Late(_)
            | Self::Refused(_)
            | Self::Deleted(_)
            | Self::KernelTimeout(_)
            | Self::Crypto(_)
            | Self::NoAuthMethod { .. } => return None,
        })
    }
}

impl PeerProblem {
    /// Returns the type of the notify for the peer.
    fn notify(&self) -> NotifyType {
        match self {
            Self::Encoding(_) | Self::Unparsable(_) => NotifyType::INVALID_CERT_ENCODING,
            // ipsec-tools, too, reports every certificate that cannot be verified by this type.
            Self::Certificate(_) => NotifyType::INVALID_CERT_AUTHORITY,
            Self::TooMany(..) | Self::KeyKind(_) => NotifyType::INVALID_CERTIFICATE,
            Self::NotNamed { .. } => NotifyType::INVALID_ID_INFORMATION,
            Self::Signature => NotifyType::INVALID_SIGNATURE,
            Self::NoCertificate | Self::File(..) | Self::NoPlainKey(_) => NotifyType::AUTHENTICATION_FAILED,
        }
    }
}
