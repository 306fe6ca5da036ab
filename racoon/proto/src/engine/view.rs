//! Views of the engine's state, for `racoonctl show-sa isakmp` and statistics.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::engine::{Engine, Phase1Id};
use crate::num::ExchangeType;
use crate::phase1::entry::{Phase1, Stage};
use crate::proposal::Phase1Terms;
use crate::reason::Role;
use crate::time::Time;
use crate::wire::CookiePair;

/// The present state of a phase 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase1View<'a> {
    /// Its cookies; the responder's may still be zero.
    pub cookies: CookiePair,
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub remote: SocketAddr,
    /// Our role.
    pub role: Role,
    /// The exchange.
    pub exchange: ExchangeType,
    /// State: 2 to 8 are messages sent and received, 9 is established, 10 dying.
    pub state: u8,
    /// Version of ISAKMP: 0x10.
    pub version: u8,
    /// Time of establishment.
    pub created: Option<Time>,
    /// Number of its phase 2s.
    pub phase2_count: usize,
    /// Name of its remote section.
    pub remote_section: Option<&'a str>,
    /// The agreed terms, once it is established.
    pub terms: Option<Phase1Terms>,
    /// The peer's certificate in DER, if it has proved its identity by one.
    pub certificate: Option<&'a Arc<[u8]>>,
}

/// Sizes of the tables: an attack might fill them, and all are zero when nothing is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Phase 1s, established or being negotiated.
    pub phase1s: usize,
    /// Phase 1s that peers began and that are not established.
    pub half_open: usize,
    /// Phase 2s, established or being negotiated.
    pub phase2s: usize,
    /// Unfinished jobs.
    pub jobs: usize,
    /// Unanswered kernel requests.
    pub requests: usize,
    /// Set timers.
    pub timers: usize,
}

impl Engine {
    /// Returns the sizes of the tables.
    pub fn load(&self) -> Load {
        Load {
            phase1s: self.phase1s.iter().count(),
            half_open: self.phase1s.half_open.len(),
            phase2s: self.phase2s.iter().count(),
            jobs: self.core.jobs.len(),
            requests: self.core.requests.len() + self.generated.unanswered(),
            timers: self.core.timers.len(),
        }
    }

    /// Returns all phase 1s, the oldest first.
    pub fn phase1s(&self) -> impl Iterator<Item = Phase1View<'_>> {
        self.phase1s.iter().map(|(id, phase1)| self.view(id, phase1))
    }

    fn view<'a>(&'a self, id: Phase1Id, phase1: &'a Phase1) -> Phase1View<'a> {
        let state = match &phase1.stage {
            Stage::Negotiating(mode) => mode.status(),
            Stage::Established(established) if established.dying => 10,
            Stage::Established(_) => 9,
            Stage::Over => 11,
        };
        Phase1View {
            cookies: phase1.cookies,
            local: phase1.path().local,
            remote: phase1.remote(),
            role: phase1.role,
            exchange: phase1.exchange,
            state,
            version: 0x10,
            created: phase1.established().map(|established| established.since),
            phase2_count: self.phase2s.count(id),
            remote_section: self.core.settings.remotes.get(phase1.remote_section).map(|section| section.name.as_str()),
            terms: phase1.established().map(|established| established.sa.terms),
            certificate: phase1.established().and_then(|established| established.sa.certificate.as_ref()),
        }
    }
}
