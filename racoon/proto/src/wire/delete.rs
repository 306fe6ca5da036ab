//! The Delete payload (RFC 2408 section 3.15).
//!
//! ```text
//!                      1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |              Domain of Interpretation  (DOI)                  |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Protocol-Id  |   SPI Size    |           # of SPIs           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |               Security Parameter Index(es) (SPI)              |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use super::WireError;
use super::reader::Reader;
use super::writer::Writer;
use crate::num::{Doi, Protocol};

/// The body of a Delete payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// Domain of Interpretation.
    pub doi: Doi,
    /// The protocol of the SAs.
    pub protocol: Protocol,
    /// The SAs, at least one: their SPIs in network order, all of one size.
    pub spis: Vec<Vec<u8>>,
}

impl Delete {
    /// Reads the body of a Delete payload.
    ///
    /// # Errors
    /// If the protocol is unknown, if SPIs of this protocol have another size, or if the number of SPIs is 0 or not the stated one.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("Delete payload", body);
        let doi = Doi(reader.u32()?);
        let protocol = Protocol(reader.u8()?);
        let size = usize::from(reader.u8()?);
        let expected = match (protocol, size) {
            // A CPI is sent in 2 bytes, or as the low half of 4 (RFC 3173 section 4.1).
            (Protocol::ISAKMP, 16) | (Protocol::AH | Protocol::ESP, 4) | (Protocol::IPCOMP, 2 | 4) => None,
            (Protocol::ISAKMP, _) => Some("16"),
            (Protocol::AH | Protocol::ESP, _) => Some("4"),
            (Protocol::IPCOMP, _) => Some("2 or 4"),
            _ => return Err(reader.value("protocol", "isakmp, ah, esp or ipcomp", protocol.0)),
        };
        if let Some(expected) = expected {
            return Err(reader.length("SPI size", expected, size));
        }
        let count = reader.u16()?;
        if count == 0 {
            return Err(reader.value("number of SPIs", "at least 1", count));
        }
        // All bytes are taken before any SPI is allocated, so that a false number cannot make us allocate much.
        let mut spis = reader.sub("SPIs", size * usize::from(count))?;
        reader.finish()?;
        let spis = (0..count).map(|_| spis.bytes(size).map(<[u8]>::to_vec)).collect::<Result<_, _>>()?;
        Ok(Self { doi, protocol, spis })
    }

    /// Encodes the body. All SPIs must be as long as the first one; at most 65535 are written.
    pub fn encode(&self) -> Vec<u8> {
        let size = self.spis.first().map_or(0, Vec::len);
        let spis = self.spis.get(..usize::from(u16::MAX)).unwrap_or(&self.spis);
        let mut writer = Writer::default();
        writer.u32(self.doi.0);
        writer.u8(self.protocol.0);
        writer.count8(size);
        writer.length16(spis.len());
        spis.iter().for_each(|spi| writer.bytes(spi));
        writer.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const GOLDEN: [u8; 16] = [
        0, 0, 0, 1, 3, 4, 0, 2, // ipsec, ESP, two SPIs of 4 bytes
        0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
    ];

    #[test]
    fn golden_bytes() {
        let spis = vec![vec![0x11, 0x22, 0x33, 0x44], vec![0x55, 0x66, 0x77, 0x88]];
        let delete = Delete { doi: Doi::IPSEC, protocol: Protocol::ESP, spis };
        assert_eq!(Delete::parse(&GOLDEN), Ok(delete.clone()));
        assert_eq!(delete.encode(), GOLDEN);
    }

    #[test]
    fn sizes_and_counts_are_exact() {
        for length in 0..GOLDEN.len() {
            assert!(matches!(Delete::parse(&GOLDEN[..length]), Err(WireError::Truncated { .. })), "{length} bytes");
        }
        for (protocol, size, count, there, accepted) in [
            (1_u8, 16_u8, 1_u16, 16, true),
            (1, 16, 1, 17, false),
            (1, 8, 1, 8, false),
            (1, 16, 0, 0, false),
            (3, 4, 0, 0, false),
            (3, 4, 1, 8, false),
            (3, 0, 1, 0, false),
            (3, 16, 1, 16, false),
            (2, 4, 65_535, 8, false),
            (4, 2, 3, 6, true),
            (4, 4, 3, 12, true),
            (4, 3, 1, 3, false),
            (0, 4, 1, 4, false),
            (9, 4, 1, 4, false),
        ] {
            let [high, low] = count.to_be_bytes();
            let body = [vec![0, 0, 0, 1, protocol, size, high, low], vec![1; there]].concat();
            assert_eq!(Delete::parse(&body).is_ok(), accepted, "{protocol} {size} {count} {there}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            doi: u32,
            (protocol, spis) in prop_oneof![
                (Just(Protocol::ISAKMP), vec(vec(any::<u8>(), 16), 1..5)),
                (Just(Protocol::AH), vec(vec(any::<u8>(), 4), 1..9)),
                (Just(Protocol::ESP), vec(vec(any::<u8>(), 4), 1..9)),
                (Just(Protocol::IPCOMP), vec(vec(any::<u8>(), 2), 1..9)),
            ],
        ) {
            let delete = Delete { doi: Doi(doi), protocol, spis };
            prop_assert_eq!(Delete::parse(&delete.encode()), Ok(delete));
        }

        #[test]
        fn any_bytes_do_not_panic(bytes in vec(0_u8..20, 0..40)) {
            if let Ok(delete) = Delete::parse(&bytes) {
                prop_assert_eq!(delete.encode(), bytes);
            }
        }
    }
}
