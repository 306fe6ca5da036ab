//! Startup of the daemon.

use std::fs::File;
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use ipsec_conf::racoon::{AdminSocket, Config, Place, Problem, Severity, load};
use libpfkey::Dialect;
use libpfkey::backend::BackendKind;
use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;
use racoon_proto::crypto::{self, OpenSslRandom};
use racoon_proto::engine::Engine;
use racoon_proto::output::JobId;
use racoon_proto::settings::Settings;
use thiserror::Error;

use super::event_loop::{CERTIFICATES_INTERVAL, RESYNC_INTERVAL};
use super::events::Events;
use super::receive_queue::ReceiveQueue;
use super::send_error_limit::SendErrorLimit;
use super::socket_retry::SocketRetry;
use super::traffic_counters::TrafficCounters;
use super::{Daemon, JobWorkers, recovery};
use crate::admin::{self, Server};
use crate::boottime_timer::BoottimeTimer;
use crate::certificates::{CredentialStore, Report, Snapshot};
use crate::cli::{DaemonOptions, VERSION_LINE};
use crate::config::ConfigError;
use crate::daemonize::{self, StartupReport};
use crate::files::Files;
use crate::kernel::{Capabilities, KernelInterface, LogRecord, backend_of};
use crate::log::{self, Log};
use crate::net::{self, Bypass, Sockets};
use crate::output::reason;
use crate::pid_file::PidFile;
use crate::psk_file::PskFile;
use crate::signals::Signals;
use crate::systemd;
use crate::unimplemented;
use crate::workers::Workers;
use crate::{clock, settings};

/// Capacity of each job queue. All peers of a gateway may start at once, as after a power failure.
const JOBS_MAX: usize = 1 << 14;

/// Error that prevents the start.
#[derive(Debug, Error)]
enum Failure {
    #[error("must be invoked by root")]
    NotRoot,
    /// The reasons have been logged.
    #[error("failed to parse configuration file.")]
    Configuration,
    #[error("kernel: {error}{hint}", error = .0, hint = missing_interface(.0))]
    Kernel(#[from] libpfkey::Error),
    #[error("control socket: {0}")]
    Admin(#[from] admin::SocketError),
    #[error("{0}")]
    Sockets(#[from] net::Error),
    #[error("-B: {0}")]
    Backup(String),
    #[error("{0}: {text}", text = reason(.1))]
    System(&'static str, io::Error),
}

/// Returns the remedy if the kernel lacks the configured interface; empty on systems other than Linux.
fn missing_interface(error: &libpfkey::Error) -> &'static str {
    let libpfkey::Error::System { source, .. } = error else { return "" };
    match source.raw_os_error() {
        Some(libc::EAFNOSUPPORT) if cfg!(target_os = "linux") => "; load the module af_key, or use `backend xfrm`",
        Some(libc::EPROTONOSUPPORT) if cfg!(target_os = "linux") => {
            "; load the module xfrm_user, or use `backend pfkey`"
        }
        _ => "",
    }
}

/// Runs the daemon.
pub fn run(file: &str, options: DaemonOptions) -> ExitCode {
    // Everything that the daemon creates is private unless a mode is set explicitly.
    umask(Mode::from_bits_truncate(0o077));
    let (file, options) =
        if options.foreground { (file.to_owned(), options) } else { with_absolute_paths(file, options) };
    let log = match Log::open(&options.log()) {
        Ok(log) => log,
        Err(error) => {
            let name = options.log_file.as_deref().unwrap_or(Path::new("log")).display();
            let _ = writeln!(io::stderr(), "racoon: {name}: {}", reason(&error));
            return ExitCode::FAILURE;
        }
    };
    log.log_panics();
    let starting = if options.foreground {
        let _ = writeln!(io::stdout(), "Foreground mode.");
        StartupReport::in_foreground()
    } else {
        // Fork before anything is opened: descriptors, locks and threads belong to the child.
        match daemonize::enter() {
            Ok(starting) => starting,
            Err(error) => {
                let _ = writeln!(io::stderr(), "racoon: cannot run in the background: {}", reason(&error));
                return ExitCode::FAILURE;
            }
        }
    };
    log.remember_errors();
    let started = start(file, options, log.clone());
    let errors = log.take_errors();
    match started {
        Ok(daemon) => run_started(daemon, starting, &log),
        Err(failure) => {
            log.error(&failure);
            // The user may not see the log, and the failure itself does not say what is wrong with the file.
            let reasons = if matches!(failure, Failure::Configuration) { errors } else { Vec::new() };
            let reasons = reasons.iter().map(|line| format!("{line}\n")).collect::<String>();
            starting.failed(&format!("{reasons}racoon: {failure}\n"));
            ExitCode::FAILURE
        }
    }
}

fn run_started(daemon: Daemon, starting: StartupReport, log: &Log) -> ExitCode {
    if let Err(error) = starting.ready() {
        log.error(format_args!("cannot run in the background: {}", reason(&error)));
        return ExitCode::FAILURE;
    }
    if let Err(error) = systemd::notify(systemd::State::Ready) {
        log.warning(format_args!("cannot notify the service manager: {}", reason(&error)));
    }
    daemon.run()
}

/// Makes the names on the command line absolute: in the background the daemon changes to `/`.
fn with_absolute_paths(file: &str, mut options: DaemonOptions) -> (String, DaemonOptions) {
    let absolute = std::path::absolute(file).ok().and_then(|path| path.to_str().map(str::to_owned));
    options.log_file = options.log_file.map(|path| std::path::absolute(&path).unwrap_or(path));
    (absolute.unwrap_or_else(|| file.to_owned()), options)
}

/// Opens everything. What fails without privileges comes first, and what other processes notice comes last.
fn start(file: String, options: DaemonOptions, log: Log) -> Result<Daemon, Failure> {
    log.info(VERSION_LINE);
    log.info(format_args!("linked with {}", crypto::version()));
    crypto::initialise().into_iter().for_each(|warning| log.warning(warning));
    // 1. Signals: none is lost from here on.
    let signals = Signals::watch().map_err(|error| Failure::System("signals", error))?;
    let timer = BoottimeTimer::new().map_err(|error| Failure::System("timer", error))?;
    // 2. The configuration: it names the kernel backend.
    let files = Files::relative_to_here();
    let config = read(&file, &files, &log).ok_or_else(|| unreadable(&file))?;
    log.set_level(log::configured(config.log));
    warn_unimplemented(&config, &log);
    // 3. The kernel, and whether it supports what is configured.
    let backend = backend_of(&config.backend)?;
    let is_remote_kernel = matches!(backend, BackendKind::Memory | BackendKind::Socket(_));
    let mut kernel = open_kernel(&backend, is_remote_kernel, &config, &log)?;
    let snapshot = snapshot_of(&config, &files, &log).ok_or(Failure::Configuration)?;
    let settings =
        settings_of(&config, &options, kernel.capabilities(), &snapshot, &log).ok_or(Failure::Configuration)?;
    // 4. Control socket, state file, UDP ports: each excludes a second racoon.
    let admin = admin_socket(&config.listen.adminsock, &log)?;
    // The state file is about this host's kernel only.
    let leftover_sas =
        recovery::recover(&mut kernel, !is_remote_kernel, &config, &options, &log).map_err(Failure::Backup)?;
    let sockets = open_sockets(&config, &options, is_remote_kernel, &log)?;
    let pid_file = create_pid_file(&config, &log);
    // 5. Worker threads last: there is no fork after them.
    warn_ending_certificates(&snapshot, &log);
    let credentials = CredentialStore::new(psk_file_of(&config, &files), snapshot);
    let workers = start_workers(&config, &credentials).map_err(|error| Failure::System("worker threads", error))?;
    let now = clock::now();
    let mut counters = TrafficCounters::default();
    counters.configure(&settings, now);
    Ok(Daemon {
        engine: Engine::new(settings, Box::new(OpenSslRandom), now),
        sockets,
        receive_queue: ReceiveQueue::default(),
        kernel,
        leftover_sas,
        workers,
        admin,
        signals,
        timer,
        log,
        credentials,
        options,
        file,
        files,
        config,
        next_resync: now + RESYNC_INTERVAL,
        next_certificates_check: now + CERTIFICATES_INTERVAL,
        socket_retry: SocketRetry::default(),
        traffic: counters,
        send_errors: SendErrorLimit::default(),
        events: Events::default(),
        stopping: false,
        _pid_file: pid_file,
    })
}

/// Opens the UDP ports. A kernel of another host need not know them.
fn open_sockets(
    config: &Config,
    options: &DaemonOptions,
    is_remote_kernel: bool,
    log: &Log,
) -> Result<Sockets, net::Error> {
    let bypass = if is_remote_kernel { Bypass::BestEffort } else { Bypass::Required };
    let sockets =
        net::SocketOptions { listen: config.listen.clone(), ports: options.ports, family: options.family, bypass };
    Sockets::open(sockets, log.clone())
}

/// Returns the table of pre-shared keys of a configuration.
fn psk_file_of(config: &Config, files: &Files) -> PskFile {
    let psk_file = PskFile::of(files.clone());
    psk_file.set_path(config.paths.pre_shared_key.as_deref().map(Into::into));
    psk_file
}

/// Creates the pid file. If that fails, the error is logged: as in the C racoon, the daemon works without the file.
fn create_pid_file(config: &Config, log: &Log) -> Option<PidFile> {
    let pid_file = PidFile::create(config.paths.pidfile.as_deref());
    pid_file.map_err(|error| log.error(format_args!("cannot open pid file: {error}"))).ok()
}

/// Connects to the kernel, which needs root unless it is in memory or behind a socket.
fn open_kernel(backend: &BackendKind, is_remote: bool, config: &Config, log: &Log) -> Result<KernelInterface, Failure> {
    // Without root a netlink socket can be opened, and only the first request would fail.
    if !geteuid().is_root() && !is_remote {
        return Err(Failure::NotRoot);
    }
    let dialect = Dialect::from_environment()?;
    Ok(KernelInterface::open(backend, dialect, config.pfkey_buffer, kernel_log(log))?)
}

/// Returns the error for an unreadable configuration: for other users than root the file may simply be protected.
fn unreadable(file: &str) -> Failure {
    let forbidden = || File::open(file).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
    if !geteuid().is_root() && forbidden() { Failure::NotRoot } else { Failure::Configuration }
}

/// Reads a configuration and logs its problems; `None` if it is unusable.
pub(super) fn read(file: &str, files: &Files, log: &Log) -> Option<Config> {
    log.info(format_args!("Reading configuration from \"{file}\""));
    let load = load(file, files);
    load.problems.iter().for_each(|problem| log_problem(problem, log));
    load.config
}

fn log_problem(problem: &Problem, log: &Log) {
    let text = problem.to_string();
    match problem.severity {
        Severity::Error => text.lines().for_each(|line| log.error(line)),
        Severity::Warning => without_level(&text).lines().for_each(|line| log.warning(line)),
    }
}

/// Removes the level from a diagnostic for the terminal: a line of the log begins with its level anyway.
fn without_level(diagnostic: &str) -> String {
    diagnostic.replacen(": warning:", ":", 1)
}

/// Returns the engine's settings, or `None` if they cannot be translated or the kernel does not support them. The
/// reasons are logged.
pub(super) fn settings_of(
    config: &Config,
    options: &DaemonOptions,
    capabilities: &Capabilities,
    snapshot: &Snapshot,
    log: &Log,
) -> Option<Settings> {
    let settings = match settings::translate(config, options, snapshot) {
        Ok(settings) => Settings { larval_limit: capabilities.larval_limit(), ..settings },
        Err(errors) => {
            errors.iter().for_each(|error: &ConfigError| log.error(error));
            return None;
        }
    };
    let mut complete = true;
    for (sainfo, place) in settings.sainfos.iter().map(|(_, sainfo)| sainfo).zip(places(config)) {
        for missing in capabilities.missing(sainfo) {
            log.error(format_args!("{place}: {missing}"));
            complete = false;
        }
    }
    complete.then_some(settings)
}

/// Reads the certificates and keys of a configuration, or returns `None` if one cannot be used. Problems are logged.
pub(super) fn snapshot_of(config: &Config, files: &Files, log: &Log) -> Option<Snapshot> {
    let later = log.clone();
    match Snapshot::load(config, files, &(Arc::new(move |fault| later.error(fault)) as Report)) {
        Ok((snapshot, warnings)) => {
            warnings.iter().for_each(|warning| log.warning(warning));
            Some(snapshot)
        }
        Err(errors) => {
            errors.iter().for_each(|error| log.error(error));
            None
        }
    }
}

/// Logs which certificates end soon.
pub(super) fn warn_ending_certificates(snapshot: &Snapshot, log: &Log) {
    snapshot.ending_soon().iter().for_each(|warning| log.warning(warning));
}

/// Returns where the sainfos are configured, in the order of [`Settings::sainfos`].
fn places(config: &Config) -> impl Iterator<Item = &Place> {
    config.sainfos.iter().map(|sainfo| &sainfo.place)
}

/// Logs a warning about directives that have no effect yet.
pub(super) fn warn_unimplemented(config: &Config, log: &Log) {
    without_level(&unimplemented::warning(config)).lines().for_each(|line| log.warning(line));
}

/// Returns a sink that writes the kernel interface's records to the log.
fn kernel_log(log: &Log) -> crate::kernel::LogSink {
    let log = log.clone();
    Box::new(move |record| match record {
        LogRecord::Warning(text) => log.warning(text),
        LogRecord::Debug(text) | LogRecord::Request(text) => log.debug(text),
    })
}

fn admin_socket(configured: &AdminSocket, log: &Log) -> Result<Option<Server>, admin::SocketError> {
    let (path, access) = match configured {
        AdminSocket::Disabled => return Ok(None),
        AdminSocket::Default => (Path::new(admin::DEFAULT_PATH), None),
        AdminSocket::Path { path, access, .. } => (&**path, access.as_ref()),
    };
    let listener = admin::listen(path, access)?;
    if let (Some(unsearchable_directory), Some(access)) = (listener.unsearchable_directory(), access) {
        log.warning(format_args!(
            "adminsock: group {} cannot reach {}: it has no permission to search {}",
            access.group,
            path.display(),
            unsearchable_directory.display()
        ));
    }
    Ok(Some(Server::new(listener)))
}

fn start_workers(config: &Config, credentials: &CredentialStore) -> io::Result<JobWorkers> {
    let credentials = credentials.clone();
    let perform = move |(id, job): (JobId, crypto::Job)| (id, job.perform(&credentials));
    let mut workers = Workers::new(threads(config), JOBS_MAX, perform)?;
    workers.start()?;
    Ok(workers)
}

/// Returns the configured number of worker threads, by default one per processor.
fn threads(config: &Config) -> NonZeroUsize {
    let configured = config.threads.and_then(|threads| NonZeroUsize::new(usize::try_from(threads).unwrap_or(1)));
    configured.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}
