//! Types of the columns that the tables share.

use std::fmt;

use crate::dialect::Dialect;

/// Key lengths of an algorithm, in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyBits {
    /// Each of these.
    Each(&'static [u16]),
    /// Whole bytes, from the shortest to the longest.
    Range {
        /// The shortest.
        min: u16,
        /// The longest.
        max: u16,
    },
}

impl KeyBits {
    /// No key.
    pub(super) const NONE: Self = Self::Range { min: 0, max: 0 };

    /// The shortest key.
    pub const fn min(self) -> u16 {
        match self {
            Self::Each(each) => each[0],
            Self::Range { min, .. } => min,
        }
    }

    /// The longest key.
    pub const fn max(self) -> u16 {
        match self {
            Self::Each(each) => each[each.len() - 1],
            Self::Range { max, .. } => max,
        }
    }

    /// Whether there is one length only.
    pub const fn is_fixed(self) -> bool {
        self.min() == self.max()
    }

    /// Whether a key may have this length.
    pub fn allows(self, bits: u16) -> bool {
        match self {
            Self::Each(each) => each.contains(&bits),
            // PF_KEY counts bits, but every key here has whole bytes.
            Self::Range { min, max } => (min..=max).contains(&bits) && bits.is_multiple_of(8),
        }
    }
}

impl fmt::Display for KeyBits {
    /// `128`, `128, 192, 256` or `40 to 448`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { min, max } if min != max => write!(f, "{min} to {max}"),
            Self::Range { min, .. } => write!(f, "{min}"),
            Self::Each(each) => {
                let words: Vec<String> = each.iter().map(u16::to_string).collect();
                f.write_str(&words.join(", "))
            }
        }
    }
}

/// Why an algorithm is weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Weakness {
    /// Its keys can be found by trying all of them.
    ShortKey,
    /// Its hash function is broken.
    BrokenHash,
}

/// An algorithm in the crypto API of Linux, which NETLINK_XFRM names it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CryptoApi {
    /// Its name.
    pub name: &'static str,
    /// An older name, which kernels may answer with; else the same.
    pub alias: &'static str,
    /// The module that implements it, where a hint can name one.
    pub module: Option<&'static str>,
}

impl CryptoApi {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, alias: name, module: None }
    }

    pub(super) const fn alias(self, alias: &'static str) -> Self {
        Self { alias, ..self }
    }

    pub(super) const fn module(self, module: &'static str) -> Self {
        Self { module: Some(module), ..self }
    }

    /// Whether a kernel means this algorithm by a name.
    #[cfg(target_os = "linux")]
    pub(crate) fn is_named(&self, name: &[u8]) -> bool {
        self.name.as_bytes() == name || self.alias.as_bytes() == name
    }
}

/// What a kernel says of an algorithm in REGISTER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Bytes of the IV, as that kernel reports them.
    pub(crate) iv_len: u8,
    /// The shortest key in bits, as reported.
    pub(crate) min_bits: u16,
    /// The longest key in bits, as reported.
    pub(crate) max_bits: u16,
}

/// An algorithm in the PF_KEY of one dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PfKey {
    /// Its number; `None` where the dialect has no such algorithm.
    pub(super) number: Option<u8>,
    /// The number's name in the system's header; empty where it has none.
    pub(super) constant: &'static str,
    /// What REGISTER says; `None` where the kernel does not implement the algorithm.
    pub(super) listed: Option<Listed>,
}

impl PfKey {
    /// A dialect without the algorithm.
    pub(super) const NONE: Self = Self { number: None, constant: "", listed: None };

    pub(super) const fn new(number: u8, constant: &'static str) -> Self {
        Self { number: Some(number), constant, listed: None }
    }

    /// The kernel lists it in REGISTER, with this IV length in bytes and these key lengths in bits.
    pub(super) const fn listed(self, iv_len: u8, min_bits: u16, max_bits: u16) -> Self {
        Self { listed: Some(Listed { iv_len, min_bits, max_bits }), ..self }
    }
}

/// An algorithm in PF_KEY, by dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PfKeys {
    pub(super) linux: PfKey,
    pub(super) freebsd: PfKey,
    pub(super) netbsd: PfKey,
    pub(super) darwin: PfKey,
}

impl PfKeys {
    /// No dialect has it.
    pub(super) const NONE: Self =
        Self { linux: PfKey::NONE, freebsd: PfKey::NONE, netbsd: PfKey::NONE, darwin: PfKey::NONE };

    /// The same number and constant in every dialect, unlisted.
    pub(super) const fn everywhere(number: u8, constant: &'static str) -> Self {
        let one = PfKey::new(number, constant);
        Self { linux: one, freebsd: one, netbsd: one, darwin: one }
    }

    pub(super) const fn of(&self, dialect: Dialect) -> &PfKey {
        match dialect {
            Dialect::Darwin => &self.darwin,
            Dialect::FreeBsd => &self.freebsd,
            Dialect::Linux => &self.linux,
            Dialect::NetBsd => &self.netbsd,
        }
    }
}
