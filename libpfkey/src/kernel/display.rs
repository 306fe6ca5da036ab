//! Requests and names of SAs in error texts.

use std::fmt;

use crate::num::SaType;
use crate::request::Request;
use crate::sa::SaId;

impl fmt::Display for Request {
    /// `add esp 192.0.2.1 192.0.2.2 0x00001001`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message_type().what().to_ascii_lowercase())?;
        match self {
            Self::Add(sa) | Self::Update(sa) => write!(f, " {}", sa.id),
            Self::Delete(id) | Self::Get(id) => write!(f, " {id}"),
            Self::DeleteAll(sa_type, source, destination) => {
                write!(f, " {} {} {}", protocol(*sa_type), source.ip(), destination.ip())
            }
            Self::AllocateSpi(spi) => {
                write!(f, " {} {} {}", protocol(spi.sa_type), spi.source.ip(), spi.destination.ip())
            }
            Self::PolicyDeleteIndex(index) | Self::PolicyGet(index) => write!(f, " {index}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for SaId {
    /// `esp 192.0.2.1 192.0.2.2 0x00001001`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sa_type, source, destination, spi, .. } = self;
        write!(f, "{} {} {} 0x{spi:08x}", protocol(*sa_type), source.ip(), destination.ip())
    }
}

/// The name of a protocol in error texts.
fn protocol(sa_type: SaType) -> String {
    match sa_type {
        SaType::TcpSignature => "tcp".to_owned(),
        other => other.what().to_ascii_lowercase(),
    }
}
