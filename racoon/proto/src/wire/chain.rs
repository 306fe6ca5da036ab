//! The chain of payloads (RFC 2408 section 3.2): each begins with a generic header that has the type of the next.
//!
//! ```text
//!                      1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Next Payload  |   RESERVED    |         Payload Length        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use super::reader::Reader;
use super::writer::Writer;
use super::{Header, WireError};
use crate::num::PayloadType;

/// Length of the generic header in bytes.
pub const GENERIC_LEN: usize = 4;

/// Maximum number of payloads in a message.
pub const PAYLOADS_MAX: usize = 64;

/// The name of the part in errors.
const PART: &str = "payload chain";

/// What may follow the last payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// Nothing, in an unencrypted message.
    Exact,
    /// Padding, in a decrypted message.
    Padding,
}

/// A payload as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawPayload<'a> {
    /// Its type.
    pub kind: PayloadType,
    /// The bytes after its generic header.
    pub body: &'a [u8],
    /// The offset of its generic header in the chain.
    pub offset: usize,
    /// The whole payload, with its generic header.
    pub whole: &'a [u8],
}

/// Returns the payloads of `body`, the first of which has type `first`. Reserved bytes are ignored (RFC 2408 requires them to be 0,
/// but nothing depends on them).
///
/// # Errors
/// If a length is less than a generic header or exceeds the remaining bytes, if there are more than [`PAYLOADS_MAX`] payloads,
/// or if bytes follow the last one that `tail` does not allow.
pub fn walk(first: PayloadType, body: &[u8], tail: Tail) -> Result<Vec<RawPayload<'_>>, WireError> {
    let mut payloads = Vec::new();
    let mut reader = Reader::new(PART, body);
    let mut kind = first;
    while kind != PayloadType::NONE {
        let offset = reader.at();
        // A datagram has room for 16,000 empty payloads, each of which would cost an entry.
        if payloads.len() == PAYLOADS_MAX {
            return Err(WireError::TooMany { part: PART, at: offset, limit: PAYLOADS_MAX });
        }
        // A second cursor finds the length, so that `reader` can return the payload together with its generic header.
        let mut ahead = reader.clone();
        let (next, mut payload) = generic(&mut ahead, PART)?;
        let body = payload.rest();
        payloads.push(RawPayload { kind, body, offset, whole: reader.bytes(GENERIC_LEN + body.len())? });
        kind = next;
    }
    // The length of encrypted payloads is a multiple of the cipher's block, and the padding has no length field
    // (RFC 2409 Appendix B).
    if tail == Tail::Exact {
        reader.finish()?;
    }
    Ok(payloads)
}

/// Encodes a chain of payloads, each a type and a body. The preceding header has the type of the first.
pub fn encode(payloads: &[(PayloadType, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::with_capacity(payloads.iter().map(|(_, body)| GENERIC_LEN + body.len()).sum());
    let next = payloads.iter().skip(1).map(|(kind, _)| *kind).chain([PayloadType::NONE]);
    for ((_, body), next) in payloads.iter().zip(next) {
        writer.payload(next, |writer| writer.bytes(body));
    }
    writer.into_bytes()
}

/// Encodes an unencrypted message. The first payload and the length in `header` are ignored.
pub fn message(header: &Header, payloads: &[(PayloadType, &[u8])]) -> Vec<u8> {
    let next_payload = payloads.first().map_or(PayloadType::NONE, |(kind, _)| *kind);
    let body = encode(payloads);
    let mut message = Header { next_payload, ..*header }.encode(body.len()).to_vec();
    message.extend_from_slice(&body);
    message
}

/// Reads a generic header: returns the type of the next payload, and a cursor over the body of this one, which errors call `part`.
pub(super) fn generic<'a>(reader: &mut Reader<'a>, part: &'static str) -> Result<(PayloadType, Reader<'a>), WireError> {
    let next = PayloadType(reader.u8()?);
    let _reserved = reader.u8()?;
    // The length includes this header. One that is less would make the chain endless.
    let length = usize::from(reader.u16()?);
    match length.checked_sub(GENERIC_LEN) {
        Some(length) => Ok((next, reader.sub(part, length)?)),
        None => Err(reader.length("payload length", "at least 4", length)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::num::ExchangeType;
    use crate::wire::CookiePair;

    #[test]
    fn golden_bytes() {
        let bytes = [10, 0, 0, 6, 0xaa, 0xbb, 0, 0, 0, 4];
        let chain = encode(&[(PayloadType::KEY_EXCHANGE, &[0xaa, 0xbb]), (PayloadType::NONCE, &[])]);
        assert_eq!(chain, bytes);
        let payloads = walk(PayloadType::KEY_EXCHANGE, &bytes, Tail::Exact).unwrap();
        assert_eq!(
            payloads,
            [
                RawPayload { kind: PayloadType::KEY_EXCHANGE, body: &bytes[4..6], offset: 0, whole: &bytes[..6] },
                RawPayload { kind: PayloadType::NONCE, body: &[], offset: 6, whole: &bytes[6..] },
            ]
        );
    }

    #[test]
    fn a_message_knows_its_first_payload_and_its_length() {
        let header = Header::new(CookiePair::default(), ExchangeType::MAIN, 0);
        let sent = message(&header, &[(PayloadType::SA, &[1, 2, 3])]);
        assert_eq!(sent[16], 1);
        assert_eq!(sent[24..], [0, 0, 0, 35, 0, 0, 0, 7, 1, 2, 3]);
        assert_eq!(message(&header, &[])[24..], [0, 0, 0, 28]);
    }

    #[test]
    fn lengths_that_cannot_be() {
        for length in 0..4 {
            let error = walk(PayloadType::SA, &[0, 0, 0, length, 0, 0, 0, 0], Tail::Padding).unwrap_err();
            assert!(matches!(error, WireError::Value { field: "payload length", .. }), "{length}: {error}");
        }
        for (bytes, tail) in [
            (&[0, 0, 0, 9, 0, 0, 0, 0][..], Tail::Padding),
            (&[0, 0, 0xff, 0xff, 0, 0, 0, 0], Tail::Padding),
            (&[1, 0, 0, 4], Tail::Padding),
            (&[1, 0, 0, 4, 0, 0, 0], Tail::Exact),
            (&[], Tail::Padding),
        ] {
            assert!(matches!(walk(PayloadType::SA, bytes, tail), Err(WireError::Truncated { .. })), "{bytes:?}");
        }
    }

    #[test]
    fn what_follows_the_last_payload() {
        let bytes = [0, 0, 0, 5, 7, 0, 0, 1];
        let error = walk(PayloadType::HASH, &bytes, Tail::Exact).unwrap_err();
        assert_eq!(error.to_string(), "payload chain: byte 5: the end is expected, 3 bytes follow");
        assert_eq!(walk(PayloadType::HASH, &bytes, Tail::Padding).unwrap()[0].body, [7]);
        assert_eq!(walk(PayloadType::NONE, &[], Tail::Exact), Ok(Vec::new()));
        assert!(walk(PayloadType::NONE, &[0], Tail::Exact).is_err());
    }

    #[test]
    fn a_reserved_byte_is_tolerated() {
        assert!(walk(PayloadType::HASH, &[0, 0xff, 0, 4], Tail::Exact).is_ok());
    }

    #[test]
    fn a_chain_of_many_payloads_ends() {
        let many = [13, 0, 0, 4].repeat(16_000);
        let error = walk(PayloadType::VENDOR_ID, &many, Tail::Exact).unwrap_err();
        assert_eq!(error, WireError::TooMany { part: PART, at: 256, limit: PAYLOADS_MAX });
        let enough = vec![(PayloadType::VENDOR_ID, &[][..]); PAYLOADS_MAX];
        assert_eq!(walk(PayloadType::VENDOR_ID, &encode(&enough), Tail::Exact).unwrap().len(), PAYLOADS_MAX);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            sent in vec((1_u8.., vec(any::<u8>(), 0..40)), 0..20),
            padding in vec(any::<u8>(), 0..8),
        ) {
            let payloads: Vec<_> = sent.iter().map(|(kind, body)| (PayloadType(*kind), body.as_slice())).collect();
            let first = payloads.first().map_or(PayloadType::NONE, |(kind, _)| *kind);
            let mut chain = encode(&payloads);
            chain.extend(padding);
            let read = walk(first, &chain, Tail::Padding).unwrap();
            prop_assert_eq!(read.iter().map(|one| (one.kind, one.body)).collect::<Vec<_>>(), payloads);
            for one in read {
                prop_assert_eq!(&chain[one.offset..][..one.whole.len()], one.whole);
            }
        }

        #[test]
        fn any_bytes_do_not_panic(first: u8, bytes in vec(any::<u8>(), 0..200)) {
            let _ = walk(PayloadType(first), &bytes, Tail::Exact);
            let _ = walk(PayloadType(first), &bytes, Tail::Padding);
        }
    }
}
