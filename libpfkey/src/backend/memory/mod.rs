//! An in-process key engine that speaks PF_KEY in any dialect: no kernel, no root, gone with the process. It does
//! to messages what that dialect's kernel does; packets it has none.

mod queue;

use std::os::fd::BorrowedFd;

use super::Backend;
use crate::dialect::Abi;
use crate::error::{Error, Result};
use queue::{Queue, Signal};

/// A handle of a key engine, as a PF_KEY socket is one of a kernel.
#[derive(Debug)]
pub struct Memory {
    abi: Abi,
    queue: Queue,
    signal: Signal,
}

impl Memory {
    /// A new, empty engine of a dialect, and its first handle.
    ///
    /// # Errors
    /// [`Error::System`] when there are no file descriptors left.
    pub fn new(abi: Abi) -> Result<Self> {
        let (queue, signal) = Queue::new().map_err(|source| Error::System { call: "socketpair", source })?;
        Ok(Self { abi, queue, signal })
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
        self.queue.push(message.to_vec().into());
        Ok(())
    }

    fn recv<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>> {
        let Some(message) = self.queue.pop(&self.signal) else { return Ok(None) };
        let Some(place) = buffer.get_mut(..message.len()) else {
            return Err(Error::errno("recv", nix::errno::Errno::EMSGSIZE));
        };
        place.copy_from_slice(&message);
        Ok(Some(place))
    }

    fn window(&self) -> usize {
        64
    }

    fn set_receive_buffer(&mut self, kib: usize) -> Result<usize> {
        Ok(kib)
    }
}
