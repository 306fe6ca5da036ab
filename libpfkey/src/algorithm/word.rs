//! Columns for the setkey language: the words after `-E`, `-A` and `-C`.

use super::{Authentication, Compression, Encryption};
use crate::num::SaFlags;

/// A word after `-E`, in the row of its algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CipherWord {
    pub(super) name: &'static str,
    pub(super) flags: SaFlags,
    pub(super) is_obsolete: bool,
}

impl CipherWord {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, flags: SaFlags::empty(), is_obsolete: false }
    }

    pub(super) const fn flags(self, flags: SaFlags) -> Self {
        Self { flags, ..self }
    }

    pub(super) const fn obsolete(self) -> Self {
        Self { is_obsolete: true, ..self }
    }
}

/// A word after `-A`, in the row of its algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HashWord {
    pub(super) name: &'static str,
    pub(super) icv_bits: Option<u16>,
}

impl HashWord {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, icv_bits: None }
    }

    pub(super) const fn icv(self, bits: u16) -> Self {
        Self { icv_bits: Some(bits), ..self }
    }
}

/// A word after `-E` in setkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncryptionWord {
    /// The word.
    pub name: &'static str,
    /// The algorithm.
    pub algorithm: Encryption,
    /// SA flags by which variants of DES differ from it.
    pub flags: SaFlags,
    /// An old word, which earns a warning.
    pub is_obsolete: bool,
}

impl EncryptionWord {
    /// All words.
    pub fn all() -> impl Iterator<Item = Self> {
        Encryption::ALL
            .iter()
            .flat_map(|algorithm| algorithm.setkey().iter().map(|word| (*algorithm, word)))
            .map(|(algorithm, &CipherWord { name, flags, is_obsolete })| Self { name, algorithm, flags, is_obsolete })
    }

    /// What a word means.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|word| word.name == name)
    }
}

/// A word after `-A` in setkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticationWord {
    /// The word.
    pub name: &'static str,
    /// The algorithm.
    pub algorithm: Authentication,
    /// Bits of the ICV that the word asks for; `None` for those that the kernel's PF_KEY gives.
    pub icv_bits: Option<u16>,
}

impl AuthenticationWord {
    /// All words.
    pub fn all() -> impl Iterator<Item = Self> {
        Authentication::ALL
            .iter()
            .flat_map(|algorithm| algorithm.setkey().iter().map(|word| (*algorithm, word)))
            .map(|(algorithm, &HashWord { name, icv_bits })| Self { name, algorithm, icv_bits })
    }

    /// What a word means.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|word| word.name == name)
    }
}

/// A word after `-C` in setkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompressionWord {
    /// The word.
    pub name: &'static str,
    /// The algorithm.
    pub algorithm: Compression,
}

impl CompressionWord {
    /// All words.
    pub fn all() -> impl Iterator<Item = Self> {
        Compression::ALL.iter().filter_map(|algorithm| Some(Self { name: algorithm.setkey()?, algorithm: *algorithm }))
    }

    /// What a word means.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|word| word.name == name)
    }
}
