//! The exchanges that negotiate phase 1.

pub(crate) mod main;
