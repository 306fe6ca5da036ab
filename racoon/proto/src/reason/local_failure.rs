//! Failures on this host: of the kernel, of cryptography, and of the phase 1 that a phase 2 needs.

use std::sync::Arc;
use std::time::Duration;

use super::FailureReason;
use crate::crypto::CryptoError;
use crate::kernel::{KernelError, SaName};

/// A failure of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelFailure {
    /// It refused a request.
    Refused(Box<KernelError>),
    /// A reserved SPI expired before its SA was installed.
    SpiExpired {
        /// The SA that it was reserved for.
        name: SaName,
        /// How long the negotiation had taken by then.
        after: Duration,
        /// The kernel's parameter that limits the lifetime of reserved SPIs.
        limit: &'static str,
    },
    /// Another program deleted an SA.
    Deleted(SaName),
    /// Another program deleted all SAs.
    Flushed,
    /// Another negotiation has an SA of this name.
    NameInUse(SaName),
}

/// A failure of our own cryptography.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CryptoFailure {
    /// A computation failed.
    Library(CryptoError),
    /// No thread was available for a job.
    NotComputed,
    /// A job did not finish before the deadline of its negotiation.
    Late,
    /// The result of a job lacks something that was requested.
    Incomplete,
    /// A job finished that was not requested.
    Unexpected,
}

/// The reason why there is no phase 1 for a phase 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoPhase1 {
    /// The phase 1 under which it was negotiated is gone: deleted, expired, or not renewed.
    Gone,
    /// The phase 1 that it waited for was deleted by the operator.
    Deleted,
    /// The phase 1 that it waited for was deleted by the operator together with all others.
    Flushed,
    /// A reload removed the remote section of the phase 1 that it waited for.
    NotConfigured,
    /// The phase 1 that it waited for failed. All phase 2s that waited share the reason.
    Failed(Arc<FailureReason>),
}

impl FailureReason {
    /// The reason of a phase 2 whose phase 1 is gone.
    pub(crate) fn phase1_gone() -> Self {
        Self::NoPhase1(NoPhase1::Gone)
    }

    /// The reason of a job that was dropped.
    pub(crate) fn not_computed() -> Self {
        Self::Crypto(CryptoFailure::NotComputed)
    }

    /// The reason of a job that did not finish in time.
    pub(crate) fn computed_late() -> Self {
        Self::Crypto(CryptoFailure::Late)
    }
}

impl From<KernelError> for FailureReason {
    /// The kernel refused a request.
    fn from(error: KernelError) -> Self {
        Self::Kernel(KernelFailure::Refused(error.into()))
    }
}

impl From<CryptoError> for FailureReason {
    /// Our own fault, never the peer's.
    fn from(error: CryptoError) -> Self {
        Self::Crypto(CryptoFailure::Library(error))
    }
}
