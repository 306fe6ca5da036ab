//! Numbers of ISAKMP itself (RFC 2408) and of identities (RFC 2407 section 4.6.2.1).

use bitflags::bitflags;

use super::numbers;

numbers! {
    /// Exchange Type (RFC 2408 section 3.1, RFC 2409 Appendix A).
    ExchangeType: u8 {
        /// Base.
        BASE = 1, "base";
        /// Identity protection: main mode.
        MAIN = 2, "main";
        /// Authentication only.
        AUTHENTICATION_ONLY = 3, "auth";
        /// Aggressive.
        AGGRESSIVE = 4, "aggressive";
        /// Informational.
        INFORMATIONAL = 5, "informational";
        /// Transaction, for mode configuration and XAUTH.
        TRANSACTION = 6, "transaction";
        /// Quick mode.
        QUICK = 32, "quick";
    }
}

numbers! {
    /// Identification Type (RFC 2407 section 4.6.2.1).
    IdType: u8 {
        /// One IPv4 address.
        IPV4_ADDR = 1, "IPv4_address";
        /// A host name.
        FQDN = 2, "FQDN";
        /// A mail address.
        USER_FQDN = 3, "User_FQDN";
        /// An IPv4 address and a mask.
        IPV4_ADDR_SUBNET = 4, "IPv4_subnet";
        /// One IPv6 address.
        IPV6_ADDR = 5, "IPv6_address";
        /// An IPv6 address and a mask.
        IPV6_ADDR_SUBNET = 6, "IPv6_subnet";
        /// A first and a last IPv4 address.
        IPV4_ADDR_RANGE = 7, "IPv4_address_range";
        /// A first and a last IPv6 address.
        IPV6_ADDR_RANGE = 8, "IPv6_address_range";
        /// An X.501 name in DER.
        DER_ASN1_DN = 9, "DER_ASN1_DN";
        /// An X.500 general name in DER.
        DER_ASN1_GN = 10, "DER_ASN1_GN";
        /// Bytes that only both ends can interpret.
        KEY_ID = 11, "KEY_ID";
    }
}

numbers! {
    /// Certificate Encoding (RFC 2408 section 3.9).
    CertEncoding: u8 {
        /// X.509 in PKCS #7.
        PKCS7 = 1, "pkcs7";
        /// X.509, for signatures.
        X509_SIGNATURE = 4, "x509_signature";
        /// X.509, for key exchange.
        X509_KEY_EXCHANGE = 5, "x509_key_exchange";
        /// A certificate revocation list.
        CRL = 7, "crl";
    }
}

numbers! {
    /// Payload type: the Next Payload field (RFC 2408 section 3.1; Attributes: draft-dukes-ike-mode-cfg; NAT-D and NAT-OA:
    /// RFC 3947 and its drafts).
    PayloadType: u8 {
        /// No further payload.
        NONE = 0, "NONE";
        /// Security Association.
        SA = 1, "SA";
        /// Proposal, only inside an SA payload.
        PROPOSAL = 2, "P";
        /// Transform, only inside a Proposal payload.
        TRANSFORM = 3, "T";
        /// Key Exchange.
        KEY_EXCHANGE = 4, "KE";
        /// Identification.
        ID = 5, "ID";
        /// Certificate.
        CERT = 6, "CERT";
        /// Certificate Request.
        CERT_REQUEST = 7, "CR";
        /// Hash.
        HASH = 8, "HASH";
        /// Signature.
        SIGNATURE = 9, "SIG";
        /// Nonce.
        NONCE = 10, "NONCE";
        /// Notification.
        NOTIFY = 11, "N";
        /// Delete.
        DELETE = 12, "D";
        /// Vendor ID.
        VENDOR_ID = 13, "VID";
        /// Attributes, for mode configuration and XAUTH.
        ATTRIBUTES = 14, "ATTR";
        /// NAT-D by the number in drafts 04 to 08 of RFC 3947.
        NAT_D_BAD = 15, "NAT-D (drafts 04-08)";
        /// NAT-OA by the number in drafts 04 to 08 of RFC 3947.
        NAT_OA_BAD = 16, "NAT-OA (drafts 04-08)";
        /// Hash of an address and a port, to detect NAT (RFC 3947 section 3.2).
        NAT_D = 20, "NAT-D";
        /// Original address (RFC 3947 section 5.2).
        NAT_OA = 21, "NAT-OA";
        /// NAT-D by the number in drafts 00 to 03 of RFC 3947.
        NAT_D_DRAFT = 130, "NAT-D (drafts 00-03)";
        /// NAT-OA by the number in drafts 00 to 03 of RFC 3947.
        NAT_OA_DRAFT = 131, "NAT-OA (drafts 00-03)";
        /// A fragment of a larger message.
        FRAGMENT = 132, "FRAG";
    }
}

impl PayloadType {
    /// Whether it is NAT-D, in any of the three numberings.
    pub fn is_nat_d(self) -> bool {
        matches!(self, Self::NAT_D | Self::NAT_D_BAD | Self::NAT_D_DRAFT)
    }

    /// Whether it is NAT-OA, in any of the three numberings.
    pub fn is_nat_oa(self) -> bool {
        matches!(self, Self::NAT_OA | Self::NAT_OA_BAD | Self::NAT_OA_DRAFT)
    }
}

bitflags! {
    /// Flags of the ISAKMP header (RFC 2408 section 3.1).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Flags: u8 {
        /// The payloads are encrypted.
        const ENCRYPTED = 1;
        /// The receiver must wait for CONNECTED before it uses the SA.
        const COMMIT = 2;
        /// The payloads are authenticated, but not encrypted.
        const AUTHENTICATION_ONLY = 4;
    }
}

numbers! {
    /// Domain of Interpretation (RFC 2408 section 3.4).
    Doi: u32 {
        /// ISAKMP itself.
        ISAKMP = 0, "isakmp";
        /// IPsec (RFC 2407).
        IPSEC = 1, "ipsec";
    }
}

/// Situation SIT_IDENTITY_ONLY (RFC 2407 section 4.2.1), the only one that is supported.
pub const IDENTITY_ONLY: u32 = 1;

/// Transform Identifier KEY_IKE of protocol ISAKMP (RFC 2407 section 4.4.2).
pub const KEY_IKE: u8 = 1;
