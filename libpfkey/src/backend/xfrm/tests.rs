//! The layout of structures, requests as frames, frames as messages, and malformed datagrams.

mod brief_answers;
mod hostile;
mod layout;
mod requests;
mod same_bytes;
mod translator;

use crate::dialect::Abi;
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;

/// The bytes that `write` writes.
fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Writer::new(&mut bytes, Abi::HOST));
    bytes
}

fn reader(bytes: &[u8]) -> Reader<'_> {
    Reader::new(bytes, Abi::HOST)
}
