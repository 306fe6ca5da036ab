//! The daemon and `racoonctl` as programs: with a kernel in memory, on ports that need no root.

#![allow(clippy::unwrap_used)]

// It takes capabilities away.
#[cfg(target_os = "linux")]
mod control_socket;
mod ctl;
// Its hosts are two addresses of 127.0.0.0/8, of which others have one.
#[cfg(target_os = "linux")]
mod dialects;
mod kernel;
mod negotiation;
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

/// After that something has not happened.
const PATIENCE: Duration = Duration::from_secs(120);

/// A remote section for a peer that none of the tests has.
const ANOTHER_PEER: &str = "remote 192.0.2.99 {\n    exchange_mode main;\n    proposal { encryption_algorithm aes; \
    hash_algorithm sha256; authentication_method pre_shared_key; dh_group modp2048; }\n}\n";

/// A directory with the files of one daemon.
struct Site {
    directory: TempDir,
    port: u16,
}

/// Held while a process is started, and by who opens what the new one must not hold: until it executes, a child holds every
/// descriptor of its parent.
fn starting() -> MutexGuard<'static, ()> {
    static STARTING: Mutex<()> = Mutex::new(());
    STARTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a process.
fn spawn(command: &mut Command) -> Child {
    let _alone = starting();
    command.spawn().unwrap()
}

/// A UDP port that nobody has, and that the system gives to nobody who asks for any. As long as this process lives no other
/// one that runs these tests gets it: it is theirs whose the TCP port is.
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
    /// A port that nobody has, and a configuration without a remote.
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

    /// Writes `racoon.conf`: where the daemon is, and more.
    fn configure(&self, more: &str) {
        self.configure_on("memory", more);
    }

    /// The same, with another kernel.
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

    /// Runs the daemon, which has to end by itself. (In the background what it prints goes to files: the daemon that stays
    /// would keep a pipe open.)
    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(&[], arguments)
    }

    /// The same with more in the environment.
    fn run_with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let file = |name| fs::File::create(self.path(name)).unwrap();
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        let child = spawn(command.stdout(file("stdout")).stderr(file("stderr")));
        let status = Daemon { site: self, child }.ended();
        let read = |name| fs::read(self.path(name)).unwrap();
        Ran::of(&Output { status, stdout: read("stdout"), stderr: read("stderr") }, self)
    }

    /// Starts the daemon in the foreground, and waits until it works.
    fn start(&self, arguments: &[&str]) -> Daemon<'_> {
        self.start_with(&[], arguments)
    }

    /// The same with more in the environment.
    fn start_with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Daemon<'_> {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        let child = spawn(command.arg("-F").stdout(Stdio::null()).stderr(Stdio::null()));
        let daemon = Daemon { site: self, child };
        self.await_log("used as isakmp port");
        daemon
    }

    /// Its whole lines.
    fn log(&self) -> String {
        let text = fs::read_to_string(self.path("racoon.log")).unwrap_or_default();
        text.split_inclusive('\n').filter(|line| line.ends_with('\n')).collect()
    }

    /// Waits until a text is in the log.
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

/// What a program did. The site's directory is `DIR` in it.
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

/// A daemon at work. It is killed when the test is over.
struct Daemon<'a> {
    site: &'a Site,
    child: Child,
}

impl Daemon<'_> {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits for its end.
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

/// Whether something happens in time.
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
fn nobody_answers() {
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
