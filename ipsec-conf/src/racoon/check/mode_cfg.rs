//! The `mode_cfg` section.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use super::Check;
use crate::racoon::mode_cfg::{
    Accounting, AuthSource, ConfSource, GroupSource, Ipv4Network, ModeCfg, SplitKind, SplitNetwork,
};
use crate::racoon::operands::Operands;

/// Maximum number of networks; more do not fit in a message.
const NETWORKS: usize = 1024;

/// Default size of the pool.
const POOL_SIZE: u32 = 255;

impl Check<'_> {
    /// Sets the size of the address pool, whose default depends on whether there is one.
    pub(super) fn finish_mode_cfg(&mut self) {
        let mode_cfg = &mut self.config.mode_cfg;
        let default = if mode_cfg.network.is_unspecified() { 0 } else { POOL_SIZE };
        mode_cfg.pool_size = self.pool_size.unwrap_or(default);
    }
}

pub(super) fn mode_cfg(
    config: &mut ModeCfg,
    pool_size: &mut Option<u32>,
    name: &str,
    op: &mut Operands<'_, '_>,
) -> Option<()> {
    match name {
        "network4" => config.network = op.ipv4()?,
        "netmask4" => config.netmask = netmask(op)?,
        "pool_size" => *pool_size = Some(op.number(1, 1 << 24)?),
        "dns4" => servers(&mut config.dns, ModeCfg::MAX_DNS, op)?,
        "wins4" | "nbns4" => servers(&mut config.wins, ModeCfg::MAX_WINS, op)?,
        "split_network" => split_network(config, op)?,
        "split_dns" => config.split_dns.extend(op.names("a domain")?),
        "default_domain" => config.default_domain = op.string("a domain")?.into(),
        "banner" => config.banner = Path::new(op.name("a file")?).into(),
        "auth_source" => config.auth_source = op.choice(AuthSource::WORDS, "a source")?,
        "auth_groups" => config.auth_groups.extend(op.names("a group")?),
        "group_source" => config.group_source = op.choice(GroupSource::WORDS, "a source")?,
        "conf_source" => config.conf_source = op.choice(ConfSource::WORDS, "a source")?,
        "accounting" => config.accounting = op.choice(Accounting::WORDS, "a kind of accounting")?,
        "auth_throttle" => config.auth_throttle = Duration::from_secs(op.number(0_u32, u32::MAX)?.into()),
        "pfs_group" => config.pfs_group = op.number(0, u32::MAX)?,
        _ => config.save_passwd = op.switch()?,
    }
    Some(())
}

fn netmask(op: &mut Operands<'_, '_>) -> Option<Ipv4Addr> {
    let token = op.peek();
    let mask = op.ipv4()?;
    let bits = mask.to_bits();
    // 0.0.0.0 is a mask too: it is the default.
    match bits.leading_ones() == bits.count_ones() {
        true => Some(mask),
        false => op.fail(&token, "not a network mask: its one bits must precede its zero bits", None),
    }
}

fn servers(list: &mut Vec<Ipv4Addr>, most: usize, op: &mut Operands<'_, '_>) -> Option<()> {
    loop {
        let token = op.peek();
        let server = op.ipv4()?;
        if list.len() >= most {
            return op.fail(&token, &format!("at most {most} servers"), None);
        }
        list.push(server);
        if !op.comma() {
            return Some(());
        }
    }
}

/// Reads `split_network`. The last kind wins; all networks of that kind are kept, without duplicates.
fn split_network(config: &mut ModeCfg, op: &mut Operands<'_, '_>) -> Option<()> {
    let kind = op.choice(SplitKind::WORDS, "include or local_lan")?;
    // As in the C racoon, another kind replaces the list.
    let same_kind = config.split_network.take().filter(|split| split.kind == kind);
    let mut split = same_kind.unwrap_or_else(|| SplitNetwork { kind, networks: Vec::new() });
    loop {
        let token = op.peek();
        let address = op.ipv4()?;
        let Some(prefix) = op.prefix(32)? else { return op.unexpected("`/` and a prefix length") };
        let network = Ipv4Network { address, prefix };
        if !split.networks.contains(&network) {
            split.networks.push(network);
        }
        if split.networks.len() > NETWORKS {
            return op.fail(&token, &format!("at most {NETWORKS} networks"), None);
        }
        if !op.comma() {
            break;
        }
    }
    config.split_network = Some(split);
    Some(())
}
