//! Explains at level debug what was chosen and why, and warns of tunnels that racoon cannot negotiate for.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;

use crate::config::{Remote, RemoteSide, Sainfo, Side};
use crate::engine::Engine;
use crate::identity::Identity;
use crate::kernel::{Acquire, Policy};
use crate::output::Level;
use crate::phase2::TrafficKey;
use crate::phase2::traffic::{enclosing_prefix, templates, tunnel_endpoints};

/// Foreign ends that are warned of; beyond it the lines are at level debug.
const FOREIGN_MAX: usize = 64;

impl Engine {
    /// Warns of outbound tunnels whose local end is not an address of ours, once for each address.
    pub(crate) fn warn_of_foreign_ends(&mut self) {
        let is_foreign = |traffic_key: &TrafficKey| self.core.local_address(traffic_key.endpoints.local).is_none();
        let foreign = self.spd.outbound().filter_map(tunnel_of).filter(is_foreign).collect::<Vec<_>>();
        let endpoints = foreign.iter().map(|traffic_key| traffic_key.endpoints.local).collect::<BTreeSet<_>>();
        // Warn again of an address that was added and removed in between.
        self.foreign_ends.retain(|end| endpoints.contains(end));
        foreign.iter().for_each(|traffic_key| self.warn_of_foreign_end(traffic_key, "policy"));
    }

    /// The same for one policy, or an acquire.
    pub(crate) fn warn_of_foreign_end(&mut self, traffic_key: &TrafficKey, what: &'static str) {
        // As long as our own addresses are not known, all would be foreign.
        if self.core.locals.is_empty() {
            return;
        }
        let local = traffic_key.endpoints.local;
        let is_news = self.foreign_ends.len() < FOREIGN_MAX && self.foreign_ends.insert(local);
        let why = match self.core.host_addresses.contains(&local) {
            true => "racoon does not listen on it; see the listen section",
            false => "it is no address of this host",
        };
        // What another daemon on this host listens on is its business.
        let level = if is_news && !self.core.settings.local_test { Level::Warning } else { Level::Debug };
        self.core
            .log(level, None, || format!("no keys can be negotiated for the {what} {traffic_key} from {local}: {why}"));
    }

    /// Which policy an acquire is for.
    pub(crate) fn explain_acquire(&mut self, acquire: &Acquire, traffic_key: Option<&TrafficKey>) {
        let by_index = acquire.policy.is_some_and(|index| self.spd.by_index(index).is_some());
        self.core.log(Level::Debug, None, || {
            let Acquire { source, destination, protocol, seq, policy, selector } = acquire;
            let packet = selector.map(|packet| format!(" for {} -> {}", packet.source, packet.destination));
            let index = policy.map(|index| format!(", policy index {index}")).unwrap_or_default();
            let packet = packet.unwrap_or_default();
            let chosen = match traffic_key {
                Some(traffic_key) if by_index => format!("policy out {traffic_key}, which the kernel names"),
                Some(traffic_key) => format!("policy out {traffic_key}, the first that covers the packet"),
                None => String::from("no outbound policy that protects: ignored"),
            };
            format!("acquire: {protocol} {source} -> {destination}{packet} (seq {seq}{index}): {chosen}")
        });
    }

    /// Which blocks of the configuration a phase 2 goes by.
    pub(crate) fn explain_blocks(&mut self, peer: SocketAddr, traffic_key: &TrafficKey, remote: &str, sainfo: &str) {
        self.core.log(Level::Debug, Some(peer), || format!("for {traffic_key}: {remote}; {sainfo}"));
    }
}

/// A policy's tunnel, if it protects by one.
pub(crate) fn tunnel_of(policy: &Policy) -> Option<TrafficKey> {
    let endpoints = tunnel_endpoints(templates(policy)?)?;
    Some(TrafficKey { selector: policy.selector, endpoints })
}

/// A remote block, and why it was chosen.
pub(crate) fn remote_in_words(block: &Remote, by_phase1: bool) -> String {
    let why = match (by_phase1, block.address.is_some()) {
        (true, _) => "that of the phase 1",
        (false, true) => "it has the peer's address",
        (false, false) => "no block has the peer's address",
    };
    format!("remote {} ({why})", block.name)
}

/// A sainfo, and why it was chosen.
pub(crate) fn sainfo_in_words(sainfo: &Sainfo) -> String {
    let mut why = match (&sainfo.local, &sainfo.remote) {
        (Side::Anonymous, RemoteSide::Anonymous) => String::from("none names either side"),
        (Side::Anonymous, _) => String::from("it names the peer's side"),
        (_, RemoteSide::Anonymous) => String::from("it names our side"),
        _ => String::from("it names both sides"),
    };
    if let Some(from) = &sainfo.from {
        why.push_str(&format!(", from {from}"));
    }
    if sainfo.remoteid != 0 {
        why.push_str(&format!(", remoteid {}", sainfo.remoteid));
    }
    let remote = match &sainfo.remote {
        RemoteSide::Anonymous => String::from("anonymous"),
        RemoteSide::ClientAddress => String::from("clientaddr"),
        RemoteSide::Id(id) => Addresses(id).to_string(),
    };
    match &sainfo.local {
        Side::Anonymous => format!("sainfo anonymous {remote} ({why})"),
        Side::Id(id) => format!("sainfo {} {remote} ({why})", Addresses(id)),
    }
}

/// The addresses of an identity of phase 2.
struct Addresses<'a>(&'a Identity);

impl fmt::Display for Addresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match enclosing_prefix(self.0) {
            Some(prefix) if prefix.is_host() => write!(f, "{}", prefix.address()),
            Some(prefix) => write!(f, "{prefix}"),
            None => f.write_str("name"),
        }
    }
}
