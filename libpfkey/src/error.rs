//! Errors, by whose fault they are.

use std::io;

use crate::spec_error::SpecError;
use crate::strerror::{Code, errno_text};

/// An error of this library.
///
/// ```
/// use libpfkey::backend::BackendKind;
/// use libpfkey::{Dialect, Error, Kernel, SaId, SaType};
///
/// let mut kernel = Kernel::open_kind(&BackendKind::Memory, Some(Dialect::NetBsd))?;
/// let id = SaId::new(SaType::Esp, "192.0.2.1".parse()?, "192.0.2.2".parse()?, 0x1001);
/// match kernel.delete(&id) {
///     // Kernels differ in the errno for an SA that does not exist.
///     Err(Error::Request { errno: 2 | 3, .. }) => {}
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes from a kernel, a file or a helper are not a PF_KEY message.
    #[error("{code}: {what} at byte {offset}")]
    Malformed {
        /// libipsec's code for it.
        code: Code,
        /// What was expected, and what was there.
        what: &'static str,
        /// Place, in bytes from the start of the message.
        offset: usize,
    },
    /// The operands of a request are wrong, by libipsec's rules.
    #[error("{0}")]
    Refused(Code),
    /// The dialect has no number for a part of the request.
    #[error("Not supported: {dialect} PF_KEY has no {what}")]
    NotInDialect {
        /// The dialect.
        dialect: crate::Dialect,
        /// What it lacks.
        what: &'static str,
    },
    /// A specification is contradictory, or the kernel cannot carry it out.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A system call failed.
    #[error("{call}: {}", errno_text(source.raw_os_error().unwrap_or(0)))]
    System {
        /// The call, or its purpose.
        call: &'static str,
        /// Its error.
        source: io::Error,
    },
    /// The kernel answered with an errno (of the host's numbering).
    #[error("{}", errno_text(*.0))]
    Kernel(i32),
    /// The kernel refused a request.
    #[error("{request}: {}{}", errno_text(*errno), explanation.as_ref().map(|text| format!(": {text}")).unwrap_or_default())]
    Request {
        /// The request.
        request: Box<str>,
        /// The errno, of the host's numbering.
        errno: i32,
        /// The kernel's explanation, where it has one (NETLINK_XFRM).
        explanation: Option<Box<str>>,
    },
    /// Entries of a list were lost, or an answer lacks a part that it must have.
    #[error("the kernel's answer is incomplete")]
    Incomplete,
    /// No answer came in time.
    #[error("no answer from the kernel")]
    Timeout,
    /// The backend is unknown, or not available on this system.
    #[error("{0}")]
    Backend(String),
}

impl Error {
    /// The libipsec code that `ipsec_strerror(3)` would print.
    pub fn code(&self) -> Code {
        match self {
            Self::Malformed { code, .. } | Self::Refused(code) => *code,
            Self::NotInDialect { .. } | Self::Backend(_) => Code::NotSupported,
            Self::Spec(_) => Code::InvalidArgument,
            Self::System { .. } | Self::Kernel(_) | Self::Request { .. } | Self::Incomplete | Self::Timeout => {
                Code::System
            }
        }
    }

    /// What `ipsec_strerror(3)` prints: the code's text, or the errno's.
    pub fn strerror(&self) -> String {
        match self {
            Self::System { source, .. } => errno_text(source.raw_os_error().unwrap_or(0)),
            Self::Kernel(errno) | Self::Request { errno, .. } => errno_text(*errno),
            Self::Timeout | Self::Incomplete => self.to_string(),
            _ => self.code().text().to_owned(),
        }
    }

    /// The errno of a refusal or of a failed system call, in the host's numbering.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Kernel(errno) | Self::Request { errno, .. } => Some(*errno),
            Self::System { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    pub(crate) fn system(call: &'static str, errno: nix::errno::Errno) -> Self {
        Self::System { call, source: errno.into() }
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::Refused(code)
    }
}

/// The result of this library's functions.
pub type Result<T> = std::result::Result<T, Error>;
