//! strongSwan's daemon in the lab, configured to accept any peer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::suite::Suite;
use crate::interop::STRONGSWAN;
use crate::lab::{Daemon, Host, Program, daemon_dir, write_secret};

/// A running charon.
pub(super) struct Charon {
    daemon: Daemon,
    dir: PathBuf,
}

/// Time limit for its start and its stop.
const LIMIT: Duration = Duration::from_secs(20);

/// Folder of its libraries, which the loader does not search by default.
const LIBRARIES: &str = "/usr/lib/ipsec";

impl Charon {
    pub(super) fn start(host: &Host, suite: &Suite, certificates: &Path) -> Result<Self> {
        if !host.enter(|| fs::exists(LIBRARIES).unwrap_or(false))? {
            STRONGSWAN.mount_over(host)?;
        }
        let dir = daemon_dir(host, "charon")?;
        let (conf, swanctl) = (dir.join("strongswan.conf"), dir.join("swanctl.conf"));
        fs::write(&conf, strongswan_conf(&dir.to_string_lossy()))?;
        write_secret(&swanctl, suite.swanctl(certificates).as_bytes())?;
        if let Some(key) = suite.key() {
            let keys = dir.join("private");
            fs::create_dir(&keys)?;
            fs::copy(certificates.join(&key).with_extension("key"), keys.join(&key)).context(key)?;
        }
        let mut command = Command::new("charon-systemd");
        command.env("LD_LIBRARY_PATH", LIBRARIES).env("STRONGSWAN_CONF", &conf);
        let daemon = Daemon::start(host, command, &dir.join("output"))?;
        let socket = dir.join("vici");
        daemon.wait_until(LIMIT, "vici socket", || socket.exists())?;
        let uri = format!("unix://{}", socket.display());
        let arguments = ["--load-all", "--file", &swanctl.to_string_lossy(), "--uri", &uri];
        let program = Program::new("swanctl", &arguments).env("LD_LIBRARY_PATH", LIBRARIES);
        // Private keys are loaded from a folder in this one.
        let program = program.env("SWANCTL_DIR", &dir.to_string_lossy());
        let done = host.run(program.env("STRONGSWAN_CONF", &conf.to_string_lossy()))?;
        let loaded = done.success() && done.text().contains("successfully loaded 1 connections");
        ensure!(loaded, "swanctl: {}", done.text());
        Ok(Self { daemon, dir })
    }

    pub(super) fn id(&self) -> u32 {
        self.daemon.id()
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    pub(super) fn stop(self) -> Result<()> {
        let exit = self.daemon.stop(LIMIT)?;
        ensure!(exit == "0", "charon ended with {exit}");
        Ok(())
    }
}

/// Its Diffie-Hellman exponents are as short as racoon's. That is not its default, but makes it faster.
fn strongswan_conf(dir: &str) -> String {
    format!(
        "charon-systemd {{
  load = random nonce aes sha1 sha2 hmac kdf pem pkcs1 pkcs8 pubkey x509 constraints revocation openssl kernel-netlink socket-default vici
  install_routes = no
  dh_exponent_ansi_x9_42 = no
  filelog {{ main {{
    path = {dir}/log
    default = 1
  }} }}
  plugins {{ vici {{ socket = unix://{dir}/vici
  }} }}
}}
"
    )
}
