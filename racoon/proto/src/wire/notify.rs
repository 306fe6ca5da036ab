//! The Notification payload (RFC 2408 section 3.14).
//!
//! ```text
//!                      1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |              Domain of Interpretation  (DOI)                  |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Protocol-ID  |   SPI Size    |      Notify Message Type      |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                Security Parameter Index (SPI)                 |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                       Notification Data                       |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use super::reader::Reader;
use super::writer::Writer;
use super::{CookiePair, WireError};
use crate::num::{Doi, NotifyType, Protocol};

/// Length of the longest SPI in bytes.
const SPI_MAX: usize = 16;

/// The body of a Notification payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// Domain of Interpretation.
    pub doi: Doi,
    /// The protocol of the SA in question; 0 if there is none.
    pub protocol: Protocol,
    /// The SPI of that SA, in network order; may be empty.
    pub spi: Vec<u8>,
    /// The notify type.
    pub kind: NotifyType,
    /// Further data, whose format depends on the type.
    pub data: Vec<u8>,
}

impl Notify {
    /// A notification about an ISAKMP SA, whose SPI consists of both cookies (RFC 2407 section 4.6.3).
    pub fn of_isakmp(cookies: CookiePair, kind: NotifyType, data: &[u8]) -> Self {
        let spi = cookies.to_bytes().to_vec();
        Self { doi: Doi::IPSEC, protocol: Protocol::ISAKMP, spi, kind, data: data.to_vec() }
    }

    /// Reads the body of a Notification payload.
    ///
    /// # Errors
    /// If the SPI has more than 16 bytes or exceeds the remaining ones.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("Notification payload", body);
        let doi = Doi(reader.u32()?);
        let protocol = Protocol(reader.u8()?);
        let spi_size = usize::from(reader.u8()?);
        if spi_size > SPI_MAX {
            return Err(reader.length("SPI size", "at most 16", spi_size));
        }
        let kind = NotifyType(reader.u16()?);
        let spi = reader.bytes(spi_size)?.to_vec();
        Ok(Self { doi, protocol, spi, kind, data: reader.rest().to_vec() })
    }

    /// Encodes the body.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u32(self.doi.0);
        writer.u8(self.protocol.0);
        writer.count8(self.spi.len());
        writer.u16(self.kind.0);
        writer.bytes(&self.spi);
        writer.bytes(&self.data);
        writer.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const GOLDEN: [u8; 28] = [
        0, 0, 0, 1, 1, 16, 0x8d, 0x28, // ipsec, isakmp, SPI of 16 bytes, R-U-THERE
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, // cookies
        0, 0, 0x0a, 0x01, // sequence number
    ];

    #[test]
    fn golden_bytes() {
        let notify = Notify {
            doi: Doi::IPSEC,
            protocol: Protocol::ISAKMP,
            spi: (1..=16).collect(),
            kind: NotifyType::R_U_THERE,
            data: vec![0, 0, 0x0a, 0x01],
        };
        assert_eq!(Notify::parse(&GOLDEN), Ok(notify.clone()));
        assert_eq!(notify.encode(), GOLDEN);
    }

    #[test]
    fn every_shorter_body_is_refused() {
        for length in 0..24 {
            assert!(matches!(Notify::parse(&GOLDEN[..length]), Err(WireError::Truncated { .. })), "{length} bytes");
        }
        assert!(Notify::parse(&GOLDEN[..24]).is_ok());
        let mut long = GOLDEN;
        long[5] = 17;
        assert!(matches!(Notify::parse(&long), Err(WireError::Value { field: "SPI size", .. })));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            doi: u32, protocol: u8, kind: u16, spi in vec(any::<u8>(), 0..17), data in vec(any::<u8>(), 0..40),
        ) {
            let (doi, protocol, kind) = (Doi(doi), Protocol(protocol), NotifyType(kind));
            let notify = Notify { doi, protocol, spi, kind, data };
            prop_assert_eq!(Notify::parse(&notify.encode()), Ok(notify));
        }

        #[test]
        fn any_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..40)) {
            if let Ok(notify) = Notify::parse(&bytes) {
                prop_assert_eq!(notify.encode(), bytes);
            }
        }
    }
}
