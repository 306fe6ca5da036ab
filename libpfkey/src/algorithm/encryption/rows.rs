//! The table of encryption algorithms.

use super::{EncryptionKind, EncryptionRow};
use crate::algorithm::column::{CryptoApi, KeyBits, PfKey, PfKeys, Weakness};
use crate::algorithm::ike::IkeEncryption;
use crate::algorithm::table::table;
use crate::algorithm::word::CipherWord;
use crate::dialect::Dialect;
use crate::num::SaFlags;

/// What a row says unless it says otherwise.
const DEFAULT: EncryptionRow = EncryptionRow {
    name: "",
    elsewhere: &[],
    setkey: &[],
    kind: EncryptionKind::Cbc,
    key: KeyBits::NONE,
    salt_bits: 0,
    block_len: 8,
    iv_len: 8,
    pf_key: PfKeys::NONE,
    linux: None,
    ike: &[],
    weakness: None,
};

/// A cipher with a block of 128 bits, unless a row says otherwise.
const BLOCK_128: EncryptionRow = EncryptionRow { block_len: 16, iv_len: 16, ..DEFAULT };

/// A counter mode that authenticates, unless a row says otherwise.
const AEAD: EncryptionRow = EncryptionRow {
    kind: EncryptionKind::Aead { icv_bits: 128 },
    salt_bits: 32,
    block_len: 1,
    key: AES_SALTED,
    ..DEFAULT
};

/// Keys of AES and of ciphers made after it.
const AES: KeyBits = KeyBits::Each(&[128, 192, 256]);
/// AES with a salt of 32 bits.
const AES_SALTED: KeyBits = KeyBits::Each(&[160, 224, 288]);
/// AES with a salt of 24 bits (RFC 4309).
const AES_CCM: KeyBits = KeyBits::Each(&[152, 216, 280]);
/// CAST-128.
const CAST: KeyBits = KeyBits::Range { min: 40, max: 128 };
/// Blowfish.
const BLOWFISH: KeyBits = KeyBits::Range { min: 40, max: 448 };
/// DES, of whose 64 bits 8 are parity.
const DES: KeyBits = KeyBits::Each(&[64]);
/// Three keys of DES.
const TRIPLE_DES: KeyBits = KeyBits::Each(&[192]);

/// A word of setkey that means the algorithm itself.
const fn word(name: &'static str) -> CipherWord {
    CipherWord::new(name)
}

/// A PF_KEY number without more.
const fn number(number: u8, constant: &'static str) -> PfKey {
    PfKey::new(number, constant)
}

const CCM: CryptoApi = CryptoApi::new("rfc4309(ccm(aes))").module("ccm");
const GCM: CryptoApi = CryptoApi::new("rfc4106(gcm(aes))").module("gcm");

// The order is that in which `af_key` of Linux lists the algorithms in REGISTER.
table! {
    /// Encryption algorithm of ESP, with or without authentication.
    Encryption: EncryptionRow {
        /// No encryption algorithm.
        None => EncryptionRow { name: "none", pf_key: PfKeys::everywhere(0, "SADB_EALG_NONE"), ..DEFAULT },
        /// The null cipher (RFC 2410).
        Null => EncryptionRow {
            name: "null",
            elsewhere: &["null"],
            setkey: &[word("null"), word("simple").obsolete()],
            kind: EncryptionKind::Null,
            block_len: 1,
            iv_len: 0,
            pf_key: PfKeys {
                // In place of the IV's length NetBSD reports the size of a block, here and below.
                linux: number(11, "SADB_EALG_NULL").listed(0, 0, 0),
                freebsd: number(11, "SADB_EALG_NULL").listed(0, 0, 2048),
                netbsd: number(11, "SADB_EALG_NULL").listed(4, 0, 2048),
                darwin: number(3, "SADB_EALG_NULL").listed(4, 0, 2048),
            },
            linux: Some(CryptoApi::new("ecb(cipher_null)").alias("cipher_null").module("crypto_null")),
            ike: &[IkeEncryption::new(11, &["null_enc", "null"], KeyBits::NONE)],
            ..DEFAULT
        },
        /// DES-CBC (RFC 2405). Its variants with another IV differ by SA flags.
        DesCbc => EncryptionRow {
            name: "des-cbc",
            setkey: &[
                word("des-cbc"),
                word("des-deriv").flags(SaFlags::DERIV),
                word("des-32iv").flags(SaFlags::IV4B),
            ],
            key: DES,
            pf_key: PfKeys {
                linux: number(2, "SADB_EALG_DESCBC").listed(8, 64, 64),
                // Recent kernels have removed it, like all that is not listed here.
                freebsd: number(2, "SADB_EALG_DESCBC"),
                netbsd: number(2, "SADB_EALG_DESCBC").listed(8, 64, 64),
                darwin: number(1, "SADB_EALG_DESCBC").listed(8, 64, 64),
            },
            linux: Some(CryptoApi::new("cbc(des)").alias("des").module("des_generic")),
            ike: &[
                IkeEncryption::new(2, &["des"], DES).phase1(1),
                IkeEncryption::new(1, &["des_iv64"], DES),
                IkeEncryption::new(9, &["des_iv32"], DES).flags(SaFlags::IV4B),
            ],
            weakness: Some(Weakness::ShortKey),
            ..DEFAULT
        },
        /// 3DES-CBC (RFC 2451).
        TripleDesCbc => EncryptionRow {
            name: "3des-cbc",
            setkey: &[word("3des-cbc")],
            key: TRIPLE_DES,
            pf_key: PfKeys {
                linux: number(3, "SADB_EALG_3DESCBC").listed(8, 192, 192),
                freebsd: number(3, "SADB_EALG_3DESCBC"),
                netbsd: number(3, "SADB_EALG_3DESCBC").listed(8, 192, 192),
                darwin: number(2, "SADB_EALG_3DESCBC").listed(8, 192, 192),
            },
            linux: Some(CryptoApi::new("cbc(des3_ede)").alias("des3_ede").module("des_generic")),
            ike: &[IkeEncryption::new(3, &["3des"], TRIPLE_DES).phase1(5)],
            ..DEFAULT
        },
        /// CAST-128-CBC (RFC 2451).
        Cast128Cbc => EncryptionRow {
            name: "cast128-cbc",
            elsewhere: &["cast"],
            setkey: &[word("cast128-cbc")],
            key: CAST,
            pf_key: PfKeys {
                linux: number(6, "SADB_X_EALG_CASTCBC").listed(8, 40, 128),
                freebsd: number(6, "SADB_X_EALG_CAST128CBC"),
                netbsd: number(6, "SADB_X_EALG_CAST128CBC").listed(8, 40, 128),
                darwin: number(5, "SADB_X_EALG_CAST128CBC"),
            },
            linux: Some(CryptoApi::new("cbc(cast5)").alias("cast5").module("cast5_generic")),
            ike: &[IkeEncryption::new(6, &["cast128"], CAST).phase1(6)],
            ..DEFAULT
        },
        /// Blowfish-CBC (RFC 2451).
        BlowfishCbc => EncryptionRow {
            name: "blowfish-cbc",
            elsewhere: &["blowfish", "bf"],
            setkey: &[word("blowfish-cbc")],
            key: BLOWFISH,
            pf_key: PfKeys {
                linux: number(7, "SADB_X_EALG_BLOWFISHCBC").listed(8, 40, 448),
                freebsd: number(7, "SADB_X_EALG_BLOWFISHCBC"),
                netbsd: number(7, "SADB_X_EALG_BLOWFISHCBC").listed(8, 40, 448),
                darwin: number(4, "SADB_X_EALG_BLOWFISHCBC"),
            },
            linux: Some(CryptoApi::new("cbc(blowfish)").alias("blowfish").module("blowfish_generic")),
            ike: &[IkeEncryption::new(7, &["blowfish"], BLOWFISH).phase1(3)],
            ..DEFAULT
        },
        /// AES-CBC (RFC 3602).
        AesCbc => EncryptionRow {
            name: "aes-cbc",
            elsewhere: &["aes", "rijndael"],
            setkey: &[word("aes-cbc"), word("rijndael-cbc")],
            key: AES,
            pf_key: PfKeys {
                linux: number(12, "SADB_X_EALG_AESCBC").listed(8, 128, 256),
                freebsd: number(12, "SADB_X_EALG_AESCBC").listed(16, 128, 256),
                netbsd: number(12, "SADB_X_EALG_AES").listed(16, 128, 256),
                darwin: number(12, "SADB_X_EALG_AESCBC").listed(16, 128, 256),
            },
            linux: Some(CryptoApi::new("cbc(aes)").alias("aes").module("aes_generic")),
            ike: &[IkeEncryption::new(12, &["aes", "rijndael"], AES).phase1(7)],
            ..BLOCK_128
        },
        /// Serpent-CBC.
        SerpentCbc => EncryptionRow {
            name: "serpent-cbc",
            key: KeyBits::Range { min: 128, max: 256 },
            pf_key: PfKeys {
                linux: number(252, "SADB_X_EALG_SERPENTCBC").listed(8, 128, 256),
                ..PfKeys::NONE
            },
            linux: Some(CryptoApi::new("cbc(serpent)").alias("serpent").module("serpent_generic")),
            ..BLOCK_128
        },
        /// Camellia-CBC (RFC 4312). NetBSD reports a shorter key than it takes.
        CamelliaCbc => EncryptionRow {
            name: "camellia-cbc",
            elsewhere: &["camellia"],
            setkey: &[word("camellia-cbc")],
            key: AES,
            pf_key: PfKeys {
                linux: number(22, "SADB_X_EALG_CAMELLIACBC").listed(8, 128, 256),
                freebsd: number(22, "SADB_X_EALG_CAMELLIACBC"),
                netbsd: number(22, "SADB_X_EALG_CAMELLIACBC").listed(16, 64, 256),
                darwin: PfKey::NONE,
            },
            linux: Some(CryptoApi::new("cbc(camellia)").alias("camellia").module("camellia_generic")),
            ike: &[IkeEncryption::new(22, &["camellia"], AES).phase1(8)],
            ..BLOCK_128
        },
        /// Twofish-CBC. racoon.conf takes more key lengths than kernels do, as it always has.
        TwofishCbc => EncryptionRow {
            name: "twofish-cbc",
            elsewhere: &["twofish"],
            setkey: &[word("twofish-cbc")],
            key: AES,
            pf_key: PfKeys {
                linux: number(253, "SADB_X_EALG_TWOFISHCBC").listed(8, 128, 256),
                ..PfKeys::NONE
            },
            linux: Some(CryptoApi::new("cbc(twofish)").alias("twofish").module("twofish_generic")),
            ike: &[IkeEncryption::new(253, &["twofish"], KeyBits::Range { min: 40, max: 256 })],
            ..BLOCK_128
        },
        /// AES-CTR (RFC 3686), whose key ends with a nonce.
        AesCtr => EncryptionRow {
            name: "aes-ctr",
            setkey: &[word("aes-ctr")],
            kind: EncryptionKind::Counter,
            key: AES_SALTED,
            salt_bits: 32,
            block_len: 1,
            pf_key: PfKeys {
                linux: number(13, "SADB_X_EALG_AESCTR").listed(8, 160, 288),
                freebsd: number(13, "SADB_X_EALG_AESCTR").listed(8, 160, 288),
                netbsd: number(13, "SADB_X_EALG_AESCTR").listed(16, 160, 288),
                darwin: PfKey::NONE,
            },
            linux: Some(CryptoApi::new("rfc3686(ctr(aes))").module("ctr")),
            ike: &[IkeEncryption::new(13, &["aes_ctr"], AES)],
            ..DEFAULT
        },
        /// SM4-CBC.
        Sm4Cbc => EncryptionRow {
            name: "sm4-cbc",
            key: KeyBits::Each(&[128]),
            pf_key: PfKeys { linux: number(24, "SADB_X_EALG_SM4CBC"), ..PfKeys::NONE },
            linux: Some(CryptoApi::new("cbc(sm4)").alias("sm4")),
            ..BLOCK_128
        },
        /// AES-CCM with an 8-byte ICV (RFC 4309). No kernel lists it in REGISTER.
        AesCcm8 => EncryptionRow {
            name: "aes-ccm-8",
            setkey: &[word("aes-ccm-8")],
            kind: EncryptionKind::Aead { icv_bits: 64 },
            key: AES_CCM,
            salt_bits: 24,
            // `af_key` looks for the numbers of AEADs among plain ciphers and refuses them; NETLINK_XFRM has no such numbers.
            pf_key: PfKeys { linux: number(14, "SADB_X_EALG_AES_CCM_ICV8"), ..PfKeys::NONE },
            linux: Some(CCM),
            ike: &[IkeEncryption::new(14, &["aes_ccm_8"], AES)],
            ..AEAD
        },
        /// AES-CCM with a 12-byte ICV (RFC 4309).
        AesCcm12 => EncryptionRow {
            name: "aes-ccm-12",
            setkey: &[word("aes-ccm-12")],
            kind: EncryptionKind::Aead { icv_bits: 96 },
            key: AES_CCM,
            salt_bits: 24,
            pf_key: PfKeys { linux: number(15, "SADB_X_EALG_AES_CCM_ICV12"), ..PfKeys::NONE },
            linux: Some(CCM),
            ike: &[IkeEncryption::new(15, &["aes_ccm_12"], AES)],
            ..AEAD
        },
        /// AES-CCM with a 16-byte ICV (RFC 4309).
        AesCcm16 => EncryptionRow {
            name: "aes-ccm-16",
            setkey: &[word("aes-ccm-16")],
            key: AES_CCM,
            salt_bits: 24,
            pf_key: PfKeys { linux: number(16, "SADB_X_EALG_AES_CCM_ICV16"), ..PfKeys::NONE },
            linux: Some(CCM),
            ike: &[IkeEncryption::new(16, &["aes_ccm", "aes_ccm_16"], AES)],
            ..AEAD
        },
        /// AES-GCM with an 8-byte ICV (RFC 4106).
        AesGcm8 => EncryptionRow {
            name: "aes-gcm-8",
            setkey: &[word("aes-gcm-8")],
            kind: EncryptionKind::Aead { icv_bits: 64 },
            pf_key: PfKeys {
                linux: number(18, "SADB_X_EALG_AES_GCM_ICV8"),
                // FreeBSD and NetBSD have these numbers, but implement only ICVs of 16 bytes.
                freebsd: number(18, "SADB_X_EALG_AESGCM8"),
                netbsd: number(18, "SADB_X_EALG_AESGCM8"),
                darwin: PfKey::NONE,
            },
            linux: Some(GCM),
            ike: &[IkeEncryption::new(18, &["aes_gcm_8"], AES)],
            ..AEAD
        },
        /// AES-GCM with a 12-byte ICV (RFC 4106).
        AesGcm12 => EncryptionRow {
            name: "aes-gcm-12",
            setkey: &[word("aes-gcm-12")],
            kind: EncryptionKind::Aead { icv_bits: 96 },
            pf_key: PfKeys {
                linux: number(19, "SADB_X_EALG_AES_GCM_ICV12"),
                freebsd: number(19, "SADB_X_EALG_AESGCM12"),
                netbsd: number(19, "SADB_X_EALG_AESGCM12"),
                darwin: PfKey::NONE,
            },
            linux: Some(GCM),
            ike: &[IkeEncryption::new(19, &["aes_gcm_12"], AES)],
            ..AEAD
        },
        /// AES-GCM with a 16-byte ICV (RFC 4106).
        AesGcm16 => EncryptionRow {
            name: "aes-gcm-16",
            setkey: &[word("aes-gcm-16")],
            pf_key: PfKeys {
                linux: number(20, "SADB_X_EALG_AES_GCM_ICV16"),
                freebsd: number(20, "SADB_X_EALG_AESGCM16").listed(8, 160, 288),
                netbsd: number(20, "SADB_X_EALG_AESGCM16").listed(4, 160, 288),
                darwin: number(13, "SADB_X_EALG_AES_GCM").listed(8, 160, 288),
            },
            linux: Some(GCM),
            ike: &[IkeEncryption::new(20, &["aes_gcm", "aes_gcm_16"], AES)],
            ..AEAD
        },
        /// AES-GMAC (RFC 4543), which authenticates and does not encrypt.
        AesGmac => EncryptionRow {
            name: "aes-gmac",
            setkey: &[word("aes-gmac")],
            pf_key: PfKeys {
                linux: number(23, "SADB_X_EALG_NULL_AES_GMAC"),
                freebsd: number(23, "SADB_X_EALG_AESGMAC").listed(8, 160, 288),
                netbsd: number(23, "SADB_X_EALG_AESGMAC").listed(4, 160, 288),
                darwin: number(15, "SADB_X_EALG_AES_GMAC"),
            },
            linux: Some(CryptoApi::new("rfc4543(gcm(aes))").module("gcm")),
            ike: &[IkeEncryption::new(23, &["aes_gmac"], AES)],
            ..AEAD
        },
        /// ChaCha20-Poly1305 (RFC 7634). The number for Linux, whose PF_KEY has none, is private to this library.
        ChaCha20Poly1305 => EncryptionRow {
            name: "chacha20-poly1305",
            elsewhere: &["chacha"],
            setkey: &[word("chacha20-poly1305")],
            key: KeyBits::Each(&[288]),
            pf_key: PfKeys {
                linux: number(240, ""),
                freebsd: number(15, "SADB_X_EALG_CHACHA20POLY1305").listed(8, 288, 288),
                netbsd: PfKey::NONE,
                darwin: number(14, "SADB_X_EALG_CHACHA20POLY1305"),
            },
            linux: Some(CryptoApi::new("rfc7539esp(chacha20,poly1305)").module("chacha20poly1305")),
            ..AEAD
        },
        /// Skipjack.
        Skipjack => EncryptionRow {
            name: "skipjack",
            key: KeyBits::Each(&[80]),
            pf_key: PfKeys {
                netbsd: number(250, "SADB_X_EALG_SKIPJACK").listed(8, 80, 80),
                ..PfKeys::NONE
            },
            ..DEFAULT
        },
    }
}
