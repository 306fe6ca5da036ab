//! Encryption algorithms of ESP.

mod rows;

pub use rows::Encryption;

use super::column::{CryptoApi, KeyBits, Listed, PfKeys, Weakness};
use super::ike::IkeEncryption;
use super::table::columns;
use super::word::CipherWord;
use crate::dialect::Dialect;

/// How an encryption algorithm works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EncryptionKind {
    /// It does not encrypt.
    Null,
    /// A block cipher in CBC mode.
    Cbc,
    /// A counter mode without authentication (RFC 3686).
    Counter,
    /// A counter mode that also authenticates (AEAD): no authentication algorithm goes with it.
    Aead {
        /// Bits of its ICV.
        icv_bits: u16,
    },
}

/// A row of the table.
pub(super) struct EncryptionRow {
    /// Its name in dumps.
    pub(super) name: &'static str,
    /// Its names in other programs, without mode and key length, for hints.
    elsewhere: &'static [&'static str],
    /// Its words in setkey.
    setkey: &'static [CipherWord],
    kind: EncryptionKind,
    /// Its key lengths as PF_KEY carries keys: with the salt.
    key: KeyBits,
    /// Bits of the key that are a salt.
    salt_bits: u16,
    /// Bytes of a block; 1 for what does not work in blocks.
    block_len: u8,
    /// Bytes of the IV in an ESP packet.
    iv_len: u8,
    /// Its number in PF_KEY, `sadb_sa_encrypt` of an ESP SA.
    pub(super) pf_key: PfKeys,
    /// Its name in Linux.
    linux: Option<CryptoApi>,
    /// Its words in racoon.conf, and its numbers in IKE.
    pub(super) ike: &'static [IkeEncryption],
    weakness: Option<Weakness>,
}

impl Encryption {
    /// Whether key and counter together must never repeat (RFC 3686, 4106, 4309, 4543, 7634): a key written in a
    /// file repeats both after a reboot.
    pub const fn is_counter_mode(self) -> bool {
        matches!(self.kind(), EncryptionKind::Counter | EncryptionKind::Aead { .. })
    }

    /// Whether it authenticates by itself.
    pub const fn is_aead(self) -> bool {
        matches!(self.kind(), EncryptionKind::Aead { .. })
    }

    /// Bits of its ICV; `None` for what does not authenticate.
    pub const fn icv_bits(self) -> Option<u16> {
        match self.kind() {
            EncryptionKind::Aead { icv_bits } => Some(icv_bits),
            _ => None,
        }
    }

    /// What the kernels of a dialect say of it in REGISTER.
    pub(crate) fn listed(self, dialect: Dialect) -> Option<Listed> {
        self.row()?.pf_key.of(dialect).listed
    }
}

columns! {
    Encryption {
        /// Key lengths in bits as PF_KEY and netlink carry keys: the salt of a counter mode is the key's end.
        pub key_bits: KeyBits = key or KeyBits::NONE;
        /// Bits at the key's end that are a salt, or the nonce of RFC 3686.
        pub salt_bits: u16 = salt_bits or 0;
        /// Bytes of a block, to a multiple of which ESP pads; 1 for what works byte by byte.
        pub block_len: u8 = block_len or 1;
        /// Bytes of the IV in each ESP packet.
        pub iv_len: u8 = iv_len or 0;
        /// Why it is weak; `None` if it is not.
        pub weakness: Option<Weakness> = weakness or None;
        /// Its names in other programs, without mode and key length: `camellia` where setkey has `camellia-cbc`.
        pub names_elsewhere: &'static [&'static str] = elsewhere or &[];
        /// Its words in racoon.conf with their numbers.
        pub ike: &'static [IkeEncryption] = ike or &[];
        /// Its words in setkey.
        pub(in crate::algorithm) setkey: &'static [CipherWord] = setkey or &[];
        /// How it works; numbers without a meaning count as ciphers in CBC mode.
        pub kind: EncryptionKind = kind or EncryptionKind::Cbc;
    }
}
