//! A client of a server, and the messages queued for it.

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use zeroize::{Zeroize as _, Zeroizing};

use crate::backend::socket::{recv_datagram, send_datagram};
use crate::num::SaType;

/// Limit of the bytes queued for a client; a client that does not read them is disconnected. A dump of 50,000 SAs is 12 MiB.
const BACKLOG_LIMIT: usize = 64 << 20;

/// An event of a client, for the log.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClientEvent {
    /// A client of this user connected.
    Accepted {
        /// Its effective user id.
        uid: u32,
    },
    /// A client was disconnected: it sent no PF_KEY message, or does not read.
    CutOff {
        /// Why.
        reason: &'static str,
    },
    /// A client was refused: its user is neither root nor the server's own.
    Refused {
        /// Its effective user id.
        uid: u32,
    },
}

impl fmt::Display for ClientEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { uid } => write!(f, "client of uid {uid} connected"),
            Self::CutOff { reason } => write!(f, "client cut off: {reason}"),
            Self::Refused { uid } => write!(f, "client of uid {uid} refused: neither root nor this server's own user"),
        }
    }
}

/// A client and the messages queued for it.
#[derive(Debug)]
pub(super) struct Client {
    socket: OwnedFd,
    waiting: VecDeque<Zeroizing<Vec<u8>>>,
    waiting_bytes: usize,
    /// SA types that the client has registered for.
    pub(super) registered: Vec<SaType>,
}

impl Client {
    /// A client without messages.
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self { socket, waiting: VecDeque::new(), waiting_bytes: 0, registered: Vec::new() }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Whether messages are queued.
    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Receives one datagram without waiting, through a buffer that is wiped afterwards.
    ///
    /// # Errors
    /// EAGAIN if there is none; others if the connection is broken.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> nix::Result<Zeroizing<Vec<u8>>> {
        let length = recv_datagram(self.socket.as_fd(), buffer)?;
        let received = buffer.get_mut(..length).unwrap_or_default();
        let message = Zeroizing::new(received.to_vec());
        received.zeroize();
        Ok(message)
    }

    /// Queues a message. Returns `false` if more bytes wait than the limit.
    #[must_use]
    pub(super) fn enqueue(&mut self, message: Zeroizing<Vec<u8>>) -> bool {
        self.waiting_bytes += message.len();
        self.waiting.push_back(message);
        self.waiting_bytes <= BACKLOG_LIMIT
    }

    /// Sends queued messages until the socket is full.
    ///
    /// # Errors
    /// The errno of a broken connection.
    pub(super) fn drain(&mut self) -> nix::Result<()> {
        while let Some(message) = self.waiting.front() {
            match send_datagram(self.socket.as_fd(), message) {
                // One that does not fit the socket's buffer can never be sent.
                Ok(()) | Err(Errno::EMSGSIZE) => {
                    self.waiting_bytes = self.waiting_bytes.saturating_sub(message.len());
                    self.waiting.pop_front();
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN | Errno::ENOBUFS) => return Ok(()),
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}
