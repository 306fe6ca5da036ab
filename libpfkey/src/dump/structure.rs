//! A message field by field, as `setkey -v` and `-x` print it (`kdebug_sadb`).
//!
//! It shows keys: that is what users of these options ask for.

use std::fmt::Write as _;

use super::hex_groups;
use super::xfrm::xfrm_structure;
use crate::dialect::{Abi, ByteOrder, Dialect};
use crate::error::Result;
use crate::num::{ExtensionType, POLICY_IPSEC, SCOPE_IFNET};
use crate::wire::reader::Reader;
use crate::wire::sockaddr::AF_INET;
use crate::wire::{
    Address, Algorithm, Combination, Extension, Identity, Key, KmAddress, Lifetime, Policy, Proposal, Sa, SockAddr,
    next_extension,
};

/// Appends a message. If the bytes are not a message, the text ends with a line that says so.
pub fn structure(out: &mut String, abi: Abi, bytes: &[u8]) {
    let mut reader = Reader::new(bytes, abi);
    if let Err(error) = message(out, &mut reader) {
        let _ = writeln!(out, "kdebug_sadb: {error}.");
    }
}

fn message(out: &mut String, reader: &mut Reader<'_>) -> Result<()> {
    // Field by field, not by `Message::parse`: a malformed message is shown up to its error.
    let (version, number, errno, sa_type) = (reader.u8()?, reader.u8()?, reader.u8()?, reader.u8()?);
    let (words, reserved) = (reader.u16()?, reader.u16()?);
    let (seq, pid) = (reader.u32()?, reader.u32()?);
    let _ = write!(
        out,
        "sadb_msg{{ version={version} type={number} errno={errno} satype={sa_type}\n  \
         len={words} reserved={reserved} seq={seq} pid={pid}\n"
    );
    let dialect = reader.abi().dialect;
    while !reader.is_empty() {
        let (number, mut body) = next_extension(reader)?;
        let _ = writeln!(out, "sadb_ext{{ len={} type={number} }}", (body.remaining() + 4) / 8);
        let kind = ExtensionType::from_number(dialect, number);
        let parsed = Extension::parse(kind, &mut body)?;
        extension(out, &parsed, reader.abi(), number);
    }
    Ok(())
}

fn extension(out: &mut String, extension: &Extension<'_>, abi: Abi, number: u16) {
    let _ = match extension {
        Extension::Address(_, value) => return address(out, value, abi),
        Extension::Identity(kind, identity) => return identities(out, *kind, identity),
        Extension::Key(_, value) => key(out, value),
        Extension::KmAddress(addresses) => return key_manager(out, addresses, abi),
        Extension::Lifetime(_, value) => lifetime(out, value),
        Extension::NatTFrag(size) => writeln!(out, "sadb_x_nat_t_frag{{ fraglen={size} }}"),
        Extension::NatTPort(_, port) => writeln!(out, "sadb_x_nat_t_port{{ port={port} }}"),
        Extension::NatTType(kind) => writeln!(out, "sadb_x_nat_t_type{{ type={kind} }}"),
        Extension::Policy(value) => return policy(out, value, abi),
        Extension::Proposal(value) => proposal(out, value),
        Extension::Sa(value) => sa(out, value),
        Extension::Sa2(sa2) => writeln!(
            out,
            "sadb_x_sa2{{ mode={} reqid={}\n  reserved1={} reserved2={} sequence={} }}",
            sa2.mode, sa2.reqid, sa2.reserved1, sa2.reserved2, sa2.sequence
        ),
        Extension::SaReplay(packets) => writeln!(out, "sadb_x_sa_replay{{ replay={packets} }}"),
        Extension::Supported(_, algorithms) => supported(out, algorithms),
        // Of these KAME's setkey prints the line of the extension header alone.
        Extension::Sensitivity(_) | Extension::SpiRange(_) | Extension::Opaque(ExtensionType::KmPrivate, _) => Ok(()),
        Extension::XfrmAuthTrunc(_)
        | Extension::XfrmIfId(_)
        | Extension::XfrmMark(_)
        | Extension::XfrmOffload(_)
        | Extension::XfrmOutputMark(_)
        | Extension::XfrmReplay(_) => xfrm_structure(out, extension),
        Extension::Filter(_)
        | Extension::IfHwOffload { .. }
        | Extension::Opaque(..)
        | Extension::SecurityContext(_)
        | Extension::SessionId(_) => writeln!(out, "kdebug_sadb: invalid ext_type {number} was passed."),
    };
}

fn key(out: &mut String, key: &Key<'_>) -> std::fmt::Result {
    write!(out, "sadb_key{{ bits={} reserved={}\n  key=", key.bits, key.reserved)?;
    hex_groups(out, key.bytes);
    out.write_str(" }\n")
}

fn key_manager(out: &mut String, addresses: &KmAddress, abi: Abi) {
    let _ = writeln!(out, "sadb_x_kmaddress{{ reserved=0x{:08x} }}", addresses.reserved);
    sockaddr(out, &addresses.local, abi);
    sockaddr(out, &addresses.remote, abi);
}

fn proposal(out: &mut String, proposal: &Proposal) -> std::fmt::Result {
    writeln!(out, "sadb_prop{{ replay={}", proposal.replay)?;
    proposal.combinations.iter().for_each(|one| combination(out, one));
    out.write_str("}\n")
}

fn sa(out: &mut String, sa: &Sa) -> std::fmt::Result {
    let Sa { spi, replay, auth, encrypt, .. } = sa;
    let (state, flags) = (u8::from(sa.state), sa.flags.bits());
    writeln!(
        out,
        "sadb_sa{{ spi={spi} replay={replay} state={state}\n  auth={auth} encrypt={encrypt} flags=0x{flags:08x} }}"
    )
}

fn supported(out: &mut String, algorithms: &[Algorithm]) -> std::fmt::Result {
    out.push_str("sadb_sup{\n");
    for Algorithm { id, iv_len, min_bits, max_bits, .. } in algorithms {
        writeln!(out, "  {{ id={id} ivlen={iv_len} min={min_bits} max={max_bits} }}")?;
    }
    out.write_str("}\n")
}

fn address(out: &mut String, address: &Address, abi: Abi) {
    // KAME prints the two bytes as they stand in memory.
    let reserved = match abi.byte_order {
        ByteOrder::Big => address.reserved.to_be_bytes(),
        ByteOrder::Little => address.reserved.to_le_bytes(),
    };
    let _ = writeln!(
        out,
        "sadb_address{{ proto={} prefixlen={} reserved=0x{:02x}{:02x} }}",
        address.proto, address.prefix, reserved[0], reserved[1]
    );
    sockaddr(out, &address.sockaddr, abi);
}

fn sockaddr(out: &mut String, address: &SockAddr, abi: Abi) {
    let family = match address {
        SockAddr::Inet(address) if address.is_ipv4() => u16::from(AF_INET),
        SockAddr::Inet(_) => u16::from(abi.dialect.inet6()),
        SockAddr::Other { family } => *family,
    };
    let _ = writeln!(out, "sockaddr{{ len={} family={family} port={}", address.wire_len(), address.port());
    match address {
        SockAddr::Inet(std::net::SocketAddr::V4(v4)) => hex_groups(out, &v4.ip().octets()),
        SockAddr::Inet(std::net::SocketAddr::V6(v6)) => {
            let _ = writeln!(out, "  flowinfo=0x{:08x}, scope_id=0x{:08x}", v6.flowinfo(), v6.scope_id());
            hex_groups(out, &v6.ip().octets());
        }
        SockAddr::Other { .. } => {}
    }
    out.push_str("  }\n");
}

fn lifetime(out: &mut String, lifetime: &Lifetime) -> std::fmt::Result {
    writeln!(
        out,
        "sadb_lifetime{{ alloc={}, bytes={}\n  addtime={}, usetime={} }}",
        lifetime.allocations, lifetime.bytes, lifetime.addtime, lifetime.usetime
    )
}

fn policy(out: &mut String, policy: &Policy, abi: Abi) {
    let Policy { kind, direction, scope, id, priority, .. } = policy;
    let _ = write!(out, "sadb_x_policy{{ type={kind} dir={direction}");
    let _ = match abi.dialect {
        Dialect::Darwin => writeln!(out, " id={id:x} }}"),
        Dialect::FreeBsd => {
            // For the scope of an interface the field has another meaning.
            let word = if *scope == SCOPE_IFNET { "ifindex" } else { "priority" };
            writeln!(out, " id={id:x} scope={scope} {word}={priority} }}")
        }
        Dialect::Linux => writeln!(out, " id={id:x} priority={priority} }}"),
        Dialect::NetBsd => writeln!(out, " flags=0x{scope:02x} id={id:x} }}"),
    };
    if policy.kind != POLICY_IPSEC {
        return;
    }
    for request in &policy.requests {
        let _ = writeln!(
            out,
            " {{ len={} proto={} mode={} level={} reqid={}",
            request.wire_len(abi.dialect),
            request.proto,
            request.mode,
            request.level,
            request.reqid
        );
        if let Some((source, destination)) = &request.endpoints {
            sockaddr(out, source, abi);
            sockaddr(out, destination, abi);
        }
        out.push_str(" }\n");
    }
}

fn identities(out: &mut String, kind: ExtensionType, identity: &Identity<'_>) {
    let side = if kind == ExtensionType::IdentitySrc { "src" } else { "dst" };
    let _ = write!(out, "sadb_ident_{side}{{ type={} id={}", identity.kind, identity.id);
    if !identity.text().is_empty() {
        // The bytes may come from a file or another host: nothing of them may control the terminal.
        let _ = write!(out, "\n  str=\"{}\"", String::from_utf8_lossy(identity.text()).escape_debug());
    }
    out.push_str(" }\n");
}

fn combination(out: &mut String, comb: &Combination) {
    let _ = write!(
        out,
        "sadb_comb{{ auth={} encrypt={} flags=0x{:04x} reserved=0x{:08x}\n  \
         auth_minbits={} auth_maxbits={} encrypt_minbits={} encrypt_maxbits={}\n  \
         soft_alloc={} hard_alloc={} soft_bytes={} hard_bytes={}\n  \
         soft_addtime={} hard_addtime={} soft_usetime={} hard_usetime={} }}\n",
        comb.auth,
        comb.encrypt,
        comb.flags,
        comb.reserved,
        comb.auth_min_bits,
        comb.auth_max_bits,
        comb.encrypt_min_bits,
        comb.encrypt_max_bits,
        comb.soft_allocations,
        comb.hard_allocations,
        comb.soft_bytes,
        comb.hard_bytes,
        comb.soft_addtime,
        comb.hard_addtime,
        comb.soft_usetime,
        comb.hard_usetime
    );
}
