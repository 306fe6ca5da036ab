//! An SA as JSON.

use std::fmt;

use serde::Serialize;
use zeroize::Zeroizing;

use super::Keys;
use super::member::{End, LifetimeMember, label};
use crate::algorithm::{Authentication, Compression, Encryption};
use crate::dump::device;
use crate::num::{ExtensionType, MODE_ANY, MODE_TRANSPORT, MODE_TUNNEL, OFFLOAD_PACKET, SaState, SaType};
use crate::protocol::ipsec_protocol_name;
use crate::wire::{Message, Sa, XfrmMark, XfrmOffload};

/// View of an SA in a message: an element of `sas` in [`SCHEMA`](super::SCHEMA). Keys in it are wiped when it is dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SaEntry {
    source: Option<End>,
    destination: Option<End>,
    protocol: &'static str,
    spi: Option<u32>,
    mode: Option<&'static str>,
    reqid: Option<u32>,
    state: Option<&'static str>,
    replay_window: Option<u32>,
    sequence: Option<u32>,
    flags: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption: Option<Keyed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authentication: Option<Keyed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    compression: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nat_t: Option<NatT>,
    current: Option<LifetimeMember>,
    hard: Option<LifetimeMember>,
    soft: Option<LifetimeMember>,
    #[serde(skip_serializing_if = "Option::is_none")]
    security_context: Option<String>,
    #[serde(flatten)]
    xfrm: XfrmMembers,
}

impl SaEntry {
    /// The SA of a DUMP, GET or other reply or event.
    pub fn new(message: &Message<'_>, keys: Keys) -> Self {
        let (sa, sa2) = (message.sa(), message.sa2());
        let window = message.xfrm().replay.map(|replay| replay.window);
        let is_ipcomp = message.header.sa_type == SaType::IpComp;
        Self {
            source: message.source().map(End::new),
            destination: message.destination().map(End::new),
            protocol: ipsec_protocol_name(message.header.sa_type),
            spi: sa.map(|sa| sa.spi),
            mode: sa2.map(|sa2| mode(sa2.mode)),
            reqid: sa2.map(|sa2| sa2.reqid),
            state: sa.map(|sa| state(sa.state)),
            replay_window: window.or(sa.map(|sa| u32::from(sa.replay))),
            sequence: sa2.map(|sa2| sa2.sequence),
            flags: sa.map(|sa| sa.flags.bits()),
            // The cipher's field contains the number of the compression algorithm.
            encryption: sa.filter(|_| !is_ipcomp).and_then(|sa| Keyed::encryption(message, sa, keys)),
            authentication: sa.and_then(|sa| Keyed::authentication(message, sa, keys)),
            compression: sa.filter(|_| is_ipcomp).map(|sa| {
                let name = Compression::from_number(message.abi.dialect, sa.encrypt).name();
                name.map_or_else(|| sa.encrypt.to_string(), str::to_owned)
            }),
            nat_t: NatT::new(message),
            current: LifetimeMember::of(message, ExtensionType::LifetimeCurrent),
            hard: LifetimeMember::of(message, ExtensionType::LifetimeHard),
            soft: LifetimeMember::of(message, ExtensionType::LifetimeSoft),
            security_context: label(message),
            xfrm: XfrmMembers::new(message),
        }
    }
}

/// An algorithm with the length of its key, and the key if requested.
#[derive(Clone, PartialEq, Eq, Serialize)]
struct Keyed {
    name: String,
    key_bits: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Zeroizing<String>>,
}

impl Keyed {
    fn encryption(message: &Message<'_>, sa: &Sa, keys: Keys) -> Option<Self> {
        let name = Encryption::from_number(message.abi.dialect, sa.encrypt).name();
        Self::new(message, ExtensionType::KeyEncrypt, name, sa.encrypt, keys)
    }

    fn authentication(message: &Message<'_>, sa: &Sa, keys: Keys) -> Option<Self> {
        let icv_bits = message.xfrm().auth_trunc.map(|auth_trunc| auth_trunc.icv_bits);
        let name = Authentication::from_number(message.abi.dialect, sa.auth).name_with_icv(icv_bits);
        Self::new(message, ExtensionType::KeyAuth, name, sa.auth, keys)
    }

    fn new(message: &Message<'_>, kind: ExtensionType, name: Option<&str>, number: u8, keys: Keys) -> Option<Self> {
        message.key(kind).map(|key| Self {
            name: name.map_or_else(|| number.to_string(), str::to_owned),
            key_bits: key.bits,
            key: (keys == Keys::Included).then(|| hex(key.bytes)),
        })
    }
}

impl fmt::Debug for Keyed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({} bits)", self.name, self.key_bits)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct NatT {
    source_port: u16,
    destination_port: u16,
}

impl NatT {
    fn new(message: &Message<'_>) -> Option<Self> {
        // NetBSD shows type 0 for none.
        message.natt_type().filter(|kind| *kind != 0).map(|_| Self {
            source_port: message.natt_port(ExtensionType::NatTSport).unwrap_or(0),
            destination_port: message.natt_port(ExtensionType::NatTDport).unwrap_or(0),
        })
    }
}

/// Members that only NETLINK_XFRM reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct XfrmMembers {
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<Masked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_mark: Option<Masked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    if_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icv_bits: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    esn: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offload: Option<Offload>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Masked {
    value: u32,
    mask: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Offload {
    kind: &'static str,
    device: String,
}

impl XfrmMembers {
    fn new(message: &Message<'_>) -> Self {
        let xfrm = message.xfrm();
        let masked = |mark: Option<XfrmMark>| mark.map(|XfrmMark { value, mask }| Masked { value, mask });
        Self {
            mark: masked(xfrm.mark),
            output_mark: masked(xfrm.output_mark),
            if_id: xfrm.if_id,
            icv_bits: xfrm.auth_trunc.map(|auth_trunc| auth_trunc.icv_bits),
            esn: xfrm.replay.map(|replay| replay.esn),
            offload: xfrm.offload.map(|XfrmOffload { interface, flags }| Offload {
                kind: if flags & OFFLOAD_PACKET == 0 { "crypto" } else { "packet" },
                device: device(interface),
            }),
        }
    }
}

fn hex(bytes: &[u8]) -> Zeroizing<String> {
    // Allocates the whole length at once: growing would leave copies of key material in freed memory.
    let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 2));
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    text
}

fn mode(number: u8) -> &'static str {
    match number {
        MODE_ANY => "any",
        MODE_TRANSPORT => "transport",
        MODE_TUNNEL => "tunnel",
        _ => "unknown",
    }
}

fn state(state: SaState) -> &'static str {
    match state {
        SaState::Larval => "larval",
        SaState::Mature => "mature",
        SaState::Dying => "dying",
        SaState::Dead => "dead",
        SaState::Other(_) => "unknown",
    }
}
