//! `add`, `update`, `getspi`, `get`, `delete`.

use std::net::SocketAddr;

use ipsec_conf::setkey::{self as language, Mode, ParseError, Protocol, Statement};
use libpfkey::num::{MODE_ANY, MODE_TRANSPORT, MODE_TUNNEL, UDP_ENCAP_ESPINUDP};
use libpfkey::request::RequestHeader;
use libpfkey::wire::{Address, Key, Lifetime, Sa, Sa2, SockAddr, SpiRange};
use libpfkey::{Dialect, Extension, ExtensionType, MessageType, SaFlags, SaState, SaType};
use zeroize::Zeroizing;

use super::keys::Material;
use super::xfrm::{XfrmOptions, refuse_unsendable};
use super::{Label, Refusal, Target, at_culprit, pairs, resolve_end, sa_type_of};
use crate::resolve::addresses;

/// The port of ESP in UDP (RFC 3948).
const NATT_PORT: u16 = 4500;

/// A statement about one SA, or one for each pair of addresses.
#[derive(Debug)]
pub(crate) struct SaPlan {
    message_type: MessageType,
    sa_type: SaType,
    /// Source and destination of each message.
    pub(crate) pairs: Vec<(SocketAddr, SocketAddr)>,
    sa: Sa,
    sa2: Sa2,
    encrypt_key: Option<Zeroizing<Vec<u8>>>,
    auth_key: Option<Zeroizing<Vec<u8>>>,
    hard: Option<Lifetime>,
    soft: Option<Lifetime>,
    label: Option<Label>,
    range: Option<SpiRange>,
    natt: Option<Natt>,
    xfrm: XfrmOptions,
    /// FreeBSD: a window that the SA's 8 bits cannot say, in packets.
    replay_packets: Option<u32>,
}

/// NAT traversal: ports that override those of the addresses, and the original address.
#[derive(Debug)]
struct Natt {
    ports: Option<(u16, u16)>,
    original: Option<SocketAddr>,
}

/// Checks a statement's operands and prepares its messages.
///
/// # Errors
/// What is wrong, with KAME setkey's token.
pub(crate) fn plan_sa(
    message_type: MessageType,
    statement: &Statement<'_>,
    sa: &language::Sa<'_>,
    target: &Target<'_>,
    warnings: &mut Vec<ParseError>,
) -> Result<SaPlan, Refusal> {
    let sources = resolve_end(statement, &sa.source, sa.options, target.names)?;
    let destinations = resolve_end(statement, &sa.destination, sa.options, target.names)?;
    let natt = plan_natt(statement, sa, target)?;
    refuse_unsendable(statement, sa, target)?;
    let sa_type = sa_type_of(sa.protocol, target.dialect()).ok_or_else(|| {
        let text = format!("Not supported: {} PF_KEY has no TCP-MD5 SAs", target.dialect());
        statement.error_at(statement.protocol_offset(sa).unwrap_or(sa.destination.host.offset), text)
    })?;
    let material = Material::new(statement, &sa.algorithms, target, warnings)?;
    let place = |options: &[&str]| statement.option_offset(options).unwrap_or_else(|| statement.start());
    let names_one = matches!(message_type, MessageType::Delete | MessageType::Get);
    if names_one && sa.mode != Mode::Any {
        warnings.push(statement.error_at_end(place(&["-m"]), "WARNING: mode is obsolete"));
    }
    if message_type == MessageType::Delete && (sources.len() > 1 || destinations.len() > 1) {
        return Err(statement.error_at_end(sa.source.host.offset, "multiple address specified").into());
    }
    if target.dialect() == Dialect::NetBsd && u16::try_from(sa.reqid).is_err() {
        let text = format!("reqid {} not in 0 to 65535: NetBSD has 16 bits for it", sa.reqid);
        return Err(statement.error_at_end(place(&["-u"]), text).into());
    }
    let pairs = pairs(&sources, &destinations)?;
    let (replay, replay_packets) = plan_replay(statement, sa, target)?;
    let xfrm = XfrmOptions::new(message_type, statement, sa, material.icv_bits, target)?;
    let is_getspi = message_type == MessageType::GetSpi;
    Ok(SaPlan {
        message_type,
        sa_type,
        pairs,
        sa: Sa {
            spi: sa.spi,
            replay,
            state: SaState::Larval,
            auth: material.auth,
            encrypt: material.encrypt,
            flags: flags(sa, target.dialect()) | material.flags.unwrap_or(SaFlags::empty()),
        },
        sa2: Sa2 { mode: mode_number(sa.mode), reqid: sa.reqid, ..Sa2::default() },
        encrypt_key: material.encrypt_key.filter(|_| sa_type != SaType::IpComp),
        auth_key: material.auth_key,
        hard: lifetime(sa.hard).filter(|_| !names_one),
        soft: lifetime(sa.soft).filter(|_| !names_one),
        label: sa.context.as_ref().filter(|_| !names_one).map(Label::new),
        range: (is_getspi && sa.spi != 0).then_some(SpiRange { min: sa.spi, max: sa.spi }),
        natt: natt.filter(|_| !names_one || target.dialect() == Dialect::NetBsd),
        xfrm,
        replay_packets,
    })
}

impl SaPlan {
    /// Writes the message for one pair of addresses.
    ///
    /// # Errors
    /// What the dialect cannot say, and keys longer than a message.
    pub(crate) fn emit(
        &self,
        header: RequestHeader,
        (source, destination): (SocketAddr, SocketAddr),
        buffer: &mut Vec<u8>,
    ) -> libpfkey::Result<()> {
        let mut builder = header.builder(self.message_type, self.sa_type, buffer)?;
        if let Some(key) = &self.encrypt_key {
            builder.push(&Extension::Key(ExtensionType::KeyEncrypt, Key::new(key)?))?;
        }
        if let Some(key) = &self.auth_key {
            builder.push(&Extension::Key(ExtensionType::KeyAuth, Key::new(key)?))?;
        }
        if let Some(hard) = self.hard {
            builder.push(&Extension::Lifetime(ExtensionType::LifetimeHard, hard))?;
        }
        if let Some(soft) = self.soft {
            builder.push(&Extension::Lifetime(ExtensionType::LifetimeSoft, soft))?;
        }
        if let Some(label) = &self.label {
            builder.push(&label.extension())?;
        }
        if let Some(range) = self.range {
            builder.push(&Extension::SpiRange(range))?;
        }
        builder.push(&Extension::Sa(self.sa))?;
        builder.push(&Extension::Sa2(self.sa2))?;
        if let Some(packets) = self.replay_packets {
            builder.push(&Extension::SaReplay(packets))?;
        }
        let host = |address: SocketAddr| Address::host(SockAddr::Inet(address));
        if let Some(natt) = &self.natt {
            builder.push(&Extension::NatTType(UDP_ENCAP_ESPINUDP))?;
            if let Some(original) = natt.original {
                builder.push(&Extension::Address(ExtensionType::NatTOaInitiator, host(original)))?;
            }
        }
        builder.push(&Extension::Address(ExtensionType::AddressSrc, host(source)))?;
        builder.push(&Extension::Address(ExtensionType::AddressDst, host(destination)))?;
        if let Some(natt) = &self.natt {
            let or_default = |port| if port == 0 { NATT_PORT } else { port };
            let (sport, dport) = natt.ports.unwrap_or((source.port(), destination.port()));
            builder.push(&Extension::NatTPort(ExtensionType::NatTSport, or_default(sport)))?;
            builder.push(&Extension::NatTPort(ExtensionType::NatTDport, or_default(dport)))?;
        }
        self.xfrm.extensions(destination).push(&mut builder)?;
        builder.finish()
    }
}

fn plan_natt(statement: &Statement<'_>, sa: &language::Sa<'_>, target: &Target<'_>) -> Result<Option<Natt>, Refusal> {
    if let Some((source, destination)) = &sa.natt {
        let port = |end| -> Result<u16, Refusal> {
            Ok(resolve_end(statement, end, sa.options, target.names)?.first().map_or(0, SocketAddr::port))
        };
        return Ok(Some(Natt { ports: Some((port(source)?, port(destination)?)), original: None }));
    }
    if sa.protocol != Some(Protocol::EspUdp) {
        return Ok(None);
    }
    let original = match sa.original_address {
        None => None,
        Some(host) => addresses(host, None, sa.options, target.names)
            .map_err(|unresolved| {
                let error = statement.error_at(host.offset, unresolved.text.clone());
                at_culprit(error, host, None, &unresolved)
            })?
            .first()
            .copied(),
    };
    Ok(Some(Natt { ports: None, original }))
}

/// The 8-bit window of the SA, and FreeBSD's extension for larger ones.
fn plan_replay(
    statement: &Statement<'_>,
    sa: &language::Sa<'_>,
    target: &Target<'_>,
) -> Result<(u8, Option<u32>), Refusal> {
    match (u8::try_from(sa.replay), target.dialect()) {
        (Ok(window), _) => Ok((window, None)),
        // XfrmReplay carries it.
        (Err(_), _) if target.has_xfrm => Ok((u8::MAX, None)),
        // The word counts bytes of bitmap, the extension packets.
        (Err(_), Dialect::FreeBsd) if sa.replay <= u32::MAX / 8 => Ok((u8::MAX, Some(sa.replay * 8))),
        (Err(_), _) => {
            let text = format!("replay window {} not in 0 to 255", sa.replay);
            Err(statement.error_at_end(statement.option_offset(&["-r"]).unwrap_or(0), text).into())
        }
    }
}

fn flags(sa: &language::Sa<'_>, dialect: Dialect) -> SaFlags {
    let mut flags = SaFlags::empty();
    flags.set(SaFlags::CYCSEQ, !sa.no_cyclic_sequence);
    flags.set(SaFlags::OLD, matches!(sa.protocol, Some(Protocol::AhOld | Protocol::EspOld)));
    flags.set(SaFlags::PRAND, sa.padding.random);
    flags.set(SaFlags::PZERO, sa.padding.zero);
    flags.set(SaFlags::FREEBSD_ESN, sa.esn && dialect == Dialect::FreeBsd);
    flags.set(SaFlags::DARWIN_ESN, sa.esn && dialect == Dialect::Darwin);
    flags
}

fn mode_number(mode: Mode) -> u8 {
    match mode {
        Mode::Any => MODE_ANY,
        Mode::Transport => MODE_TRANSPORT,
        Mode::Tunnel => MODE_TUNNEL,
    }
}

/// Limits as they are sent: not at all when there are none.
fn lifetime(limits: language::Lifetime) -> Option<Lifetime> {
    let some = limits.seconds != 0 || limits.bytes != 0 || limits.packets != 0;
    some.then_some(Lifetime { allocations: limits.packets, bytes: limits.bytes, addtime: limits.seconds, usetime: 0 })
}
