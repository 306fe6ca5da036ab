//! What all exchanges have in common: how a message is protected, and which payloads it may have.

pub(crate) mod codec;
pub(crate) mod protection;
pub(crate) mod rules;
