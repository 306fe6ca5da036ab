//! Options of an SA that only NETLINK_XFRM can express.

use std::net::IpAddr;

use ipsec_conf::setkey::{Mark, Sa, Statement};
use libpfkey::num::{OFFLOAD_INBOUND, OFFLOAD_PACKET};
use libpfkey::wire::{XfrmAuthTrunc, XfrmMark, XfrmOffload};
use libpfkey::{Dialect, MessageType, SaSpec};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::if_nametoindex;

use super::{Refusal, Target};
use crate::resolve::Names;

/// Largest replay window, in packets.
const WINDOW_MAX: u32 = 4096;

/// What a statement asks of an SA beyond PF_KEY.
#[derive(Debug, Default)]
pub(super) struct XfrmOptions {
    mark: Option<XfrmMark>,
    output_mark: Option<XfrmMark>,
    if_id: Option<u32>,
    icv_bits: Option<u32>,
    offload: Option<Offload>,
}

/// A device that processes packets of the SA.
#[derive(Debug)]
struct Offload {
    interface: u32,
    packet: bool,
    /// This host's addresses: SAs to them are inbound.
    local: Vec<IpAddr>,
}

impl XfrmOptions {
    /// The options of a statement; none where the backend has no such extensions. `icv_bits` is the length of the ICV,
    /// where it differs from the one that Linux' PF_KEY implies.
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
        if !target.has_xfrm {
            return Ok(Self::default());
        }
        let mark = |mark: Option<Mark>| mark.map(|Mark { value, mask }| XfrmMark { value, mask });
        let named = Self { mark: mark(sa.mark), ..Self::default() };
        // The mark is part of an SA's name; the rest are its properties.
        if matches!(message_type, MessageType::Delete | MessageType::Get) {
            return Ok(named);
        }
        check_window(statement, sa)?;
        Ok(Self {
            output_mark: mark(sa.output_mark),
            if_id: sa.if_id,
            icv_bits,
            offload: offload(statement, sa, target.names)?,
            ..named
        })
    }

    /// Sets the options of an SA whose addresses are known.
    pub(super) fn apply(&self, sa: &mut SaSpec) {
        sa.id.mark = self.mark;
        sa.output_mark = self.output_mark;
        sa.if_id = self.if_id;
        sa.auth_trunc = self.icv_bits.map(|icv_bits| XfrmAuthTrunc { icv_bits, align4: false });
        sa.offload = self.offload.as_ref().map(|offload| {
            let is_inbound = offload.local.contains(&sa.id.destination.ip());
            let inbound = if is_inbound { OFFLOAD_INBOUND } else { 0 };
            let packet = if offload.packet { OFFLOAD_PACKET } else { 0 };
            XfrmOffload { interface: offload.interface, flags: inbound | packet }
        });
    }
}

/// Refuses options that the backend cannot express.
///
/// # Errors
/// Names the option.
pub(super) fn refuse_unsendable(statement: &Statement<'_>, sa: &Sa<'_>, target: &Target<'_>) -> Result<(), Refusal> {
    let (dialect, has_xfrm) = (target.dialect(), target.has_xfrm);
    let has_esn = has_xfrm || matches!(dialect, Dialect::FreeBsd | Dialect::Darwin);
    let refused = [
        (sa.esn && !has_esn, "-esn"),
        (sa.mark.is_some() && !has_xfrm, "-mark"),
        (sa.output_mark.is_some() && !has_xfrm, "-output-mark"),
        (sa.if_id.is_some() && !has_xfrm, "-if-id"),
        (sa.offload.is_some() && !has_xfrm, "-offload"),
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

/// Refuses replay windows that the kernel does not take.
fn check_window(statement: &Statement<'_>, sa: &Sa<'_>) -> Result<(), Refusal> {
    if sa.replay <= WINDOW_MAX {
        return Ok(());
    }
    let text = format!("replay window {} not in 0 to {WINDOW_MAX}", sa.replay);
    Err(statement.error_at_end(statement.option_offset(&["-r"]).unwrap_or(0), text).into())
}

fn offload(statement: &Statement<'_>, sa: &Sa<'_>, names: Names) -> Result<Option<Offload>, Refusal> {
    let Some(wanted) = &sa.offload else { return Ok(None) };
    // Only the machine that the script is for knows its devices and their addresses.
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
