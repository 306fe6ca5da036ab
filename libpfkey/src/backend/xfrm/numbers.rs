//! The numbers of NETLINK_XFRM (`linux/xfrm.h`, `linux/netlink.h`).

/// The netlink protocol.
pub(super) const NETLINK_XFRM: isize = 6;

/// `nlmsg_type`
pub(super) mod message {
    pub(crate) const ERROR: u16 = 2;
    pub(crate) const DONE: u16 = 3;
    pub(crate) const NEWSA: u16 = 16;
    pub(crate) const DELSA: u16 = 17;
    pub(crate) const GETSA: u16 = 18;
    pub(crate) const NEWPOLICY: u16 = 19;
    pub(crate) const DELPOLICY: u16 = 20;
    pub(crate) const GETPOLICY: u16 = 21;
    pub(crate) const ALLOCSPI: u16 = 22;
    pub(crate) const ACQUIRE: u16 = 23;
    pub(crate) const EXPIRE: u16 = 24;
    pub(crate) const UPDPOLICY: u16 = 25;
    pub(crate) const UPDSA: u16 = 26;
    pub(crate) const FLUSHSA: u16 = 28;
    pub(crate) const FLUSHPOLICY: u16 = 29;
    pub(crate) const MIGRATE: u16 = 33;
    pub(crate) const MAPPING: u16 = 38;
}

/// `nlmsg_flags`
pub(super) mod flag {
    pub(crate) const REQUEST: u16 = 1;
    /// The frame is a part of a dump.
    pub(crate) const MULTI: u16 = 2;
    /// The request wants an acknowledgement.
    pub(crate) const ACK: u16 = 4;
    /// The table changed during the dump.
    pub(crate) const DUMP_INTR: u16 = 0x10;
    pub(crate) const DUMP: u16 = 0x300;
    /// The error frame repeats only the header of the request.
    pub(crate) const CAPPED: u16 = 0x100;
    /// Attributes follow in the error frame.
    pub(crate) const ACK_TLVS: u16 = 0x200;
}

/// Multicast groups.
pub(super) mod group {
    pub(crate) const ACQUIRE: u32 = 1;
    pub(crate) const EXPIRE: u32 = 2;
    pub(crate) const SA: u32 = 3;
    pub(crate) const POLICY: u32 = 4;
    pub(crate) const MIGRATE: u32 = 7;
    pub(crate) const MAPPING: u32 = 8;
}

/// Attributes (`XFRMA_*`).
pub(super) mod attribute {
    /// In an error frame: the kernel's explanation, a string.
    pub(crate) const ACK_MESSAGE: u16 = 1;

    pub(crate) const ALG_AUTH: u16 = 1;
    pub(crate) const ALG_CRYPT: u16 = 2;
    pub(crate) const ALG_COMP: u16 = 3;
    pub(crate) const ENCAP: u16 = 4;
    pub(crate) const TMPL: u16 = 5;
    pub(crate) const SA: u16 = 6;
    pub(crate) const POLICY: u16 = 7;
    pub(crate) const SEC_CTX: u16 = 8;
    pub(crate) const LTIME_VAL: u16 = 9;
    pub(crate) const REPLAY_VAL: u16 = 10;
    pub(crate) const POLICY_TYPE: u16 = 16;
    pub(crate) const MIGRATE: u16 = 17;
    pub(crate) const ALG_AEAD: u16 = 18;
    pub(crate) const KMADDRESS: u16 = 19;
    pub(crate) const ALG_AUTH_TRUNC: u16 = 20;
    pub(crate) const MARK: u16 = 21;
    pub(crate) const REPLAY_ESN_VAL: u16 = 23;
    pub(crate) const PROTO: u16 = 25;
    pub(crate) const ADDRESS_FILTER: u16 = 26;
    pub(crate) const OFFLOAD_DEV: u16 = 28;
    pub(crate) const SET_MARK: u16 = 29;
    pub(crate) const SET_MARK_MASK: u16 = 30;
    pub(crate) const IF_ID: u16 = 31;
    /// Bits of an attribute's type that hold its number.
    pub(crate) const MASK: u16 = 0x3fff;
}

/// A count without a limit. A time without a limit is 0.
pub(super) const INF: u64 = u64::MAX;

/// Matches AH, ESP and IPComp, but not the kernel's helper states.
pub(super) const PROTO_ANY: u8 = 255;

/// `xfrm_usersa_info.flags`
pub(super) mod state_flag {
    pub(crate) const NOECN: u8 = 1;
    pub(crate) const DECAP_DSCP: u8 = 2;
    pub(crate) const NOPMTUDISC: u8 = 4;
    pub(crate) const ALIGN4: u8 = 64;
    pub(crate) const ESN: u8 = 128;
}

/// `XFRM_POLICY_BLOCK`
pub(super) const ACTION_BLOCK: u8 = 1;
