//! What Linux' NETLINK_XFRM takes and no PF_KEY message has a place for: this library's private extensions.

use std::net::{IpAddr, SocketAddr};

use ipsec_conf::setkey::{Mark, Sa, Statement};
use libpfkey::num::{OFFLOAD_INBOUND, OFFLOAD_PACKET};
use libpfkey::{Builder, Dialect, Extension, ExtensionType, MessageType};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;

use super::{Refusal, Target};
use crate::resolve::Names;

/// Largest replay window, in packets.
const WINDOW_MAX: u32 = 4096;
/// Largest window that a PF_KEY message of Linux carries to the kernel.
const WINDOW_OF_PF_KEY: u32 = 32;
/// The window of `-esn` without `-r`: the kernel takes extended sequence numbers with a window only.
const WINDOW_OF_ESN: u32 = 64;

/// The private extensions of a statement.
#[derive(Debug, Default)]
pub(super) struct Private {
    words: Vec<(ExtensionType, [u32; 2])>,
    offload: Option<Offload>,
}

/// A device that is to do the work.
#[derive(Debug)]
struct Offload {
    interface: u32,
    packet: bool,
    /// This host's addresses: SAs to them are inbound.
    local: Vec<IpAddr>,
}

impl Private {
    /// What the statement asks for beyond PF_KEY; nothing where the door has no private extensions. `icv_bits`: the length of the ICV, if it is not the
    /// kernel's own.
    ///
    /// # Errors
    /// Impossible windows, devices that do not exist.
    pub(super) fn new(
        message_type: MessageType,
        statement: &Statement<'_>,
        sa: &Sa<'_>,
        icv_bits: Option<u32>,
        target: &Target<'_>,
    ) -> Result<Self, Refusal> {
        if !target.private {
            return Ok(Self::default());
        }
        let mut private = Self::default();
        let mut add = |kind, words: Option<[u32; 2]>| private.words.extend(words.map(|words| (kind, words)));
        let mark = |mark: Option<Mark>| mark.map(|mark| [mark.value, mark.mask]);
        add(ExtensionType::XfrmMark, mark(sa.mark));
        // The mark is part of an SA's name; the rest is what it is like.
        if matches!(message_type, MessageType::Delete | MessageType::Get) {
            return Ok(private);
        }
        add(ExtensionType::XfrmOutputMark, mark(sa.output_mark));
        add(ExtensionType::XfrmIfId, sa.if_id.map(|id| [id, 0]));
        add(ExtensionType::XfrmAuthTrunc, icv_bits.map(|bits| [bits, 0]));
        add(ExtensionType::XfrmReplay, replay(statement, sa)?);
        private.offload = offload(statement, sa, target.names)?;
        Ok(private)
    }

    /// Appends the extensions of the message about one pair of addresses.
    ///
    /// # Errors
    /// As [`Builder::push`].
    pub(super) fn emit(&self, builder: &mut Builder<'_>, destination: SocketAddr) -> libpfkey::Result<()> {
        for (kind, words) in &self.words {
            builder.push(&Extension::Words(*kind, *words))?;
        }
        let Some(offload) = &self.offload else { return Ok(()) };
        let inbound = if offload.local.contains(&destination.ip()) { OFFLOAD_INBOUND } else { 0 };
        let packet = if offload.packet { OFFLOAD_PACKET } else { 0 };
        builder.push(&Extension::Words(ExtensionType::XfrmOffload, [offload.interface, inbound | packet]))
    }
}

/// What the door has no place for is refused by name.
///
/// # Errors
/// The option that says it.
pub(super) fn refuse_unsendable(statement: &Statement<'_>, sa: &Sa<'_>, target: &Target<'_>) -> Result<(), Refusal> {
    let (dialect, private) = (target.dialect(), target.private);
    let has_esn = private || matches!(dialect, Dialect::FreeBsd | Dialect::Darwin);
    let refused = [
        (sa.esn && !has_esn, "-esn"),
        (sa.mark.is_some() && !private, "-mark"),
        (sa.output_mark.is_some() && !private, "-output-mark"),
        (sa.if_id.is_some() && !private, "-if-id"),
        (sa.offload.is_some() && !private, "-offload"),
        (sa.context.is_some() && dialect != Dialect::Linux, "-ctx"),
    ];
    match refused.into_iter().find(|(refused, _)| *refused) {
        None => Ok(()),
        Some((_, option)) => {
            let text = format!("Not supported: a PF_KEY message of {dialect} has no place for {option}");
            Err(statement.error_at_end(statement.option_offset(&[option]).unwrap_or(0), text).into())
        }
    }
}

/// The window and whether sequence numbers are extended, where the SA's own field cannot say it.
fn replay(statement: &Statement<'_>, sa: &Sa<'_>) -> Result<Option<[u32; 2]>, Refusal> {
    if sa.replay > WINDOW_MAX {
        let text = format!("replay window {} not in 0 to {WINDOW_MAX}", sa.replay);
        return Err(statement.error_at_end(statement.option_offset(&["-r"]).unwrap_or(0), text).into());
    }
    Ok(match (sa.esn, sa.replay) {
        (true, 0) => Some([WINDOW_OF_ESN, 1]),
        (true, window) => Some([window, 1]),
        (false, window) => (window > WINDOW_OF_PF_KEY).then_some([window, 0]),
    })
}

fn offload(statement: &Statement<'_>, sa: &Sa<'_>, names: Names) -> Result<Option<Offload>, Refusal> {
    let Some(wanted) = &sa.offload else { return Ok(None) };
    // Which devices there are, and with what addresses, only the machine itself can tell.
    if names == Names::Assume {
        return Ok(Some(Offload { interface: 1, packet: wanted.packet, local: Vec::new() }));
    }
    let interface = if_nametoindex(wanted.device.text)
        .map_err(|_| statement.error_at(wanted.device.offset, "no such network device"))?;
    let interfaces = getifaddrs().map_err(|errno| {
        statement.error_at(wanted.device.offset, format!("this host's addresses: {}", errno.desc()))
    })?;
    let local = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::from(address.ip())))
    });
    Ok(Some(Offload { interface, packet: wanted.packet, local: local.collect() }))
}
