//! Which blocks of the configuration serve a peer. Look-ups go by key; among thousands of blocks only those are looked at
//! that can fit.

mod remotes;
mod sainfos;

pub use remotes::{Ambiguous, CertificateRequest, ProposalChoice, RemoteIndex, RemoteQuery, Remotes};
pub use sainfos::{SainfoIndex, SainfoQuery, Sainfos};
