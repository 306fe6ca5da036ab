//! Phase 1: negotiation and lifecycle of ISAKMP SAs.
//!
//! An [`exchange`] negotiates one, with the peer authenticated as [`auth`] describes. [`datagram`] hands messages to exchanges,
//! [`negotiation`] carries out their transitions, and [`failure`] ends those that fail. What follows an established one is in
//! [`lifecycle`], [`readiness`], [`renewal`] and [`replacement`]. [`table`] holds every phase 1, which is an [`entry`], and
//! finds it by its cookies, addresses and message. [`half_open`] and [`rate_limit`] bound what unauthenticated peers can cause.

pub(crate) mod auth;
pub(crate) mod datagram;
pub(crate) mod entry;
pub(crate) mod exchange;
pub(crate) mod failure;
pub(crate) mod half_open;
pub(crate) mod isakmp_sa;
pub(crate) mod lifecycle;
pub(crate) mod negotiation;
pub(crate) mod rate_limit;
pub(crate) mod readiness;
pub(crate) mod renewal;
pub(crate) mod replacement;
pub(crate) mod sa;
pub(crate) mod table;

#[cfg(test)]
pub(crate) use sa::MESSAGE_IDS_MAX;
pub(crate) use sa::{KeyOwner, MESSAGE_IDS_RENEWED_AFTER, PeerIdentity, Phase1Sa, open_informational};
