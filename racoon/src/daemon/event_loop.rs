//! The event loop: wait, feed what arrived to the engine, perform the engine's outputs.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::time::Duration;

use racoon_proto::crypto::JobResult;
use racoon_proto::engine::Control;
use racoon_proto::output::{Level, LogLine, Output, Transmit};
use racoon_proto::path::Path;
use racoon_proto::time::Time;
use racoon_proto::undelivered::Undelivered;
use thiserror::Error;

use super::Daemon;
use super::packet_trace::{self, Direction};
use super::receive_queue::Message;
use super::start::warn_ending_certificates;
use crate::admin::{Interest, Server};
use crate::clock;
use crate::net::{DisplayAddr, Input, Received, Sockets, local_error};
use crate::output::reason;
use crate::poller::{self, Source};
use crate::signals::Signal;

/// Interval at which the kernel's policies and SAs are compared with our records, in case events were lost.
pub(super) const RESYNC_INTERVAL: Duration = Duration::from_secs(300);
/// Interval at which certificates that end soon are reported again.
pub(super) const CERTIFICATES_INTERVAL: Duration = Duration::from_secs(24 * 3600);
/// Datagrams read from one socket in a round. Reading is cheap; [`MESSAGES_MAX`] bounds the work.
const READ_MAX: usize = 512;
/// Messages passed to the engine in a round.
const MESSAGES_MAX: usize = 64;

/// Error that ends the daemon.
#[derive(Debug, Error)]
enum FatalError {
    /// The connection to the kernel broke.
    #[error("kernel: {0}")]
    Kernel(#[from] libpfkey::Error),
    #[error("poll: {}", reason(.0))]
    Poll(io::Error),
    #[error("timer: {}", reason(.0))]
    Timer(io::Error),
}

/// Source of a readiness event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EventSource {
    Timer,
    Signals,
    Kernel,
    Admin,
    Workers,
    Addresses,
    Socket(SocketAddr),
}

impl Daemon {
    /// Runs until the daemon is told to stop.
    pub(super) fn run(mut self) -> ExitCode {
        // The addresses first: the engine ignores acquires from others.
        self.sockets_changed(Ok(()));
        // Reports the policies that were present when the interface was opened.
        let mut result = self.handle_kernel_events();
        if !self.leftover_sas.is_empty() {
            let leftover_sas = std::mem::take(&mut self.leftover_sas);
            // After the policies, because only the SAs of a policy are renewed. Never refused.
            let _ = self.engine.handle_control(clock::now(), Control::LeftoverSas(leftover_sas));
            self.process_outputs();
        }
        while result.is_ok() && !self.stopping {
            result = self.run_once();
        }
        match result {
            Ok(()) => self.stop(ExitCode::SUCCESS),
            Err(error) => {
                self.log.error(error);
                self.stop(ExitCode::FAILURE)
            }
        }
    }

    fn run_once(&mut self) -> Result<(), FatalError> {
        let due = self.due();
        // Both: the timer counts suspended time, and the timeout serves systems without such a timer.
        self.timer.set(due).map_err(FatalError::Timer)?;
        let ready = poller::wait(&self.sources(), Some(due.since(clock::now()))).map_err(FatalError::Poll)?;
        for ready in ready {
            match ready.token {
                // Expired timers are handled below, after all other sources.
                EventSource::Timer => {}
                EventSource::Signals => self.handle_signals(),
                EventSource::Kernel => self.handle_kernel_events()?,
                EventSource::Admin => self.serve_admin(),
                EventSource::Workers => self.handle_job_results(),
                EventSource::Addresses => {
                    let changed = self.sockets.addresses_changed();
                    self.sockets_changed(changed);
                }
                EventSource::Socket(socket) => self.receive_datagrams(socket),
            }
        }
        self.process_messages();
        let now = clock::now();
        if now >= self.next_resync {
            self.next_resync = now + RESYNC_INTERVAL;
            self.resync_kernel();
        }
        if now >= self.next_certificates_check {
            self.next_certificates_check = now + CERTIFICATES_INTERVAL;
            warn_ending_certificates(&self.credentials.snapshot(), &self.log);
        }
        // Addresses that were tentative may be usable now.
        if self.socket_retry.due().is_some_and(|due| now >= due) {
            let refreshed = self.sockets.refresh();
            self.sockets_changed(refreshed);
        }
        if self.traffic.due().is_some_and(|due| now >= due) {
            self.update_traffic();
        }
        if self.admin_due().is_some_and(|due| now >= due) {
            self.serve_admin();
        }
        self.engine.handle_timeout(clock::now());
        self.process_outputs();
        Ok(())
    }

    /// Returns the time at which something is due even if nothing arrives.
    fn due(&self) -> Time {
        if !self.receive_queue.is_empty() {
            // The queued messages wait for no event.
            return clock::now();
        }
        [
            self.engine.poll_timeout(),
            self.socket_retry.due(),
            self.traffic.due(),
            self.admin_due(),
            self.receive_queue.due(),
        ]
        .into_iter()
        .flatten()
        .fold(self.next_resync.min(self.next_certificates_check), Time::min)
    }

    fn admin_due(&self) -> Option<Time> {
        self.admin.as_ref().and_then(Server::due)
    }

    /// Returns the descriptors to poll. UDP sockets come last, so that a flood cannot delay the rest.
    fn sources(&self) -> Vec<Source<'_, EventSource>> {
        let mut sources = vec![
            Source::control(self.signals.as_fd(), EventSource::Signals),
            Source::control(self.kernel.fd(), EventSource::Kernel),
            Source::control(self.workers.as_fd(), EventSource::Workers),
        ];
        sources.extend(self.timer.fd().map(|timer| Source::control(timer, EventSource::Timer)));
        sources.extend(self.sockets.watch().map(|watch| Source::control(watch, EventSource::Addresses)));
        let admin = self.admin.iter().flat_map(|admin| admin.descriptors());
        sources.extend(admin.map(|(descriptor, wanted)| Source {
            writes: wanted == Interest::Write,
            ..Source::control(descriptor, EventSource::Admin)
        }));
        let sockets = self.sockets.descriptors();
        sources.extend(sockets.map(|(address, descriptor)| Source::peers(descriptor, EventSource::Socket(address))));
        sources
    }

    fn handle_signals(&mut self) {
        for signal in self.signals.take() {
            match signal {
                // A rejected configuration has been logged.
                Signal::Reload => drop(self.reload()),
                Signal::Stop(number) => {
                    self.log.info(format_args!("caught signal {number}"));
                    self.stopping = true;
                }
                Signal::User(number) => self.log.info(format_args!("caught signal {number}: nothing to do")),
                // This version starts no scripts.
                Signal::Child => {}
            }
        }
    }

    fn handle_kernel_events(&mut self) -> Result<(), FatalError> {
        let mut events = Vec::new();
        // What was read before an error is passed on all the same.
        let heard = self.kernel.read_events(&mut |event| events.push(event));
        for event in events {
            self.engine.handle_kernel(clock::now(), event);
        }
        self.process_outputs();
        Ok(heard?)
    }

    pub(super) fn resync_kernel(&mut self) {
        let mut events = Vec::new();
        self.kernel.resync(&mut |event| events.push(event));
        for event in events {
            self.engine.handle_kernel(clock::now(), event);
        }
        self.process_outputs();
    }

    fn handle_job_results(&mut self) {
        for (id, result) in self.workers.results() {
            self.engine.handle_crypto(clock::now(), id, result);
        }
        self.process_outputs();
    }

    /// Reads the datagrams that have arrived and queues them by priority.
    fn receive_datagrams(&mut self, socket: SocketAddr) {
        let now = clock::now();
        let mut read = 0;
        // What is left in a batch does not make the socket readable again, so a batch is always emptied.
        while read < READ_MAX || self.sockets.has_read() {
            match self.sockets.receive(socket) {
                Ok(Some(Input::Message(Received { path, bytes }))) => {
                    read += 1;
                    // Looks at the header and the source only, so it is cheap even in a flood.
                    let priority = self.engine.priority(path, bytes);
                    self.receive_queue.push(priority, Message { path, bytes: bytes.into() }, now);
                }
                Ok(Some(Input::Unreachable(unreachable))) => {
                    read += 1;
                    self.engine.handle_undelivered(now, unreachable.undelivered.clone());
                    self.log_send_error(Level::Notify, unreachable.undelivered.remote, unreachable);
                }
                Ok(None) => break,
                Err(error) => {
                    self.log.error(format_args!("{}: {}", DisplayAddr(socket), reason(&error)));
                    break;
                }
            }
        }
    }

    /// Passes queued messages to the engine, at most [`MESSAGES_MAX`], so that other sources get their turn.
    fn process_messages(&mut self) {
        for Message { path, bytes } in std::iter::from_fn(|| self.receive_queue.next()).take(MESSAGES_MAX) {
            packet_trace::log_message(
                &self.log,
                self.options.verbose > 0,
                Direction::In,
                (path.local, path.remote),
                &bytes,
            );
            self.engine.handle_datagram(clock::now(), path, &bytes);
        }
        self.process_outputs();
        if let Some(dropped) = self.receive_queue.report(clock::now()) {
            let messages = if dropped == 1 { "message" } else { "messages" };
            self.log.notify(format_args!(
                "dropped {dropped} {messages} in the last minute: they arrived faster than they could be processed"
            ));
        }
    }

    /// Reports the sockets' addresses to the engine. A failure is retried; it is logged when it first occurs.
    pub(super) fn sockets_changed(&mut self, result: Result<(), crate::net::Error>) {
        let result = result.and(self.update_addresses());
        let level = self.socket_retry.note(result.is_err(), self.sockets.is_incomplete(), clock::now());
        if let Err(error) = result {
            self.log.write(level, None, error);
        }
    }

    /// Reports this host's addresses to the engine.
    fn update_addresses(&mut self) -> Result<(), crate::net::Error> {
        let locals = self.sockets.locals()?;
        // All addresses first: a warning that follows from the second request depends on them. Neither is ever refused.
        let all = Control::HostAddresses(Sockets::host_addresses()?);
        let _ = self.engine.handle_control(clock::now(), all);
        let _ = self.engine.handle_control(clock::now(), Control::Addresses(locals));
        self.process_outputs();
        Ok(())
    }

    /// Performs the engine's outputs, and those that follow from them, until there are no more.
    pub(super) fn process_outputs(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Transmit(datagram) => self.transmit(&datagram),
                Output::Kernel(request) => {
                    let mut answers = Vec::new();
                    self.kernel.execute(request, &mut |event| answers.push(event));
                    for answer in answers {
                        self.engine.handle_kernel(clock::now(), answer);
                    }
                }
                Output::Job(id, urgency, job) => {
                    // The default result means that the job was dropped, and ends its negotiation at once.
                    if self.workers.submit(urgency, (id, job)).is_err() {
                        self.engine.handle_crypto(clock::now(), id, JobResult::default());
                    }
                }
                Output::Log(line) => self.write(&line),
                Output::Event(event) => {
                    self.log.debug(format_args!("event: {event}"));
                    self.events.add(event);
                }
                // The engine's journal has it.
                Output::Outcome(_) => {}
            }
        }
    }

    /// Sends a message. The engine notes a failure, which explains why no reply comes.
    fn transmit(&mut self, Transmit { path, bytes }: &Transmit) {
        let Path { local, remote, .. } = *path;
        packet_trace::log_message(&self.log, self.options.verbose > 0, Direction::Out, (local, remote), bytes);
        if let Err(error) = self.sockets.send(local, remote, bytes) {
            let undelivered = Undelivered { remote, error: local_error(&error) };
            let text = format!("message from {} not sent: {}", DisplayAddr(local), reason(&error));
            self.engine.handle_undelivered(clock::now(), undelivered);
            self.log_send_error(Level::Warning, remote, text);
        }
    }

    /// Logs that a message could not be sent or was not delivered. It may have been a reply to a spoofed address, so
    /// the number of such lines is limited.
    fn log_send_error(&mut self, level: Level, remote: SocketAddr, text: impl Display) {
        let (level, suppressed) = self.send_errors.note(level, clock::now());
        if suppressed > 0 {
            let messages = if suppressed == 1 { "message" } else { "messages" };
            self.log.notify(format_args!("{suppressed} more {messages} not sent or not delivered"));
        }
        self.log.write(level, Some(remote.ip()), text);
    }

    fn write(&self, line: &LogLine) {
        let peer = line.peer.map(|peer| peer.ip());
        self.log.lines_from(line.place, line.level, peer, line.text.lines());
    }
}
