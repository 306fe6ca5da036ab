//! The Security Association payload with its Proposal and Transform payloads (RFC 2408 sections 3.4 to 3.6, RFC 2407
//! section 4.6.1).
//!
//! ```text
//!                      1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |              Domain of Interpretation (IPsec)                 |   Security Association
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+   (behind its generic header)
//! |                     Situation (bitmap)                        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//!
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |   0 or 2      |   RESERVED    |         Payload Length        |   Proposal
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Proposal #   |  Protocol-Id  |    SPI Size   |# of Transforms|
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                        SPI (variable)                         |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//!
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |   0 or 3      |   RESERVED    |         Payload Length        |   Transform
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |  Transform #  |  Transform-Id |           RESERVED2           |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                        SA Attributes                          |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use super::attribute::Attribute;
use super::reader::Reader;
use super::writer::Writer;
use super::{WireError, chain};
use crate::num::{Doi, IDENTITY_ONLY, PayloadType, Protocol};

/// Length of the longest SPI in bytes: both cookies.
const SPI_MAX: usize = 16;

/// Maximum number of transforms in a proposal.
const TRANSFORMS_MAX: usize = 255;

/// The body of an SA payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaBody {
    /// [`Doi::IPSEC`].
    pub doi: Doi,
    /// [`IDENTITY_ONLY`].
    pub situation: u32,
    /// The proposals, at least one. Consecutive ones with the same number form a bundle.
    pub proposals: Vec<Proposal>,
}

impl SaBody {
    /// An SA payload for IPsec.
    pub fn new(proposals: Vec<Proposal>) -> Self {
        Self { doi: Doi::IPSEC, situation: IDENTITY_ONLY, proposals }
    }

    /// Reads the body of an SA payload.
    ///
    /// # Errors
    /// If the DOI or the situation is not supported; if lengths do not nest; if a chain of proposals or transforms is empty or does not
    /// end where its payload ends; if the number of transforms is not the stated one; if an SPI has more than 16 bytes.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("SA payload", body);
        let doi = Doi(reader.u32()?);
        if doi != Doi::IPSEC {
            return Err(WireError::Doi { found: doi });
        }
        let situation = reader.u32()?;
        // SIT_SECRECY and SIT_INTEGRITY would put security labels before the proposals (RFC 2407 section 4.6.1).
        if situation != IDENTITY_ONLY {
            return Err(WireError::Situation { found: situation });
        }
        let proposals = nested(&mut reader, PayloadType::PROPOSAL, "Proposal payload", Proposal::parse)?;
        Ok(Self { doi, situation, proposals })
    }

    /// Encodes the body.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u32(self.doi.0);
        writer.u32(self.situation);
        emit_nested(&mut writer, PayloadType::PROPOSAL, &self.proposals, Proposal::emit);
        writer.into_bytes()
    }
}

/// A proposal of one protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Proposal number.
    pub number: u8,
    /// Protocol.
    pub protocol: Protocol,
    /// SPI, in network order; empty in phase 1.
    pub spi: Vec<u8>,
    /// The alternative transforms, at least one; at most 255 are written.
    pub transforms: Vec<Transform>,
}

impl Proposal {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let number = reader.u8()?;
        let protocol = Protocol(reader.u8()?);
        let spi_size = usize::from(reader.u8()?);
        if spi_size > SPI_MAX {
            return Err(reader.length("SPI size", "at most 16", spi_size));
        }
        let count = usize::from(reader.u8()?);
        let spi = reader.bytes(spi_size)?.to_vec();
        let transforms = nested(reader, PayloadType::TRANSFORM, "Transform payload", Transform::parse)?;
        // As for the chain: a wrong number could be read in two ways.
        if transforms.len() != count {
            return Err(reader.length("number of transforms", "as many as there are", count));
        }
        Ok(Self { number, protocol, spi, transforms })
    }

    fn emit(&self, writer: &mut Writer) {
        let transforms = self.transforms.get(..TRANSFORMS_MAX).unwrap_or(&self.transforms);
        writer.u8(self.number);
        writer.u8(self.protocol.0);
        writer.count8(self.spi.len());
        writer.count8(transforms.len());
        writer.bytes(&self.spi);
        emit_nested(writer, PayloadType::TRANSFORM, transforms, Transform::emit);
    }
}

/// A transform: one set of algorithms for the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transform {
    /// Transform number.
    pub number: u8,
    /// Transform identifier; its meaning depends on the protocol.
    pub id: u8,
    /// Attributes, in order.
    pub attributes: Vec<Attribute>,
}

impl Transform {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let number = reader.u8()?;
        let id = reader.u8()?;
        let _reserved = reader.u16()?;
        Ok(Self { number, id, attributes: Attribute::parse_all(reader)? })
    }

    fn emit(&self, writer: &mut Writer) {
        writer.u8(self.number);
        writer.u8(self.id);
        writer.u16(0);
        self.attributes.iter().for_each(|attribute| attribute.emit(writer));
    }
}

/// Parses payloads of one type up to the end of `reader`.
fn nested<'a, T>(
    reader: &mut Reader<'a>,
    kind: PayloadType,
    part: &'static str,
    parse: impl Fn(&mut Reader<'a>) -> Result<T, WireError>,
) -> Result<Vec<T>, WireError> {
    let mut list = Vec::new();
    loop {
        let (next, mut body) = chain::generic(reader, part)?;
        list.push(parse(&mut body)?);
        body.finish()?;
        // A chain that ends elsewhere than its payload could be read in two ways.
        match next {
            PayloadType::NONE if reader.is_empty() => return Ok(list),
            next if next == kind && !reader.is_empty() => {}
            other => return Err(reader.value("next payload", "another one of its kind, or 0 at the end", other.0)),
        }
    }
}

/// Writes payloads of one type.
fn emit_nested<T>(writer: &mut Writer, kind: PayloadType, list: &[T], emit: impl Fn(&T, &mut Writer)) {
    for (at, one) in list.iter().enumerate() {
        let next = if at + 1 == list.len() { PayloadType::NONE } else { kind };
        writer.payload(next, |writer| emit(one, writer));
    }
}

#[cfg(test)]
mod tests;
