//! Numbers of ISAKMP itself (RFC 2408) and of identities (RFC 2407 section 4.6.2.1).

use super::numbers;

numbers! {
    /// Exchange Type (RFC 2408 section 3.1, RFC 2409 Appendix A).
    ExchangeType: u8 {
        /// Base.
        BASE = 1, "base";
        /// Identity protection: Main Mode.
        MAIN = 2, "main";
        /// Authentication only.
        AUTHENTICATION_ONLY = 3, "auth";
        /// Aggressive.
        AGGRESSIVE = 4, "aggressive";
        /// Informational.
        INFORMATIONAL = 5, "informational";
        /// Transaction, of mode configuration and XAUTH.
        TRANSACTION = 6, "transaction";
        /// Quick Mode.
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
        /// Bytes that vendors agree upon.
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
