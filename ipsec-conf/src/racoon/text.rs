//! Prints a configuration.

use std::fmt::{self, Display, Write};
use std::path::Path;
use std::time::Duration;

use super::config::Config;
use super::global::{Account, AdminSocket, Backend, Listen, Paths, Privsep};
use super::identifier::{Address, Identifier, KeyId};
use super::mode_cfg::{Ldap, ModeCfg, Radius};
use super::remote::{OwnCertificate, PeersCertificate, Proposal, Remote, RemoteAddress, RemoteName};
use super::sainfo::{Sainfo, SainfoId};
use super::secret::Secret;

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

/// A string in quotes.
struct Quoted<T>(T);

impl<T: Display> Display for Quoted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

fn path(path: &Path) -> Quoted<std::path::Display<'_>> {
    Quoted(path.display())
}

fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn seconds(time: Duration) -> String {
    format!("{} sec", time.as_secs())
}

/// Items with commas between.
struct List<'a, T>(&'a [T]);

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.0.iter().enumerate() {
            write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl Text {
    /// `NAME VALUE;`.
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
        // At the end: all names are absolute by now and must not be put into these directories again.
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

    fn remote(&mut self, remote: &Remote) -> fmt::Result {
        // The other names say the address.
        if let (RemoteName::Quoted(_), Some(address)) = (&remote.name, &remote.address) {
            match remote.port {
                Some(port) => self.line("remote_address", format_args!("{address} [{port}]"))?,
                None => self.line("remote_address", address)?,
            }
        }
        self.list("exchange_mode", &remote.exchange_modes)?;
        self.line("my_identifier", &remote.my_identifier)?;
        for identifier in &remote.peers_identifiers {
            self.line("peers_identifier", identifier)?;
        }
        self.line("verify_identifier", switch(remote.verify_identifier))?;
        self.option("xauth_login", remote.xauth_login.as_ref().map(Quoted))?;
        self.certificates(remote)?;
        self.line("mode_cfg", switch(remote.mode_cfg))?;
        self.line("weak_phase1_check", switch(remote.weak_phase1_check))?;
        let scripts = &remote.scripts;
        let events = [("phase1_up", &scripts.up), ("phase1_down", &scripts.down), ("phase1_dead", &scripts.dead)];
        for (event, script) in events {
            self.option("script", script.as_deref().map(|script| format!("{} {event}", path(script))))?;
        }
        self.line("ike_frag", remote.ike_frag)?;
        self.line("esp_frag", remote.esp_frag)?;
        self.line("initial_contact", switch(remote.initial_contact))?;
        self.line("passive", switch(remote.passive))?;
        self.line("proposal_check", remote.proposal_check)?;
        self.line("support_proxy", switch(remote.support_proxy))?;
        self.line("generate_policy", remote.generate_policy)?;
        self.line("generate_policy_bounds", switch(remote.generate_policy_bounds))?;
        self.line("nat_traversal", remote.nat_traversal)?;
        self.line("dpd", switch(remote.dpd))?;
        self.line("dpd_delay", remote.dpd_delay.unwrap_or_default().as_secs())?;
        self.line("dpd_retry", remote.dpd_retry.as_secs())?;
        self.line("dpd_maxfail", remote.dpd_maxfail)?;
        self.line("dpd_mode", remote.dpd_mode)?;
        self.line("rekey", remote.rekey)?;
        self.line("nonce_size", remote.nonce_size)?;
        self.line("ph1id", remote.ph1id)?;
        self.line("lifetime time", seconds(remote.lifetime))?;
        remote.proposals.iter().try_for_each(|proposal| self.section("proposal", |text| text.proposal(proposal)))
    }

    /// `certificate_type` changes what stands before it.
    fn certificates(&mut self, remote: &Remote) -> fmt::Result {
        match &remote.certificate {
            Some(OwnCertificate::X509 { certificate, key }) => {
                self.line("certificate_type x509", format_args!("{} {}", path(certificate), path(key)))?;
            }
            Some(OwnCertificate::PlainRsa(key)) => self.line("certificate_type plain_rsa", path(key))?,
            None => {}
        }
        match &remote.peers_certificate {
            Some(PeersCertificate::X509(certificate)) => self.line("peers_certfile x509", path(certificate))?,
            Some(PeersCertificate::PlainRsa(keys)) => self.line("peers_certfile plain_rsa", path(keys))?,
            None => {}
        }
        self.option("ca_type x509", remote.trust.file.as_deref().map(path))?;
        self.option("ca_type", remote.trust.system.then_some("system"))?;
        self.line("crl_policy", remote.crl_policy)?;
        self.line("send_cert", switch(remote.send_cert))?;
        self.line("send_cr", switch(remote.send_cr))?;
        self.line("match_empty_cr", switch(remote.match_empty_cr))?;
        self.line("verify_cert", switch(remote.verify_cert))
    }

    fn proposal(&mut self, proposal: &Proposal) -> fmt::Result {
        let bits = proposal.encryption.key_bits;
        self.line("encryption_algorithm", Algorithm(proposal.encryption.cipher.name(), bits))?;
        self.line("hash_algorithm", proposal.hash)?;
        self.line("authentication_method", proposal.method)?;
        self.line("dh_group", proposal.dh_group)?;
        self.line("lifetime time", seconds(proposal.lifetime))
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

/// A cipher and the length of its key.
struct Algorithm(&'static str, Option<u16>);

impl Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(bits) => write!(f, "{} {bits}", self.0),
            None => f.write_str(self.0),
        }
    }
}

struct Head<'a>(&'a RemoteName);

impl Display for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "remote {}", self.0)
    }
}

struct SainfoHead<'a>(&'a Sainfo);

impl Display for SainfoHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sainfo {}", self.0.local)?;
        if (&self.0.local, &self.0.remote) != (&SainfoId::Anonymous, &SainfoId::Anonymous) {
            write!(f, " {}", self.0.remote)?;
        }
        match (&self.0.from, &self.0.group) {
            (Some(identifier), _) => write!(f, " from {identifier}"),
            (None, Some(group)) => write!(f, " group \"{group}\""),
            (None, None) => Ok(()),
        }
    }
}

/// As in the head of its section.
impl Display for RemoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = match self {
            Self::Quoted(name) => return write!(f, "\"{name}\""),
            Self::Address(address, port) => {
                write!(f, "{address}")?;
                port
            }
            Self::Anonymous(port) => {
                f.write_str("anonymous")?;
                port
            }
        };
        port.map_or(Ok(()), |port| write!(f, " [{port}]"))
    }
}

impl Display for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numeric(address) => write!(f, "{address}"),
            Self::Host(name) => write!(f, "\"{name}\""),
        }
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ip)?;
        self.scope.as_ref().map_or(Ok(()), |scope| write!(f, "%{scope}"))
    }
}

/// As in the configuration.
impl Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(None) => f.write_str("address"),
            Self::Address(Some(address)) => write!(f, "address {address}"),
            Self::Fqdn(name) => write!(f, "fqdn \"{name}\""),
            Self::UserFqdn(name) => write!(f, "user_fqdn \"{name}\""),
            Self::KeyId(None) => f.write_str("keyid"),
            Self::KeyId(Some(KeyId { file: Some(file), .. })) => write!(f, "keyid file {}", path(file)),
            Self::KeyId(Some(KeyId { bytes, file: None })) => write!(f, "keyid tag {}", Tag(bytes)),
            Self::DistinguishedName(None) => f.write_str("asn1dn"),
            Self::DistinguishedName(Some(name)) => write!(f, "asn1dn \"{name}\""),
        }
    }
}

/// The octets of a key id in quotes: those of a text, for they come from one.
struct Tag<'a>(&'a [u8]);

impl Display for Tag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", String::from_utf8_lossy(self.0))
    }
}

impl Display for SainfoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::ClientAddress => f.write_str("clientaddr"),
            Self::Network { address, prefix, port, protocol } => {
                write!(f, "subnet {address}/{prefix}{}", PortAndProtocol(*port, *protocol))
            }
            Self::Range { first, last, port, protocol } => {
                write!(f, "address {first}-{last}{}", PortAndProtocol(*port, *protocol))
            }
            // Here the kinds of key ids are not told apart.
            Self::Name(Identifier::KeyId(Some(key_id))) => write!(f, "keyid {}", Tag(&key_id.bytes)),
            Self::Name(identifier) => write!(f, "{identifier}"),
        }
    }
}

struct PortAndProtocol(u16, u8);

impl Display for PortAndProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("[any] ")?,
            port => write!(f, "[{port}] ")?,
        }
        match self.1 {
            0 => f.write_str("any"),
            protocol => write!(f, "{protocol}"),
        }
    }
}

impl Account {
    fn text(&self) -> String {
        match self {
            Self::Name(name) => name.to_string(),
            Self::Id(id) => id.to_string(),
        }
    }
}

impl Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "\"{name}\""),
            Self::Id(id) => write!(f, "{id}"),
        }
    }
}

impl Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Xfrm => f.write_str("xfrm"),
            Self::PfKey => f.write_str("pfkey"),
            Self::Memory => f.write_str("memory"),
            Self::Socket(name) => write!(f, "socket {}", path(name)),
        }
    }
}
