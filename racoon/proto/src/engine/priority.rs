//! Priorities of waiting messages under load.

use crate::engine::Engine;
use crate::path::Path;
use crate::phase1::rate_limit::PeerStanding;
use crate::phase1::table::Phase1s;
use crate::reason::Role;
use crate::wire::{Cookie, CookiePair};

/// How urgent a message is, by what its cookies and its address say. The most urgent comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// It has the cookies of a phase 1 with its sender: of an established one, or of a negotiation that goes on. Who does
    /// not read our messages cannot guess them.
    Exchange,
    /// It comes in the name of a peer that is configured, or with which a phase 1 is established: a renewal, most likely.
    Known,
    /// It may be anybody's.
    Unknown,
}

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Exchange, Self::Known, Self::Unknown];
}

impl Engine {
    /// How urgent a datagram is that has not been looked at: nothing of it is checked, and nothing changes.
    pub fn priority(&self, path: Path, datagram: &[u8]) -> Priority {
        match cookies(datagram) {
            Some(cookies) if self.phase1s.is_of_exchange(cookies, path) => Priority::Exchange,
            Some(_) if self.phase1s.standing_of(&self.core, path.remote) != PeerStanding::Unknown => Priority::Known,
            _ => Priority::Unknown,
        }
    }
}

impl Phase1s {
    /// Whether cookies and path are those of a phase 1, or of the first answer to what we have begun.
    fn is_of_exchange(&self, cookies: CookiePair, path: Path) -> bool {
        if cookies.responder.is_zero() {
            return false;
        }
        if let Some(phase1) = self.find(cookies).and_then(|id| self.get(id)) {
            return phase1.path() == path;
        }
        let begun = self.find_first(cookies.initiator, path).and_then(|id| self.get(id));
        begun.is_some_and(|phase1| phase1.role == Role::Initiator && phase1.cookies.responder.is_zero())
    }
}

/// The cookies at the beginning of a message.
fn cookies(datagram: &[u8]) -> Option<CookiePair> {
    let (initiator, rest) = datagram.split_first_chunk()?;
    let (responder, _) = rest.split_first_chunk()?;
    Some(CookiePair { initiator: Cookie(*initiator), responder: Cookie(*responder) })
}
