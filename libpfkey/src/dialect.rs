//! The dialects of PF_KEY, and how they differ apart from their numbers.

use std::env::VarError;
use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// The environment variable that chooses a dialect where the command line does not.
pub const DIALECT_VARIABLE: &str = "LIBPFKEY_DIALECT";

/// A kernel's dialect of PF_KEY version 2. It is a property of a connection, not of the build: any dialect can be used on any
/// host, over [`crate::backend::Socket`], with [`crate::backend::Memory`], or for a file.
///
/// | | Linux | FreeBSD | NetBSD | macOS |
/// |---|---|---|---|---|
/// | forward policies (`fwd`) | yes | no | no | no |
/// | priorities of policies | yes | yes | no | no |
/// | reqids in policies | 32 bits | 16 bits | 16 bits | 16 bits |
/// | unit of the replay window | packets | 8 packets | 8 packets | 8 packets |
/// | extended sequence numbers | over NETLINK_XFRM | yes | no | yes |
/// | UDP encapsulation | yes | yes | yes; its ports are part of an SA's name | not in this library |
/// | TCP-MD5 SAs | no | yes | yes | no |
/// | security labels | yes | no | no | no |
/// | DELETE of all SAs between two addresses | over NETLINK_XFRM | yes | yes | yes |
///
/// ```
/// use libpfkey::{Dialect, ExtensionType};
///
/// // One number, two meanings.
/// assert_eq!(ExtensionType::from_number(Dialect::Linux, 24), ExtensionType::SecurityContext);
/// assert_eq!(ExtensionType::from_number(Dialect::NetBsd, 24), ExtensionType::NatTOaResponder);
/// ```
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

    /// The dialect of the system that the library was built for; Linux where the system has none.
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

    /// Reads the environment variable [`DIALECT_VARIABLE`]; `None` if it is not set, or empty.
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

    /// Priority of a policy for which none was chosen: the middle one on Linux; 0 elsewhere, which on FreeBSD is the first.
    pub const fn default_priority(self) -> u32 {
        if matches!(self, Self::Linux) { crate::policy::PRIORITY_DEFAULT } else { 0 }
    }

    /// Whether the SPD has forward policies. Where it has none, `fwd` means `in`.
    pub const fn has_forward(self) -> bool {
        matches!(self, Self::Linux)
    }

    /// Whether `DELETE` without an SA extension removes all SAs between two addresses.
    pub const fn has_delete_all(self) -> bool {
        !matches!(self, Self::Linux)
    }

    /// Converts an errno from this kernel's numbers to the host's. Numbers with one meaning everywhere, and unknown ones, are
    /// returned as they are.
    pub fn errno_to_host(self, errno: u8) -> i32 {
        let errno = i32::from(errno);
        if self == Self::HOST {
            return errno;
        }
        // The table's order is Linux, BSD: where this kernel is not the host's, one of the two is.
        let column = usize::from(self == Self::Linux);
        ERRNO.iter().find(|row| row.numbers[1 - column] == errno).map_or(errno, |row| row.host)
    }

    /// Converts an errno from the host's numbers to this kernel's, for the header of a message.
    pub fn errno_from_host(self, errno: nix::errno::Errno) -> u8 {
        let errno = errno as i32;
        let number = if self == Self::HOST {
            errno
        } else {
            let column = usize::from(self != Self::Linux);
            ERRNO.iter().find(|row| row.host == errno).map_or(errno, |row| row.numbers[column])
        };
        // `sadb_msg_errno` has 8 bits; no error of PF_KEY has a larger number.
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

/// An errno whose numbers differ: that of Linux, that of the BSDs, and the host's.
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

/// Byte order of the kernel's machine, in which PF_KEY messages are written. That of another machine occurs in files.
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

/// The layout of messages. Pointer size does not matter: every PF_KEY structure has the same layout on 32-bit and 64-bit
/// machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Abi {
    /// Numbers and structures of the messages.
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
