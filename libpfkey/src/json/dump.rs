//! A kernel's databases as documents in memory.

use serde::Serialize;

use super::{Database, Keys, Listing, PolicyEntry, SaEntry, SecretBuffer};
use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::num::SaType;
use crate::request::Request;

impl Kernel {
    /// Lists the SAs of a type as a JSON document; [`SaType::Unspec`] is all types.
    ///
    /// # Errors
    /// As [`Kernel::dump`].
    pub fn dump_json(&mut self, sa_type: SaType, keys: Keys) -> Result<SecretBuffer> {
        let entries = self.list(&Request::Dump(sa_type), |message| Some(SaEntry::new(message, keys)))?;
        document(Database::Sas, keys, &entries)
    }

    /// Lists the policies as a JSON document, with those of sockets.
    ///
    /// # Errors
    /// As [`Kernel::dump`].
    pub fn policy_dump_json(&mut self) -> Result<SecretBuffer> {
        let entries = self.list(&Request::PolicyDump, |message| Some(PolicyEntry::new(message)))?;
        document(Database::Policies, Keys::Omitted, &entries)
    }
}

fn document(database: Database, keys: Keys, entries: &[impl Serialize]) -> Result<SecretBuffer> {
    let mut listing = Listing::new(SecretBuffer::default(), database, keys);
    let written = entries.iter().try_for_each(|entry| listing.entry(entry));
    written.and_then(|()| listing.finish()).map_err(|source| Error::System { call: "JSON", source })
}
