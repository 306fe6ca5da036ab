//! Translation of the configuration to the engine's types.

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

/// Sections that the engine selects from.
#[derive(Debug, Default)]
pub struct Sections {
    /// `remote` sections.
    pub remotes: Remotes,
    /// `sainfo` sections.
    pub sainfos: Sainfos,
}

/// Information that a configuration refers to but does not contain.
pub trait Environment {
    /// Returns the index of a network interface.
    fn interface(&self, name: &str) -> Option<u32>;

    /// Returns the contents of a certificate, if it has been read.
    fn certificate(&self, file: &Path) -> Option<CertificateFacts>;

    /// Returns the DER of the subjects of the certificates in a file of authorities (`ca_type x509`), as far as it has been read.
    fn authorities(&self, _file: &Path) -> Vec<Vec<u8>> {
        Vec::new()
    }
}

/// Contents of a certificate that decide what is proposed and selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// The issuer.
    pub issuer: Name,
    /// The issuer in DER, as in the certificate.
    pub issuer_der: Vec<u8>,
    /// The subject in DER, as in the certificate.
    pub subject_der: Vec<u8>,
    /// Signature method of an ECDSA key, which depends on its curve (RFC 4754).
    pub ecdsa: Option<AuthMethod>,
}

/// Error in a syntactically correct section.
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
/// All errors, in the order of the file.
pub fn translate(config: &Config, environment: &dyn Environment) -> Result<Sections, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let remotes = collect(config.remotes.iter().map(|one| remote::translate(one, environment)), &mut errors);
    let sainfos = collect(config.sainfos.iter().map(sainfo::translate), &mut errors);
    if errors.is_empty() {
        Ok(Sections { remotes: Remotes::new(remotes), sainfos: Sainfos::new(sainfos) })
    } else {
        Err(errors)
    }
}

fn collect<T>(results: impl Iterator<Item = Result<T, ConfigError>>, errors: &mut Vec<ConfigError>) -> Vec<T> {
    results.filter_map(|result| result.map_err(|error| errors.push(error)).ok()).collect()
}

#[cfg(test)]
mod tests;
