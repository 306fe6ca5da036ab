//! Interfaces to a kernel's key engine, behind one trait.

#[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd", target_os = "macos"))]
mod af_key;
mod batch;
mod memory;
mod server;
mod socket;
#[cfg(target_os = "linux")]
mod xfrm;

use std::fmt;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::dialect::{Abi, Dialect};
use crate::error::{Error, Result};
use crate::request::{Encoding, Request, RequestHeader};

pub use af_key::AfKey;
pub use memory::Memory;
pub use server::{ClientEvent, SocketServer};
pub use socket::Socket;
#[cfg(target_os = "linux")]
pub use xfrm::Xfrm;
#[cfg(target_os = "linux")]
#[doc(hidden)]
pub use xfrm::translate as translate_netlink;

/// Bytes of the longest possible message, whose length field counts 8-byte words in 16 bits.
pub const MESSAGE_MAX: usize = u16::MAX as usize * 8;

/// Time limit of a kernel's answer, as in libipsec. Kernels answer before `send` returns, or drop the answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// A kernel interface: takes requests, and returns answers and events, one message at a time. No method blocks; wait on
/// [`Backend::fd`] instead.
pub trait Backend: fmt::Debug + Send {
    /// The layout of its messages.
    fn abi(&self) -> Abi;

    /// Becomes readable when messages arrive. Before you wait for that, call [`Backend::recv`] until it returns `None`.
    fn fd(&self) -> BorrowedFd<'_>;

    /// Sends one whole PF_KEY message.
    ///
    /// # Errors
    /// [`Error::System`] when the backend refuses it. Some kernels fail the call where others send an answer.
    fn send(&mut self, message: &[u8]) -> Result<()>;

    /// Sends a typed request. The answer is a PF_KEY message, which [`Backend::recv`] returns. Unless a backend has a form
    /// of its own, the request is written as a PF_KEY message and sent with [`Backend::send`].
    ///
    /// # Errors
    /// As [`Request::encode`] and [`Backend::send`].
    fn submit(&mut self, request: &Request, header: RequestHeader) -> Result<()> {
        let mut message = Zeroizing::new(Vec::new());
        let encoding = Encoding { xfrm_extensions: self.has_xfrm_extensions(), ..Encoding::default() };
        request.encode(header, encoding, &mut message)?;
        self.send(&message)
    }

    /// Limits the answers to requests that add, update or delete an entry to their base header, which says whether they
    /// succeeded, and leaves out messages about such changes by other programs. For programs that change many entries and show
    /// none: a kernel interface may save most of its work then. By default this does nothing. It cannot be undone.
    ///
    /// # Errors
    /// [`Error::System`]; answers are as before then, or brief for a part of the requests.
    fn set_brief_answers(&mut self) -> Result<()> {
        Ok(())
    }

    /// Receives the next message into `buffer`, which has [`MESSAGE_MAX`] bytes; `None` if none is available.
    ///
    /// # Errors
    /// [`Error::System`]; [`Error::Malformed`] for a datagram that is no message, which is dropped.
    fn recv<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>>;

    /// Number of requests that may be in flight without the loss of answers.
    fn window(&self) -> usize;

    /// Raises the receive buffer to `kib` KiB if it is smaller (`pfkey_set_buffer_size`); returns its size in KiB.
    ///
    /// # Errors
    /// [`Error::System`]
    fn set_receive_buffer(&mut self, kib: usize) -> Result<usize>;

    /// Time after which an answer counts as lost.
    fn answer_timeout(&self) -> Duration {
        ANSWER_TIMEOUT
    }

    /// Whether the kernel has reported a loss of messages since the last call. Copies of its databases are then to be read
    /// again.
    fn has_lost(&mut self) -> bool {
        false
    }

    /// Whether the backend understands this library's extensions for NETLINK_XFRM, [`XfrmExtensions`](crate::wire::XfrmExtensions).
    fn has_xfrm_extensions(&self) -> bool {
        false
    }

    /// The kernel's explanation of the refusal that [`Backend::recv`] returned last, if there is one: one line of at most a
    /// few hundred bytes. Only NETLINK_XFRM has explanations.
    fn explanation(&self) -> Option<&str> {
        None
    }
}

/// Selects a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BackendKind {
    /// The system's best: on Linux NETLINK_XFRM, else PF_KEY.
    #[default]
    Auto,
    /// An in-process key engine: no kernel, no root, gone with the process.
    Memory,
    /// The kernel's PF_KEY socket.
    PfKey,
    /// PF_KEY messages over a UNIX `SOCK_SEQPACKET` socket at a path.
    Socket(PathBuf),
    /// Linux' NETLINK_XFRM.
    Xfrm,
}

/// The environment variable that chooses a backend where the command line does not.
pub const BACKEND_VARIABLE: &str = "LIBPFKEY_BACKEND";

impl BackendKind {
    /// Reads [`BACKEND_VARIABLE`]; without it returns [`BackendKind::Auto`].
    ///
    /// # Errors
    /// [`Error::Backend`] for a value that names no backend.
    pub fn from_environment() -> Result<Self> {
        match std::env::var(BACKEND_VARIABLE) {
            Ok(word) if !word.is_empty() => word.parse(),
            _ => Ok(Self::Auto),
        }
    }

    /// Opens the backend. Without a dialect it is the host's; only [`BackendKind::Socket`] and [`BackendKind::Memory`] have
    /// others.
    ///
    /// # Errors
    /// [`Error::System`]; [`Error::Backend`] for a backend or dialect that the system does not have.
    pub fn open(&self, dialect: Option<Dialect>) -> Result<Box<dyn Backend>> {
        let foreign = dialect.filter(|dialect| *dialect != Dialect::HOST);
        match self {
            Self::Auto | Self::PfKey | Self::Xfrm if foreign.is_some() => {
                let dialect = dialect.unwrap_or(Dialect::HOST);
                Err(Error::Backend(format!(
                    "this kernel speaks {}, not {dialect}: other dialects are for the backends socket:PATH and memory",
                    Dialect::HOST
                )))
            }
            Self::Auto => automatic(),
            Self::PfKey => Ok(Box::new(AfKey::open()?)),
            Self::Memory => Ok(Box::new(Memory::new(Abi::of(dialect.unwrap_or(Dialect::HOST)))?)),
            Self::Socket(path) => Ok(Box::new(Socket::connect(path, Abi::of(dialect.unwrap_or(Dialect::HOST)))?)),
            #[cfg(target_os = "linux")]
            Self::Xfrm => Ok(Box::new(Xfrm::open()?)),
            #[cfg(not(target_os = "linux"))]
            Self::Xfrm => Err(Error::Backend("NETLINK_XFRM exists on Linux only: use --backend pfkey".into())),
        }
    }
}

/// Opens the system's best backend: NETLINK_XFRM, which can do everything that PF_KEY can, or PF_KEY if the kernel lacks it.
#[cfg(target_os = "linux")]
fn automatic() -> Result<Box<dyn Backend>> {
    let without_xfrm = match Xfrm::open() {
        Ok(opened) => return Ok(Box::new(opened)),
        Err(error) if is_missing(&error) => error,
        Err(error) => return Err(error),
    };
    match AfKey::open() {
        Ok(opened) => Ok(Box::new(opened)),
        Err(error) if is_missing(&error) => Err(Error::Backend(format!(
            "this kernel has no IPsec interface ({without_xfrm}; {error}): modprobe xfrm_user or af_key, or a kernel \
             with CONFIG_XFRM_USER"
        ))),
        Err(error) => Err(error),
    }
}

/// Opens the system's backend: PF_KEY.
#[cfg(not(target_os = "linux"))]
fn automatic() -> Result<Box<dyn Backend>> {
    Ok(Box::new(AfKey::open()?))
}

/// Whether a backend could not be opened because the kernel lacks it. Lack of privilege is no reason to try another one.
#[cfg(target_os = "linux")]
fn is_missing(error: &Error) -> bool {
    let Error::System { source, .. } = error else { return false };
    matches!(source.raw_os_error(), Some(libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT | libc::ESOCKTNOSUPPORT))
}

impl FromStr for BackendKind {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self> {
        match word.split_once(':') {
            None if word == "auto" => Ok(Self::Auto),
            None if word == "memory" => Ok(Self::Memory),
            None if word == "pfkey" => Ok(Self::PfKey),
            None if word == "xfrm" => Ok(Self::Xfrm),
            Some(("socket", path)) if !path.is_empty() => Ok(Self::Socket(path.into())),
            _ => Err(Error::Backend(format!(
                "unknown backend `{word}': expected auto, pfkey, xfrm, memory or socket:PATH"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert_eq!("socket:/run/key".parse::<BackendKind>().unwrap(), BackendKind::Socket("/run/key".into()));
        assert_eq!("memory".parse::<BackendKind>().unwrap(), BackendKind::Memory);
        let error = "socket:".parse::<BackendKind>().unwrap_err();
        assert_eq!(error.to_string(), "unknown backend `socket:': expected auto, pfkey, xfrm, memory or socket:PATH");
    }
}
