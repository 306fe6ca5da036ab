//! Netlink frames and attributes, and the socket.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};

use super::numbers::{NETLINK_XFRM, attribute, flag, group};
use crate::arbitrary::arbitrary_u32;
use crate::backend::batch::Batch;
use crate::dialect::Abi;
use crate::error::{Error, Result};
use crate::strerror::Code;
use crate::wire::XfrmMark;
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;

/// Size of a frame's header (`nlmsghdr`).
const HEADER: usize = 16;

/// Datagrams received with one system call.
const BATCH: usize = 8;

/// Upper bound of a datagram in bytes. The parts of a dump have up to 32 KiB.
const DATAGRAM_MAX: usize = 64 << 10;

/// Receive buffer in bytes, that of libipsec. A burst of events that exceeds it causes ENOBUFS.
const SOCKET_BUFFER: usize = 2 << 20;

/// Longest explanation that is passed on, in bytes. Those of Linux have up to 80.
const EXPLANATION_MAX: usize = 200;

/// A received frame.
#[derive(Clone, Debug)]
pub(super) struct Frame<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) seq: u32,
    /// In a notification the process id of the request that caused it, in an answer the port of this socket.
    pub(super) pid: u32,
    pub(super) body: Reader<'a>,
}

/// Reads the next frame of a datagram; `None` at its end.
///
/// # Errors
/// [`Error::Malformed`]
pub(super) fn next_frame<'a>(datagram: &mut Reader<'a>) -> Result<Option<Frame<'a>>> {
    if datagram.remaining() < HEADER {
        return Ok(None);
    }
    let length = usize::try_from(datagram.clone().u32()?).unwrap_or(usize::MAX);
    if length < HEADER || length > datagram.remaining() {
        return Err(datagram.malformed(Code::InvalidMessage, "a netlink frame of impossible length"));
    }
    let padded = length.next_multiple_of(4).min(datagram.remaining());
    let mut frame = datagram.sub(padded)?.sub(length)?;
    frame.skip(4)?;
    let (kind, flags, seq, pid) = (frame.u16()?, frame.u16()?, frame.u32()?, frame.u32()?);
    Ok(Some(Frame { kind, flags, seq, pid, body: frame }))
}

/// Reads the number and the contents of the next attribute; `None` at the end.
///
/// # Errors
/// [`Error::Malformed`]
pub(super) fn next_attribute<'a>(reader: &mut Reader<'a>) -> Result<Option<(u16, Reader<'a>)>> {
    if reader.remaining() < 4 {
        return Ok(None);
    }
    let length = usize::from(reader.clone().u16()?);
    if length < 4 || length > reader.remaining() {
        return Err(reader.malformed(Code::InvalidMessage, "a netlink attribute of impossible length"));
    }
    let padded = length.next_multiple_of(4).min(reader.remaining());
    let mut contents = reader.sub(padded)?.sub(length)?;
    contents.skip(2)?;
    let number = contents.u16()? & attribute::MASK;
    Ok(Some((number, contents)))
}

/// The header of a frame to be sent. The kernel copies `seq` and `pid` into the notifications that a request causes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heading {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) seq: u32,
    pub(super) pid: u32,
}

/// Appends a frame to a batch. If `body` fails, the batch is unchanged.
///
/// # Errors
/// Those of `body`.
pub(super) fn push_frame(
    batch: &mut Vec<u8>,
    heading: Heading,
    body: impl FnOnce(&mut Writer<'_>) -> Result<()>,
) -> Result<()> {
    let start = batch.len();
    let mut writer = Writer::new(batch, Abi::HOST);
    // The length is patched in when the body is complete.
    writer.u32(0);
    writer.u16(heading.kind);
    writer.u16(heading.flags);
    writer.u32(heading.seq);
    writer.u32(heading.pid);
    let result = body(&mut writer);
    let length = writer.len() - start;
    if let Err(error) = result {
        batch.truncate(start);
        return Err(error);
    }
    writer.patch_u32(start, u32::try_from(length).map_err(|_| Error::Refused(Code::NoBuffers))?);
    writer.zeros(length.next_multiple_of(4) - length);
    Ok(())
}

/// Appends the attribute of a mark, if there is one.
pub(super) fn push_mark(writer: &mut Writer<'_>, mark: Option<XfrmMark>) -> Result<()> {
    mark.map_or(Ok(()), |mark| push_attribute(writer, attribute::MARK, |contents| mark.emit(contents)))
}

/// Appends the attribute of an XFRM interface, if there is one.
pub(super) fn push_if_id(writer: &mut Writer<'_>, if_id: Option<u32>) -> Result<()> {
    if_id.map_or(Ok(()), |id| push_attribute(writer, attribute::IF_ID, |contents| contents.u32(id)))
}

/// Appends an attribute.
///
/// # Errors
/// [`Code::NoBuffers`] when it is too long.
pub(super) fn push_attribute(
    writer: &mut Writer<'_>,
    number: u16,
    contents: impl FnOnce(&mut Writer<'_>),
) -> Result<()> {
    let start = writer.len();
    writer.u16(0);
    writer.u16(number);
    contents(writer);
    let length = writer.len() - start;
    writer.patch_u16(start, u16::try_from(length).map_err(|_| Error::Refused(Code::NoBuffers))?);
    writer.zeros(length.next_multiple_of(4) - length);
    Ok(())
}

/// The contents of an error frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// 0 for an acknowledgement.
    pub(super) errno: i32,
    /// Type and process id of the request's frame, where the kernel repeats its header.
    pub(super) request: Option<(u16, u32)>,
    /// The kernel's explanation, where it gives one (extended acknowledgement).
    pub(super) explanation: Option<String>,
}

impl Verdict {
    /// Reads the body of an error frame, or of the frame that ends a dump.
    pub(super) fn parse(flags: u16, body: &mut Reader<'_>) -> Result<Self> {
        // The field holds the negated errno.
        let errno = body.u32()?.cast_signed().checked_neg().unwrap_or(libc::EINVAL);
        if body.remaining() < HEADER {
            return Ok(Self { errno, request: None, explanation: None });
        }
        let (length, kind, _flags, _seq, pid) = (body.u32()?, body.u16()?, body.u16()?, body.u32()?, body.u32()?);
        let explanation = if flags & flag::ACK_TLVS == 0 {
            None
        } else {
            // Without the flag CAPPED the frame repeats the whole request.
            let repeated =
                if flags & flag::CAPPED == 0 { usize::try_from(length).unwrap_or(usize::MAX) } else { HEADER };
            find_explanation(repeated.saturating_sub(HEADER), body)
        };
        Ok(Self { errno, request: Some((kind, pid)), explanation })
    }
}

/// The text among the attributes after `skipped` bytes of an error frame. Malformed attributes are ignored, because the errno
/// is valid without them.
fn find_explanation(skipped: usize, body: &mut Reader<'_>) -> Option<String> {
    body.skip(skipped.checked_next_multiple_of(4)?).ok()?;
    while let Ok(Some((number, contents))) = next_attribute(body) {
        if number == attribute::ACK_MESSAGE {
            return printable(contents.rest());
        }
    }
    None
}

/// Makes a part of an error line of the kernel's text: printable, one line, no full stop.
fn printable(bytes: &[u8]) -> Option<String> {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = text.get(..EXPLANATION_MAX).unwrap_or(text);
    let text = String::from_utf8_lossy(text).replace(char::is_control, " ");
    let text = text.trim().trim_end_matches('.');
    (!text.is_empty()).then(|| text.to_owned())
}

/// A NETLINK_XFRM socket.
#[derive(Debug)]
pub(super) struct NetlinkSocket {
    socket: Socket,
    batch: Batch,
    port: u32,
}

impl NetlinkSocket {
    /// Opens the socket and joins the groups for changes of SAs and policies.
    ///
    /// # Errors
    /// [`Error::System`]: EPROTONOSUPPORT where the kernel has no NETLINK_XFRM, EPERM without privilege.
    pub(super) fn open() -> Result<Self> {
        let system = |call| move |source| Error::System { call, source };
        let mut socket = Socket::new(NETLINK_XFRM).map_err(system("NETLINK_XFRM"))?;
        let port = bind(&mut socket).map_err(system("bind"))?;
        // An error frame then repeats only the header of the request, not its keys.
        let _ = socket.set_cap_ack(true);
        // An error frame then has the kernel's explanation, from Linux 4.12 on.
        let _ = socket.set_ext_ack(true);
        let mut opened = Self { socket, batch: Batch::new(BATCH, DATAGRAM_MAX), port };
        opened.set_receive_buffer(SOCKET_BUFFER)?;
        [group::SA, group::POLICY, group::MIGRATE].into_iter().try_for_each(|number| opened.join(number))?;
        Ok(opened)
    }

    /// Joins a multicast group.
    ///
    /// # Errors
    /// [`Error::System`]
    pub(super) fn join(&mut self, number: u32) -> Result<()> {
        // The first call that needs privilege, so its error names the whole interface.
        self.socket.add_membership(number).map_err(|source| Error::System { call: "NETLINK_XFRM", source })
    }

    /// Leaves a multicast group.
    ///
    /// # Errors
    /// [`Error::System`]
    pub(super) fn leave(&mut self, number: u32) -> Result<()> {
        self.socket.drop_membership(number).map_err(|source| Error::System { call: "NETLINK_XFRM", source })
    }

    /// The socket's address, which the answers to its requests carry.
    pub(super) fn port(&self) -> u32 {
        self.port
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Raises the receive buffer to this size and returns the size that it has, both in bytes.
    ///
    /// # Errors
    /// [`Error::System`]
    pub(super) fn set_receive_buffer(&mut self, bytes: usize) -> Result<usize> {
        let size = || self.socket.get_rx_buf_sz().map_err(|source| Error::System { call: "getsockopt", source });
        if size()? < bytes && setsockopt(&self.socket, sockopt::RcvBufForce, &bytes).is_err() {
            // Without privilege the system limits the size.
            let _ = setsockopt(&self.socket, sockopt::RcvBuf, &bytes);
        }
        size()
    }

    /// Sends a batch of frames.
    ///
    /// # Errors
    /// [`Error::System`]
    pub(super) fn send(&mut self, batch: &[u8]) -> Result<()> {
        loop {
            match self.socket.send_to(batch, &SocketAddr::new(0, 0), 0) {
                Ok(sent) if sent == batch.len() => return Ok(()),
                Ok(_) => return Err(Error::system("send", Errno::EMSGSIZE)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::System { call: "send", source }),
            }
        }
    }

    /// Receives the next datagram; `None` if none is available.
    ///
    /// # Errors
    /// [`Error::System`]; ENOBUFS says that notifications were lost.
    pub(super) fn receive(&mut self) -> Result<Option<&[u8]>> {
        self.batch.next(self.socket.as_fd())
    }
}

/// Binds to a port that is no process id. Answers carry the port and notifications the process id of the request, so the two
/// cannot be confused.
fn bind(socket: &mut Socket) -> io::Result<u32> {
    loop {
        // Process ids are below 2^22.
        let port = 0x8000_0000 | arbitrary_u32();
        match socket.bind(&SocketAddr::new(port, 0)) {
            Ok(()) => return Ok(port),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
}
