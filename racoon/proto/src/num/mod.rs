//! The numbers of IKEv1 and their names. No other module contains them.
//!
//! A number without a name is kept, and is displayed as a number: peers may send numbers that this version does not know.

mod attribute;
mod ip;
mod ipsec;
mod isakmp;
mod notify;
mod oakley;

pub use attribute::{ConfigAttribute, ConfigType, LifeType, Phase1Attribute, Phase2Attribute};
pub use ip::IpProtocol;
pub use ipsec::{AhTransform, AuthAlgorithm, EncapsulationMode, EspTransform, IpcompTransform, Protocol};
pub use isakmp::{CertEncoding, Doi, ExchangeType, Flags, IDENTITY_ONLY, IdType, KEY_IKE, PayloadType};
pub use notify::NotifyType;
pub use oakley::{AuthMethod, Cipher, Group, Hash};

/// Lifetime in seconds of an SA for which none is negotiated (RFC 2407 section 4.5).
pub const DEFAULT_LIFETIME: u32 = 28_800;

/// Declares a type of numbers with names: `CONSTANT = number, "name in racoon.conf";`.
macro_rules! numbers {
    ($(#[$about:meta])* $name:ident: $int:ty { $($(#[$doc:meta])* $constant:ident = $value:literal, $text:literal;)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl $name {
            $($(#[$doc])* pub const $constant: Self = Self($value);)*

            /// Returns the name of this number, if it has one.
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$constant => Some($text),)*
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{}", self.0),
                }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}
use numbers;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_numbers_are_displayed_as_numbers() {
        assert_eq!(Cipher::AES.to_string(), "aes");
        assert_eq!(Cipher(4711).to_string(), "4711");
        assert_eq!(format!("{:?}", Group(2)), "Group(modp1024)");
        assert_eq!(Cipher(7), Cipher::AES);
    }

    #[test]
    fn the_method_of_the_client_is_proposed_for_both_roles() {
        assert_eq!(AuthMethod::XAUTH_PSK_SERVER.on_the_wire(), AuthMethod::XAUTH_PSK_CLIENT);
        assert_eq!(AuthMethod::XAUTH_RSA_SERVER.on_the_wire(), AuthMethod::XAUTH_RSA_CLIENT);
        assert_eq!(AuthMethod::HYBRID_RSA_SERVER.on_the_wire(), AuthMethod::HYBRID_RSA_CLIENT);
        assert_eq!(AuthMethod::PRE_SHARED_KEY.on_the_wire(), AuthMethod::PRE_SHARED_KEY);
    }

    #[test]
    fn nat_traversal_has_three_numberings() {
        for (nat_d, nat_oa) in [(20, 21), (15, 16), (130, 131)] {
            assert!(PayloadType(nat_d).is_nat_d() && !PayloadType(nat_d).is_nat_oa(), "{nat_d}");
            assert!(PayloadType(nat_oa).is_nat_oa() && !PayloadType(nat_oa).is_nat_d(), "{nat_oa}");
        }
        for (mode, plain, in_udp) in [
            (1, 1, false),
            (2, 2, false),
            (3, 1, true),
            (4, 2, true),
            (61443, 1, true),
            (61444, 2, true),
            (9, 9, false),
        ] {
            assert_eq!(EncapsulationMode(mode).plain(), EncapsulationMode(plain));
            assert_eq!(EncapsulationMode(mode).in_udp(), in_udp, "{mode}");
        }
    }

    #[test]
    fn notify_types_below_16384_are_errors() {
        for (kind, is_error, name) in [
            (14, true, "NO-PROPOSAL-CHOSEN"),
            (30, true, "UNEQUAL-PAYLOAD-LENGTHS"),
            (16383, true, "16383"),
            (16384, false, "CONNECTED"),
            (36137, false, "R-U-THERE-ACK"),
        ] {
            assert_eq!((NotifyType(kind).is_error(), NotifyType(kind).to_string().as_str()), (is_error, name));
        }
    }

    #[test]
    fn ah_has_a_transform_for_each_authentication_algorithm() {
        assert_eq!(AuthAlgorithm::HMAC_MD5.ah_transform(), Some(AhTransform::MD5));
        assert_eq!(AuthAlgorithm::HMAC_SHA256.ah_transform(), Some(AhTransform::SHA256));
        assert_eq!(AuthAlgorithm::NONE.ah_transform(), None);
    }
}
