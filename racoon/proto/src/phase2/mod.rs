//! Phase 2: Quick Mode (RFC 2409 section 5.5), which makes IPsec SAs under an ISAKMP SA.
//!
//! The states of both roles are structs that their transitions consume; they know nothing of tables, timers and the kernel:
//!
//! ```text
//! initiator:  PendingInputs ──► Offered ──► Agreed ──► SAs, message 3
//! responder:  PendingInputs ──► SAs, message 2, Answered ──► (message 3)
//! ```
//!
//! [`acquire`] and [`request`] begin a phase 2 of ours, [`quick_responder`] and [`offer`] one of the peer's. [`quick_mode`] hands
//! messages, the kernel's answers and results of jobs to the [`step`]s of a phase 2. [`bundle`] and [`agreement`] are what is
//! negotiated. [`table`] holds every phase 2, which is an [`entry`]; what becomes of it is in [`lifecycle`], [`rekey_switchover`],
//! [`failure`] and [`kernel_state`]. [`generate_policy`] and [`leftover`] own what the kernel has besides.

pub(crate) mod acquire;
pub(crate) mod agreement;
pub(crate) mod bundle;
pub(crate) mod entry;
pub(crate) mod failure;
pub(crate) mod generate_policy;
pub(crate) mod initiator;
pub(crate) mod kernel_state;
pub(crate) mod keys;
pub(crate) mod leftover;
pub(crate) mod lifecycle;
pub(crate) mod lifetime;
pub(crate) mod message;
pub(crate) mod offer;
pub(crate) mod pending_inputs;
pub(crate) mod quick_mode;
pub(crate) mod quick_responder;
pub(crate) mod rekey_switchover;
pub(crate) mod request;
pub(crate) mod responder;
pub(crate) mod step;
pub(crate) mod table;
pub(crate) mod traffic;
pub(crate) mod view;

use std::fmt;

use traffic::Endpoints;

use crate::kernel::Selector;

/// What a phase 2 is for: an outbound selector, and the endpoints of phase 1. A policy may have many of them, as in transport mode
/// between the hosts of two networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TrafficKey {
    pub(crate) selector: Selector,
    pub(crate) endpoints: Endpoints,
}

impl fmt::Display for TrafficKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.selector.fmt(f)
    }
}
