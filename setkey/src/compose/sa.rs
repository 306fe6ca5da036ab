//! `add`, `update`, `getspi`, `get`, `delete`.

use std::net::SocketAddr;

use ipsec_conf::setkey::{self as language, Mode, ParseError, Protocol, Statement};
use libpfkey::request::{Encoding, RequestHeader, encode_sa};
use libpfkey::wire::{Lifetime, SpiRange};
use libpfkey::{Dialect, Keyed, Lifetimes, MessageType, Replay, SaFlags, SaId, SaSpec, SaType, UdpEncapsulation};

use super::keys::Material;
use super::xfrm::{XfrmOptions, refuse_unsendable};
use super::{Refusal, Target, at_culprit, label, pairs, resolve_end, sa_type_of};
use crate::resolve::addresses;

/// A statement about one SA, or one for each pair of addresses.
#[derive(Debug)]
pub(crate) struct SaPlan {
    message_type: MessageType,
    /// The SA of each message.
    pub(crate) sas: Vec<SaSpec>,
    range: Option<SpiRange>,
    encoding: Encoding,
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
    let names_one = matches!(message_type, MessageType::Delete | MessageType::Get);
    if names_one {
        warnings.extend(obsolete_mode(statement, sa));
    }
    if message_type == MessageType::Delete && (sources.len() > 1 || destinations.len() > 1) {
        return Err(statement.error_at_end(sa.source.host.offset, "multiple address specified").into());
    }
    refuse_wide_reqid(statement, sa, target)?;
    let pairs = pairs(&sources, &destinations)?;
    let window = replay_window(statement, sa, target)?;
    let xfrm = XfrmOptions::new(message_type, statement, sa, material.icv_bits, target)?;
    // NetBSD also finds SAs by their ports.
    let natt = natt.filter(|_| !names_one || target.dialect() == Dialect::NetBsd);
    let id = SaId { sa_type, source: pairs[0].0, destination: pairs[0].1, spi: sa.spi, mark: None };
    let common = SaSpec {
        mode: mode(sa.mode),
        reqid: sa.reqid,
        encryption: material.encryption.map(|keyed| match sa_type {
            SaType::IpComp => Keyed { key: None, ..keyed },
            _ => keyed,
        }),
        authentication: material.authentication,
        compression: material.compression,
        replay: Replay { window, esn: sa.esn },
        flags: flags(sa) | material.flags,
        lifetimes: Lifetimes {
            hard: lifetime(sa.hard).filter(|_| !names_one),
            soft: lifetime(sa.soft).filter(|_| !names_one),
        },
        label: sa.context.as_ref().filter(|_| !names_one).map(label),
        ..SaSpec::new(id)
    };
    // The last one is moved, so that the keys of most statements are not copied.
    let copies = std::iter::repeat_n(common, pairs.len());
    let sas = copies.zip(pairs).map(|(sa, pair)| complete(sa, pair, natt.as_ref(), &xfrm));
    let is_getspi = message_type == MessageType::GetSpi;
    Ok(SaPlan {
        message_type,
        sas: sas.collect(),
        range: (is_getspi && sa.spi != 0).then_some(SpiRange { min: sa.spi, max: sa.spi }),
        encoding: target.encoding(),
    })
}

impl SaPlan {
    /// Writes the message for one SA.
    ///
    /// # Errors
    /// What the dialect cannot express, and keys longer than a message.
    pub(crate) fn encode(&self, sa: &SaSpec, header: RequestHeader, buffer: &mut Vec<u8>) -> libpfkey::Result<()> {
        encode_sa(self.message_type, sa, self.range, header, self.encoding, buffer)
    }
}

/// Fills in what depends on the addresses.
fn complete(
    mut sa: SaSpec,
    (source, destination): (SocketAddr, SocketAddr),
    natt: Option<&Natt>,
    xfrm: &XfrmOptions,
) -> SaSpec {
    (sa.id.source, sa.id.destination) = (source, destination);
    sa.encapsulation = natt.map(|natt| {
        let (source_port, destination_port) = natt.ports.unwrap_or((source.port(), destination.port()));
        // A port that is not written is the one of RFC 3948.
        let or_default = |port| if port == 0 { UdpEncapsulation::PORT } else { port };
        UdpEncapsulation {
            original_address: natt.original,
            ..UdpEncapsulation::new(or_default(source_port), or_default(destination_port))
        }
    });
    xfrm.apply(&mut sa);
    sa
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

/// A warning if a statement that only names an SA has a mode.
fn obsolete_mode(statement: &Statement<'_>, sa: &language::Sa<'_>) -> Option<ParseError> {
    let place = || statement.option_offset(&["-m"]).unwrap_or_else(|| statement.start());
    (sa.mode != Mode::Any).then(|| statement.error_at_end(place(), "WARNING: mode is obsolete"))
}

/// Refuses a reqid that the kernel would cut.
fn refuse_wide_reqid(statement: &Statement<'_>, sa: &language::Sa<'_>, target: &Target<'_>) -> Result<(), ParseError> {
    if target.dialect() != Dialect::NetBsd || u16::try_from(sa.reqid).is_ok() {
        return Ok(());
    }
    let place = statement.option_offset(&["-u"]).unwrap_or_else(|| statement.start());
    let text = format!("reqid {} not in 0 to 65535: NetBSD has 16 bits for it", sa.reqid);
    Err(statement.error_at_end(place, text))
}

/// The replay window in packets: the language counts packets on Linux, elsewhere bytes of bitmap.
fn replay_window(statement: &Statement<'_>, sa: &language::Sa<'_>, target: &Target<'_>) -> Result<u32, Refusal> {
    let fits = match target.dialect() {
        // The extension for large windows counts packets.
        Dialect::FreeBsd => sa.replay <= u32::MAX / 8,
        _ => target.has_xfrm || u8::try_from(sa.replay).is_ok(),
    };
    if !fits {
        let text = format!("replay window {} not in 0 to 255", sa.replay);
        return Err(statement.error_at_end(statement.option_offset(&["-r"]).unwrap_or(0), text).into());
    }
    Ok(if target.dialect() == Dialect::Linux { sa.replay } else { sa.replay * 8 })
}

fn flags(sa: &language::Sa<'_>) -> SaFlags {
    let mut flags = SaFlags::empty();
    flags.set(SaFlags::CYCSEQ, !sa.no_cyclic_sequence);
    flags.set(SaFlags::OLD, matches!(sa.protocol, Some(Protocol::AhOld | Protocol::EspOld)));
    flags.set(SaFlags::PRAND, sa.padding.random);
    flags.set(SaFlags::PZERO, sa.padding.zero);
    flags
}

fn mode(mode: Mode) -> libpfkey::Mode {
    match mode {
        Mode::Any => libpfkey::Mode::Any,
        Mode::Transport => libpfkey::Mode::Transport,
        Mode::Tunnel => libpfkey::Mode::Tunnel,
    }
}

/// Limits as they are sent: not at all when there are none.
fn lifetime(limits: language::Lifetime) -> Option<Lifetime> {
    let some = limits.seconds != 0 || limits.bytes != 0 || limits.packets != 0;
    some.then_some(Lifetime { allocations: limits.packets, bytes: limits.bytes, addtime: limits.seconds, usetime: 0 })
}
