//! Columns for IKE version 1: the words of racoon.conf and their numbers on the wire.

use super::column::KeyBits;
use super::{Authentication, Compression, Encryption};
use crate::num::SaFlags;

/// An encryption algorithm in racoon.conf and in IKE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IkeEncryption {
    /// Its words in racoon.conf, the one to print first.
    pub names: &'static [&'static str],
    /// Its number as an Encryption Algorithm of phase 1 (RFC 2409 appendix A); `None` where it is not one.
    pub phase1: Option<u16>,
    /// Its ESP transform identifier (RFC 2407 section 4.4.4).
    pub esp: u8,
    /// Lengths of its key in bits, without the salt. A length that is left out means 128, or the only one.
    pub key: KeyBits,
    /// SA flags that go with the transform.
    pub flags: SaFlags,
}

impl IkeEncryption {
    pub(super) const fn new(esp: u8, names: &'static [&'static str], key: KeyBits) -> Self {
        Self { names, phase1: None, esp, key, flags: SaFlags::empty() }
    }

    pub(super) const fn phase1(self, number: u16) -> Self {
        Self { phase1: Some(number), ..self }
    }

    pub(super) const fn flags(self, flags: SaFlags) -> Self {
        Self { flags, ..self }
    }
}

/// An authentication algorithm of phase 2 in racoon.conf and in IKE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IkeAuthentication {
    /// Its words in racoon.conf, the one to print first; none for what cannot be configured.
    pub names: &'static [&'static str],
    /// Its number as an Authentication Algorithm attribute (RFC 2407 section 4.5).
    pub attribute: u16,
    /// The ICV has 96 bits, as old peers have it, and not those of RFC 4868.
    pub truncated: bool,
    /// SA flags that go with it.
    pub flags: SaFlags,
}

impl IkeAuthentication {
    pub(super) const fn new(attribute: u16, names: &'static [&'static str]) -> Self {
        Self { names, attribute, truncated: false, flags: SaFlags::empty() }
    }

    pub(super) const fn truncated(self) -> Self {
        Self { truncated: true, ..self }
    }

    pub(super) const fn flags(self, flags: SaFlags) -> Self {
        Self { flags, ..self }
    }
}

/// A hash of phase 1 in racoon.conf and in IKE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IkeHash {
    /// Its words in racoon.conf, the one to print first.
    pub names: &'static [&'static str],
    /// Its number as a Hash Algorithm of phase 1 (RFC 2409 appendix A).
    pub number: u16,
}

/// A compression algorithm in racoon.conf and in IKE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IkeCompression {
    /// Its words in racoon.conf, the one to print first.
    pub names: &'static [&'static str],
    /// Its IPComp transform identifier (RFC 2407 section 4.4.5).
    pub transform: u8,
}

impl Encryption {
    /// The algorithm of an ESP transform identifier.
    pub fn from_esp_transform(id: u8) -> Option<(Self, &'static IkeEncryption)> {
        let find = |algorithm: Self| Some((algorithm, algorithm.ike().iter().find(|ike| ike.esp == id)?));
        Self::ALL.iter().copied().find_map(find)
    }

    /// The algorithms of phase 1, in the order of their numbers.
    pub fn of_phase1() -> Vec<(Self, &'static IkeEncryption)> {
        let mut all: Vec<_> = Self::with_ike().filter(|(_, ike)| ike.phase1.is_some()).collect();
        all.sort_by_key(|(_, ike)| ike.phase1);
        all
    }

    /// The ESP transforms, in the order of their identifiers.
    pub fn of_esp() -> Vec<(Self, &'static IkeEncryption)> {
        let mut all: Vec<_> = Self::with_ike().collect();
        all.sort_by_key(|(_, ike)| ike.esp);
        all
    }

    fn with_ike() -> impl Iterator<Item = (Self, &'static IkeEncryption)> {
        Self::ALL.iter().flat_map(|algorithm| algorithm.ike().iter().map(|ike| (*algorithm, ike)))
    }
}

impl Authentication {
    /// The hash of phase 1 that it is made of.
    pub const fn hash(self) -> Option<&'static IkeHash> {
        match self.row() {
            Some(row) => row.hash.as_ref(),
            None => None,
        }
    }

    /// The algorithm of an Authentication Algorithm attribute.
    pub fn from_ike_attribute(number: u16) -> Option<(Self, &'static IkeAuthentication)> {
        let find = |algorithm: Self| Some((algorithm, algorithm.ike().iter().find(|ike| ike.attribute == number)?));
        Self::ALL.iter().copied().find_map(find)
    }

    /// The hashes of phase 1, in the order of their numbers.
    pub fn hashes() -> Vec<(Self, &'static IkeHash)> {
        let mut all: Vec<_> = Self::ALL.iter().filter_map(|one| Some((*one, one.hash()?))).collect();
        all.sort_by_key(|(_, hash)| hash.number);
        all
    }

    /// What racoon.conf can name for phase 2, in the order of the numbers; no authentication comes last.
    pub fn of_phase2() -> Vec<(Self, &'static IkeAuthentication)> {
        let all = Self::ALL.iter().flat_map(|algorithm| algorithm.ike().iter().map(|ike| (*algorithm, ike)));
        let mut all: Vec<_> = all.filter(|(_, ike)| !ike.names.is_empty()).collect();
        // No authentication (0) becomes the largest number, and so comes last.
        all.sort_by_key(|(_, ike)| ike.attribute.wrapping_sub(1));
        all
    }
}

impl Compression {
    /// Its words in racoon.conf with their numbers.
    pub const fn ike(self) -> Option<&'static IkeCompression> {
        match self.row() {
            Some(row) => row.ike.as_ref(),
            None => None,
        }
    }

    /// The algorithm of an IPComp transform identifier.
    pub fn from_ipcomp_transform(id: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.ike().is_some_and(|ike| ike.transform == id))
    }

    /// What racoon.conf can name, in the order of the numbers.
    pub fn of_phase2() -> Vec<(Self, &'static IkeCompression)> {
        Self::ALL.iter().filter_map(|one| Some((*one, one.ike()?))).collect()
    }
}
