//! From the command line to a daemon at work.

use std::fs::File;
use std::io::{self, Write as _};
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use ipsec_conf::racoon::{AdminSocket, Config, Place, Problem, Severity, load};
use libpfkey::Dialect;
use libpfkey::backend::Choice;
use libpfkey::state_file;
use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;
use racoon_proto::crypto::{self, OpenSslRandom};
use racoon_proto::engine::Engine;
use racoon_proto::kernel::LeftoverSa;
use racoon_proto::settings::Settings;
use thiserror::Error;

use super::Daemon;
use super::inbound::Inbound;
use super::retry::Retry;
use super::traffic::Counters;
use super::turn::REREAD;
use super::unreachables::Unreachables;
use crate::admin::{self, Server};
use crate::alarm::Alarm;
use crate::background::{self, Starting};
use crate::backup::{Backup, Kept};
use crate::cli::{DaemonOptions, VERSION_LINE};
use crate::config::{Unread, Untranslatable};
use crate::files::Files;
use crate::kernel::{Abilities, Door, LeftOver, Remark, choice_of};
use crate::kernel_state::StateLog;
use crate::keys::KeyFile;
use crate::log::{self, Log};
use crate::net::{self, Bypass, Sockets};
use crate::output::reason;
use crate::pid_file::PidFile;
use crate::signals::Signals;
use crate::systemd;
use crate::waiting;
use crate::workers::Workers;
use crate::{clock, settings};

/// Jobs that may wait for a thread, of each urgency: as many as a gateway has peers that all begin at once.
const JOBS_MAX: usize = 1 << 14;

/// Why the daemon cannot start, in a line.
#[derive(Debug, Error)]
enum Failure {
    #[error("must be invoked by root")]
    NotRoot,
    /// The lines before say why.
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

/// What to do about a kernel that lacks the interface to it. Empty: it has it, or is another one than Linux.
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

/// The daemon, from its start to its end.
pub fn run(file: &str, options: DaemonOptions) -> ExitCode {
    umask(Mode::from_bits_truncate(0o077));
    let (file, options) = if options.foreground { (file.to_owned(), options) } else { rooted(file, options) };
    let log = match Log::open(&options.log()) {
        Ok(log) => log,
        Err(error) => {
            let name = options.log_file.as_deref().unwrap_or(Path::new("log")).display();
            let _ = writeln!(io::stderr(), "racoon: {name}: {}", reason(&error));
            return ExitCode::FAILURE;
        }
    };
    log.hear_panics();
    let starting = if options.foreground {
        let _ = writeln!(io::stdout(), "Foreground mode.");
        Starting::in_foreground()
    } else {
        // Before anything is opened: what is opened belongs to the process that stays.
        match background::enter() {
            Ok(starting) => starting,
            Err(error) => {
                let _ = writeln!(io::stderr(), "racoon: cannot go to the background: {}", reason(&error));
                return ExitCode::FAILURE;
            }
        }
    };
    log.remember_errors();
    let started = start(file, options, log.clone());
    let errors = log.take_errors();
    match started {
        Ok(daemon) => work(daemon, starting, &log),
        Err(failure) => {
            log.error(&failure);
            let reasons = if matches!(failure, Failure::Configuration) { errors } else { Vec::new() };
            let reasons = reasons.iter().map(|line| format!("{line}\n")).collect::<String>();
            starting.failed(&format!("{reasons}racoon: {failure}\n"));
            ExitCode::FAILURE
        }
    }
}

fn work(daemon: Daemon, starting: Starting, log: &Log) -> ExitCode {
    if let Err(error) = starting.ready() {
        log.error(format_args!("cannot go to the background: {}", reason(&error)));
        return ExitCode::FAILURE;
    }
    if let Err(error) = systemd::notify(systemd::State::Ready) {
        log.warning(format_args!("the service manager cannot be told that racoon is ready: {}", reason(&error)));
    }
    daemon.run()
}

/// Names that are good in the directory `/`, too.
fn rooted(file: &str, mut options: DaemonOptions) -> (String, DaemonOptions) {
    let absolute = std::path::absolute(file).ok().and_then(|path| path.to_str().map(str::to_owned));
    options.log_file = options.log_file.map(|path| std::path::absolute(&path).unwrap_or(path));
    (absolute.unwrap_or_else(|| file.to_owned()), options)
}

/// In this order: what needs no rights first, what others see last.
fn start(file: String, options: DaemonOptions, log: Log) -> Result<Daemon, Failure> {
    log.info(VERSION_LINE);
    log.info(format_args!("linked with {}", crypto::version()));
    crypto::initialise().into_iter().for_each(|warning| log.warning(warning));
    // 1. Signals: from here on none is lost.
    let signals = Signals::watch().map_err(|error| Failure::System("signals", error))?;
    let alarm = Alarm::new().map_err(|error| Failure::System("timer", error))?;
    // 2. The configuration says which kernel it is for.
    let files = Files::from_here();
    let config = read(&file, &files, &log).ok_or_else(|| unread(&file))?;
    log.set_level(log::configured(config.log));
    say_what_is_not_done(&config, &log);
    // 3. The kernel, and whether it can do what is configured.
    let choice = choice_of(&config.backend)?;
    let elsewhere = matches!(choice, Choice::Memory | Choice::Socket(_));
    if !geteuid().is_root() && !elsewhere {
        return Err(Failure::NotRoot);
    }
    let dialect = Dialect::from_environment()?;
    let mut door = Door::open(&choice, dialect, config.pfkey_buffer, remarks(&log))?;
    let settings = settings_of(&config, &options, door.abilities(), &log).ok_or(Failure::Configuration)?;
    // 4. What others see. Whoever has the control socket, or the state file, is the only one.
    let admin = admin_socket(&config.listen.adminsock, &log)?;
    if !elsewhere {
        record(&mut door, &log);
    }
    let backup = open_backup(&config, &options, &log)?;
    let mut earlier = remove_left_over(&mut door, backup.as_ref(), &log);
    earlier.extend(take_back(&mut door, backup, &options, &log)?);
    let bypass = if elsewhere { Bypass::Wished } else { Bypass::Required };
    let sockets = net::Options { listen: config.listen.clone(), ports: options.ports, family: options.family, bypass };
    let sockets = Sockets::open(sockets, log.clone())?;
    let pid_file = PidFile::create(config.paths.pidfile.as_deref());
    let pid_file = pid_file.map_err(|error| log.error(format_args!("cannot open pid file: {error}"))).ok();
    // 5. Threads, last: there is no fork after them.
    let keys = KeyFile::of(files.clone());
    keys.set_path(config.paths.pre_shared_key.as_deref().map(Into::into));
    let table = keys.clone();
    let mut workers =
        Workers::new(threads(&config), JOBS_MAX, move |(id, job): (_, crypto::Job)| (id, job.perform(&table)))
            .map_err(|error| Failure::System("worker threads", error))?;
    workers.start().map_err(|error| Failure::System("worker threads", error))?;
    let now = clock::now();
    let mut counters = Counters::default();
    counters.configure(&settings, now);
    Ok(Daemon {
        engine: Engine::new(settings, Box::new(OpenSslRandom), now),
        sockets,
        inbound: Inbound::default(),
        door,
        earlier,
        workers,
        admin,
        signals,
        alarm,
        log,
        keys,
        options,
        file,
        files,
        config,
        reread: now + REREAD,
        retry: Retry::default(),
        counters,
        unreachables: Unreachables::default(),
        stopping: false,
        _pid_file: pid_file,
    })
}

/// Why a configuration is not there: who is not root need not be allowed to read it.
fn unread(file: &str) -> Failure {
    let forbidden = || File::open(file).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
    if !geteuid().is_root() && forbidden() { Failure::NotRoot } else { Failure::Configuration }
}

/// Reads a configuration and logs what is wrong with it; none if it cannot be used.
pub(super) fn read(file: &str, files: &Files, log: &Log) -> Option<Config> {
    log.info(format_args!("Reading configuration from \"{file}\""));
    let load = load(file, files);
    load.problems.iter().for_each(|problem| complain(problem, log));
    load.config
}

fn complain(problem: &Problem, log: &Log) {
    let text = problem.to_string();
    match problem.severity {
        Severity::Error => text.lines().for_each(|line| log.error(line)),
        Severity::Warning => text.lines().for_each(|line| log.warning(line)),
    }
}

/// The engine's settings, and whether the kernel can do what they ask for; none, with the reasons logged, if not.
pub(super) fn settings_of(
    config: &Config,
    options: &DaemonOptions,
    abilities: &Abilities,
    log: &Log,
) -> Option<Settings> {
    let settings = match settings::translate(config, options, &Unread) {
        Ok(settings) => Settings { larval_limit: abilities.larval_limit(), ..settings },
        Err(errors) => {
            errors.iter().for_each(|error: &Untranslatable| log.error(error));
            return None;
        }
    };
    let mut complete = true;
    for (sainfo, place) in settings.sainfos.iter().map(|(_, sainfo)| sainfo).zip(places(config)) {
        for missing in abilities.missing(sainfo) {
            log.error(format_args!("{place}: {missing}"));
            complete = false;
        }
    }
    complete.then_some(settings)
}

/// Where the sainfos are, in the order in which they are looked at.
fn places(config: &Config) -> impl Iterator<Item = &Place> {
    config.sainfos.iter().map(|sainfo| &sainfo.place)
}

/// Lists from now on what racoon has in the kernel. Without a state file racoon works as well, but what it has in the kernel
/// stays there if it crashes.
fn record(door: &mut Door, log: &Log) {
    let opened = state_file::kernel_id().and_then(|id| {
        let path = state_file::path(&id);
        StateLog::open(&path, id, &mut |remark| log.warning(remark))
    });
    match opened {
        Ok(state) => door.record_in(state),
        Err(error) => log.error(format_args!(
            "no state file: {error}; if racoon crashes, its SAs and policies are left in the kernel"
        )),
    }
}

/// Removes what an earlier racoon left in the kernel when it crashed, but for SAs that are kept. Returns the SAs.
fn remove_left_over(door: &mut Door, backup: Option<&(Backup, Vec<Kept>)>, log: &Log) -> Vec<LeftoverSa> {
    let kept = backup.map_or(&[][..], |(_, kept)| kept);
    match door.remove_left_over(kept) {
        Ok(LeftOver { policies, sas, .. }) => {
            if policies > 0 || !sas.is_empty() {
                let count = sas.len();
                log.info(format_args!(
                    "removed what an earlier racoon left in the kernel: policies: {policies}, SAs: {count}"
                ));
            }
            sas
        }
        Err(error) => {
            log.error(format_args!("what an earlier racoon left in the kernel is not removed: {error}"));
            Vec::new()
        }
    }
}

/// The file of `path backupsa`, and the SAs that were kept in it; none of these without `-B`.
fn open_backup(config: &Config, options: &DaemonOptions, log: &Log) -> Result<Option<(Backup, Vec<Kept>)>, Failure> {
    let Some(path) = config.paths.backupsa.as_deref() else {
        return if options.backup { Err(Failure::Backup("no `path backupsa' is configured".into())) } else { Ok(None) };
    };
    let failed = |error: io::Error| Failure::Backup(error.to_string());
    let mut backup = match Backup::open(path) {
        Ok(backup) => backup,
        Err(error) if options.backup => return Err(failed(error)),
        Err(error) => {
            log.error(format_args!("SAs are not kept: {error}"));
            return Ok(None);
        }
    };
    let mut kept = Vec::new();
    if options.backup {
        let strange;
        (kept, strange) = backup.take().map_err(failed)?;
        if strange > 0 {
            log.warning(format_args!("{}: {strange} lines are not of this version's, and left out", path.display()));
        }
    }
    Ok(Some((backup, kept)))
}

/// SAs are kept from now on. Returns those that were kept, and whether the kernel still has them.
fn take_back(
    door: &mut Door,
    backup: Option<(Backup, Vec<Kept>)>,
    options: &DaemonOptions,
    log: &Log,
) -> Result<Vec<LeftoverSa>, Failure> {
    let Some((backup, kept)) = backup else { return Ok(Vec::new()) };
    door.keep(backup);
    let sas = door.take_back(&kept).map_err(|error| Failure::Backup(error.to_string()))?;
    if options.backup {
        let there = sas.iter().filter(|sa| sa.in_kernel).count();
        log.info(format_args!("{there} of {} kept SAs are in the kernel; all are renewed", kept.len()));
    }
    Ok(sas)
}

/// Warns of what is asked for and not done.
pub(super) fn say_what_is_not_done(config: &Config, log: &Log) {
    waiting::warning(config).lines().for_each(|line| log.warning(line));
}

/// What the kernel's door has to say, in the log.
fn remarks(log: &Log) -> crate::kernel::Log {
    let log = log.clone();
    Box::new(move |remark| match remark {
        Remark::Warning(text) => log.warning(text),
        Remark::Debug(text) | Remark::Request(text) => log.debug(text),
    })
}

fn admin_socket(configured: &AdminSocket, log: &Log) -> Result<Option<Server>, admin::SocketError> {
    let (path, access) = match configured {
        AdminSocket::Disabled => return Ok(None),
        AdminSocket::Default => (Path::new(admin::DEFAULT_PATH), None),
        AdminSocket::Path { path, access, .. } => (&**path, access.as_ref()),
    };
    let listener = admin::listen(path, access)?;
    if let (Some(barrier), Some(access)) = (listener.barrier(), access) {
        log.warning(format_args!(
            "adminsock: group {} cannot reach {}: it has no permission to search {}",
            access.group,
            path.display(),
            barrier.display()
        ));
    }
    Ok(Some(Server::new(listener)))
}

/// As configured, or as many as there are processors.
fn threads(config: &Config) -> NonZeroUsize {
    let configured = config.threads.and_then(|threads| NonZeroUsize::new(usize::try_from(threads).unwrap_or(1)));
    configured.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}
