//! A kernel's key engine, for programs: typed requests and their results, and events.

mod display;
mod exchange;

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use self::exchange::{EventQueue, is_missing};
use crate::algorithm::Supported;
use crate::arbitrary::arbitrary_u32;
use crate::backend::{Backend, BackendKind};
use crate::connection::Connection;
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::num::SaType;
use crate::request::{Request, SpiSpec};
use crate::sa::{InstalledSa, SaId, SaSpec};
use crate::security_policy::{InstalledPolicy, PolicyId, PolicySpec};

/// A connection to a key engine: the SAs and policies of a kernel.
///
/// Each method sends a request and waits for its answer. Events that arrive meanwhile are kept for
/// [`Kernel::next_event`].
///
/// ```
/// use libpfkey::algorithm::{Authentication, Encryption};
/// use libpfkey::backend::{BackendKind, Memory};
/// use libpfkey::{Abi, Kernel, SaSpec, SaType};
///
/// // Kernel::open() for the system's own kernel.
/// let mut kernel = Kernel::with_backend(Box::new(Memory::new(Abi::HOST)?));
/// let sa = SaSpec::esp("192.0.2.1".parse()?, "192.0.2.2".parse()?, 0x1001)
///     .encryption(Encryption::AesCbc, b"sixteen byte key")
///     .authentication(Authentication::HmacSha1, &[0x5a; 20])
///     .build()?;
/// kernel.add(&sa)?;
/// assert_eq!(kernel.dump(SaType::Esp)?.len(), 1);
/// let error = kernel.add(&sa).unwrap_err();
/// assert_eq!(error.errno(), Some(17), "EEXIST");
/// kernel.delete(&sa.id)?;
/// assert_eq!(kernel.get(&sa.id)?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Kernel {
    connection: Connection,
    /// Sequence number of the first request, and of the next one.
    first_seq: u32,
    next_seq: u32,
    events: EventQueue,
}

impl Kernel {
    /// Opens the system's best kernel interface: on Linux NETLINK_XFRM, else PF_KEY. The environment variable
    /// `LIBPFKEY_BACKEND` chooses another.
    ///
    /// # Errors
    /// [`Error::System`], mostly for lack of privilege; [`Error::Backend`] if the kernel has no IPsec interface.
    pub fn open() -> Result<Self> {
        Self::open_kind(&BackendKind::from_environment()?, Dialect::from_environment()?)
    }

    /// Opens a kernel interface. The dialect is the system's; for [`BackendKind::Memory`] and [`BackendKind::Socket`] it
    /// can be chosen.
    ///
    /// # Errors
    /// As [`BackendKind::open`].
    pub fn open_kind(kind: &BackendKind, dialect: Option<Dialect>) -> Result<Self> {
        Ok(Self::with_backend(kind.open(dialect)?))
    }

    /// Uses a backend that is open.
    pub fn with_backend(backend: Box<dyn Backend>) -> Self {
        // On Linux a small number can match a pending acquire and consume it.
        let first_seq = 0x8000_0000 | arbitrary_u32() >> 2;
        Self { connection: Connection::new(backend), first_seq, next_seq: first_seq, events: EventQueue::default() }
    }

    /// The dialect of the kernel.
    pub fn dialect(&self) -> Dialect {
        self.connection.abi().dialect
    }

    /// Becomes readable when messages arrive. Before you wait for that, take all events with [`Kernel::next_event`].
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.connection.fd()
    }

    /// Installs an SA.
    ///
    /// # Errors
    /// [`Error::Spec`] for a specification that is contradictory or that the kernel interface cannot express, such as a replay
    /// window above 32 packets over Linux' PF_KEY; [`Error::Request`] when the kernel refuses it.
    pub fn add(&mut self, sa: &SaSpec) -> Result<()> {
        self.run(&Request::Add(Box::new(sa.clone())))
    }

    /// Completes the SA of an allocated SPI, or changes an SA. What can be changed depends on the kernel; mostly it is the
    /// limits.
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn update(&mut self, sa: &SaSpec) -> Result<()> {
        self.run(&Request::Update(Box::new(sa.clone())))
    }

    /// Removes an SA.
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn delete(&mut self, id: &SaId) -> Result<()> {
        self.run(&Request::Delete(*id))
    }

    /// Removes all SAs of a type between two addresses.
    ///
    /// # Errors
    /// As [`Kernel::add`]; [`Error::NotInDialect`] over Linux' PF_KEY, which has no such request.
    pub fn delete_all(&mut self, sa_type: SaType, source: SocketAddr, destination: SocketAddr) -> Result<()> {
        self.run(&Request::DeleteAll(sa_type, source, destination))
    }

    /// Returns the SA with this name; `None` if there is none.
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn get(&mut self, id: &SaId) -> Result<Option<InstalledSa>> {
        let sa = self.ask(&Request::Get(*id), InstalledSa::from_message);
        none_if_missing(sa.map(Option::flatten))
    }

    /// Lists the SAs of a type; [`SaType::Unspec`] is all types.
    ///
    /// # Errors
    /// As [`Kernel::add`]; [`Error::Incomplete`] if entries were lost each time.
    pub fn dump(&mut self, sa_type: SaType) -> Result<Vec<InstalledSa>> {
        self.list(&Request::Dump(sa_type), InstalledSa::from_message)
    }

    /// Removes all SAs of a type; [`SaType::Unspec`] is all types.
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn flush(&mut self, sa_type: SaType) -> Result<()> {
        self.run(&Request::Flush(sa_type))
    }

    /// Returns the kernel's algorithms. From now on this connection receives acquires and expiries of SAs of the type.
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn register(&mut self, sa_type: SaType) -> Result<Supported> {
        self.ask(&Request::Register(sa_type), Supported::from_reply).map(Option::unwrap_or_default)
    }

    /// Reserves an SPI for an SA to this host. [`Kernel::update`] completes the SA.
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn allocate_spi(&mut self, spi: &SpiSpec) -> Result<u32> {
        let answer = self.ask(&Request::AllocateSpi(spi.clone()), |message| message.sa().map(|sa| sa.spi))?;
        answer.flatten().ok_or(Error::Incomplete)
    }

    /// Installs a policy.
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn policy_add(&mut self, policy: &PolicySpec) -> Result<()> {
        self.run(&Request::PolicyAdd(Box::new(policy.clone())))
    }

    /// Installs a policy, or replaces the one of its name.
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn policy_update(&mut self, policy: &PolicySpec) -> Result<()> {
        self.run(&Request::PolicyUpdate(Box::new(policy.clone())))
    }

    /// Removes a policy.
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn policy_delete(&mut self, id: &PolicyId) -> Result<()> {
        self.run(&Request::PolicyDelete(Box::new(id.clone())))
    }

    /// Removes the policy with this index.
    ///
    /// # Errors
    /// As [`Kernel::add`]; over NETLINK_XFRM as [`Kernel::policy_dump`], too.
    pub fn policy_delete_index(&mut self, index: u32) -> Result<()> {
        match self.run(&Request::PolicyDeleteIndex(index)) {
            Err(error) if is_missing(&error) => match self.policy_listed(index)? {
                Some(policy) => self.policy_delete(&policy.spec.id),
                None => Err(error),
            },
            outcome => outcome,
        }
    }

    /// Returns the policy with this index; `None` if there is none.
    ///
    /// # Errors
    /// As [`Kernel::add`]; over NETLINK_XFRM as [`Kernel::policy_dump`], too.
    pub fn policy_get(&mut self, index: u32) -> Result<Option<InstalledPolicy>> {
        let policy = self.ask(&Request::PolicyGet(index), InstalledPolicy::from_message);
        match none_if_missing(policy.map(Option::flatten))? {
            None => self.policy_listed(index),
            found => Ok(found),
        }
    }

    /// Looks for an index among all policies, where the kernel does not find all of them by it. NETLINK_XFRM compares mark and
    /// XFRM interface as well, which the caller may not know.
    fn policy_listed(&mut self, index: u32) -> Result<Option<InstalledPolicy>> {
        if !self.connection.backend().has_xfrm_extensions() {
            return Ok(None);
        }
        Ok(self.policy_dump()?.into_iter().find(|policy| policy.index == index))
    }

    /// Lists the policies, without those of sockets.
    ///
    /// # Errors
    /// As [`Kernel::dump`].
    pub fn policy_dump(&mut self) -> Result<Vec<InstalledPolicy>> {
        self.list(&Request::PolicyDump, InstalledPolicy::from_message)
    }

    /// Removes all policies.
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn policy_flush(&mut self) -> Result<()> {
        self.run(&Request::PolicyFlush)
    }

    /// Waits for the next event; `None` if there is none within the timeout. Without a timeout it waits indefinitely.
    ///
    /// # Errors
    /// [`Error::System`]
    pub fn next_event(&mut self, timeout: Option<Duration>) -> Result<Option<Event>> {
        // A timeout that exceeds the clock's range is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            if let Some(event) = self.events.pop() {
                return Ok(Some(event));
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if !self.take_message(left)? {
                return Ok(None);
            }
        }
    }

    /// Iterates over all events from now on. It waits for each of them and never ends.
    ///
    /// ```no_run
    /// use libpfkey::{Event, Kernel, SaType};
    ///
    /// let mut kernel = Kernel::open()?;
    /// kernel.register(SaType::Esp)?;
    /// for event in kernel.events() {
    ///     if let Event::Acquire(acquire) = event? {
    ///         println!("negotiate an SA with {}", acquire.destination.ip());
    ///     }
    /// }
    /// # Ok::<(), libpfkey::Error>(())
    /// ```
    pub fn events(&mut self) -> Events<'_> {
        Events { kernel: self }
    }

    /// Whether events were lost since the last call: the kernel reported it, or more events arrived than are kept for
    /// [`Kernel::next_event`].
    pub fn has_lost_events(&mut self) -> bool {
        let lost = self.connection.backend().has_lost();
        self.events.has_lost() || lost
    }
}

/// The events of a [`Kernel`]; see [`Kernel::events`].
#[derive(Debug)]
pub struct Events<'k> {
    kernel: &'k mut Kernel,
}

impl Iterator for Events<'_> {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        self.kernel.next_event(None).transpose()
    }
}

fn none_if_missing<T>(result: Result<Option<T>>) -> Result<Option<T>> {
    match result {
        Err(error) if is_missing(&error) => Ok(None),
        other => other,
    }
}
