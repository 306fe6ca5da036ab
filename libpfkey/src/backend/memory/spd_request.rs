//! Requests about policies.

use nix::errno::Errno;

use super::engine::{Engine, Outcome, To};
use super::reply;
use super::sa_dump::dump_seq;
use super::sa_request::echo;
use super::sad::Label;
use super::spd::{PolicyKey, StoredPolicy};
use crate::dialect::Dialect;
use crate::num::{
    DIR_FWD, DIR_IN, DIR_OUT, ExtensionType, LEVEL_REQUIRE, LEVEL_UNIQUE, LEVEL_USE, MANUAL_REQID_MAX, MODE_TUNNEL,
    MessageType, POLICY_IPSEC, SCOPE_GLOBAL,
};
use crate::rules;
use crate::wire::{Address, Extension, Header, IpsecRequest, Lifetime, Message, Policy};

/// The reference counts that Linux and the BSDs show of a policy.
const COUNT_IN_ANSWER: u16 = 3;
const COUNT_IN_GET: u16 = 2;
const COUNT_IN_DUMP: u16 = 1;

impl Engine {
    pub(super) fn spdadd(&mut self, request: &Message<'_>) -> Outcome {
        let (source, destination, asked) = self.selector_parts(request)?;
        let selector = PolicyKey::new(self.abi.dialect, asked.direction, &source, &destination).ok_or(Errno::EINVAL)?;
        rules::policy(self.abi.dialect, request.header.message_type, asked)?;
        let old = self.spd.find(&selector);
        let is_update = request.header.message_type == MessageType::SpdUpdate;
        if old.is_some() && !is_update {
            return Err(Errno::EEXIST);
        }
        let mut policy = asked.clone();
        policy.requests = self.lower_requests(asked);
        if !self.abi.dialect.has_priority() {
            policy.priority = 0;
        }
        let old = old.and_then(|age| self.spd.remove(age));
        // Linux keeps the id of a policy that is replaced.
        policy.id = match &old {
            Some(old) if self.is_linux() => old.policy.id,
            _ => self.spd.new_id(policy.direction),
        };
        let stored = StoredPolicy {
            source,
            destination,
            hard: request.lifetime(ExtensionType::LifetimeHard).copied(),
            soft: request.lifetime(ExtensionType::LifetimeSoft).copied(),
            current: Lifetime { addtime: self.now(), ..Lifetime::default() },
            policy,
            label: Label::of(request),
            place: 0,
        };
        let age = self.spd.insert(stored, old.as_ref());
        let mut header = request.header;
        if self.is_linux() {
            if header.message_type == MessageType::SpdSetIdx {
                header.message_type = MessageType::SpdAdd;
            }
            return self.answer_policy(header, COUNT_IN_ANSWER, age, To::All);
        }
        let id = self.spd.get(age).map_or(0, |stored| stored.policy.id);
        self.answer_bsd(request, id)
    }

    /// The BSDs repeat the request with the id; FreeBSD with the reqids it chose too.
    fn answer_bsd(&mut self, request: &Message<'_>, id: u32) -> Outcome {
        let Some(asked) = request.policy() else { return Err(Errno::EINVAL) };
        let stored = self.spd.find_id(id).and_then(|age| self.spd.get(age));
        let policy = match stored {
            Some(stored) if self.abi.dialect == Dialect::FreeBsd => stored.policy.clone(),
            _ => Policy { id, ..asked.clone() },
        };
        let mut reply = vec![Extension::Policy(policy)];
        reply.extend(echo(
            request,
            &[ExtensionType::LifetimeHard, ExtensionType::AddressSrc, ExtensionType::AddressDst],
        ));
        self.answer(&request.header, 0, &reply, To::All)
    }

    pub(super) fn spddelete(&mut self, request: &Message<'_>) -> Outcome {
        let (source, destination, asked) = self.selector_parts(request)?;
        if self.abi.dialect == Dialect::FreeBsd && asked.kind > POLICY_IPSEC {
            return Err(Errno::EINVAL);
        }
        let selector = PolicyKey::new(self.abi.dialect, asked.direction, &source, &destination).ok_or(Errno::EINVAL)?;
        let missing = if self.is_linux() { Errno::ENOENT } else { Errno::EINVAL };
        let age = self.spd.find(&selector).ok_or(missing)?;
        let Some(old) = self.spd.remove(age) else { return Err(missing) };
        if self.is_linux() {
            return self.answer(&request.header, 1, &reply::policy(Dialect::Linux, &old), To::All);
        }
        let mut reply = vec![Extension::Policy(Policy { id: old.policy.id, ..asked.clone() })];
        reply.extend(echo(request, &[ExtensionType::AddressSrc, ExtensionType::AddressDst]));
        self.answer(&request.header, 0, &reply, To::All)
    }

    pub(super) fn spddelete2(&mut self, request: &Message<'_>) -> Outcome {
        let missing = if self.is_linux() { Errno::ENOENT } else { Errno::EINVAL };
        let age = self.policy_by_id(request)?.ok_or(missing)?;
        let Some(old) = self.spd.remove(age) else { return Err(missing) };
        if self.is_linux() {
            return self.answer(&request.header, 1, &reply::policy(Dialect::Linux, &old), To::All);
        }
        self.answer(&request.header, 0, &echo(request, &[ExtensionType::Policy]), To::All)
    }

    pub(super) fn spdget(&mut self, from: u64, request: &Message<'_>) -> Outcome {
        let age = self.policy_by_id(request)?.ok_or(Errno::ENOENT)?;
        self.answer_policy(request.header, COUNT_IN_GET, age, To::One(from))
    }

    pub(super) fn spddump(&mut self, from: u64, request: &Message<'_>) -> Outcome {
        let ages = self.spd.dump();
        // FreeBSD takes the SA type for a mask of scopes; policies that came through PF_KEY are global.
        let scope = request.header.sa_type.number(self.abi.dialect).unwrap_or(0);
        let is_elsewhere = self.abi.dialect == Dialect::FreeBsd && scope != 0 && scope & SCOPE_GLOBAL == 0;
        if ages.is_empty() || is_elsewhere {
            return Err(Errno::ENOENT);
        }
        for (index, age) in ages.iter().enumerate() {
            let seq = dump_seq(self.abi.dialect, index, ages.len());
            self.answer_policy(Header { seq, ..request.header }, COUNT_IN_DUMP, *age, To::Quietly(from))?;
        }
        Ok(())
    }

    pub(super) fn spdflush(&mut self, from: u64, request: &Message<'_>) -> Outcome {
        let any = self.spd.clear();
        self.answer_flush(from, request, any)
    }

    /// The policy whose id a request names.
    fn policy_by_id(&self, request: &Message<'_>) -> Result<Option<u64>, Errno> {
        let id = request.policy().ok_or(Errno::EINVAL)?.id;
        // Linux has the direction in the low bits.
        if self.is_linux() && id & 7 > 2 {
            return Err(Errno::EINVAL);
        }
        Ok(self.spd.find_id(id))
    }

    fn answer_policy(&mut self, header: Header, reserved: u16, age: u64, to: To) -> Outcome {
        let Some(stored) = self.spd.get(age) else { return Err(Errno::ENOENT) };
        let header = Header { errno: 0, reserved, ..header };
        let message = self.compose(&header, &reply::policy(self.abi.dialect, stored))?;
        self.deliver(&message, to);
        Ok(())
    }

    /// The addresses and the policy of a request, as they are stored.
    fn selector_parts<'m>(&self, request: &'m Message<'_>) -> Result<(Address, Address, &'m Policy), Errno> {
        rules::selector(request)?;
        let parts = (request.source(), request.destination(), request.policy());
        let (Some(source), Some(destination), Some(policy)) = parts else { return Err(Errno::EINVAL) };
        let (mut source, mut destination) = (*source, *destination);
        if self.is_linux() {
            // The destination's protocol is the one that counts; 0 comes back as any.
            let proto = if destination.proto == 0 { crate::num::ULPROTO_ANY } else { destination.proto };
            (source.proto, destination.proto) = (proto, proto);
        } else if source.proto != destination.proto {
            return Err(Errno::EINVAL);
        }
        (source.reserved, destination.reserved) = (0, 0);
        let known = match policy.direction {
            DIR_IN | DIR_OUT => true,
            DIR_FWD => self.abi.dialect.has_forward(),
            _ => false,
        };
        if known { Ok((source, destination, policy)) } else { Err(Errno::EINVAL) }
    }

    /// The steps of a policy as the kernel keeps them.
    fn lower_requests(&mut self, policy: &Policy) -> Vec<IpsecRequest> {
        if policy.kind != POLICY_IPSEC {
            return Vec::new();
        }
        let linux = self.is_linux();
        let lower = |request: &IpsecRequest| {
            let mut kept = *request;
            if linux && request.mode < MODE_TUNNEL {
                kept.endpoints = None;
            }
            if linux && !matches!(request.level, LEVEL_USE | LEVEL_UNIQUE) {
                kept.level = LEVEL_REQUIRE;
            }
            kept.reqid = match request.level {
                LEVEL_UNIQUE if request.reqid == 0 || request.reqid > MANUAL_REQID_MAX => self.spd.new_reqid(),
                LEVEL_UNIQUE => request.reqid,
                _ => 0,
            };
            kept
        };
        policy.requests.iter().map(lower).collect()
    }
}
