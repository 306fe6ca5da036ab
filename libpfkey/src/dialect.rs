//! The four kernels that speak PF_KEY, and what differs between them outside the number tables.

use std::env::VarError;
use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// The environment variable that chooses a dialect where the command line does not.
pub const DIALECT_VARIABLE: &str = "LIBPFKEY_DIALECT";

/// A kernel's dialect of PF_KEY version 2. A property of a connection, not of the build: any dialect can be spoken
/// on any host (over [`crate::backend::Socket`], to [`crate::backend::Memory`], or from a file).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// macOS.
    Darwin,
    /// FreeBSD.
    FreeBsd,
    /// Linux `af_key`.
    Linux,
    /// NetBSD.
    NetBsd,
}

impl Dialect {
    /// All dialects.
    pub const ALL: [Self; 4] = [Self::Darwin, Self::FreeBsd, Self::Linux, Self::NetBsd];

    /// The dialect of the system this was built for (Linux where the system has none).
    pub const HOST: Self = if cfg!(target_os = "freebsd") {
        Self::FreeBsd
    } else if cfg!(target_os = "netbsd") {
        Self::NetBsd
    } else if cfg!(any(target_os = "macos", target_os = "ios")) {
        Self::Darwin
    } else {
        Self::Linux
    };

    /// The word users write: `linux`, `freebsd`, `netbsd`, `darwin`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Darwin => "darwin",
            Self::FreeBsd => "freebsd",
            Self::Linux => "linux",
            Self::NetBsd => "netbsd",
        }
    }

    /// The choice of the environment: [`DIALECT_VARIABLE`]; `None` where it is not set, or empty.
    ///
    /// # Errors
    /// [`Error::Backend`] for a value that names no dialect.
    pub fn from_environment() -> Result<Option<Self>, Error> {
        let invalid = |what: &dyn fmt::Display| Error::Backend(format!("{DIALECT_VARIABLE}: {what}"));
        match std::env::var(DIALECT_VARIABLE) {
            Ok(word) if !word.is_empty() => word.parse().map(Some).map_err(|error: UnknownDialect| invalid(&error)),
            Err(error @ VarError::NotUnicode(_)) => Err(invalid(&error)),
            _ => Ok(None),
        }
    }

    /// The number of the `PF_KEY` socket domain.
    pub const fn domain(self) -> i32 {
        match self {
            Self::Darwin | Self::NetBsd => 29,
            Self::FreeBsd => 27,
            Self::Linux => 15,
        }
    }

    /// The number of the IPv6 address family.
    pub const fn inet6(self) -> u8 {
        match self {
            Self::Darwin => 30,
            Self::FreeBsd => 28,
            Self::Linux => 10,
            Self::NetBsd => 24,
        }
    }

    /// Whether a `sockaddr` begins with its length (one byte) before a one-byte family.
    pub const fn has_sockaddr_len(self) -> bool {
        !matches!(self, Self::Linux)
    }

    /// Size in bytes of `sadb_x_ipsecrequest` without addresses.
    pub const fn request_len(self) -> usize {
        if matches!(self, Self::Linux) { 16 } else { 8 }
    }

    /// Whether `sadb_x_policy` has a priority.
    pub const fn has_priority(self) -> bool {
        matches!(self, Self::Linux | Self::FreeBsd)
    }

    /// Priority of a policy for which none was written: the middle on Linux; 0 elsewhere, which FreeBSD's kernel takes for
    /// the first.
    pub const fn default_priority(self) -> u32 {
        if matches!(self, Self::Linux) { crate::policy::PRIORITY_DEFAULT } else { 0 }
    }

    /// Whether the SPD has forward policies; where not, `fwd` means `in`.
    pub const fn has_forward(self) -> bool {
        matches!(self, Self::Linux)
    }

    /// Whether `DELETE` without an SA extension removes all SAs between two addresses.
    pub const fn has_delete_all(self) -> bool {
        !matches!(self, Self::Linux)
    }

    /// An errno of this kernel's numbering as an errno of the host's. Numbers with one meaning everywhere, and
    /// unknown ones, are passed through.
    pub fn errno_to_host(self, errno: u8) -> i32 {
        let errno = i32::from(errno);
        if self == Self::HOST {
            return errno;
        }
        let column = usize::from(self == Self::Linux);
        ERRNO.iter().find(|row| row.numbers[1 - column] == errno).map_or(errno, |row| row.host)
    }

    /// An errno of the host as this kernel numbers it, for the header of a message.
    pub fn errno_from_host(self, errno: nix::errno::Errno) -> u8 {
        let errno = errno as i32;
        let number = if self == Self::HOST {
            errno
        } else {
            let column = usize::from(self != Self::Linux);
            ERRNO.iter().find(|row| row.host == errno).map_or(errno, |row| row.numbers[column])
        };
        u8::try_from(number).unwrap_or(u8::MAX)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    fn from_str(word: &str) -> Result<Self, UnknownDialect> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == word).ok_or_else(|| UnknownDialect(word.to_owned()))
    }
}

/// A word that names no dialect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown dialect `{0}': expected linux, freebsd, netbsd or darwin")]
pub struct UnknownDialect(pub String);

/// Errnos whose numbers differ: [Linux, BSD] and the host's.
struct Errno {
    numbers: [i32; 2],
    host: i32,
}

const ERRNO: [Errno; 10] = [
    Errno { numbers: [11, 35], host: libc::EAGAIN },
    Errno { numbers: [38, 78], host: libc::ENOSYS },
    Errno { numbers: [40, 62], host: libc::ELOOP },
    Errno { numbers: [90, 40], host: libc::EMSGSIZE },
    Errno { numbers: [92, 42], host: libc::ENOPROTOOPT },
    Errno { numbers: [93, 43], host: libc::EPROTONOSUPPORT },
    Errno { numbers: [95, 45], host: libc::EOPNOTSUPP },
    Errno { numbers: [97, 47], host: libc::EAFNOSUPPORT },
    Errno { numbers: [105, 55], host: libc::ENOBUFS },
    Errno { numbers: [110, 60], host: libc::ETIMEDOUT },
];

/// Byte order of the kernel's machine. PF_KEY uses the host's; other orders occur in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// Most significant byte first.
    Big,
    /// Least significant byte first.
    Little,
}

impl ByteOrder {
    /// The order of the machine this was built for.
    pub const HOST: Self = if cfg!(target_endian = "big") { Self::Big } else { Self::Little };
}

/// How messages are laid out: what the codec has to know of the peer. Pointer size does not matter:
/// every PF_KEY structure has the same layout on 32-bit and 64-bit machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Abi {
    /// Numbers and structures.
    pub dialect: Dialect,
    /// Order of multi-byte fields that are not in network order.
    pub byte_order: ByteOrder,
}

impl Abi {
    /// The host's own kernel.
    pub const HOST: Self = Self::of(Dialect::HOST);

    /// A dialect in the host's byte order.
    pub const fn of(dialect: Dialect) -> Self {
        Self { dialect, byte_order: ByteOrder::HOST }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for dialect in Dialect::ALL {
            assert_eq!(dialect.name().parse(), Ok(dialect));
        }
        assert_eq!("openbsd".parse::<Dialect>(), Err(UnknownDialect("openbsd".into())));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn errno_is_translated() {
        assert_eq!(Dialect::NetBsd.errno_to_host(45), libc::EOPNOTSUPP);
        assert_eq!(Dialect::NetBsd.errno_to_host(62), libc::ELOOP);
        assert_eq!(Dialect::NetBsd.errno_to_host(17), libc::EEXIST);
        assert_eq!(Dialect::Linux.errno_to_host(40), libc::ELOOP);
        assert_eq!(Dialect::NetBsd.errno_from_host(nix::errno::Errno::EOPNOTSUPP), 45);
        assert_eq!(Dialect::Linux.errno_from_host(nix::errno::Errno::EOPNOTSUPP), 95);
        assert_eq!(Dialect::FreeBsd.errno_from_host(nix::errno::Errno::EEXIST), 17);
    }
}
