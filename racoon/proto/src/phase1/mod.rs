//! Phase 1: how an ISAKMP SA comes to be, and what it is.

pub(crate) mod sa;

pub(crate) use sa::{PeerIdentity, Phase1Sa};
