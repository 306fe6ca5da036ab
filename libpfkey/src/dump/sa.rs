//! One SA as `setkey -D` prints it.

use std::fmt::Write as _;

use super::hex::{groups_len, reserve};
use super::xfrm::{icv_bits, xfrm_line};
use super::{Options, calendar, hex_groups, push_address};
use crate::algorithm::{Authentication, Compression, Encryption};
use crate::dialect::Dialect;
use crate::num::{ExtensionType, MODE_ANY, MODE_TRANSPORT, MODE_TUNNEL, SaState, SaType};
use crate::wire::{Lifetime, Message, Sa, Sa2};

/// Bytes of an entry at most, without its keys and its label.
const ENTRY_MAX: usize = 2048;
/// Bytes of an entry for one of its label at most: one that is escaped, `\u{1b}`.
const ESCAPE_MAX: usize = 6;

/// Appends an SA, after making room for all of it, so that no copy of its keys stays behind elsewhere in memory. If the message
/// lacks an extension, a line that names it ends the entry, as in KAME's setkey.
pub fn sa_entry(out: &mut String, message: &Message<'_>, options: &Options) {
    reserve(out, largest(message));
    let (sa, sa2) = match endpoints(out, message, options) {
        Ok(both) => both,
        Err(missing) => return out.push_str(missing),
    };
    kind_line(out, message, sa, sa2);
    if let Some(original) = message.address(ExtensionType::NatTOaInitiator) {
        out.push_str("\tNAT OA=");
        push_address(out, &original.sockaddr);
        out.push('\n');
    }
    algorithm_lines(out, message, sa);
    let _ = write!(out, "\tseq=0x{:08x} replay={} flags=0x{:08x} state=", sa2.sequence, sa.replay, sa.flags.bits());
    match sa.state {
        SaState::Larval => out.push_str("larval"),
        SaState::Mature => out.push_str("mature"),
        SaState::Dying => out.push_str("dying"),
        SaState::Dead => out.push_str("dead"),
        SaState::Other(number) => drop(write!(out, "{number}")),
    }
    // The blank is KAME's: scripts compare these lines.
    out.push_str(" \n");
    if let Some(current) = message.lifetime(ExtensionType::LifetimeCurrent) {
        lifetime_lines(out, message, current, options);
    }
    label_lines(out, message);
    xfrm_line(out, message);
    let header = &message.header;
    let _ = writeln!(out, "\tsadb_seq={} pid={} refcnt={}", header.seq, header.pid, header.reserved);
}

/// Bytes that an entry needs at most.
pub(super) fn largest(message: &Message<'_>) -> usize {
    let keys = [ExtensionType::KeyEncrypt, ExtensionType::KeyAuth].map(|kind| message.key(kind));
    let digits = keys.into_iter().flatten().map(|key| groups_len(key.bytes)).sum::<usize>();
    let label = message.security_context().map_or(0, |context| context.label.len() * ESCAPE_MAX);
    ENTRY_MAX + digits + label
}

/// The first line; then the extensions that the rest needs.
fn endpoints<'m>(
    out: &mut String,
    message: &'m Message<'_>,
    options: &Options,
) -> Result<(&'m Sa, &'m Sa2), &'static str> {
    // NetBSD sends the extension with every SA; 0 is none.
    let natt = message.natt_type().is_some_and(|kind| kind != 0);
    let ends = [
        (ExtensionType::AddressSrc, ExtensionType::NatTSport, "no ADDRESS_SRC extension.\n"),
        (ExtensionType::AddressDst, ExtensionType::NatTDport, "no ADDRESS_DST extension.\n"),
    ];
    for (kind, port_kind, missing) in ends {
        let address = message.address(kind).ok_or(missing)?;
        push_address(out, &address.sockaddr);
        if options.ports {
            let _ = write!(out, "[{}]", address.sockaddr.port());
        }
        if natt && let Some(port) = message.natt_port(port_kind) {
            let _ = write!(out, "[{port}]");
        }
        out.push(' ');
    }
    out.push('\n');
    let sa = message.sa().ok_or("no SA extension.\n")?;
    let sa2 = message.sa2().ok_or("no SA2 extension.\n")?;
    Ok((sa, sa2))
}

fn kind_line(out: &mut String, message: &Message<'_>, sa: &Sa, sa2: &Sa2) {
    out.push('\t');
    let sa_type = message.header.sa_type;
    let natt = message.natt_type().is_some_and(|kind| kind != 0);
    match (natt, sa_type) {
        (true, SaType::Esp) => out.push_str("esp-udp"),
        (true, _) => out.push_str("natt+"),
        _ => {}
    }
    if !(natt && sa_type == SaType::Esp) {
        push_sa_type(out, sa_type);
    }
    out.push_str(" mode=");
    match sa2.mode {
        MODE_ANY => out.push_str("any"),
        MODE_TRANSPORT => out.push_str("transport"),
        MODE_TUNNEL => out.push_str("tunnel"),
        other => drop(write!(out, "{other}")),
    }
    let (spi, reqid) = (sa.spi, sa2.reqid);
    let _ = writeln!(out, " spi={spi}(0x{spi:08x}) reqid={reqid}(0x{reqid:08x})");
}

/// The SA type's name, or its number.
pub(super) fn push_sa_type(out: &mut String, sa_type: SaType) {
    out.push_str(match sa_type {
        SaType::Unspec => "unspec",
        SaType::Ah => "ah",
        SaType::Esp => "esp",
        SaType::Rsvp => "rsvp",
        SaType::OspfV2 => "ospfv2",
        SaType::RipV2 => "ripv2",
        SaType::Mip => "mip",
        SaType::IpComp => "ipcomp",
        SaType::Policy => "policy",
        SaType::TcpSignature => "tcp",
        // Unassigned numbers within KAME's table of names.
        SaType::Other(1 | 4) => "unknown",
        SaType::Other(number) => {
            let _ = write!(out, "{number}");
            return;
        }
    });
}

fn algorithm_lines(out: &mut String, message: &Message<'_>, sa: &Sa) {
    let dialect = message.abi.dialect;
    let sa_type = message.header.sa_type;
    // IPComp has its algorithm in the field of the cipher, and no key.
    if sa_type == SaType::IpComp {
        out.push_str("\tC: ");
        push_name(out, Compression::from_number(dialect, sa.encrypt).name(), sa.encrypt);
        // No newline: the next line follows on this one, as it always has.
        out.push(' ');
    } else if sa_type == SaType::Esp
        && let Some(key) = message.key(ExtensionType::KeyEncrypt)
    {
        out.push_str("\tE: ");
        push_name(out, encrypt_name(dialect, sa.encrypt), sa.encrypt);
        out.push(' ');
        hex_groups(out, key.bytes);
        out.push('\n');
    }
    if let Some(key) = message.key(ExtensionType::KeyAuth) {
        out.push_str("\tA: ");
        push_name(out, Authentication::from_number(dialect, sa.auth).name_with_icv(icv_bits(message)), sa.auth);
        out.push(' ');
        hex_groups(out, key.bytes);
        out.push('\n');
    }
}

fn encrypt_name(dialect: Dialect, number: u8) -> Option<&'static str> {
    Encryption::from_number(dialect, number).name()
}

fn push_name(out: &mut String, name: Option<&str>, number: u8) {
    match name {
        Some(name) => out.push_str(name),
        None => drop(write!(out, "{number}")),
    }
}

fn lifetime_lines(out: &mut String, message: &Message<'_>, current: &Lifetime, options: &Options) {
    let limits = |kind| message.lifetime(kind).copied().unwrap_or_default();
    let (hard, soft) = (limits(ExtensionType::LifetimeHard), limits(ExtensionType::LifetimeSoft));
    let created = i64::try_from(current.addtime).unwrap_or(0);
    let used = i64::try_from(current.usetime).unwrap_or(0);
    // 0 is no time.
    let age = if created == 0 { 0 } else { options.now.saturating_sub(created) };
    out.push_str("\tcreated: ");
    calendar(out, created);
    out.push_str("\tcurrent: ");
    calendar(out, options.now);
    let _ = write!(out, "\n\tdiff: {age}(s)\thard: {}(s)\tsoft: {}(s)\n", hard.addtime, soft.addtime);
    out.push_str("\tlast: ");
    calendar(out, used);
    let _ = write!(
        out,
        "\thard: {}(s)\tsoft: {}(s)\n\tcurrent: {}(bytes)\thard: {}(bytes)\tsoft: {}(bytes)\n",
        hard.usetime, soft.usetime, current.bytes, hard.bytes, soft.bytes
    );
    let _ =
        writeln!(out, "\tallocated: {}\thard: {}\tsoft: {}", current.allocations, hard.allocations, soft.allocations);
}

/// The lines of a security label, in dumps of both databases.
pub(super) fn label_lines(out: &mut String, message: &Message<'_>) {
    let Some(context) = message.security_context() else { return };
    // The length counts the NUL, which is not printed.
    let label = context.label.split(|&byte| byte == 0).next().unwrap_or_default();
    let _ = write!(
        out,
        "\tsecurity context doi: {}\n\tsecurity context algorithm: {}\n\tsecurity context length: {}\n\
         \tsecurity context: {}\n",
        context.doi,
        context.algorithm,
        context.label.len(),
        String::from_utf8_lossy(label).escape_debug()
    );
}
