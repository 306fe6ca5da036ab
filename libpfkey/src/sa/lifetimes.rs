//! Limits of an SA.

use crate::lifetime::SoftRate;
use crate::wire::Lifetime;

/// The limits of an SA. When it reaches a soft one, the kernel sends an EXPIRE, so that the key manager replaces it in time;
/// at a hard one the kernel removes it. Kernels take both or none.
///
/// ```
/// use libpfkey::Lifetimes;
/// use libpfkey::lifetime::{Limit, SoftRate};
///
/// let limits = Lifetimes::seconds(3600);
/// assert_eq!(limits.soft.map(|soft| soft.addtime), Some(2880), "80 percent");
///
/// let mut rate = SoftRate::default();
/// rate.set(Limit::AddTime, 90);
/// let later = Lifetimes::with_rate(limits.hard.unwrap_or_default(), &rate);
/// assert_eq!(later.soft.map(|soft| soft.addtime), Some(3240));
/// ```
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

    /// Hard limits with soft ones at these percentages of them.
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
