//! Views of phase 2s, for `racoonctl show-sa`.

use std::net::SocketAddr;

use crate::engine::{Engine, Phase1Id, Phase2Id};
use crate::kernel::{SaName, Selector};
use crate::path::Path;
use crate::phase2::entry::{Phase2, State};
use crate::proposal::{Phase2Terms, Phase2Transform};
use crate::reason::Role;
use crate::time::Time;
use crate::wire::CookiePair;

/// The present state of a phase 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase2View<'a> {
    /// Its identifier.
    pub id: Phase2Id,
    /// Its phase 1, if there is one.
    pub phase1: Option<Phase1Id>,
    /// The cookies of the phase 1 under which it was negotiated.
    pub cookies: Option<CookiePair>,
    /// Message id; 0 before the first message.
    pub message_id: u32,
    /// Our role.
    pub role: Role,
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub remote: SocketAddr,
    /// Name of the remote section.
    pub remote_section: &'a str,
    /// Selector of the outbound policy.
    pub selector: Selector,
    /// State: 1 waits for phase 1, 3 for SPIs and the key exchange, 5 for message 2, 6 for message 3, 8 for the kernel; 9 is
    /// established.
    pub state: u8,
    /// Time of establishment.
    pub created: Option<Time>,
    /// Time of expiry.
    pub expires: Option<Time>,
    /// The agreed lifetime and group, once it is established.
    pub terms: Option<Phase2Terms>,
    /// Its SAs, once it is established.
    pub pairs: Vec<PairView>,
}

/// A pair of SAs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairView {
    /// The inbound SA.
    pub inbound: SaName,
    /// The outbound SA.
    pub outbound: SaName,
    /// Their transform.
    pub transform: Phase2Transform,
    /// Inbound and outbound reqid; 0 for none.
    pub reqids: (u32, u32),
}

impl Engine {
    /// Returns all phase 2s, the oldest first.
    pub fn phase2s(&self) -> impl Iterator<Item = Phase2View<'_>> {
        self.phase2s.iter().map(|(id, phase2)| view(id, phase2, phase2.path))
    }
}

fn view(id: Phase2Id, phase2: &Phase2, path: Path) -> Phase2View<'_> {
    let established = phase2.established();
    let pairs = established.map(|established| established.pairs.as_slice()).unwrap_or_default();
    Phase2View {
        id,
        phase1: phase2.phase1,
        cookies: phase2.cookies,
        message_id: phase2.message_id,
        role: phase2.role,
        local: path.local,
        remote: path.remote,
        remote_section: &phase2.remote_section,
        selector: phase2.traffic_key.selector,
        state: status(&phase2.state),
        created: established.map(|established| established.since),
        expires: established.map(|established| established.expires),
        terms: established.map(|established| established.terms),
        pairs: pairs
            .iter()
            .map(|pair| PairView {
                inbound: pair.inbound,
                outbound: pair.outbound,
                transform: pair.transform,
                reqids: (pair.reqid_in, pair.reqid_out),
            })
            .collect(),
    }
}

/// Returns the state as racoonctl numbers it.
fn status(state: &State) -> u8 {
    match state {
        State::Waiting(_) => 1,
        State::Gathering(..) | State::Answering(..) => 3,
        State::Offered(_) => 5,
        State::Answered(..) => 6,
        State::Computing(_) | State::InstallingInbound(_) | State::InstallingOutbound(_) => 8,
        State::Established(_) => 9,
        State::Over => 10,
    }
}
