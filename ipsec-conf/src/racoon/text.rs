//! Printing of a configuration.

mod notation;
mod remote;

use std::fmt::{self, Display, Write};
use std::time::Duration;

use super::config::Config;
use super::global::{AdminSocket, Listen, Paths, Privsep};
use super::mode_cfg::{Ldap, ModeCfg, Radius};
use super::sainfo::Sainfo;
use super::secret::Secret;
use notation::{Algorithm, Head, List, Quoted, SainfoHead, path};

/// Whether passwords are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passwords {
    /// In clear.
    Shown,
    /// As stars, for display.
    Hidden,
}

impl Config {
    /// Returns the configuration in its own language, with defaults and inherited values written out. With the passwords
    /// shown, the text parses to the same value.
    pub fn to_text(&self, passwords: Passwords) -> String {
        let mut text = Text { out: String::new(), depth: 0, passwords };
        // Writing to a string does not fail.
        let _ = text.config(self);
        text.out
    }
}

struct Text {
    out: String,
    depth: usize,
    passwords: Passwords,
}

fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn seconds(time: Duration) -> String {
    format!("{} sec", time.as_secs())
}

impl Text {
    /// Prints `NAME VALUE;`.
    fn line(&mut self, name: &str, value: impl Display) -> fmt::Result {
        writeln!(self.out, "{:width$}{name} {value};", "", width = 4 * self.depth)
    }

    fn option(&mut self, name: &str, value: Option<impl Display>) -> fmt::Result {
        value.map_or(Ok(()), |value| self.line(name, value))
    }

    fn list<T: Display>(&mut self, name: &str, items: &[T]) -> fmt::Result {
        if items.is_empty() { Ok(()) } else { self.line(name, List(items)) }
    }

    fn names(&mut self, name: &str, items: &[Box<str>]) -> fmt::Result {
        self.list(name, &items.iter().map(Quoted).collect::<Vec<_>>())
    }

    fn section(&mut self, head: impl Display, body: impl FnOnce(&mut Self) -> fmt::Result) -> fmt::Result {
        writeln!(self.out, "{:width$}{head} {{", "", width = 4 * self.depth)?;
        self.depth += 1;
        body(self)?;
        self.depth -= 1;
        writeln!(self.out, "{:width$}}}", "", width = 4 * self.depth)
    }

    fn secret(&self, secret: &Secret) -> Quoted<String> {
        Quoted(match self.passwords {
            Passwords::Shown => secret.reveal().to_owned(),
            Passwords::Hidden => "********".to_owned(),
        })
    }

    fn config(&mut self, config: &Config) -> fmt::Result {
        self.line("log", config.log)?;
        self.line("pfkey_buffer", config.pfkey_buffer)?;
        self.line("complex_bundle", switch(config.complex_bundle))?;
        self.option("threads", config.threads)?;
        let limit = config.half_open_limit;
        self.line("half_open_limit", format_args!("{} per_source {}", limit.total, limit.per_source))?;
        self.line("backend", &config.backend)?;
        self.line("journal", config.journal)?;
        if let Some(privsep) = &config.privsep {
            self.section("privsep", |text| text.privsep(privsep))?;
        }
        self.section("padding", |text| {
            text.line("randomize", switch(config.padding.randomize))?;
            text.line("randomize_length", switch(config.padding.randomize_length))?;
            text.line("maximum_length", config.padding.maximum_length)?;
            text.line("strict_check", switch(config.padding.strict_check))?;
            text.line("exclusive_tail", switch(config.padding.exclusive_tail))
        })?;
        self.section("timer", |text| {
            text.line("counter", config.timer.counter)?;
            text.line("interval", seconds(config.timer.interval))?;
            text.line("persend", config.timer.persend)?;
            text.line("phase1", seconds(config.timer.phase1))?;
            text.line("phase2", seconds(config.timer.phase2))?;
            // 0 stands for no keepalives.
            text.line("natt_keepalive", seconds(config.timer.natt_keepalive.unwrap_or_default()))
        })?;
        self.section("listen", |text| text.listen(&config.listen))?;
        self.section("mode_cfg", |text| text.mode_cfg(&config.mode_cfg))?;
        self.section("ldapcfg", |text| text.ldap(&config.ldap))?;
        self.section("radiuscfg", |text| text.radius(&config.radius))?;
        for remote in &config.remotes {
            self.section(Head(&remote.name), |text| text.remote(remote))?;
        }
        for sainfo in &config.sainfos {
            self.section(SainfoHead(sainfo), |text| text.sainfo(sainfo))?;
        }
        // At the end: the names above have been resolved already, and must not be resolved again.
        self.paths(&config.paths)
    }

    fn paths(&mut self, paths: &Paths) -> fmt::Result {
        let all = [
            ("path include", &paths.include),
            ("path pre_shared_key", &paths.pre_shared_key),
            ("path certificate", &paths.certificate),
            ("path script", &paths.script),
            ("path backupsa", &paths.backupsa),
            ("path pidfile", &paths.pidfile),
        ];
        for (name, value) in all {
            self.option(name, value.as_deref().map(path))?;
        }
        Ok(())
    }

    fn privsep(&mut self, privsep: &Privsep) -> fmt::Result {
        self.line("user", &privsep.user)?;
        self.line("group", &privsep.group)?;
        self.option("chroot", privsep.chroot.as_deref().map(path))
    }

    fn listen(&mut self, listen: &Listen) -> fmt::Result {
        for socket in &listen.sockets {
            let name = if socket.natt { "isakmp_natt" } else { "isakmp" };
            self.line(name, format_args!("{} [{}]", socket.address, socket.port))?;
        }
        if listen.strict_address {
            writeln!(self.out, "    strict_address;")?;
        }
        match &listen.adminsock {
            AdminSocket::Default => Ok(()),
            AdminSocket::Disabled => self.line("adminsock", "disabled"),
            AdminSocket::Path { path: name, access: None, .. } => self.line("adminsock", path(name)),
            AdminSocket::Path { path: name, access: Some(access), .. } => {
                let (owner, group) = (access.owner.text(), access.group.text());
                self.line("adminsock", format_args!("{} \"{owner}\" \"{group}\" {:04o}", path(name), access.mode))
            }
        }
    }

    fn mode_cfg(&mut self, config: &ModeCfg) -> fmt::Result {
        self.line("network4", config.network)?;
        self.line("netmask4", config.netmask)?;
        // 0 means that there is no pool, and cannot be written.
        self.option("pool_size", Some(config.pool_size).filter(|size| *size != 0))?;
        self.list("dns4", &config.dns)?;
        self.list("wins4", &config.wins)?;
        if let Some(split) = &config.split_network {
            let networks: Vec<String> =
                split.networks.iter().map(|network| format!("{}/{}", network.address, network.prefix)).collect();
            self.line("split_network", format_args!("{} {}", split.kind, List(&networks)))?;
        }
        self.names("split_dns", &config.split_dns)?;
        self.line("default_domain", Quoted(&config.default_domain))?;
        self.line("banner", path(&config.banner))?;
        self.line("auth_source", config.auth_source)?;
        self.names("auth_groups", &config.auth_groups)?;
        self.line("group_source", config.group_source)?;
        self.line("conf_source", config.conf_source)?;
        self.line("accounting", config.accounting)?;
        self.line("auth_throttle", config.auth_throttle.as_secs())?;
        self.line("pfs_group", config.pfs_group)?;
        self.line("save_passwd", switch(config.save_passwd))
    }

    fn ldap(&mut self, config: &Ldap) -> fmt::Result {
        self.line("version", config.version)?;
        self.line("debug", config.debug)?;
        self.option("timeout", config.timeout.map(|time| time.as_secs()))?;
        self.option("uri", config.uri.as_ref().map(Quoted))?;
        self.line("host", Quoted(&config.host))?;
        self.line("port", config.port)?;
        self.option("base", config.base.as_ref().map(Quoted))?;
        self.line("subtree", switch(config.subtree))?;
        self.option("bind_dn", config.bind_dn.as_ref().map(Quoted))?;
        let password = config.bind_pw.as_ref().map(|password| self.secret(password));
        self.option("bind_pw", password)?;
        self.line("attr_user", Quoted(&config.attr_user))?;
        self.line("attr_addr", Quoted(&config.attr_addr))?;
        self.line("attr_mask", Quoted(&config.attr_mask))?;
        self.line("attr_group", Quoted(&config.attr_group))?;
        self.line("attr_member", Quoted(&config.attr_member))
    }

    fn radius(&mut self, config: &Radius) -> fmt::Result {
        let auth = config.auth.iter().map(|server| ("auth", server));
        for (kind, server) in auth.chain(config.acct.iter().map(|server| ("acct", server))) {
            let secret = self.secret(&server.secret);
            match server.port {
                Some(port) => self.line(kind, format_args!("{} {port} {secret}", Quoted(&server.host)))?,
                None => self.line(kind, format_args!("{} {secret}", Quoted(&server.host)))?,
            }
        }
        self.line("timeout", config.timeout.as_secs())?;
        self.line("retries", config.retries)
    }

    fn sainfo(&mut self, sainfo: &Sainfo) -> fmt::Result {
        self.option("pfs_group", sainfo.pfs_group)?;
        self.line("remoteid", sainfo.remoteid)?;
        self.line("lifetime time", seconds(sainfo.lifetime))?;
        self.option("lifetime byte", sainfo.lifetime_bytes.map(|octets| format!("{octets} B")))?;
        let ciphers: Vec<Algorithm> =
            sainfo.encryption.iter().map(|one| Algorithm(one.cipher.name(), one.key_bits)).collect();
        self.list("encryption_algorithm", &ciphers)?;
        self.list("authentication_algorithm", &sainfo.authentication)?;
        self.list("compression_algorithm", &sainfo.compression)?;
        self.line("esn", sainfo.esn)?;
        self.line("replay_window", sainfo.replay_window)
    }
}
