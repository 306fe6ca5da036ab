//! The Certificate and Certificate Request payloads (RFC 2408 sections 3.9 and 3.10).
//!
//! ```text
//!                      1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Cert Encoding |   Certificate Data, or Certificate Authority  |
//! +-+-+-+-+-+-+-+-+                                               |
//! |                                                               |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use super::WireError;
use super::reader::Reader;
use crate::num::CertEncoding;

/// The body of a Certificate payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The kind of data.
    pub encoding: CertEncoding,
    /// The certificate, at least one byte.
    pub data: Vec<u8>,
}

impl Certificate {
    /// Reads the body of a Certificate payload.
    ///
    /// # Errors
    /// If there is no data.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("Certificate payload", body);
        let encoding = CertEncoding(reader.u8()?);
        match reader.rest() {
            [] => Err(reader.length("length of data", "at least 1", 0)),
            data => Ok(Self { encoding, data: data.to_vec() }),
        }
    }

    /// Encodes the body.
    pub fn encode(&self) -> Vec<u8> {
        [&[self.encoding.0], self.data.as_slice()].concat()
    }
}

/// The body of a Certificate Request payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequest {
    /// The kind of certificate that is requested.
    pub encoding: CertEncoding,
    /// DER of the name of the authority that must have issued it; empty for any.
    pub authority: Vec<u8>,
}

impl CertificateRequest {
    /// Reads the body of a Certificate Request payload.
    ///
    /// # Errors
    /// If the body is empty.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("Certificate Request payload", body);
        Ok(Self { encoding: CertEncoding(reader.u8()?), authority: reader.rest().to_vec() })
    }

    /// Encodes the body.
    pub fn encode(&self) -> Vec<u8> {
        [&[self.encoding.0], self.authority.as_slice()].concat()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn golden_bytes() {
        let certificate = Certificate { encoding: CertEncoding::X509_SIGNATURE, data: vec![0x30, 0x82] };
        assert_eq!(certificate.encode(), [4, 0x30, 0x82]);
        assert_eq!(Certificate::parse(&[4, 0x30, 0x82]), Ok(certificate));
        let request = CertificateRequest { encoding: CertEncoding::X509_SIGNATURE, authority: Vec::new() };
        assert_eq!(request.encode(), [4]);
        assert_eq!(CertificateRequest::parse(&[4]), Ok(request));
    }

    #[test]
    fn empty_ones() {
        assert!(Certificate::parse(&[]).is_err());
        assert!(Certificate::parse(&[4]).is_err());
        assert!(CertificateRequest::parse(&[]).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(encoding: u8, data in vec(any::<u8>(), 1..40)) {
            let certificate = Certificate { encoding: CertEncoding(encoding), data: data.clone() };
            prop_assert_eq!(Certificate::parse(&certificate.encode()), Ok(certificate));
            let request = CertificateRequest { encoding: CertEncoding(encoding), authority: data };
            prop_assert_eq!(CertificateRequest::parse(&request.encode()), Ok(request));
        }
    }
}
