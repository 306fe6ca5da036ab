//! The daemon: it binds the engine to the clock, the network, the kernel, the worker threads and the administrator.
//!
//! One thread does all of it but the jobs of the engine. Whatever comes in goes into the engine through one of its
//! functions, and then its outputs are carried out until there are none.

mod admin_requests;
mod event_loop;
mod fair_queue;
mod packet_trace;
mod receive_queue;
mod reload;
mod send_error_limit;
mod socket_retry;
mod start;
mod stop;
mod traffic_counters;

use ipsec_conf::racoon::Config;
use racoon_proto::crypto::{Job, JobResult};
use racoon_proto::engine::Engine;
use racoon_proto::kernel::LeftoverSa;
use racoon_proto::output::JobId;
use racoon_proto::time::Time;

use crate::admin::Server;
use crate::boottime_timer::BoottimeTimer;
use crate::cli::DaemonOptions;
use crate::files::Files;
use crate::kernel::KernelInterface;
use crate::log::Log;
use crate::net::Sockets;
use crate::pid_file::PidFile;
use crate::psk_file::PskFile;
use crate::signals::Signals;
use crate::workers::Workers;

pub use start::run;

/// Everything that the daemon has.
struct Daemon {
    engine: Engine,
    sockets: Sockets,
    receive_queue: receive_queue::ReceiveQueue,
    kernel: KernelInterface,
    /// SAs of an earlier racoon, until the engine is told of them.
    earlier: Vec<LeftoverSa>,
    workers: Workers<(JobId, Job), (JobId, JobResult)>,
    admin: Option<Server>,
    signals: Signals,
    timer: BoottimeTimer,
    log: Log,
    psk_file: PskFile,
    options: DaemonOptions,
    /// The configuration's name.
    file: String,
    /// Relative names in it start where the daemon was started, though it has left that directory.
    files: Files,
    config: Config,
    /// When the kernel's policies are read anew: some kernels drop messages without a word.
    next_resync: Time,
    socket_retry: socket_retry::SocketRetry,
    traffic: traffic_counters::TrafficCounters,
    send_errors: send_error_limit::SendErrorLimit,
    stopping: bool,
    /// Removed when it is dropped.
    _pid_file: Option<PidFile>,
}
