//! The texts of dumps, to the letter: scripts read them.

mod policy;
mod sa;
mod short;
mod structure;

use std::net::SocketAddr;

use super::{Options, calendar};
use crate::dialect::{Abi, ByteOrder, Dialect};
use crate::num::{ExtensionType as T, MessageType, SaFlags, SaState, SaType};
use crate::wire::{Address, Extension, Header, Key, Lifetime, Message, Sa, Sa2, SecurityContext, SockAddr};

const LINUX: Abi = Abi { dialect: Dialect::Linux, byte_order: ByteOrder::Little };
const FREEBSD: Abi = Abi { dialect: Dialect::FreeBsd, byte_order: ByteOrder::Little };

/// A moment in the middle of a month, for the seconds of calendar times that depend on the zone.
const THEN: u64 = 1_750_000_000;

fn socket(text: &str) -> SockAddr {
    text.parse::<SocketAddr>().unwrap().into()
}

fn host(kind: T, text: &str) -> Extension<'static> {
    Extension::Address(kind, Address::host(socket(text)))
}

/// A message of a dump: what `-D` and `-DP` get.
fn message<'a>(message_type: MessageType, sa_type: SaType, extensions: Vec<Extension<'a>>) -> Message<'a> {
    let header = Header { seq: 3, pid: 77, reserved: 1, ..Header::new(message_type, sa_type) };
    Message { abi: LINUX, header, extensions }
}

/// Puts names in the place of the two moments that tests use, whose text depends on the time zone.
fn without_times(text: &str) -> String {
    let named = |text: String, seconds: u64, name: &str| {
        let mut time = String::new();
        calendar(&mut time, i64::try_from(seconds).unwrap());
        assert_eq!(time.len(), 20);
        text.replace(&time, name)
    };
    named(named(text.to_owned(), THEN, "<then>"), THEN + 90, "<now>")
}
