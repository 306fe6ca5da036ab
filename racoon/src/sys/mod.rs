//! Calls of the system that have no safe wrapper.
#![allow(unsafe_code)]

pub(crate) mod signals;
