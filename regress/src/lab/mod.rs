//! The lab: Debian's User Mode Linux, booted with the host's root file system read-only, and what runs inside it.
//!
//! `boot` and `plan` are the outside, `init` is the guest's first process (this same program), the rest is
//! used by the agents that run in the guest.

mod boot;
mod console;
mod daemon;
mod etc;
mod host;
pub(crate) mod init;
mod modules;
mod ping;
mod plan;
mod program;
mod state;
mod sys;
mod wire;

pub(crate) use boot::{Boot, Status, find_program};
pub(crate) use daemon::{Daemon, PATIENCE, daemon_dir, wait_until};
pub(crate) use host::{Host, write_secret};
pub(crate) use ping::Pings;
pub(crate) use program::{Finished, Program, Stdin};
pub(crate) use state::count_esn;
pub(crate) use sys::{Usage, lo_up, socket_policies, wait_usage};
pub(crate) use wire::Link;
