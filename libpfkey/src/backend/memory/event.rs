//! Events of a kernel: packets that need an SA, and SAs that expire.

use std::net::SocketAddr;

use nix::errno::Errno;

use super::engine::{Engine, Outcome, To};
use super::reply;
use super::sa_request::LARVAL_SECONDS;
use super::sad::{Association, SaEndpoints, without_port};
use super::spd::StoredPolicy;
use crate::dialect::Dialect;
use crate::num::{DIR_OUT, ExtensionType, IPPROTO_AH, IPPROTO_ESP, MessageType, POLICY_IPSEC, SaState, SaType};
use crate::rules;
use crate::wire::{Combination, Extension, Header, IpsecRequest, Lifetime, Message, Policy, Proposal, Sa2, SockAddr};

/// Seconds after an ACQUIRE in which the BSDs send no second one for the same addresses.
const BLOCK_SECONDS: u64 = 20;

impl Engine {
    /// Simulates an outbound packet: sends an ACQUIRE for each SA that its policy requires and that does not exist. Returns
    /// their number.
    pub(super) fn packet_out(&mut self, source: SocketAddr, destination: SocketAddr, proto: u8) -> usize {
        self.expire_due();
        let Some(stored) = self.spd.matching(DIR_OUT, (source, destination, proto)) else { return 0 };
        if stored.policy.kind != POLICY_IPSEC || !self.has_registered() {
            return 0;
        }
        let wanted = self.wanted(stored, source, destination);
        let policy = stored.policy.clone();
        wanted.into_iter().filter(|(pair, sa2)| self.acquire(*pair, *sa2, Some(&policy)).is_ok_and(|sent| sent)).count()
    }

    /// The missing SAs that a policy requires for a packet.
    fn wanted(&self, stored: &StoredPolicy, source: SocketAddr, destination: SocketAddr) -> Vec<(SaEndpoints, Sa2)> {
        let dialect = self.abi.dialect;
        let want = |request: &IpsecRequest| {
            let (from, to) = request.endpoints.unwrap_or((SockAddr::Inet(source), SockAddr::Inet(destination)));
            let sa_type = match request.proto {
                IPPROTO_AH => SaType::Ah,
                IPPROTO_ESP => SaType::Esp,
                _ => SaType::IpComp,
            };
            let pair = (sa_type, without_port(dialect, &from)?, without_port(dialect, &to)?);
            let usable = |sa: &Association| {
                matches!(sa.sa.state, SaState::Mature | SaState::Dying)
                    && (request.reqid == 0 || request.reqid == sa.sa2.reqid)
            };
            let is_there = self.sad.between(pair).any(|(_, sa)| usable(sa));
            let sa2 = Sa2 { mode: request.mode, reqid: request.reqid, ..Sa2::default() };
            (!is_there).then_some((pair, sa2))
        };
        stored.policy.requests.iter().filter_map(want).collect()
    }

    /// Sends an ACQUIRE, unless one is pending.
    fn acquire(&mut self, pair: SaEndpoints, sa2: Sa2, policy: Option<&Policy>) -> Result<bool, Errno> {
        let now = self.now();
        if self.acquires.get(&pair).is_some_and(|(until, _)| now < *until) {
            return Ok(false);
        }
        let dialect = self.abi.dialect;
        self.acquire_seq = self.acquire_seq.checked_add(1).unwrap_or(1);
        let mut header = Header::new(MessageType::Acquire, pair.0);
        header.seq = self.acquire_seq;
        let mut message = reply::acquire(dialect, (pair.1, pair.2), policy, sa2);
        message.extend(proposal(dialect, pair.0));
        self.tell(&header, &message, To::Registered)?;
        let entry = if self.is_linux() {
            let mut larval = Association::larval(pair.0, 0, pair.1, pair.2, now);
            larval.sa2 = sa2;
            larval.hard = Some(Lifetime { addtime: LARVAL_SECONDS, ..Lifetime::default() });
            larval.is_acquire = true;
            Some(self.sad.insert(larval))
        } else {
            None
        };
        let seconds = if self.is_linux() { LARVAL_SECONDS } else { BLOCK_SECONDS };
        self.acquires.insert(pair, (now.saturating_add(seconds), entry));
        Ok(true)
    }

    /// Handles an ACQUIRE from a key manager: a failure, which is not answered; on the BSDs also a request to negotiate.
    pub(super) fn acquire_from_user(&mut self, request: &Message<'_>) -> Outcome {
        if request.extensions.is_empty() {
            return Ok(());
        }
        if self.is_linux() {
            return Err(Errno::EOPNOTSUPP);
        }
        let (Some(source), Some(destination)) = (request.source(), request.destination()) else {
            return Err(Errno::EINVAL);
        };
        if !request.extensions.iter().any(|extension| extension.kind() == ExtensionType::Proposal) {
            return Err(Errno::EINVAL);
        }
        let dialect = self.abi.dialect;
        let ends = (without_port(dialect, &source.sockaddr), without_port(dialect, &destination.sockaddr));
        let (Some(from), Some(to)) = ends else { return Err(Errno::EINVAL) };
        let pair = (request.header.sa_type, from, to);
        if self.sad.between(pair).next().is_some() {
            return Err(Errno::EEXIST);
        }
        self.acquire(pair, Sa2::default(), None).map(drop)
    }

    /// Expires what has reached a time limit.
    pub(super) fn expire_due(&mut self) {
        let now = self.now();
        while let Some(age) = self.sad.due(now) {
            let Some(sa) = self.sad.get(age) else { return };
            let is_netbsd = self.abi.dialect == Dialect::NetBsd;
            let soft_first = is_netbsd && sa.sa.state == SaState::Mature;
            if sa.is_over(now) && !soft_first {
                self.expire_hard(age);
            } else if is_netbsd && sa.current.allocations == 0 {
                // NetBSD removes unused SAs silently.
                self.sad.remove(age);
            } else {
                self.expire_soft(age);
            }
        }
    }

    /// Marks an SA as dying at its soft limit, and sends an EXPIRE to registered handles.
    pub(super) fn expire_soft(&mut self, age: u64) {
        self.sad.change(age, |sa| sa.sa.state = SaState::Dying);
        let message = self.sad.get(age).and_then(|sa| self.expiry(sa, false));
        if let Some(message) = message {
            self.deliver(&message, To::Registered);
        }
    }

    /// Removes an SA at its hard limit. NetBSD sends no EXPIRE for it, and no BSD sends one for a larval SA.
    pub(super) fn expire_hard(&mut self, age: u64) {
        let Some(mut sa) = self.sad.remove(age) else { return };
        let silent = match self.abi.dialect {
            Dialect::Linux => false,
            Dialect::NetBsd => true,
            Dialect::FreeBsd | Dialect::Darwin => sa.sa.state == SaState::Larval,
        };
        sa.sa.state = SaState::Dead;
        if let Some(message) = self.expiry(&sa, true).filter(|_| !silent) {
            self.deliver(&message, To::Registered);
        }
    }

    fn expiry(&self, sa: &Association, hard: bool) -> Option<zeroize::Zeroizing<Vec<u8>>> {
        let mut header = Header::new(MessageType::Expire, sa.sa_type);
        header.reserved = if self.is_linux() { 0 } else { 2 };
        self.compose(&header, &reply::expiry(self.abi.dialect, sa, hard)).ok()
    }
}

/// The proposal of an ACQUIRE: from Linux an empty one for policies made through PF_KEY, from the BSDs all ciphers.
fn proposal(dialect: Dialect, sa_type: SaType) -> Option<Extension<'static>> {
    if dialect == Dialect::Linux {
        let empty = Proposal { replay: 32, combinations: Vec::new() };
        return (sa_type != SaType::IpComp).then_some(Extension::Proposal(empty));
    }
    let combination = |cipher: crate::wire::Algorithm| Combination {
        encrypt: cipher.id,
        encrypt_min_bits: cipher.min_bits,
        encrypt_max_bits: cipher.max_bits,
        soft_addtime: 69_120,
        hard_addtime: 86_400,
        soft_usetime: 23_040,
        hard_usetime: 28_800,
        ..Combination::default()
    };
    let combinations = match sa_type {
        SaType::Esp => {
            rules::algorithms::encryption(dialect).into_iter().filter(|c| c.min_bits > 0).map(combination).collect()
        }
        _ => Vec::new(),
    };
    Some(Extension::Proposal(Proposal { replay: 32, combinations }))
}
