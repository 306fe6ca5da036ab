//! The part of a selector that depends on the upper-layer protocol.

use std::net::Ipv4Addr;

const ICMP: u8 = 1;
const GRE: u8 = 47;
const ICMPV6: u8 = 58;
const MOBILITY: u8 = 135;

/// Numbers of the protocol names that the language itself must know, because a specification may follow them, or often
/// follows them by mistake. The system resolves all other names.
pub fn known_protocol(name: &str) -> Option<u8> {
    Some(match name {
        "icmp" | "ICMP" => ICMP,
        "tcp" | "TCP" => 6,
        "udp" | "UDP" => 17,
        "gre" | "GRE" => GRE,
        "icmp6" | "ipv6-icmp" | "IPv6-ICMP" => ICMPV6,
        "sctp" | "SCTP" => 132,
        "mh" | "mobility-header" | "Mobility-Header" => MOBILITY,
        _ => return None,
    })
}

/// Whether a specification may follow the protocol.
pub(crate) fn takes_spec(protocol: u8) -> bool {
    matches!(protocol, ICMP | GRE | ICMPV6 | MOBILITY)
}

/// Returns the values that `TYPE,CODE` (ICMP, ICMPv6, Mobility Header) or a key (GRE: a number or a dotted quad) puts in
/// place of the source and destination port; `None` if it is malformed or the protocol takes none.
pub fn upper_spec(protocol: u8, text: &str) -> Option<(u16, u16)> {
    if protocol != GRE {
        let (kind, code) = text.split_once(',')?;
        return takes_spec(protocol).then_some((kind.parse().ok()?, code.parse().ok()?));
    }
    let [a, b, c, d] = match text.parse::<Ipv4Addr>() {
        Ok(quad) => quad.octets(),
        Err(_) => text.parse::<u32>().ok()?.to_be_bytes(),
    };
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specifications() {
        assert_eq!(upper_spec(1, "8,0"), Some((8, 0)));
        assert_eq!(upper_spec(58, "300,300"), Some((300, 300)));
        assert_eq!(upper_spec(135, "5,0"), Some((5, 0)));
        assert_eq!(upper_spec(47, "0.1.17.112"), Some((1, 4464)));
        assert_eq!(upper_spec(47, "70000"), Some((1, 4464)));
        for (protocol, text) in [(1, "8"), (1, "8,"), (1, ",8"), (1, "1,2,3"), (1, "65536,0"), (6, "1,2"), (47, "x")] {
            assert_eq!(upper_spec(protocol, text), None, "{protocol} {text}");
        }
        assert_eq!(upper_spec(47, "4294967296"), None);
        assert_eq!(upper_spec(47, "1.2.3.256"), None);
    }
}
