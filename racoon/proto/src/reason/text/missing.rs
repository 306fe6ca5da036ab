//! The text of reasons about something that is missing in the configuration.

use std::fmt;

use crate::config::{RemoteSide, Side};
use crate::kernel::{Mode, Policy, PolicyAction, Selector, Template, TemplateLevel};
use crate::num::{ExchangeType, IpProtocol};
use crate::psk::{KeyFileProblem, NearestLine, NoKey};
use crate::reason::{MissingPolicy, MissingRemote, MissingSainfo, Named, PolicyProblem, SainfoName};

impl<T: fmt::Display> fmt::Display for Named<T> {
    /// `one, two and 3 more`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.first.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        f.write_str(&first)?;
        if self.more > 0 { write!(f, " and {} more", self.more) } else { Ok(()) }
    }
}

impl fmt::Display for MissingRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { peer, present } if present.first.is_empty() => {
                write!(f, "no remote section matches {peer}; there is none at all")
            }
            Self::Address { peer, present } => write!(f, "no remote section matches {peer}; there are only {present}"),
            Self::Exchange { exchange, present } => {
                write!(f, "no remote section for this peer allows {exchange} mode")?;
                for (at, (name, modes)) in present.first.iter().enumerate() {
                    let modes = modes.iter().map(ExchangeType::to_string).collect::<Vec<_>>().join(", ");
                    write!(f, "{} remote {name} has exchange_mode {modes}", if at == 0 { ";" } else { "," })?;
                }
                if present.more > 0 { write!(f, " and {} more", present.more) } else { Ok(()) }
            }
            Self::Passive { peer, present } => {
                write!(f, "no remote section for {peer} may initiate; passive is on in remote {present}")
            }
            Self::Ambiguous(present) => write!(f, "several remote sections match equally well: {present}"),
            Self::Removed => f.write_str("the remote section for this peer is no longer configured"),
        }
    }
}

impl fmt::Display for MissingPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let traffic = &self.traffic;
        match &self.problem {
            PolicyProblem::Missing { needed, nearest } => {
                write!(f, "no policy matches {traffic}; needed: {needed}")?;
                match nearest {
                    Some(nearest) if is_other_way(needed, nearest) => {
                        write!(f, "; only the other direction is there: {nearest}")
                    }
                    Some(nearest) => write!(f, "; nearest: {nearest}"),
                    None => f.write_str("; there is none for these addresses"),
                }
            }
            PolicyProblem::Unprotected(policy) => {
                write!(f, "no policy matches {traffic}: its policy does not protect: {policy}")
            }
            PolicyProblem::Tunnel { policy: (ours, theirs), phase1: (local, remote) } => write!(
                f,
                "no policy matches {traffic}: its tunnel is between {ours} and {theirs}, phase 1 between {local} and {remote}"
            ),
            PolicyProblem::Foreign(direction) => write!(
                f,
                "no policy is generated for {traffic}: another program has a policy for direction {direction} with this selector"
            ),
            PolicyProblem::NoReqid => {
                write!(f, "no policy is generated for {traffic}: all reqids for unique policies are taken")
            }
            PolicyProblem::Kernel(error) => write!(f, "no policy is generated for {traffic}: {error}"),
            PolicyProblem::Several(named) => write!(
                f,
                "no policy matches {traffic}: the peer leaves out ports, and several policies have some: {named}"
            ),
            PolicyProblem::NotOurs(address) => {
                write!(f, "no policy matches {traffic}: its end {address} is no address that this daemon uses")
            }
        }
    }
}

/// Whether a policy is the one for the opposite direction.
fn is_other_way(needed: &Policy, other: &Policy) -> bool {
    needed.direction != other.direction && needed.selector == other.selector.mirrored()
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, destination, protocol, source_port, destination_port } = self;
        write!(f, "{source}{} -> {destination}{}", port(*source_port), port(*destination_port))?;
        if *protocol == 0 { Ok(()) } else { write!(f, " {}", IpProtocol(*protocol)) }
    }
}

fn port(port: u16) -> String {
    if port == 0 { String::new() } else { format!("[{port}]") }
}

impl fmt::Display for Policy {
    /// The syntax of setkey(8), without `spdadd`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Selector { source, destination, protocol, source_port, destination_port } = self.selector;
        write!(f, "{source}{} {destination}{}", port(source_port), port(destination_port))?;
        write!(f, " {} -P {}", IpProtocol(protocol), self.direction)?;
        match &self.action {
            PolicyAction::Discard => f.write_str(" discard"),
            PolicyAction::Pass => f.write_str(" none"),
            PolicyAction::Protect(templates) => {
                f.write_str(" ipsec")?;
                templates.iter().try_for_each(|template| write!(f, " {template}"))
            }
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Transport => "transport",
            Mode::Tunnel => "tunnel",
        };
        let level = match self.level {
            TemplateLevel::Default => "default",
            TemplateLevel::Use => "use",
            TemplateLevel::Require => "require",
            TemplateLevel::Unique => "unique",
        };
        let endpoints =
            self.endpoints.map(|(source, destination)| format!("{source}-{destination}")).unwrap_or_default();
        write!(f, "{}/{mode}/{endpoints}/{level}", self.protocol)
    }
}

impl fmt::Display for MissingSainfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no sainfo matches {}", self.traffic)?;
        if let Some(peer) = &self.peer {
            write!(f, " for a peer with the identity {peer}")?;
        }
        if self.present.first.is_empty() {
            return f.write_str("; there is none at all");
        }
        write!(f, "; nearest: {}", self.present)?;
        let remoteid = |name: &SainfoName| name.remoteid != 0 && name.remoteid != self.ph1id;
        if self.present.first.iter().any(remoteid) {
            write!(f, "; ph1id of the remote is {}", self.ph1id)
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for SainfoName {
    /// The beginning of the section in racoon.conf(5).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sainfo")?;
        let (local, remote) = match (&self.local, &self.remote) {
            (Side::Anonymous, remote) => (String::from("anonymous"), remote),
            (Side::Id(id), remote) => (id.to_string(), remote),
        };
        let remote = match remote {
            RemoteSide::Anonymous => String::from("anonymous"),
            RemoteSide::ClientAddress => String::from("clientaddr"),
            RemoteSide::Id(id) => id.to_string(),
        };
        match (local.as_str(), remote.as_str()) {
            ("anonymous", "anonymous") => f.write_str(" anonymous")?,
            _ => write!(f, " {local} {remote}")?,
        }
        if let Some(from) = &self.from {
            write!(f, " from {from}")?;
        }
        if let Some(group) = &self.group {
            write!(f, " group {group}")?;
        }
        if self.remoteid != 0 { write!(f, " remoteid {}", self.remoteid) } else { Ok(()) }
    }
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFile => f.write_str("`path pre_shared_key' is not set"),
            Self::UnusableFile { file, problem } => write!(f, "{}: {problem}", file.display()),
            Self::NoEntry { file, nearest } => {
                write!(f, "add a line to {}", file.display())?;
                nearest.iter().try_for_each(|NearestLine { line, problem }| write!(f, "; its line {line} {problem}"))
            }
            Self::Empty => f.write_str("the key is empty"),
            Self::NoName => f.write_str("there is no name to look for"),
        }
    }
}

impl fmt::Display for KeyFileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => f.write_str(error),
            Self::NotRegular => f.write_str("not a regular file"),
            Self::Owner { owner, uid } => write!(f, "owned by user {owner}, not by {uid}"),
            Self::Mode(mode) => write!(f, "mode {mode:04o} is too open: 0600 or 0640 keeps its keys secret"),
        }
    }
}
