//! The messages queued for one handle, and the file descriptor that signals them.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use zeroize::{Zeroize, Zeroizing};

/// Upper bound of the messages queued for a handle.
const LIMIT: usize = 1 << 20;

/// The engine's side of a handle's queue.
#[derive(Debug)]
pub(super) struct Queue {
    messages: VecDeque<Zeroizing<Vec<u8>>>,
    /// Holds one byte while there are messages.
    bell: UnixStream,
}

/// The handle's side: readable while there are messages.
#[derive(Debug)]
pub(super) struct Signal(UnixStream);

impl Queue {
    /// An empty queue and its signal.
    pub(super) fn new() -> io::Result<(Self, Signal)> {
        let (bell, signal) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        signal.set_nonblocking(true)?;
        Ok((Self { messages: VecDeque::new(), bell }, Signal(signal)))
    }

    /// Appends a message, or drops it silently if the queue is full, as kernels do.
    pub(super) fn push(&mut self, message: Zeroizing<Vec<u8>>) {
        if self.messages.len() >= LIMIT {
            return;
        }
        if self.messages.is_empty() {
            // The stream is empty, so there is room for the byte.
            let _ = self.bell.write(&[0]);
        }
        self.messages.push_back(message);
    }

    /// Removes the oldest message; the last one clears the signal.
    pub(super) fn pop(&mut self, signal: &Signal) -> Option<Zeroizing<Vec<u8>>> {
        let message = self.messages.pop_front()?;
        if self.messages.is_empty() {
            let mut byte = [0];
            let _ = (&signal.0).read(&mut byte);
            byte.zeroize();
        }
        Some(message)
    }
}

impl Signal {
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
