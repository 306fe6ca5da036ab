//! Protocols in the words of scripts.

use libpfkey::SaType;

/// The word of a script for the protocol of an SA.
pub(crate) fn protocol_word(sa_type: SaType) -> &'static str {
    match sa_type {
        SaType::Ah => "ah",
        SaType::Esp => "esp",
        SaType::IpComp => "ipcomp",
        SaType::TcpSignature => "tcp",
        _ => "unknown",
    }
}
