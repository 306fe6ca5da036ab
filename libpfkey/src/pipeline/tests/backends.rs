//! Backends that answer as a test prescribes.

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::ABI;
use crate::backend::{Backend, Memory};
use crate::dialect::Abi;
use crate::error::{Error, Result};
use crate::request::{Request, RequestHeader};
use crate::strerror::Code;
use crate::wire::{Header, peek_header, replace_header};

/// Result of a scripted backend.
pub(super) type Item = Result<Vec<u8>>;

/// A backend that answers each request as a test prescribes.
pub(super) struct Scripted<F> {
    script: F,
    waiting: VecDeque<Item>,
    /// Never readable: all there is to receive is there when `send` returns.
    quiet: (UnixStream, UnixStream),
    window: usize,
    log: Arc<Mutex<Log>>,
    pub(super) answer_timeout: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) sent: Vec<Header>,
    under_way: usize,
    pub(super) most: usize,
}

/// Waiting so long is as good as hanging.
pub(super) const FOREVER: Duration = Duration::from_secs(3600);

impl<F: FnMut(Header, &[u8]) -> Result<Vec<Item>> + Send> Scripted<F> {
    pub(super) fn new(window: usize, script: F) -> (Box<Self>, Arc<Mutex<Log>>) {
        let log = Arc::<Mutex<Log>>::default();
        let quiet = UnixStream::pair().unwrap();
        let backend =
            Self { script, waiting: VecDeque::new(), quiet, window, log: Arc::clone(&log), answer_timeout: FOREVER };
        (Box::new(backend), log)
    }
}

impl<F> fmt::Debug for Scripted<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scripted")
    }
}

impl<F: FnMut(Header, &[u8]) -> Result<Vec<Item>> + Send> Backend for Scripted<F> {
    fn abi(&self) -> Abi {
        ABI
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.quiet.0.as_fd()
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        let header = peek_header(ABI, message)?;
        self.waiting.extend((self.script)(header, message)?);
        let mut log = self.log.lock().unwrap();
        log.sent.push(header);
        log.under_way += 1;
        log.most = log.most.max(log.under_way);
        Ok(())
    }

    fn recv<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>> {
        let Some(item) = self.waiting.pop_front() else { return Ok(None) };
        let bytes = item?;
        let mut log = self.log.lock().unwrap();
        log.under_way = log.under_way.saturating_sub(1);
        let place = &mut buffer[..bytes.len()];
        place.copy_from_slice(&bytes);
        Ok(Some(place))
    }

    fn window(&self) -> usize {
        self.window
    }

    fn set_receive_buffer(&mut self, kib: usize) -> Result<usize> {
        Ok(kib)
    }

    fn answer_timeout(&self) -> Duration {
        self.answer_timeout
    }
}

/// A handle of the in-process engine whose answers may take any time.
#[derive(Debug)]
pub(super) struct Watched {
    memory: Memory,
    takes_typed: bool,
    messages: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Watched {
    pub(super) fn new(memory: Memory) -> Self {
        Self { memory, takes_typed: false, messages: Arc::default() }
    }

    /// Makes it take typed requests, as NETLINK_XFRM does.
    pub(super) fn typed(memory: Memory) -> Self {
        Self { takes_typed: true, ..Self::new(memory) }
    }

    /// Returns the PF_KEY messages that are sent, except for those of typed requests.
    pub(super) fn messages(&self) -> Arc<Mutex<Vec<Vec<u8>>>> {
        Arc::clone(&self.messages)
    }
}

impl Backend for Watched {
    fn abi(&self) -> Abi {
        self.memory.abi()
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.memory.fd()
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        self.messages.lock().unwrap().push(message.to_vec());
        self.memory.send(message)
    }

    fn submit(&mut self, request: &Request, header: RequestHeader) -> Result<()> {
        self.memory.submit(request, header)
    }

    fn recv<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>> {
        self.memory.recv(buffer)
    }

    fn window(&self) -> usize {
        self.memory.window()
    }

    fn set_receive_buffer(&mut self, kib: usize) -> Result<usize> {
        self.memory.set_receive_buffer(kib)
    }

    fn has_xfrm_extensions(&self) -> bool {
        self.takes_typed
    }

    fn answer_timeout(&self) -> Duration {
        if self.takes_typed { self.memory.answer_timeout() } else { FOREVER }
    }
}

pub(super) fn memory() -> (Memory, Box<Memory>) {
    let memory = Memory::new(ABI).unwrap();
    let handle = memory.another_handle().unwrap();
    (memory, Box::new(handle))
}

/// A bare header back.
pub(super) fn bare(header: Header, change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut header = Header { words: 2, ..header };
    change(&mut header);
    let mut bytes = vec![0; 16];
    replace_header(ABI, &mut bytes, &header).unwrap();
    bytes
}

pub(super) fn echo(header: Header) -> Vec<u8> {
    bare(header, |_| {})
}

pub(super) fn malformed() -> Item {
    Err(Error::Malformed { code: Code::InvalidMessage, what: "a test", offset: 0 })
}
