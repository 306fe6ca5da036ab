//! PF_KEY messages that wait for [`Backend::recv`](crate::backend::Backend::recv).

use std::collections::VecDeque;

use zeroize::{Zeroize as _, Zeroizing};

use crate::dialect::Abi;
use crate::error::Result;
use crate::wire::{Builder, Header};

/// Emptied buffers that are kept for later messages.
const SPARE_MAX: usize = 64;

/// A message and what the kernel said about it.
#[derive(Debug)]
struct Reply {
    message: Zeroizing<Vec<u8>>,
    /// The kernel's explanation of a refusal.
    explanation: Option<String>,
}

/// Messages in the order in which they are returned.
#[derive(Debug, Default)]
pub(super) struct ReplyQueue {
    replies: VecDeque<Reply>,
    /// The kernel's explanation of the message that was returned last.
    explanation: Option<String>,
    spare: Vec<Zeroizing<Vec<u8>>>,
}

impl ReplyQueue {
    /// Copies the next message into a buffer and returns its length; `None` if there is none, or if it does not fit.
    pub(super) fn pop(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let Reply { message, explanation } = self.replies.pop_front()?;
        self.explanation = explanation;
        let length = message.len();
        buffer.get_mut(..length)?.copy_from_slice(&message);
        self.recycle(message);
        Some(length)
    }

    /// The kernel's explanation of the message that was returned last, if that is a refusal.
    pub(super) fn explanation(&self) -> Option<&str> {
        self.explanation.as_deref()
    }

    /// Queues the message that `write` writes. What PF_KEY cannot express is dropped.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) {
        if let Some(message) = self.write(write) {
            self.push_message(message);
        }
    }

    /// Queues a message.
    pub(super) fn push_message(&mut self, message: Zeroizing<Vec<u8>>) {
        self.replies.push_back(Reply { message, explanation: None });
    }

    /// Returns the message that `write` writes, in a buffer that was used before if there is one; `None` if `write` fails.
    pub(super) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Option<Zeroizing<Vec<u8>>> {
        let mut message = self.spare.pop().unwrap_or_default();
        match write(&mut message) {
            Ok(()) => Some(message),
            Err(_) => {
                self.recycle(message);
                None
            }
        }
    }

    /// Answers a request with an errno as `af_key` does, with the base header alone.
    pub(super) fn refuse(&mut self, header: &Header, errno: i32, explanation: Option<String>) {
        let errno = u8::try_from(errno).unwrap_or(u8::MAX);
        let header = Header { errno, ..*header };
        if let Some(message) = self.write(|out| Builder::new(Abi::HOST, header, out)?.finish()) {
            self.replies.push_back(Reply { message, explanation });
        }
    }

    fn recycle(&mut self, mut message: Zeroizing<Vec<u8>>) {
        // It may have held keys, and the next message may be shorter.
        message.zeroize();
        if self.spare.len() < SPARE_MAX {
            self.spare.push(message);
        }
    }
}
