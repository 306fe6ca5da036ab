//! The control socket: what `racoonctl` asks, and the daemon answers.

pub mod protocol;
mod server;
mod socket;

pub use server::{Answer, Interest, Server};
pub use socket::{AdminListener, SocketError, listen};

/// Where the socket is if the configuration names no path.
pub const DEFAULT_PATH: &str = "/var/run/racoon/racoon.sock";
