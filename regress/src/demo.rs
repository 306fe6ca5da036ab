//! `cargo demo`: two hosts load their `/etc/ipsec.conf`, start racoon, and ping each other through ESP.

use std::io::stdout;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::job::Job;
use crate::lab::{Boot, Host, Lab, LabKind, Link, PATIENCE, Program, wait_until};
use crate::tally::Tally;
use crate::{tools, tree};

/// The programs of the play.
pub(crate) struct Programs {
    setkey: String,
    racoon: String,
    racoonctl: String,
}

impl Programs {
    /// Those in a folder.
    pub(crate) fn of(folder: &Path) -> Self {
        let path = |name| folder.join(name).display().to_string();
        Self { setkey: path("setkey"), racoon: path("racoon"), racoonctl: path("racoonctl") }
    }
}

/// The command line: builds, boots, plays.
pub(crate) fn run(words: &[&str]) -> Result<ExitCode> {
    let (mut kind, mut backend, mut folder) = (LabKind::Auto, None, None);
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        match word {
            "--" => {}
            "--lab" => kind = words.next().context("--lab needs a word")?.parse()?,
            "--backend" => backend = Some(*words.next().context("--backend needs a name")?),
            "--programs" => folder = Some(PathBuf::from(words.next().context("--programs needs a folder")?)),
            _ => bail!("usage: cargo demo [-- [--lab host|uml|auto] [--backend pfkey|xfrm] [--programs FOLDER]]"),
        }
    }
    let lab = kind.find(backend == Some("pfkey"))?;
    let folder = match folder {
        Some(folder) => folder.canonicalize().with_context(|| folder.display().to_string())?,
        None => {
            tools::packages(tools::BUILD)?;
            Job::cargo("build --package setkey --package racoon").run()?;
            tree::target().join("debug")
        }
    };
    boot(&folder, lab, backend, |boot| boot).map(|()| ExitCode::SUCCESS)
}

/// The same as a check.
pub(crate) fn check(backend: &str) -> Result<Tally> {
    boot(&tree::target().join("debug"), Lab::Uml, Some(backend), |boot| boot)?;
    Ok(Tally::PASSED)
}

/// The same as on a processor with AMX: two hosts that encrypt use its floating-point registers.
pub(crate) fn check_like_amx() -> Result<Tally> {
    boot(&tree::target().join("debug"), Lab::Uml, Some("xfrm"), Boot::like_amx)?;
    Ok(Tally::PASSED)
}

/// Plays it in `lab`. Without a `backend` that is PF_KEY, the older one, where the lab has it.
fn boot(folder: &Path, lab: Lab, backend: Option<&str>, adjust: impl FnOnce(Boot) -> Boot) -> Result<()> {
    let has_pf_key = lab != Lab::Namespaces { pf_key: false };
    let backend = backend.unwrap_or(if has_pf_key { "pfkey" } else { "xfrm" });
    let place = match lab {
        Lab::Namespaces { .. } => "network namespaces of this kernel",
        Lab::Uml => "a User Mode Linux kernel",
    };
    println!("{place} (programs: {}; backend: {backend})", folder.display());
    if !has_pf_key {
        println!("(this kernel has no PF_KEY: module af_key)");
    }
    let folder = folder.to_str().context("the path of the programs is not text")?;
    let boot = lab
        .agent(&["demo", folder])?
        .env("LIBPFKEY_BACKEND", backend)
        .limit(Duration::from_secs(1200))
        .for_backend(backend);
    adjust(boot).run(&mut stdout())?.check()
}

/// How many pings go out in each act.
const PINGS: usize = 3;

/// A host of the play: its namespace, and what it calls itself and the other one.
struct Player {
    host: Host,
    address: &'static str,
    peer: &'static str,
}

/// The play itself, in the guest.
pub(crate) fn play(programs: &Programs) -> Result<()> {
    println!("\nTwo hosts on one wire: alice 192.0.2.1, bob 192.0.2.2.");
    let wire = Link::new("wire")?;
    let alice = Player { host: Host::new("alice")?, address: "192.0.2.1", peer: "192.0.2.2" };
    let bob = Player { host: Host::new("bob")?, address: "192.0.2.2", peer: "192.0.2.1" };
    wire.plug(&alice.host, "eth0", &["192.0.2.1/24"])?;
    wire.plug(&bob.host, "eth0", &["192.0.2.2/24"])?;

    println!("\nBefore: pings cross the wire as they are, and a third party sees it.");
    let clear = wire.watch()?;
    alice.ping()?;
    let clear = clear.end()?;
    println!("on the wire: {clear}");
    ensure!(clear.of("ICMP") == 2 * PINGS, "expected {} ICMP packets on the wire, saw: {clear}", 2 * PINGS);

    println!("\nBoth hosts want ESP for each other, and have the files to agree on keys.");
    for player in [&alice, &bob] {
        player.write_files(player.host.name() == "alice")?;
        player.show(&programs.setkey, &["-f", "/etc/ipsec.conf"])?;
        player.start(programs)?;
    }

    println!("\nThe first packets make alice's kernel ask for SAs. They are lost, or wait.");
    let secret = wire.watch()?;
    alice.wake()?;
    for player in [&alice, &bob] {
        let sas = player.show(&programs.setkey, &["-D"])?;
        ensure!(sas.matches("state=mature").count() == 2, "{}: setkey -D does not show two SAs", player.host.name());
        let phase1 = player.show(&programs.racoonctl, &["-s", &player.file("sock"), "show-sa", "isakmp"])?;
        ensure!(phase1.contains(player.peer), "{}: racoonctl does not show the peer", player.host.name());
    }

    println!("After: the same pings, both ways.");
    alice.ping()?;
    bob.ping()?;
    let secret = secret.end()?;
    println!("on the wire: {secret}");
    ensure!(secret.of("ESP") >= 4 * PINGS, "expected {} ESP packets on the wire, saw: {secret}", 4 * PINGS);
    ensure!(secret.of("ICMP") == 0, "pings crossed the wire in clear: {secret}");
    println!("\nEvery ping crossed the wire as ESP, none in clear. UDP is racoon, negotiating.");

    println!("\nalice's daemon stops: it tells bob's, and no SA is left.");
    alice.stop()?;
    for player in [&alice, &bob] {
        player.has_no_sas(programs)?;
        player.show(&programs.setkey, &["-D"])?;
    }
    bob.stop()
}

impl Player {
    /// A file of its daemon in the run directory, which both hosts share.
    fn file(&self, ending: &str) -> String {
        format!("/run/{}.{ending}", self.host.name())
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
            let name = self.host.name();
            println!("{name}:/etc/ipsec.conf:\n{policies}\n{name}:/etc/racoon.conf:\n{configuration}");
            println!("{name}:/etc/psk.txt:\n{key}");
        }
        self.host.write("/etc/ipsec.conf", &policies)?;
        self.host.write("/etc/racoon.conf", &configuration)?;
        self.host.write("/etc/psk.txt", &key)
    }

    /// Starts the daemon, which goes to the background once it is ready.
    fn start(&self, programs: &Programs) -> Result<()> {
        self.show(&programs.racoon, &["-f", "/etc/racoon.conf", "-d", "-l", &self.file("log")]).map(drop)
    }

    /// Ends the daemon: it removes its pid file last.
    fn stop(&self) -> Result<()> {
        let file = self.file("pid");
        let pid: i32 = std::fs::read_to_string(&file).with_context(|| file.clone())?.trim().parse()?;
        println!("{}# kill {pid}", self.host.name());
        kill(Pid::from_raw(pid), Signal::SIGTERM)?;
        let gone = wait_until(PATIENCE, || !Path::new(&file).exists(), || Ok(()))?;
        ensure!(gone, "{}: racoon does not end:\n{}", self.host.name(), self.log());
        Ok(())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    /// Pings until an answer comes.
    fn wake(&self) -> Result<()> {
        let ping = || self.host.run(Program::new("ping", &["-n", "-c", "1", "-W", "1", self.peer]));
        let answered = wait_until(PATIENCE, || ping().is_ok_and(|done| done.success()), || Ok(()))?;
        ensure!(answered, "{}: no answer; racoon's log:\n{}", self.host.name(), self.log());
        println!("racoon on {} says:", self.host.name());
        for line in self.log().lines().filter(|line| line.contains("established") || line.contains("initiate")) {
            println!("  {line}");
        }
        println!();
        Ok(())
    }

    fn has_no_sas(&self, programs: &Programs) -> Result<()> {
        let dump = || self.host.run(Program::new(&programs.setkey, &["-D"]));
        let empty =
            wait_until(PATIENCE, || dump().is_ok_and(|done| done.text().contains("No SAD entries")), || Ok(()))?;
        ensure!(empty, "{}: SAs are left", self.host.name());
        Ok(())
    }

    /// Runs a command as a reader would type it, and returns what it printed.
    fn show(&self, program: &str, arguments: &[&str]) -> Result<String> {
        show(&self.host, program, arguments)
    }

    fn ping(&self) -> Result<()> {
        let count = PINGS.to_string();
        let text = self.show("ping", &["-n", "-c", &count, "-i", "0.5", "-W", "2", self.peer])?;
        ensure!(text.contains(" 0% packet loss"), "{}: pings were lost", self.host.name());
        Ok(())
    }
}

/// Runs a command on `host` as a reader would type it, and returns what it printed.
fn show(host: &Host, program: &str, arguments: &[&str]) -> Result<String> {
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    println!("{}# {name} {}", host.name(), arguments.join(" "));
    let done = host.run(Program::new(program, arguments))?;
    let text = done.text();
    print!("{text}");
    ensure!(done.success(), "{}: {name} {} ended with {}", host.name(), arguments.join(" "), done.exit);
    ensure!(done.stderr.is_empty(), "{}: {name} {} complained", host.name(), arguments.join(" "));
    Ok(text)
}
