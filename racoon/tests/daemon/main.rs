//! The daemon and `racoonctl` as processes, with an in-memory kernel and unprivileged ports.

#![allow(clippy::unwrap_used)]

mod certificates;
// Uses Linux' capabilities.
#[cfg(target_os = "linux")]
mod control_socket;
mod ctl;
// Its hosts are two addresses of 127.0.0.0/8; other systems have only one.
#[cfg(target_os = "linux")]
mod dialects;
mod json;
mod kernel;
mod negotiation;
#[path = "../shared/pki.rs"]
mod pki;
mod reload;
mod start;
mod stop;

use std::fs::{self, Permissions};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// Limit for a test that hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A remote section for a peer that no test has.
const ANOTHER_PEER: &str = "remote 192.0.2.99 {\n    exchange_mode main;\n    proposal { encryption_algorithm aes; \
    hash_algorithm sha256; authentication_method pre_shared_key; dh_group modp2048; }\n}\n";

/// A directory with the files of one daemon.
struct Site {
    directory: TempDir,
    port: u16,
}

/// Serialises starting a process and opening descriptors that the new process must not hold: between fork and exec a
/// child has all descriptors of its parent.
fn starting() -> MutexGuard<'static, ()> {
    static STARTING: Mutex<()> = Mutex::new(());
    STARTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a process.
fn spawn(command: &mut Command) -> Child {
    let _alone = starting();
    command.spawn().unwrap()
}

/// Returns a free UDP port outside the ephemeral range. Holding the TCP port of the same number keeps it from other
/// processes that run these tests.
fn free_port() -> u16 {
    static TAKEN: Mutex<Vec<TcpListener>> = Mutex::new(Vec::new());
    let _alone = starting();
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let free = (10_000..30_000).find_map(|port| {
        let reserved = TcpListener::bind(("127.0.0.1", port)).ok()?;
        UdpSocket::bind(("0.0.0.0", port)).ok().map(|_| (port, reserved))
    });
    let (port, reserved) = free.unwrap();
    taken.push(reserved);
    port
}

impl Site {
    /// Creates a configuration with a free port and no remote.
    fn new() -> Self {
        let site = Self { directory: tempfile::tempdir().unwrap(), port: free_port() };
        site.configure("");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, text.replace("DIR", self.directory.path().to_str().unwrap())).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    /// Writes `racoon.conf`: paths and port of the daemon, and more.
    fn configure(&self, more: &str) {
        self.configure_on("memory", more);
    }

    /// As [`Site::configure`], with another backend.
    fn configure_on(&self, backend: &str, more: &str) {
        let text = format!(
            "backend {backend};\npath pidfile \"DIR/racoon.pid\";\npath pre_shared_key \"DIR/psk.txt\";\n\
             listen {{\n    isakmp 127.0.0.1 [{}];\n    adminsock \"DIR/racoon.sock\";\n}}\n{more}",
            self.port
        );
        self.write("racoon.conf", &text);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_racoon"));
        command.args(["-f", "racoon.conf", "-l", "racoon.log"]).args(arguments);
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command.env_remove("LIBPFKEY_BACKEND").env_remove("LIBPFKEY_DIALECT");
        command
    }

    /// Runs the daemon, which has to exit. Its output goes to files, because a daemon in the background would keep a
    /// pipe open.
    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(&[], arguments)
    }

    /// As [`Site::run`], with additional environment variables.
    fn run_with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let file = |name| fs::File::create(self.path(name)).unwrap();
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        let child = spawn(command.stdout(file("stdout")).stderr(file("stderr")));
        let status = Daemon { site: self, child }.ended();
        let read = |name| fs::read(self.path(name)).unwrap();
        Ran::of(&Output { status, stdout: read("stdout"), stderr: read("stderr") }, self)
    }

    /// Starts the daemon in the foreground and waits until it is ready.
    fn start(&self, arguments: &[&str]) -> Daemon<'_> {
        self.start_with(&[], arguments)
    }

    /// As [`Site::start`], with additional environment variables.
    fn start_with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Daemon<'_> {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        let child = spawn(command.arg("-F").stdout(Stdio::null()).stderr(Stdio::null()));
        let daemon = Daemon { site: self, child };
        self.await_log("used as isakmp port");
        daemon
    }

    /// Returns the complete lines of the log.
    fn log(&self) -> String {
        let text = fs::read_to_string(self.path("racoon.log")).unwrap_or_default();
        text.split_inclusive('\n').filter(|line| line.ends_with('\n')).collect()
    }

    /// Waits until the log contains a text.
    fn await_log(&self, text: &str) {
        assert!(eventually(|| self.log().contains(text)), "{text} is not in:\n{}", self.log());
    }

    fn ctl(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_racoonctl"));
        let socket = self.path("racoon.sock");
        command.arg("-s").arg(socket).args(arguments);
        let child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()));
        Ran::of(&child.wait_with_output().unwrap(), self)
    }
}

/// Result of a run, with `DIR` for the site's directory.
#[derive(Debug, PartialEq, Eq)]
struct Ran {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn of(output: &Output, site: &Site) -> Self {
        let directory = site.directory.path().to_str().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(directory, "DIR");
        Self { status: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

/// A running daemon. Dropping it kills it.
struct Daemon<'a> {
    site: &'a Site,
    child: Child,
}

impl Daemon<'_> {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits for it to exit.
    fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        let ended = eventually(|| {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(ended, "still running:\n{}", self.site.log());
        status.unwrap()
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether something happens within the limit.
fn eventually(mut happened: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if happened() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn no_daemon() {
    let site = Site::new();
    let ran = site.ctl(&["show-sa", "isakmp"]);
    let expected = "racoonctl: cannot connect to racoon admin socket DIR/racoon.sock: No such file or directory (is racoon \
        running?)\n";
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(1), expected));
    let long = "x".repeat(200);
    let ran = site.ctl(&["-s", &long, "reload-config"]);
    let expected =
        format!("racoonctl: cannot connect to racoon admin socket {long}: path must be shorter than SUN_LEN");
    assert!(ran.stderr.starts_with(&expected), "{}", ran.stderr);
}
