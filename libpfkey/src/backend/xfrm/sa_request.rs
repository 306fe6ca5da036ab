//! ADD, UPDATE, GETSPI, GET, DELETE: what `af_key` checks, and the netlink request that does the same.

use std::net::IpAddr;

use super::algorithm::{authentication, compression, encryption};
use super::layout::{Addr, Algo, Encap, Limits, Progress, ReplayEsn, Selector, State, StateId, family};
use super::netlink::{push_attribute, push_if_id, push_mark};
use super::numbers::{INF, attribute, state_flag};
use crate::algorithm::{Authentication, Encryption};
use crate::dialect::Dialect;
use crate::error::Result;
use crate::num::{ExtensionType, SaFlags, SaType};
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;
use crate::wire::{Extension, Key, Lifetime, Message, SecurityContext, XfrmMark, XfrmOffload, XfrmReplay};

/// An errno that answers a request.
pub(super) type Errno = i32;

/// Mode numbers of PF_KEY by those of XFRM: transport, tunnel, BEET.
const MODES: [(u8, u8); 3] = [(1, 0), (2, 1), (3, 4)];

/// Largest number of an authentication algorithm (`SADB_AALG_MAX`).
const AUTHENTICATION_MAX: u8 = 251;
/// Largest number of an encryption algorithm (`SADB_EALG_MAX`).
const ENCRYPTION_MAX: u8 = 253;
/// Largest number of a compression algorithm (`SADB_X_CALG_MAX`).
const COMPRESSION_MAX: u8 = 4;

/// XFRM's number of a PF_KEY mode; any is transport.
pub(super) fn mode_to_xfrm(mode: u8) -> std::result::Result<u8, Errno> {
    match mode {
        0 => Ok(0),
        _ => MODES.iter().find(|(pfkey, _)| *pfkey == mode).map(|(_, xfrm)| *xfrm).ok_or(libc::EINVAL),
    }
}

/// PF_KEY's number of an XFRM mode; those it has none for appear as any.
pub(super) fn mode_to_pfkey(mode: u8) -> u8 {
    MODES.iter().find(|(_, xfrm)| *xfrm == mode).map_or(0, |(pfkey, _)| *pfkey)
}

/// The IP protocol of an SA type.
pub(super) fn proto_of(sa_type: SaType) -> Option<u8> {
    match sa_type {
        SaType::Ah => Some(51),
        SaType::Esp => Some(50),
        SaType::IpComp => Some(108),
        _ => None,
    }
}

/// The SA type of an IP protocol.
pub(super) fn sa_type_of(proto: u8) -> SaType {
    match proto {
        51 => SaType::Ah,
        50 => SaType::Esp,
        108 => SaType::IpComp,
        _ => SaType::Unspec,
    }
}

/// Source and destination of a message about SAs.
pub(super) fn ends(message: &Message<'_>) -> std::result::Result<(IpAddr, IpAddr), Errno> {
    let (source, destination) = message.source().zip(message.destination()).ok_or(libc::EINVAL)?;
    for end in [source, destination] {
        if end.prefix > end.sockaddr.full_prefix() {
            return Err(libc::EINVAL);
        }
    }
    match (source.sockaddr.ip(), destination.sockaddr.ip()) {
        (Some(source), Some(destination)) if source.is_ipv4() == destination.is_ipv4() => Ok((source, destination)),
        _ => Err(libc::EINVAL),
    }
}

/// Everything a NEWSA or UPDSA says.
#[derive(Default)]
pub(super) struct SaFrame<'a> {
    state: State,
    auth: Option<Algo<'a>>,
    cipher: Option<Algo<'a>>,
    aead: Option<Algo<'a>>,
    compression: Option<Algo<'a>>,
    encap: Option<Encap>,
    context: Option<SecurityContext<'a>>,
    replay: Option<ReplayEsn>,
    /// Where an SA goes on that was there before.
    progress: Option<Progress<'a>>,
    mark: Option<XfrmMark>,
    output_mark: Option<XfrmMark>,
    if_id: Option<u32>,
    offload: Option<XfrmOffload>,
}

impl<'a> SaFrame<'a> {
    /// Checks an ADD or UPDATE as `af_key` does.
    ///
    /// # Errors
    /// The errno that it answers with.
    pub(super) fn new(message: &'a Message<'a>) -> std::result::Result<Self, Errno> {
        let sa = message.sa().ok_or(libc::EINVAL)?;
        let (source, destination) = ends(message)?;
        let sa_type = message.header.sa_type;
        let encrypt_key = message.key(ExtensionType::KeyEncrypt);
        let auth_key = message.key(ExtensionType::KeyAuth);
        let (hard, soft) =
            (message.lifetime(ExtensionType::LifetimeHard), message.lifetime(ExtensionType::LifetimeSoft));
        let incomplete = (sa_type == SaType::Esp && encrypt_key.is_none())
            || (sa_type == SaType::Ah && auth_key.is_none())
            || hard.is_some() != soft.is_some();
        if incomplete {
            return Err(libc::EINVAL);
        }
        if proto_of(sa_type).is_none() && sa_type != SaType::Unspec {
            return Err(libc::EINVAL);
        }
        check_numbers(sa_type, sa.auth, sa.encrypt)?;
        let empty = |key: Option<&Key<'_>>| key.is_some_and(|key| key.bits == 0);
        let null_auth = Authentication::from_number(Dialect::Linux, sa.auth) == Authentication::Null;
        let null_encrypt = Encryption::from_number(Dialect::Linux, sa.encrypt) == Encryption::Null;
        if (empty(auth_key) && !null_auth) || (empty(encrypt_key) && !null_encrypt) {
            return Err(libc::EINVAL);
        }
        let sa2 = message.sa2().copied().unwrap_or_default();
        let mut frame = Self {
            state: State {
                selector: Selector { family: family(source), ..Selector::default() },
                source: Addr::of(source),
                limits: limits(hard, soft),
                seq: message.header.seq,
                reqid: sa2.reqid,
                family: family(source),
                replay_window: sa.replay.min(32),
                flags: state_flags(sa.flags),
                ..State::default()
            },
            ..Self::default()
        };
        frame.state.id.destination = Addr::of(destination);
        frame.state.id.spi = sa.spi;
        if let Some(proxy) = message.address(ExtensionType::AddressProxy)
            && let Some(address) = proxy.sockaddr.ip()
        {
            frame.state.selector.family = family(address);
            frame.state.selector.source = Addr::of(address);
            frame.state.selector.source_prefix = proxy.prefix;
        }
        frame.algorithms(message, (sa.auth, auth_key), (sa.encrypt, encrypt_key))?;
        frame.state.mode = mode_to_xfrm(sa2.mode)?;
        // `af_key` finds last that there is no protocol.
        frame.state.id.proto = proto_of(sa_type).ok_or(libc::EPROTONOSUPPORT)?;
        frame.encap = message.natt_type().map(|kind| Encap {
            kind: u16::from(kind),
            source_port: message.natt_port(ExtensionType::NatTSport).unwrap_or(0),
            destination_port: message.natt_port(ExtensionType::NatTDport).unwrap_or(0),
        });
        frame.context = message.security_context().copied();
        frame.extras(message)?;
        Ok(frame)
    }

    fn algorithms(
        &mut self,
        message: &'a Message<'a>,
        (auth, auth_key): (u8, Option<&'a Key<'a>>),
        (encrypt, encrypt_key): (u8, Option<&'a Key<'a>>),
    ) -> std::result::Result<(), Errno> {
        let parts = |key: Option<&'a Key<'a>>| key.map_or((&[][..], 0), |key| (key.bytes, u32::from(key.bits)));
        if auth != 0 {
            let (known, api) = authentication(auth).ok_or(libc::ENOSYS)?;
            let (key, bits) = parts(auth_key);
            let auth_trunc = message.xfrm().auth_trunc.unwrap_or_default();
            let icv_bits =
                if auth_trunc.icv_bits == 0 { known.icv_bits(Dialect::Linux).into() } else { auth_trunc.icv_bits };
            if auth_trunc.align4 {
                self.state.flags |= state_flag::ALIGN4;
            }
            self.auth = Some(Algo::new(api, key, bits, Some(icv_bits)));
        }
        if encrypt == 0 {
            return Ok(());
        }
        if message.header.sa_type == SaType::IpComp {
            // af_key looks at the range of numbers first.
            let missing = if encrypt > COMPRESSION_MAX { libc::EINVAL } else { libc::ENOSYS };
            self.compression = Some(compression(encrypt).ok_or(missing)?);
            return Ok(());
        }
        let (key, bits) = parts(encrypt_key);
        let known = encryption(encrypt);
        // AH carries the number of a cipher without using it, and so does the kernel.
        if message.header.sa_type != SaType::Esp {
            return known.filter(|(cipher, _)| !cipher.is_aead()).map(drop).ok_or(libc::ENOSYS);
        }
        let (cipher, api) = known.ok_or(libc::ENOSYS)?;
        let algo = Algo::new(api, key, bits, cipher.icv_bits().map(u32::from));
        if cipher.is_aead() {
            self.aead = Some(algo);
        } else {
            self.cipher = Some(algo);
        }
        Ok(())
    }

    /// What only this library's extensions for NETLINK_XFRM express.
    fn extras(&mut self, message: &Message<'a>) -> std::result::Result<(), Errno> {
        let xfrm = message.xfrm();
        if let Some(XfrmReplay { window, esn }) = xfrm.replay {
            if window > ReplayEsn::WINDOW_MAX {
                return Err(libc::EINVAL);
            }
            self.state.replay_window = 0;
            self.replay = Some(ReplayEsn { window });
            if esn {
                self.state.flags |= state_flag::ESN;
            }
        }
        if let Some(bytes) = replay_state(message) {
            let progress = Progress::parse(&mut Reader::new(bytes, message.abi)).map_err(|_| libc::EINVAL)?;
            self.progress = Some(progress).filter(Progress::is_valid);
            if self.progress.is_none() {
                return Err(libc::EINVAL);
            }
        }
        self.mark = xfrm.mark;
        self.output_mark = xfrm.output_mark;
        self.if_id = xfrm.if_id;
        self.offload = xfrm.offload;
        Ok(())
    }

    /// Writes the frame's body.
    ///
    /// # Errors
    /// For keys and labels longer than an attribute.
    pub(super) fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        self.state.emit(writer);
        let algorithms = [
            (attribute::ALG_AUTH_TRUNC, &self.auth),
            (attribute::ALG_CRYPT, &self.cipher),
            (attribute::ALG_AEAD, &self.aead),
            (attribute::ALG_COMP, &self.compression),
        ];
        for (number, algorithm) in algorithms {
            if let Some(algorithm) = algorithm {
                push_attribute(writer, number, |contents| algorithm.emit(contents))?;
            }
        }
        if let Some(encap) = self.encap {
            push_attribute(writer, attribute::ENCAP, |contents| encap.emit(contents))?;
        }
        if let Some(context) = self.context {
            push_attribute(writer, attribute::SEC_CTX, |contents| emit_context(&context, contents))?;
        }
        let resumed = self.progress.as_ref().map(|progress| progress.attribute);
        if let Some(replay) = self.replay.filter(|_| resumed != Some(attribute::REPLAY_ESN_VAL)) {
            push_attribute(writer, attribute::REPLAY_ESN_VAL, |contents| replay.emit(contents))?;
        }
        if let Some(progress) = &self.progress {
            push_attribute(writer, attribute::LTIME_VAL, |contents| progress.current.emit(contents))?;
            push_attribute(writer, progress.attribute, |contents| contents.bytes(progress.replay))?;
        }
        push_mark(writer, self.mark)?;
        if let Some(XfrmMark { value, mask }) = self.output_mark {
            push_attribute(writer, attribute::SET_MARK, |contents| contents.u32(value))?;
            push_attribute(writer, attribute::SET_MARK_MASK, |contents| contents.u32(mask))?;
        }
        push_if_id(writer, self.if_id)?;
        if let Some(XfrmOffload { interface, flags }) = self.offload {
            push_attribute(writer, attribute::OFFLOAD_DEV, |contents| {
                contents.u32(interface);
                contents.u32(flags & 0xff);
            })?;
        }
        Ok(())
    }
}

/// The contents of `XfrmReplayState`.
pub(super) fn replay_state<'a>(message: &Message<'a>) -> Option<&'a [u8]> {
    message.extensions.iter().find_map(|extension| match extension {
        Extension::Opaque(ExtensionType::XfrmReplayState, bytes) => Some(*bytes),
        _ => None,
    })
}

/// The largest numbers that `af_key` looks up at all.
fn check_numbers(sa_type: SaType, auth: u8, encrypt: u8) -> std::result::Result<(), Errno> {
    let encrypt_max = if sa_type == SaType::IpComp { COMPRESSION_MAX } else { ENCRYPTION_MAX };
    if auth > AUTHENTICATION_MAX || encrypt > encrypt_max { Err(libc::EINVAL) } else { Ok(()) }
}

/// `xfrm_user_sec_ctx`: its length counts bytes, and itself.
pub(super) fn emit_context(context: &SecurityContext<'_>, writer: &mut Writer<'_>) {
    let length = u16::try_from(context.label.len()).unwrap_or(u16::MAX);
    writer.u16(length.saturating_add(8));
    writer.u16(attribute::SEC_CTX);
    writer.u8(context.algorithm);
    writer.u8(context.doi);
    writer.u16(length);
    writer.bytes(context.label);
}

/// PF_KEY's 0 is no limit; for counts XFRM says so by the largest number.
pub(super) fn limits(hard: Option<&Lifetime>, soft: Option<&Lifetime>) -> Limits {
    let count = |value: u64| if value == 0 { INF } else { value };
    let (hard, soft) = (hard.copied().unwrap_or_default(), soft.copied().unwrap_or_default());
    Limits {
        soft_bytes: count(soft.bytes),
        hard_bytes: count(hard.bytes),
        soft_packets: count(soft.allocations.into()),
        hard_packets: count(hard.allocations.into()),
        soft_add: soft.addtime,
        hard_add: hard.addtime,
        soft_use: soft.usetime,
        hard_use: hard.usetime,
    }
}

fn state_flags(flags: SaFlags) -> u8 {
    [
        (SaFlags::NOECN, state_flag::NOECN),
        (SaFlags::DECAP_DSCP, state_flag::DECAP_DSCP),
        (SaFlags::NOPMTUDISC, state_flag::NOPMTUDISC),
    ]
    .into_iter()
    .filter(|(flag, _)| flags.contains(*flag))
    .fold(0, |all, (_, flag)| all | flag)
}

/// The SA that a GET or DELETE names. Its source address is not compared, as `af_key` does not.
pub(super) fn state_id(message: &Message<'_>) -> std::result::Result<StateId, Errno> {
    let sa = message.sa().ok_or(libc::EINVAL)?;
    let (_, destination) = ends(message)?;
    let proto = proto_of(message.header.sa_type).ok_or(libc::ESRCH)?;
    Ok(StateId { destination: Addr::of(destination), spi: sa.spi, family: family(destination), proto })
}

/// A GETSPI: the state to be, and the range.
pub(super) fn spi_request(message: &Message<'_>) -> std::result::Result<(State, u32, u32), Errno> {
    let (source, destination) = ends(message)?;
    let proto = proto_of(message.header.sa_type).ok_or(libc::EINVAL)?;
    let sa2 = message.sa2().copied().unwrap_or_default();
    let range = message.extensions.iter().find_map(|extension| match extension {
        Extension::SpiRange(range) => Some((range.min, range.max)),
        _ => None,
    });
    // The kernel's own default in af_key.
    let (min, max) = range.unwrap_or((0x100, 0x0fff_ffff));
    if min > max || (message.header.sa_type == SaType::IpComp && max >= 0x1_0000) {
        return Err(libc::EINVAL);
    }
    let mut state = State {
        selector: Selector { family: family(source), ..Selector::default() },
        source: Addr::of(source),
        seq: message.header.seq,
        reqid: sa2.reqid,
        family: family(source),
        mode: mode_to_xfrm(sa2.mode)?,
        ..State::default()
    };
    state.id.destination = Addr::of(destination);
    state.id.proto = proto;
    Ok((state, min, max))
}
