//! `cargo regress bench ike`: the cost of negotiations, measured for the engine alone, for the daemon as responder on
//! this machine, and for the daemon and strongSwan's in the lab under equal load.

mod charon;
mod cpu_clock;
pub(super) mod flood;
mod responder;
mod suite;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use self::charon::Charon;
use self::cpu_clock::{CpuClock, Mark};
use self::responder::Responder;
use self::suite::{SUITES, Suite};
use super::meter::Marks;
use crate::command::HostCommand;
use crate::interop::STRONGSWAN;
use crate::lab::{Boot, Host, Program};
use crate::pki::{KeyKind, Leaf, Pki};
use crate::racoon::{Programs, Racoon, RacoonFiles};
use crate::{tools, tree};

/// Default number of handshakes.
const COUNT: u32 = 1000;

/// The lab is slower by about this factor, and gets fewer handshakes.
const SLOWER: u32 = 5;

/// The pre-shared key of all peers; the load generator uses the same one.
const KEY: &str = "handshakes";

/// The folder of certificates in the lab.
const CERTIFICATES: &str = "/run/pki";

/// The port of the daemons in the lab.
const PORT: u16 = 500;

/// Runs the benchmark; the argument is the number of handshakes.
pub(super) fn run(arguments: &[&str]) -> Result<ExitCode> {
    let count = match arguments {
        [] => COUNT,
        [count] => count.parse().with_context(|| format!("not a number: {count}"))?,
        _ => bail!("expected at most one number"),
    };
    ensure!(count >= SLOWER, "at least {SLOWER} handshakes");
    tools::packages(tools::BUILD)?;
    tools::packages(tools::LAB)?;
    STRONGSWAN.fetch()?;
    HostCommand::cargo("build --release --package racoon --package setkey --package regress-handshakes").run()?;
    println!("load of this machine, before: {}", fs::read_to_string("/proc/loadavg")?.trim());
    let load = tree::program("regress-handshakes", "release");
    let certificates = std::env::temp_dir().join(format!("bench-ike-pki.{}", std::process::id()));
    make_certificates(&certificates)?;
    HostCommand::new(&load).arg("engine").arg(count.to_string()).arg(&certificates).run()?;
    responder(&load, count, &certificates)?;
    fs::remove_dir_all(&certificates)?;
    lab(count / SLOWER)?;
    println!("load of this machine, after: {}", fs::read_to_string("/proc/loadavg")?.trim());
    Ok(ExitCode::SUCCESS)
}

/// Makes keys and certificates for the daemon and for its load.
fn make_certificates(dir: &Path) -> Result<()> {
    let pki = Pki::new(dir)?;
    for kind in [KeyKind::Rsa, KeyKind::P256] {
        for host in ["client", "server"] {
            let name = format!("{host}-{}", kind.name());
            pki.leaf(&Leaf::new(&name, kind, &format!("DNS:{name}.example")))?;
        }
    }
    Ok(())
}

fn print_head(place: &str) {
    println!("\nA daemon as responder, {place}, processor time of all its threads:");
    println!(
        "{:16}  {:13}  {:>6}  {:>9}  {:>8}  {:>7}  {:>12}",
        "daemon", "suite", "count", "per cpu s", "ms each", "per s", "bytes/tunnel"
    );
}

/// Formats a line of the table. `spent` is the processor time of the daemon.
fn row(daemon: &str, suite: &str, count: u32, spent: Duration, elapsed: Duration, bytes: &str) -> String {
    let (spent, elapsed, number) = (spent.as_secs_f64(), elapsed.as_secs_f64(), f64::from(count));
    let (rate, each, speed) = (number / spent, spent / number * 1000.0, number / elapsed);
    format!("{daemon:16}  {suite:13}  {count:6}  {rate:9.0}  {each:8.2}  {speed:7.0}  {bytes:>12}")
}

/// Parses the output of the load generator: seconds of the daemon's processor time, seconds elapsed, and bytes per
/// tunnel.
fn figures(text: &str) -> Result<(Duration, Duration, &str)> {
    let [spent, elapsed, bytes] = text.split_ascii_whitespace().collect::<Vec<_>>()[..] else {
        bail!("not three figures: {text}");
    };
    Ok((Duration::from_secs_f64(spent.parse()?), Duration::from_secs_f64(elapsed.parse()?), bytes))
}

/// Measures the daemon on this machine, with the in-memory backend.
fn responder(load: &Path, count: u32, certificates: &Path) -> Result<()> {
    print_head("on this machine, with the in-memory backend");
    for suite in &SUITES {
        let responder = Responder::start(suite, certificates)?;
        let (id, target) = (responder.id().to_string(), format!("127.0.0.1:{}", responder.port()));
        let arguments = ["load", &id, &target, &count.to_string(), suite.name, &certificates.to_string_lossy()];
        let done = Program::new(&load.to_string_lossy(), &arguments).run()?;
        ensure!(done.success(), "{}\n{}", done.text(), responder.log());
        let text = done.text();
        let (spent, elapsed, bytes) = figures(&text)?;
        println!("{}", row("racoon, memory", suite.name, count, spent, elapsed, bytes));
    }
    Ok(())
}

/// Boots the lab and measures both daemons there.
fn lab(count: u32) -> Result<()> {
    let path = |name| tree::program(name, "release").to_str().map(str::to_owned).context("a path is not text");
    let (racoon, setkey, load) = (path("racoon")?, path("setkey")?, path("regress-handshakes")?);
    let target = tree::target();
    let target = target.to_str().context("the path of the build folder is not text")?;
    let boot = Boot::regress(&["bench-ike", &racoon, &setkey, &load, &count.to_string()])?;
    let boot = boot.env("CARGO_TARGET_DIR", target).for_backend("xfrm").limit(Duration::from_secs(900));
    print_head("in the lab");
    let mut clock = CpuClock::default();
    boot.run_watched(&mut |group, bytes| clock.watch(group, bytes))?.check()
}

/// Runs inside the lab. Each daemon shares a network namespace with its load.
pub(crate) fn run_in_lab(arguments: &[&str]) -> Result<()> {
    let [racoon, setkey, load, count] = arguments else { bail!("unexpected arguments: {arguments:?}") };
    let programs =
        Programs { racoon: PathBuf::from(racoon), setkey: PathBuf::from(setkey), backend: "xfrm".to_owned() };
    let certificates = Path::new(CERTIFICATES);
    make_certificates(certificates)?;
    let (ours, theirs) = (Host::new("programs")?, Host::new("theirs")?);
    for suite in &SUITES {
        let files = RacoonFiles {
            conf: suite.racoon(PORT, certificates),
            psk: format!("* {KEY}\n"),
            setkey: "flush;\nspdflush;\n".to_owned(),
            ..RacoonFiles::default()
        };
        let daemon = Racoon::start(&ours, &programs, &files)?;
        measure(&ours, load, "racoon, xfrm", daemon.id(), count, suite)
            .with_context(|| daemon.log().unwrap_or_default())?;
        daemon.stop()?;
        let daemon = Charon::start(&theirs, suite, certificates)?;
        measure(&theirs, load, "charon 5.9.8", daemon.id(), count, suite).with_context(|| daemon.log())?;
        daemon.stop()?;
    }
    Ok(())
}

/// Runs the load on the host of the daemon.
fn measure(host: &Host, load: &str, title: &str, id: u32, count: &str, suite: &Suite) -> Result<()> {
    let target = format!("127.0.0.1:{PORT}");
    Marks::print(&Mark::Ready)?;
    let done = host.run(Program::new(load, &["load", &id.to_string(), &target, count, suite.name, CERTIFICATES]))?;
    ensure!(done.success(), "{title}: {}", done.text());
    let text = done.text();
    let (_, elapsed, bytes) = figures(&text)?;
    Marks::print(&Mark::Over {
        title: title.to_owned(),
        suite: suite.name.to_owned(),
        count: count.parse()?,
        elapsed,
        bytes: bytes.to_owned(),
    })
}
