//! Room for negotiations of those who have not proved who they are.

use std::net::SocketAddr;

use super::strangers::Complaint;
use super::{Engine, Phase1Id};
use crate::output::Level;
use crate::phase1::main::MainMode;
use crate::select::Known;
use crate::settings::HalfOpenLimit;

impl Engine {
    /// Whether one more negotiation may begin from an address.
    ///
    /// A peer whose address is configured does not have to share the room of all strangers: however many of them there are,
    /// it gets through. Its own room may be taken up by somebody who only pretends to be there; so the oldest negotiation
    /// there that has not gone on after our answer makes way for another one.
    pub(super) fn has_room_for(&mut self, local: SocketAddr, remote: SocketAddr) -> bool {
        let limit = self.settings.half_open;
        if !self.is_configured_address(remote) {
            return self.phase1s.has_room_for(remote.ip(), limit);
        }
        let limit = HalfOpenLimit { total: u32::MAX, ..limit };
        if !self.phase1s.has_room_for(remote.ip(), limit)
            && let Some(oldest) = self.oldest_unproved(local, remote)
        {
            self.remove_phase1(oldest);
            self.log(Level::Debug, Some(remote), || "an unfinished negotiation makes way for another one".into());
            self.complain(Complaint::Crowd, remote, || "too many negotiations from a peer's address".into());
        }
        self.phase1s.has_room_for(remote.ip(), limit)
    }

    fn is_configured_address(&self, remote: SocketAddr) -> bool {
        let known = Known { port: remote.port(), skip_anonymous: true, ..Known::address(remote) };
        !self.settings.remotes.candidates(&known).is_empty()
    }

    /// The oldest negotiation whose beginner has not shown that it receives what is sent to its address.
    fn oldest_unproved(&self, local: SocketAddr, remote: SocketAddr) -> Option<Phase1Id> {
        let is_unproved = |id: &Phase1Id| {
            let negotiation = self.phase1s.get(*id).and_then(|phase1| phase1.negotiation());
            negotiation.is_some_and(MainMode::is_from_unproved_address)
        };
        self.phase1s.between(local.ip(), remote.ip()).into_iter().find(is_unproved)
    }
}
