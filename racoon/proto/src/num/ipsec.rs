//! Numbers of phase 2 (RFC 2407 section 4.4 and 4.5).

use super::numbers;

numbers! {
    /// Protocol Identifier (RFC 2407 section 4.4.1).
    Protocol: u8 {
        /// ISAKMP itself.
        ISAKMP = 1, "isakmp";
        /// AH.
        AH = 2, "ah";
        /// ESP.
        ESP = 3, "esp";
        /// IPComp.
        IPCOMP = 4, "ipcomp";
    }
}

impl Protocol {
    /// Returns the name of a transform identifier of this protocol, or its number if it has no name.
    pub fn transform_name(self, id: u8) -> String {
        match self {
            Self::ESP => EspTransform(id).to_string(),
            Self::AH => AhTransform(id).to_string(),
            Self::IPCOMP => IpcompTransform(id).to_string(),
            _ => id.to_string(),
        }
    }
}

numbers! {
    /// ESP Transform Identifier (RFC 2407 section 4.4.4; AES: RFC 3602, 3686, 4309, 4106, 4543; Camellia: RFC 4312).
    EspTransform: u8 {
        /// DES-CBC with a 64-bit IV.
        DES_IV64 = 1, "des_iv64";
        /// DES-CBC.
        DES = 2, "des";
        /// 3DES-CBC.
        TRIPLE_DES = 3, "3des";
        /// RC5.
        RC5 = 4, "rc5";
        /// IDEA.
        IDEA = 5, "idea";
        /// CAST-128.
        CAST128 = 6, "cast128";
        /// Blowfish.
        BLOWFISH = 7, "blowfish";
        /// Triple IDEA.
        TRIPLE_IDEA = 8, "3idea";
        /// DES-CBC with a 32-bit IV.
        DES_IV32 = 9, "des_iv32";
        /// RC4.
        RC4 = 10, "rc4";
        /// No encryption (RFC 2410).
        NULL = 11, "null_enc";
        /// AES-CBC.
        AES = 12, "aes";
        /// AES in counter mode.
        AES_CTR = 13, "aes_ctr";
        /// AES-CCM with an ICV of 8 bytes.
        AES_CCM_8 = 14, "aes_ccm_8";
        /// AES-CCM with an ICV of 12 bytes.
        AES_CCM_12 = 15, "aes_ccm_12";
        /// AES-CCM with an ICV of 16 bytes.
        AES_CCM_16 = 16, "aes_ccm";
        /// AES-GCM with an ICV of 8 bytes.
        AES_GCM_8 = 18, "aes_gcm_8";
        /// AES-GCM with an ICV of 12 bytes.
        AES_GCM_12 = 19, "aes_gcm_12";
        /// AES-GCM with an ICV of 16 bytes.
        AES_GCM_16 = 20, "aes_gcm";
        /// Camellia-CBC.
        CAMELLIA = 22, "camellia";
        /// AES-GMAC: authentication without encryption.
        AES_GMAC = 23, "aes_gmac";
        /// Twofish-CBC, a private number.
        TWOFISH = 253, "twofish";
    }
}

impl EspTransform {
    /// Whether it is a counter mode. Its counter must never restart under the same key (RFC 3686 section 9, RFC 4106 section 10).
    pub fn is_counter_mode(self) -> bool {
        self.is_aead() || self == Self::AES_CTR
    }

    /// Whether it also authenticates, so that it has no separate authentication algorithm.
    pub fn is_aead(self) -> bool {
        matches!(
            self,
            Self::AES_CCM_8
                | Self::AES_CCM_12
                | Self::AES_CCM_16
                | Self::AES_GCM_8
                | Self::AES_GCM_12
                | Self::AES_GCM_16
                | Self::AES_GMAC
        )
    }
}

numbers! {
    /// AH Transform Identifier (RFC 2407 section 4.4.3; SHA-2: RFC 4868; AES-XCBC: RFC 3566).
    AhTransform: u8 {
        /// MD5.
        MD5 = 2, "md5";
        /// SHA-1.
        SHA1 = 3, "sha1";
        /// DES.
        DES = 4, "des";
        /// SHA-256.
        SHA256 = 5, "sha256";
        /// SHA-384.
        SHA384 = 6, "sha384";
        /// SHA-512.
        SHA512 = 7, "sha512";
        /// AES-XCBC-MAC.
        AES_XCBC = 9, "aes_xcbc";
    }
}

numbers! {
    /// IPComp Transform Identifier (RFC 2407 section 4.4.5).
    IpcompTransform: u8 {
        /// A proprietary algorithm, named by the vendor's OUI.
        OUI = 1, "oui";
        /// DEFLATE.
        DEFLATE = 2, "deflate";
        /// LZS.
        LZS = 3, "lzs";
    }
}

numbers! {
    /// Authentication Algorithm, attribute 5 of phase 2 (RFC 2407 section 4.5; SHA-2: RFC 4868).
    AuthAlgorithm: u16 {
        /// No authentication; the attribute is omitted.
        NONE = 0, "non_auth";
        /// HMAC-MD5.
        HMAC_MD5 = 1, "hmac_md5";
        /// HMAC-SHA-1.
        HMAC_SHA1 = 2, "hmac_sha1";
        /// DES-MAC.
        DES_MAC = 3, "des_mac";
        /// Keyed MD5 (RFC 1826).
        KPDK = 4, "kpdk";
        /// HMAC-SHA-256.
        HMAC_SHA256 = 5, "hmac_sha256";
        /// HMAC-SHA-384.
        HMAC_SHA384 = 6, "hmac_sha384";
        /// HMAC-SHA-512.
        HMAC_SHA512 = 7, "hmac_sha512";
        /// AES-XCBC-MAC-96.
        AES_XCBC = 9, "aes_xcbc";
    }
}

impl AuthAlgorithm {
    /// Returns the AH transform for this algorithm. A proposal of AH contains both numbers (RFC 2407 section 4.4.3).
    pub fn ah_transform(self) -> Option<AhTransform> {
        Some(match self {
            Self::HMAC_MD5 | Self::KPDK => AhTransform::MD5,
            Self::HMAC_SHA1 => AhTransform::SHA1,
            Self::DES_MAC => AhTransform::DES,
            Self::HMAC_SHA256 => AhTransform::SHA256,
            Self::HMAC_SHA384 => AhTransform::SHA384,
            Self::HMAC_SHA512 => AhTransform::SHA512,
            Self::AES_XCBC => AhTransform::AES_XCBC,
            _ => return None,
        })
    }
}

numbers! {
    /// Encapsulation Mode, attribute 4 of phase 2 (RFC 2407 section 4.5; in UDP: RFC 3947 section 5.1).
    EncapsulationMode: u16 {
        /// Tunnel.
        TUNNEL = 1, "tunnel";
        /// Transport.
        TRANSPORT = 2, "transport";
        /// Tunnel, in UDP.
        UDP_TUNNEL = 3, "udp_tunnel";
        /// Transport, in UDP.
        UDP_TRANSPORT = 4, "udp_transport";
        /// Tunnel, in UDP, by the number in drafts 00 to 03 of RFC 3947.
        UDP_TUNNEL_DRAFT = 61443, "udp_tunnel (drafts 00-03)";
        /// Transport, in UDP, by the number in drafts 00 to 03 of RFC 3947.
        UDP_TRANSPORT_DRAFT = 61444, "udp_transport (drafts 00-03)";
    }
}

impl EncapsulationMode {
    /// Returns tunnel or transport, without the encapsulation in UDP.
    pub fn plain(self) -> Self {
        match self {
            Self::UDP_TUNNEL | Self::UDP_TUNNEL_DRAFT => Self::TUNNEL,
            Self::UDP_TRANSPORT | Self::UDP_TRANSPORT_DRAFT => Self::TRANSPORT,
            other => other,
        }
    }

    /// Whether it is encapsulated in UDP.
    pub fn in_udp(self) -> bool {
        self.plain() != self
    }
}
