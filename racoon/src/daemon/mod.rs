//! The daemon: it binds the engine to the clock, the network, the kernel, the worker threads and the administrator.
//!
//! One thread does all of it but the jobs of the engine. Whatever comes in goes into the engine through one of its
//! functions, and then its outputs are carried out until there are none.

mod answer;
mod fair_queue;
mod inbound;
mod packet;
mod reload;
mod retry;
mod start;
mod stop;
mod traffic;
mod turn;
mod unreachables;

use ipsec_conf::racoon::Config;
use racoon_proto::crypto::{Job, JobResult};
use racoon_proto::engine::Engine;
use racoon_proto::kernel::LeftoverSa;
use racoon_proto::output::JobId;
use racoon_proto::time::Time;

use crate::admin::Server;
use crate::alarm::Alarm;
use crate::cli::DaemonOptions;
use crate::files::Files;
use crate::kernel::Door;
use crate::keys::KeyFile;
use crate::log::Log;
use crate::net::Sockets;
use crate::pid_file::PidFile;
use crate::signals::Signals;
use crate::workers::Workers;

pub use start::run;

/// Everything that the daemon has.
struct Daemon {
    engine: Engine,
    sockets: Sockets,
    inbound: inbound::Inbound,
    door: Door,
    /// SAs of an earlier racoon, until the engine is told of them.
    earlier: Vec<LeftoverSa>,
    workers: Workers<(JobId, Job), (JobId, JobResult)>,
    admin: Option<Server>,
    signals: Signals,
    alarm: Alarm,
    log: Log,
    keys: KeyFile,
    options: DaemonOptions,
    /// The configuration's name.
    file: String,
    /// Relative names in it start where the daemon was started, though it has left that directory.
    files: Files,
    config: Config,
    /// When the kernel's policies are read anew: some kernels drop messages without a word.
    reread: Time,
    retry: retry::Retry,
    counters: traffic::Counters,
    unreachables: unreachables::Unreachables,
    stopping: bool,
    /// Removed when it is dropped.
    _pid_file: Option<PidFile>,
}
