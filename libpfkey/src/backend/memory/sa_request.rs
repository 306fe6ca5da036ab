//! Requests about SAs.

use std::net::SocketAddr;

use nix::errno::Errno;

use super::engine::{Engine, Outcome, To};
use super::reply;
use super::sad::{Association, Encapsulation, Label, SaEndpoints, without_port};
use crate::algorithm::Encryption;
use crate::dialect::Dialect;
use crate::num::{ExtensionType, MODE_TRANSPORT, MODE_TUNNEL, SaFlags, SaState, SaType};
use crate::rules;
use crate::wire::{Extension, Lifetime, Message, Sa2, SpiRange};

/// Seconds that an SPI is held, or an ACQUIRE under way.
pub(super) const LARVAL_SECONDS: u64 = 30;

/// SPIs that are tried before the range counts as taken.
const SPI_TRIES: u32 = 4096;

/// What the BSDs repeat of a request, in their order.
const ECHOED: [ExtensionType; 14] = [
    ExtensionType::Sa,
    ExtensionType::Sa2,
    ExtensionType::AddressSrc,
    ExtensionType::AddressDst,
    ExtensionType::LifetimeHard,
    ExtensionType::LifetimeSoft,
    ExtensionType::IdentitySrc,
    ExtensionType::IdentityDst,
    ExtensionType::NatTType,
    ExtensionType::NatTSport,
    ExtensionType::NatTDport,
    ExtensionType::NatTOaInitiator,
    ExtensionType::NatTOaResponder,
    ExtensionType::NatTFrag,
];

/// The extensions of a request that an answer repeats: those of `kinds`, in that order.
pub(super) fn echo<'a>(request: &Message<'a>, kinds: &[ExtensionType]) -> Vec<Extension<'a>> {
    let pick = |kind: &ExtensionType| request.extensions.iter().find(|extension| extension.kind() == *kind).cloned();
    kinds.iter().filter_map(pick).collect()
}

impl Engine {
    pub(super) fn getspi(&mut self, from: u64, request: &Message<'_>) -> Outcome {
        let pair = self.pair(request)?;
        let sa2 = self.sa2(request)?;
        let spi = self.free_spi(pair, request)?;
        let mut larval = Association::larval(pair.0, spi, pair.1, pair.2, self.now());
        larval.sa2 = sa2;
        larval.pid = request.header.pid;
        larval.hard = Some(Lifetime { addtime: LARVAL_SECONDS, ..Lifetime::default() });
        let age = self.sad.insert(larval);
        if self.is_linux() {
            return self.answer_sa(request, age, To::One(from));
        }
        let mut reply = vec![Extension::Sa(crate::wire::Sa::named(spi))];
        reply.extend(echo(request, &[ExtensionType::AddressSrc, ExtensionType::AddressDst]));
        self.answer(&request.header, 0, &reply, To::One(from))
    }

    fn free_spi(&self, pair: SaEndpoints, request: &Message<'_>) -> Result<u32, Errno> {
        let asked = request.extensions.iter().find_map(|extension| match extension {
            Extension::SpiRange(range) => Some(*range),
            _ => None,
        });
        let mut range = asked.unwrap_or(SpiRange { min: 0x100, max: 0x0fff_ffff });
        rules::spi_range(request)?;
        if pair.0 == SaType::IpComp && range.max > 0xffff {
            range = SpiRange { min: range.min.min(0xffff), max: 0xffff };
        }
        if range.min > range.max {
            return Err(Errno::EINVAL);
        }
        let exhausted = match self.abi.dialect {
            Dialect::Linux => Errno::ENOENT,
            Dialect::FreeBsd => Errno::EEXIST,
            Dialect::NetBsd | Dialect::Darwin => Errno::EINVAL,
        };
        let size = u64::from(range.max - range.min) + 1;
        let start = u64::from(crate::arbitrary::arbitrary_u32());
        let candidates = (0..u64::from(SPI_TRIES).min(size)).filter_map(|step| {
            let offset = u32::try_from((start + step) % size).ok()?;
            range.min.checked_add(offset)
        });
        let mut free = candidates.filter(|spi| *spi != 0 && self.sad.find(pair, *spi).is_none());
        match self.abi.dialect {
            Dialect::NetBsd if pair.2.ip().is_loopback() => free.find(|spi| !self.sad.has_local_spi(*spi)),
            // It does not look who else has an SPI of another host's.
            Dialect::NetBsd => free.next().or(Some(range.min).filter(|spi| *spi != 0)),
            _ => free.next(),
        }
        .ok_or(exhausted)
    }

    pub(super) fn add(&mut self, request: &Message<'_>) -> Outcome {
        let pair = self.pair(request)?;
        let association = self.association(pair, request)?;
        if self.sad.find_with_reqid(pair, association.sa.spi, association.sa2.reqid).is_some() {
            return Err(Errno::EEXIST);
        }
        self.end_acquire(&pair);
        let age = self.sad.insert(association);
        self.answer_change(request, age)
    }

    pub(super) fn update(&mut self, request: &Message<'_>) -> Outcome {
        let pair = self.pair(request)?;
        let mut association = self.association(pair, request)?;
        let (spi, reqid) = (association.sa.spi, association.sa2.reqid);
        let age = self.sad.find_with_reqid(pair, spi, reqid).ok_or_else(|| self.missing_for_update(pair, reqid))?;
        let Some(old) = self.sad.get(age) else { return Err(Errno::ESRCH) };
        if self.abi.dialect == Dialect::FreeBsd && (old.source, old.destination) != (pair.1, pair.2) {
            return Err(Errno::ESRCH);
        }
        if !self.is_linux() && old.pid != request.header.pid {
            return Err(Errno::EINVAL);
        }
        let mature = old.sa.state != SaState::Larval;
        let old_sa2 = old.sa2;
        let has_key = association.auth_key.is_some() || association.encrypt_key.is_some();
        match self.abi.dialect {
            Dialect::FreeBsd if mature && has_key => return Err(Errno::EINVAL),
            Dialect::Linux if mature => return self.update_mature(request, age, association),
            _ => {}
        }
        self.end_acquire(&pair);
        if mature && self.abi.dialect == Dialect::FreeBsd {
            self.sad.change(age, |old| {
                (old.hard, old.soft) = (association.hard, association.soft);
                old.encapsulation = association.encapsulation.or(old.encapsulation);
                old.sa.state = SaState::Mature;
            });
        } else {
            if request.sa2().is_none() {
                association.sa2 = old_sa2;
            }
            self.sad.replace(age, association);
        }
        self.answer_change(request, age)
    }

    /// Linux changes only limits and ports of an SA in use, yet answers with what the request said, state dead.
    fn update_mature(&mut self, request: &Message<'_>, age: u64, mut association: Association) -> Outcome {
        let kind = |encapsulation: Option<Encapsulation>| encapsulation.map(|encapsulation| encapsulation.kind);
        if self.sad.get(age).is_some_and(|old| kind(old.encapsulation) != kind(association.encapsulation)) {
            return Err(Errno::EINVAL);
        }
        self.sad.change(age, |old| {
            (old.hard, old.soft) = (association.hard, association.soft);
            old.encapsulation = association.encapsulation;
            old.sa.state = SaState::Mature;
        });
        association.sa.state = SaState::Dead;
        let reply = reply::association(self.abi.dialect, &association);
        self.answer(&request.header, 0, &reply, To::All)
    }

    fn missing_for_update(&self, pair: SaEndpoints, reqid: u32) -> Errno {
        match self.abi.dialect {
            Dialect::Linux => Errno::ESRCH,
            Dialect::FreeBsd => Errno::EINVAL,
            Dialect::NetBsd if self.sad.group(pair, reqid).is_none() => Errno::ENOENT,
            Dialect::Darwin if self.sad.between(pair).next().is_none() => Errno::ENOENT,
            Dialect::NetBsd | Dialect::Darwin => Errno::EINVAL,
        }
    }

    pub(super) fn delete(&mut self, request: &Message<'_>) -> Outcome {
        let pair = self.pair(request)?;
        let Some(sa) = request.sa() else {
            if self.is_linux() {
                return Err(Errno::EINVAL);
            }
            let of_age = |(age, sa): (u64, &Association)| (sa.sa.state != SaState::Larval).then_some(age);
            let ages: Vec<u64> = self.sad.between(pair).filter_map(of_age).collect();
            for age in ages {
                self.sad.remove(age);
            }
            let reply = echo(request, &[ExtensionType::AddressSrc, ExtensionType::AddressDst]);
            return self.answer(&request.header, 0, &reply, To::All);
        };
        let age = self.named(pair, sa.spi)?;
        let Some(mut association) = self.sad.remove(age) else { return Err(self.missing()) };
        if self.is_linux() {
            association.sa.state = SaState::Dead;
            let reply = reply::association(Dialect::Linux, &association);
            return self.answer(&request.header, 0, &reply, To::All);
        }
        let reply = echo(request, &[ExtensionType::Sa, ExtensionType::AddressSrc, ExtensionType::AddressDst]);
        self.answer(&request.header, 0, &reply, To::All)
    }

    pub(super) fn get(&mut self, from: u64, request: &Message<'_>) -> Outcome {
        let pair = self.pair(request)?;
        let spi = request.sa().ok_or(Errno::EINVAL)?.spi;
        let age = self.named(pair, spi)?;
        self.answer_sa(request, age, To::One(from))
    }

    /// The ends that a request names.
    fn pair(&self, request: &Message<'_>) -> Result<SaEndpoints, Errno> {
        let (Some(source), Some(destination)) = (request.source(), request.destination()) else {
            return Err(Errno::EINVAL);
        };
        let ends =
            (without_port(self.abi.dialect, &source.sockaddr), without_port(self.abi.dialect, &destination.sockaddr));
        let (Some(from), Some(to)) = ends else { return Err(Errno::EINVAL) };
        let proto_differs = !self.is_linux() && source.proto != destination.proto;
        if from.is_ipv4() != to.is_ipv4() || proto_differs || !rules::is_valid(source) || !rules::is_valid(destination)
        {
            return Err(Errno::EINVAL);
        }
        Ok((request.header.sa_type, from, to))
    }

    fn sa2(&self, request: &Message<'_>) -> Result<Sa2, Errno> {
        let linux = self.is_linux();
        let asked = request.sa2().copied().unwrap_or_default();
        if asked.mode > if linux { 3 } else { MODE_TUNNEL } {
            return Err(Errno::EINVAL);
        }
        // Linux knows no mode any.
        let mode = if linux && asked.mode == 0 { MODE_TRANSPORT } else { asked.mode };
        // NetBSD keeps 16 bits.
        let reqid = if self.abi.dialect == Dialect::NetBsd { asked.reqid & 0xffff } else { asked.reqid };
        Ok(Sa2 { mode, reqid, ..Sa2::default() })
    }

    /// The mature SA that an ADD or UPDATE describes.
    fn association(&self, pair: SaEndpoints, request: &Message<'_>) -> Result<Association, Errno> {
        let linux = self.is_linux();
        let mut sa = *request.sa().ok_or(Errno::EINVAL)?;
        let hard = request.lifetime(ExtensionType::LifetimeHard).copied();
        let soft = request.lifetime(ExtensionType::LifetimeSoft).copied();
        rules::association(request, false)?;
        sa.state = SaState::Mature;
        if linux {
            sa.replay = sa.replay.min(32);
            sa.flags &= SaFlags::NOECN | SaFlags::DECAP_DSCP | SaFlags::NOPMTUDISC;
        } else {
            sa.flags &= SaFlags::from_bits_retain(0xfff);
        }
        let mut association = Association::larval(pair.0, sa.spi, pair.1, pair.2, self.now());
        association.sa = sa;
        association.sa2 = self.sa2(request)?;
        association.pid = request.header.pid;
        (association.hard, association.soft) = (hard, soft);
        association.encapsulation = Encapsulation::of(request);
        association.set_keys(request);
        association.current.usetime = self.unused_since();
        if pair.0 == SaType::Esp {
            let dialect = self.abi.dialect;
            let bits = association.encrypt_key.as_ref().map_or(0, |key| key.bits);
            let tag = rules::algorithms::tag_of(dialect, Encryption::from_number(dialect, sa.encrypt), bits);
            association.sa.auth = tag.and_then(|tag| tag.number(dialect)).unwrap_or(sa.auth);
        }
        if linux {
            association.label = Label::of(request);
            association.proxy = proxy(request, pair.1);
        }
        Ok(association)
    }

    /// The SA that GET or DELETE names.
    fn named(&self, pair: SaEndpoints, spi: u32) -> Result<u64, Errno> {
        let age = self.sad.find(pair, spi).ok_or(self.missing())?;
        let same_ends = |sa: &Association| (sa.source, sa.destination) == (pair.1, pair.2);
        if self.abi.dialect == Dialect::FreeBsd && !self.sad.get(age).is_some_and(same_ends) {
            return Err(Errno::ESRCH);
        }
        Ok(age)
    }

    fn missing(&self) -> Errno {
        match self.abi.dialect {
            Dialect::Linux | Dialect::FreeBsd => Errno::ESRCH,
            Dialect::NetBsd | Dialect::Darwin => Errno::ENOENT,
        }
    }

    /// The answer to ADD and UPDATE: Linux shows what it has now, the BSDs what was asked, without keys.
    fn answer_change(&mut self, request: &Message<'_>, age: u64) -> Outcome {
        if self.is_linux() {
            return self.answer_sa(request, age, To::All);
        }
        self.answer(&request.header, 0, &echo(request, &ECHOED), To::All)
    }

    fn answer_sa(&mut self, request: &Message<'_>, age: u64, to: To) -> Outcome {
        let Some(sa) = self.sad.get(age) else { return Err(self.missing()) };
        let reserved = u16::from(!self.is_linux());
        let header = crate::Header { errno: 0, reserved, ..request.header };
        let message = self.compose(&header, &reply::association(self.abi.dialect, sa))?;
        self.deliver(&message, to);
        Ok(())
    }

    /// Forgets an ACQUIRE that an SA answers, and Linux' entry for it.
    fn end_acquire(&mut self, pair: &SaEndpoints) {
        if let Some((_, Some(age))) = self.acquires.remove(pair) {
            self.sad.remove(age);
        }
    }
}

/// The source that Linux shows of an SA's selector where it is not the SA's own.
fn proxy(request: &Message<'_>, source: SocketAddr) -> Option<crate::wire::Address> {
    let mut proxy = match request.address(ExtensionType::AddressProxy) {
        Some(asked) if rules::is_valid(asked) => *asked,
        _ => reply::wildcard(source),
    };
    proxy.proto = crate::num::ULPROTO_ANY;
    (proxy.sockaddr.ip() != Some(source.ip())).then_some(proxy)
}
