//! The connection to the kernel: opening it, reading its events, executing the engine's requests.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use ipsec_conf::racoon;
use libpfkey::algorithm::Supported;
use libpfkey::backend::{Backend, BackendKind, Memory};
use libpfkey::json::{Database, Keys, Listing, SecretBuffer};
use libpfkey::wire::peek_header;
use libpfkey::{Abi, Connection, Dialect, Error, ExtensionType, Message, MessageType, Result, SaState, SaType};
use libpfkey::{Request, dump};
use racoon_proto::kernel::{KernelEvent, KernelRequest, Limit, Policy, PolicyName, RequestId, SaName, UdpPorts};
use zeroize::Zeroizing;

use super::event::{DecodedEvent, decode, sa_name};
use super::quirk::Quirk;
use super::sa_requests::Removed;
use super::transaction::{RequestConnection, Timeouts, receive_replies};
use super::{Capabilities, LogRecord, LogSink, Target, trace};
use crate::backup::Backup;
use crate::kernel_state::StateLog;

/// The interface to the kernel's SAD and SPD.
pub struct KernelInterface {
    /// Registered, so that ACQUIRE and the broadcasts about other programs' requests arrive here.
    events: Connection,
    pub(super) requests: RequestConnection,
    capabilities: Capabilities,
    /// SAs installed here and, as far as we know, still in the kernel.
    pub(super) installed: HashSet<SaName>,
    /// SAs deleted here whose DELETE the kernel has not echoed yet. The echo is no news for the engine.
    pub(super) expected_deletes: HashSet<SaName>,
    /// SAs that were deleted here and installed again before the echo was read: it is about the old SA.
    pub(super) stale_deletes: HashSet<SaName>,
    /// NAT-T ports of SAs, where they are part of the SA's name.
    pub(super) natt_ports: HashMap<SaName, UdpPorts>,
    /// Policies added here by their index, where a deletion by index names nothing else.
    pub(super) policy_names: HashMap<u32, PolicyName>,
    /// Events that arrived while the interface was opened.
    startup_events: VecDeque<KernelEvent>,
    pub(super) log: LogSink,
    /// Quirks already logged; each is logged once.
    pub(super) logged_quirks: Vec<Quirk>,
    /// File that installed SAs are saved in.
    pub(super) backup: Option<Backup>,
    /// File that lists what is installed, for the start after a crash.
    pub(super) state_log: Option<StateLog>,
    /// Whether the last record could not be written to the state file.
    pub(super) state_write_failed: bool,
}

/// Returns the backend that a configuration asks for; `auto` leaves the choice to the environment.
///
/// # Errors
/// [`Error::Backend`] if the environment names an unknown backend.
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
    /// Opens the kernel interface. `buffer` is the least size of the receive buffers in KiB; `dialect` overrides the
    /// host's where the backend leads to another system.
    ///
    /// From now on the kernel sends ACQUIREs and expects them to be read: call [`KernelInterface::read_events`] before
    /// waiting for anything.
    ///
    /// # Errors
    /// Those of the backend; the first refusal if the kernel has none of ESP, AH and IPComp.
    pub fn open(kind: &BackendKind, dialect: Option<Dialect>, buffer: u32, log: LogSink) -> Result<Self> {
        let (events, requests): (Box<dyn Backend>, Box<dyn Backend>) = match kind {
            // Opening the in-memory kernel twice would make two kernels.
            BackendKind::Memory => {
                let memory = Memory::new(Abi::of(dialect.unwrap_or(Dialect::HOST)))?;
                (Box::new(memory.another_handle()?), Box::new(memory))
            }
            _ => (kind.open(dialect)?, kind.open(dialect)?),
        };
        Self::over(events, requests, buffer, log)
    }

    /// Opens the interface over two backends of one kernel: the first for events, the second for requests.
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
                log(LogRecord::Warning(format!("pfkey_buffer: the system allows {given} KiB, not {kib}")));
            }
        }
        let target = Target { abi: requests.abi(), has_xfrm: requests.has_xfrm_extensions() };
        let mut interface = Self {
            events: Connection::new(events),
            requests: RequestConnection::new(Connection::new(requests)),
            capabilities: Capabilities::new(target, Supported::default()),
            installed: HashSet::new(),
            expected_deletes: HashSet::new(),
            stale_deletes: HashSet::new(),
            natt_ports: HashMap::new(),
            policy_names: HashMap::new(),
            startup_events: VecDeque::new(),
            log,
            logged_quirks: Vec::new(),
            backup: None,
            state_log: None,
            state_write_failed: false,
        };
        // 1. Read the policies before the first ACQUIRE names one of them. Later changes arrive as events.
        let policies = interface.dump_policies()?;
        interface.startup_events.push_back(KernelEvent::Policies(policies));
        // 2. Register: from here on the kernel sends ACQUIREs.
        let supported = interface.register()?;
        interface.capabilities = Capabilities::new(target, supported);
        Ok(interface)
    }

    /// Returns the descriptor that is readable when events have arrived.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.events.fd()
    }

    /// Returns what the kernel supports.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Reads and reports all events that have arrived.
    ///
    /// # Errors
    /// [`Error::System`] if the connection is broken and no more events will come.
    pub fn read_events(&mut self, on_event: &mut dyn FnMut(KernelEvent)) -> Result<()> {
        self.startup_events.drain(..).for_each(&mut *on_event);
        // Broadcasts arrive on the request connection too, and would fill its buffer.
        self.requests.drain()?;
        let mut policies_changed = false;
        while let Some(decoded) = self.next()? {
            policies_changed |= self.handle(decoded, on_event);
        }
        if self.events.backend().has_lost() {
            (self.log)(LogRecord::Warning(
                "kernel events were lost: the receive buffer is too small (pfkey_buffer)".into(),
            ));
            self.resync(on_event);
        } else if policies_changed {
            self.resync_policies(on_event);
        }
        Ok(())
    }

    /// Executes a request of the engine, and reports the result.
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
            KernelRequest::AddPolicy(id, granted) => self.add_policy(id, granted.policy(), on_event),
            KernelRequest::DeletePolicy(name) => self.delete_policy(&name),
        }
    }

    /// Adds a policy, and reports the result. The daemon calls this from [`execute`](Self::execute) only, with policies that the
    /// engine has authorized.
    pub fn add_policy(&mut self, id: RequestId, policy: &Policy, on_event: &mut dyn FnMut(KernelEvent)) {
        let added = self.request_policy(policy);
        on_event(KernelEvent::PolicyAdded(id, added));
    }

    /// Formats the SAs of a type, or of all types, as `setkey -D` does. `now` is in seconds since 1970. The text contains
    /// the keys.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn show(&mut self, sa_type: SaType, now: i64) -> Result<Zeroizing<String>> {
        let options = dump::Options { ports: false, now };
        let empty = || Zeroizing::new(String::new());
        self.dump_sas(sa_type, empty, |text, message| {
            if message.sa().is_some_and(|sa| sa.state != SaState::Dead) {
                dump::sa_entry(text, message, &options);
            }
        })
    }

    /// Lists the SAs of a type, or of all types, as a document of [`libpfkey::json`].
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn show_json(&mut self, sa_type: SaType, keys: Keys) -> Result<Zeroizing<Vec<u8>>> {
        let empty = || (Listing::new(SecretBuffer::default(), Database::Sas, keys), Ok(()));
        let (listing, written) = self.dump_sas(sa_type, empty, |(listing, written), message| {
            if written.is_ok() && message.sa().is_some_and(|sa| sa.state != SaState::Dead) {
                *written = listing.push(message);
            }
        })?;
        let document = written.and_then(|()| listing.finish());
        document.map(SecretBuffer::into_bytes).map_err(|source| Error::System { call: "JSON", source })
    }

    /// Returns the number of bytes that each SA has carried.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn counters(&mut self) -> Result<Vec<(SaName, u64)>> {
        self.dump_sas(SaType::Unspec, Vec::new, |counters, message| {
            let bytes = message.lifetime(ExtensionType::LifetimeCurrent).map(|lifetime| lifetime.bytes);
            counters.extend(sa_name(message).ok().flatten().zip(bytes));
        })
    }

    /// Reads all SAs of a type into a `T`.
    pub(super) fn dump_sas<T>(
        &mut self,
        sa_type: SaType,
        empty: impl Fn() -> T,
        take: impl FnMut(&mut T, &Message<'_>),
    ) -> Result<T> {
        self.requests.dump(&Request::Dump(sa_type), empty, take)
    }

    pub(super) fn target(&mut self) -> Target {
        Target { abi: self.requests.abi(), has_xfrm: self.requests.has_xfrm_extensions() }
    }

    /// Registers for ESP, AH and IPComp, as far as the kernel has them.
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

    /// Registers for one SA type. With the first registration ACQUIREs begin, so events that arrive before the reply are
    /// kept.
    fn register_for(&mut self, sa_type: SaType) -> Result<Supported> {
        let (abi, pid) = (self.events.abi(), self.events.pid());
        let header = self.events.request_header(0);
        self.events.backend().submit(&Request::Register(sa_type), header)?;
        let timeout = self.events.answer_timeout();
        let (mut supported, mut events) = (None, Vec::new());
        let received = receive_replies(
            &mut self.events,
            Timeouts { first: timeout, next: timeout },
            |header| (header.message_type, header.sa_type, header.pid) == (MessageType::Register, sa_type, pid),
            |reply| {
                supported = Some(Supported::from_reply(reply));
                ControlFlow::Break(())
            },
            |bytes| events.extend(Message::parse(abi, bytes).ok().map(|message| decode(&message))),
        );
        // Taken out for the time being, because handling an event borrows all of `self`.
        let mut startup_events = std::mem::take(&mut self.startup_events);
        for event in events {
            self.handle(event, &mut |event| startup_events.push_back(event));
        }
        self.startup_events = startup_events;
        received.and(supported.ok_or(Error::Timeout))
    }

    /// Reads the next event without waiting.
    pub(super) fn next(&mut self) -> Result<Option<DecodedEvent>> {
        let abi = self.events.abi();
        match self.events.recv(Some(Duration::ZERO)) {
            Ok(None) => Ok(None),
            Ok(Some(bytes)) => Ok(Some(match Message::parse(abi, bytes) {
                Ok(message) => decode(&message),
                // An error reply may be a bare header that does not parse as its type; it concerns another program.
                Err(_) if peek_header(abi, bytes).is_ok_and(|header| header.errno != 0) => DecodedEvent::Ignored,
                Err(_) => DecodedEvent::Malformed("not a message"),
            })),
            Err(Error::Malformed { .. }) => Ok(Some(DecodedEvent::Malformed("not a message"))),
            Err(error) => Err(error),
        }
    }

    /// Updates the records for an event and reports it. Returns whether policies changed that the event does not name.
    pub(super) fn handle(&mut self, decoded: DecodedEvent, on_event: &mut dyn FnMut(KernelEvent)) -> bool {
        match decoded {
            // The echo of a DELETE that came before the SA was installed again.
            DecodedEvent::Event(KernelEvent::Deleted(name)) if self.stale_deletes.remove(&name) => {}
            DecodedEvent::Event(KernelEvent::Deleted(name)) => {
                self.natt_ports.remove(&name);
                self.forget_sas(Removed::One(&name));
                self.record_sa_gone(&name);
                if !self.expected_deletes.remove(&name) {
                    on_event(KernelEvent::Deleted(name));
                }
            }
            DecodedEvent::Event(KernelEvent::Policy(policy)) => {
                let policy = self.with_reqids(policy);
                on_event(KernelEvent::Policy(policy));
            }
            DecodedEvent::Event(event) => {
                match &event {
                    KernelEvent::Expire(name, Limit::Hard) => {
                        self.natt_ports.remove(name);
                        self.forget_sas(Removed::One(name));
                        self.record_sa_gone(name);
                    }
                    KernelEvent::Flushed(protocol) => self.forget_sas(Removed::All(*protocol)),
                    KernelEvent::PoliciesFlushed => self.policy_names.clear(),
                    _ => {}
                }
                on_event(event);
            }
            DecodedEvent::DeletedBetween(protocol, source, destination) => {
                let matches =
                    |name: &&SaName| (name.protocol, name.source, name.destination) == (protocol, source, destination);
                let names = self.installed.iter().filter(matches).copied().collect::<Vec<_>>();
                for name in names {
                    self.handle(DecodedEvent::Event(KernelEvent::Deleted(name)), on_event);
                }
            }
            DecodedEvent::PolicyDeleted(index) => match self.policy_names.remove(&index) {
                Some(PolicyName { direction, selector, .. }) => {
                    on_event(KernelEvent::PolicyDeleted(direction, selector));
                }
                None => return true,
            },
            DecodedEvent::Migrated(migrations) => {
                on_event(KernelEvent::Migrated(migrations));
                return true;
            }
            DecodedEvent::PoliciesChanged => return true,
            DecodedEvent::Ignored => {}
            DecodedEvent::Malformed(what) => {
                (self.log)(LogRecord::Warning(format!("ignoring a message of the kernel: {what}")));
            }
        }
        false
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
