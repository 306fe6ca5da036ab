//! SAs and policies that stay, whatever the files say: those that racoon has listed in its state file.

use libpfkey::kernel_state::{
    Action, Direction, KernelState, Level, Mode, PolicyInKernel, PolicyKey, Prefix, Protocol, SaInKernel, SaKey,
    Selector, Template,
};
use libpfkey::num::{
    DIR_FWD, DIR_IN, DIR_OUT, IPPROTO_AH, IPPROTO_ESP, IPPROTO_IPCOMP, LEVEL_REQUIRE, LEVEL_UNIQUE, LEVEL_USE,
    MODE_TUNNEL, POLICY_DISCARD, POLICY_IPSEC, ULPROTO_ANY,
};
use libpfkey::wire::{Address, IpsecRequest};
use libpfkey::{ExtensionType, Message, SaType, state_file};

/// Entries of racoon.
#[derive(Debug, Default)]
pub(crate) struct Foreign {
    racoon: KernelState,
}

impl Foreign {
    /// Reads racoon's list for this boot and network namespace. It is empty if racoon has not written one.
    ///
    /// # Errors
    /// Returns the line that says why the list cannot be read.
    pub(crate) fn of_this_host() -> Result<Self, String> {
        // A system without a boot id has no list.
        let Ok(id) = state_file::kernel_id() else { return Ok(Self::default()) };
        let path = state_file::path(&id);
        let read = state_file::read(&path, &id);
        let file = read.map_err(|error| {
            format!("cannot read racoon's state file {}: {error}; remove it if racoon is not running", path.display())
        })?;
        Ok(file.map_or_else(Self::default, |file| Self::listed(file.state)))
    }

    /// Returns the entries of a list.
    pub(super) fn listed(racoon: KernelState) -> Self {
        Self { racoon }
    }

    /// Returns whether an SA in the kernel belongs to racoon.
    pub(super) fn has_sa(&self, message: &Message<'_>) -> bool {
        !self.racoon.sas.is_empty() && sa(message).is_some_and(|sa| self.racoon.has_sa(&sa))
    }

    /// Returns whether a policy in the kernel belongs to racoon.
    pub(super) fn has_policy(&self, message: &Message<'_>) -> bool {
        !self.racoon.policies.is_empty() && policy(message).is_some_and(|policy| self.racoon.has_policy(&policy))
    }
}

fn sa(message: &Message<'_>) -> Option<SaInKernel> {
    let protocol = match message.header.sa_type {
        SaType::Ah => Protocol::Ah,
        SaType::Esp => Protocol::Esp,
        SaType::IpComp => Protocol::Ipcomp,
        _ => return None,
    };
    let (source, destination) = (message.source()?.sockaddr.ip()?, message.destination()?.sockaddr.ip()?);
    let sa2 = message.sa2().copied().unwrap_or_default();
    Some(SaInKernel {
        key: SaKey { protocol, source, destination, spi: message.sa()?.spi },
        mode: mode(sa2.mode),
        reqid: sa2.reqid,
        added: message.lifetime(ExtensionType::LifetimeCurrent)?.addtime,
    })
}

fn policy(message: &Message<'_>) -> Option<PolicyInKernel> {
    let policy = message.policy()?;
    let direction = match policy.direction {
        DIR_IN => Direction::In,
        DIR_OUT => Direction::Out,
        DIR_FWD => Direction::Forward,
        _ => return None,
    };
    let action = match policy.kind {
        POLICY_DISCARD => Action::Discard,
        POLICY_IPSEC => Action::Protect(policy.requests.iter().map(template).collect::<Option<_>>()?),
        _ => Action::Pass,
    };
    let (source, destination) = (message.source()?, message.destination()?);
    let added = message.lifetime(ExtensionType::LifetimeCurrent).map(|current| current.addtime);
    Some(PolicyInKernel {
        key: PolicyKey {
            direction,
            selector: Selector {
                source: prefix(source)?,
                destination: prefix(destination)?,
                protocol: if destination.proto == ULPROTO_ANY { 0 } else { destination.proto },
                source_port: source.sockaddr.port(),
                destination_port: destination.sockaddr.port(),
            },
        },
        action,
        priority: if message.abi.dialect.has_priority() { policy.priority } else { 0 },
        index: policy.id,
        added: added.filter(|added| *added != 0),
    })
}

fn template(request: &IpsecRequest) -> Option<Template> {
    let mode = mode(request.mode);
    let ends = request.endpoints.filter(|_| mode == Mode::Tunnel);
    Some(Template {
        protocol: match request.proto {
            IPPROTO_AH => Protocol::Ah,
            IPPROTO_ESP => Protocol::Esp,
            IPPROTO_IPCOMP => Protocol::Ipcomp,
            _ => return None,
        },
        mode,
        level: match request.level {
            LEVEL_USE => Level::Use,
            LEVEL_REQUIRE => Level::Require,
            LEVEL_UNIQUE => Level::Unique,
            _ => Level::Default,
        },
        reqid: request.reqid,
        endpoints: match ends {
            Some((source, destination)) => Some((source.ip()?, destination.ip()?)),
            None => None,
        },
    })
}

fn mode(number: u8) -> Mode {
    if number == MODE_TUNNEL { Mode::Tunnel } else { Mode::Transport }
}

/// racoon writes prefixes without host bits.
fn prefix(address: &Address) -> Option<Prefix> {
    Some(Prefix { address: address.sockaddr.ip()?, length: address.prefix })
}
