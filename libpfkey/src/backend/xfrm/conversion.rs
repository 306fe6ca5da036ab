//! Values in the forms of PF_KEY and of XFRM: modes, protocols, limits, flags, security labels.

use super::layout::{Current, XfrmLimits};
use super::numbers::{INF, attribute, state_flag};
use crate::error::Result;
use crate::num::{SaFlags, SaType};
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;
use crate::wire::{Lifetime, SecurityContext};

/// An errno that answers a request.
pub(super) type Errno = i32;

/// Modes in PF_KEY and in XFRM: transport, tunnel, BEET.
const MODES: [(u8, u8); 3] = [(1, 0), (2, 1), (3, 4)];

/// Flags of an SA in PF_KEY and in XFRM.
const FLAGS: [(SaFlags, u8); 3] = [
    (SaFlags::NOECN, state_flag::NOECN),
    (SaFlags::DECAP_DSCP, state_flag::DECAP_DSCP),
    (SaFlags::NOPMTUDISC, state_flag::NOPMTUDISC),
];

/// XFRM's number of a PF_KEY mode. Any mode is transport mode.
///
/// # Errors
/// EINVAL for an unknown mode.
pub(super) fn mode_to_xfrm(mode: u8) -> std::result::Result<u8, Errno> {
    match mode {
        0 => Ok(0),
        _ => MODES.iter().find(|(pfkey, _)| *pfkey == mode).map(|(_, xfrm)| *xfrm).ok_or(libc::EINVAL),
    }
}

/// PF_KEY's number of an XFRM mode; 0 (any) where it has none.
pub(super) fn mode_to_pfkey(mode: u8) -> u8 {
    MODES.iter().find(|(_, xfrm)| *xfrm == mode).map_or(0, |(pfkey, _)| *pfkey)
}

/// The IP protocol of an SA type.
pub(super) fn proto_of(sa_type: SaType) -> Option<u8> {
    match sa_type {
        SaType::Ah => Some(51),
        SaType::Esp => Some(50),
        SaType::IpComp => Some(108),
        _ => None,
    }
}

/// The SA type of an IP protocol.
pub(super) fn sa_type_of(proto: u8) -> SaType {
    match proto {
        51 => SaType::Ah,
        50 => SaType::Esp,
        108 => SaType::IpComp,
        _ => SaType::Unspec,
    }
}

/// The XFRM flags of an SA. Those that only PF_KEY has are left out.
pub(super) fn flags_to_xfrm(flags: SaFlags) -> u8 {
    FLAGS.into_iter().filter(|(flag, _)| flags.contains(*flag)).fold(0, |all, (_, flag)| all | flag)
}

/// The PF_KEY flags of an SA. Those that only XFRM has are left out.
pub(super) fn flags_to_pfkey(flags: u8) -> SaFlags {
    FLAGS.into_iter().filter(|(_, flag)| flags & flag != 0).map(|(flag, _)| flag).collect()
}

/// The limits in XFRM's form. A count of 0 is no limit in PF_KEY; in XFRM that is the largest number.
pub(super) fn limits_to_xfrm(hard: Option<&Lifetime>, soft: Option<&Lifetime>) -> XfrmLimits {
    let count = |value: u64| if value == 0 { INF } else { value };
    let (hard, soft) = (hard.copied().unwrap_or_default(), soft.copied().unwrap_or_default());
    XfrmLimits {
        soft_bytes: count(soft.bytes),
        hard_bytes: count(hard.bytes),
        soft_packets: count(soft.allocations.into()),
        hard_packets: count(hard.allocations.into()),
        soft_add: soft.addtime,
        hard_add: hard.addtime,
        soft_use: soft.usetime,
        hard_use: hard.usetime,
    }
}

/// The hard and the soft limits in PF_KEY's form.
pub(super) fn limits_to_pfkey(limits: &XfrmLimits) -> (Lifetime, Lifetime) {
    let count = |value: u64| if value == INF { 0 } else { value };
    // PF_KEY counts packets in 32 bits, so a larger limit is shown as the largest.
    let packets = |value| u32::try_from(count(value)).unwrap_or(u32::MAX);
    let hard = Lifetime {
        allocations: packets(limits.hard_packets),
        bytes: count(limits.hard_bytes),
        addtime: limits.hard_add,
        usetime: limits.hard_use,
    };
    let soft = Lifetime {
        allocations: packets(limits.soft_packets),
        bytes: count(limits.soft_bytes),
        addtime: limits.soft_add,
        usetime: limits.soft_use,
    };
    (hard, soft)
}

/// The current use in PF_KEY's form.
pub(super) fn current_to_pfkey(current: &Current) -> Lifetime {
    Lifetime {
        allocations: u32::try_from(current.packets).unwrap_or(u32::MAX),
        bytes: current.bytes,
        addtime: current.add_time,
        usetime: current.use_time,
    }
}

/// Writes `xfrm_user_sec_ctx`. Its first field is the length in bytes, which includes the field itself.
pub(super) fn emit_context(context: &SecurityContext<'_>, writer: &mut Writer<'_>) {
    let length = u16::try_from(context.label.len()).unwrap_or(u16::MAX);
    // In PF_KEY the length of an extension counts words of 8 bytes; here it counts bytes.
    writer.u16(length.saturating_add(8));
    writer.u16(attribute::SEC_CTX);
    writer.u8(context.algorithm);
    writer.u8(context.doi);
    writer.u16(length);
    writer.bytes(context.label);
}

/// Reads `xfrm_user_sec_ctx`.
///
/// # Errors
/// [`Error::Malformed`](crate::Error::Malformed) for a label longer than the body.
pub(super) fn parse_context<'a>(body: &mut Reader<'a>) -> Result<SecurityContext<'a>> {
    body.skip(4)?;
    let (algorithm, doi) = (body.u8()?, body.u8()?);
    let length = usize::from(body.u16()?);
    Ok(SecurityContext { algorithm, doi, label: body.bytes(length)? })
}
