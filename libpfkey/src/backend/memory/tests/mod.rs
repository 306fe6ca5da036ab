//! The engine as its clients see it: messages in, messages out.

mod events;
mod linux;
mod netbsd;
mod property;
mod tables;

use std::fmt::Write as _;

use crate::algorithm::{Authentication, Encryption};
use crate::backend::{Backend, MESSAGE_MAX, Memory};
use crate::dialect::{Abi, ByteOrder, Dialect};
use crate::num::{ExtensionType as T, MessageType, SaFlags, SaState, SaType};
use crate::wire::{
    Address, Extension, Header, IpsecRequest, Key, Lifetime, Message, Policy, Sa, Sa2, SockAddr, SpiRange, peek_header,
};

pub(super) const AUTH_KEY: [u8; 32] = [b'a'; 32];
pub(super) const ENCRYPT_KEY: [u8; 16] = [b'e'; 16];
pub(super) const PID: u32 = 4242;

/// An engine and a handle of it, with the clock at 1000.
pub(super) struct Lab {
    pub(super) backend: Memory,
    abi: Abi,
    buffer: Vec<u8>,
}

impl Lab {
    pub(super) fn new(dialect: Dialect) -> Self {
        let abi = Abi { dialect, byte_order: ByteOrder::Little };
        let backend = Memory::new(abi).unwrap();
        backend.set_time(1000);
        Self { backend, abi, buffer: vec![0; MESSAGE_MAX] }
    }

    pub(super) fn another(&self) -> Self {
        Self { backend: self.backend.another_handle().unwrap(), abi: self.abi, buffer: vec![0; MESSAGE_MAX] }
    }

    pub(super) fn message<'a>(&self, kind: MessageType, sa_type: SaType, body: Vec<Extension<'a>>) -> Message<'a> {
        let header = Header { pid: PID, ..Header::new(kind, sa_type) };
        Message { abi: self.abi, header, extensions: body }
    }

    /// Sends a request; what sending failed with.
    pub(super) fn send(&mut self, request: &Message<'_>) -> Result<(), String> {
        let mut bytes = Vec::new();
        request.emit(&mut bytes).unwrap();
        self.backend.send(&bytes).map_err(|error| error.to_string())
    }

    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        self.backend.recv(&mut self.buffer).unwrap().map(<[u8]>::to_vec)
    }

    pub(super) fn take_all(&mut self) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.take()).collect()
    }

    pub(super) fn ask(&mut self, request: &Message<'_>) -> Vec<Vec<u8>> {
        self.send(request).unwrap();
        self.take_all()
    }

    /// The errno that a request comes to.
    pub(super) fn errno(&mut self, request: &Message<'_>) -> u8 {
        let answers = self.ask(request);
        let last = answers.last().expect("an answer");
        peek_header(self.abi, last).unwrap().errno
    }

    /// Sends a request and shows its answers under a title.
    pub(super) fn show(&mut self, text: &mut String, title: &str, request: &Message<'_>) {
        let _ = writeln!(text, "# {title}");
        match self.send(request) {
            Ok(()) => self.take_all().iter().for_each(|answer| text.push_str(&show(answer))),
            Err(error) => drop(writeln!(text, "{error}")),
        }
    }

    /// ESP from 10.0.0.1 to 10.0.0.2, AES-CBC and HMAC-SHA-256.
    pub(super) fn esp(&self, kind: MessageType, spi: u32) -> Message<'static> {
        let dialect = self.abi.dialect;
        let sa = Sa {
            spi,
            replay: 4,
            state: SaState::Mature,
            auth: Authentication::HmacSha256.number(dialect).unwrap(),
            encrypt: Encryption::AesCbc.number(dialect).unwrap(),
            flags: SaFlags::empty(),
        };
        let [source, destination] = ends();
        let body = vec![
            Extension::Sa(sa),
            Extension::Sa2(Sa2 { mode: 1, reqid: 7, ..Sa2::default() }),
            source,
            destination,
            Extension::Key(T::KeyAuth, Key::new(&AUTH_KEY).unwrap()),
            Extension::Key(T::KeyEncrypt, Key::new(&ENCRYPT_KEY).unwrap()),
        ];
        self.message(kind, SaType::Esp, body)
    }

    /// GET or DELETE.
    pub(super) fn named(&self, kind: MessageType, spi: u32) -> Message<'static> {
        let [source, destination] = ends();
        self.message(kind, SaType::Esp, vec![Extension::Sa(Sa::named(spi)), source, destination])
    }

    pub(super) fn getspi(&self, min: u32, max: u32) -> Message<'static> {
        let [source, destination] = ends();
        let sa2 = Extension::Sa2(Sa2 { mode: 2, reqid: 9, ..Sa2::default() });
        let range = Extension::SpiRange(SpiRange { min, max });
        self.message(MessageType::GetSpi, SaType::Esp, vec![sa2, source, destination, range])
    }

    /// A policy between 10.1.0.0/16 and 10.2.0.0/16.
    pub(super) fn policy(
        &self,
        kind: MessageType,
        direction: u8,
        action: u16,
        steps: Vec<IpsecRequest>,
    ) -> Message<'static> {
        let policy = Policy { kind: action, direction, scope: 0, id: 0, priority: 0, requests: steps };
        let body = vec![
            net(T::AddressSrc, [10, 1, 0, 0], 16),
            net(T::AddressDst, [10, 2, 0, 0], 16),
            Extension::Policy(policy),
        ];
        self.message(kind, SaType::Unspec, body)
    }

    pub(super) fn by_id(&self, kind: MessageType, id: u32) -> Message<'static> {
        self.message(kind, SaType::Unspec, vec![Extension::Policy(Policy::named(id))])
    }

    pub(super) fn bare(&self, kind: MessageType, sa_type: SaType) -> Message<'static> {
        self.message(kind, sa_type, Vec::new())
    }
}

pub(super) fn socket(address: [u8; 4]) -> SockAddr {
    SockAddr::Inet((address, 0).into())
}

pub(super) fn ends() -> [Extension<'static>; 2] {
    let end = |kind, address| Extension::Address(kind, Address::host(socket(address)));
    [end(T::AddressSrc, [10, 0, 0, 1]), end(T::AddressDst, [10, 0, 0, 2])]
}

pub(super) fn net(kind: T, address: [u8; 4], prefix: u8) -> Extension<'static> {
    Extension::Address(kind, Address { proto: 255, prefix, reserved: 0, sockaddr: socket(address) })
}

/// ESP in a tunnel between 10.0.0.1 and 10.0.0.2.
pub(super) fn tunnel(level: u8, reqid: u32) -> IpsecRequest {
    let endpoints = Some((socket([10, 0, 0, 1]), socket([10, 0, 0, 2])));
    IpsecRequest { proto: 50, mode: 2, level, reqid, endpoints }
}

/// The limits of an ADD: seconds, hard and soft.
pub(super) fn limits(hard: u64, soft: u64) -> [Extension<'static>; 2] {
    let limit = |kind, addtime| Extension::Lifetime(kind, Lifetime { addtime, ..Lifetime::default() });
    [limit(T::LifetimeHard, hard), limit(T::LifetimeSoft, soft)]
}

/// A little-endian message, a line for the header and one for each extension: its number and what follows its header.
pub(super) fn show(message: &[u8]) -> String {
    let half = |at: usize| u16::from_le_bytes([message[at], message[at + 1]]);
    let word = |at: usize| u32::from_le_bytes(message[at..at + 4].try_into().unwrap());
    let [_, kind, errno, sa_type] = message[..4] else { unreachable!() };
    let mut text = format!("type {kind} errno {errno} satype {sa_type} len {}", message.len());
    let _ = writeln!(text, " resv {} seq {} pid {}", half(6), word(8), word(12));
    assert_eq!(usize::from(half(4)) * 8, message.len());
    let mut at = 16;
    while at < message.len() {
        let length = usize::from(half(at)) * 8;
        let hex: String = message[at + 4..at + length].iter().map(|byte| format!("{byte:02x}")).collect();
        let _ = writeln!(text, "  {} {hex}", half(at + 2));
        at += length;
    }
    text
}
