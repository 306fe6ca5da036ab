//! Messages of all exchanges: their encryption, and the payloads that each may have.

pub(crate) mod codec;
pub(crate) mod protection;
pub(crate) mod rules;
