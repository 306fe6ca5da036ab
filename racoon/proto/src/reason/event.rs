//! The event for each reason.

use super::FailureReason;
use crate::num::NotifyType;
use crate::output::EventKind;

impl FailureReason {
    /// Returns the event for a phase 1 that failed for this reason, if there is one.
    pub fn phase1_event(&self) -> Option<EventKind> {
        Some(match self {
            Self::NoAnswer(_) => EventKind::Phase1NoResponse,
            Self::NoProposalChosen(_) | Self::BadChoice(_) | Self::Refused(NotifyType::NO_PROPOSAL_CHOSEN) => {
                EventKind::Phase1NoProposal
            }
            Self::Authentication(_)
            | Self::Signature(_)
            | Self::OwnKey(_)
            | Self::Identity { .. }
            | Self::NoPreSharedKey { .. }
            | Self::Refused(
                NotifyType::AUTHENTICATION_FAILED
                | NotifyType::INVALID_SIGNATURE
                | NotifyType::INVALID_CERTIFICATE
                | NotifyType::INVALID_CERT_ENCODING
                | NotifyType::INVALID_CERT_AUTHORITY,
            ) => EventKind::Phase1AuthFailed,
            _ => return None,
        })
    }

    /// Returns the event for a phase 2 that failed for this reason, if there is one.
    pub fn phase2_event(&self) -> Option<EventKind> {
        match self {
            Self::NoPhase1(_) | Self::Phase1Late(_) => Some(EventKind::Phase2NoPhase1),
            // ipsec-tools, too, reports a kernel that does not answer in time by this event.
            Self::NoAnswer(_) | Self::KernelTimeout(_) => Some(EventKind::Phase2NoResponse),
            _ => None,
        }
    }
}
