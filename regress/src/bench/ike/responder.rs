//! racoon on this machine, on a free port and with the in-memory backend.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::KEY;
use super::suite::Suite;
use crate::lab::{wait_until, write_secret};
use crate::tree;

/// The running daemon. Dropping it kills the process.
pub(super) struct Responder {
    child: Child,
    port: u16,
    dir: PathBuf,
}

/// Time limit for its start.
const LIMIT: Duration = Duration::from_secs(10);

impl Responder {
    pub(super) fn start(suite: &Suite, certificates: &Path) -> Result<Self> {
        Self::start_program(&tree::program("racoon", "release"), suite, certificates)
    }

    /// Starts another build of the daemon.
    pub(super) fn start_program(program: &Path, suite: &Suite, certificates: &Path) -> Result<Self> {
        // The port may be taken by another process before racoon binds it, which racoon then reports.
        let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
        let dir = std::env::temp_dir().join(format!("bench-ike.{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir)?;
        let path = |name: &str| dir.join(name);
        let head = format!(
            "path pre_shared_key \"{}\";\npath pidfile \"{}\";\n",
            path("psk.txt").display(),
            path("pid").display()
        );
        write_secret(&path("psk.txt"), format!("* {KEY}\n").as_bytes())?;
        fs::write(path("racoon.conf"), head + &suite.racoon(port, certificates))?;
        let mut command = Command::new(program);
        command.arg("-F").arg("-f").arg(path("racoon.conf")).arg("-l").arg(path("log"));
        command.env("LIBPFKEY_BACKEND", "memory").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().context("racoon")?;
        let mut responder = Self { child, port, dir };
        responder.wait()?;
        Ok(responder)
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    fn wait(&mut self) -> Result<()> {
        let log = self.dir.join("log");
        let listens = || fs::read_to_string(&log).is_ok_and(|text| text.contains("used as isakmp port"));
        let ready = wait_until(LIMIT, listens, || match self.child.try_wait()? {
            Some(status) => bail!("racoon ended: {status}"),
            None => Ok(()),
        });
        ensure!(ready.with_context(|| self.log())?, "racoon does not listen\n{}", self.log());
        Ok(())
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}
