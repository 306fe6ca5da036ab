//! An in-process key engine for any PF_KEY dialect, which needs neither a kernel nor root. It answers as the kernel of its
//! dialect does. It sees no packets except those that [`Memory::packet_out`] simulates.

mod engine;
mod event;
mod queue;
mod reply;
mod sa_dump;
mod sa_request;
mod sad;
mod spd;
mod spd_request;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;

use super::Backend;
use crate::dialect::Abi;
use crate::error::{Error, Result};
use crate::num::{MessageType, SaType};
use engine::Engine;
use queue::{Queue, Signal};

/// Requests in flight. No answer is lost for lack of buffer space, so this only limits memory.
const WINDOW: usize = 64;

/// A handle of a key engine, as a PF_KEY socket is one of a kernel. The engine lives as long as its last handle.
///
/// ```
/// use libpfkey::backend::{Backend, Memory};
/// use libpfkey::{Abi, Dialect, Header, Message, MessageType, SaType};
///
/// let abi = Abi::of(Dialect::NetBsd);
/// let mut memory = Memory::new(abi)?;
/// let mut bytes = Vec::new();
/// Message { abi, header: Header::new(MessageType::Dump, SaType::Unspec), extensions: vec![] }.emit(&mut bytes)?;
/// memory.send(&bytes)?;
/// let mut buffer = vec![0; libpfkey::backend::MESSAGE_MAX];
/// let answer = Message::parse(abi, memory.recv(&mut buffer)?.expect("an answer"))?;
/// assert_eq!(answer.header.errno, 2, "ENOENT: there are no SAs");
/// # Ok::<(), libpfkey::Error>(())
/// ```
#[derive(Debug)]
pub struct Memory {
    engine: Arc<Mutex<Engine>>,
    id: u64,
    abi: Abi,
    signal: Signal,
}

impl Memory {
    /// A new, empty engine of a dialect, and its first handle.
    ///
    /// # Errors
    /// [`Error::System`] when there are no file descriptors left.
    pub fn new(abi: Abi) -> Result<Self> {
        Self::handle(Arc::new(Mutex::new(Engine::new(abi))), abi)
    }

    /// Another handle of the same engine, as another process would have.
    ///
    /// # Errors
    /// [`Error::System`] when there are no file descriptors left.
    pub fn another_handle(&self) -> Result<Self> {
        Self::handle(Arc::clone(&self.engine), self.abi)
    }

    fn handle(engine: Arc<Mutex<Engine>>, abi: Abi) -> Result<Self> {
        let (queue, signal) = Queue::new().map_err(|source| Error::System { call: "socketpair", source })?;
        let id = engine.lock().unwrap_or_else(PoisonError::into_inner).add_handle(queue);
        Ok(Self { engine, id, abi, signal })
    }

    /// Simulates an outbound packet: sends an ACQUIRE to the registered handles for each missing SA that the matching policy
    /// demands, and returns their number. While an ACQUIRE is pending, it is not repeated.
    pub fn packet_out(&self, source: SocketAddr, destination: SocketAddr, proto: u8) -> usize {
        self.engine().packet_out(source, destination, proto)
    }

    /// The action of the policy that matches a packet, one of the `POLICY_` numbers. The direction is one of the `DIR_`
    /// numbers. Without a matching policy, which is `None`, the packet passes.
    pub fn decision(&self, direction: u8, source: SocketAddr, destination: SocketAddr, proto: u8) -> Option<u16> {
        let engine = self.engine();
        engine.spd.matching(direction, (source, destination, proto)).map(|stored| stored.policy.kind)
    }

    /// Makes an SA reach its soft limit. Returns whether there is such an SA.
    pub fn expire_soft(&self, sa_type: SaType, source: IpAddr, destination: IpAddr, spi: u32) -> bool {
        let mut engine = self.engine();
        let age = engine.sad.find((sa_type, SocketAddr::new(source, 0), SocketAddr::new(destination, 0)), spi);
        age.map(|age| engine.expire_soft(age)).is_some()
    }

    /// Makes an SA reach its hard limit. Returns whether there was such an SA.
    pub fn expire_hard(&self, sa_type: SaType, source: IpAddr, destination: IpAddr, spi: u32) -> bool {
        let mut engine = self.engine();
        let age = engine.sad.find((sa_type, SocketAddr::new(source, 0), SocketAddr::new(destination, 0)), spi);
        age.map(|age| engine.expire_hard(age)).is_some()
    }

    /// Sets the engine's clock, in seconds since 1970, and expires what has reached a time limit. The clock stands still until
    /// it is set again.
    pub fn set_time(&self, seconds: u64) {
        self.engine().set_time(seconds);
    }

    /// Makes the next request of a type fail with an errno of the host.
    pub fn fail_next(&self, message_type: MessageType, errno: i32) {
        self.engine().fail_next(message_type, Errno::from_raw(errno));
    }

    /// Drops the next answers, as a kernel with a full receive buffer does.
    pub fn drop_next_replies(&self, count: usize) {
        self.engine().drop_next(count);
    }

    /// The engine, even if another thread has panicked: its databases stay consistent.
    fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.engine().remove_handle(self.id);
    }
}

impl Backend for Memory {
    fn abi(&self) -> Abi {
        self.abi
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.signal.fd()
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        self.engine().receive(self.id, message).map_err(|errno| Error::system("send", errno))
    }

    fn recv<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>> {
        let message = self.engine().queue(self.id).and_then(|queue| queue.pop(&self.signal));
        let Some(message) = message else { return Ok(None) };
        let place = buffer.get_mut(..message.len()).ok_or_else(|| Error::system("recv", Errno::EMSGSIZE))?;
        place.copy_from_slice(&message);
        Ok(Some(place))
    }

    fn window(&self) -> usize {
        WINDOW
    }

    fn set_receive_buffer(&mut self, kib: usize) -> Result<usize> {
        Ok(kib)
    }
}
