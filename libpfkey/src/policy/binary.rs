//! Converts policy text to the extension of a message and back (`ipsec_set_policy(3)`, `ipsec_dump_policy(3)`).

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};

use super::{self as text, PRIORITY_DEFAULT, PRIORITY_HIGH, PRIORITY_LOW};
use crate::dialect::{Abi, Dialect};
use crate::error::Result;
use crate::num::{
    DIR_FWD, DIR_IN, DIR_OUT, IPPROTO_AH, IPPROTO_ESP, IPPROTO_IPCOMP, LEVEL_DEFAULT, LEVEL_REQUIRE, LEVEL_UNIQUE,
    LEVEL_USE, MANUAL_REQID_MAX, MODE_ANY, MODE_TRANSPORT, MODE_TUNNEL, POLICY_BYPASS, POLICY_DISCARD, POLICY_ENTRUST,
    POLICY_IPSEC, POLICY_NONE,
};
use crate::security_policy::PolicySpec;
use crate::selector::{Selector, SelectorAddress};
use crate::strerror::Code;
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;
use crate::wire::{Extension, IpsecRequest, Policy, SockAddr};

impl Policy {
    /// Converts a text for a dialect.
    ///
    /// # Errors
    /// [`Code::PriorityNotSupported`] for a priority where the dialect has none, [`Code::InvalidLevel`] for a reqid
    /// that does not fit, [`Code::InvalidAddress`] for a zone that is not an interface.
    pub fn from_text(policy: &text::PolicyText, dialect: Dialect) -> Result<Self> {
        // The extension does not depend on the selector, so any will do.
        let any = SelectorAddress { address: (Ipv4Addr::UNSPECIFIED, 0).into(), prefix_len: 0 };
        PolicySpec::from_text(Selector::new(any, any), policy)?.to_wire(dialect)
    }

    /// Writes the value of the socket option `IP_IPSEC_POLICY`: the extension with its header.
    ///
    /// # Errors
    /// [`Code::NoBuffers`] for a policy that is too long.
    pub fn to_blob(&self, abi: Abi) -> Result<Vec<u8>> {
        let mut blob = Vec::new();
        Extension::Policy(self.clone()).emit(&mut Writer::new(&mut blob, abi))?;
        Ok(blob)
    }

    /// Reads the value that [`Policy::to_blob`] writes.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::Error::Malformed) names what is wrong.
    pub fn from_blob(abi: Abi, blob: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(blob, abi);
        let words = reader.u16()?;
        let number = reader.u16()?;
        let is_policy = crate::ExtensionType::from_number(abi.dialect, number) == crate::ExtensionType::Policy;
        if usize::from(words) * 8 != blob.len() || !is_policy {
            return Err(reader.malformed(Code::InvalidPolicy, "not a policy extension of this length"));
        }
        Self::parse(&mut reader)
    }

    /// Returns the policy as text, with `delimiter` before each request (KAME's default is one space) and, if asked for, with
    /// the ports of tunnel ends. The priority is part of it on Linux only.
    ///
    /// # Errors
    /// libipsec's code for a number that has no word.
    pub fn to_text(&self, dialect: Dialect, delimiter: &str, ports: bool) -> Result<String> {
        let mut text = String::with_capacity(64);
        text.push_str(self.direction_word(dialect)?);
        // FreeBSD's dumps have never shown priorities, and scripts compare its second word with the action.
        if dialect == Dialect::Linux {
            push_priority(&mut text, self.priority);
        }
        text.push_str(match self.kind {
            POLICY_DISCARD => " discard",
            POLICY_NONE => " none",
            POLICY_IPSEC => " ipsec",
            POLICY_ENTRUST => " entrust",
            POLICY_BYPASS => " bypass",
            _ => return Err(Code::InvalidPolicy.into()),
        });
        if self.kind == POLICY_IPSEC {
            for request in &self.requests {
                text.push_str(delimiter);
                push_request(&mut text, request, ports)?;
            }
        }
        Ok(text)
    }

    fn direction_word(&self, dialect: Dialect) -> Result<&'static str> {
        Ok(match self.direction {
            // SPDGET and SPDDELETE2 leave the direction out.
            0 => "any",
            DIR_IN => "in",
            DIR_OUT => "out",
            DIR_FWD if dialect.has_forward() => "fwd",
            // Linux lists the policies of sockets, too: their directions are 3 more than those of the SPD.
            4 if dialect == Dialect::Linux => "in(socket)",
            5 if dialect == Dialect::Linux => "out(socket)",
            _ => return Err(Code::InvalidDirection.into()),
        })
    }
}

/// Appends ` prio BASE` and the offset from it; nothing for 0.
fn push_priority(text: &mut String, priority: u32) {
    // The word is that of the nearest base, so that the offset is the smallest.
    let (word, base) = match priority {
        0 => return,
        1..0x6000_0000 => (" prio high", PRIORITY_HIGH),
        0x6000_0000..0xa000_0000 => (" prio def", PRIORITY_DEFAULT),
        _ => (" prio low", PRIORITY_LOW),
    };
    text.push_str(word);
    let offset = i64::from(base) - i64::from(priority);
    let sign = if offset < 0 { '-' } else { '+' };
    if offset != 0 {
        let _ = write!(text, " {sign} {}", offset.abs());
    }
}

fn push_request(text: &mut String, request: &IpsecRequest, ports: bool) -> Result<()> {
    text.push_str(match request.proto {
        IPPROTO_AH => "ah/",
        IPPROTO_ESP => "esp/",
        IPPROTO_IPCOMP => "ipcomp/",
        _ => return Err(Code::InvalidProtocol.into()),
    });
    text.push_str(match request.mode {
        MODE_ANY => "any/",
        MODE_TRANSPORT => "transport/",
        MODE_TUNNEL => "tunnel/",
        _ => return Err(Code::InvalidMode.into()),
    });
    if let Some((source, destination)) = &request.endpoints {
        push_endpoint(text, source, ports)?;
        text.push('-');
        push_endpoint(text, destination, ports)?;
    }
    text.push_str(match request.level {
        LEVEL_DEFAULT => "/default",
        LEVEL_USE => "/use",
        LEVEL_REQUIRE => "/require",
        LEVEL_UNIQUE => "/unique",
        _ => return Err(Code::InvalidLevel.into()),
    });
    if request.reqid != 0 {
        // `#` marks a number of the kernel's: in a script the kernel would replace it by another one.
        let mark = if request.reqid > MANUAL_REQID_MAX { '#' } else { ':' };
        let _ = write!(text, "{mark}{}", request.reqid);
    }
    Ok(())
}

fn push_endpoint(text: &mut String, endpoint: &SockAddr, ports: bool) -> Result<()> {
    let SockAddr::Inet(address) = endpoint else { return Err(Code::InvalidFamily.into()) };
    push_ip(text, address);
    if ports {
        let _ = write!(text, "[{}]", address.port());
    }
    Ok(())
}

/// Appends the address in digits, with the zone of a link-local one.
pub(crate) fn push_ip(text: &mut String, address: &SocketAddr) {
    let _ = write!(text, "{}", address.ip());
    let SocketAddr::V6(v6) = address else { return };
    if v6.scope_id() == 0 {
        return;
    }
    let name = nix::net::if_::if_indextoname(v6.scope_id()).ok().and_then(|name| name.into_string().ok());
    // nix takes the null pointer that means a failure for an empty name.
    match name.filter(|name| !name.is_empty()) {
        Some(name) => drop(write!(text, "%{name}")),
        None => drop(write!(text, "%{}", v6.scope_id())),
    }
}

#[cfg(test)]
mod tests;
