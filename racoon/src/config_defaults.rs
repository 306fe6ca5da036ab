//! Recognition of directives that only repeat a default, as in the output of `racoon -C`.

use ipsec_conf::racoon::{Account, Config, Directive, Ldap, ModeCfg, Radius, Remote, Section, Ternary};

/// Default of `pool_size`.
const POOL_SIZE: u32 = 255;

/// Whether a directive has its default value in every section that contains it. Knows only directives that have no
/// effect yet.
pub(crate) fn is_default(config: &Config, directive: &Directive) -> bool {
    let usual = Config::default();
    match directive.section {
        Section::Top => match directive.name {
            "journal" => config.journal == usual.journal,
            "mode_cfg" => config.mode_cfg == usual.mode_cfg,
            "ldapcfg" => config.ldap == usual.ldap,
            "radiuscfg" => config.radius == usual.radius,
            _ => false,
        },
        Section::Timer => config.timer.natt_keepalive == usual.timer.natt_keepalive,
        Section::Privsep => {
            let group = config.privsep.as_ref().is_some_and(|privsep| privsep.group == Account::Id(0));
            directive.name == "group" && group
        }
        Section::ModeCfg => mode_cfg(&config.mode_cfg, &usual.mode_cfg, directive.name),
        Section::Ldap => ldap(&config.ldap, &usual.ldap, directive.name),
        Section::Radius => radius(&config.radius, &usual.radius, directive.name),
        Section::Remote => config.remotes.iter().all(|one| remote(one, directive.name)),
        _ => false,
    }
}

fn mode_cfg(config: &ModeCfg, usual: &ModeCfg, name: &str) -> bool {
    match name {
        "network4" => config.network == usual.network,
        "netmask4" => config.netmask == usual.netmask,
        "pool_size" => config.pool_size == usual.pool_size || config.pool_size == POOL_SIZE,
        "default_domain" => config.default_domain == usual.default_domain,
        "banner" => config.banner == usual.banner,
        "auth_source" => config.auth_source == usual.auth_source,
        "group_source" => config.group_source == usual.group_source,
        "conf_source" => config.conf_source == usual.conf_source,
        "accounting" => config.accounting == usual.accounting,
        "auth_throttle" => config.auth_throttle == usual.auth_throttle,
        "pfs_group" => config.pfs_group == usual.pfs_group,
        "save_passwd" => config.save_passwd == usual.save_passwd,
        _ => false,
    }
}

fn ldap(config: &Ldap, usual: &Ldap, name: &str) -> bool {
    match name {
        "version" => config.version == usual.version,
        "debug" => config.debug == usual.debug,
        "host" => config.host == usual.host,
        "port" => config.port == usual.port,
        "subtree" => config.subtree == usual.subtree,
        "attr_user" => config.attr_user == usual.attr_user,
        "attr_addr" => config.attr_addr == usual.attr_addr,
        "attr_mask" => config.attr_mask == usual.attr_mask,
        "attr_group" => config.attr_group == usual.attr_group,
        "attr_member" => config.attr_member == usual.attr_member,
        _ => false,
    }
}

fn radius(config: &Radius, usual: &Radius, name: &str) -> bool {
    match name {
        "timeout" => config.timeout == usual.timeout,
        "retries" => config.retries == usual.retries,
        _ => false,
    }
}

fn remote(remote: &Remote, name: &str) -> bool {
    match name {
        "nat_traversal" => remote.nat_traversal == Ternary::Off,
        "ike_frag" => remote.ike_frag == Ternary::Off,
        "esp_frag" => remote.esp_frag == u16::MAX,
        "mode_cfg" => !remote.mode_cfg,
        _ => false,
    }
}
