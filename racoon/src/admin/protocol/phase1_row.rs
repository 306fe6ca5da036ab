//! Reply to `show-sa isakmp`.

use std::net::SocketAddr;

use super::Malformed;
use super::encoding::{ADDRESS_LENGTH, Reader, put_address};

/// Length of a [`Phase1Row`].
pub(super) const ROW_LENGTH: usize = 16 + 4 + 2 * ADDRESS_LENGTH + 8 + 4;

/// A row of `show-sa isakmp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase1Row {
    /// The initiator's and the responder's cookie.
    pub cookies: [u8; 16],
    /// State number; 9 is established.
    pub state: u8,
    /// Whether we are the initiator.
    pub initiator: bool,
    /// ISAKMP version as in the header.
    pub version: u8,
    /// Exchange type number.
    pub exchange: u8,
    /// Our address.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// When it was established, in seconds since 1970; 0 if it is not.
    pub created: i64,
    /// Number of its phase 2s.
    pub phase2_count: u32,
}

impl Phase1Row {
    /// Appends the row to the body of a reply.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.cookies);
        out.extend([self.state, u8::from(self.initiator), self.version, self.exchange]);
        put_address(out, self.local);
        put_address(out, self.remote);
        out.extend(self.created.to_ne_bytes());
        out.extend(self.phase2_count.to_ne_bytes());
    }

    /// Parses all rows of a reply.
    ///
    /// # Errors
    /// [`Malformed::Body`]
    pub fn parse_all(body: &[u8]) -> Result<Vec<Self>, Malformed> {
        if !body.len().is_multiple_of(ROW_LENGTH) {
            return Err(Malformed::Body);
        }
        body.chunks_exact(ROW_LENGTH).map(|row| Self::parse(&mut Reader(row))).collect()
    }

    fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let cookies = reader.array()?;
        let [state, side, version, exchange] = reader.array()?;
        Ok(Self {
            cookies,
            state,
            initiator: side != 0,
            version,
            exchange,
            local: reader.address()?,
            remote: reader.address()?,
            created: i64::from_ne_bytes(reader.array()?),
            phase2_count: u32::from_ne_bytes(reader.array()?),
        })
    }
}
