//! libreswan: `pluto`, controlled by `whack` over its socket.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use super::algorithm::{Algorithm, Peer, Protection};
use super::connection::{Authentication, Connection, Endpoint, Exchange, Identity, PrivateKey, StartAction};
use super::package::LIBRESWAN;
use crate::lab::{Daemon, Finished, Host, Program, TIMEOUT, daemon_dir, write_secret};
use crate::pki::pkcs12;

/// A running pluto.
pub(crate) struct Pluto<'a> {
    host: &'a Host,
    dir: PathBuf,
    daemon: Daemon,
}

/// Folder of its programs.
const PROGRAMS: &str = "/usr/libexec/ipsec";

/// Exit status of a known crash of pluto during its own shutdown.
const SHUTDOWN_CRASH: &str = "signal 11";

impl<'a> Pluto<'a> {
    /// Starts pluto with `connections` loaded.
    pub(crate) fn start(host: &'a Host, connections: &[Connection]) -> Result<Self> {
        if !host.enter(|| fs::exists(PROGRAMS).unwrap_or(false))? {
            LIBRESWAN.mount_over(host)?;
        }
        let dir = daemon_dir(host, "pluto")?;
        write_secret(&dir.join("ipsec.conf"), ipsec_conf(connections)?.as_bytes())?;
        write_secret(&dir.join("ipsec.secrets"), secrets(connections).as_bytes())?;
        let keys = format!("sql:{}", dir.display());
        host.must(&format!("certutil -N -d {keys} --empty-password"))?;
        import(host, &keys, connections)?;
        let daemon = Daemon::start(host, pluto(&dir), &dir.join("output"))?;
        let log = dir.join("log");
        // pluto starts `addconn`, which loads the connections and then has it read the secrets.
        daemon
            .wait_until(TIMEOUT, "secrets", || {
                fs::read_to_string(&log).is_ok_and(|text| text.contains("loading secrets from"))
            })
            .with_context(|| format!("pluto's log:\n{}", fs::read_to_string(&log).unwrap_or_default()))?;
        let pluto = Self { host, dir, daemon };
        let log = pluto.log()?;
        let refused: Vec<_> = log.lines().filter(|line| line.contains("failed to add connection")).collect();
        ensure!(refused.is_empty(), "{}: {}", host.name(), refused.join("\n"));
        Ok(pluto)
    }

    /// Negotiates a connection and waits for the result.
    pub(crate) fn initiate(&self, name: &str) -> Result<()> {
        let done = self.whack(&["--name", name, "--initiate"])?;
        // The exit status of whack is the number of its last message; its output shows the state that was reached.
        let established = done.text().contains("IPsec SA established");
        ensure!(established, "pluto on {} cannot initiate {name}:\n{}", self.host.name(), done.text());
        Ok(())
    }

    /// Ends a connection: its phase 1 and everything under it.
    pub(crate) fn terminate(&self, name: &str) -> Result<()> {
        self.whack(&["--name", name, "--terminate"])?;
        Ok(())
    }

    /// Returns what it has negotiated.
    pub(crate) fn status(&self) -> Result<String> {
        Ok(self.whack(&["--status"])?.text())
    }

    /// Returns whether the process is running.
    pub(crate) fn is_alive(&self) -> bool {
        self.daemon.is_alive()
    }

    /// Returns its log so far.
    pub(crate) fn log(&self) -> Result<String> {
        fs::read_to_string(self.dir.join("log")).context("pluto's log")
    }

    /// Kills it with SIGKILL, like a crash.
    pub(crate) fn kill(self) -> Result<()> {
        self.daemon.signal(Signal::SIGKILL)
    }

    /// Stops it, after making sure that it has processed everything it was sent. Version 4.10 sometimes crashes during
    /// its own shutdown when SAs were just deleted. That is printed, but is not an error of its peer.
    pub(crate) fn stop(self) -> Result<()> {
        let status = self.status()?;
        ensure!(self.is_alive(), "pluto on {} has ended:\n{status}\n{}", self.host.name(), self.log()?);
        let exit = self.daemon.stop(TIMEOUT)?;
        if exit == SHUTDOWN_CRASH {
            println!("pluto on {} crashed during its shutdown", self.host.name());
            return Ok(());
        }
        ensure!(exit == "0", "pluto on {} ended with {exit}", self.host.name());
        Ok(())
    }

    fn whack(&self, words: &[&str]) -> Result<Finished> {
        let dir = self.dir.to_string_lossy();
        let words = [&["--rundir", &dir], words].concat();
        self.host.run(Program::new(&format!("{PROGRAMS}/whack"), &words))
    }
}

fn pluto(dir: &Path) -> Command {
    let mut command = Command::new(format!("{PROGRAMS}/pluto"));
    // Later options override those from the file.
    command.arg("--config").arg(dir.join("ipsec.conf"));
    command.args(["--nofork", "--no-dnssec", "--log-no-time"]);
    for option in ["--rundir", "--dumpdir", "--nssdir", "--ipsecdir"] {
        command.arg(option).arg(dir);
    }
    command.arg("--secretsfile").arg(dir.join("ipsec.secrets"));
    command.arg("--logfile").arg(dir.join("log"));
    command
}

fn ipsec_conf(connections: &[Connection]) -> Result<String> {
    let sections: String = connections.iter().map(connection).collect::<Result<_>>()?;
    Ok(format!("config setup\n    ikev1-policy=accept\n    uniqueids=no\n\n{sections}"))
}

fn connection(c: &Connection) -> Result<String> {
    let word = |word: &Algorithm| word.name(Peer::Libreswan).unwrap_or("missing");
    let (kind, proposal) = phase2(c);
    let mut text = format!(
        "conn {name}
    ikev2=no
    authby={method}
    aggressive={aggressive}
    left={local}
    right={remote}
    leftupdown=%disabled
    ike={encryption}-{hash}-{group}
    ikelifetime={ikelifetime}s
    phase2={kind}
    phase2alg={proposal}
    salifetime={salifetime}s
    sha2-truncbug={truncated}
    pfs={pfs}
    compress={compress}
    initial-contact={contact}
    auto={start}
",
        name = c.name,
        method = if c.local.key.is_some() { "rsasig" } else { "secret" },
        aggressive = yes(c.exchange == Exchange::Aggressive),
        local = c.local.address,
        remote = c.remote.address,
        encryption = word(c.phase1.encryption),
        hash = word(c.phase1.hash),
        group = word(c.phase1.group),
        ikelifetime = c.phase1.lifetime,
        salifetime = c.phase2.lifetime,
        truncated = yes(c.phase2.sha256_96),
        pfs = yes(c.phase2.pfs.is_some()),
        compress = yes(c.phase2.compressed),
        // With short lifetimes it would send one with each renewal.
        contact = yes(c.phase1.lifetime > 3600),
        start = match c.start {
            StartAction::Respond => "add",
            StartAction::OnTraffic => "ondemand",
        },
    );
    text.push_str(&authentication(c)?);
    // Writing to a string cannot fail.
    let _ = match (&c.local.subnet, &c.remote.subnet) {
        (Some(local_subnet), Some(remote_subnet)) => {
            writeln!(
                text,
                "    type=tunnel\n    leftsubnet={}\n    rightsubnet={}\n",
                local_subnet.network, remote_subnet.network
            )
        }
        _ => writeln!(text, "    type=transport\n"),
    };
    Ok(text)
}

/// Returns the options on identities and keys.
fn authentication(c: &Connection) -> Result<String> {
    let mut text = format!("    leftid={}\n    rightid={}\n", identity(&c.local), identity(&c.remote));
    // Writing to a string cannot fail.
    let _ = match (&c.authentication, &c.local.key, &c.remote.key) {
        (Authentication::Certificates(_), Some(key), _) => {
            writeln!(text, "    leftcert={}\n    leftsendcert=always\n    rightca=%same", key.name)
        }
        // The private key is found by its public one.
        (Authentication::RawKeys, Some(own), Some(peer)) => {
            writeln!(text, "    leftrsasigkey={}\n    rightrsasigkey={}", public_key(own)?, public_key(peer)?)
        }
        _ => Ok(()),
    };
    Ok(text)
}

/// Returns a public key of racoon's format, of which the key itself is the format of libreswan.
fn public_key(key: &PrivateKey) -> Result<String> {
    let [_, file] = key.plain.as_ref().context("no file of a plain key")?;
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    Ok(text.split_ascii_whitespace().last().unwrap_or_default().to_owned())
}

fn yes(truth: bool) -> &'static str {
    if truth { "yes" } else { "no" }
}

/// Returns the protocol and its proposal.
fn phase2(c: &Connection) -> (&'static str, String) {
    let authentication = c.phase2.authentication.name(Peer::Libreswan).unwrap_or("missing");
    let cipher = c.phase2.protection.name(Peer::Libreswan).unwrap_or("missing");
    let (kind, mut proposal) = match c.phase2.protection {
        Protection::Ah => ("ah", authentication.to_owned()),
        // Without `null`, a group would be parsed as an authentication algorithm.
        Protection::Aead(_) => ("esp", format!("{cipher}-null")),
        Protection::Esp(_) => ("esp", format!("{cipher}-{authentication}")),
    };
    if let Some(group) = c.phase2.pfs {
        proposal.push('-');
        proposal.push_str(group.name(Peer::Libreswan).unwrap_or("missing"));
    }
    (kind, proposal)
}

fn secrets(connections: &[Connection]) -> String {
    let line = |c: &Connection| match &c.authentication {
        Authentication::PreSharedKey(key) => {
            format!("{} {} : PSK \"{key}\"\n", identity(&c.local), identity(&c.remote))
        }
        Authentication::Certificates(_) | Authentication::RawKeys => String::new(),
    };
    connections.iter().map(line).collect()
}

fn identity(side: &Endpoint) -> String {
    match &side.identity {
        Identity::Address => side.address.to_string(),
        Identity::Fqdn(name) => format!("@{name}"),
        Identity::UserFqdn(name) => name.clone(),
        Identity::KeyId(name) => format!("@[{name}]"),
        Identity::Subject(name) => format!("\"{name}\""),
    }
}

/// Adds the authorities, keys and certificates of `connections` to the database of keys.
fn import(host: &Host, database: &str, connections: &[Connection]) -> Result<()> {
    let (mut authorities, mut keys) = (BTreeSet::new(), BTreeMap::new());
    for c in connections {
        if let Authentication::Certificates(authority) = &c.authentication {
            authorities.insert(authority);
        }
        keys.extend(c.local.key.iter().map(|key| (&key.name, key)));
    }
    for (number, authority) in authorities.iter().enumerate() {
        let authority = authority.display();
        host.must(&format!("certutil -A -d {database} -n authority{number} -t CT,, -i {authority}"))?;
    }
    for (name, key) in keys {
        let file = pkcs12(name, &key.certificate, &key.file)?;
        let words = ["-i", &file.to_string_lossy(), "-d", database, "-n", name, "-W", "", "-K", ""];
        let done = host.run(Program::new("pk12util", &words))?;
        ensure!(done.success(), "{}: pk12util: {}", host.name(), done.text());
    }
    Ok(())
}
