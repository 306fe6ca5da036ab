//! The algorithms that a configuration can name. Numbers of the wire are the engine's business.

use super::word::words;

words! {
    /// A cipher of phase 1.
    Cipher {
        /// DES-CBC, 56 bits; weak.
        Des = "des",
        /// Triple DES, 168 bits.
        TripleDes = "3des",
        /// Blowfish, 40 to 448 bits.
        Blowfish = "blowfish",
        /// CAST-128, 40 to 128 bits.
        Cast128 = "cast128",
        /// AES-CBC, 128, 192 or 256 bits.
        Aes = "aes" | "rijndael",
        /// Camellia-CBC, 128, 192 or 256 bits.
        Camellia = "camellia",
    }
}

impl Cipher {
    /// Key lengths.
    pub fn key_length(self) -> KeyLength {
        match self {
            Self::Des | Self::TripleDes => KeyLength::Fixed,
            Self::Blowfish => KeyLength::Range { least: 40, most: 448 },
            Self::Cast128 => KeyLength::Range { least: 40, most: 128 },
            Self::Aes | Self::Camellia => KeyLength::Aes,
        }
    }
}

/// Which key lengths, in bits, a cipher has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyLength {
    /// One, which is never written.
    Fixed,
    /// Multiples of 8.
    Range {
        /// The shortest.
        least: u16,
        /// The longest.
        most: u16,
    },
    /// 128, 192 and 256.
    Aes,
}

impl KeyLength {
    /// The length of a key that is not said; `None` for a cipher of one length.
    pub fn default_bits(self) -> Option<u16> {
        (self != Self::Fixed).then_some(128)
    }

    /// Whether a key may have `bits` bits.
    pub fn allows(self, bits: u16) -> bool {
        match self {
            Self::Fixed => false,
            Self::Range { least, most } => (least..=most).contains(&bits) && bits.is_multiple_of(8),
            Self::Aes => matches!(bits, 128 | 192 | 256),
        }
    }
}

words! {
    /// A hash of phase 1.
    Hash {
        /// MD5; weak.
        Md5 = "md5",
        /// SHA-1.
        Sha1 = "sha1",
        /// SHA-256.
        Sha256 = "sha256" | "sha2_256",
        /// SHA-384.
        Sha384 = "sha384" | "sha2_384",
        /// SHA-512.
        Sha512 = "sha512" | "sha2_512",
    }
}

words! {
    /// How the ends of phase 1 prove who they are.
    AuthenticationMethod {
        /// A key both know.
        PreSharedKey = "pre_shared_key",
        /// RSA signatures.
        RsaSig = "rsasig",
        /// ECDSA signatures (RFC 4754), by the curve of the certificate.
        EcdsaSig = "ecdsasig",
        /// Hybrid: the server signs, this end, the client, logs in.
        HybridRsaClient = "hybrid_rsa_client",
        /// Hybrid: this end, the server, signs, the client logs in.
        HybridRsaServer = "hybrid_rsa_server",
        /// Pre-shared key, then this end logs in.
        XauthPskClient = "xauth_psk_client",
        /// Pre-shared key, then the peer logs in.
        XauthPskServer = "xauth_psk_server",
        /// RSA signatures, then this end logs in.
        XauthRsaClient = "xauth_rsa_client",
        /// RSA signatures, then the peer logs in.
        XauthRsaServer = "xauth_rsa_server",
    }
}

impl AuthenticationMethod {
    /// Whether a pre-shared key is part of it.
    pub fn has_pre_shared_key(self) -> bool {
        matches!(self, Self::PreSharedKey | Self::XauthPskClient | Self::XauthPskServer)
    }

    /// Whether this end signs.
    pub fn signs(self) -> bool {
        !self.has_pre_shared_key() && self != Self::HybridRsaClient
    }

    /// Whether the peer signs.
    pub fn verifies(self) -> bool {
        !self.has_pre_shared_key() && self != Self::HybridRsaServer
    }

    /// Whether this end is the client of a login.
    pub fn is_xauth_client(self) -> bool {
        matches!(self, Self::HybridRsaClient | Self::XauthPskClient | Self::XauthRsaClient)
    }

    /// Whether this end is the server of a login.
    pub fn is_xauth_server(self) -> bool {
        matches!(self, Self::HybridRsaServer | Self::XauthPskServer | Self::XauthRsaServer)
    }
}

words! {
    /// A Diffie-Hellman group. The number of each is a name, too.
    DhGroup {
        /// Group 1; weak.
        Modp768 = "modp768" | "1",
        /// Group 2; weak.
        Modp1024 = "modp1024" | "2",
        /// Group 3, EC2N; not supported.
        Ec2n155 = "ec2n155" | "3",
        /// Group 4, EC2N; not supported.
        Ec2n185 = "ec2n185" | "4",
        /// Group 5; weak.
        Modp1536 = "modp1536" | "5",
        /// Group 14.
        Modp2048 = "modp2048" | "14",
        /// Group 15.
        Modp3072 = "modp3072" | "15",
        /// Group 16.
        Modp4096 = "modp4096" | "16",
        /// Group 17.
        Modp6144 = "modp6144" | "17",
        /// Group 18.
        Modp8192 = "modp8192" | "18",
        /// Group 19 (RFC 5903).
        Ecp256 = "ecp256" | "19",
        /// Group 20 (RFC 5903).
        Ecp384 = "ecp384" | "20",
        /// Group 21 (RFC 5903).
        Ecp521 = "ecp521" | "21",
        /// Group 31.
        X25519 = "x25519" | "31",
    }
}

impl DhGroup {
    /// Whether anything can be negotiated with it: configurations of old name groups that no program should use.
    pub fn is_supported(self) -> bool {
        !matches!(self, Self::Ec2n155 | Self::Ec2n185)
    }

    /// Its number in the registry of IKE (RFC 2409).
    pub fn number(self) -> u16 {
        match self {
            Self::Modp768 => 1,
            Self::Modp1024 => 2,
            Self::Ec2n155 => 3,
            Self::Ec2n185 => 4,
            Self::Modp1536 => 5,
            Self::Modp2048 => 14,
            Self::Modp3072 => 15,
            Self::Modp4096 => 16,
            Self::Modp6144 => 17,
            Self::Modp8192 => 18,
            Self::Ecp256 => 19,
            Self::Ecp384 => 20,
            Self::Ecp521 => 21,
            Self::X25519 => 31,
        }
    }
}

words! {
    /// A cipher of ESP.
    EspCipher {
        /// DES with a 64-bit IV; weak.
        DesIv64 = "des_iv64",
        /// DES-CBC; weak.
        Des = "des",
        /// Triple DES.
        TripleDes = "3des",
        /// CAST-128, 40 to 128 bits.
        Cast128 = "cast128",
        /// Blowfish, 40 to 448 bits.
        Blowfish = "blowfish",
        /// DES with a 32-bit IV; weak.
        DesIv32 = "des_iv32",
        /// None: only authentication.
        Null = "null_enc" | "null",
        /// AES-CBC.
        Aes = "aes" | "rijndael",
        /// AES-CTR (RFC 3686).
        AesCtr = "aes_ctr",
        /// AES-CCM with an ICV of 8 octets (RFC 4309).
        AesCcm8 = "aes_ccm_8",
        /// AES-CCM with an ICV of 12 octets.
        AesCcm12 = "aes_ccm_12",
        /// AES-CCM with an ICV of 16 octets.
        AesCcm16 = "aes_ccm" | "aes_ccm_16",
        /// AES-GCM with an ICV of 8 octets (RFC 4106).
        AesGcm8 = "aes_gcm_8",
        /// AES-GCM with an ICV of 12 octets.
        AesGcm12 = "aes_gcm_12",
        /// AES-GCM with an ICV of 16 octets.
        AesGcm16 = "aes_gcm" | "aes_gcm_16",
        /// AES-GMAC: only authentication (RFC 4543).
        AesGmac = "aes_gmac",
        /// Camellia-CBC.
        Camellia = "camellia",
        /// Twofish, 40 to 256 bits.
        Twofish = "twofish",
    }
}

impl EspCipher {
    /// Key lengths.
    pub fn key_length(self) -> KeyLength {
        match self {
            Self::DesIv64 | Self::Des | Self::DesIv32 | Self::TripleDes | Self::Null => KeyLength::Fixed,
            Self::Cast128 => KeyLength::Range { least: 40, most: 128 },
            Self::Blowfish => KeyLength::Range { least: 40, most: 448 },
            Self::Twofish => KeyLength::Range { least: 40, most: 256 },
            _ => KeyLength::Aes,
        }
    }

    /// Whether it authenticates, too: the list of authentication algorithms does not apply to it.
    pub fn is_aead(self) -> bool {
        matches!(
            self,
            Self::AesCcm8
                | Self::AesCcm12
                | Self::AesCcm16
                | Self::AesGcm8
                | Self::AesGcm12
                | Self::AesGcm16
                | Self::AesGmac
        )
    }
}

words! {
    /// An authentication algorithm of ESP and AH.
    EspAuthentication {
        /// HMAC-MD5-96; weak.
        HmacMd5 = "hmac_md5",
        /// HMAC-SHA-1-96.
        HmacSha1 = "hmac_sha1",
        /// HMAC-SHA-256-128 (RFC 4868).
        HmacSha256 = "hmac_sha256" | "hmac_sha2_256",
        /// HMAC-SHA-256 cut to 96 bits, as old Linux peers do it.
        HmacSha256To96 = "hmac_sha256_96",
        /// HMAC-SHA-384-192 (RFC 4868).
        HmacSha384 = "hmac_sha384" | "hmac_sha2_384",
        /// HMAC-SHA-512-256 (RFC 4868).
        HmacSha512 = "hmac_sha512" | "hmac_sha2_512",
        /// AES-XCBC-MAC-96 (RFC 3566).
        AesXcbc = "aes_xcbc",
        /// None: ESP only.
        None = "non_auth",
    }
}

words! {
    /// A compression algorithm of IPComp.
    Compression {
        /// Vendor specific.
        Oui = "oui",
        /// DEFLATE (RFC 2394).
        Deflate = "deflate",
        /// LZS (RFC 2395).
        Lzs = "lzs",
    }
}

/// A cipher of phase 1 with the length of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Encryption {
    /// The cipher.
    pub cipher: Cipher,
    /// Bits of the key; `None` for a cipher of one length.
    pub key_bits: Option<u16>,
}

/// A cipher of ESP with the length of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EspEncryption {
    /// The cipher.
    pub cipher: EspCipher,
    /// Bits of the cipher's key, without a salt; `None` for a cipher of one length.
    pub key_bits: Option<u16>,
}
