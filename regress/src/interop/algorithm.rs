//! Names of algorithms in the configuration of each daemon, and which daemon has them for IKEv1.

/// A daemon of another project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Strongswan,
    Libreswan,
}

/// An algorithm.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Algorithm {
    /// The name in `racoon.conf`, with the key length.
    pub(crate) racoon: &'static str,
    strongswan: Option<&'static str>,
    libreswan: Option<&'static str>,
}

/// The protection of packets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// ESP with a cipher and an authentication algorithm.
    Esp(Algorithm),
    /// ESP with an AEAD cipher.
    Aead(Algorithm),
    /// AH.
    Ah,
}

impl Algorithm {
    /// Returns the name in the configuration of `peer`, if it has the algorithm.
    pub(crate) fn name(&self, peer: Peer) -> Option<&'static str> {
        match peer {
            Peer::Strongswan => self.strongswan,
            Peer::Libreswan => self.libreswan,
        }
    }

    /// Returns whether this is an HMAC whose ICV is longer than 96 bits (RFC 4868).
    pub(crate) fn is_sha2(&self) -> bool {
        ["hmac_sha256", "hmac_sha384", "hmac_sha512"].contains(&self.racoon)
    }
}

impl Protection {
    /// Returns the name of the cipher, which is empty for AH.
    pub(crate) fn name(&self, peer: Peer) -> Option<&'static str> {
        match self {
            Self::Esp(cipher) | Self::Aead(cipher) => cipher.name(peer),
            Self::Ah => Some(""),
        }
    }
}

const fn both(racoon: &'static str, strongswan: &'static str, libreswan: &'static str) -> Algorithm {
    Algorithm { racoon, strongswan: Some(strongswan), libreswan: Some(libreswan) }
}

const fn strongswan(racoon: &'static str, name: &'static str) -> Algorithm {
    Algorithm { racoon, strongswan: Some(name), libreswan: None }
}

/// `encryption_algorithm` of a proposal.
pub(crate) static PHASE1_CIPHERS: &[Algorithm] = &[
    both("aes 128", "aes128", "aes128"),
    both("aes 192", "aes192", "aes192"),
    both("aes 256", "aes256", "aes256"),
    both("camellia 128", "camellia128", "camellia128"),
    both("camellia 256", "camellia256", "camellia256"),
    both("3des", "3des", "3des"),
    strongswan("blowfish 128", "blowfish128"),
    strongswan("cast128", "cast128"),
];

/// `hash_algorithm` of a proposal.
pub(crate) static HASHES: &[Algorithm] = &[
    both("sha256", "sha256", "sha2_256"),
    both("sha384", "sha384", "sha2_384"),
    both("sha512", "sha512", "sha2_512"),
    both("sha1", "sha1", "sha1"),
    both("md5", "md5", "md5"),
];

/// `dh_group` of a proposal.
pub(crate) static GROUPS: &[Algorithm] = &[
    both("modp2048", "modp2048", "modp2048"),
    both("ecp256", "ecp256", "dh19"),
    both("x25519", "curve25519", "dh31"),
    both("ecp384", "ecp384", "dh20"),
    both("ecp521", "ecp521", "dh21"),
    both("modp3072", "modp3072", "modp3072"),
    both("modp4096", "modp4096", "modp4096"),
    both("modp8192", "modp8192", "modp8192"),
    both("modp1536", "modp1536", "modp1536"),
    strongswan("modp1024", "modp1024"),
];

/// `pfs_group` of a sainfo. Libreswan supports elliptic curves in phase 1 of IKEv1, but not here.
pub(crate) static PFS_GROUPS: &[Algorithm] = &[
    both("modp2048", "modp2048", "modp2048"),
    strongswan("ecp256", "ecp256"),
    strongswan("x25519", "curve25519"),
    both("modp1536", "modp1536", "modp1536"),
];

/// `encryption_algorithm` of a sainfo, or AH.
pub(crate) static PROTECTIONS: &[Protection] = &[
    Protection::Esp(both("aes 128", "aes128", "aes128")),
    Protection::Esp(both("aes 192", "aes192", "aes192")),
    Protection::Esp(both("aes 256", "aes256", "aes256")),
    Protection::Esp(both("aes_ctr 128", "aes128ctr", "aes_ctr128")),
    Protection::Esp(both("aes_ctr 256", "aes256ctr", "aes_ctr256")),
    Protection::Aead(both("aes_gcm 128", "aes128gcm16", "aes_gcm_c128")),
    Protection::Aead(both("aes_gcm 256", "aes256gcm16", "aes_gcm_c256")),
    Protection::Aead(both("aes_gcm_12 128", "aes128gcm12", "aes_gcm_b128")),
    Protection::Aead(both("aes_gcm_8 192", "aes192gcm8", "aes_gcm_a192")),
    Protection::Aead(both("aes_ccm 128", "aes128ccm16", "aes_ccm_c128")),
    Protection::Aead(both("aes_ccm_8 256", "aes256ccm8", "aes_ccm_a256")),
    // Libreswan 4.10 aborts with a failed assertion after it has negotiated this with IKEv1.
    Protection::Aead(strongswan("aes_gmac 128", "aes128gmac")),
    Protection::Esp(both("null_enc", "null", "null")),
    Protection::Esp(both("3des", "3des", "3des")),
    Protection::Esp(both("camellia 128", "camellia128", "camellia128")),
    Protection::Esp(both("camellia 256", "camellia256", "camellia256")),
    Protection::Esp(strongswan("blowfish 128", "blowfish128")),
    Protection::Esp(strongswan("cast128", "cast128")),
    Protection::Ah,
];

/// `authentication_algorithm` of a sainfo.
pub(crate) static AUTHENTICATIONS: &[Algorithm] = &[
    both("hmac_sha256", "sha256", "sha2_256"),
    both("hmac_sha1", "sha1", "sha1"),
    both("hmac_sha384", "sha384", "sha2_384"),
    both("hmac_sha512", "sha512", "sha2_512"),
    both("aes_xcbc", "aesxcbc", "aes_xcbc"),
    both("hmac_md5", "md5", "md5"),
];
