//! The lab: Debian's User Mode Linux, or namespaces on the kernel of this machine. The machine's file system is
//! read-only in both.
//!
//! `boot`, `plan`, `kind` and `console` are the outer side. `uml` starts a kernel whose first process is `init`, a
//! command of this program. `namespaces` creates namespaces and is their first process. `watcher` ends both if this
//! program is killed. The other modules are for code that runs inside.

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
pub(crate) use console::without_number;
pub(crate) use daemon::{Daemon, TIMEOUT, daemon_dir, wait_until};
pub(crate) use host::{Host, write_secret};
pub(crate) use kind::{Lab, LabKind, probe_in_lab};
pub(crate) use link::Link;
pub(crate) use ping::Pings;
pub(crate) use program::{Finished, Program, Stdin};
pub(crate) use sys::{Usage, lo_up, socket_policies, wait_usage};
pub(crate) use xfrm_state::count_esn;
