//! Keys as text, as `parse` reads them.

use std::fmt::{self, Display};

use zeroize::Zeroizing;

use super::{Network, PrivateKey, PublicKey, RsaEntry, RsaKey};

impl RsaEntry {
    /// Returns the entry with a line feed at its end, as KAME's plainrsa-gen prints it. If the key is private, the text is
    /// secret, and a comment before it has the public key.
    pub fn to_text(&self) -> Zeroizing<String> {
        let networks = match (self.local, self.remote) {
            (Network::Any, Network::Any) => String::new(),
            // A single address is the peer's.
            (Network::Any, remote) => format!("{remote} "),
            (local, remote) => format!("{local} {remote} "),
        };
        match &self.key {
            RsaKey::Public(key) => Zeroizing::new(format!("{networks}: PUB {}\n", key.to_text())),
            RsaKey::Private(key) => private(&networks, key),
        }
    }
}

impl Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Prefix(address, prefix) => write!(f, "{address}/{prefix}"),
        }
    }
}

impl PublicKey {
    /// Returns `0s` and the key in base64 in the format of RFC 3110 section 2, as in `PUB` entries and in libreswan's
    /// `leftrsasigkey`.
    pub fn to_text(&self) -> String {
        let length = self.exponent.len();
        let length = match u8::try_from(length) {
            Ok(length @ 1..) => vec![length],
            _ => [&[0], &u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()[..]].concat(),
        };
        format!("0s{}", base64(&[&length, self.exponent.as_slice(), &self.modulus].concat()))
    }
}

impl PrivateKey {
    /// Returns the public key in it.
    pub fn public(&self) -> PublicKey {
        PublicKey { exponent: self.public_exponent.clone(), modulus: self.modulus.clone() }
    }

    /// Returns the length of the modulus in bits.
    pub fn bits(&self) -> usize {
        let leading = self.modulus.first().map_or(0, |octet| usize::try_from(octet.leading_zeros()).unwrap_or(0));
        (8 * self.modulus.len()).saturating_sub(leading)
    }
}

fn private(networks: &str, key: &PrivateKey) -> Zeroizing<String> {
    let public = key.public().to_text();
    let fields = [
        ("Modulus", &key.modulus),
        ("PublicExponent", &key.public_exponent),
        ("PrivateExponent", &key.private_exponent),
        ("Prime1", &key.prime1),
        ("Prime2", &key.prime2),
        ("Exponent1", &key.exponent1),
        ("Exponent2", &key.exponent2),
        ("Coefficient", &key.coefficient),
    ];
    let digits = fields.iter().map(|(_, number)| 2 * number.len()).sum::<usize>();
    // The capacity suffices: growing would leave a copy of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(digits + 2 * public.len() + networks.len() + 512));
    text.push_str(&format!("# {networks}: PUB {public}\n{networks}: RSA\t{{\n"));
    text.push_str(&format!("\t# RSA {} bits\n\t# pubkey={public}\n", key.bits()));
    for (name, number) in fields {
        text.push_str(&format!("\t{name}: 0x"));
        for octet in number.iter() {
            for digit in [octet >> 4, octet & 0xf] {
                text.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
            }
        }
        text.push('\n');
    }
    text.push_str("  }\n");
    text
}

/// Encodes base64 with padding (RFC 4648 section 4).
fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32| char::from(DIGITS[usize::try_from(bits & 0x3f).unwrap_or(0)]);
    let mut text = String::with_capacity(octets.len().div_ceil(3) * 4);
    for group in octets.chunks(3) {
        let at = |index| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        text.extend([digit(bits >> 18), digit(bits >> 12)]);
        text.push(if group.len() > 1 { digit(bits >> 6) } else { '=' });
        text.push(if group.len() > 2 { digit(bits) } else { '=' });
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::reader::base64 as decode;
    use super::super::{Number, parse};
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (text, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
        assert_eq!(base64(&[0xff, 0xfb, 0xf0]), "//vw");
    }

    #[test]
    fn a_private_key_looks_as_from_plainrsa_gen() {
        let number = |octets: &[u8]| Number::new(octets.to_vec());
        let key = PrivateKey {
            modulus: number(&[0x40, 0xff, 0xee]),
            public_exponent: number(&[3]),
            private_exponent: number(&[0x0a, 1]),
            prime1: number(&[1]),
            prime2: number(&[2]),
            exponent1: number(&[3]),
            exponent2: number(&[4]),
            coefficient: number(&[5]),
        };
        let entry = RsaEntry { line: 2, local: Network::Any, remote: Network::Any, key: RsaKey::Private(key.into()) };
        let expected = "# : PUB 0sAQNA/+4=\n: RSA\t{\n\t# RSA 23 bits\n\t# pubkey=0sAQNA/+4=\n\tModulus: 0x40ffee\n\
                        \tPublicExponent: 0x03\n\tPrivateExponent: 0x0a01\n\tPrime1: 0x01\n\tPrime2: 0x02\n\
                        \tExponent1: 0x03\n\tExponent2: 0x04\n\tCoefficient: 0x05\n  }\n";
        assert_eq!(*entry.to_text(), expected);
        assert_eq!(parse(expected.as_bytes()), Ok(vec![entry]));
    }

    #[test]
    fn long_exponents_have_a_longer_length() {
        let key = PublicKey { exponent: Number::new(vec![1; 300]), modulus: Number::new(vec![2; 4]) };
        let octets = decode(key.to_text().strip_prefix("0s").unwrap().as_bytes()).unwrap();
        assert_eq!(octets[..4], [0, 1, 44, 1]);
        let entries = parse(format!(": PUB {}", key.to_text()).as_bytes()).unwrap();
        assert_eq!(entries[0].key, RsaKey::Public(key));
    }

    fn a_number() -> impl Strategy<Value = Number> {
        (1_u8.., prop::collection::vec(any::<u8>(), 0..300))
            .prop_map(|(first, rest)| Number::new([vec![first], rest].concat()))
    }

    fn a_network() -> impl Strategy<Value = Network> {
        prop_oneof![
            Just(Network::Any),
            (any::<std::net::Ipv4Addr>(), 0_u8..=32)
                .prop_map(|(address, prefix)| Network::Prefix(address.into(), prefix)),
            (any::<std::net::Ipv6Addr>(), 0_u8..=128)
                .prop_map(|(address, prefix)| Network::Prefix(address.into(), prefix)),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            exponent in a_number(), modulus in a_number(), private in any::<bool>(), local in a_network(), remote in a_network(),
        ) {
            let key = if private {
                let other = modulus.clone();
                RsaKey::Private(Box::new(PrivateKey {
                    modulus, public_exponent: exponent.clone(), private_exponent: other.clone(), prime1: other.clone(),
                    prime2: exponent.clone(), exponent1: exponent.clone(), exponent2: exponent, coefficient: other,
                }))
            } else {
                RsaKey::Public(PublicKey { exponent, modulus })
            };
            let entry = RsaEntry { line: if private { 2 } else { 1 }, local, remote, key };
            prop_assert_eq!(parse(entry.to_text().as_bytes()), Ok(vec![entry]));
        }

        #[test]
        fn anything_can_be_parsed(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }
    }
}
