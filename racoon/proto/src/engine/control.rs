//! What the operator, and the shell for itself, ask of the engine.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use crate::kernel::{Direction, Selector};
use crate::num::Protocol;
use crate::settings::Settings;

/// A request from outside the protocol.
#[derive(Debug)]
pub enum Control {
    /// These are our addresses now: nothing is begun from another one.
    Addresses(BTreeSet<SocketAddr>),
    /// Another configuration. What lives by a block that is no more is deleted.
    Reload(Box<Settings>),
    /// The end: deletes are sent, SAs and generated policies go. What is to be done is in the outputs; then the engine is empty.
    Shutdown,
    /// Begin phase 1 with a peer: `establish-sa isakmp`. A source that is not specified (0.0.0.0, ::) is the first address of ours.
    EstablishPhase1 {
        /// Our address.
        local: IpAddr,
        /// The peer's.
        remote: IpAddr,
        /// Name of the remote block; none: the one that fits best.
        block: Option<String>,
    },
    /// Begin phase 2 for the policy with this selector: `establish-sa esp` and `ah`.
    EstablishPhase2(Direction, Selector),
    /// Delete phase 1 with a peer and all that came of it: `delete-sa`.
    DeletePeer {
        /// Our address; not specified: any.
        local: IpAddr,
        /// The peer's.
        remote: IpAddr,
    },
    /// Delete every phase 1: `flush-sa isakmp`.
    FlushPhase1,
    /// Delete every SA of a protocol, or of all: `flush-sa esp`, `ah`, `ipsec`.
    FlushPhase2(Option<Protocol>),
}

/// Why a control request was not begun.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is there already.
    #[error("already established")]
    Exists,
    /// No remote block for the peer, or no policy with the selector.
    #[error("no configuration for it: {0}")]
    NotConfigured(String),
    /// There is nothing of the kind.
    #[error("no such SA")]
    Missing,
}
