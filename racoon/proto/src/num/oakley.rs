//! Attribute values of phase 1 (RFC 2409 Appendix A, and later assignments).

use super::numbers;

numbers! {
    /// Encryption Algorithm, attribute 1 of phase 1 (RFC 2409 Appendix A; AES: RFC 3602; Camellia: RFC 4312).
    Cipher: u16 {
        /// DES-CBC.
        DES = 1, "des";
        /// IDEA-CBC.
        IDEA = 2, "idea";
        /// Blowfish-CBC.
        BLOWFISH = 3, "blowfish";
        /// RC5-R16-B64-CBC.
        RC5 = 4, "rc5";
        /// 3DES-CBC.
        TRIPLE_DES = 5, "3des";
        /// CAST-CBC.
        CAST128 = 6, "cast128";
        /// AES-CBC.
        AES = 7, "aes";
        /// Camellia-CBC.
        CAMELLIA = 8, "camellia";
    }
}

numbers! {
    /// Hash Algorithm, attribute 2 of phase 1 (RFC 2409 Appendix A; SHA-2: RFC 4868 and IANA).
    Hash: u16 {
        /// MD5.
        MD5 = 1, "md5";
        /// SHA-1.
        SHA1 = 2, "sha1";
        /// Tiger.
        TIGER = 3, "tiger";
        /// SHA-256.
        SHA256 = 4, "sha256";
        /// SHA-384.
        SHA384 = 5, "sha384";
        /// SHA-512.
        SHA512 = 6, "sha512";
    }
}

numbers! {
    /// Authentication Method, attribute 3 of phase 1 (RFC 2409 Appendix A; ECDSA: RFC 4754; XAUTH and hybrid: the IETF drafts).
    AuthMethod: u16 {
        /// Pre-shared key.
        PRE_SHARED_KEY = 1, "pre_shared_key";
        /// DSS signatures.
        DSS_SIGNATURES = 2, "dsssig";
        /// RSA signatures.
        RSA_SIGNATURES = 3, "rsasig";
        /// Encryption with RSA.
        RSA_ENCRYPTION = 4, "rsaenc";
        /// Revised encryption with RSA.
        RSA_REVISED_ENCRYPTION = 5, "rsarev";
        /// ECDSA with SHA-256 on the P-256 curve.
        ECDSA_256 = 9, "ecdsa_256";
        /// ECDSA with SHA-384 on the P-384 curve.
        ECDSA_384 = 10, "ecdsa_384";
        /// ECDSA with SHA-512 on the P-521 curve.
        ECDSA_521 = 11, "ecdsa_521";
        /// Hybrid, RSA signatures: the initiator is the client.
        HYBRID_RSA_CLIENT = 64221, "hybrid_rsa_client";
        /// Hybrid, RSA signatures: the responder is the client.
        HYBRID_RSA_SERVER = 64222, "hybrid_rsa_server";
        /// XAUTH over a pre-shared key: the initiator is the client.
        XAUTH_PSK_CLIENT = 65001, "xauth_psk_client";
        /// XAUTH over a pre-shared key: the responder is the client.
        XAUTH_PSK_SERVER = 65002, "xauth_psk_server";
        /// XAUTH over RSA signatures: the initiator is the client.
        XAUTH_RSA_CLIENT = 65005, "xauth_rsa_client";
        /// XAUTH over RSA signatures: the responder is the client.
        XAUTH_RSA_SERVER = 65006, "xauth_rsa_server";
    }
}

impl AuthMethod {
    /// Returns the number for an SA payload. XAUTH and hybrid authentication have one number for each role of the client; racoon
    /// proposes that of the initiator as client in both cases.
    pub fn on_the_wire(self) -> Self {
        match self {
            Self::HYBRID_RSA_SERVER => Self::HYBRID_RSA_CLIENT,
            Self::XAUTH_PSK_SERVER => Self::XAUTH_PSK_CLIENT,
            Self::XAUTH_RSA_SERVER => Self::XAUTH_RSA_CLIENT,
            other => other,
        }
    }

    /// Whether both sides prove their identities by signatures.
    pub fn is_signature(self) -> bool {
        self == Self::RSA_SIGNATURES || self.ecdsa_hash().is_some()
    }

    /// Returns the hash of an ECDSA method, with which HASH_I and HASH_R are computed in place of the negotiated one (RFC 4754
    /// section 7).
    pub fn ecdsa_hash(self) -> Option<Hash> {
        match self {
            Self::ECDSA_256 => Some(Hash::SHA256),
            Self::ECDSA_384 => Some(Hash::SHA384),
            Self::ECDSA_521 => Some(Hash::SHA512),
            _ => None,
        }
    }
}

numbers! {
    /// Group Description, attribute 4 of phase 1 and 3 of phase 2 (RFC 2409 section 6, RFC 3526, RFC 5903; 31 as other
    /// daemons use it).
    Group: u16 {
        /// 768-bit MODP.
        MODP768 = 1, "modp768";
        /// 1024-bit MODP.
        MODP1024 = 2, "modp1024";
        /// 1536-bit MODP.
        MODP1536 = 5, "modp1536";
        /// 2048-bit MODP.
        MODP2048 = 14, "modp2048";
        /// 3072-bit MODP.
        MODP3072 = 15, "modp3072";
        /// 4096-bit MODP.
        MODP4096 = 16, "modp4096";
        /// 6144-bit MODP.
        MODP6144 = 17, "modp6144";
        /// 8192-bit MODP.
        MODP8192 = 18, "modp8192";
        /// NIST P-256.
        ECP256 = 19, "ecp256";
        /// NIST P-384.
        ECP384 = 20, "ecp384";
        /// NIST P-521.
        ECP521 = 21, "ecp521";
        /// Curve25519.
        X25519 = 31, "x25519";
    }
}
