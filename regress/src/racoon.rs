//! racoon on a host of the lab.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use crate::lab::{Daemon, Host, Program, TIMEOUT, daemon_dir, write_secret};

/// The programs under test, and the kernel interface that they use.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    pub(crate) racoon: PathBuf,
    pub(crate) setkey: PathBuf,
    /// The value of `LIBPFKEY_BACKEND`.
    pub(crate) backend: String,
}

/// The files that racoon and setkey read.
#[derive(Debug, Clone, Default)]
pub(crate) struct RacoonFiles {
    /// The text of `racoon.conf`, after the directives that name the other files.
    pub(crate) conf: String,
    pub(crate) psk: String,
    /// A setkey script with policies, loaded before racoon starts.
    pub(crate) setkey: String,
    /// Whether racoon restores saved SAs (`-B`).
    pub(crate) restore_sas: bool,
}

/// A running racoon.
pub(crate) struct Racoon<'a> {
    host: &'a Host,
    dir: PathBuf,
    daemon: Daemon,
}

impl<'a> Racoon<'a> {
    /// Writes the files to a new folder of the host, loads the policies, and starts the daemon.
    pub(crate) fn start(host: &'a Host, programs: &Programs, files: &RacoonFiles) -> Result<Self> {
        let dir = daemon_dir(host, "racoon")?;
        let path = |name: &str| dir.join(name);
        let (psk, conf) = (path("psk.txt"), path("racoon.conf"));
        let head =
            format!("path pre_shared_key \"{}\";\npath pidfile \"{}\";\n", psk.display(), path("racoon.pid").display());
        write_secret(&psk, files.psk.as_bytes())?;
        write_secret(&conf, (head + &files.conf).as_bytes())?;
        write_secret(&path("setkey.conf"), files.setkey.as_bytes())?;
        let load = Program::new(&programs.setkey.to_string_lossy(), &["-f", &path("setkey.conf").to_string_lossy()]);
        let done = host.run(load.env("LIBPFKEY_BACKEND", &programs.backend))?;
        ensure!(done.success() && done.stderr.is_empty(), "{}: setkey: {}", host.name(), done.text());
        let daemon = Self::spawn(host, programs, &dir, files.restore_sas)?;
        let racoon = Self { host, dir, daemon };
        // A peer may initiate right away, and would otherwise wait for its first retransmission.
        racoon.wait_for_port()?;
        Ok(racoon)
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.daemon.id()
    }

    /// Returns whether the process is running.
    pub(crate) fn is_alive(&self) -> bool {
        self.daemon.is_alive()
    }

    /// Returns the log so far.
    pub(crate) fn log(&self) -> Result<String> {
        fs::read_to_string(self.dir.join("log")).context("racoon's log")
    }

    /// Waits until the log contains `pattern`, a plain text.
    pub(crate) fn wait_for_log(&self, pattern: &str) -> Result<()> {
        let log = self.dir.join("log");
        let found = || fs::read_to_string(&log).is_ok_and(|text| text.contains(pattern));
        self.daemon.wait_until(TIMEOUT, pattern, found)
    }

    /// Makes the daemon read its files again.
    pub(crate) fn reload(&self) -> Result<()> {
        self.daemon.signal(Signal::SIGHUP)
    }

    /// Stops the daemon with SIGTERM; it must exit with status 0.
    pub(crate) fn stop(self) -> Result<()> {
        let exit = self.daemon.stop(TIMEOUT)?;
        ensure!(exit == "0", "racoon on {} ended with {exit}; its log:\n{}", self.host.name(), self.log()?);
        Ok(())
    }

    /// Kills the daemon with SIGKILL, like a crash: it does not clean up.
    pub(crate) fn kill(self) -> Result<()> {
        self.daemon.signal(Signal::SIGKILL)
    }

    fn spawn(host: &Host, programs: &Programs, dir: &Path, restore_sas: bool) -> Result<Daemon> {
        let mut command = Command::new(&programs.racoon);
        // In the foreground it remains a child process, whose exit status is available.
        command.arg("-F").arg("-f").arg(dir.join("racoon.conf")).arg("-l").arg(dir.join("log"));
        command.args(restore_sas.then_some("-B")).env("LIBPFKEY_BACKEND", &programs.backend);
        Daemon::start(host, command, &dir.join("output"))
    }

    /// Waits until a socket of the host has UDP port 500.
    fn wait_for_port(&self) -> Result<()> {
        let host = self.host;
        let bound = || host.enter(port_500_bound).unwrap_or(false);
        let waited = self.daemon.wait_until(TIMEOUT, "UDP port 500", bound);
        waited
            .with_context(|| format!("racoon's log:\n{}", fs::read_to_string(self.dir.join("log")).unwrap_or_default()))
    }
}

/// Returns whether a socket in the network namespace of the calling thread has UDP port 500, over IPv4 or IPv6.
fn port_500_bound() -> bool {
    let tables = ["/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"];
    tables.iter().any(|table| fs::read_to_string(table).is_ok_and(|text| lists_port(&text, 500)))
}

/// Returns whether a table in the format of `/proc/net/udp` lists a socket with this local port: the second column has
/// it as a hexadecimal number.
fn lists_port(table: &str, port: u16) -> bool {
    let local = |line: &str| u16::from_str_radix(line.split_ascii_whitespace().nth(1)?.rsplit_once(':')?.1, 16).ok();
    table.lines().skip(1).filter_map(local).any(|found| found == port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_local_port_matters() {
        let line = "  12: 0100007F:01F4 00000000:0035 07 00000000:00000000 00:00000000 00000000 0 0 1 2 0 0";
        let table = format!("  sl  local_address rem_address   st\n{line}\n");
        assert!(lists_port(&table, 500));
        assert!(!lists_port(&table, 53));
        assert!(!lists_port("", 500));
    }
}
