//! All that is configured, in the engine's words.

use std::time::Duration;

use crate::crypto::Padding;
use crate::output::Level;
use crate::select::{Remotes, Sainfos};

/// What the engine works by. A reload replaces it as a whole.
#[derive(Debug)]
pub struct Settings {
    /// `remote` sections.
    pub remotes: Remotes,
    /// `sainfo` sections.
    pub sainfos: Sainfos,
    /// When messages are repeated.
    pub retransmission: Retransmission,
    /// How long a phase 2 waits for its phase 1: `phase1` of `timer`.
    pub phase1_wait: Duration,
    /// How long a phase 2 may take: `phase2` of `timer`.
    pub phase2_wait: Duration,
    /// The kernel's parameter for how long a reserved SPI lives.
    pub larval_limit: &'static str,
    /// Between keep-alives through a NAT; none: they are not sent.
    pub natt_keepalive: Option<Duration>,
    /// Padding of what is encrypted.
    pub padding: Padding,
    /// Each protocol of a bundle has the mode of its own template; else all are tunnels when one is.
    pub complex_bundle: bool,
    /// How many unknown peers may negotiate at once.
    pub half_open: HalfOpenLimit,
    /// Outcomes that are kept.
    pub journal: usize,
    /// The port that a peer listens on if its remote block names none: 500, or `-p`.
    pub port: u16,
    /// `-Z`: two daemons on one host. What others do to the kernel's tables, and INITIAL-CONTACT, is ignored.
    pub local_test: bool,
    /// Lines that matter less are not even written.
    pub log: Level,
}

impl Default for Settings {
    /// The settings of an empty file.
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

/// When messages are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retransmission {
    /// How often a message is sent in all.
    pub count: u32,
    /// Between them.
    pub interval: Duration,
    /// Copies each time.
    pub copies: u32,
}

impl Retransmission {
    /// How long a message is repeated before nothing more is expected.
    pub fn whole(&self) -> Duration {
        self.interval.saturating_mul(self.count)
    }
}

impl Default for Retransmission {
    fn default() -> Self {
        Self { count: 5, interval: Duration::from_secs(10), copies: 1 }
    }
}

/// How many unknown peers may negotiate at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HalfOpenLimit {
    /// In all.
    pub total: u32,
    /// From one address.
    pub per_source: u32,
}

impl Default for HalfOpenLimit {
    fn default() -> Self {
        Self { total: 1024, per_source: 16 }
    }
}
