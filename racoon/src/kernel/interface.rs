//! The kernel's interface: opened once, asked, and listened to.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use ipsec_conf::racoon;
use libpfkey::algorithm::Supported;
use libpfkey::backend::{Backend, BackendKind, Memory};
use libpfkey::request::{self, RequestHeader};
use libpfkey::wire::peek_header;
use libpfkey::{Abi, Connection, Dialect, Error, ExtensionType, Message, MessageType, Result, SaState, SaType, dump};
use racoon_proto::kernel::{
    Acquire, Action, KernelError, KernelEvent, KernelRequest, Level, Limit, Policy, PolicyName, SaInstallation, SaName,
    SaTransform, Selector, SpiAllocation, UdpPorts,
};
use racoon_proto::num::Protocol;
use zeroize::Zeroizing;

use super::algorithm::Suite;
use super::compose;
use super::event::{DecodedEvent, decode, sa_name};
use super::quirk::Quirk;
use super::refusal::install_refused;
use super::transaction::RequestConnection;
use super::{
    Capabilities, LogRecord, LogSink, Target, failed, is_missing, is_missing_policy, policy, refused, sa_type_of, trace,
};
use crate::backup::Backup;
use crate::kernel_state::StateLog;

/// RequestConnection of ours whose echo is awaited: more of them than any echo can be late.
const ECHOES_MAX: usize = 65_536;

/// The kernel, opened.
pub struct KernelInterface {
    events: Connection,
    pub(super) requests: RequestConnection,
    capabilities: Capabilities,
    /// SAs that we have, as far as we know.
    pub(super) installed: HashSet<SaName>,
    /// SAs that we deleted: the kernel tells everybody, us too.
    pub(super) deleted: HashSet<SaName>,
    /// Those of them that we have again: what the kernel tells is of the ones before.
    pub(super) renewed: HashSet<SaName>,
    /// Ports of SAs, where they are part of their names.
    pub(super) ports: HashMap<SaName, UdpPorts>,
    /// Policies that requests of ours created, by their index, where the kernel tells no more than that of what is deleted.
    pub(super) created: HashMap<u32, PolicyName>,
    /// What happened while it was opened.
    early: VecDeque<KernelEvent>,
    pub(super) log: LogSink,
    /// Said once in a life.
    warned_of: Vec<Quirk>,
    /// Where installed SAs are saved.
    backup: Option<Backup>,
    /// Where what is installed is listed for the time after a crash.
    pub(super) state: Option<StateLog>,
    /// The last record could not be written.
    pub(super) state_failed: bool,
}

/// The interface that a configuration asks for; where it leaves the choice, the one of the environment.
///
/// # Errors
/// [`Error::Backend`] for an environment that names none.
pub fn backend_of(backend: &racoon::Backend) -> Result<BackendKind> {
    Ok(match backend {
        racoon::Backend::Auto => return BackendKind::from_environment(),
        racoon::Backend::Memory => BackendKind::Memory,
        racoon::Backend::PfKey => BackendKind::PfKey,
        racoon::Backend::Socket(path) => BackendKind::Socket(path.to_path_buf()),
        racoon::Backend::Xfrm => BackendKind::Xfrm,
    })
}

impl KernelInterface {
    /// Opens the interface, with a receive buffer of `buffer` KiB if that is more than it has. The dialect is the host's unless it
    /// leads elsewhere. From now on the kernel counts on a key manager: call [`KernelInterface::read_events`] before anything is waited for.
    ///
    /// # Errors
    /// What the system said; the first refusal, if the kernel has neither ESP nor AH nor IPComp.
    pub fn open(choice: &BackendKind, dialect: Option<Dialect>, buffer: u32, log: LogSink) -> Result<Self> {
        let (events, requests): (Box<dyn Backend>, Box<dyn Backend>) = match choice {
            // Two doors would lead into two of them.
            BackendKind::Memory => {
                let memory = Memory::new(Abi::of(dialect.unwrap_or(Dialect::HOST)))?;
                (Box::new(memory.another_handle()?), Box::new(memory))
            }
            _ => (choice.open(dialect)?, choice.open(dialect)?),
        };
        Self::over(events, requests, buffer, log)
    }

    /// The same over two doors into one kernel: the first for events, the second for requests.
    ///
    /// # Errors
    /// As [`KernelInterface::open`].
    pub fn over(
        mut events: Box<dyn Backend>,
        mut requests: Box<dyn Backend>,
        buffer: u32,
        mut log: LogSink,
    ) -> Result<Self> {
        let kib = usize::try_from(buffer).unwrap_or(usize::MAX);
        if kib > 0 {
            let given = events.set_receive_buffer(kib)?.min(requests.set_receive_buffer(kib)?);
            if given < kib {
                log(LogRecord::Warning(format!("pfkey_buffer: the system gives {given} KiB, not {kib}")));
            }
        }
        let target = Target { abi: requests.abi(), has_xfrm: requests.has_xfrm_extensions() };
        let mut interface = Self {
            events: Connection::new(events),
            requests: RequestConnection::new(Connection::new(requests)),
            capabilities: Capabilities::new(target, Supported::default()),
            installed: HashSet::new(),
            deleted: HashSet::new(),
            renewed: HashSet::new(),
            ports: HashMap::new(),
            created: HashMap::new(),
            early: VecDeque::new(),
            log,
            warned_of: Vec::new(),
            backup: None,
            state: None,
            state_failed: false,
        };
        // 1. The policies there are, before an acquire names one of them; what changes them meanwhile is told.
        let policies = interface.dump()?;
        interface.early.push_back(KernelEvent::Policies(policies));
        // 2. From here on the kernel asks us.
        let supported = interface.register()?;
        interface.capabilities = Capabilities::new(target, supported);
        Ok(interface)
    }

    /// Readable when something happened.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.events.fd()
    }

    /// Keeps SAs that are installed from now on in a file.
    pub fn set_backup(&mut self, backup: Backup) {
        self.backup = Some(backup);
    }

    /// Nothing is saved any more.
    pub fn clear_backup(&mut self) {
        if let Some(Err(error)) = self.backup.as_mut().map(Backup::clear) {
            (self.log)(LogRecord::Warning(error.to_string()));
        }
    }

    /// Writes an SA that was installed to the file.
    fn remember(&mut self, installation: &SaInstallation, request: &[u8]) {
        let Some(backup) = &mut self.backup else { return };
        // After a restart a cipher that counts would count anew under the same key.
        if counts(&installation.transform) {
            return;
        }
        let abi = self.requests.abi();
        let saved = Message::parse(abi, request).map_err(|error| error.to_string());
        let saved = saved.and_then(|message| backup.add(abi.dialect, &message).map_err(|error| error.to_string()));
        if let Err(error) = saved {
            (self.log)(LogRecord::Warning(format!("an SA is not saved: {error}")));
        }
    }

    /// An SA is no more, or all of a protocol, or all.
    pub(super) fn forget(&mut self, removed: Removed<'_>) {
        match removed {
            Removed::One(name) => drop(self.installed.remove(name)),
            Removed::All(None) => self.installed.clear(),
            Removed::All(Some(protocol)) => self.installed.retain(|name| name.protocol != protocol),
        }
        let Some(backup) = &mut self.backup else { return };
        let dialect = self.requests.abi().dialect;
        let number = |protocol| sa_type_of(protocol).and_then(|sa_type| sa_type.number(dialect));
        let forgotten = match removed {
            Removed::One(SaName { protocol, source, destination, spi }) => match number(*protocol) {
                Some(sa_type) => backup.forget(&(*source, *destination, sa_type, *spi)),
                None => Ok(()),
            },
            Removed::All(protocol) => backup.forget_all(protocol.and_then(number)),
        };
        if let Err(error) = forgotten {
            (self.log)(LogRecord::Warning(format!("lines of SAs that are no more stay: {error}")));
        }
    }

    /// What the kernel can do.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Hands over all that has happened.
    ///
    /// # Errors
    /// [`Error::System`] when there will be no more: whoever is behind the interface is gone.
    pub fn read_events(&mut self, on_event: &mut dyn FnMut(KernelEvent)) -> Result<()> {
        self.early.drain(..).for_each(&mut *on_event);
        // Others' requests are told there, too.
        self.requests.drain()?;
        let mut has_changed = false;
        while let Some(decoded) = self.next()? {
            has_changed |= self.handle(decoded, on_event);
        }
        if self.events.backend().has_lost() {
            (self.log)(LogRecord::Warning("the kernel had more to tell than there was room for: pfkey_buffer".into()));
            self.resync(on_event);
        } else if has_changed {
            self.resync_policies(on_event);
        }
        Ok(())
    }

    pub(super) fn resync_policies(&mut self, on_event: &mut dyn FnMut(KernelEvent)) {
        match self.dump() {
            Ok(policies) => {
                let there = policies.iter().map(|policy| policy.index).collect::<HashSet<_>>();
                self.created.retain(|index, _| there.contains(index));
                on_event(KernelEvent::Policies(policies));
            }
            Err(error) => (self.log)(LogRecord::Warning(format!("the kernel's policies could not be read: {error}"))),
        }
    }

    /// Carries out a request, and hands over its answer.
    pub fn execute(&mut self, request: KernelRequest, on_event: &mut dyn FnMut(KernelEvent)) {
        (self.log)(LogRecord::Request(trace::describe(&request)));
        match request {
            KernelRequest::AllocateSpi(allocation) => {
                let spi = self.allocate(&allocation);
                if let Ok(spi) = spi {
                    (self.log)(LogRecord::Request(format!("kernel: SPI {spi} ({spi:#x}) is reserved")));
                }
                on_event(KernelEvent::Spi(allocation.id, spi));
            }
            KernelRequest::Install(installation) => {
                let installed = self.install(&installation);
                on_event(KernelEvent::Installed(installation.id, installed));
            }
            KernelRequest::Delete(name) => self.delete(&name),
            KernelRequest::AcquireFailed(acquire) => self.acquire_failed(&acquire),
            KernelRequest::AddPolicy(id, policy) => {
                let added = self.add_policy(&policy);
                on_event(KernelEvent::PolicyAdded(id, added));
            }
            KernelRequest::DeletePolicy(name) => self.delete_policy(&name),
        }
    }

    /// The SAs of a type, or all, as `setkey -D` prints them at a time in seconds since 1970. Their keys are in the text.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn show(&mut self, sa_type: SaType, now: i64) -> Result<Zeroizing<String>> {
        let options = dump::Options { ports: false, now };
        let mut text = Zeroizing::new(String::new());
        self.dump_sas(sa_type, |message| {
            if message.sa().is_some_and(|sa| sa.state != SaState::Dead) {
                dump::sa_entry(&mut text, message, &options);
            }
        })?;
        Ok(text)
    }

    /// How many bytes each SA has carried.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn counters(&mut self) -> Result<Vec<(SaName, u64)>> {
        let mut counters = Vec::new();
        self.dump_sas(SaType::Unspec, |message| {
            let bytes = message.lifetime(ExtensionType::LifetimeCurrent).map(|lifetime| lifetime.bytes);
            counters.extend(sa_name(message).ok().flatten().zip(bytes));
        })?;
        Ok(counters)
    }

    pub(super) fn dump_sas(&mut self, sa_type: SaType, mut take: impl FnMut(&Message<'_>)) -> Result<()> {
        let mut request = Vec::new();
        request::dump(self.requests.request_header(0), sa_type, &mut request)?;
        let dumped = self.requests.transact_many(&request, |message| {
            take(message);
            if message.header.seq == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match dumped {
            Err(Error::Kernel(libc::ENOENT)) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn target(&mut self) -> Target {
        Target { abi: self.requests.abi(), has_xfrm: self.requests.has_xfrm_extensions() }
    }

    /// Registers for what there is of ESP, AH and IPComp.
    fn register(&mut self) -> Result<Supported> {
        let mut supported = None;
        let mut refusal = None;
        for sa_type in [SaType::Esp, SaType::Ah, SaType::IpComp] {
            match self.register_for(sa_type) {
                Ok(list) => supported = supported.or(Some(list)),
                Err(error) => {
                    (self.log)(LogRecord::Debug(format!("REGISTER {}: {error}", sa_type.what())));
                    refusal = refusal.or(Some(error));
                }
            }
        }
        supported.ok_or_else(|| refusal.unwrap_or(Error::Timeout))
    }

    /// What is told while the answer is awaited is kept: with the first registration acquires begin.
    fn register_for(&mut self, sa_type: SaType) -> Result<Supported> {
        let (abi, pid) = (self.events.abi(), self.events.pid());
        let mut request = Vec::new();
        request::register(self.events.request_header(0), sa_type, &mut request)?;
        self.events.send(&request)?;
        let deadline = Instant::now() + self.events.answer_timeout();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let bytes = match self.events.recv(Some(left)) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return Err(Error::Timeout),
                Err(Error::Malformed { .. }) => continue,
                Err(error) => return Err(error),
            };
            let header = peek_header(abi, bytes)?;
            let is_answer = (header.message_type, header.sa_type, header.pid) == (MessageType::Register, sa_type, pid);
            if is_answer && header.errno != 0 {
                return Err(Error::Kernel(abi.dialect.errno_to_host(header.errno)));
            }
            let Ok(message) = Message::parse(abi, bytes) else { continue };
            if is_answer {
                return Ok(Supported::from_reply(&message));
            }
            let decoded = decode(&message);
            let mut early = std::mem::take(&mut self.early);
            self.handle(decoded, &mut |event| early.push_back(event));
            self.early = early;
        }
    }

    fn dump(&mut self) -> Result<Vec<Policy>> {
        let mut request = Vec::new();
        request::spddump(self.requests.request_header(0), &mut request)?;
        let (mut policies, mut strange) = (Vec::new(), None);
        let dumped = self.requests.transact_many(&request, |message| {
            match policy::from_message(message) {
                Ok(policy) => policies.extend(policy),
                Err(what) => strange = Some(what),
            }
            if message.header.seq == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if let Some(what) = strange {
            (self.log)(LogRecord::Warning(format!("a policy of the kernel is passed over: {what}")));
        }
        match dumped {
            Err(Error::Kernel(libc::ENOENT)) | Ok(()) => Ok(policies),
            Err(error) => Err(error),
        }
    }

    /// The next thing that was decoded; none when there is nothing now.
    pub(super) fn next(&mut self) -> Result<Option<DecodedEvent>> {
        let abi = self.events.abi();
        match self.events.recv(Some(Duration::ZERO)) {
            Ok(None) => Ok(None),
            Ok(Some(bytes)) => Ok(Some(match Message::parse(abi, bytes) {
                Ok(message) => decode(&message),
                Err(_) if peek_header(abi, bytes).is_ok_and(|header| header.errno != 0) => DecodedEvent::Ignored,
                Err(_) => DecodedEvent::Malformed("not a message"),
            })),
            Err(Error::Malformed { .. }) => Ok(Some(DecodedEvent::Malformed("not a message"))),
            Err(error) => Err(error),
        }
    }

    /// True: policies have changed that were not told of.
    pub(super) fn handle(&mut self, decoded: DecodedEvent, on_event: &mut dyn FnMut(KernelEvent)) -> bool {
        match decoded {
            DecodedEvent::Event(KernelEvent::Deleted(name)) if self.renewed.remove(&name) => {}
            DecodedEvent::Event(KernelEvent::Deleted(name)) => {
                self.ports.remove(&name);
                self.forget(Removed::One(&name));
                self.record_sa_gone(&name);
                if !self.deleted.remove(&name) {
                    on_event(KernelEvent::Deleted(name));
                }
            }
            DecodedEvent::Event(KernelEvent::Policy(policy)) => {
                let policy = self.completed(policy);
                on_event(KernelEvent::Policy(policy));
            }
            DecodedEvent::Event(event) => {
                match &event {
                    KernelEvent::Expire(name, Limit::Hard) => {
                        self.ports.remove(name);
                        self.forget(Removed::One(name));
                        self.record_sa_gone(name);
                    }
                    KernelEvent::Flushed(protocol) => self.forget(Removed::All(*protocol)),
                    KernelEvent::PoliciesFlushed => self.created.clear(),
                    _ => {}
                }
                on_event(event);
            }
            DecodedEvent::DeletedBetween(protocol, source, destination) => {
                let is_meant =
                    |name: &&SaName| (name.protocol, name.source, name.destination) == (protocol, source, destination);
                let names = self.installed.iter().filter(is_meant).copied().collect::<Vec<_>>();
                for name in names {
                    self.handle(DecodedEvent::Event(KernelEvent::Deleted(name)), on_event);
                }
            }
            DecodedEvent::PolicyDeleted(index) => match self.created.remove(&index) {
                Some(PolicyName { direction, selector, .. }) => {
                    on_event(KernelEvent::PolicyDeleted(direction, selector));
                }
                None => return true,
            },
            DecodedEvent::PoliciesChanged => return true,
            DecodedEvent::Ignored => {}
            DecodedEvent::Malformed(what) => {
                (self.log)(LogRecord::Warning(format!("a message of the kernel is passed over: {what}")));
            }
        }
        false
    }

    /// A policy with the reqid that the kernel gave it: NetBSD tells that only who asks.
    fn completed(&mut self, policy: Policy) -> Policy {
        let Action::Protect(templates) = &policy.action else { return policy };
        if policy.index == 0 || !templates.iter().any(|one| one.level == Level::Unique && one.reqid == 0) {
            return policy;
        }
        let mut request = Vec::new();
        let asked = request::spdget(self.requests.request_header(0), policy.index, &mut request)
            .and_then(|()| self.requests.transact(&request, policy::from_message));
        match asked {
            Ok(Ok(Some(complete))) => complete,
            _ => policy,
        }
    }

    fn allocate(&mut self, allocation: &SpiAllocation) -> std::result::Result<u32, KernelError> {
        let SpiAllocation { protocol, source, destination, .. } = *allocation;
        let what = format!("GETSPI {protocol} {source}->{destination}");
        let origin = self.requests.request_header(allocation.acquire);
        let mut request = Vec::new();
        compose::getspi(origin, allocation, &mut request)?;
        let spi = self.requests.transact(&request, |message| message.sa().map(|sa| sa.spi));
        let spi = spi.and_then(|spi| spi.ok_or(Error::Timeout));
        let spi = spi.map_err(|error| failed(&what, &error, self.requests.explanation()))?;
        let name = SaName { protocol, source, destination, spi };
        // One that had this name and was deleted is no more, though nobody said so.
        self.deleted.remove(&name);
        self.note_ports(name, allocation.udp);
        Ok(spi)
    }

    fn install(&mut self, installation: &SaInstallation) -> std::result::Result<(), KernelError> {
        let target = self.target();
        let suite = Suite::new(target, &installation.transform)?;
        for quirk in Quirk::all(target, installation, &suite) {
            if !self.warned_of.contains(&quirk) {
                self.warned_of.push(quirk);
                (self.log)(LogRecord::Warning(quirk.text().into()));
            }
        }
        let name = installation.name;
        let what = format!("{} {name}", compose::installs_by(installation.way).what());
        let origin = self.requests.request_header(installation.acquire);
        // Room for the longest keys: a buffer that grows leaves copies of them behind.
        let mut request = Zeroizing::new(Vec::with_capacity(1024));
        compose::install(target, origin, installation, &suite, &mut request)?;
        if self.deleted.remove(&name) {
            self.renewed.insert(name);
        }
        self.record_sa_request(installation);
        match self.requests.transact(&request, |_| ()) {
            Ok(()) => {
                self.record_sa_present(&name);
                self.note_ports(name, installation.udp);
                self.installed.insert(name);
                self.remember(installation, &request);
                Ok(())
            }
            Err(error) => {
                // It may have been done all the same, and nobody would know.
                if matches!(error, Error::Timeout) {
                    self.delete(&name);
                } else {
                    self.record_sa_gone(&name);
                }
                Err(install_refused(target, &what, installation, &error, self.requests.explanation()))
            }
        }
    }

    pub(super) fn note_ports(&mut self, name: SaName, ports: Option<UdpPorts>) {
        if let Some(ports) = ports.filter(|_| self.requests.abi().dialect == Dialect::NetBsd) {
            self.ports.insert(name, ports);
        }
    }

    pub(super) fn delete(&mut self, name: &SaName) {
        let origin = self.requests.request_header(0);
        let mut request = Vec::new();
        let ports = self.ports.remove(name);
        self.forget(Removed::One(name));
        if let Err(error) = compose::by_name(MessageType::Delete, origin, name, ports, &mut request) {
            return (self.log)(LogRecord::Debug(error.text));
        }
        if self.deleted.len() >= ECHOES_MAX {
            self.deleted.clear();
            self.renewed.clear();
        }
        self.deleted.insert(*name);
        let asked = self.requests.transact(&request, |_| ());
        if asked.as_ref().err().is_none_or(is_missing) {
            self.record_sa_gone(name);
        }
        let Err(error) = asked else { return };
        // That there is none is no error; and then nobody is told of it. What is there all the same is found later.
        if is_missing(&error) {
            self.deleted.remove(name);
        }
        (self.log)(LogRecord::Debug(format!("{} {name}: {error}", MessageType::Delete.what())));
    }

    fn acquire_failed(&mut self, acquire: &Acquire) {
        let origin = RequestHeader { seq: acquire.seq, ..self.requests.request_header(0) };
        let mut request = Vec::new();
        let told = compose::acquire_failed(origin, acquire.protocol, &mut request)
            .and_then(|()| self.requests.send(&request).map_err(|error| failed("ACQUIRE", &error, None)));
        if let Err(error) = told {
            (self.log)(LogRecord::Debug(error.text));
        }
    }

    /// SPDADD, which every kernel refuses where there is a policy with the selector and direction. The answer has the index,
    /// and the reqid if the kernel chose one. None: the kernel has no policies of this direction.
    fn add_policy(&mut self, policy: &Policy) -> std::result::Result<Option<Policy>, KernelError> {
        let Some(spd) = policy::to_request(self.target(), policy)? else { return Ok(None) };
        let mut request = Vec::new();
        let listed = self.record_policy_request(policy);
        let asked = request::spdadd(self.requests.request_header(0), &spd, &mut request)
            .and_then(|()| self.requests.transact(&request, policy::from_message));
        let Selector { source, destination, .. } = policy.selector;
        let what = || format!("{} {source}->{destination}", MessageType::SpdAdd.what());
        match asked {
            Ok(Ok(Some(added))) if added.index != 0 => {
                if self.requests.abi().dialect != Dialect::Linux {
                    self.created.insert(added.index, added.name());
                }
                self.record_policy_present(&added);
                Ok(Some(self.completed(added)))
            }
            Ok(_) => Err(refused(format!("{}: the answer does not name the policy, which stays", what()))),
            Err(error) => {
                if matches!(error, Error::Timeout) {
                    // Whether it was added nobody knows; and one that is there may be somebody else's.
                    let text = format!("{}: no answer; if a {} policy is left, delete it", what(), policy.direction);
                    (self.log)(LogRecord::Warning(text));
                } else {
                    self.record_policy_refused(policy, listed);
                }
                Err(failed(&what(), &error, self.requests.explanation()))
            }
        }
    }

    /// SPDDELETE2, by the index: one with the same selector may be somebody else's by now. The selector is compared, too:
    /// Linux gives the first index of a network namespace twice. So is what it does, as far as that is recorded: Linux keeps
    /// the index of a policy that somebody replaced.
    fn delete_policy(&mut self, name: &PolicyName) {
        let mut request = Vec::new();
        let there = request::spdget(self.requests.request_header(0), name.index, &mut request)
            .and_then(|()| self.requests.transact(&request, policy::from_message));
        if let Ok(Ok(Some(there))) = there
            && !self.is_ours(&there, name)
        {
            let Selector { source, destination, .. } = name.selector;
            (self.log)(LogRecord::Debug(format!("the {} policy {source}->{destination} is gone", name.direction)));
            return self.record_policy_gone(name.direction, &name.selector);
        }
        let asked = request::spddelete2(self.requests.request_header(0), name.index, &mut request)
            .and_then(|()| self.requests.transact(&request, |_| ()));
        if asked.as_ref().err().is_none_or(is_missing_policy) {
            self.record_policy_gone(name.direction, &name.selector);
        }
        if let Err(error) = asked {
            let Selector { source, destination, .. } = name.selector;
            (self.log)(LogRecord::Debug(format!("SPDDELETE2 {source}->{destination}: {error}")));
        }
    }
}

impl fmt::Debug for KernelInterface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KernelInterface")
            .field("events", &self.events)
            .field("requests", &self.requests)
            .finish_non_exhaustive()
    }
}

/// SAs that are no more.
#[derive(Clone, Copy, Debug)]
pub(super) enum Removed<'a> {
    One(&'a SaName),
    /// Of a protocol, or all.
    All(Option<Protocol>),
}

/// Whether the cipher of an SA counts its packets, and must never count anew.
fn counts(transform: &SaTransform) -> bool {
    match transform {
        SaTransform::Esp { encryption: (cipher, _), .. } => cipher.is_counter_mode(),
        SaTransform::Ah { .. } | SaTransform::Ipcomp(_) => false,
    }
}
