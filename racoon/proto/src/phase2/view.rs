//! What there is to see of phase 2.

use std::net::SocketAddr;

use crate::engine::{Engine, Phase1Id, Phase2Id};
use crate::kernel::{SaName, Selector};
use crate::path::Path;
use crate::phase2::table::{Phase2, State};
use crate::proposal::{Phase2Terms, Transform};
use crate::reason::Role;
use crate::time::Time;
use crate::wire::CookiePair;

/// A phase 2, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase2View<'a> {
    /// Which one.
    pub id: Phase2Id,
    /// Under which phase 1; none: there is none yet, or none any more.
    pub phase1: Option<Phase1Id>,
    /// The cookies of the phase 1 under which it was negotiated.
    pub cookies: Option<CookiePair>,
    /// Message id; 0 as long as there is no message.
    pub message_id: u32,
    /// Who began it.
    pub role: Role,
    /// Our end of phase 1.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
    /// Name of the remote block.
    pub block: &'a str,
    /// Selector of the outbound policy.
    pub selector: Selector,
    /// How far it is: 1 waits for phase 1, 3 for SPIs and the key exchange, 5 for message 2, 6 for message 3, 8 for the
    /// kernel; 9 is established.
    pub state: u8,
    /// When it was established.
    pub created: Option<Time>,
    /// When it ends.
    pub expires: Option<Time>,
    /// Lifetime and group, once they are agreed.
    pub terms: Option<Phase2Terms>,
    /// Its SAs, once they are there.
    pub pairs: Vec<PairView>,
}

/// A pair of SAs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairView {
    /// By which we receive.
    pub inbound: SaName,
    /// By which we send.
    pub outbound: SaName,
    /// What they do.
    pub transform: Transform,
    /// Reqids, inbound and outbound; 0: none.
    pub reqids: (u32, u32),
}

impl Engine {
    /// All phase 2s, the oldest first.
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
        block: &phase2.block,
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

/// The number by which `racoonctl` knows a state.
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
