//! Names of protocols: those of IPsec, and upper-layer protocols from the system's table.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use crate::dialect::Dialect;
use crate::num::{SaType, ULPROTO_ANY};
use crate::sys;

/// Cached answers of the system's table.
static NAMES: Mutex<[Option<Option<&'static str>>; 256]> = Mutex::new([None; 256]);

/// The keyword for the protocol of an SA in ipsec.conf and JSON; `unknown` for SAs that IPsec does not use.
pub const fn ipsec_protocol_name(sa_type: SaType) -> &'static str {
    match sa_type {
        SaType::Ah => "ah",
        SaType::Esp => "esp",
        SaType::IpComp => "ipcomp",
        SaType::TcpSignature => "tcp",
        _ => "unknown",
    }
}

/// Returns the name of a protocol, or its number in decimal; 255 (any) has no name in most tables.
pub fn protocol_name(number: u8) -> Cow<'static, str> {
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    // At most 256 names are ever kept, so leaking them is bounded.
    let name = names[usize::from(number)]
        .get_or_insert_with(|| sys::protocol_name(number).map(|name| &*Box::leak(name.into_boxed_str())));
    name.map_or_else(|| Cow::Owned(number.to_string()), Cow::Borrowed)
}

/// Returns an upper-layer protocol as the `setkey` of the kernel's system prints it in a policy: FreeBSD's has names of its own,
/// NetBSD's prints the number and then the name.
pub fn upper_name(dialect: Dialect, number: u8) -> Cow<'static, str> {
    match (dialect, number) {
        (Dialect::FreeBsd, ULPROTO_ANY) => "any".into(),
        (Dialect::FreeBsd, 4) => "ip4".into(),
        (Dialect::FreeBsd, 58) => "icmp6".into(),
        // Names that only NetBSD's table has.
        (Dialect::NetBsd, 4) => "4(ipv4)".into(),
        (Dialect::NetBsd, 255) => "255(reserved)".into(),
        (Dialect::NetBsd, _) => match protocol_name(number) {
            Cow::Borrowed(name) => format!("{number}({name})").into(),
            unnamed => unnamed,
        },
        _ => protocol_name(number),
    }
}

/// Returns the number of a protocol name of the system's table, or of KAME's own.
pub fn protocol_number(name: &str) -> Option<u8> {
    sys::protocol_number(name).or(match name {
        "icmp6" => Some(58),
        "ip4" => Some(4),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(protocol_name(6), "tcp");
        assert_eq!(protocol_number("icmp6"), Some(58));
        assert_eq!(protocol_number("nosuch"), None);
        // No table has a name for 253 (RFC 3692 experiments).
        assert_eq!(protocol_name(253), "253");
    }

    #[test]
    fn upper_layers_of_policies() {
        for (number, freebsd, netbsd, linux) in [
            (255, "any", "255(reserved)", "255"),
            (4, "ip4", "4(ipv4)", ""),
            (58, "icmp6", "58(ipv6-icmp)", "ipv6-icmp"),
            (6, "tcp", "6(tcp)", "tcp"),
            (1, "icmp", "1(icmp)", "icmp"),
            (253, "253", "253", "253"),
        ] {
            assert_eq!(upper_name(Dialect::FreeBsd, number), freebsd);
            assert_eq!(upper_name(Dialect::NetBsd, number), netbsd);
            // What the host's table calls 4 differs.
            assert!(linux.is_empty() || upper_name(Dialect::Linux, number) == linux);
        }
    }
}
