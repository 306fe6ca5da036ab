//! The ISAKMP header (RFC 2408 section 3.1).
//!
//! ```text
//!                      1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                           Initiator                           |
//! |                            Cookie                             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                           Responder                           |
//! |                            Cookie                             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Next Payload | MjVer | MnVer | Exchange Type |     Flags     |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                          Message ID                           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                            Length                             |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use std::fmt;

use super::WireError;
use super::reader::Reader;
use crate::num::{ExchangeType, Flags, PayloadType};

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 28;

/// Length of the largest message in bytes, header included.
pub const MESSAGE_MAX: usize = 65_535;

/// The name of the header in errors.
const PART: &str = "ISAKMP header";

/// A cookie: the half of an ISAKMP SA's name that one side has chosen.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cookie(pub [u8; 8]);

impl Cookie {
    /// Stands for the responder's cookie while it is unknown, as in the first message.
    pub const ZERO: Self = Self([0; 8]);

    /// Whether it is unknown.
    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }
}

impl fmt::Display for Cookie {
    /// 16 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cookie({self})")
    }
}

/// The name of an ISAKMP SA: both cookies.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CookiePair {
    /// The cookie of the side that sent the first message.
    pub initiator: Cookie,
    /// The cookie of the other side; zero until it has answered.
    pub responder: Cookie,
}

impl CookiePair {
    /// Returns the SPI of protocol ISAKMP, which consists of both cookies (RFC 2407 section 4.6.3).
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(self.initiator.0.iter().chain(&self.responder.0)) {
            *to = *from;
        }
        bytes
    }

    /// Returns the cookies that an SPI of protocol ISAKMP consists of; `None` unless it has 16 bytes.
    pub fn from_spi(spi: &[u8]) -> Option<Self> {
        let (initiator, responder) = spi.split_first_chunk()?;
        Some(Self { initiator: Cookie(*initiator), responder: Cookie(responder.try_into().ok()?) })
    }
}

impl fmt::Display for CookiePair {
    /// `initiator:responder`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.initiator, self.responder)
    }
}

impl fmt::Debug for CookiePair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CookiePair({self})")
    }
}

/// The header of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The ISAKMP SA.
    pub cookies: CookiePair,
    /// Type of the first payload.
    pub next_payload: PayloadType,
    /// Major version: 1.
    pub major: u8,
    /// Minor version, 0 to 15: we send 0 and accept any.
    pub minor: u8,
    /// Exchange type.
    pub exchange: ExchangeType,
    /// Flags.
    pub flags: Flags,
    /// Message id; 0 in phase 1.
    pub message_id: u32,
    /// Length of the message in bytes, header included.
    pub length: u32,
}

impl Header {
    /// A header of version 1.0 without flags and payloads.
    pub fn new(cookies: CookiePair, exchange: ExchangeType, message_id: u32) -> Self {
        Self {
            cookies,
            next_payload: PayloadType::NONE,
            major: 1,
            minor: 0,
            exchange,
            flags: Flags::empty(),
            message_id,
            length: 28,
        }
    }

    /// Parses the header of a datagram, and returns it with the bytes after it up to its length; further bytes are cut off.
    ///
    /// # Errors
    /// If the datagram is shorter than a header or than the length in it; if this length is less than 28 or greater than 65535; if
    /// the initiator's cookie is 0, the major version is not 1, or an unknown flag is set.
    pub fn parse(datagram: &[u8]) -> Result<(Self, &[u8]), WireError> {
        let mut reader = Reader::new(PART, datagram);
        let initiator = Cookie(reader.array()?);
        if initiator.is_zero() {
            return Err(reader.value("the initiator's cookie", "not zero", 0_u8));
        }
        let responder = Cookie(reader.array()?);
        let next_payload = PayloadType(reader.u8()?);
        let version = reader.u8()?;
        let exchange = ExchangeType(reader.u8()?);
        let flags = reader.u8()?;
        let message_id = reader.u32()?;
        let length = reader.u32()?;
        let (major, minor) = (version >> 4, version & 0x0f);
        // ipsec-tools read IKEv2 messages as IKEv1.
        if major != 1 {
            return Err(WireError::Version { major, minor });
        }
        // RFC 2408 section 5.2: a message with invalid flags is discarded.
        let flags = Flags::from_bits(flags).ok_or(WireError::Flags { found: flags })?;
        let body = match usize::try_from(length) {
            // ipsec-tools allocated as much as a forged length claimed (CVE-2004-0403).
            Ok(length @ HEADER_LEN..=MESSAGE_MAX) => reader.bytes(length - HEADER_LEN)?,
            _ => return Err(reader.value("length", "28 to 65535", length)),
        };
        let cookies = CookiePair { initiator, responder };
        Ok((Self { cookies, next_payload, major, minor, exchange, flags, message_id, length }, body))
    }

    /// Encodes the header of a body of `body_length` bytes. [`length`](Self::length) is ignored.
    pub fn encode(&self, body_length: usize) -> [u8; HEADER_LEN] {
        let length = u32::try_from(body_length.saturating_add(HEADER_LEN)).unwrap_or(u32::MAX);
        let mut bytes = [0; HEADER_LEN];
        let version = (self.major << 4) | (self.minor & 0x0f);
        let fields = (self.cookies.to_bytes().into_iter())
            .chain([self.next_payload.0, version, self.exchange.0, self.flags.bits()])
            .chain(self.message_id.to_be_bytes())
            .chain(length.to_be_bytes());
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOLDEN: [u8; 28] = [
        0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, // initiator
        0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, // responder
        8, 0x10, 32, 3, // HASH, 1.0, quick mode, encrypted and commit
        0xde, 0xad, 0xbe, 0xef, // message id
        0, 0, 0, 30, // length
    ];

    fn golden() -> Header {
        Header {
            next_payload: PayloadType::HASH,
            flags: Flags::ENCRYPTED | Flags::COMMIT,
            length: 30,
            ..Header::new(pair(), ExchangeType::QUICK, 0xdead_beef)
        }
    }

    fn pair() -> CookiePair {
        CookiePair {
            initiator: Cookie([0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef]),
            responder: Cookie([0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77]),
        }
    }

    /// The golden header with one byte changed, two bytes of body and two too many.
    fn changed(at: usize, value: u8) -> Result<Header, WireError> {
        let mut datagram = [GOLDEN.as_slice(), &[0xaa, 0xbb, 0xcc, 0xdd]].concat();
        datagram[at] = value;
        Header::parse(&datagram).map(|(header, _)| header)
    }

    #[test]
    fn golden_bytes() {
        let datagram = [GOLDEN.as_slice(), &[0xaa, 0xbb, 0xcc, 0xdd]].concat();
        assert_eq!(Header::parse(&datagram), Ok((golden(), [0xaa, 0xbb].as_slice())));
        assert_eq!(golden().encode(2), GOLDEN);
    }

    #[test]
    fn cookies_have_names() {
        assert_eq!(pair().to_string(), "0123456789abcdef:0011223344556677");
        assert_eq!(Cookie::ZERO.to_string(), "0000000000000000");
        assert_eq!(CookiePair::from_spi(&pair().to_bytes()), Some(pair()));
        assert_eq!(CookiePair::from_spi(&[0; 15]), None);
        assert_eq!(CookiePair::from_spi(&[0; 17]), None);
    }

    #[test]
    fn every_shorter_datagram_is_refused() {
        let datagram = [GOLDEN.as_slice(), &[0xaa, 0xbb]].concat();
        for length in 0..datagram.len() {
            assert!(matches!(Header::parse(&datagram[..length]), Err(WireError::Truncated { .. })), "{length} bytes");
        }
    }

    #[test]
    fn lengths_that_cannot_be() {
        assert!(matches!(changed(27, 27), Err(WireError::Value { field: "length", found: 27, .. })));
        assert!(matches!(changed(27, 0), Err(WireError::Value { .. })));
        assert!(matches!(changed(24, 0xff), Err(WireError::Value { .. })));
        assert!(matches!(changed(25, 1), Err(WireError::Value { found: 0x1_001e, .. })));
        assert!(matches!(changed(27, 33), Err(WireError::Truncated { needed: 5, left: 4, at: 28, .. })));
        assert_eq!(changed(27, 32).map(|header| header.length), Ok(32));
    }

    #[test]
    fn versions_flags_and_cookies_that_cannot_be() {
        assert_eq!(changed(17, 0x20), Err(WireError::Version { major: 2, minor: 0 }));
        assert_eq!(changed(17, 0x00), Err(WireError::Version { major: 0, minor: 0 }));
        assert_eq!(changed(17, 0x13).map(|header| header.minor), Ok(3));
        assert_eq!(changed(19, 0x08), Err(WireError::Flags { found: 8 }));
        assert_eq!(changed(19, 0x87), Err(WireError::Flags { found: 0x87 }));
        let mut datagram = GOLDEN;
        datagram[..8].fill(0);
        let error = Header::parse(&datagram).unwrap_err();
        assert_eq!(error.to_string(), "ISAKMP header: byte 8: not zero is expected, the initiator's cookie is 0");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            initiator in any::<[u8; 8]>().prop_filter("a cookie", |cookie| *cookie != [0; 8]),
            responder: [u8; 8],
            next: u8,
            minor in 0_u8..16,
            exchange: u8,
            flags in 0_u8..8,
            message_id: u32,
            body in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let header = Header {
                cookies: CookiePair { initiator: Cookie(initiator), responder: Cookie(responder) },
                next_payload: PayloadType(next),
                minor,
                flags: Flags::from_bits_truncate(flags),
                length: 28 + u32::try_from(body.len()).unwrap(),
                ..Header::new(CookiePair::default(), ExchangeType(exchange), message_id)
            };
            let datagram = [header.encode(body.len()).as_slice(), &body].concat();
            prop_assert_eq!(Header::parse(&datagram), Ok((header, body.as_slice())));
        }

        #[test]
        fn any_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok((header, body)) = Header::parse(&bytes) {
                prop_assert_eq!(header.encode(body.len()).to_vec(), &bytes[..HEADER_LEN]);
            }
        }
    }
}
