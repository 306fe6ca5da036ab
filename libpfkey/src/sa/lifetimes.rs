//! Limits of an SA.

use crate::lifetime::SoftRate;
use crate::wire::Lifetime;

/// The limits of an SA: at the soft one the key manager is told to renew it, at the hard one the kernel removes it.
///
/// Linux wants both or none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetimes {
    /// Hard limits.
    pub hard: Option<Lifetime>,
    /// Soft limits.
    pub soft: Option<Lifetime>,
}

impl Lifetimes {
    /// Hard limits with soft ones at 80 percent of them.
    pub fn new(hard: Lifetime) -> Self {
        Self::with_rate(hard, &SoftRate::default())
    }

    /// Hard limits with soft ones at some percentage of them.
    pub fn with_rate(hard: Lifetime, rate: &SoftRate) -> Self {
        Self { hard: Some(hard), soft: Some(rate.soften(&hard)) }
    }

    /// A hard limit in seconds since creation, and a soft one at 80 percent of it.
    pub fn seconds(addtime: u64) -> Self {
        Self::new(Lifetime { addtime, ..Lifetime::default() })
    }

    /// A hard limit in bytes, and a soft one at 80 percent of it.
    pub fn bytes(bytes: u64) -> Self {
        Self::new(Lifetime { bytes, ..Lifetime::default() })
    }
}
