//! A netlink state as the PF_KEY message that `af_key` would have made of it.

use std::net::IpAddr;

use super::algorithm::{aead_number, authentication_named, cipher_number, compression_number};
use super::conversion::{current_to_pfkey, flags_to_pfkey, limits_to_pfkey, mode_to_pfkey, parse_context, sa_type_of};
use super::layout::{Algo, Encap, Progress, ReplayEsn, State};
use super::netlink::next_attribute;
use super::numbers::{INF, attribute, state_flag};
use crate::algorithm::Authentication;
use crate::dialect::{Abi, Dialect};
use crate::error::Result;
use crate::num::{ExtensionType, MessageType, SaState};
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;
use crate::wire::{
    Address, Builder, Extension, Header, Key, Sa, Sa2, SecurityContext, SockAddr, XfrmAuthTrunc, XfrmMark, XfrmOffload,
    XfrmReplay,
};

/// The attributes of a state.
#[derive(Default)]
pub(super) struct StateAttributes<'a> {
    auth: Option<Algo<'a>>,
    cipher: Option<Algo<'a>>,
    aead: Option<Algo<'a>>,
    compression: Option<Algo<'a>>,
    encap: Option<Encap>,
    context: Option<SecurityContext<'a>>,
    replay: Option<ReplayEsn>,
    /// Sequence numbers and replay bitmap: number and contents of the attribute.
    numbers: Option<(u16, &'a [u8])>,
    /// What PF_KEY cannot express, as this library's extensions, in the order of the attributes.
    extensions: Vec<Extension<'a>>,
    /// The state itself, in notifications of a removal.
    pub(super) state: Option<State>,
}

impl<'a> StateAttributes<'a> {
    /// Reads the remaining attributes.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::Error::Malformed) for an attribute that is too short.
    pub(super) fn parse(reader: &mut Reader<'a>) -> Result<Self> {
        let mut found = Self::default();
        let mut output_mark: Option<XfrmMark> = None;
        while let Some((number, mut body)) = next_attribute(reader)? {
            match number {
                // The kernel sends both forms; this one lacks the length of the ICV.
                attribute::ALG_AUTH if found.auth.is_none() => found.auth = Some(Algo::parse(&mut body, false)?),
                attribute::ALG_AUTH_TRUNC => found.auth = Some(Algo::parse(&mut body, true)?),
                attribute::ALG_CRYPT => found.cipher = Some(Algo::parse(&mut body, false)?),
                attribute::ALG_AEAD => found.aead = Some(Algo::parse(&mut body, true)?),
                attribute::ALG_COMP => found.compression = Some(Algo::parse(&mut body, false)?),
                attribute::ENCAP => found.encap = Some(Encap::parse(&mut body)?),
                attribute::SEC_CTX => found.context = Some(parse_context(&mut body)?),
                attribute::REPLAY_VAL => found.numbers = Some((number, body.rest())),
                attribute::REPLAY_ESN_VAL => {
                    found.numbers = Some((number, body.clone().rest()));
                    found.replay = Some(ReplayEsn::parse(&mut body)?);
                }
                attribute::SA => found.state = Some(State::parse(&mut body)?),
                attribute::MARK => found.note(Extension::XfrmMark(XfrmMark::parse(&mut body)?)),
                attribute::IF_ID => found.note(Extension::XfrmIfId(body.u32()?)),
                attribute::SET_MARK => {
                    // Older kernels have no mask and set all bits.
                    output_mark.get_or_insert(XfrmMark { value: 0, mask: u32::MAX }).value = body.u32()?;
                }
                attribute::SET_MARK_MASK => output_mark.get_or_insert_default().mask = body.u32()?,
                attribute::OFFLOAD_DEV => {
                    let interface = body.u32()?;
                    let flags = u32::from(body.u8()?);
                    found.note(Extension::XfrmOffload(XfrmOffload { interface, flags }));
                }
                _ => {}
            }
        }
        found.extensions.extend(output_mark.map(Extension::XfrmOutputMark));
        Ok(found)
    }

    /// Notes an extension, unless there is one of its kind: a message must not repeat a kind.
    fn note(&mut self, extension: Extension<'a>) {
        if self.extensions.iter().all(|known| known.kind() != extension.kind()) {
            self.extensions.push(extension);
        }
    }

    /// The SA's mark, which is part of its name.
    pub(super) fn mark(&self) -> Option<XfrmMark> {
        self.extensions.iter().find_map(|extension| match extension {
            Extension::XfrmMark(mark) => Some(*mark),
            _ => None,
        })
    }

    /// PF_KEY's number of the cipher or of the compression algorithm.
    fn encrypt_number(&self) -> u8 {
        if let Some(compression) = &self.compression {
            return compression_number(compression.name);
        }
        if let Some(aead) = &self.aead {
            // The kernel has one name for all lengths of the ICV; PF_KEY has a number for each.
            return aead_number(aead.name, aead.icv_bits.unwrap_or(0));
        }
        self.cipher.map_or(0, |cipher| cipher_number(cipher.name))
    }

    /// Whether the SA is larval: netlink does not tell, but only a larval SA has no algorithm.
    pub(super) fn is_larval(&self) -> bool {
        self.auth.is_none() && self.cipher.is_none() && self.aead.is_none() && self.compression.is_none()
    }
}

/// Which parts of an SA a message includes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tell {
    /// Both limits and the keys: every message but EXPIRE.
    All,
    /// The hard limit and no keys: an EXPIRE.
    Hard,
    /// The soft limit and no keys: an EXPIRE.
    Soft,
}

/// The base header of a reply or event, and which parts of the SA follow.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplyHeader {
    pub(super) message_type: MessageType,
    pub(super) seq: u32,
    pub(super) pid: u32,
    /// State of the SA; `None` if it follows from limits and attributes.
    pub(super) state: Option<SaState>,
    pub(super) tell: Tell,
    /// Whether `XfrmReplayState` is included, which `af_key` does not have.
    pub(super) numbers: bool,
}

/// Writes the PF_KEY message about a state.
///
/// # Errors
/// Never in practice, because all parts fit their fields.
pub(super) fn sa_message(
    reply_header: ReplyHeader,
    state: &State,
    attributes: &StateAttributes<'_>,
    now: u64,
    out: &mut Vec<u8>,
) -> Result<()> {
    let ReplyHeader { message_type, seq, pid, tell, .. } = reply_header;
    let header = Header { seq, pid, ..Header::new(message_type, sa_type_of(state.id.proto)) };
    let mut builder = Builder::new(Abi::HOST, header, out)?;
    let known_auth = attributes.auth.and_then(|auth| authentication_named(auth.name));
    builder.push(&Extension::Sa(Sa {
        spi: state.id.spi,
        replay: replay(state, attributes),
        state: reply_header.state.unwrap_or_else(|| state_of(state, attributes, now)),
        auth: known_auth.and_then(|known| known.number(Dialect::Linux)).unwrap_or(0),
        encrypt: attributes.encrypt_number(),
        flags: flags_to_pfkey(state.flags),
    }))?;
    push_lifetimes(&mut builder, state, tell)?;
    builder.push(&host(ExtensionType::AddressSrc, state.source.ip(state.family)))?;
    builder.push(&host(ExtensionType::AddressDst, state.id.destination.ip(state.family)))?;
    // `af_key` compares the two, and thus shows the empty selector of most SAs as a proxy of any address.
    if state.selector.source != state.source {
        builder.push(&proxy(state))?;
    }
    if tell == Tell::All {
        push_keys(&mut builder, attributes)?;
    }
    builder.push(&Extension::Sa2(Sa2 { mode: mode_to_pfkey(state.mode), reqid: state.reqid, ..Sa2::default() }))?;
    if let Some(encap) = attributes.encap {
        builder.push(&Extension::NatTType(u8::try_from(encap.kind).unwrap_or(u8::MAX)))?;
        builder.push(&Extension::NatTPort(ExtensionType::NatTSport, encap.source_port))?;
        builder.push(&Extension::NatTPort(ExtensionType::NatTDport, encap.destination_port))?;
    }
    if let Some(context) = attributes.context {
        builder.push(&Extension::SecurityContext(context))?;
    }
    push_xfrm(&mut builder, state, attributes, known_auth)?;
    if let Some((attribute, replay)) = attributes.numbers.filter(|_| reply_header.numbers) {
        let mut bytes = Vec::new();
        Progress { current: state.current, attribute, replay }.emit(&mut Writer::new(&mut bytes, Abi::HOST));
        builder.push(&Extension::Opaque(ExtensionType::XfrmReplayState, &bytes))?;
    }
    builder.finish()
}

/// Appends limits and current use. The limits are there even if they are 0, as in messages of `af_key`.
fn push_lifetimes(builder: &mut Builder<'_>, state: &State, tell: Tell) -> Result<()> {
    let (hard, soft) = limits_to_pfkey(&state.limits);
    if tell != Tell::Soft {
        builder.push(&Extension::Lifetime(ExtensionType::LifetimeHard, hard))?;
    }
    if tell != Tell::Hard {
        builder.push(&Extension::Lifetime(ExtensionType::LifetimeSoft, soft))?;
    }
    builder.push(&Extension::Lifetime(ExtensionType::LifetimeCurrent, current_to_pfkey(&state.current)))
}

/// Appends the keys. An empty key is left out, as `af_key` does.
fn push_keys(builder: &mut Builder<'_>, attributes: &StateAttributes<'_>) -> Result<()> {
    let keys =
        [(ExtensionType::KeyAuth, attributes.auth), (ExtensionType::KeyEncrypt, attributes.aead.or(attributes.cipher))];
    for (kind, algorithm) in keys {
        let Some(Algo { key_bits, key, .. }) = algorithm.filter(|algorithm| algorithm.key_bits != 0) else { continue };
        let bits = u16::try_from(key_bits).unwrap_or(u16::MAX);
        builder.push(&Extension::Key(kind, Key { bits, reserved: 0, bytes: key }))?;
    }
    Ok(())
}

/// Appends what the messages of `af_key` do not include, as this library's extensions.
fn push_xfrm(
    builder: &mut Builder<'_>,
    state: &State,
    attributes: &StateAttributes<'_>,
    known_auth: Option<Authentication>,
) -> Result<()> {
    // Only a length that PF_KEY does not imply is shown, so that messages about other SAs are those of `af_key`.
    if let (Some(known), Some(bits)) = (known_auth, attributes.auth.and_then(|auth| auth.icv_bits))
        && bits != u32::from(known.icv_bits(Dialect::Linux))
    {
        builder.push(&Extension::XfrmAuthTrunc(XfrmAuthTrunc { icv_bits: bits, align4: false }))?;
    }
    let esn = state.flags & state_flag::ESN != 0;
    // `af_key` would report a window of 0 for such an SA.
    if let Some(replay) = attributes.replay {
        builder.push(&Extension::XfrmReplay(XfrmReplay { window: replay.window, esn }))?;
    }
    attributes.extensions.iter().try_for_each(|extension| builder.push(extension))
}

fn replay(state: &State, attributes: &StateAttributes<'_>) -> u8 {
    match attributes.replay {
        Some(replay) => u8::try_from(replay.window).unwrap_or(u8::MAX),
        None => state.replay_window,
    }
}

/// The state of the SA, which netlink does not report.
fn state_of(state: &State, attributes: &StateAttributes<'_>, now: u64) -> SaState {
    if attributes.is_larval() {
        return SaState::Larval;
    }
    let (limits, current) = (&state.limits, &state.current);
    // A use time of 0 means that the SA has not been used, so its limit does not run.
    let passed = |limit: u64, since: u64| limit != 0 && since != 0 && now >= since.saturating_add(limit);
    let dying = (limits.soft_bytes != INF && current.bytes >= limits.soft_bytes)
        || (limits.soft_packets != INF && current.packets >= limits.soft_packets)
        || passed(limits.soft_add, current.add_time)
        || passed(limits.soft_use, current.use_time);
    if dying { SaState::Dying } else { SaState::Mature }
}

/// An address of an SA. In the messages of Linux its protocol is 0.
pub(super) fn host<'a>(kind: ExtensionType, address: IpAddr) -> Extension<'a> {
    Extension::Address(kind, Address { proto: 0, ..Address::host(SockAddr::from(address)) })
}

/// The source of the state's selector, which is any for most states.
fn proxy<'a>(state: &State) -> Extension<'a> {
    let selector = &state.selector;
    let family = if selector.family == 0 { state.family } else { selector.family };
    let sockaddr = SockAddr::from(selector.source.ip(family));
    let prefix = selector.source_prefix.min(sockaddr.full_prefix());
    Extension::Address(ExtensionType::AddressProxy, Address { prefix, ..Address::host(sockaddr) })
}
