//! The UDP sockets of IKE.

mod ports;

pub use ports::{Family, Ports};
