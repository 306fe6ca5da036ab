//! Calls of the system and of OpenSSL that have no safe wrapper.
#![allow(unsafe_code)]

pub(crate) mod signals;
pub(crate) mod x509;
