//! The settings of the engine.

use std::time::Duration;

use crate::crypto::Padding;
use crate::output::Level;
use crate::select::{Remotes, Sainfos};

/// The settings of the engine. A reload replaces them as a whole.
#[derive(Debug)]
pub struct Settings {
    /// The `remote` sections.
    pub remotes: Remotes,
    /// The `sainfo` sections.
    pub sainfos: Sainfos,
    /// When messages are retransmitted.
    pub retransmission: Retransmission,
    /// How long a phase 2 waits for its phase 1 (`timer { phase1 }`).
    pub phase1_wait: Duration,
    /// How long a phase 2 may take (`timer { phase2 }`).
    pub phase2_wait: Duration,
    /// The name of the kernel's parameter for the lifetime of a reserved SPI.
    pub larval_limit: &'static str,
    /// The interval of NAT keepalives; `None` to send none.
    pub natt_keepalive: Option<Duration>,
    /// The padding of encrypted messages.
    pub padding: Padding,
    /// Whether each protocol of a bundle has the mode of its own template. Otherwise all are tunnels if one is.
    pub complex_bundle: bool,
    /// Limits of half-open negotiations.
    pub half_open: HalfOpenLimit,
    /// The number of outcomes that the journal keeps.
    pub journal: usize,
    /// The port of a peer whose remote section names none: 500, or `-p`.
    pub port: u16,
    /// `-Z`: two daemons share a host, so changes of the kernel's tables by others, and INITIAL-CONTACT, are ignored.
    pub local_test: bool,
    /// The log level; less severe lines are not even formatted.
    pub log: Level,
}

impl Default for Settings {
    /// The settings of an empty configuration.
    fn default() -> Self {
        Self {
            remotes: Remotes::default(),
            sainfos: Sainfos::default(),
            retransmission: Retransmission::default(),
            phase1_wait: Duration::from_secs(30),
            phase2_wait: Duration::from_secs(30),
            larval_limit: "the kernel's limit for reserved SPIs",
            natt_keepalive: Some(Duration::from_secs(20)),
            padding: Padding::default(),
            complex_bundle: true,
            half_open: HalfOpenLimit::default(),
            journal: 200,
            port: 500,
            local_test: false,
            log: Level::Info,
        }
    }
}

/// When messages are retransmitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retransmission {
    /// The number of transmissions of a message, including the first one.
    pub count: u32,
    /// The time between two transmissions.
    pub interval: Duration,
    /// The number of copies sent each time.
    pub copies: u32,
}

impl Retransmission {
    /// Returns the time from the first transmission until an answer is no longer expected.
    pub fn whole(&self) -> Duration {
        self.interval.saturating_mul(self.count)
    }
}

impl Default for Retransmission {
    fn default() -> Self {
        Self { count: 5, interval: Duration::from_secs(10), copies: 1 }
    }
}

/// Limits of half-open negotiations: those that peers have begun and in which they are not authenticated yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HalfOpenLimit {
    /// The number in total.
    pub total: u32,
    /// The number from one address.
    pub per_source: u32,
}

impl Default for HalfOpenLimit {
    fn default() -> Self {
        Self { total: 1024, per_source: 16 }
    }
}
