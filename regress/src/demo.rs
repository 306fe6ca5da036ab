//! `cargo demo`: two hosts load their `/etc/ipsec.conf` and ping each other through ESP.

use std::io::stdout;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::job::Job;
use crate::lab::{Boot, End, Host, Link, Program};
use crate::tally::Tally;
use crate::{tools, tree};

/// The command line: builds, boots, plays.
pub(crate) fn run(words: &[&str]) -> Result<ExitCode> {
    let (mut backend, mut setkey) = ("pfkey", None);
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        match word {
            "--" => {}
            "--backend" => backend = words.next().context("--backend needs a name")?,
            "--setkey" => setkey = Some(PathBuf::from(words.next().context("--setkey needs a path")?)),
            _ => bail!("usage: cargo demo [-- [--backend pfkey|xfrm] [--setkey PROGRAM]]"),
        }
    }
    tools::packages(tools::LAB)?;
    let setkey = match setkey {
        Some(program) => program.canonicalize().with_context(|| program.display().to_string())?,
        None => {
            tools::packages(tools::BUILD)?;
            Job::cargo("build --package setkey").run()?;
            tree::program("setkey", "debug")
        }
    };
    boot(&setkey, backend).map(|()| ExitCode::SUCCESS)
}

/// The same as a check.
pub(crate) fn check(backend: &str) -> Result<Tally> {
    boot(&tree::program("setkey", "debug"), backend)?;
    Ok(Tally::PASSED)
}

fn boot(setkey: &Path, backend: &str) -> Result<()> {
    println!("booting a User Mode Linux kernel ({} to it: {backend})", setkey.display());
    let setkey = setkey.to_str().context("the path of setkey is not text")?;
    let mut boot = Boot::agent(&["demo", setkey])?.env("LIBPFKEY_BACKEND", backend).limit(Duration::from_secs(120));
    if backend == "xfrm" {
        boot = boot.without_pf_key();
    }
    match boot.run(&mut stdout())? {
        End::Exited(0) => Ok(()),
        End::Exited(status) => bail!("the demo failed (exit status {status})"),
        other => bail!("the lab did not come to an end: {other:?}"),
    }
}

/// How many pings go out in each act.
const PINGS: usize = 3;

/// The play itself, in the guest.
pub(crate) fn play(setkey: &str) -> Result<()> {
    println!("\nTwo hosts on one wire: alice 192.0.2.1, bob 192.0.2.2.");
    let wire = Link::new("wire")?;
    let (alice, bob) = (Host::new("alice")?, Host::new("bob")?);
    wire.plug(&alice, "eth0", &["192.0.2.1/24"])?;
    wire.plug(&bob, "eth0", &["192.0.2.2/24"])?;

    println!("\nBefore: pings cross the wire as they are, and a third party sees it.");
    let clear = wire.watch()?;
    ping(&alice, "192.0.2.2")?;
    let clear = clear.end()?;
    println!("on the wire: {clear}");
    ensure!(clear.of("ICMP") == 2 * PINGS, "expected {} ICMP packets on the wire, saw: {clear}", 2 * PINGS);

    println!("\nBoth hosts load their /etc/ipsec.conf.");
    for (host, out, inbound) in [(&alice, "out", "in"), (&bob, "in", "out")] {
        let text = configuration(out, inbound);
        if host.name() == "alice" {
            println!("alice:/etc/ipsec.conf:\n{text}");
        }
        host.write("/etc/ipsec.conf", &text)?;
        show(host, setkey, &["-f", "/etc/ipsec.conf"])?;
    }
    for host in [&alice, &bob] {
        let sas = show(host, setkey, &["-D"])?;
        ensure!(sas.contains("spi=4097(0x00001001)"), "{}: setkey -D does not show SPI 0x1001", host.name());
        let policies = show(host, setkey, &["-DP"])?;
        ensure!(policies.contains("esp/transport//require"), "{}: setkey -DP does not show the policy", host.name());
    }

    println!("After: the same pings, both ways.");
    let secret = wire.watch()?;
    ping(&alice, "192.0.2.2")?;
    ping(&bob, "192.0.2.1")?;
    let secret = secret.end()?;
    println!("on the wire: {secret}");
    ensure!(secret.of("ESP") == 4 * PINGS, "expected {} ESP packets on the wire, saw: {secret}", 4 * PINGS);
    ensure!(secret.of("ICMP") == 0, "pings crossed the wire in clear: {secret}");
    println!("\nEvery ping crossed the wire as ESP, none in clear.");
    Ok(())
}

/// The same two SAs for both hosts; the directions of the policies as one of them sees it.
fn configuration(from_alice: &str, from_bob: &str) -> String {
    format!(
        "#!/usr/sbin/setkey -f
flush;
spdflush;
add 192.0.2.1 192.0.2.2 esp 0x1001 -m transport
    -E aes-cbc 0x000102030405060708090a0b0c0d0e0f
    -A hmac-sha256 0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f;
add 192.0.2.2 192.0.2.1 esp 0x1002 -m transport
    -E aes-cbc 0x101112131415161718191a1b1c1d1e1f
    -A hmac-sha256 0x202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f;
spdadd 192.0.2.1 192.0.2.2 any -P {from_alice} ipsec esp/transport//require;
spdadd 192.0.2.2 192.0.2.1 any -P {from_bob} ipsec esp/transport//require;
"
    )
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

fn ping(host: &Host, to: &str) -> Result<()> {
    let count = PINGS.to_string();
    let arguments = ["-n", "-c", &count, "-i", "0.2", "-W", "2", to];
    let text = show(host, "ping", &arguments)?;
    ensure!(text.contains(" 0% packet loss"), "{}: pings to {to} were lost", host.name());
    Ok(())
}
