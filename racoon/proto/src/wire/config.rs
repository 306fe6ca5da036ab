//! The Attributes payload of mode configuration and XAUTH (draft-dukes-ike-mode-cfg).
//!
//! ```text
//!                      1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |     Type      |   RESERVED    |           Identifier          |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                          Attributes                           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use super::reader::Reader;
use super::writer::Writer;
use super::{Attribute, WireError};
use crate::num::ConfigType;

/// The body of an Attributes payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Request, reply, set or acknowledgement.
    pub kind: ConfigType,
    /// The same in a request and its reply.
    pub id: u16,
    /// Attributes, in order; their types are [`ConfigAttribute`](crate::num::ConfigAttribute)s.
    pub attributes: Vec<Attribute>,
}

impl Attributes {
    /// Reads the body of an Attributes payload.
    ///
    /// # Errors
    /// If an attribute exceeds the remaining bytes.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("Attributes payload", body);
        let kind = ConfigType(reader.u8()?);
        let _reserved = reader.u8()?;
        let id = reader.u16()?;
        Ok(Self { kind, id, attributes: Attribute::parse_all(&mut reader)? })
    }

    /// Encodes the body.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u8(self.kind.0);
        writer.u8(0);
        writer.u16(self.id);
        self.attributes.iter().for_each(|attribute| attribute.emit(&mut writer));
        writer.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::num::ConfigAttribute;

    const GOLDEN: [u8; 16] = [
        1, 0, 0x12, 0x34, // REQUEST, identifier
        0xc0, 0x88, 0, 0, // XAUTH_TYPE, short
        0x40, 0x89, 0, 0, // XAUTH_USER_NAME, long and empty
        0x40, 0x8a, 0, 0, // XAUTH_USER_PASSWORD, long and empty
    ];

    #[test]
    fn golden_bytes() {
        let request = Attributes {
            kind: ConfigType::REQUEST,
            id: 0x1234,
            attributes: vec![
                Attribute::short(ConfigAttribute::XAUTH_TYPE.0, 0),
                Attribute::long(ConfigAttribute::XAUTH_USER_NAME.0, []),
                Attribute::long(ConfigAttribute::XAUTH_USER_PASSWORD.0, []),
            ],
        };
        assert_eq!(Attributes::parse(&GOLDEN), Ok(request.clone()));
        assert_eq!(request.encode(), GOLDEN);
    }

    #[test]
    fn every_shorter_body_is_refused() {
        for length in (0..GOLDEN.len()).filter(|length| length % 4 != 0 || *length == 0) {
            assert!(matches!(Attributes::parse(&GOLDEN[..length]), Err(WireError::Truncated { .. })), "{length}");
        }
        let beyond = [3, 0, 0, 1, 0, 1, 0xff, 0xff, 10, 0, 0, 1];
        assert!(matches!(Attributes::parse(&beyond), Err(WireError::Truncated { needed: 65_535, left: 4, .. })));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            kind: u8,
            id: u16,
            sent in vec((0_u16..0x8000, any::<bool>(), any::<u16>(), vec(any::<u8>(), 0..20)), 0..8),
        ) {
            let attribute = |(kind, short, value, bytes)| match short {
                true => Attribute::short(kind, value),
                false => Attribute::long(kind, bytes as Vec<u8>),
            };
            let attributes = sent.into_iter().map(attribute).collect();
            let body = Attributes { kind: ConfigType(kind), id, attributes };
            prop_assert_eq!(Attributes::parse(&body.encode()), Ok(body));
        }

        #[test]
        fn any_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..40)) {
            let _ = Attributes::parse(&bytes);
        }
    }
}
