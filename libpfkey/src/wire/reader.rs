//! The cursor all PF_KEY bytes are read through: every length is checked here and nowhere else.

use nom::IResult;
use nom::Parser;
use nom::bytes::complete::take;
use nom::error::Error as NomError;
use nom::number::Endianness;
use nom::number::complete::{be_u16, be_u32, u8, u16, u32, u64};

use crate::dialect::{Abi, ByteOrder};
use crate::error::{Error, Result};
use crate::strerror::Code;

/// A cursor over a part of a message.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
    abi: Abi,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], abi: Abi) -> Self {
        Self { rest: bytes, offset: 0, abi }
    }

    pub(crate) fn abi(&self) -> Abi {
        self.abi
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The unread bytes.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        self.run(u8)
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        let order = self.order();
        self.run(u16(order))
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        let order = self.order();
        self.run(u32(order))
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        let order = self.order();
        self.run(u64(order))
    }

    /// A 16-bit field in network order.
    pub(crate) fn net_u16(&mut self) -> Result<u16> {
        self.run(be_u16)
    }

    /// A 32-bit field in network order.
    pub(crate) fn net_u32(&mut self) -> Result<u32> {
        self.run(be_u32)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        self.run(take(count))
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.bytes(N)?;
        <[u8; N]>::try_from(bytes).map_err(|_| self.malformed(Code::InvalidMessage, "too short a field"))
    }

    pub(crate) fn skip(&mut self, count: usize) -> Result<()> {
        self.bytes(count).map(drop)
    }

    /// Splits off a cursor over the next `count` bytes.
    pub(crate) fn sub(&mut self, count: usize) -> Result<Self> {
        // The offset goes on counting from the start of the message, for errors.
        let offset = self.offset;
        Ok(Self { rest: self.bytes(count)?, offset, abi: self.abi })
    }

    pub(crate) fn malformed(&self, code: Code, what: &'static str) -> Error {
        Error::Malformed { code, what, offset: self.offset }
    }

    fn order(&self) -> Endianness {
        match self.abi.byte_order {
            ByteOrder::Big => Endianness::Big,
            ByteOrder::Little => Endianness::Little,
        }
    }

    fn run<O>(&mut self, mut parser: impl Parser<&'a [u8], Output = O, Error = NomError<&'a [u8]>>) -> Result<O> {
        let parsed: IResult<&'a [u8], O> = parser.parse(self.rest);
        match parsed {
            Ok((rest, value)) => {
                self.offset += self.rest.len() - rest.len();
                self.rest = rest;
                Ok(value)
            }
            // The parsers used here have no other error.
            Err(_) => Err(self.malformed(Code::InvalidMessage, "the message ends inside a field")),
        }
    }
}
