//! The codec against bytes written down by hand, against broken bytes, and against itself.

mod golden;
mod malformed;
pub(crate) mod property;

use super::reader::Reader;
use super::writer::Writer;
use super::{Extension, next_extension};
use crate::dialect::{Abi, ByteOrder, Dialect};

const LINUX: Abi = Abi { dialect: Dialect::Linux, byte_order: ByteOrder::Little };
const LINUX_BIG: Abi = Abi { dialect: Dialect::Linux, byte_order: ByteOrder::Big };
const FREEBSD: Abi = Abi { dialect: Dialect::FreeBsd, byte_order: ByteOrder::Little };
const NETBSD: Abi = Abi { dialect: Dialect::NetBsd, byte_order: ByteOrder::Little };
const DARWIN: Abi = Abi { dialect: Dialect::Darwin, byte_order: ByteOrder::Little };

/// Bytes from hex digits; blanks and newlines are for the reader's eye.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

/// Both ways between an extension and its bytes.
#[track_caller]
fn both_ways(abi: Abi, extension: &Extension<'_>, hex: &str) {
    let expected = bytes(hex);
    let mut emitted = Vec::new();
    extension.emit(&mut Writer::new(&mut emitted, abi)).unwrap();
    assert_eq!(emitted, expected, "{extension:?} for {abi:?}");
    let (number, mut body) = next_extension(&mut Reader::new(&expected, abi)).unwrap();
    let kind = crate::ExtensionType::from_number(abi.dialect, number);
    assert_eq!(Extension::parse(kind, &mut body).unwrap(), *extension);
}
