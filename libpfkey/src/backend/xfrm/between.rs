//! The SAs that a DELETE without an SPI names: all of a protocol between two addresses.

use super::layout::{Addr, Id, State, StateId};
use super::sa_reply::StateAttributes;
use crate::wire::XfrmMark;

/// The SAs between two addresses that a dump has shown.
#[derive(Debug, Default)]
pub(super) struct Between {
    pub(super) source: Addr,
    pub(super) destination: Addr,
    pub(super) family: u16,
    /// Name and mark of each SA.
    pub(super) found: Vec<(StateId, Option<XfrmMark>)>,
}

impl Between {
    /// Notes an SA if it is between the addresses. A larval SA, an SPI that is only reserved, is left out.
    pub(super) fn note(&mut self, state: &State, attributes: &StateAttributes<'_>) {
        let endpoints = (state.source, state.id.destination, state.family);
        if endpoints != (self.source, self.destination, self.family) || attributes.is_larval() {
            return;
        }
        let Id { destination, spi, proto } = state.id;
        self.found.push((StateId { destination, spi, family: state.family, proto }, attributes.mark()));
    }
}
