//! The control socket, by which `racoonctl` talks to the daemon.

pub mod protocol;
mod server;
mod socket;

pub use server::{Interest, Reply, Server};
pub use socket::{AdminListener, SocketError, listen};

/// Default path of the socket.
pub const DEFAULT_PATH: &str = "/var/run/racoon/racoon.sock";
