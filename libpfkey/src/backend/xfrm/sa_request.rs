//! Requests about one SA: what `af_key` checks, and the netlink request with the same effect.

use std::net::IpAddr;

use super::algorithm::{authentication, compression, encryption};
use super::conversion::{Errno, emit_context, flags_to_xfrm, limits_to_xfrm, mode_to_xfrm, proto_of};
use super::layout::{Addr, Algo, Encap, Progress, ReplayEsn, State, StateId, XfrmSelector, family};
use super::netlink::{push_attribute, push_if_id, push_mark};
use super::numbers::{attribute, state_flag};
use crate::algorithm::{Authentication, Encryption};
use crate::dialect::Dialect;
use crate::error::Result;
use crate::num::{ExtensionType, SaType};
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;
use crate::wire::{Extension, Key, Message, Sa, SecurityContext, XfrmMark, XfrmOffload, XfrmReplay};

/// Largest replay window of `xfrm_usersa_info` that the kernel keeps, in packets.
const WINDOW_MAX: u8 = 32;
/// Largest number of an authentication algorithm (`SADB_AALG_MAX`).
const AUTHENTICATION_MAX: u8 = 251;
/// Largest number of an encryption algorithm (`SADB_EALG_MAX`).
const ENCRYPTION_MAX: u8 = 253;
/// Largest number of a compression algorithm (`SADB_X_CALG_MAX`).
const COMPRESSION_MAX: u8 = 4;

/// Source and destination of a message about SAs.
///
/// # Errors
/// EINVAL if one is missing, if their families differ, or for a prefix longer than the address.
pub(super) fn endpoints(message: &Message<'_>) -> std::result::Result<(IpAddr, IpAddr), Errno> {
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

/// The contents of a NEWSA or UPDSA.
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
    /// Counters and sequence numbers with which a restored SA continues.
    progress: Option<Progress<'a>>,
    mark: Option<XfrmMark>,
    output_mark: Option<XfrmMark>,
    if_id: Option<u32>,
    offload: Option<XfrmOffload>,
}

impl<'a> SaFrame<'a> {
    /// Checks an ADD or UPDATE as `af_key` does, in the same order: the first failure decides the errno.
    ///
    /// # Errors
    /// The errno that `af_key` answers with.
    pub(super) fn new(message: &'a Message<'a>) -> std::result::Result<Self, Errno> {
        let sa = message.sa().ok_or(libc::EINVAL)?;
        let (source, destination) = endpoints(message)?;
        let sa_type = message.header.sa_type;
        let encrypt_key = message.key(ExtensionType::KeyEncrypt);
        let auth_key = message.key(ExtensionType::KeyAuth);
        let (hard, soft) =
            (message.lifetime(ExtensionType::LifetimeHard), message.lifetime(ExtensionType::LifetimeSoft));
        let incomplete = (sa_type == SaType::Esp && encrypt_key.is_none())
            || (sa_type == SaType::Ah && auth_key.is_none())
            || hard.is_some() != soft.is_some();
        // SA type 0 passes here, and is refused last with another errno.
        if incomplete || (proto_of(sa_type).is_none() && sa_type != SaType::Unspec) {
            return Err(libc::EINVAL);
        }
        check_numbers(sa_type, sa.auth, sa.encrypt)?;
        check_keys(sa, auth_key, encrypt_key)?;
        let sa2 = message.sa2().copied().unwrap_or_default();
        let mut frame = Self {
            state: State {
                selector: inner_selector(message, source),
                source: Addr::of(source),
                limits: limits_to_xfrm(hard, soft),
                seq: message.header.seq,
                reqid: sa2.reqid,
                family: family(source),
                replay_window: sa.replay.min(WINDOW_MAX),
                flags: flags_to_xfrm(sa.flags),
                ..State::default()
            },
            ..Self::default()
        };
        frame.state.id.destination = Addr::of(destination);
        frame.state.id.spi = sa.spi;
        // `af_key` looks the algorithms up before it checks the mode.
        frame.algorithms(message, (sa.auth, auth_key), (sa.encrypt, encrypt_key))?;
        frame.state.mode = mode_to_xfrm(sa2.mode)?;
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

    /// Looks up the algorithms.
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
            // `af_key` checks the range of the numbers before it looks one up.
            let missing = if encrypt > COMPRESSION_MAX { libc::EINVAL } else { libc::ENOSYS };
            self.compression = Some(compression(encrypt).ok_or(missing)?);
            return Ok(());
        }
        let (key, bits) = parts(encrypt_key);
        // AEAD ciphers have numbers, but `af_key` refuses them: only this backend has such SAs.
        let known = encryption(encrypt);
        // In an AH SA a cipher is looked up but not used.
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

    /// Reads this library's extensions for NETLINK_XFRM.
    fn extras(&mut self, message: &Message<'a>) -> std::result::Result<(), Errno> {
        let xfrm = message.xfrm();
        if let Some(XfrmReplay { window, esn }) = xfrm.replay {
            if window > ReplayEsn::WINDOW_MAX {
                return Err(libc::EINVAL);
            }
            // The kernel takes a window in REPLAY_ESN_VAL only if this one is 0.
            self.state.replay_window = 0;
            self.replay = Some(ReplayEsn { window });
            if esn {
                self.state.flags |= state_flag::ESN;
            }
        }
        if let Some(bytes) = replay_state(message) {
            let progress = Progress::parse(&mut Reader::new(bytes, message.abi)).map_err(|_| libc::EINVAL)?;
            self.progress = Some(progress).filter(Progress::is_valid);
            // The bytes come from a file, so an attribute of a wrong length must not reach the kernel.
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
        // The sequence numbers of a restored SA include its window.
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

/// The contents of the extension `XfrmReplayState`.
pub(super) fn replay_state<'a>(message: &Message<'a>) -> Option<&'a [u8]> {
    message.extensions.iter().find_map(|extension| match extension {
        Extension::Opaque(ExtensionType::XfrmReplayState, bytes) => Some(*bytes),
        _ => None,
    })
}

/// Refuses numbers of algorithms that are too large for a look-up.
fn check_numbers(sa_type: SaType, auth: u8, encrypt: u8) -> std::result::Result<(), Errno> {
    let encrypt_max = if sa_type == SaType::IpComp { COMPRESSION_MAX } else { ENCRYPTION_MAX };
    if auth > AUTHENTICATION_MAX || encrypt > encrypt_max { Err(libc::EINVAL) } else { Ok(()) }
}

/// Refuses empty keys of algorithms that need one.
fn check_keys(sa: &Sa, auth: Option<&Key<'_>>, encrypt: Option<&Key<'_>>) -> std::result::Result<(), Errno> {
    let is_empty = |key: Option<&Key<'_>>| key.is_some_and(|key| key.bits == 0);
    let null_auth = Authentication::from_number(Dialect::Linux, sa.auth) == Authentication::Null;
    let null_encrypt = Encryption::from_number(Dialect::Linux, sa.encrypt) == Encryption::Null;
    if (is_empty(auth) && !null_auth) || (is_empty(encrypt) && !null_encrypt) { Err(libc::EINVAL) } else { Ok(()) }
}

/// The selector of the packets that an SA accepts: a proxy address restricts the source. Without one it is empty but for
/// the family, which the kernel compares with the packet's.
fn inner_selector(message: &Message<'_>, source: IpAddr) -> XfrmSelector {
    let proxy = message.address(ExtensionType::AddressProxy);
    match proxy.and_then(|proxy| Some((proxy.sockaddr.ip()?, proxy.prefix))) {
        Some((address, source_prefix)) => XfrmSelector {
            family: family(address),
            source: Addr::of(address),
            source_prefix,
            ..XfrmSelector::default()
        },
        None => XfrmSelector { family: family(source), ..XfrmSelector::default() },
    }
}

/// The SA that a GET or DELETE names. Like `af_key`, it does not include the source address.
///
/// # Errors
/// The errno that `af_key` answers with.
pub(super) fn state_id(message: &Message<'_>) -> std::result::Result<StateId, Errno> {
    let sa = message.sa().ok_or(libc::EINVAL)?;
    let (_, destination) = endpoints(message)?;
    let proto = proto_of(message.header.sa_type).ok_or(libc::ESRCH)?;
    Ok(StateId { destination: Addr::of(destination), spi: sa.spi, family: family(destination), proto })
}

/// The larval state and the range of SPIs of a GETSPI.
///
/// # Errors
/// The errno that `af_key` answers with.
pub(super) fn spi_request(message: &Message<'_>) -> std::result::Result<(State, u32, u32), Errno> {
    let (source, destination) = endpoints(message)?;
    let proto = proto_of(message.header.sa_type).ok_or(libc::EINVAL)?;
    let sa2 = message.sa2().copied().unwrap_or_default();
    let range = message.extensions.iter().find_map(|extension| match extension {
        Extension::SpiRange(range) => Some((range.min, range.max)),
        _ => None,
    });
    // The default of `af_key`; netlink has none.
    let (min, max) = range.unwrap_or((0x100, 0x0fff_ffff));
    if min > max || (message.header.sa_type == SaType::IpComp && max >= 0x1_0000) {
        return Err(libc::EINVAL);
    }
    let mut state = State {
        selector: XfrmSelector { family: family(source), ..XfrmSelector::default() },
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
