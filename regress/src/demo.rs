//! `cargo demo`: two hosts load their `/etc/ipsec.conf`, start racoon, and ping each other through ESP.

use std::io::stdout;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::command::HostCommand;
use crate::lab::{Boot, Host, Lab, LabKind, Link, Program, TIMEOUT, wait_until};
use crate::summary::Summary;
use crate::{tools, tree};

/// The programs that the demo runs.
pub(crate) struct DemoPrograms {
    setkey: String,
    racoon: String,
    racoonctl: String,
}

impl DemoPrograms {
    /// The programs in a folder.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        let path = |name| folder.join(name).display().to_string();
        Self { setkey: path("setkey"), racoon: path("racoon"), racoonctl: path("racoonctl") }
    }
}

/// Runs `cargo demo`: parses the command line, builds the programs, and boots the lab.
pub(crate) fn run(arguments: &[&str]) -> Result<ExitCode> {
    let (mut kind, mut backend, mut folder) = (LabKind::Auto, None, None);
    let mut arguments = arguments.iter();
    while let Some(&argument) = arguments.next() {
        match argument {
            // Cargo passes this on.
            "--" => {}
            "--lab" => kind = arguments.next().context("--lab needs a value")?.parse()?,
            "--backend" => backend = Some(*arguments.next().context("--backend needs a name")?),
            "--programs" => folder = Some(PathBuf::from(arguments.next().context("--programs needs a folder")?)),
            _ => bail!("usage: cargo demo [-- [--lab host|uml|auto] [--backend pfkey|xfrm] [--programs FOLDER]]"),
        }
    }
    let lab = kind.find(backend == Some("pfkey"))?;
    let folder = match folder {
        Some(folder) => folder.canonicalize().with_context(|| folder.display().to_string())?,
        None => {
            tools::packages(tools::BUILD)?;
            HostCommand::cargo("build --package setkey --package racoon").run()?;
            tree::target().join("debug")
        }
    };
    boot(&folder, lab, backend, |boot| boot).map(|()| ExitCode::SUCCESS)
}

/// Runs the demo as a step of `cargo regress`.
pub(crate) fn check(backend: &str) -> Result<Summary> {
    boot(&tree::target().join("debug"), Lab::Uml, Some(backend), |boot| boot)?;
    Ok(Summary::PASSED)
}

/// Runs the demo as on a processor with AMX. Two hosts that encrypt use its floating-point registers.
pub(crate) fn check_like_amx() -> Result<Summary> {
    boot(&tree::target().join("debug"), Lab::Uml, Some("xfrm"), Boot::like_amx)?;
    Ok(Summary::PASSED)
}

/// Runs the demo in `lab`. The default backend is PF_KEY, the older one, if the lab has it.
fn boot(folder: &Path, lab: Lab, backend: Option<&str>, adjust: impl FnOnce(Boot) -> Boot) -> Result<()> {
    // User Mode Linux has both interfaces.
    let has_pf_key = lab != Lab::Namespaces { pf_key: false };
    let backend = backend.unwrap_or(if has_pf_key { "pfkey" } else { "xfrm" });
    let location = match lab {
        Lab::Namespaces { .. } => "network namespaces of this kernel",
        Lab::Uml => "a User Mode Linux kernel",
    };
    println!("{location} (programs: {}; backend: {backend})", folder.display());
    if !has_pf_key {
        println!("(this kernel has no PF_KEY: module af_key)");
    }
    let folder = folder.to_str().context("the path of the programs is not text")?;
    let boot = lab
        .boot(&["demo", folder])?
        .env("LIBPFKEY_BACKEND", backend)
        .limit(Duration::from_secs(1200))
        .for_backend(backend);
    adjust(boot).run(&mut stdout())?.check()
}

/// Pings in each part of the demo.
const PINGS: usize = 3;

/// A host of the demo: its namespace, its address, and that of the other host.
struct DemoHost {
    namespace: Host,
    address: &'static str,
    peer: &'static str,
}

/// Runs the demo inside the lab.
pub(crate) fn run_in_lab(programs: &DemoPrograms) -> Result<()> {
    println!("\nTwo hosts on a link: alice 192.0.2.1, bob 192.0.2.2.");
    let link = Link::new("link")?;
    let alice = DemoHost { namespace: Host::new("alice")?, address: "192.0.2.1", peer: "192.0.2.2" };
    let bob = DemoHost { namespace: Host::new("bob")?, address: "192.0.2.2", peer: "192.0.2.1" };
    link.plug(&alice.namespace, "eth0", &["192.0.2.1/24"])?;
    link.plug(&bob.namespace, "eth0", &["192.0.2.2/24"])?;

    println!("\nBefore: pings cross the link in clear, as a packet capture shows.");
    let capture = link.watch()?;
    alice.ping()?;
    let clear = capture.end()?;
    println!("on the link: {clear}");
    ensure!(clear.of("ICMP") == 2 * PINGS, "expected {} ICMP packets on the link, saw: {clear}", 2 * PINGS);

    println!("\nBoth hosts get policies that require ESP, and the files for racoon to negotiate keys.");
    for host in [&alice, &bob] {
        host.write_files(host.namespace.name() == "alice")?;
        host.run_shown(&programs.setkey, &["-f", "/etc/ipsec.conf"])?;
        host.start(programs)?;
    }

    println!("\nThe first packets make alice's kernel acquire SAs. Until then they are dropped or held.");
    // The capture begins before the negotiation, so that no packet in clear can escape it.
    let capture = link.watch()?;
    alice.ping_until_answered()?;
    for host in [&alice, &bob] {
        let sas = host.run_shown(&programs.setkey, &["-D"])?;
        // One SA in each direction.
        ensure!(sas.matches("state=mature").count() == 2, "{}: setkey -D does not show two SAs", host.namespace.name());
        let phase1 = host.run_shown(&programs.racoonctl, &["-s", &host.file("sock"), "show-sa", "isakmp"])?;
        ensure!(phase1.contains(host.peer), "{}: racoonctl does not show the peer", host.namespace.name());
    }

    println!("After: the same pings, in both directions.");
    alice.ping()?;
    bob.ping()?;
    let protected = capture.end()?;
    println!("on the link: {protected}");
    ensure!(protected.of("ESP") >= 4 * PINGS, "expected {} ESP packets on the link, saw: {protected}", 4 * PINGS);
    ensure!(protected.of("ICMP") == 0, "pings crossed the link in clear: {protected}");
    println!("\nEvery ping crossed the link as ESP, none in clear. The UDP packets are the negotiation.");

    println!("\nalice's daemon stops and tells bob's: no SA is left.");
    alice.stop()?;
    for host in [&alice, &bob] {
        host.wait_for_no_sas(programs)?;
        host.run_shown(&programs.setkey, &["-D"])?;
    }
    bob.stop()
}

impl DemoHost {
    /// Returns the path of a file of this host's daemon. The hosts share the folder.
    fn file(&self, ending: &str) -> String {
        format!("/run/{}.{ending}", self.namespace.name())
    }

    fn write_files(&self, shown: bool) -> Result<()> {
        let Self { address, peer, .. } = self;
        let policies = format!(
            "#!/usr/sbin/setkey -f
flush;
spdflush;
spdadd {address} {peer} any -P out ipsec esp/transport//require;
spdadd {peer} {address} any -P in  ipsec esp/transport//require;
"
        );
        let configuration = format!(
            "path pre_shared_key \"/etc/psk.txt\";
path pidfile \"{}\";
listen {{ isakmp {address} [500]; adminsock \"{}\"; }}
remote {peer} {{
    exchange_mode main;
    proposal {{
        encryption_algorithm aes 256;
        hash_algorithm sha256;
        authentication_method pre_shared_key;
        dh_group modp2048;
    }}
}}
sainfo anonymous {{
    pfs_group modp2048;
    encryption_algorithm aes 256;
    authentication_algorithm hmac_sha256;
    compression_algorithm deflate;
}}
",
            self.file("pid"),
            self.file("sock")
        );
        let key = format!("{peer} correct horse battery staple\n");
        if shown {
            let name = self.namespace.name();
            println!("{name}:/etc/ipsec.conf:\n{policies}\n{name}:/etc/racoon.conf:\n{configuration}");
            println!("{name}:/etc/psk.txt:\n{key}");
        }
        self.namespace.write("/etc/ipsec.conf", &policies)?;
        self.namespace.write("/etc/racoon.conf", &configuration)?;
        self.namespace.write("/etc/psk.txt", &key)
    }

    /// Starts the daemon, which moves to the background when it is ready.
    fn start(&self, programs: &DemoPrograms) -> Result<()> {
        self.run_shown(&programs.racoon, &["-f", "/etc/racoon.conf", "-d", "-l", &self.file("log")]).map(drop)
    }

    /// Stops the daemon. It removes its pid file last.
    fn stop(&self) -> Result<()> {
        let file = self.file("pid");
        let pid: i32 = std::fs::read_to_string(&file).with_context(|| file.clone())?.trim().parse()?;
        println!("{}# kill {pid}", self.namespace.name());
        kill(Pid::from_raw(pid), Signal::SIGTERM)?;
        let gone = wait_until(TIMEOUT, || !Path::new(&file).exists(), || Ok(()))?;
        ensure!(gone, "{}: racoon does not exit:\n{}", self.namespace.name(), self.log());
        Ok(())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    /// Pings until there is an answer.
    fn ping_until_answered(&self) -> Result<()> {
        let ping = || self.namespace.run(Program::new("ping", &["-n", "-c", "1", "-W", "1", self.peer]));
        let answered = wait_until(TIMEOUT, || ping().is_ok_and(|done| done.success()), || Ok(()))?;
        ensure!(answered, "{}: no answer; racoon's log:\n{}", self.namespace.name(), self.log());
        println!("log of racoon on {}:", self.namespace.name());
        for line in self.log().lines().filter(|line| line.contains("established") || line.contains("initiate")) {
            println!("  {line}");
        }
        println!();
        Ok(())
    }

    fn wait_for_no_sas(&self, programs: &DemoPrograms) -> Result<()> {
        let dump = || self.namespace.run(Program::new(&programs.setkey, &["-D"]));
        let empty = wait_until(TIMEOUT, || dump().is_ok_and(|done| done.text().contains("No SAD entries")), || Ok(()))?;
        ensure!(empty, "{}: SAs remain", self.namespace.name());
        Ok(())
    }

    /// Runs a command, prints it as a user would type it, and returns its output.
    fn run_shown(&self, program: &str, arguments: &[&str]) -> Result<String> {
        run_shown(&self.namespace, program, arguments)
    }

    fn ping(&self) -> Result<()> {
        let count = PINGS.to_string();
        let text = self.run_shown("ping", &["-n", "-c", &count, "-i", "0.5", "-W", "2", self.peer])?;
        ensure!(text.contains(" 0% packet loss"), "{}: pings were lost", self.namespace.name());
        Ok(())
    }
}

/// Runs a command on `host`, prints it as a user would type it, and returns its output.
fn run_shown(host: &Host, program: &str, arguments: &[&str]) -> Result<String> {
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    println!("{}# {name} {}", host.name(), arguments.join(" "));
    let done = host.run(Program::new(program, arguments))?;
    let text = done.text();
    print!("{text}");
    ensure!(done.success(), "{}: {name} {} ended with {}", host.name(), arguments.join(" "), done.exit);
    ensure!(done.stderr.is_empty(), "{}: {name} {} wrote to standard error", host.name(), arguments.join(" "));
    Ok(text)
}
