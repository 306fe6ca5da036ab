//! Data attributes (RFC 2408 section 3.3), which are part of transforms and of Attributes payloads.
//!
//! ```text
//!                      1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |A|       Attribute Type        |    AF=0  Attribute Length     |
//! |F|                             |    AF=1  Attribute Value      |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! .                   AF=0  Attribute Value                       .
//! .                   AF=1  Not Transmitted                       .
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use std::fmt;

use super::WireError;
use super::reader::Reader;
use super::writer::Writer;

/// The attribute format bit: the value is in the two bytes after the type.
const SHORT: u16 = 0x8000;

/// An attribute: its type, 15 bits, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Type; its meaning depends on the payload.
    pub kind: u16,
    /// Value.
    pub value: AttributeValue,
}

impl Attribute {
    /// An attribute in short form.
    pub fn short(kind: u16, value: u16) -> Self {
        Self { kind, value: AttributeValue::Short(value) }
    }

    /// An attribute in long form.
    pub fn long(kind: u16, value: impl Into<Vec<u8>>) -> Self {
        Self { kind, value: AttributeValue::Long(value.into()) }
    }

    /// An attribute whose number may have either form: short if it fits, else 4 bytes.
    pub fn number(kind: u16, value: u32) -> Self {
        // A variable attribute may be basic if its value fits into two bytes (RFC 2407 section 4.5).
        match u16::try_from(value) {
            Ok(value) => Self::short(kind, value),
            Err(_) => Self::long(kind, value.to_be_bytes()),
        }
    }

    /// Parses bytes that consist of attributes, such as the data of a RESPONDER-LIFETIME notify (RFC 2407 section 4.6.3.1).
    ///
    /// # Errors
    /// If a length exceeds the remaining bytes.
    pub fn parse_list(data: &[u8]) -> Result<Vec<Self>, WireError> {
        Self::parse_all(&mut Reader::new("attributes", data))
    }

    /// Encodes attributes, one after the other.
    pub fn encode_list(attributes: &[Self]) -> Vec<u8> {
        let mut writer = Writer::default();
        attributes.iter().for_each(|attribute| attribute.emit(&mut writer));
        writer.into_bytes()
    }

    /// Parses attributes up to the end of `reader`.
    pub(super) fn parse_all(reader: &mut Reader<'_>) -> Result<Vec<Self>, WireError> {
        let mut attributes = Vec::new();
        // Each attribute takes at least 4 bytes, so the message bounds their number.
        while !reader.is_empty() {
            attributes.push(Self::parse(reader)?);
        }
        Ok(attributes)
    }

    fn parse(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let kind = reader.u16()?;
        let value = reader.u16()?;
        Ok(match kind & SHORT {
            0 => Self::long(kind, reader.bytes(value.into())?),
            _ => Self::short(kind & !SHORT, value),
        })
    }

    pub(super) fn emit(&self, writer: &mut Writer) {
        match &self.value {
            AttributeValue::Short(value) => {
                writer.u16(self.kind | SHORT);
                writer.u16(*value);
            }
            AttributeValue::Long(value) => {
                writer.u16(self.kind & !SHORT);
                writer.length16(value.len());
                writer.bytes(value);
            }
        }
    }
}

/// The value of an attribute.
#[derive(Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// Short form, called *basic* in RFC 2408: two bytes.
    Short(u16),
    /// Long form, called *variable*: any number of bytes.
    Long(Vec<u8>),
}

impl AttributeValue {
    /// Returns the value as a number; `None` if it has more than 64 bits.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Short(value) => Some((*value).into()),
            // Long numbers have any number of bytes; leading zeros do not count.
            Self::Long(bytes) => bytes
                .iter()
                .try_fold(0_u64, |number, byte| number.checked_mul(256).map(|number| number | u64::from(*byte))),
        }
    }

    /// Returns the bytes of the value, in network order.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Short(value) => value.to_be_bytes().to_vec(),
            Self::Long(bytes) => bytes.clone(),
        }
    }
}

impl fmt::Debug for AttributeValue {
    /// Shows only the length of a long value, which may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(value) => write!(f, "Short({value})"),
            Self::Long(bytes) => write!(f, "Long({} bytes)", bytes.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let bytes = [0x80, 11, 0, 1, 0, 12, 0, 4, 0, 1, 0x51, 0x80, 0x40, 0x89, 0, 0];
        let attributes = [Attribute::short(11, 1), Attribute::number(12, 86_400), Attribute::long(0x4089, [])];
        assert_eq!(Attribute::encode_list(&attributes), bytes);
        assert_eq!(Attribute::parse_list(&bytes).unwrap(), attributes);
    }

    #[test]
    fn numbers() {
        assert_eq!(Attribute::number(12, 28_800), Attribute::short(12, 28_800));
        assert_eq!(Attribute::number(12, 65_535), Attribute::short(12, 65_535));
        assert_eq!(Attribute::number(12, 65_536), Attribute::long(12, [0, 1, 0, 0]));
        for (bytes, number) in [
            (&[][..], Some(0)),
            (&[1, 0], Some(256)),
            (&[0xff; 8], Some(u64::MAX)),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 0, 7], Some(7)),
            (&[1, 0, 0, 0, 0, 0, 0, 0, 0], None),
        ] {
            assert_eq!(Attribute::long(1, bytes).value.as_u64(), number, "{bytes:?}");
        }
    }

    #[test]
    fn every_shorter_list_is_refused() {
        let bytes = [0x80, 11, 0, 1, 0, 12, 0, 4, 0, 1, 0x51, 0x80];
        for length in (1..bytes.len()).filter(|length| *length != 4) {
            assert!(
                matches!(Attribute::parse_list(&bytes[..length]), Err(WireError::Truncated { .. })),
                "{length} bytes"
            );
        }
        assert!(Attribute::parse_list(&[0, 1, 0xff, 0xff, 0]).is_err());
    }

    #[test]
    fn a_debug_print_keeps_passwords() {
        assert_eq!(format!("{:?}", Attribute::long(16522, *b"secret").value), "Long(6 bytes)");
    }
}
