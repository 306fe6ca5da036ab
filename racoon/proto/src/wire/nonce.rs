//! The Nonce payload (RFC 2408 section 3.13), whose body is the nonce.

use super::WireError;
use super::reader::Reader;

/// Length of the shortest nonce in bytes (RFC 2409 section 5).
pub const NONCE_MIN: usize = 8;

/// Length of the longest nonce in bytes (RFC 2409 section 5).
pub const NONCE_MAX: usize = 256;

/// Returns the nonce of a Nonce payload, which is its whole body.
///
/// # Errors
/// If it has fewer than 8 or more than 256 bytes.
pub fn nonce(body: &[u8]) -> Result<&[u8], WireError> {
    let mut reader = Reader::new("Nonce payload", body);
    let nonce = reader.rest();
    match nonce.len() {
        NONCE_MIN..=NONCE_MAX => Ok(nonce),
        other => Err(reader.length("length", "8 to 256", other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_to_256_bytes() {
        for (length, accepted) in [(0, false), (7, false), (8, true), (256, true), (257, false)] {
            assert_eq!(nonce(&vec![0; length]).is_ok(), accepted, "{length}");
        }
        let error = nonce(&[0; 7]).unwrap_err();
        assert_eq!(error.to_string(), "Nonce payload: byte 7: 8 to 256 is expected, length is 7");
    }
}
