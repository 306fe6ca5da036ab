//! From the configuration as it is written to the engine's own words.

mod identity;
mod number;
mod remote;
mod sainfo;

use std::path::Path;

use ipsec_conf::racoon::{Config, Place};
use racoon_proto::identity::Name;
use racoon_proto::num::AuthMethod;
use racoon_proto::select::{Remotes, Sainfos};
use thiserror::Error;

/// What the engine is given to choose from.
#[derive(Debug, Default)]
pub struct Blocks {
    /// `remote` sections.
    pub remotes: Remotes,
    /// `sainfo` sections.
    pub sainfos: Sainfos,
}

/// What the text of a configuration does not say.
pub trait Environment {
    /// The index of a network interface, if there is one of that name.
    fn interface(&self, name: &str) -> Option<u32>;

    /// What a certificate says; none if it has not been read.
    fn certificate(&self, file: &Path) -> Option<CertificateFacts>;
}

/// What a certificate says, as far as it decides what is proposed and chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Who issued it.
    pub issuer: Name,
    /// How its key signs, if that is with ECDSA: by its curve (RFC 4754).
    pub ecdsa: Option<AuthMethod>,
}

/// Environment of which only the interfaces are known: certificates are not read.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCertificates;

impl Environment for NoCertificates {
    fn interface(&self, name: &str) -> Option<u32> {
        nix::net::if_::if_nametoindex(name).ok()
    }

    fn certificate(&self, _: &Path) -> Option<CertificateFacts> {
        None
    }
}

/// Something that is well written and yet cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{place}: {message}")]
pub struct ConfigError {
    /// Where the section begins.
    pub place: Place,
    /// What is wrong.
    pub message: String,
}

/// Translates a configuration.
///
/// # Errors
/// Everything that cannot be, in the order of the file.
pub fn translate(config: &Config, environment: &dyn Environment) -> Result<Blocks, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let remotes = collect(config.remotes.iter().map(|one| remote::translate(one, environment)), &mut errors);
    let sainfos = collect(config.sainfos.iter().map(sainfo::translate), &mut errors);
    if errors.is_empty() {
        Ok(Blocks { remotes: Remotes::new(remotes), sainfos: Sainfos::new(sainfos) })
    } else {
        Err(errors)
    }
}

fn collect<T>(results: impl Iterator<Item = Result<T, ConfigError>>, errors: &mut Vec<ConfigError>) -> Vec<T> {
    results.filter_map(|result| result.map_err(|error| errors.push(error)).ok()).collect()
}

#[cfg(test)]
mod tests;
