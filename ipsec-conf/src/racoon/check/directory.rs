//! The `ldapcfg` and `radiuscfg` sections.

use std::time::Duration;

use crate::racoon::mode_cfg::{Ldap, Radius, RadiusServer};
use crate::racoon::operands::Operands;
use crate::racoon::secret::Secret;
use crate::racoon::token::Kind;

pub(super) fn ldap(config: &mut Ldap, name: &str, op: &mut Operands<'_, '_>) -> Option<()> {
    match name {
        "version" => config.version = op.number(2, 3)?,
        "debug" => config.debug = op.number(0, u32::MAX)?,
        "timeout" => config.timeout = Some(seconds(op)?),
        "uri" => config.uri = Some(op.name("a URI")?.into()),
        "host" => config.host = op.name("a host")?.into(),
        "port" => config.port = op.number(1, u16::MAX)?,
        "base" => config.base = Some(op.string("a distinguished name")?.into()),
        "subtree" => config.subtree = op.switch()?,
        "bind_dn" => config.bind_dn = Some(op.string("a distinguished name")?.into()),
        "bind_pw" => config.bind_pw = Some(Secret::new(op.string("a password")?)),
        "attr_user" => config.attr_user = op.name("an attribute")?.into(),
        "attr_addr" => config.attr_addr = op.name("an attribute")?.into(),
        "attr_mask" => config.attr_mask = op.name("an attribute")?.into(),
        "attr_group" => config.attr_group = op.name("an attribute")?.into(),
        _ => config.attr_member = op.name("an attribute")?.into(),
    }
    Some(())
}

pub(super) fn radius(config: &mut Radius, name: &str, op: &mut Operands<'_, '_>) -> Option<()> {
    match name {
        "auth" => server(&mut config.auth, op),
        "acct" => server(&mut config.acct, op),
        "timeout" => seconds(op).map(|time| config.timeout = time),
        _ => op.number(0, u32::MAX).map(|number| config.retries = number),
    }
}

/// `"host" [port] "secret"`.
fn server(servers: &mut Vec<RadiusServer>, op: &mut Operands<'_, '_>) -> Option<()> {
    let host = op.name("a host")?.into();
    // Host and secret are strings, so a word can only be the port.
    let has_port = !op.at_end() && op.peek().kind == Kind::Word;
    let port = if has_port { Some(op.number(1, u16::MAX)?) } else { None };
    let secret = Secret::new(op.name("the secret")?);
    if servers.len() >= Radius::MAX_SERVERS {
        return op.fail(&op.first(), &format!("at most {} servers", Radius::MAX_SERVERS), None);
    }
    servers.push(RadiusServer { host, port, secret });
    Some(())
}

fn seconds(op: &mut Operands<'_, '_>) -> Option<Duration> {
    Some(Duration::from_secs(op.number(0_u32, u32::MAX)?.into()))
}
