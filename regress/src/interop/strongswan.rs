//! strongSwan: `charon-systemd`, controlled by `swanctl` over its socket.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use super::algorithm::{Peer, Protection};
use super::connection::{Authentication, Connection, Endpoint, Exchange, Identity, StartAction};
use super::package::STRONGSWAN;
use crate::lab::{Daemon, Finished, Host, Program, TIMEOUT, daemon_dir, write_secret};

/// A running charon.
pub(crate) struct Charon<'a> {
    host: &'a Host,
    dir: PathBuf,
    daemon: Daemon,
}

/// Folder of its libraries, which the loader does not search by default.
const LIBRARIES: &str = "/usr/lib/ipsec";

impl<'a> Charon<'a> {
    /// Starts charon with `connections` loaded.
    pub(crate) fn start(host: &'a Host, connections: &[Connection]) -> Result<Self> {
        if !host.enter(|| fs::exists(LIBRARIES).unwrap_or(false))? {
            STRONGSWAN.mount_over(host)?;
        }
        let dir = daemon_dir(host, "charon")?;
        fs::write(dir.join("strongswan.conf"), strongswan_conf(&dir.to_string_lossy()))?;
        let mut command = Command::new("charon-systemd");
        command.env("LD_LIBRARY_PATH", LIBRARIES).env("STRONGSWAN_CONF", dir.join("strongswan.conf"));
        let daemon = Daemon::start(host, command, &dir.join("output"))?;
        let socket = dir.join("vici");
        daemon.wait_until(TIMEOUT, "vici socket", || socket.exists())?;
        let charon = Self { host, dir, daemon };
        charon.load(connections)?;
        Ok(charon)
    }

    /// Replaces its connections by `connections`.
    pub(crate) fn load(&self, connections: &[Connection]) -> Result<()> {
        let path = self.dir.join("swanctl.conf");
        // `write_secret` only creates new files.
        let _ = fs::remove_file(&path);
        write_secret(&path, swanctl_conf(connections).as_bytes())?;
        let keys = self.dir.join("private");
        fs::create_dir_all(&keys)?;
        for key in connections.iter().filter_map(|c| c.local.key.as_ref()) {
            fs::copy(&key.file, keys.join(&key.name)).with_context(|| key.name.clone())?;
        }
        let done = self.swanctl(&["--load-all", "--file", &path.to_string_lossy()])?;
        let all = format!("successfully loaded {} connections", connections.len());
        ensure!(done.success() && done.text().contains(&all), "{}: {}", self.host.name(), done.text());
        Ok(())
    }

    /// Negotiates a connection and waits for the result.
    pub(crate) fn initiate(&self, name: &str) -> Result<()> {
        let done = self.swanctl(&["--initiate", "--child", name, "--timeout", "15"])?;
        ensure!(done.success(), "charon on {} cannot initiate {name}:\n{}", self.host.name(), done.text());
        Ok(())
    }

    /// Ends a connection: its phase 1 and everything under it.
    pub(crate) fn terminate(&self, name: &str) -> Result<()> {
        let done = self.swanctl(&["--terminate", "--ike", name, "--timeout", "5"])?;
        ensure!(done.success(), "charon on {} cannot terminate {name}:\n{}", self.host.name(), done.text());
        Ok(())
    }

    /// Returns what it has negotiated.
    pub(crate) fn status(&self) -> Result<String> {
        Ok(self.swanctl(&["--list-sas"])?.text())
    }

    /// Returns whether the process is running.
    pub(crate) fn is_alive(&self) -> bool {
        self.daemon.is_alive()
    }

    /// Returns its log so far.
    pub(crate) fn log(&self) -> Result<String> {
        fs::read_to_string(self.dir.join("log")).context("charon's log")
    }

    /// Kills it with SIGKILL, like a crash.
    pub(crate) fn kill(self) -> Result<()> {
        self.daemon.signal(Signal::SIGKILL)
    }

    /// Stops it.
    pub(crate) fn stop(self) -> Result<()> {
        let exit = self.daemon.stop(TIMEOUT)?;
        ensure!(exit == "0", "charon on {} ended with {exit}", self.host.name());
        Ok(())
    }

    fn swanctl(&self, words: &[&str]) -> Result<Finished> {
        let uri = format!("unix://{}", self.dir.join("vici").display());
        let words = [words, &["--uri", &uri]].concat();
        let program = Program::new("swanctl", &words).env("LD_LIBRARY_PATH", LIBRARIES);
        // Private keys are loaded from a folder in this one.
        let program = program.env("SWANCTL_DIR", &self.dir.to_string_lossy());
        let conf = self.dir.join("strongswan.conf");
        self.host.run(program.env("STRONGSWAN_CONF", &conf.to_string_lossy()))
    }
}

/// The list of plugins is explicit, because `kernel-libipsec`, if installed, pretends that there is a NAT and refuses
/// transport mode.
fn strongswan_conf(dir: &str) -> String {
    format!(
        "charon-systemd {{
  load = random nonce aes sha1 sha2 md5 hmac xcbc kdf gcm ccm ctr curve25519 pem pkcs1 pkcs8 pubkey x509 constraints revocation openssl kernel-netlink socket-default vici
  install_routes = no
  i_dont_care_about_security_and_use_aggressive_mode_psk = yes
  filelog {{ main {{
    path = {dir}/log
    default = 1
    ike = 2
    flush_line = yes
  }} }}
  plugins {{ vici {{ socket = unix://{dir}/vici
  }} }}
}}
"
    )
}

fn swanctl_conf(connections: &[Connection]) -> String {
    let sections: String = connections.iter().map(connection).collect();
    let secrets: String = connections.iter().map(secret).collect();
    let authorities = authorities(connections);
    format!("connections {{\n{sections}}}\nsecrets {{\n{secrets}}}\nauthorities {{\n{authorities}}}\n")
}

fn connection(c: &Connection) -> String {
    let (local, remote) = (c.local.address, c.remote.address);
    let word = |word: &super::algorithm::Algorithm| word.name(Peer::Strongswan).unwrap_or("missing");
    let phase1 = format!("{}-{}-{}", word(c.phase1.encryption), word(c.phase1.hash), word(c.phase1.group));
    let lifetime = c.phase2.lifetime;
    let mut child = format!("life_time = {lifetime}s\n      rekey_time = {}s\n", lifetime * 4 / 5);
    let (kind, proposal) = phase2(c);
    // Writing to a string cannot fail.
    let _ = writeln!(child, "      {kind} = {proposal}");
    if c.phase2.sha256_96 {
        child.push_str("      sha256_96 = yes\n");
    }
    if c.phase2.compressed {
        child.push_str("      ipcomp = yes\n");
    }
    match (&c.local.subnet, &c.remote.subnet) {
        (Some(local_subnet), Some(remote_subnet)) => {
            let _ = writeln!(child, "      mode = tunnel\n      local_ts = {}", local_subnet.network);
            let _ = writeln!(child, "      remote_ts = {}", remote_subnet.network);
        }
        _ => child.push_str("      mode = transport\n"),
    }
    child.push_str(match c.start {
        StartAction::Respond => "      start_action = none\n",
        StartAction::OnTraffic => "      start_action = trap\n",
    });
    format!(
        "  {name} {{
    version = 1
    local_addrs = {local}
    remote_addrs = {remote}
    proposals = {phase1}
    reauth_time = {reauth}s
    over_time = {over}s
    aggressive = {aggressive}
    local {{
{local_auth}    }}
    remote {{
{remote_auth}    }}
    children {{ {name} {{
      {child}    }} }}
  }}
",
        name = c.name,
        aggressive = if c.exchange == Exchange::Aggressive { "yes" } else { "no" },
        local_auth = authentication(c, &c.local, true),
        remote_auth = authentication(c, &c.remote, false),
        reauth = c.phase1.lifetime * 4 / 5,
        over = c.phase1.lifetime / 5,
    )
}

/// Returns the option and its value.
fn phase2(c: &Connection) -> (&'static str, String) {
    let authentication = c.phase2.authentication.name(Peer::Strongswan).unwrap_or("missing");
    let cipher = c.phase2.protection.name(Peer::Strongswan).unwrap_or("missing");
    let (kind, mut proposal) = match c.phase2.protection {
        Protection::Ah => ("ah_proposals", authentication.to_owned()),
        Protection::Aead(_) => ("esp_proposals", cipher.to_owned()),
        Protection::Esp(_) => ("esp_proposals", format!("{cipher}-{authentication}")),
    };
    if let Some(group) = c.phase2.pfs {
        proposal.push('-');
        proposal.push_str(group.name(Peer::Strongswan).unwrap_or("missing"));
    }
    if c.phase2.esn {
        proposal.push_str("-esn");
    }
    (kind, proposal)
}

/// Returns the authorities that charon trusts, and those whose certificates it sends with its own.
fn authorities(connections: &[Connection]) -> String {
    let trusted = connections.iter().filter_map(|c| match &c.authentication {
        Authentication::Certificates(authority) => Some(authority),
        Authentication::PreSharedKey(_) | Authentication::RawKeys => None,
    });
    let own = connections.iter().filter_map(|c| c.local.key.as_ref()?.authority.as_ref());
    let all: BTreeSet<_> = trusted.chain(own).collect();
    let section =
        |(number, file): (usize, &PathBuf)| format!("  a{number} {{\n    cacert = {}\n  }}\n", file.display());
    all.into_iter().enumerate().map(section).collect()
}

/// Returns the options on one side's authentication.
fn authentication(c: &Connection, side: &Endpoint, is_own: bool) -> String {
    let method = if side.key.is_some() { "pubkey" } else { "psk" };
    let mut text = format!("      auth = {method}\n      id = {}\n", identity(side));
    match (&side.key, &c.authentication) {
        // Writing to a string cannot fail.
        (Some(key), Authentication::Certificates(_)) if is_own => {
            let _ = writeln!(text, "      certs = {}", key.certificate.display());
        }
        (Some(_), Authentication::Certificates(authority)) => {
            let _ = writeln!(text, "      cacerts = {}\n      revocation = ifuri", authority.display());
        }
        _ => {}
    }
    text
}

fn identity(side: &Endpoint) -> String {
    match &side.identity {
        Identity::Address => side.address.to_string(),
        Identity::Fqdn(name) | Identity::UserFqdn(name) => name.clone(),
        Identity::KeyId(name) => format!("keyid:{name}"),
        Identity::Subject(name) => format!("\"{name}\""),
    }
}

/// Returns the pre-shared key, if there is one.
fn secret(c: &Connection) -> String {
    let Authentication::PreSharedKey(key) = &c.authentication else { return String::new() };
    let (local, remote) = (identity(&c.local), identity(&c.remote));
    format!("  ike-{} {{\n    id-1 = {local}\n    id-2 = {remote}\n    secret = \"{key}\"\n  }}\n", c.name)
}
