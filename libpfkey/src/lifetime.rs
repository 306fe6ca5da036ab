//! Soft limits as percentages of the hard ones.

use crate::wire::Lifetime;

/// Soft limits as percentages of the hard ones, for each kind of limit (`pfkey_set_softrate`); 80 by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoftRate {
    /// Of allocations, bytes, addtime, usetime.
    rates: [u8; 4],
}

/// A kind of limit. The numbers are those of `SADB_X_LIFETIME_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Allocations: packets on Linux.
    Allocations = 0,
    /// Bytes.
    Bytes = 1,
    /// Seconds since creation.
    AddTime = 2,
    /// Seconds since first use.
    UseTime = 3,
}

impl SoftRate {
    /// Sets a percentage. As in libipsec, 0 and more than 100 mean 100.
    pub fn set(&mut self, limit: Limit, percent: u32) {
        self.rates[limit as usize] = u8::try_from(percent).ok().filter(|rate| (1..=100).contains(rate)).unwrap_or(100);
    }

    /// Returns the percentage of a kind.
    pub fn rate(&self, limit: Limit) -> u8 {
        self.rates[limit as usize]
    }

    /// Returns the soft limits for hard ones.
    pub fn soften(&self, hard: &Lifetime) -> Lifetime {
        let part = |value: u64, limit: Limit| {
            // The product may exceed 64 bits: a limit may be as large as they allow.
            let part = u128::from(value) * u128::from(self.rate(limit)) / 100;
            u64::try_from(part).unwrap_or(u64::MAX)
        };
        Lifetime {
            allocations: u32::try_from(part(hard.allocations.into(), Limit::Allocations)).unwrap_or(u32::MAX),
            bytes: part(hard.bytes, Limit::Bytes),
            addtime: part(hard.addtime, Limit::AddTime),
            usetime: part(hard.usetime, Limit::UseTime),
        }
    }
}

impl Default for SoftRate {
    fn default() -> Self {
        Self { rates: [80; 4] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soft_rates() {
        let mut rate = SoftRate::default();
        let hard = Lifetime { allocations: 10, bytes: u64::MAX, addtime: 100, usetime: 7 };
        assert_eq!(rate.soften(&hard).addtime, 80);
        assert_eq!(rate.soften(&hard).bytes, 14_757_395_258_967_641_292);
        rate.set(Limit::AddTime, 0);
        rate.set(Limit::UseTime, 50);
        rate.set(Limit::Bytes, 101);
        assert_eq!((rate.soften(&hard).addtime, rate.soften(&hard).usetime), (100, 3));
        assert_eq!(rate.soften(&hard).bytes, u64::MAX);
    }
}
