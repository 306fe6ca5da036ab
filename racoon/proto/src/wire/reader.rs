//! The cursor through which all ISAKMP bytes are read. Lengths are checked here and nowhere else.

use nom::IResult;
use nom::Parser;
use nom::bytes::complete::take;
use nom::error::Error as NomError;
use nom::number::complete::{be_u16, be_u32, u8};

use super::WireError;

/// A cursor over a part of a message.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    part: &'static str,
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A cursor over `bytes`, which errors call `part`.
    pub(super) fn new(part: &'static str, bytes: &'a [u8]) -> Self {
        Self { part, rest: bytes, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn u8(&mut self) -> Result<u8, WireError> {
        self.run(1, u8)
    }

    pub(super) fn u16(&mut self) -> Result<u16, WireError> {
        self.run(2, be_u16)
    }

    pub(super) fn u32(&mut self) -> Result<u32, WireError> {
        self.run(4, be_u32)
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        self.run(count, take(count))
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let mut array = [0; N];
        // Does not panic: `bytes` returns exactly N bytes.
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    /// Reads the remaining bytes.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = std::mem::take(&mut self.rest);
        self.at += rest.len();
        rest
    }

    /// Reads the next `count` bytes as a cursor of their own, which errors call `part`.
    pub(super) fn sub(&mut self, part: &'static str, count: usize) -> Result<Self, WireError> {
        let at = self.at;
        Ok(Self { part, rest: self.bytes(count)?, at })
    }

    /// Checks that no bytes remain.
    pub(super) fn finish(self) -> Result<(), WireError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(WireError::Trailing { part: self.part, at: self.at, left }),
        }
    }

    /// The error of the field just read, whose value is invalid.
    pub(super) fn value(&self, field: &'static str, expected: &'static str, found: impl Into<u64>) -> WireError {
        WireError::Value { part: self.part, field, at: self.at, expected, found: found.into() }
    }

    /// The error of the length just read, which is invalid.
    pub(super) fn length(&self, field: &'static str, expected: &'static str, found: usize) -> WireError {
        self.value(field, expected, u64::try_from(found).unwrap_or(u64::MAX))
    }

    fn run<O>(
        &mut self,
        needed: usize,
        mut parser: impl Parser<&'a [u8], Output = O, Error = NomError<&'a [u8]>>,
    ) -> Result<O, WireError> {
        let parsed: IResult<&'a [u8], O> = parser.parse(self.rest);
        match parsed {
            Ok((rest, value)) => {
                self.at += self.rest.len() - rest.len();
                self.rest = rest;
                Ok(value)
            }
            // These parsers fail only at the end of the input.
            Err(_) => Err(WireError::Truncated { part: self.part, at: self.at, needed, left: self.rest.len() }),
        }
    }
}
