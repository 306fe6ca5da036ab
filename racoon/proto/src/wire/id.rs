//! The Identification payload (RFC 2407 section 4.6.2).
//!
//! ```text
//!                      1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |    ID Type    |  Protocol ID  |             Port              |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                     Identification Data                       |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use std::fmt;
use std::net::IpAddr;

use super::WireError;
use super::reader::Reader;
use super::writer::Writer;
use crate::identity::{Identity, Name};
use crate::num::{IdType, IpProtocol};

impl Identity {
    /// Reads the body of an Identification payload. NULs at the end of a name, which RFC 2407 forbids, are removed.
    /// The data of an unknown type are not checked.
    ///
    /// # Errors
    /// If the data of this type have another length, if a mask is not contiguous, if a range ends before it begins, or if a name is
    /// empty.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ID payload", body);
        let kind = IdType(reader.u8()?);
        let protocol = reader.u8()?;
        let port = reader.u16()?;
        let mut data = reader.rest();
        match kind {
            IdType::IPV4_ADDR if data.len() != 4 => return Err(reader.length("length of data", "4", data.len())),
            IdType::IPV6_ADDR if data.len() != 16 => return Err(reader.length("length of data", "16", data.len())),
            IdType::IPV4_ADDR_SUBNET => check_mask(halves::<4>(&reader, data, "8")?.1, &reader)?,
            IdType::IPV6_ADDR_SUBNET => check_mask(halves::<16>(&reader, data, "32")?.1, &reader)?,
            IdType::IPV4_ADDR_RANGE => check_range(halves::<4>(&reader, data, "8")?, &reader)?,
            IdType::IPV6_ADDR_RANGE => check_range(halves::<16>(&reader, data, "32")?, &reader)?,
            IdType::FQDN | IdType::USER_FQDN => {
                // With a NUL, the name would equal no configured one.
                while let [name @ .., 0] = data {
                    data = name;
                }
            }
            _ => {}
        }
        // An empty name would equal a configured empty one.
        if data.is_empty() {
            return Err(reader.length("length of data", "at least 1", 0));
        }
        Ok(Self { kind, protocol, port, data: data.to_vec() })
    }

    /// Encodes the body.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.u8(self.kind.0);
        writer.u8(self.protocol);
        writer.u16(self.port);
        writer.bytes(&self.data);
        writer.into_bytes()
    }
}

impl fmt::Display for Identity {
    /// Type and value, and protocol and port unless they are 0: `IPv4_subnet 10.0.0.0/8, protocol udp, port 53`. Bytes outside ASCII
    /// are escaped; of DER that is not a name, only the length is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match value(self.kind, &self.data) {
            Some(value) => write!(f, "{} {value}", self.kind)?,
            None => write!(f, "{} {}", self.kind, self.data.escape_ascii())?,
        }
        match (self.protocol, self.port) {
            (0, 0) => Ok(()),
            (protocol, 0) => write!(f, ", protocol {}", IpProtocol(protocol)),
            (protocol, port) => write!(f, ", protocol {}, port {port}", IpProtocol(protocol)),
        }
    }
}

/// Returns the data as text, if their type is not text itself and they are well-formed.
fn value(kind: IdType, data: &[u8]) -> Option<String> {
    let (first, second) = data.split_at_checked(data.len() / 2)?;
    match kind {
        IdType::IPV4_ADDR | IdType::IPV6_ADDR => address(data).map(|address| address.to_string()),
        IdType::IPV4_ADDR_SUBNET | IdType::IPV6_ADDR_SUBNET => {
            // Received masks are contiguous (`check_mask`), so their ones are the prefix length.
            let prefix: u32 = second.iter().map(|octet| octet.count_ones()).sum();
            address(first).map(|network| format!("{network}/{prefix}"))
        }
        IdType::IPV4_ADDR_RANGE | IdType::IPV6_ADDR_RANGE => Some(format!("{}-{}", address(first)?, address(second)?)),
        IdType::DER_ASN1_DN | IdType::DER_ASN1_GN => {
            let name = Name::from_der(data).filter(|_| kind == IdType::DER_ASN1_DN);
            Some(name.map_or_else(|| format!("of {} bytes", data.len()), |name| name.to_string()))
        }
        _ => None,
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

/// Returns both halves of data of 2·N bytes.
fn halves<'a, const N: usize>(
    reader: &Reader<'_>,
    data: &'a [u8],
    expected: &'static str,
) -> Result<(&'a [u8; N], &'a [u8; N]), WireError> {
    data.split_first_chunk()
        .and_then(|(first, second)| Some((first, second.try_into().ok()?)))
        .ok_or_else(|| reader.length("length of data", expected, data.len()))
}

/// Checks that all ones of a mask precede its zeros.
fn check_mask(mask: &[u8], reader: &Reader<'_>) -> Result<(), WireError> {
    let mut octets = mask.iter().skip_while(|octet| **octet == 0xff);
    let edge = octets.next().copied().unwrap_or(0);
    if edge.leading_ones() + edge.trailing_zeros() == 8 && octets.all(|octet| *octet == 0) {
        return Ok(());
    }
    Err(reader.value("mask", "ones before zeros", edge))
}

/// Checks that a range does not end before it begins.
fn check_range<const N: usize>((first, last): (&[u8; N], &[u8; N]), reader: &Reader<'_>) -> Result<(), WireError> {
    if first <= last {
        return Ok(());
    }
    Err(reader.value("first address of the range", "not beyond the last", 0_u8))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn golden_bytes() {
        let v6 = |last| [[0x20, 1, 0x0d, 0xb8].as_slice(), &[0; 11], &[last]].concat();
        for (identity, bytes) in [
            (Identity::address(address("192.0.2.1")), vec![1, 0, 0, 0, 192, 0, 2, 1]),
            (Identity::address(address("192.0.2.1")).with_protocol(17, 500), vec![1, 17, 1, 0xf4, 192, 0, 2, 1]),
            (Identity::named(IdType::FQDN, *b"a.example"), [&[2, 0, 0, 0], b"a.example".as_slice()].concat()),
            (Identity::subnet(address("10.1.0.0"), 20), vec![4, 0, 0, 0, 10, 1, 0, 0, 255, 255, 240, 0]),
            (Identity::address(address("2001:db8::1")), [vec![5, 0, 0, 0], v6(1)].concat()),
            (
                Identity::subnet(address("2001:db8::"), 33),
                [vec![6, 0, 0, 0], v6(0), vec![255, 255, 255, 255, 128], vec![0; 11]].concat(),
            ),
            (
                Identity::range(address("10.0.0.1"), address("10.0.0.9")).unwrap(),
                vec![7, 0, 0, 0, 10, 0, 0, 1, 10, 0, 0, 9],
            ),
            (
                Identity::range(address("2001:db8::1"), address("2001:db8::2")).unwrap(),
                [vec![8, 0, 0, 0], v6(1), v6(2)].concat(),
            ),
        ] {
            assert_eq!(identity.encode(), bytes);
            assert_eq!(Identity::parse(&bytes), Ok(identity));
        }
    }

    #[test]
    fn each_address_type_has_its_length() {
        for (kind, right) in [(1, 4), (4, 8), (5, 16), (6, 32), (7, 8), (8, 32)] {
            for length in 0..40 {
                let body = [vec![kind, 0, 0, 0], vec![0; length]].concat();
                assert_eq!(Identity::parse(&body).is_ok(), length == right, "type {kind}, {length} bytes");
            }
        }
        for length in 0..4 {
            assert!(matches!(Identity::parse(&[1, 0, 0, 0][..length]), Err(WireError::Truncated { .. })), "{length}");
        }
    }

    #[test]
    fn masks_without_holes_only() {
        for (mask, accepted) in [
            ([0, 0, 0, 0], true),
            ([128, 0, 0, 0], true),
            ([255, 255, 255, 255], true),
            ([255, 0, 255, 0], false),
            ([255, 255, 253, 0], false),
            ([0, 0, 0, 1], false),
            ([127, 255, 255, 255], false),
            ([254, 1, 0, 0], false),
        ] {
            let body = [[4, 0, 0, 0].as_slice(), &[10, 0, 0, 0], &mask].concat();
            assert_eq!(Identity::parse(&body).is_ok(), accepted, "{mask:?}");
        }
    }

    #[test]
    fn ranges_go_upwards() {
        assert!(Identity::parse(&[7, 0, 0, 0, 10, 0, 0, 1, 10, 0, 0, 1]).is_ok());
        let error = Identity::parse(&[7, 0, 0, 0, 10, 0, 0, 1, 9, 255, 255, 255]).unwrap_err();
        assert!(matches!(error, WireError::Value { field: "first address of the range", .. }));
    }

    #[test]
    fn names() {
        assert_eq!(Identity::parse(b"\x02\0\0\0host\0"), Ok(Identity::named(IdType::FQDN, *b"host")));
        assert_eq!(Identity::parse(b"\x03\0\0\0a@b\0\0"), Ok(Identity::named(IdType::USER_FQDN, *b"a@b")));
        assert_eq!(Identity::parse(b"\x0b\0\0\0key\0"), Ok(Identity::named(IdType::KEY_ID, *b"key\0")));
        for kind in [2, 3, 9, 10, 11, 99] {
            assert!(Identity::parse(&[kind, 0, 0, 0]).is_err(), "{kind}");
        }
        assert!(Identity::parse(b"\x02\0\0\0\0").is_err());
        assert_eq!(Identity::parse(&[99, 1, 0, 2, 5]).map(|id| id.kind), Ok(IdType(99)));
    }

    #[test]
    fn in_words() {
        for (identity, words) in [
            (Identity::address(address("192.0.2.1")), "IPv4_address 192.0.2.1"),
            (
                Identity::subnet(address("10.1.2.3"), 20).with_protocol(17, 53),
                "IPv4_subnet 10.1.0.0/20, protocol udp, port 53",
            ),
            (
                Identity::subnet(address("2001:db8::"), 33).with_protocol(6, 0),
                "IPv6_subnet 2001:db8::/33, protocol tcp",
            ),
            (
                Identity::range(address("10.0.0.1"), address("10.0.0.9")).unwrap(),
                "IPv4_address_range 10.0.0.1-10.0.0.9",
            ),
            (Identity::named(IdType::KEY_ID, *b"a\n\xff"), "KEY_ID a\\n\\xff"),
            (Identity::named(IdType::DER_ASN1_DN, [0x30; 5]), "DER_ASN1_DN of 5 bytes"),
            (Identity::named(IdType::IPV4_ADDR, [1, 2, 3]), "IPv4_address \\x01\\x02\\x03"),
            (Identity::named(IdType(99), *b"x"), "99 x"),
        ] {
            assert_eq!(identity.to_string(), words);
        }
    }

    fn identities() -> impl Strategy<Value = Identity> {
        let addresses = prop_oneof![any::<Ipv4Addr>().prop_map(IpAddr::from), any::<Ipv6Addr>().prop_map(IpAddr::from)];
        let names = (2_u8..12).prop_filter("names", |kind| matches!(kind, 2 | 3 | 9 | 10 | 11));
        prop_oneof![
            addresses.clone().prop_map(Identity::address),
            (addresses, 0_u8..=128).prop_map(|(address, prefix)| Identity::subnet(address, prefix)),
            any::<(Ipv4Addr, Ipv4Addr)>().prop_map(|(a, b)| Identity::range(a.min(b).into(), a.max(b).into()).unwrap()),
            any::<(Ipv6Addr, Ipv6Addr)>().prop_map(|(a, b)| Identity::range(a.min(b).into(), a.max(b).into()).unwrap()),
            (names, vec(1_u8.., 1..40)).prop_map(|(kind, data)| Identity::named(IdType(kind), data)),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(identity in identities(), protocol: u8, port: u16) {
            let identity = identity.with_protocol(protocol, port);
            prop_assert_eq!(Identity::parse(&identity.encode()), Ok(identity));
        }

        #[test]
        fn any_bytes_do_not_panic(kind in 0_u8..13, rest in vec(any::<u8>(), 0..40)) {
            let _ = Identity::parse(&[&[kind], rest.as_slice()].concat());
        }
    }
}
