//! One turn of the loop: wait, take in what came, carry out what the engine wants.

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::process::ExitCode;
use std::time::Duration;

use racoon_proto::crypto::JobResult;
use racoon_proto::engine::Control;
use racoon_proto::output::{Level, LogLine, Output, Urgency};
use racoon_proto::time::Time;
use racoon_proto::undelivered::Undelivered;
use thiserror::Error;

use super::Daemon;
use super::inbound::Message;
use super::packet::{self, Way};
use crate::admin::{Server, Wanted};
use crate::clock;
use crate::net::{Input, Received, Shown, Sockets, local_error};
use crate::output::reason;
use crate::poller::{self, Source};
use crate::signals::Signal;
use crate::workers;

/// How often the kernel's policies are read anew, whatever it told.
pub(super) const REREAD: Duration = Duration::from_secs(300);
/// Datagrams that are read from a socket in a turn. To read one is quick.
const READ_MAX: usize = 512;
/// Messages that are worked on in a turn.
const MESSAGES_MAX: usize = 64;

/// Why the daemon cannot go on, in a line.
#[derive(Debug, Error)]
enum Broken {
    /// There is no kernel any more.
    #[error("kernel: {0}")]
    Kernel(#[from] libpfkey::Error),
    #[error("poll: {}", reason(.0))]
    Poll(io::Error),
    #[error("timer: {}", reason(.0))]
    Timer(io::Error),
}

/// Whose descriptor is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Alarm,
    Signals,
    Kernel,
    Admin,
    Workers,
    Addresses,
    Socket(SocketAddr),
}

impl Daemon {
    /// Works until it is told to stop.
    pub(super) fn run(mut self) -> ExitCode {
        self.sockets_changed(Ok(()));
        // The policies that there were when the door was opened.
        let mut worked = self.hear_kernel();
        if !self.earlier.is_empty() {
            let earlier = std::mem::take(&mut self.earlier);
            // It cannot be refused.
            let _ = self.engine.handle_control(clock::now(), Control::LeftoverSas(earlier));
            self.carry_out();
        }
        while worked.is_ok() && !self.stopping {
            worked = self.turn();
        }
        match worked {
            Ok(()) => self.stop(ExitCode::SUCCESS),
            Err(error) => {
                self.log.error(error);
                self.stop(ExitCode::FAILURE)
            }
        }
    }

    fn turn(&mut self) -> Result<(), Broken> {
        let due = self.due();
        self.alarm.set(due).map_err(Broken::Timer)?;
        let ready = poller::wait(&self.sources(), Some(due.since(clock::now()))).map_err(Broken::Poll)?;
        for ready in ready {
            match ready.owner {
                // What is due is done below.
                Owner::Alarm => {}
                Owner::Signals => self.heed_signals(),
                Owner::Kernel => self.hear_kernel()?,
                Owner::Admin => self.serve(),
                Owner::Workers => self.take_results(),
                Owner::Addresses => {
                    let changed = self.sockets.addresses_changed();
                    self.sockets_changed(changed);
                }
                Owner::Socket(socket) => self.take_datagrams(socket),
            }
        }
        self.work_on_messages();
        let now = clock::now();
        if now >= self.reread {
            self.reread = now + REREAD;
            self.reread_kernel();
        }
        if self.retry.due().is_some_and(|due| now >= due) {
            let refreshed = self.sockets.refresh();
            self.sockets_changed(refreshed);
        }
        if self.counters.due().is_some_and(|due| now >= due) {
            self.count_traffic();
        }
        if self.admin_due().is_some_and(|due| now >= due) {
            self.serve();
        }
        self.engine.handle_timeout(clock::now());
        self.carry_out();
        Ok(())
    }

    /// Until when nothing is to be done unless something comes in.
    fn due(&self) -> Time {
        if !self.inbound.is_empty() {
            return clock::now();
        }
        [self.engine.poll_timeout(), self.retry.due(), self.counters.due(), self.admin_due(), self.inbound.due()]
            .into_iter()
            .flatten()
            .fold(self.reread, Time::min)
    }

    fn admin_due(&self) -> Option<Time> {
        self.admin.as_ref().and_then(Server::due)
    }

    /// What is waited for: what comes from peers last, so that a flood of it does not keep the rest waiting.
    fn sources(&self) -> Vec<Source<'_, Owner>> {
        let mut sources = vec![
            Source::first(self.signals.as_fd(), Owner::Signals),
            Source::first(self.door.fd(), Owner::Kernel),
            Source::first(self.workers.as_fd(), Owner::Workers),
        ];
        sources.extend(self.alarm.fd().map(|alarm| Source::first(alarm, Owner::Alarm)));
        sources.extend(self.sockets.watch().map(|watch| Source::first(watch, Owner::Addresses)));
        let admin = self.admin.iter().flat_map(|admin| admin.descriptors());
        sources.extend(admin.map(|(descriptor, wanted)| Source {
            writes: wanted == Wanted::Write,
            ..Source::first(descriptor, Owner::Admin)
        }));
        let sockets = self.sockets.descriptors();
        sources.extend(sockets.map(|(address, descriptor)| Source::second(descriptor, Owner::Socket(address))));
        sources
    }

    fn heed_signals(&mut self) {
        for signal in self.signals.take() {
            match signal {
                Signal::Reload => drop(self.reload()),
                Signal::Stop(number) => {
                    self.log.info(format_args!("caught signal {number}"));
                    self.stopping = true;
                }
                Signal::User(number) => self.log.info(format_args!("caught signal {number}: nothing to do")),
                Signal::Child => {}
            }
        }
    }

    fn hear_kernel(&mut self) -> Result<(), Broken> {
        let mut events = Vec::new();
        let heard = self.door.readable(&mut |event| events.push(event));
        for event in events {
            self.engine.handle_kernel(clock::now(), event);
        }
        self.carry_out();
        Ok(heard?)
    }

    pub(super) fn reread_kernel(&mut self) {
        let mut events = Vec::new();
        self.door.reread(&mut |event| events.push(event));
        for event in events {
            self.engine.handle_kernel(clock::now(), event);
        }
        self.carry_out();
    }

    fn take_results(&mut self) {
        for (id, result) in self.workers.results() {
            self.engine.handle_crypto(clock::now(), id, result);
        }
        self.carry_out();
    }

    /// Reads what has come, so that it can be told apart before it is worked on.
    fn take_datagrams(&mut self, socket: SocketAddr) {
        let now = clock::now();
        let mut read = 0;
        // What was read of a batch has to be taken.
        while read < READ_MAX || self.sockets.has_read() {
            match self.sockets.receive(socket) {
                Ok(Some(Input::Message(Received { local, remote, bytes, .. }))) => {
                    read += 1;
                    let priority = self.engine.priority(local, remote, bytes);
                    self.inbound.push(priority, Message { local, remote, bytes: bytes.into() }, now);
                }
                Ok(Some(Input::Unreachable(unreachable))) => {
                    read += 1;
                    self.engine.handle_undelivered(now, unreachable.undelivered.clone());
                    self.undelivered(Level::Notify, unreachable.undelivered.remote, unreachable);
                }
                Ok(None) => break,
                Err(error) => {
                    self.log.error(format_args!("{}: {}", Shown(socket), reason(&error)));
                    break;
                }
            }
        }
    }

    /// Works on messages that wait, but not so long that others have to wait for their turn.
    fn work_on_messages(&mut self) {
        for Message { local, remote, bytes } in std::iter::from_fn(|| self.inbound.next()).take(MESSAGES_MAX) {
            packet::trace(&self.log, self.options.verbose > 0, Way::In, (local, remote), &bytes);
            self.engine.handle_datagram(clock::now(), local, remote, &bytes);
        }
        self.carry_out();
        if let Some(dropped) = self.inbound.report(clock::now()) {
            let messages = if dropped == 1 { "message" } else { "messages" };
            self.log
                .notify(format_args!("{dropped} {messages} dropped in the last minute: more came than could be read"));
        }
    }

    /// The sockets have been looked after. What could not be done is tried again, and told the first time.
    pub(super) fn sockets_changed(&mut self, result: Result<(), crate::net::Error>) {
        let result = result.and(self.tell_addresses());
        let level = self.retry.note(result.is_err(), self.sockets.is_incomplete(), clock::now());
        if let Err(error) = result {
            self.log.write(level, None, error);
        }
    }

    /// Tells the engine which addresses are ours.
    fn tell_addresses(&mut self) -> Result<(), crate::net::Error> {
        let locals = self.sockets.locals()?;
        // Neither can be refused.
        let all = Control::HostAddresses(Sockets::host_addresses()?);
        let _ = self.engine.handle_control(clock::now(), all);
        let _ = self.engine.handle_control(clock::now(), Control::Addresses(locals));
        self.carry_out();
        Ok(())
    }

    /// Does what the engine wants done, and what comes of it, until there is nothing more.
    pub(super) fn carry_out(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Transmit(datagram) => {
                    let ends = (datagram.local, datagram.remote);
                    packet::trace(&self.log, self.options.verbose > 0, Way::Out, ends, &datagram.bytes);
                    let sent = self.sockets.send(datagram.local, datagram.remote, &datagram.bytes);
                    if let Err(error) = sent {
                        let undelivered = Undelivered { remote: datagram.remote, error: local_error(&error) };
                        let text = format!("message from {} not sent: {}", Shown(datagram.local), reason(&error));
                        self.engine.handle_undelivered(clock::now(), undelivered);
                        self.undelivered(Level::Warning, datagram.remote, text);
                    }
                }
                Output::Kernel(request) => {
                    let mut answers = Vec::new();
                    self.door.carry_out(request, &mut |event| answers.push(event));
                    for answer in answers {
                        self.engine.handle_kernel(clock::now(), answer);
                    }
                }
                Output::Job(id, urgency, job) => {
                    let urgency = match urgency {
                        Urgency::Known => workers::Urgency::Known,
                        Urgency::Unknown => workers::Urgency::Stranger,
                    };
                    if self.workers.submit(urgency, (id, job)).is_err() {
                        self.engine.handle_crypto(clock::now(), id, JobResult::default());
                    }
                }
                Output::Log(line) => self.write(&line),
                // Nobody watches yet, and what is worth a line of the log has one.
                Output::Event(_) | Output::Outcome(_) => {}
            }
        }
    }

    /// A message of ours could not be sent or did not arrive. It may be an answer to whoever made up an address.
    fn undelivered(&mut self, level: Level, remote: SocketAddr, text: impl Display) {
        let (level, untold) = self.unreachables.note(level, clock::now());
        if untold > 0 {
            self.log.notify(format_args!("{untold} more messages could not be sent or did not arrive"));
        }
        self.log.write(level, Some(remote.ip()), text);
    }

    fn write(&self, line: &LogLine) {
        let peer = line.peer.map(|peer| peer.ip());
        self.log.lines_from(line.place, line.level, peer, line.text.lines());
    }
}
