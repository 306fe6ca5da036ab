//! Notify message types.

use super::numbers;

numbers! {
    /// Notify Message Type (RFC 2408 section 3.14.1, RFC 2407 section 4.6.3, RFC 3706 section 5.4).
    NotifyType: u16 {
        /// A payload type is not understood.
        INVALID_PAYLOAD_TYPE = 1, "INVALID-PAYLOAD-TYPE";
        /// Another DOI than IPsec's.
        DOI_NOT_SUPPORTED = 2, "DOI-NOT-SUPPORTED";
        /// Another situation than SIT_IDENTITY_ONLY.
        SITUATION_NOT_SUPPORTED = 3, "SITUATION-NOT-SUPPORTED";
        /// The cookies belong to nothing known.
        INVALID_COOKIE = 4, "INVALID-COOKIE";
        /// The major version is not understood.
        INVALID_MAJOR_VERSION = 5, "INVALID-MAJOR-VERSION";
        /// The minor version is not understood.
        INVALID_MINOR_VERSION = 6, "INVALID-MINOR-VERSION";
        /// The exchange type is not understood.
        INVALID_EXCHANGE_TYPE = 7, "INVALID-EXCHANGE-TYPE";
        /// A flag is set that must not be.
        INVALID_FLAGS = 8, "INVALID-FLAGS";
        /// The message id fits nothing.
        INVALID_MESSAGE_ID = 9, "INVALID-MESSAGE-ID";
        /// The protocol is not understood.
        INVALID_PROTOCOL_ID = 10, "INVALID-PROTOCOL-ID";
        /// The SPI is none.
        INVALID_SPI = 11, "INVALID-SPI";
        /// The transform is not understood.
        INVALID_TRANSFORM_ID = 12, "INVALID-TRANSFORM-ID";
        /// An attribute is not understood.
        ATTRIBUTES_NOT_SUPPORTED = 13, "ATTRIBUTES-NOT-SUPPORTED";
        /// No proposal is acceptable.
        NO_PROPOSAL_CHOSEN = 14, "NO-PROPOSAL-CHOSEN";
        /// The proposals are malformed.
        BAD_PROPOSAL_SYNTAX = 15, "BAD-PROPOSAL-SYNTAX";
        /// A payload is malformed.
        PAYLOAD_MALFORMED = 16, "PAYLOAD-MALFORMED";
        /// The Key Exchange payload is none of the group.
        INVALID_KEY_INFORMATION = 17, "INVALID-KEY-INFORMATION";
        /// The identity is not accepted.
        INVALID_ID_INFORMATION = 18, "INVALID-ID-INFORMATION";
        /// The certificate's encoding is not understood.
        INVALID_CERT_ENCODING = 19, "INVALID-CERT-ENCODING";
        /// The certificate is not accepted.
        INVALID_CERTIFICATE = 20, "INVALID-CERTIFICATE";
        /// The type of a Certificate Request is not understood.
        CERT_TYPE_UNSUPPORTED = 21, "CERT-TYPE-UNSUPPORTED";
        /// The authority of a Certificate Request is none.
        INVALID_CERT_AUTHORITY = 22, "INVALID-CERT-AUTHORITY";
        /// The hash is wrong.
        INVALID_HASH_INFORMATION = 23, "INVALID-HASH-INFORMATION";
        /// The peer is not who it says it is.
        AUTHENTICATION_FAILED = 24, "AUTHENTICATION-FAILED";
        /// The signature is wrong.
        INVALID_SIGNATURE = 25, "INVALID-SIGNATURE";
        /// Addresses are told.
        ADDRESS_NOTIFICATION = 26, "ADDRESS-NOTIFICATION";
        /// Lifetimes are told.
        NOTIFY_SA_LIFETIME = 27, "NOTIFY-SA-LIFETIME";
        /// The requested certificate is not to be had.
        CERTIFICATE_UNAVAILABLE = 28, "CERTIFICATE-UNAVAILABLE";
        /// The exchange type is understood but not supported.
        UNSUPPORTED_EXCHANGE_TYPE = 29, "UNSUPPORTED-EXCHANGE-TYPE";
        /// The lengths of the payloads do not add up.
        UNEQUAL_PAYLOAD_LENGTHS = 30, "UNEQUAL-PAYLOAD-LENGTHS";
        /// Quick Mode is complete: the answer to the commit bit.
        CONNECTED = 16384, "CONNECTED";
        /// The responder's lifetime is shorter than the one agreed (RFC 2407 section 4.6.3.1).
        RESPONDER_LIFETIME = 24576, "RESPONDER-LIFETIME";
        /// Whether replays are detected (RFC 2407 section 4.6.3.2).
        REPLAY_STATUS = 24577, "REPLAY-STATUS";
        /// The sender knows of no older SA with this peer (RFC 2407 section 4.6.3.3).
        INITIAL_CONTACT = 24578, "INITIAL-CONTACT";
        /// Dead peer detection asks.
        R_U_THERE = 36136, "R-U-THERE";
        /// Dead peer detection answers.
        R_U_THERE_ACK = 36137, "R-U-THERE-ACK";
        /// A heartbeat of Cisco's Unity.
        UNITY_HEARTBEAT = 40500, "UNITY-HEARTBEAT";
        /// Another server to go to, of Cisco's Unity.
        UNITY_LOAD_BALANCE = 40501, "UNITY-LOAD-BALANCE";
        /// A heartbeat, of a draft.
        HEARTBEAT = 40503, "HEARTBEAT";
    }
}

impl NotifyType {
    /// It says that something failed (RFC 2408 section 3.14.1: below 16384; the rest is status).
    pub fn is_error(self) -> bool {
        self < Self::CONNECTED
    }
}
