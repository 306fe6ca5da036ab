//! Typed requests as PF_KEY messages.

use std::net::SocketAddr;

use ExtensionType as T;
use zeroize::Zeroize as _;

use super::libipsec::check_whole;
use super::sa_message::sa_extensions;
use super::{Request, RequestHeader, SpiSpec};
use crate::dialect::{Abi, Dialect};
use crate::error::Result;
use crate::num::{ExtensionType, MessageType, SaType, UDP_ENCAP_ESPINUDP};
use crate::sa::SaId;
use crate::security_policy::{PolicyId, PolicySpec};
use crate::spec_error::SpecError;
use crate::wire::{Address, Extension, Lifetime, Message, Policy, Sa, Sa2, SockAddr, SpiRange};

/// How a request is written as a PF_KEY message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Whether the backend understands [`XfrmExtensions`](crate::wire::XfrmExtensions).
    pub xfrm_extensions: bool,
    /// Order of the extensions.
    pub order: Order,
}

/// Order of the extensions in a message. Kernels take any; `setkey -v` shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// That of libipsec.
    #[default]
    Libipsec,
    /// That of KAME's setkey.
    Setkey,
}

impl Request {
    /// Writes the request as a PF_KEY message.
    ///
    /// It is not checked whether the parts go together (see [`Request::check`]), only whether the message can express them.
    ///
    /// # Errors
    /// [`Error::NotInDialect`](crate::Error::NotInDialect) for what the dialect has no number for,
    /// [`Error::Spec`](crate::Error::Spec) for what the message has no field for.
    pub fn encode(&self, header: RequestHeader, encoding: Encoding, buffer: &mut Vec<u8>) -> Result<()> {
        match self {
            // PF_KEY has this request only where the kernel deletes all of them itself.
            Self::DeleteAll(sa_type, source, destination) if !encoding.xfrm_extensions => {
                super::delete_all(header, *sa_type, (*source).into(), (*destination).into(), buffer)
            }
            _ => write(&self.message(header, encoding)?, buffer),
        }
    }

    /// Returns the message that [`Request::encode`] writes, as it would be parsed from those bytes.
    ///
    /// # Errors
    /// As [`Request::encode`].
    pub(crate) fn message(&self, header: RequestHeader, encoding: Encoding) -> Result<Message<'_>> {
        let abi = header.abi;
        let extensions = match self {
            Self::Add(sa) | Self::Update(sa) => sa_extensions(self.message_type(), sa, None, abi, encoding)?,
            Self::Delete(id) | Self::Get(id) => name_extensions(id, abi, encoding)?,
            Self::DeleteAll(_, source, destination) => {
                vec![host(T::AddressSrc, *source), host(T::AddressDst, *destination)]
            }
            Self::AllocateSpi(spi) => spi_extensions(spi),
            Self::Flush(sa_type) | Self::Dump(sa_type) => {
                check_whole(*sa_type)?;
                Vec::new()
            }
            Self::PolicyAdd(policy) | Self::PolicyUpdate(policy) => policy_extensions(policy, abi, encoding)?,
            Self::PolicyDelete(id) => {
                let direction = PolicySpec::named((**id).clone()).to_wire(abi.dialect)?;
                policy_parts(id, direction, Lifetime::default(), abi, encoding)?
            }
            Self::PolicyDeleteIndex(index) | Self::PolicyGet(index) => vec![Extension::Policy(Policy::named(*index))],
            Self::Register(_) | Self::PolicyFlush | Self::PolicyDump => Vec::new(),
        };
        header.message(self.message_type(), self.sa_type(), extensions)
    }
}

/// Writes a message to a buffer, which is emptied (and wiped) first.
pub(super) fn write(message: &Message<'_>, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.zeroize();
    message.emit(buffer)
}

/// DELETE and GET: the name alone.
fn name_extensions(id: &SaId, abi: Abi, encoding: Encoding) -> Result<Vec<Extension<'_>>> {
    refuse_xfrm(abi.dialect, encoding, [(id.mark.is_some(), "a mark")])?;
    let (mut source, mut destination) = (id.source, id.destination);
    let (source_port, destination_port) = (source.port(), destination.port());
    // NetBSD keeps the ports of UDP encapsulation in the addresses of an SA and compares them there. In a request it reads them
    // from these extensions and ignores those of the addresses.
    let has_ports =
        abi.dialect == Dialect::NetBsd && id.sa_type == SaType::Esp && (source_port, destination_port) != (0, 0);
    if has_ports {
        source.set_port(0);
        destination.set_port(0);
    }
    let mut extensions =
        vec![Extension::Sa(Sa::named(id.spi)), host(T::AddressSrc, source), host(T::AddressDst, destination)];
    if has_ports {
        extensions.extend(natt_extensions(source_port, destination_port));
    }
    extensions.extend(id.mark.map(Extension::XfrmMark));
    Ok(extensions)
}

fn spi_extensions(spi: &SpiSpec) -> Vec<Extension<'static>> {
    let mut extensions = vec![
        host(T::AddressSrc, spi.source),
        host(T::AddressDst, spi.destination),
        Extension::Sa2(Sa2 { mode: spi.mode.into(), reqid: spi.reqid, ..Sa2::default() }),
    ];
    if let Some(natt) = &spi.encapsulation {
        extensions.extend(natt_extensions(natt.source_port, natt.destination_port));
    }
    let range = spi.range.as_ref().map(|range| SpiRange { min: *range.start(), max: *range.end() });
    extensions.extend(range.map(Extension::SpiRange));
    extensions
}

fn natt_extensions(source_port: u16, destination_port: u16) -> [Extension<'static>; 3] {
    [
        Extension::NatTType(UDP_ENCAP_ESPINUDP),
        Extension::NatTPort(T::NatTSport, source_port),
        Extension::NatTPort(T::NatTDport, destination_port),
    ]
}

/// Writes a message with all that is known of a policy.
///
/// # Errors
/// As [`Request::encode`].
pub fn encode_policy(
    message_type: MessageType,
    spec: &PolicySpec,
    header: RequestHeader,
    encoding: Encoding,
    buffer: &mut Vec<u8>,
) -> Result<()> {
    let extensions = policy_extensions(spec, header.abi, encoding)?;
    write(&header.message(message_type, SaType::Unspec, extensions)?, buffer)
}

fn policy_extensions(spec: &PolicySpec, abi: Abi, encoding: Encoding) -> Result<Vec<Extension<'_>>> {
    let limits = Lifetime { addtime: spec.lifetime, usetime: spec.idle_lifetime, ..Lifetime::default() };
    policy_parts(&spec.id, spec.to_wire(abi.dialect)?, limits, abi, encoding)
}

fn policy_parts(
    id: &PolicyId,
    policy: Policy,
    limits: Lifetime,
    abi: Abi,
    encoding: Encoding,
) -> Result<Vec<Extension<'_>>> {
    let PolicyId { selector, label, mark, if_id, .. } = id;
    refuse_xfrm(abi.dialect, encoding, [(mark.is_some(), "a mark"), (if_id.is_some(), "an XFRM interface")])?;
    let (source, destination) = selector.to_wire();
    let source = Extension::Address(T::AddressSrc, source);
    let destination = Extension::Address(T::AddressDst, destination);
    let mut extensions = match encoding.order {
        Order::Libipsec => {
            vec![source, destination, Extension::Lifetime(T::LifetimeHard, limits), Extension::Policy(policy)]
        }
        // setkey sends no limits of policies: its language has none.
        Order::Setkey => vec![Extension::Policy(policy), source, destination],
    };
    extensions.extend(label.as_ref().map(|label| Extension::SecurityContext(label.extension())));
    extensions.extend(mark.map(Extension::XfrmMark));
    extensions.extend(if_id.map(Extension::XfrmIfId));
    Ok(extensions)
}

pub(super) fn host(kind: ExtensionType, address: SocketAddr) -> Extension<'static> {
    Extension::Address(kind, Address::host(SockAddr::Inet(address)))
}

/// Refuses options that only NETLINK_XFRM has, if the backend does not understand their extensions: `af_key` would ignore them.
pub(super) fn refuse_xfrm<const COUNT: usize>(
    dialect: Dialect,
    encoding: Encoding,
    options: [(bool, &'static str); COUNT],
) -> Result<()> {
    if encoding.xfrm_extensions {
        return Ok(());
    }
    match options.into_iter().find(|(is_set, _)| *is_set) {
        Some((_, what)) => Err(SpecError::NotExpressible { dialect, what }.into()),
        None => Ok(()),
    }
}
