//! The error codes of libipsec and their texts, which scripts compare.

use std::fmt;

/// A libipsec error code. The number is that of `__ipsec_errcode`, the text that of `ipsec_strerror(3)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the text below says it")]
pub enum Code {
    Success = 0,
    NotSupported = 1,
    InvalidArgument = 2,
    InvalidMessage = 3,
    InvalidVersion = 4,
    InvalidPolicy = 5,
    InvalidAddress = 6,
    InvalidProtocol = 7,
    InvalidMode = 8,
    InvalidLevel = 9,
    InvalidSaType = 10,
    InvalidMessageType = 11,
    InvalidExtensionType = 12,
    InvalidAlgorithm = 13,
    InvalidKeyLength = 14,
    InvalidFamily = 15,
    InvalidPrefix = 16,
    InvalidDirection = 17,
    SpiRange = 18,
    NoProtocol = 19,
    NoAlgorithm = 20,
    NoBuffers = 21,
    NotRegistered = 22,
    ProtocolMismatch = 23,
    FamilyMismatch = 24,
    TooFewArguments = 25,
    System = 26,
    PriorityRange = 27,
    PriorityBaseRange = 28,
    PriorityNotSupported = 29,
    Unknown = 30,
}

impl Code {
    /// The text of `ipsec_strerror(3)`. For [`Code::System`] the errno's text takes its place.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::NotSupported => "Not supported",
            Self::InvalidArgument => "Invalid argument",
            Self::InvalidMessage => "Invalid sadb message",
            Self::InvalidVersion => "Invalid version",
            Self::InvalidPolicy => "Invalid security policy",
            Self::InvalidAddress => "Invalid address specification",
            Self::InvalidProtocol => "Invalid ipsec protocol",
            Self::InvalidMode => "Invalid ipsec mode",
            Self::InvalidLevel => "Invalid ipsec level",
            Self::InvalidSaType => "Invalid SA type",
            Self::InvalidMessageType => "Invalid message type",
            Self::InvalidExtensionType => "Invalid extension type",
            Self::InvalidAlgorithm => "Invalid algorithm type",
            Self::InvalidKeyLength => "Invalid key length",
            Self::InvalidFamily => "Invalid address family",
            Self::InvalidPrefix => "Invalid prefix length",
            Self::InvalidDirection => "Invalid direction",
            Self::SpiRange => "SPI range violation",
            Self::NoProtocol => "No protocol specified",
            Self::NoAlgorithm => "No algorithm specified",
            Self::NoBuffers => "No buffers available",
            Self::NotRegistered => "Must get supported algorithms list first",
            Self::ProtocolMismatch => "Protocol mismatch",
            Self::FamilyMismatch => "Family mismatch",
            Self::TooFewArguments => "Too few arguments",
            Self::System => "System error",
            Self::PriorityRange => "Priority offset not in valid range [-2147483647, 2147483648]",
            Self::PriorityBaseRange => {
                "Priority offset from base not in valid range [0, 1073741823] for negative offsets \
                 and [0, 1073741824] for positive offsets"
            }
            Self::PriorityNotSupported => "Policy priority not compiled in",
            Self::Unknown => "Unknown error",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// The host's text for an errno, as `strerror(3)` gives it.
pub fn errno_text(errno: i32) -> String {
    let mut text = std::io::Error::from_raw_os_error(errno).to_string();
    // The standard library appends the number; strerror(3) does not.
    if let Some(end) = text.rfind(" (os error") {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errno_texts_are_those_of_strerror() {
        assert_eq!(errno_text(libc::EEXIST), "File exists");
        assert_eq!(errno_text(libc::EINVAL), "Invalid argument");
    }

    #[test]
    fn numbers_are_those_of_libipsec() {
        assert_eq!(Code::FamilyMismatch as u8, 24);
        assert_eq!(Code::Unknown as u8, 30);
    }
}
