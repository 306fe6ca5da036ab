//! Notify message types.

use super::numbers;

numbers! {
    /// Notify Message Type (RFC 2408 section 3.14.1, RFC 2407 section 4.6.3, RFC 3706 section 5.4).
    NotifyType: u16 {
        /// A payload type is unknown.
        INVALID_PAYLOAD_TYPE = 1, "INVALID-PAYLOAD-TYPE";
        /// The DOI is not supported.
        DOI_NOT_SUPPORTED = 2, "DOI-NOT-SUPPORTED";
        /// The situation is not supported.
        SITUATION_NOT_SUPPORTED = 3, "SITUATION-NOT-SUPPORTED";
        /// The cookies are unknown.
        INVALID_COOKIE = 4, "INVALID-COOKIE";
        /// The major version is not supported.
        INVALID_MAJOR_VERSION = 5, "INVALID-MAJOR-VERSION";
        /// The minor version is not supported.
        INVALID_MINOR_VERSION = 6, "INVALID-MINOR-VERSION";
        /// The exchange type is unknown.
        INVALID_EXCHANGE_TYPE = 7, "INVALID-EXCHANGE-TYPE";
        /// A flag is invalid.
        INVALID_FLAGS = 8, "INVALID-FLAGS";
        /// The message id is invalid.
        INVALID_MESSAGE_ID = 9, "INVALID-MESSAGE-ID";
        /// The protocol is unknown.
        INVALID_PROTOCOL_ID = 10, "INVALID-PROTOCOL-ID";
        /// The SPI is invalid.
        INVALID_SPI = 11, "INVALID-SPI";
        /// The transform is unknown.
        INVALID_TRANSFORM_ID = 12, "INVALID-TRANSFORM-ID";
        /// An attribute is not supported.
        ATTRIBUTES_NOT_SUPPORTED = 13, "ATTRIBUTES-NOT-SUPPORTED";
        /// No proposal is acceptable.
        NO_PROPOSAL_CHOSEN = 14, "NO-PROPOSAL-CHOSEN";
        /// The proposals are malformed.
        BAD_PROPOSAL_SYNTAX = 15, "BAD-PROPOSAL-SYNTAX";
        /// A payload is malformed.
        PAYLOAD_MALFORMED = 16, "PAYLOAD-MALFORMED";
        /// The public value is invalid in its group.
        INVALID_KEY_INFORMATION = 17, "INVALID-KEY-INFORMATION";
        /// The identity is not accepted.
        INVALID_ID_INFORMATION = 18, "INVALID-ID-INFORMATION";
        /// The encoding of the certificate is unknown.
        INVALID_CERT_ENCODING = 19, "INVALID-CERT-ENCODING";
        /// The certificate is not accepted.
        INVALID_CERTIFICATE = 20, "INVALID-CERTIFICATE";
        /// The type of a Certificate Request is not supported.
        CERT_TYPE_UNSUPPORTED = 21, "CERT-TYPE-UNSUPPORTED";
        /// The authority of a Certificate Request is invalid.
        INVALID_CERT_AUTHORITY = 22, "INVALID-CERT-AUTHORITY";
        /// The hash is wrong.
        INVALID_HASH_INFORMATION = 23, "INVALID-HASH-INFORMATION";
        /// Authentication failed.
        AUTHENTICATION_FAILED = 24, "AUTHENTICATION-FAILED";
        /// The signature is wrong.
        INVALID_SIGNATURE = 25, "INVALID-SIGNATURE";
        /// Announces addresses.
        ADDRESS_NOTIFICATION = 26, "ADDRESS-NOTIFICATION";
        /// Announces lifetimes.
        NOTIFY_SA_LIFETIME = 27, "NOTIFY-SA-LIFETIME";
        /// The requested certificate is not available.
        CERTIFICATE_UNAVAILABLE = 28, "CERTIFICATE-UNAVAILABLE";
        /// The exchange type is known but not supported.
        UNSUPPORTED_EXCHANGE_TYPE = 29, "UNSUPPORTED-EXCHANGE-TYPE";
        /// The length in the header is not the sum of the payloads' lengths.
        UNEQUAL_PAYLOAD_LENGTHS = 30, "UNEQUAL-PAYLOAD-LENGTHS";
        /// Quick mode is complete: the answer to the commit bit.
        CONNECTED = 16384, "CONNECTED";
        /// The responder uses a shorter lifetime than the agreed one (RFC 2407 section 4.6.3.1).
        RESPONDER_LIFETIME = 24576, "RESPONDER-LIFETIME";
        /// Whether the sender detects replays (RFC 2407 section 4.6.3.2).
        REPLAY_STATUS = 24577, "REPLAY-STATUS";
        /// The sender has no other SA with this peer (RFC 2407 section 4.6.3.3).
        INITIAL_CONTACT = 24578, "INITIAL-CONTACT";
        /// A probe of dead peer detection.
        R_U_THERE = 36136, "R-U-THERE";
        /// The answer to a probe of dead peer detection.
        R_U_THERE_ACK = 36137, "R-U-THERE-ACK";
        /// A heartbeat of Cisco's Unity.
        UNITY_HEARTBEAT = 40500, "UNITY-HEARTBEAT";
        /// Another server to connect to, of Cisco's Unity.
        UNITY_LOAD_BALANCE = 40501, "UNITY-LOAD-BALANCE";
        /// A heartbeat of an IETF draft.
        HEARTBEAT = 40503, "HEARTBEAT";
    }
}

impl NotifyType {
    /// Whether it reports an error, not a status (RFC 2408 section 3.14.1: errors are below 16384).
    pub fn is_error(self) -> bool {
        self < Self::CONNECTED
    }
}
