//! The Vendor ID payload (RFC 2408 section 3.16), whose body is chosen by the vendor, most often as
//! the MD5 digest of a text.

use crate::num::{EncapsulationMode, PayloadType};

/// MD5 of `FRAGMENTATION`.
const FRAGMENTATION: [u8; 16] = 0x4048_b7d5_6ebc_e885_25e7_de7f_00d6_c2d3_u128.to_be_bytes();

/// The vendor IDs without parameters.
const KNOWN: &[(VendorId, &[u8])] = &[
    // RFC 3706 section 5.1; the last two bytes are version 1.0.
    (VendorId::Dpd, &0xafca_d713_68a1_f1c9_6b86_96fc_7757_0100_u128.to_be_bytes()),
    // The first half of MD5 of `draft-ietf-ipsra-isakmp-xauth-06.txt`.
    (VendorId::Xauth, &0x0900_2689_dfd6_b712_u64.to_be_bytes()),
    // MD5 of `CISCO-UNITY`, the last two bytes replaced by the version 1.0.
    (VendorId::Unity, &0x12f5_f28c_4571_68a9_702d_9fe2_74cc_0100_u128.to_be_bytes()),
    // MD5 of `KAME/racoon`.
    (VendorId::Kame, &0x7003_cbc1_097d_be9c_2600_ba69_83bc_8b35_u128.to_be_bytes()),
    // MD5 of `IPSec-Tools`.
    (VendorId::OwnIpsecTools, &0x20a3_622c_1cea_7ce3_7bee_3ca4_8442_5276_u128.to_be_bytes()),
];

/// What a Vendor ID payload says about its sender: the program, or a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VendorId {
    /// Dead peer detection (RFC 3706).
    Dpd,
    /// NAT traversal.
    NatT(NatTVersion),
    /// XAUTH.
    Xauth,
    /// Cisco's Unity.
    Unity,
    /// Fragmentation; capabilities are [`FRAGMENT_IDENTITY`](Self::FRAGMENT_IDENTITY) and
    /// [`FRAGMENT_BASE`](Self::FRAGMENT_BASE), 0 if the sender names none.
    Fragmentation(u32),
    /// KAME's racoon.
    Kame,
    /// The racoon of IPsec-tools, which this program identifies itself as.
    OwnIpsecTools,
    /// Any other vendor ID.
    Unknown,
}

impl VendorId {
    /// Capability of [`Fragmentation`](Self::Fragmentation): messages of main and aggressive mode.
    pub const FRAGMENT_IDENTITY: u32 = 0x8000_0000;

    /// Capability of [`Fragmentation`](Self::Fragmentation): messages of base mode.
    pub const FRAGMENT_BASE: u32 = 0x4000_0000;

    /// Recognizes the body of a Vendor ID payload by its beginning: some vendors append a version to it.
    pub fn recognise(body: &[u8]) -> Self {
        if let Some(rest) = body.strip_prefix(&FRAGMENTATION) {
            // Some senders omit the capabilities. ipsec-tools read beyond the end of such a payload.
            return Self::Fragmentation(rest.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes)));
        }
        if let Some(version) = NatTVersion::ALL.into_iter().find(|version| body.starts_with(&version.digest())) {
            return Self::NatT(version);
        }
        KNOWN.iter().find(|(_, bytes)| body.starts_with(bytes)).map_or(Self::Unknown, |(id, _)| *id)
    }

    /// Whether `body`, which was recognized as this vendor ID, has further bytes.
    pub fn is_shorter_than(self, body: &[u8]) -> bool {
        self != Self::Unknown && self.encode().len() < body.len()
    }

    /// Encodes the body of a Vendor ID payload; empty for [`Unknown`](Self::Unknown).
    pub fn encode(self) -> Vec<u8> {
        match self {
            Self::NatT(version) => version.digest().to_vec(),
            Self::Fragmentation(capabilities) => [FRAGMENTATION.as_slice(), &capabilities.to_be_bytes()].concat(),
            _ => KNOWN.iter().find(|(id, _)| *id == self).map_or_else(Vec::new, |(_, bytes)| bytes.to_vec()),
        }
    }

    /// Returns the name for log lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dpd => "DPD",
            Self::NatT(version) => version.name(),
            Self::Xauth => "draft-ietf-ipsra-isakmp-xauth-06.txt",
            Self::Unity => "CISCO-UNITY",
            Self::Fragmentation(_) => "FRAGMENTATION",
            Self::Kame => "KAME/racoon",
            Self::OwnIpsecTools => "IPSec-Tools",
            Self::Unknown => "unknown",
        }
    }
}

/// A version of NAT traversal. The order is that of age, so that the greatest one that both sides know is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NatTVersion {
    /// Draft 00, which stays on port 500.
    Draft00,
    /// Draft 01, which stays on port 500.
    Draft01,
    /// Draft 02.
    Draft02,
    /// Draft 02, whose name was hashed with a newline.
    Draft02Newline,
    /// Draft 03.
    Draft03,
    /// Draft 04.
    Draft04,
    /// Draft 05.
    Draft05,
    /// Draft 06.
    Draft06,
    /// Draft 07.
    Draft07,
    /// Draft 08.
    Draft08,
    /// RFC 3947.
    Rfc3947,
}

impl NatTVersion {
    /// All versions, the oldest first.
    pub const ALL: [Self; 11] = [
        Self::Draft00,
        Self::Draft01,
        Self::Draft02,
        Self::Draft02Newline,
        Self::Draft03,
        Self::Draft04,
        Self::Draft05,
        Self::Draft06,
        Self::Draft07,
        Self::Draft08,
        Self::Rfc3947,
    ];

    /// The versions that an initiator proposes, the preferred one first.
    pub const PROPOSED: [Self; 3] = [Self::Rfc3947, Self::Draft02Newline, Self::Draft02];

    /// Returns the MD5 digest of the name, which is the vendor ID.
    fn digest(self) -> [u8; 16] {
        let digest: u128 = match self {
            Self::Draft00 => 0x4485_152d_18b6_bbcd_0be8_a846_9579_ddcc,
            Self::Draft01 => 0x16f6_ca16_e4a4_066d_8382_1a0f_0aea_a862,
            Self::Draft02 => 0xcd60_4643_35df_21f8_7cfd_b2fc_68b6_a448,
            Self::Draft02Newline => 0x90cb_8091_3ebb_696e_0863_81b5_ec42_7b1f,
            Self::Draft03 => 0x7d94_19a6_5310_ca6f_2c17_9d92_1552_9d56,
            Self::Draft04 => 0x9909_b64e_ed93_7c65_73de_52ac_e952_fa6b,
            Self::Draft05 => 0x80d0_bb3d_ef54_565e_e846_45d4_c85c_e3ee,
            Self::Draft06 => 0x4d1e_0e13_6dea_fa34_c4f3_ea9f_02ec_7285,
            Self::Draft07 => 0x439b_59f8_ba67_6c4c_7737_ae22_eab8_f582,
            Self::Draft08 => 0x8f8d_8382_6d24_6b6f_c7a8_a6a4_28c1_1de8,
            Self::Rfc3947 => 0x4a13_1c81_0703_5845_5c57_28f2_0e95_452f,
        };
        digest.to_be_bytes()
    }

    /// Returns the text whose digest is the vendor ID, with a newline shown as an escape.
    pub fn name(self) -> &'static str {
        match self {
            Self::Draft00 => "draft-ietf-ipsec-nat-t-ike-00",
            Self::Draft01 => "draft-ietf-ipsec-nat-t-ike-01",
            Self::Draft02 => "draft-ietf-ipsec-nat-t-ike-02",
            Self::Draft02Newline => "draft-ietf-ipsec-nat-t-ike-02\\n",
            Self::Draft03 => "draft-ietf-ipsec-nat-t-ike-03",
            Self::Draft04 => "draft-ietf-ipsec-nat-t-ike-04",
            Self::Draft05 => "draft-ietf-ipsec-nat-t-ike-05",
            Self::Draft06 => "draft-ietf-ipsec-nat-t-ike-06",
            Self::Draft07 => "draft-ietf-ipsec-nat-t-ike-07",
            Self::Draft08 => "draft-ietf-ipsec-nat-t-ike-08",
            Self::Rfc3947 => "RFC 3947",
        }
    }

    /// Whether the exchange moves to port 4500.
    pub fn floats(self) -> bool {
        self >= Self::Draft02
    }

    /// Returns the type of NAT-D payloads in this version.
    pub fn nat_d(self) -> PayloadType {
        match self {
            Self::Rfc3947 => PayloadType::NAT_D,
            // Drafts 04 to 08 used 15 and 16, which belong to GDOI (RFC 3547), and earlier ones private numbers.
            _ if self >= Self::Draft04 => PayloadType::NAT_D_BAD,
            _ => PayloadType::NAT_D_DRAFT,
        }
    }

    /// Returns the type of NAT-OA payloads in this version.
    pub fn nat_oa(self) -> PayloadType {
        match self {
            Self::Rfc3947 => PayloadType::NAT_OA,
            _ if self >= Self::Draft04 => PayloadType::NAT_OA_BAD,
            _ => PayloadType::NAT_OA_DRAFT,
        }
    }

    /// Returns the number of `mode` in UDP in this version.
    pub fn in_udp(self, mode: EncapsulationMode) -> EncapsulationMode {
        match (mode.plain(), self >= Self::Draft04) {
            (EncapsulationMode::TUNNEL, true) => EncapsulationMode::UDP_TUNNEL,
            (EncapsulationMode::TUNNEL, false) => EncapsulationMode::UDP_TUNNEL_DRAFT,
            (EncapsulationMode::TRANSPORT, true) => EncapsulationMode::UDP_TRANSPORT,
            (EncapsulationMode::TRANSPORT, false) => EncapsulationMode::UDP_TRANSPORT_DRAFT,
            (other, _) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        for (id, bytes) in [
            (VendorId::Dpd, "afcad71368a1f1c96b8696fc77570100"),
            (VendorId::Xauth, "09002689dfd6b712"),
            (VendorId::Unity, "12f5f28c457168a9702d9fe274cc0100"),
            (VendorId::Kame, "7003cbc1097dbe9c2600ba6983bc8b35"),
            (VendorId::OwnIpsecTools, "20a3622c1cea7ce37bee3ca484425276"),
            (VendorId::NatT(NatTVersion::Rfc3947), "4a131c81070358455c5728f20e95452f"),
            (VendorId::NatT(NatTVersion::Draft02Newline), "90cb80913ebb696e086381b5ec427b1f"),
            (VendorId::Fragmentation(VendorId::FRAGMENT_IDENTITY), "4048b7d56ebce88525e7de7f00d6c2d380000000"),
        ] {
            let sent = id.encode();
            assert_eq!(sent.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), bytes);
            assert_eq!(VendorId::recognise(&sent), id);
        }
    }

    #[test]
    fn every_version_is_recognised() {
        for version in NatTVersion::ALL {
            assert_eq!(VendorId::recognise(&VendorId::NatT(version).encode()), VendorId::NatT(version));
        }
        assert_eq!(NatTVersion::ALL.into_iter().max(), Some(NatTVersion::Rfc3947));
    }

    #[test]
    fn longer_and_shorter_ones() {
        let dpd = VendorId::Dpd.encode();
        let longer = [dpd.as_slice(), &[1, 2]].concat();
        assert_eq!(VendorId::recognise(&longer), VendorId::Dpd);
        assert!(VendorId::Dpd.is_shorter_than(&longer));
        assert!(!VendorId::Dpd.is_shorter_than(&dpd));
        for length in 0..dpd.len() {
            assert_eq!(VendorId::recognise(&dpd[..length]), VendorId::Unknown, "{length} bytes");
        }
        let fragmentation = VendorId::Fragmentation(u32::MAX).encode();
        for length in 16..20 {
            assert_eq!(VendorId::recognise(&fragmentation[..length]), VendorId::Fragmentation(0), "{length} bytes");
        }
    }

    #[test]
    fn numberings() {
        for (version, nat_d, nat_oa, tunnel, transport, floats) in [
            (NatTVersion::Draft01, 130, 131, 61443, 61444, false),
            (NatTVersion::Draft02, 130, 131, 61443, 61444, true),
            (NatTVersion::Draft03, 130, 131, 61443, 61444, true),
            (NatTVersion::Draft04, 15, 16, 3, 4, true),
            (NatTVersion::Draft08, 15, 16, 3, 4, true),
            (NatTVersion::Rfc3947, 20, 21, 3, 4, true),
        ] {
            assert_eq!((version.nat_d().0, version.nat_oa().0), (nat_d, nat_oa), "{version:?}");
            assert_eq!(version.in_udp(EncapsulationMode::TUNNEL).0, tunnel, "{version:?}");
            assert_eq!(version.in_udp(EncapsulationMode::TRANSPORT).0, transport, "{version:?}");
            assert_eq!(version.floats(), floats, "{version:?}");
        }
    }
}
