//! Authentication algorithms of AH, ESP and TCP-MD5.

use super::column::{CryptoApi, KeyBits, Listed, PfKey, PfKeys, Weakness};
use super::ike::{IkeAuthentication, IkeHash};
use super::table::{columns, table};
use super::word::HashWord;
use crate::dialect::Dialect;
use crate::num::SaFlags;

/// A row of the table.
pub(super) struct AuthenticationRow {
    /// Its name in dumps.
    pub(super) name: &'static str,
    /// Its words in setkey.
    setkey: &'static [HashWord],
    key: KeyBits,
    /// Bits of the ICV by its RFC.
    icv_bits: u16,
    /// Bits of the ICV that `af_key` of Linux gives it, where they are others.
    linux_icv_bits: Option<u16>,
    /// Its number in PF_KEY, `sadb_sa_auth`.
    pub(super) pf_key: PfKeys,
    /// Its name in Linux.
    linux: Option<CryptoApi>,
    /// Its words in racoon.conf for phase 2, and its number in IKE.
    pub(super) ike: &'static [IkeAuthentication],
    /// The hash that it is made of, in phase 1 of IKE.
    pub(super) hash: Option<IkeHash>,
    weakness: Option<Weakness>,
}

/// What a row says unless it says otherwise.
const DEFAULT: AuthenticationRow = AuthenticationRow {
    name: "",
    setkey: &[],
    key: KeyBits::NONE,
    icv_bits: 96,
    linux_icv_bits: None,
    pf_key: PfKeys::NONE,
    linux: None,
    ike: &[],
    hash: None,
    weakness: None,
};

/// A word of setkey that means the algorithm itself.
const fn word(name: &'static str) -> HashWord {
    HashWord::new(name)
}

/// A PF_KEY number without more.
const fn number(number: u8, constant: &'static str) -> PfKey {
    PfKey::new(number, constant)
}

/// A PF_KEY number that the kernel lists in REGISTER, with the one key length that it has.
const fn listed(number: u8, constant: &'static str, bits: u16) -> PfKey {
    PfKey::new(number, constant).listed(0, bits, bits)
}

// The order is that in which `af_key` of Linux lists the algorithms in REGISTER.
table! {
    /// Authentication algorithm of AH, ESP and TCP-MD5.
    Authentication: AuthenticationRow {
        /// No authentication.
        None => AuthenticationRow {
            name: "none",
            icv_bits: 0,
            pf_key: PfKeys::everywhere(0, "SADB_AALG_NONE"),
            ike: &[IkeAuthentication::new(0, &["non_auth"])],
            ..DEFAULT
        },
        /// The null algorithm.
        Null => AuthenticationRow {
            name: "null",
            setkey: &[word("null")],
            icv_bits: 0,
            pf_key: PfKeys {
                linux: listed(251, "SADB_X_AALG_NULL", 0),
                freebsd: number(251, "SADB_X_AALG_NULL"),
                netbsd: number(251, "SADB_X_AALG_NULL").listed(0, 0, 2048),
                darwin: number(5, "SADB_X_AALG_NULL"),
            },
            linux: Some(CryptoApi::new("digest_null")),
            ..DEFAULT
        },
        /// HMAC-MD5-96 (RFC 2403).
        HmacMd5 => AuthenticationRow {
            name: "hmac-md5",
            setkey: &[word("hmac-md5")],
            key: KeyBits::Each(&[128]),
            pf_key: PfKeys {
                linux: listed(2, "SADB_AALG_MD5HMAC", 128),
                freebsd: number(2, "SADB_AALG_MD5HMAC"),
                netbsd: listed(2, "SADB_AALG_MD5HMAC", 128),
                darwin: listed(1, "SADB_AALG_MD5HMAC", 128),
            },
            linux: Some(CryptoApi::new("hmac(md5)").alias("md5").module("md5")),
            ike: &[IkeAuthentication::new(1, &["hmac_md5"])],
            hash: Some(IkeHash { names: &["md5"], number: 1 }),
            weakness: Some(Weakness::BrokenHash),
            ..DEFAULT
        },
        /// HMAC-SHA-1-96 (RFC 2404).
        HmacSha1 => AuthenticationRow {
            name: "hmac-sha1",
            setkey: &[word("hmac-sha1")],
            key: KeyBits::Each(&[160]),
            pf_key: PfKeys {
                linux: listed(3, "SADB_AALG_SHA1HMAC", 160),
                freebsd: listed(3, "SADB_AALG_SHA1HMAC", 160),
                netbsd: listed(3, "SADB_AALG_SHA1HMAC", 160),
                darwin: listed(2, "SADB_AALG_SHA1HMAC", 160),
            },
            linux: Some(CryptoApi::new("hmac(sha1)").alias("sha1").module("sha1_generic")),
            ike: &[IkeAuthentication::new(2, &["hmac_sha1"])],
            hash: Some(IkeHash { names: &["sha1"], number: 2 }),
            ..DEFAULT
        },
        /// HMAC-SHA-256-128 (RFC 4868). PF_KEY of Linux cuts its ICV to 96 bits.
        HmacSha256 => AuthenticationRow {
            name: "hmac-sha256",
            setkey: &[word("hmac-sha256"), word("hmac-sha2-256"), word("hmac-sha2-256-128").icv(128)],
            key: KeyBits::Each(&[256]),
            icv_bits: 128,
            linux_icv_bits: Some(96),
            pf_key: PfKeys {
                linux: listed(5, "SADB_X_AALG_SHA2_256HMAC", 256),
                freebsd: listed(5, "SADB_X_AALG_SHA2_256", 256),
                netbsd: listed(5, "SADB_X_AALG_SHA2_256", 256),
                darwin: listed(6, "SADB_X_AALG_SHA2_256", 256),
            },
            linux: Some(CryptoApi::new("hmac(sha256)").alias("sha256").module("sha256_generic")),
            ike: &[
                IkeAuthentication::new(5, &["hmac_sha256", "hmac_sha2_256"]),
                IkeAuthentication::new(5, &["hmac_sha256_96"]).truncated(),
            ],
            hash: Some(IkeHash { names: &["sha256", "sha2_256"], number: 4 }),
            ..DEFAULT
        },
        /// HMAC-SHA-384-192 (RFC 4868).
        HmacSha384 => AuthenticationRow {
            name: "hmac-sha384",
            setkey: &[word("hmac-sha384"), word("hmac-sha2-384")],
            key: KeyBits::Each(&[384]),
            icv_bits: 192,
            pf_key: PfKeys {
                linux: listed(6, "SADB_X_AALG_SHA2_384HMAC", 384),
                freebsd: listed(6, "SADB_X_AALG_SHA2_384", 384),
                netbsd: listed(6, "SADB_X_AALG_SHA2_384", 384),
                darwin: listed(7, "SADB_X_AALG_SHA2_384", 384),
            },
            linux: Some(CryptoApi::new("hmac(sha384)").module("sha512_generic")),
            ike: &[IkeAuthentication::new(6, &["hmac_sha384", "hmac_sha2_384"])],
            hash: Some(IkeHash { names: &["sha384", "sha2_384"], number: 5 }),
            ..DEFAULT
        },
        /// HMAC-SHA-512-256 (RFC 4868).
        HmacSha512 => AuthenticationRow {
            name: "hmac-sha512",
            setkey: &[word("hmac-sha512"), word("hmac-sha2-512")],
            key: KeyBits::Each(&[512]),
            icv_bits: 256,
            pf_key: PfKeys {
                linux: listed(7, "SADB_X_AALG_SHA2_512HMAC", 512),
                freebsd: listed(7, "SADB_X_AALG_SHA2_512", 512),
                netbsd: listed(7, "SADB_X_AALG_SHA2_512", 512),
                darwin: listed(8, "SADB_X_AALG_SHA2_512", 512),
            },
            linux: Some(CryptoApi::new("hmac(sha512)").module("sha512_generic")),
            ike: &[IkeAuthentication::new(7, &["hmac_sha512", "hmac_sha2_512"])],
            hash: Some(IkeHash { names: &["sha512", "sha2_512"], number: 6 }),
            ..DEFAULT
        },
        /// HMAC-RIPEMD-160-96 (RFC 2857).
        HmacRipemd160 => AuthenticationRow {
            name: "hmac-ripemd160",
            setkey: &[word("hmac-ripemd160")],
            key: KeyBits::Each(&[160]),
            pf_key: PfKeys {
                linux: listed(8, "SADB_X_AALG_RIPEMD160HMAC", 160),
                freebsd: number(8, "SADB_X_AALG_RIPEMD160HMAC"),
                netbsd: listed(8, "SADB_X_AALG_RIPEMD160HMAC", 160),
                darwin: PfKey::NONE,
            },
            linux: Some(CryptoApi::new("hmac(rmd160)").alias("rmd160")),
            ..DEFAULT
        },
        /// AES-XCBC-MAC-96 (RFC 3566).
        AesXcbcMac => AuthenticationRow {
            name: "aes-xcbc-mac",
            setkey: &[word("aes-xcbc-mac")],
            key: KeyBits::Each(&[128]),
            pf_key: PfKeys {
                linux: listed(9, "SADB_X_AALG_AES_XCBC_MAC", 128),
                freebsd: listed(9, "SADB_X_AALG_AES_XCBC_MAC", 128),
                netbsd: listed(9, "SADB_X_AALG_AES_XCBC_MAC", 128),
                darwin: PfKey::NONE,
            },
            linux: Some(CryptoApi::new("xcbc(aes)").module("xcbc")),
            ike: &[IkeAuthentication::new(9, &["aes_xcbc"])],
            ..DEFAULT
        },
        /// HMAC-SM3.
        HmacSm3 => AuthenticationRow {
            name: "hmac-sm3",
            key: KeyBits::Each(&[256]),
            icv_bits: 256,
            pf_key: PfKeys { linux: number(10, "SADB_X_AALG_SM3_256HMAC"), ..PfKeys::NONE },
            linux: Some(CryptoApi::new("hmac(sm3)").alias("sm3")),
            ..DEFAULT
        },
        /// AES-GMAC in AH with a key of 128 bits (RFC 4543).
        Aes128Gmac => AuthenticationRow {
            name: "aes-gmac-128",
            key: KeyBits::Each(&[160]),
            icv_bits: 128,
            pf_key: PfKeys {
                freebsd: listed(11, "SADB_X_AALG_AES128GMAC", 160),
                netbsd: number(11, "SADB_X_AALG_AES128GMAC"),
                ..PfKeys::NONE
            },
            ..DEFAULT
        },
        /// AES-GMAC in AH with a key of 192 bits (RFC 4543).
        Aes192Gmac => AuthenticationRow {
            name: "aes-gmac-192",
            key: KeyBits::Each(&[224]),
            icv_bits: 128,
            pf_key: PfKeys {
                freebsd: listed(12, "SADB_X_AALG_AES192GMAC", 224),
                netbsd: number(12, "SADB_X_AALG_AES192GMAC"),
                ..PfKeys::NONE
            },
            ..DEFAULT
        },
        /// AES-GMAC in AH with a key of 256 bits (RFC 4543).
        Aes256Gmac => AuthenticationRow {
            name: "aes-gmac-256",
            key: KeyBits::Each(&[288]),
            icv_bits: 128,
            pf_key: PfKeys {
                freebsd: listed(13, "SADB_X_AALG_AES256GMAC", 288),
                netbsd: number(13, "SADB_X_AALG_AES256GMAC"),
                ..PfKeys::NONE
            },
            ..DEFAULT
        },
        /// The tag of ChaCha20-Poly1305 (FreeBSD).
        ChaCha20Poly1305 => AuthenticationRow {
            name: "chacha20-poly1305",
            key: KeyBits::Each(&[288]),
            icv_bits: 128,
            pf_key: PfKeys { freebsd: number(14, "SADB_X_AALG_CHACHA20POLY1305"), ..PfKeys::NONE },
            ..DEFAULT
        },
        /// Keyed MD5 (RFC 1828), for AH of RFC 1826.
        KeyedMd5 => AuthenticationRow {
            name: "md5",
            setkey: &[word("keyed-md5")],
            key: KeyBits::Each(&[128]),
            icv_bits: 128,
            // Linux has none of the algorithms of RFC 1826.
            pf_key: PfKeys {
                linux: PfKey::NONE,
                freebsd: number(249, "SADB_X_AALG_MD5"),
                netbsd: listed(249, "SADB_X_AALG_MD5", 128),
                darwin: number(3, "SADB_X_AALG_MD5"),
            },
            ike: &[IkeAuthentication::new(4, &[]).flags(SaFlags::OLD)],
            ..DEFAULT
        },
        /// Keyed SHA-1.
        KeyedSha1 => AuthenticationRow {
            name: "sha",
            setkey: &[word("keyed-sha1")],
            key: KeyBits::Each(&[160]),
            icv_bits: 160,
            pf_key: PfKeys {
                linux: PfKey::NONE,
                freebsd: number(250, "SADB_X_AALG_SHA"),
                netbsd: listed(250, "SADB_X_AALG_SHA", 160),
                darwin: number(4, "SADB_X_AALG_SHA"),
            },
            ..DEFAULT
        },
        /// TCP-MD5 (RFC 2385), for SAs of its own. No kernel lists it in REGISTER.
        TcpMd5 => AuthenticationRow {
            name: "tcp-md5",
            setkey: &[word("tcp-md5")],
            key: KeyBits::Range { min: 8, max: 640 },
            icv_bits: 128,
            pf_key: PfKeys {
                freebsd: number(252, "SADB_X_AALG_TCP_MD5"),
                netbsd: number(252, "SADB_X_AALG_TCP_MD5"),
                ..PfKeys::NONE
            },
            ..DEFAULT
        },
    }
}

impl Authentication {
    /// Bits of the ICV that its PF_KEY number means in a dialect.
    pub const fn icv_bits(self, dialect: Dialect) -> u16 {
        match (self.row(), dialect) {
            // Over PF_KEY, as a netlink request can say another length.
            (Some(AuthenticationRow { linux_icv_bits: Some(bits), .. }), Dialect::Linux) => *bits,
            _ => self.standard_icv_bits(),
        }
    }

    /// Returns its name in dumps for an ICV of `icv_bits`, if that is not PF_KEY's own length.
    pub fn name_with_icv(self, icv_bits: Option<u32>) -> Option<&'static str> {
        let has_icv = |word: &&HashWord| word.icv_bits.map(u32::from) == icv_bits && icv_bits.is_some();
        self.setkey().iter().find(has_icv).map(|word| word.name).or_else(|| self.name())
    }

    /// What the kernels of a dialect say of it in REGISTER.
    pub(crate) fn listed(self, dialect: Dialect) -> Option<Listed> {
        self.pf_key(dialect)?.listed
    }
}

columns! {
    Authentication {
        /// Key lengths in bits. HMACs of Linux take keys of any length; an SA should have one of this.
        pub key_bits: KeyBits = key or KeyBits::NONE;
        /// Bits of the ICV by its RFC.
        pub standard_icv_bits: u16 = icv_bits or 0;
        /// Why it is weak; `None` if it is not.
        pub weakness: Option<Weakness> = weakness or None;
        /// Its words in racoon.conf with their numbers.
        pub ike: &'static [IkeAuthentication] = ike or &[];
        /// Its words in setkey.
        pub(super) setkey: &'static [HashWord] = setkey or &[];
    }
}
