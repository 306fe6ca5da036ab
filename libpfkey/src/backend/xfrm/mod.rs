//! Linux' NETLINK_XFRM behind PF_KEY messages, for kernels without `af_key`. A request becomes netlink requests; an answer,
//! an acknowledgement or a notification becomes the message that `af_key` would have sent.
//!
//! A typed request ([`Backend::submit`]) and the bytes of a PF_KEY message ([`Backend::send`]) both become a [`Message`],
//! of which `requests` makes netlink requests.
//!
//! Requests that change something are sent without the flag ACK. This socket is a member of the notification groups, and
//! the kernel copies the sequence number and process id of a request into the notification of its change, which thereby is
//! the answer that `af_key` gives. With [`Backend::set_brief_answers`] it leaves the groups and sends
//! changes with the flag: the kernel then answers with a short acknowledgement, not with a notification of the whole SA or
//! policy.

mod algorithm;
mod between;
mod conversion;
mod dump;
mod event;
mod layout;
mod migrate;
mod netlink;
mod numbers;
mod pending;
mod policy_reply;
mod policy_request;
mod register;
mod reply_queue;
mod requests;
mod sa_reply;
mod sa_request;
mod session;
mod soft_expiry;
#[cfg(test)]
mod tests;
mod translator;

use std::os::fd::BorrowedFd;

use self::conversion::Errno;
use self::netlink::NetlinkSocket;
use self::numbers::message;
use self::pending::{Expect, Pending};
use self::session::{BATCH_REQUESTS, Session, Transport, soft_lookup};
use self::translator::Translator;
use super::Backend;
use crate::dialect::Abi;
use crate::error::{Error, Result};
use crate::num::{MessageType, PF_KEY_V2, SaType};
use crate::request::{Encoding, Request, RequestHeader};
use crate::wire::{Header, Message, peek_header};

/// A NETLINK_XFRM socket with the interface of a PF_KEY socket.
#[derive(Debug)]
pub struct Xfrm(Session<NetlinkSocket>);

impl Xfrm {
    /// Opens the socket.
    ///
    /// # Errors
    /// [`Error::System`]: EPROTONOSUPPORT where the kernel has no NETLINK_XFRM, EPERM without privilege.
    pub fn open() -> Result<Self> {
        Session::open().map(Self)
    }
}

impl Backend for Xfrm {
    fn abi(&self) -> Abi {
        Abi::HOST
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    /// Requests are sent in batches, at the latest when [`Backend::recv`] is called.
    fn send(&mut self, message: &[u8]) -> Result<()> {
        send(&mut self.0, message)
    }

    /// As [`Backend::send`], but no PF_KEY bytes are written.
    fn submit(&mut self, request: &Request, header: RequestHeader) -> Result<()> {
        submit(&mut self.0, request, header)
    }

    fn set_brief_answers(&mut self) -> Result<()> {
        self.0.set_brief()
    }

    fn recv<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>> {
        self.0.recv(buffer)
    }

    fn window(&self) -> usize {
        // One batch is filled while the answers to the other are read.
        BATCH_REQUESTS * 2
    }

    fn set_receive_buffer(&mut self, kib: usize) -> Result<usize> {
        self.0.transport.set_receive_buffer(kib.saturating_mul(1024)).map(|bytes| bytes >> 10)
    }

    fn has_lost(&mut self) -> bool {
        self.0.has_lost()
    }

    fn has_xfrm_extensions(&self) -> bool {
        true
    }

    fn explanation(&self) -> Option<&str> {
        self.0.translator.replies.explanation()
    }
}

impl Drop for Xfrm {
    fn drop(&mut self) {
        // Requests count as sent once they are handed over, even if nobody reads the answers.
        self.0.flush();
    }
}

/// Carries out a typed request.
fn submit<T: Transport>(session: &mut Session<T>, request: &Request, header: RequestHeader) -> Result<()> {
    let encoding = Encoding { xfrm_extensions: true, ..Encoding::default() };
    session.request(&request.message(header, encoding)?)
}

/// Carries out the request in a PF_KEY message. `af_key` fails the call for a bad base header, and answers everything else.
fn send<T: Transport>(session: &mut Session<T>, message: &[u8]) -> Result<()> {
    let abi = Abi::HOST;
    let header = peek_header(abi, message).map_err(|_| refused(libc::EMSGSIZE))?;
    if header.version != PF_KEY_V2 || header.reserved != 0 || matches!(header.message_type, MessageType::Other(_)) {
        return Err(refused(libc::EINVAL));
    }
    if usize::from(header.words) * 8 != message.len() {
        return Err(refused(libc::EMSGSIZE));
    }
    match Message::parse(abi, message) {
        Ok(message) => session.request(&message),
        Err(_) => session.refuse(&header, libc::EINVAL),
    }
}

/// What `send(2)` on a PF_KEY socket returns.
fn refused(errno: Errno) -> Error {
    Error::System { call: "send", source: std::io::Error::from_raw_os_error(errno) }
}

/// Translates the datagrams of a kernel for a handle that has registered and has one request of each kind under way, with
/// sequence numbers from 0. For tests with hostile bytes.
#[doc(hidden)]
pub fn translate(datagrams: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut translator = Translator::new(1);
    translator.registered.insert(3);
    let requests = [
        (message::GETSA, Expect::Dump, MessageType::Dump),
        (message::GETPOLICY, Expect::Dump, MessageType::SpdDump),
        (message::GETSA, Expect::Entry, MessageType::Get),
        (message::GETPOLICY, Expect::Entry, MessageType::SpdGet),
        (message::NEWSA, Expect::Echo, MessageType::Add),
        (message::FLUSHSA, Expect::Ack, MessageType::Flush),
        (message::GETPOLICY, Expect::Reqids, MessageType::SpdDump),
        (message::UPDSA, Expect::Probe(0), MessageType::Register),
    ];
    for (seq, (kind, expect, message_type)) in (0..).zip(requests) {
        let header = Header { seq, pid: 2, ..Header::new(message_type, SaType::Unspec) };
        translator.expect(Pending { seq, kind, expect, header });
    }
    for datagram in datagrams {
        // A truncated datagram is no reason to stop: the kernel's next one is independent of it.
        let _ = translator.datagram(datagram);
        while translator.next_soft().is_some() {
            translator.expect(soft_lookup());
        }
    }
    let mut buffer = vec![0; super::MESSAGE_MAX];
    let next = || translator.replies.pop(&mut buffer).map(|length| buffer.iter().take(length).copied().collect());
    std::iter::from_fn(next).collect()
}
