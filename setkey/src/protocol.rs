//! Keywords for protocols.

use libpfkey::SaType;

/// Returns the keyword for the protocol of an SA.
pub(crate) fn protocol_word(sa_type: SaType) -> &'static str {
    match sa_type {
        SaType::Ah => "ah",
        SaType::Esp => "esp",
        SaType::IpComp => "ipcomp",
        SaType::TcpSignature => "tcp",
        _ => "unknown",
    }
}
