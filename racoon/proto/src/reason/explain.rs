//! Lines at level debug about what was selected and why, and warnings about tunnels for which racoon cannot negotiate.

use std::collections::BTreeSet;
use std::fmt;

use crate::config::{Remote, RemoteSide, Sainfo, Side};
use crate::engine::core::Core;
use crate::identity::Identity;
use crate::kernel::{Acquire, Policy};
use crate::output::Level;
use crate::phase2::TrafficKey;
use crate::phase2::traffic::{enclosing_prefix, templates, tunnel_endpoints};

/// Foreign ends that are warned of; beyond it the lines are at level debug.
const FOREIGN_MAX: usize = 64;

impl Core {
    /// Warns of outbound tunnels whose local end is not an address of ours, once for each address.
    pub(crate) fn warn_of_foreign_endpoints(&mut self) {
        let is_foreign = |traffic_key: &TrafficKey| self.local_address(traffic_key.endpoints.local).is_none();
        let foreign = self.spd.outbound().filter_map(tunnel_of).filter(is_foreign).collect::<Vec<_>>();
        let endpoints = foreign.iter().map(|traffic_key| traffic_key.endpoints.local).collect::<BTreeSet<_>>();
        // Warn again of an address that was added and removed in between.
        self.foreign_endpoints.retain(|endpoint| endpoints.contains(endpoint));
        foreign.iter().for_each(|traffic_key| self.warn_of_foreign_endpoint(traffic_key, "policy"));
    }

    /// The same for one policy, or an acquire.
    pub(crate) fn warn_of_foreign_endpoint(&mut self, traffic_key: &TrafficKey, what: &'static str) {
        // As long as our own addresses are not known, all would be foreign.
        if self.locals.is_empty() {
            return;
        }
        let local = traffic_key.endpoints.local;
        let is_news = self.foreign_endpoints.len() < FOREIGN_MAX && self.foreign_endpoints.insert(local);
        let why = match self.host_addresses.contains(&local) {
            true => "racoon does not listen on it; see the listen section",
            false => "it is no address of this host",
        };
        // What another daemon on this host listens on is its business.
        let level = if is_news && !self.settings.local_test { Level::Warning } else { Level::Debug };
        self.log(level, None, || format!("no keys can be negotiated for the {what} {traffic_key} from {local}: {why}"));
    }

    /// Which policy an acquire is for.
    pub(crate) fn explain_acquire(&mut self, acquire: &Acquire, traffic_key: Option<&TrafficKey>) {
        let by_index = acquire.policy.is_some_and(|index| self.spd.by_index(index).is_some());
        self.log(Level::Debug, None, || {
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
}

/// A policy's tunnel, if it protects by one.
pub(crate) fn tunnel_of(policy: &Policy) -> Option<TrafficKey> {
    let endpoints = tunnel_endpoints(templates(policy)?)?;
    Some(TrafficKey { selector: policy.selector, endpoints })
}

/// The sections of the configuration that a phase 2 uses.
pub(crate) fn sections(traffic_key: &TrafficKey, remote: &Remote, by_phase1: bool, sainfo: &Sainfo) -> String {
    format!("for {traffic_key}: {}; {}", RemoteChoice { remote, by_phase1 }, SainfoChoice(sainfo))
}

/// A remote section, and why it was chosen.
struct RemoteChoice<'a> {
    remote: &'a Remote,
    /// It is that of the phase 1.
    by_phase1: bool,
}

impl fmt::Display for RemoteChoice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match (self.by_phase1, self.remote.address.is_some()) {
            (true, _) => "that of the phase 1",
            (false, true) => "it has the peer's address",
            (false, false) => "no section has the peer's address",
        };
        write!(f, "remote {} ({why})", self.remote.name)
    }
}

/// A sainfo, and why it was chosen.
struct SainfoChoice<'a>(&'a Sainfo);

impl fmt::Display for SainfoChoice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sainfo { local, remote, from, remoteid, .. } = self.0;
        match local {
            Side::Anonymous => f.write_str("sainfo anonymous ")?,
            Side::Id(id) => write!(f, "sainfo {} ", Addresses(id))?,
        }
        match remote {
            RemoteSide::Anonymous => f.write_str("anonymous")?,
            RemoteSide::ClientAddress => f.write_str("clientaddr")?,
            RemoteSide::Id(id) => Addresses(id).fmt(f)?,
        }
        f.write_str(match (local, remote) {
            (Side::Anonymous, RemoteSide::Anonymous) => " (none names either side",
            (Side::Anonymous, _) => " (it names the peer's side",
            (_, RemoteSide::Anonymous) => " (it names our side",
            _ => " (it names both sides",
        })?;
        if let Some(from) = from {
            write!(f, ", from {from}")?;
        }
        if *remoteid != 0 {
            write!(f, ", remoteid {remoteid}")?;
        }
        f.write_str(")")
    }
}

/// The addresses of an identity of phase 2, without protocol and port.
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
