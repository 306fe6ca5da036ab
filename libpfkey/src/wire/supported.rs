//! Algorithms on offer: `sadb_supported` (REGISTER) and `sadb_prop` (ACQUIRE).

use super::reader::Reader;
use super::writer::Writer;
use crate::error::Result;

/// `sadb_alg`: an algorithm of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithm {
    /// Number in the dialect.
    pub id: u8,
    /// IV length in bytes (NetBSD reports a block size here: do not rely on it).
    pub iv_len: u8,
    /// Shortest key in bits.
    pub min_bits: u16,
    /// Longest key in bits.
    pub max_bits: u16,
    /// Reserved.
    pub reserved: u16,
}

/// Reads the list of `sadb_supported`; an incomplete entry at the end is skipped.
pub(crate) fn parse_algorithms(reader: &mut Reader<'_>) -> Result<Vec<Algorithm>> {
    reader.skip(4)?;
    let mut algorithms = Vec::with_capacity(reader.remaining() / 8);
    // An incomplete entry is a kernel's mistake that costs one algorithm, not the list.
    while reader.remaining() >= 8 {
        algorithms.push(Algorithm {
            id: reader.u8()?,
            iv_len: reader.u8()?,
            min_bits: reader.u16()?,
            max_bits: reader.u16()?,
            reserved: reader.u16()?,
        });
    }
    Ok(algorithms)
}

pub(crate) fn emit_algorithms(algorithms: &[Algorithm], writer: &mut Writer<'_>) {
    writer.u32(0);
    for algorithm in algorithms {
        writer.u8(algorithm.id);
        writer.u8(algorithm.iv_len);
        writer.u16(algorithm.min_bits);
        writer.u16(algorithm.max_bits);
        writer.u16(algorithm.reserved);
    }
}

/// `sadb_prop` (RFC 2367 section 2.3.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Replay window wanted.
    pub replay: u8,
    /// The combinations.
    pub combinations: Vec<Combination>,
}

impl Proposal {
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let replay = reader.u8()?;
        reader.skip(3)?;
        // Bounded by the bytes that are there, not by a number that the message claims.
        let mut combinations = Vec::with_capacity(reader.remaining() / Combination::LEN);
        while reader.remaining() >= Combination::LEN {
            combinations.push(Combination::parse(reader)?);
        }
        Ok(Self { replay, combinations })
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
        writer.u8(self.replay);
        writer.zeros(3);
        self.combinations.iter().for_each(|combination| combination.emit(writer));
    }
}

/// `sadb_comb`: one combination of algorithms, with key bounds in bits and lifetimes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are those of RFC 2367 section 2.3.7")]
pub struct Combination {
    pub auth: u8,
    pub encrypt: u8,
    pub flags: u16,
    pub auth_min_bits: u16,
    pub auth_max_bits: u16,
    pub encrypt_min_bits: u16,
    pub encrypt_max_bits: u16,
    pub reserved: u32,
    pub soft_allocations: u32,
    pub hard_allocations: u32,
    pub soft_bytes: u64,
    pub hard_bytes: u64,
    pub soft_addtime: u64,
    pub hard_addtime: u64,
    pub soft_usetime: u64,
    pub hard_usetime: u64,
}

impl Combination {
    /// Size in bytes.
    pub(crate) const LEN: usize = 72;

    fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            auth: reader.u8()?,
            encrypt: reader.u8()?,
            flags: reader.u16()?,
            auth_min_bits: reader.u16()?,
            auth_max_bits: reader.u16()?,
            encrypt_min_bits: reader.u16()?,
            encrypt_max_bits: reader.u16()?,
            reserved: reader.u32()?,
            soft_allocations: reader.u32()?,
            hard_allocations: reader.u32()?,
            soft_bytes: reader.u64()?,
            hard_bytes: reader.u64()?,
            soft_addtime: reader.u64()?,
            hard_addtime: reader.u64()?,
            soft_usetime: reader.u64()?,
            hard_usetime: reader.u64()?,
        })
    }

    fn emit(&self, writer: &mut Writer<'_>) {
        writer.u8(self.auth);
        writer.u8(self.encrypt);
        for half in [self.flags, self.auth_min_bits, self.auth_max_bits, self.encrypt_min_bits, self.encrypt_max_bits] {
            writer.u16(half);
        }
        for word in [self.reserved, self.soft_allocations, self.hard_allocations] {
            writer.u32(word);
        }
        let limits = [
            self.soft_bytes,
            self.hard_bytes,
            self.soft_addtime,
            self.hard_addtime,
            self.soft_usetime,
            self.hard_usetime,
        ];
        for limit in limits {
            writer.u64(limit);
        }
    }
}
