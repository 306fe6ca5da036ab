//! Types of extensions.

use super::Tables;
use super::table::numbered;
use crate::dialect::Dialect;

numbered! {
    /// `sadb_ext_type`: the kinds of extension headers.
    ExtensionType(u16), extensions:
    /// Destination address.
    AddressDst,
    /// Proxy address (the inner source).
    AddressProxy,
    /// Source address.
    AddressSrc,
    /// Linux: restrict a dump.
    Filter,
    /// Destination identity.
    IdentityDst,
    /// Source identity.
    IdentitySrc,
    /// FreeBSD: NIC offload.
    IfHwOffload,
    /// macOS: ipsec interface.
    IpsecIf,
    /// Authentication key.
    KeyAuth,
    /// Encryption key.
    KeyEncrypt,
    /// Linux: addresses of the key manager (MIGRATE).
    KmAddress,
    /// Private to the key manager.
    KmPrivate,
    /// Current use of an SA.
    LifetimeCurrent,
    /// FreeBSD: use counted by the NIC.
    LifetimeCurrentHw,
    /// FreeBSD: use counted in software.
    LifetimeCurrentSw,
    /// Hard limits.
    LifetimeHard,
    /// Soft limits.
    LifetimeSoft,
    /// macOS: ipsec interface to migrate to.
    MigrateIpsecIf,
    /// NAT-T destination port.
    NatTDport,
    /// NAT-T fragment size.
    NatTFrag,
    /// NAT-T original address (of the initiator where there are two).
    NatTOaInitiator,
    /// NAT-T original address of the responder.
    NatTOaResponder,
    /// NAT-T source port.
    NatTSport,
    /// NAT-T encapsulation type.
    NatTType,
    /// New destination address of an SA.
    NewAddressDst,
    /// New source address of an SA.
    NewAddressSrc,
    /// Policy with its requests.
    Policy,
    /// Proposal of an acquire.
    Proposal,
    /// macOS: end of a destination range.
    RangeDstEnd,
    /// macOS: start of a destination range.
    RangeDstStart,
    /// macOS: end of a source range.
    RangeSrcEnd,
    /// macOS: start of a source range.
    RangeSrcStart,
    /// The SA.
    Sa,
    /// KAME: mode and reqid of the SA.
    Sa2,
    /// FreeBSD: replay window in packets.
    SaReplay,
    /// macOS: SA statistics.
    SaStat,
    /// Linux: security label.
    SecurityContext,
    /// Sensitivity.
    Sensitivity,
    /// macOS: session id.
    SessionId,
    /// Range for GETSPI.
    SpiRange,
    /// Authentication algorithms of the kernel.
    SupportedAuth,
    /// Encryption algorithms of the kernel.
    SupportedEncrypt,
    /// Of this library: length of the ICV and alignment of an AH header
    /// ([`XfrmAuthTrunc`](crate::wire::XfrmAuthTrunc)).
    XfrmAuthTrunc,
    /// Of this library: XFRM interface id.
    XfrmIfId,
    /// Of this library: mark by which an SA or policy is found.
    XfrmMark,
    /// Of this library: hardware offload.
    XfrmOffload,
    /// Of this library: mark that packets get.
    XfrmOutputMark,
    /// Of this library: replay window in packets and extended sequence numbers.
    XfrmReplay,
    /// Of this library: sequence numbers, replay bitmap and counters of an SA. A DELETE with an empty one is answered with
    /// the last state of the SA; an ADD with a filled one resumes from it.
    XfrmReplayState,
}
