//! Algorithms that a configuration can name: views of libpfkey's table, and the methods and groups of IKE.

use std::fmt;

use libpfkey::algorithm::{
    Authentication, Compression, Encryption as Algorithm, IkeAuthentication, IkeEncryption, IkeHash, KeyBits,
};

use super::word::words;

/// Bits of a key whose length is not configured, for ciphers that have several.
const DEFAULT_KEY_BITS: u16 = 128;

/// Defines a word of the configuration that stands for a row of libpfkey's table.
macro_rules! view {
    ($(#[$doc:meta])* $name:ident($algorithm:ty, $row:ty): $all:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name {
            algorithm: $algorithm,
            row: &'static $row,
        }

        impl $name {
            /// Returns all of them, in the order of their numbers.
            pub fn all() -> impl Iterator<Item = Self> {
                $all.into_iter().map(|(algorithm, row)| Self { algorithm, row })
            }

            /// Returns all words and what they mean.
            pub fn words() -> Vec<(&'static str, Self)> {
                Self::all().flat_map(|one| one.row.names.iter().map(move |name| (*name, one))).collect()
            }

            /// Returns what a word means.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::all().find(|one| one.row.names.contains(&name))
            }

            /// Returns the word that `racoon -C` prints.
            pub fn name(self) -> &'static str {
                self.row.names.first().copied().unwrap_or_default()
            }

            /// Returns the algorithm.
            pub fn algorithm(self) -> $algorithm {
                self.algorithm
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

view! {
    /// A cipher of phase 1.
    Cipher(Algorithm, IkeEncryption): Algorithm::of_phase1()
}

impl Cipher {
    /// Returns its number as an Encryption Algorithm of phase 1 (RFC 2409 appendix A).
    pub fn number(self) -> u16 {
        // `all` has only rows with a number.
        self.row.phase1.unwrap_or_default()
    }

    /// Returns its key lengths.
    pub fn key_bits(self) -> KeyBits {
        self.row.key
    }
}

view! {
    /// A hash of phase 1.
    Hash(Authentication, IkeHash): Authentication::hashes()
}

impl Hash {
    /// Returns its number as a Hash Algorithm of phase 1 (RFC 2409 appendix A).
    pub fn number(self) -> u16 {
        self.row.number
    }
}

view! {
    /// A cipher of ESP.
    EspCipher(Algorithm, IkeEncryption): Algorithm::of_esp()
}

impl EspCipher {
    /// Returns its ESP transform identifier (RFC 2407 section 4.4.4).
    pub fn transform(self) -> u8 {
        self.row.esp
    }

    /// Returns the lengths of its key, without the salt.
    pub fn key_bits(self) -> KeyBits {
        self.row.key
    }

    /// Whether it also authenticates, so that the list of authentication algorithms does not apply to it.
    pub fn is_aead(self) -> bool {
        self.algorithm.is_aead()
    }
}

view! {
    /// An authentication algorithm of ESP and AH; for ESP it may be none.
    EspAuthentication(Authentication, IkeAuthentication): Authentication::of_phase2()
}

impl EspAuthentication {
    /// Returns its number as an Authentication Algorithm attribute (RFC 2407 section 4.5).
    pub fn number(self) -> u16 {
        self.row.attribute
    }

    /// Whether the ICV is truncated to 96 bits as by old Linux peers, contrary to RFC 4868.
    pub fn is_truncated(self) -> bool {
        self.row.truncated
    }
}

/// Returns the compression algorithms that a configuration can name.
pub(super) fn compressions() -> Vec<(&'static str, Compression)> {
    let all = Compression::of_phase2().into_iter();
    all.flat_map(|(algorithm, ike)| ike.names.iter().map(move |name| (*name, algorithm))).collect()
}

/// Returns the key length that applies if none is configured; `None` for a cipher with a fixed length.
pub(super) fn default_key_bits(lengths: KeyBits) -> Option<u16> {
    (!lengths.is_fixed()).then_some(DEFAULT_KEY_BITS)
}

words! {
    /// Authentication method of phase 1.
    AuthenticationMethod {
        /// A pre-shared key.
        PreSharedKey = "pre_shared_key",
        /// RSA signatures.
        RsaSig = "rsasig",
        /// ECDSA signatures (RFC 4754), by the curve of the certificate.
        EcdsaSig = "ecdsasig",
        /// Hybrid: the server signs; this end, the client, logs in.
        HybridRsaClient = "hybrid_rsa_client",
        /// Hybrid: this end, the server, signs; the client logs in.
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
    /// A Diffie-Hellman group. Its number is also a name.
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
    /// Whether it can be negotiated. Old configurations name groups that are not.
    pub fn is_supported(self) -> bool {
        !matches!(self, Self::Ec2n155 | Self::Ec2n185)
    }

    /// Returns its number in the registry of IKE (RFC 2409).
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

/// A cipher of phase 1 with the length of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encryption {
    /// The cipher.
    pub cipher: Cipher,
    /// Bits of the key; `None` for a cipher with a fixed length.
    pub key_bits: Option<u16>,
}

/// A cipher of ESP with the length of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EspEncryption {
    /// The cipher.
    pub cipher: EspCipher,
    /// Bits of the cipher's key, without a salt; `None` for a cipher with a fixed length.
    pub key_bits: Option<u16>,
}
