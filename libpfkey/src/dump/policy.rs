//! One policy as `setkey -DP` prints it.

use std::fmt::Write as _;

use super::sa::label_lines;
use super::xfrm::{device, xfrm_line};
use super::{Options, calendar};
use crate::dialect::Dialect;
use crate::num::{ExtensionType, SCOPE_GLOBAL, SCOPE_IFNET, SCOPE_PCB};
use crate::policy::push_ip;
use crate::protocol::upper_name;
use crate::wire::{Address, Message, Policy, SockAddr};

/// Protocols whose port fields are not ports.
const ICMP: u8 = 1;
const GRE: u8 = 47;
const ICMPV6: u8 = 58;
const MH: u8 = 135;

/// Whether a dumped policy belongs to one socket.
pub fn is_socket_policy(message: &Message<'_>) -> bool {
    match message.abi.dialect {
        // The low three bits of the id are the direction, and 3 and 4 are those of sockets.
        Dialect::Linux => message.policy().is_some_and(|policy| policy.id % 8 >= 3),
        Dialect::FreeBsd if message.policy().is_some_and(|policy| policy.scope == SCOPE_PCB) => true,
        _ => message.source().is_none() || message.destination().is_none(),
    }
}

/// Appends a policy. If the message lacks an extension, a line that says so takes the place of the rest, as in KAME's setkey.
pub fn policy_entry(out: &mut String, message: &Message<'_>, options: &Options) {
    let Some(policy) = message.policy() else {
        out.push_str("no X_POLICY extension.\n");
        return;
    };
    match (message.source(), message.destination()) {
        _ if message.abi.dialect == Dialect::Linux && is_socket_policy(message) => {
            out.push_str("(per-socket policy) \n");
        }
        (Some(source), Some(destination)) => {
            if source.proto != destination.proto {
                out.push_str("upper layer protocol mismatched.\n");
                return;
            }
            selector(out, message.abi.dialect, source, destination);
        }
        _ => out.push_str("(no selector, probably per-socket policy) \n"),
    }
    out.push('\t');
    match policy.to_text(message.abi.dialect, "\n\t", options.ports) {
        Ok(text) => out.push_str(&text),
        Err(_) => out.push_str("Policy:[ERR]"),
    }
    out.push('\n');
    if let Some(current) = message.lifetime(ExtensionType::LifetimeCurrent) {
        out.push_str("\tcreated: ");
        calendar(out, i64::try_from(current.addtime).unwrap_or(0));
        out.push_str("  lastused: ");
        calendar(out, i64::try_from(current.usetime).unwrap_or(0));
        out.push('\n');
    }
    if let Some(hard) = message.lifetime(ExtensionType::LifetimeHard) {
        let _ = writeln!(out, "\tlifetime: {}(s) validtime: {}(s)", hard.addtime, hard.usetime);
    }
    label_lines(out, message);
    xfrm_line(out, message);
    let header = &message.header;
    let _ = write!(out, "\tspid={} seq={} pid={}", policy.id, header.seq, header.pid);
    if message.abi.dialect == Dialect::FreeBsd {
        scope(out, policy);
    }
    let _ = write!(out, "\n\trefcnt={}\n", header.reserved);
}

/// The scope of a FreeBSD policy. Kernels before 11.1 have none, and send 0.
fn scope(out: &mut String, policy: &Policy) {
    match policy.scope {
        0 => {}
        SCOPE_GLOBAL => out.push_str(" scope=global"),
        // The index of the interface takes the place of the priority.
        SCOPE_IFNET => drop(write!(out, " scope=ifnet ifname={}", device(policy.priority))),
        SCOPE_PCB => out.push_str(" scope=pcb"),
        other => drop(write!(out, " scope={other}")),
    }
}

fn selector(out: &mut String, dialect: Dialect, source: &Address, destination: &Address) {
    let has_ports = !matches!(source.proto, ICMP | GRE | ICMPV6 | MH);
    for end in [source, destination] {
        match &end.sockaddr {
            SockAddr::Inet(address) => {
                push_ip(out, address);
                // A host is printed without its length, a port of any in brackets: so the language writes them.
                if end.prefix != end.sockaddr.full_prefix() {
                    let _ = write!(out, "/{}", end.prefix);
                }
                match address.port() {
                    _ if !has_ports => {}
                    0 => out.push_str("[any]"),
                    port => drop(write!(out, "[{port}]")),
                }
            }
            SockAddr::Other { .. } => out.push_str("unknown-af"),
        }
        out.push(' ');
    }
    out.push_str(&upper_name(dialect, source.proto));
    let (first, second) = (source.sockaddr.port(), destination.sockaddr.port());
    if !has_ports && (first, second) != (0, 0) {
        let _ = match source.proto {
            // The two ports are the halves of a GRE key (RFC 2890).
            GRE => write!(out, " {}", u32::from(first) << 16 | u32::from(second)),
            _ => write!(out, " {first},{second}"),
        };
    }
    out.push('\n');
}
