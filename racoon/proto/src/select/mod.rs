//! Selects the sections of the configuration for a peer. Sections are indexed, so that only those that may match are compared.

mod remotes;
mod sainfos;

pub use remotes::{Ambiguous, CertificateQuery, ProposalChoice, RemoteIndex, RemoteQuery, Remotes};
pub use sainfos::{SainfoIndex, SainfoQuery, Sainfos};
