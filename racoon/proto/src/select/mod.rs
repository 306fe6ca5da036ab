//! Selects the sections of the configuration for a peer. Look-ups go by key, so that only sections that may fit are compared.

mod remotes;
mod sainfos;

pub use remotes::{Ambiguous, CertificateQuery, ProposalChoice, RemoteIndex, RemoteQuery, Remotes};
pub use sainfos::{SainfoIndex, SainfoQuery, Sainfos};
