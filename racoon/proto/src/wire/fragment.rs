//! The fragment payload of Cisco and Microsoft: a part of a message that is too large for one datagram.
//!
//! ```text
//!                      1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |          Fragment ID          |     Index     |     Flags     |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                        Fragment Data                          |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use super::WireError;
use super::reader::Reader;
use super::writer::Writer;

/// Flag of the last fragment.
const LAST: u8 = 1;

/// The body of a fragment payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Number of the message; the same in all of its fragments.
    pub id: u16,
    /// Number of the fragment, counted from 1.
    pub index: u8,
    /// Whether it is the last fragment.
    pub last: bool,
    /// A part of the message, at least one byte.
    pub data: Vec<u8>,
}

impl Fragment {
    /// Reads the body of a fragment payload.
    ///
    /// # Errors
    /// If the index is 0, or if there is no data.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("fragment payload", body);
        let id = reader.u16()?;
        let index = reader.u8()?;
        if index == 0 {
            return Err(reader.value("index", "at least 1", index));
        }
        let last = reader.u8()? & LAST != 0;
        match reader.rest() {
            [] => Err(reader.length("length of data", "at least 1", 0)),
            data => Ok(Self { id, index, last, data: data.to_vec() }),
        }
    }

    /// Encodes the body.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u16(self.id);
        writer.u8(self.index);
        writer.u8(if self.last { LAST } else { 0 });
        writer.bytes(&self.data);
        writer.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golden_bytes() {
        let fragment = Fragment { id: 1, index: 2, last: true, data: vec![0xaa, 0xbb] };
        assert_eq!(fragment.encode(), [0, 1, 2, 1, 0xaa, 0xbb]);
        assert_eq!(Fragment::parse(&[0, 1, 2, 1, 0xaa, 0xbb]), Ok(fragment));
    }

    #[test]
    fn no_index_and_no_data() {
        for length in 0..5 {
            assert!(Fragment::parse(&[0, 1, 1, 0, 9][..length]).is_err(), "{length} bytes");
        }
        assert!(Fragment::parse(&[0, 1, 0, 0, 9]).is_err());
        assert!(Fragment::parse(&[0, 1, 1, 0, 9]).is_ok());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(id: u16, index in 1_u8.., last: bool, data in vec(any::<u8>(), 1..40)) {
            let fragment = Fragment { id, index, last, data };
            prop_assert_eq!(Fragment::parse(&fragment.encode()), Ok(fragment));
        }
    }
}
