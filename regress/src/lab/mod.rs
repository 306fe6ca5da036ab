//! The lab: Debian's User Mode Linux, or namespaces of this machine's kernel, with the host's root file system read-only, and
//! what runs inside it.
//!
//! `boot`, `plan`, `kind` and `console` are the outside. `uml` starts a kernel whose first process is `init` (this same program),
//! and `namespaces` makes namespaces and is their first process; `watcher` ends both when this program is killed. The rest is used by the agents that run inside.

mod boot;
mod console;
mod daemon;
mod etc;
mod host;
pub(crate) mod init;
mod kind;
mod link;
mod modules;
pub(crate) mod namespaces;
mod ping;
mod plan;
mod program;
mod sys;
mod uml;
pub(crate) mod watcher;
mod xfrm_state;

pub(crate) use boot::{Boot, Status, find_program, this_program};
pub(crate) use daemon::{Daemon, TIMEOUT, daemon_dir, wait_until};
pub(crate) use host::{Host, write_secret};
pub(crate) use kind::{Lab, LabKind, probe_in_lab};
pub(crate) use link::Link;
pub(crate) use ping::Pings;
pub(crate) use program::{Finished, Program, Stdin};
pub(crate) use sys::{Usage, lo_up, socket_policies, wait_usage};
pub(crate) use xfrm_state::count_esn;
