//! The daemon: connects the engine to the clock, the network, the kernel, the worker threads and the control socket.
//!
//! A single thread does everything but the engine's crypto jobs. Each input is passed to one of the engine's `handle_*`
//! functions, then the engine's outputs are performed until there are no more.

mod admin_requests;
mod event_loop;
mod events;
mod fair_queue;
mod packet_trace;
mod receive_queue;
mod recovery;
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
use crate::certificates::CredentialStore;
use crate::cli::DaemonOptions;
use crate::files::Files;
use crate::kernel::KernelInterface;
use crate::log::Log;
use crate::net::Sockets;
use crate::pid_file::PidFile;
use crate::signals::Signals;
use crate::workers::Workers;

pub use start::run;

/// Threads for the engine's crypto jobs.
type JobWorkers = Workers<(JobId, Job), (JobId, JobResult)>;

/// State of the daemon.
struct Daemon {
    engine: Engine,
    sockets: Sockets,
    receive_queue: receive_queue::ReceiveQueue,
    kernel: KernelInterface,
    /// SAs that an earlier racoon left behind, until the engine has been told.
    leftover_sas: Vec<LeftoverSa>,
    workers: JobWorkers,
    admin: Option<Server>,
    signals: Signals,
    timer: BoottimeTimer,
    log: Log,
    credentials: CredentialStore,
    options: DaemonOptions,
    /// Name of the configuration file.
    file: String,
    /// Resolves relative names in it against the directory where the daemon was started, which it has left.
    files: Files,
    config: Config,
    /// Time of the next comparison with the kernel's policies and SAs; see [`event_loop::RESYNC_INTERVAL`].
    next_resync: Time,
    /// Time of the next warnings about certificates that end soon.
    next_certificates_check: Time,
    socket_retry: socket_retry::SocketRetry,
    traffic: traffic_counters::TrafficCounters,
    send_errors: send_error_limit::SendErrorLimit,
    events: events::Events,
    stopping: bool,
    /// Held because dropping it removes the file.
    _pid_file: Option<PidFile>,
}
