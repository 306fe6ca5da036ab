//! `setkey -f --replace`, which replaces manual keys and policies under traffic, without IKE.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::testbed::{Side, Testbed, Topology};
use super::{Environment, Scenario};
use crate::lab::{Daemon, Finished, daemon_dir};

pub(super) const SCENARIOS: &[Scenario] = &[("manual keys, replaced under traffic", replaced)];

/// How often both hosts get other keys and policies.
const ROUNDS: usize = 3;
/// Number of answers that show that traffic continues.
const ANSWERS: usize = 20;

/// The two rule sets of a host. They differ in SPIs, keys, reqids and the order of policies.
#[derive(Clone, Copy, Debug)]
enum RuleSet {
    First,
    Second,
}

impl RuleSet {
    /// Returns the script for a side. `last` is appended to it.
    fn file(self, side: Side, last: &str) -> String {
        let (spi, digit, step) = match self {
            Self::First => (0x1000, '1', "esp/transport//require"),
            Self::Second => (0x2000, '2', "esp/transport//unique:7"),
        };
        let reqid = if matches!(self, Self::Second) { "-u 7" } else { "" };
        let (key, hash) = (digit.to_string().repeat(32), digit.to_string().repeat(40));
        let sa = |from, to, spi| {
            format!(
                "add {from} {to} esp {spi:#x} -m transport -r 32 {reqid} -E aes-cbc 0x{key} -A hmac-sha1 0x{hash};\n"
            )
        };
        let (a, b) = ("192.0.2.1", "192.0.2.2");
        let (us, peer) = if side == Side::Alice { (a, b) } else { (b, a) };
        let policies = |upper: &str| {
            format!("spdadd {us} {peer} {upper} -P out ipsec {step};\nspdadd {peer} {us} {upper} -P in ipsec {step};\n")
        };
        // The other rule set has a policy for pings before that for all packets, and before both one for UDP in clear.
        let policies = match self {
            Self::First => policies("any"),
            Self::Second => {
                format!("spdadd {us} {peer} udp -P out none;\n{}{}", policies("icmp"), policies("any"))
            }
        };
        format!("flush;\nspdflush;\n{}{}{policies}{last}", sa(a, b, spi + 1), sa(b, a, spi + 2))
    }
}

/// A ping every 10 ms.
struct Traffic<'h> {
    _ping: Daemon,
    output: PathBuf,
    testbed: &'h Testbed,
}

impl<'h> Traffic<'h> {
    fn start(testbed: &'h Testbed) -> Result<Self> {
        let output = daemon_dir(&testbed.alice, "ping")?.join("output");
        let mut command = Command::new("ping");
        command.args(["-n", "-i", "0.01", "192.0.2.2"]);
        Ok(Self { _ping: Daemon::start(&testbed.alice, command, &output)?, output, testbed })
    }

    /// Waits until more pings have been answered.
    fn wait_for_answers(&self) -> Result<()> {
        let wanted = answers(&self.output)? + ANSWERS;
        self.testbed.wait_for("answers to pings", || Ok(answers(&self.output)? >= wanted))
    }
}

/// Returns the number of answered pings so far.
fn answers(output: &Path) -> Result<usize> {
    Ok(fs::read_to_string(output).context("the output of ping")?.matches("icmp_seq=").count())
}

fn replaced(env: &Environment<'_>) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Transport)?;
    let load = |rules: RuleSet| {
        Side::BOTH.into_iter().try_for_each(|side| check_silent(&testbed.replace(side, rules.file(side, ""))?))
    };
    load(RuleSet::First)?;
    let traffic = Traffic::start(&testbed)?;
    traffic.wait_for_answers()?;
    let watch = testbed.link.watch()?;
    for _ in 0..ROUNDS {
        load(RuleSet::Second)?;
        traffic.wait_for_answers()?;
        load(RuleSet::First)?;
        traffic.wait_for_answers()?;
    }
    equal_sas_are_kept(&testbed)?;
    let seen = watch.end()?;
    ensure!(seen.of("ESP") >= ROUNDS * ANSWERS, "too little ESP on the link: {seen}");
    ensure!(seen.of("ICMP") == 0, "in clear on the link: {seen}");
    failures_restore_the_old_state(&testbed)?;
    replaced_sas_are_restored_with_counters(&testbed, &env.programs.backend, &traffic)?;
    drop(traffic);

    // Makes sure that the watch above would have seen pings in clear.
    let watch = testbed.link.watch()?;
    for side in Side::BOTH {
        check_silent(&testbed.replace(side, "spdflush;\n".into())?)?;
    }
    let pings = testbed.ping(Side::Alice, &["-c", "5", "-i", "0.05", "-w", "60"])?;
    let seen = watch.end()?;
    ensure!(
        pings.received == 5 && seen.of("ICMP") >= 10,
        "expected pings in clear without policies: {pings:?}, {seen}"
    );
    Ok(())
}

/// Loading the same file again does not reset the counters of SAs.
fn equal_sas_are_kept(testbed: &Testbed) -> Result<()> {
    let before = counted(testbed)?;
    check_silent(&testbed.replace(Side::Alice, RuleSet::First.file(Side::Alice, ""))?)?;
    let after = counted(testbed)?;
    ensure!(
        before.len() == 2 && before.iter().zip(&after).all(|(before, after)| before <= after),
        "{before:?} {after:?}"
    );
    Ok(())
}

/// Returns the packet counters of Alice's SAs.
fn counted(testbed: &Testbed) -> Result<Vec<u64>> {
    let text = testbed.sas(Side::Alice)?;
    let number = |line: &str| line.split_once("allocated: ")?.1.split_whitespace().next()?.parse().ok();
    let counted: Vec<u64> = text.lines().filter_map(number).collect();
    ensure!(counted.iter().all(|count| *count > 0), "SAs without counted packets:\n{text}");
    Ok(counted)
}

/// A statement that this kernel refuses and `--check` accepts.
const REFUSED: &str = "spdadd 10.8.0.0/16 10.9.0.0/16 any -P out ipsec esp/tunnel/192.0.2.1-192.0.2.2/use;\n";

/// The kernel refuses the last statement of a file that changes everything. The previous state must be restored.
fn failures_restore_the_old_state(testbed: &Testbed) -> Result<()> {
    let before = [testbed.setkey(Side::Alice, &["-DP"])?, testbed.sas(Side::Alice)?].map(|text| named(&text));
    let done = testbed.replace(Side::Alice, RuleSet::Second.file(Side::Alice, REFUSED))?;
    let text = done.text();
    let said = "setkey: nothing was changed: the previous state was restored\n";
    ensure!(!done.success() && text.ends_with(said), "{text}");
    let after = [testbed.setkey(Side::Alice, &["-DP"])?, testbed.sas(Side::Alice)?].map(|text| named(&text));
    ensure!(before == after, "before:\n{before:?}\nafter:\n{after:?}");
    Ok(())
}

/// The same with other keys under the same SPIs. NETLINK_XFRM restores the old SAs with their counters, and the peer
/// continues to accept their packets. PF_KEY cannot do so: it leaves the SAs out and says so.
fn replaced_sas_are_restored_with_counters(testbed: &Testbed, backend: &str, traffic: &Traffic<'_>) -> Result<()> {
    let file = RuleSet::First.file(Side::Alice, REFUSED).replace(&"1".repeat(32), &"3".repeat(32));
    let before = named(&testbed.sas(Side::Alice)?);
    let done = testbed.replace(Side::Alice, file)?;
    let text = done.text();
    let is_xfrm = backend == "xfrm";
    let said = if is_xfrm {
        "setkey: nothing was changed: the previous state was restored\n"
    } else {
        "setkey: the previous state was restored, without 2 SAs\n"
    };
    ensure!(!done.success() && text.ends_with(said), "{text}");
    if !is_xfrm {
        return Ok(());
    }
    let after = named(&testbed.sas(Side::Alice)?);
    ensure!(before == after, "before:\n{before:?}\nafter:\n{after:?}");
    traffic.wait_for_answers()
}

/// Returns what a dump says about entries and keys, without counters.
fn named(text: &str) -> Vec<String> {
    let mut lines: Vec<_> = text
        .lines()
        .filter(|line| ["[any]", "spi=", "E: ", "A: ", "esp/"].iter().any(|mark| line.contains(mark)))
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

fn check_silent(done: &Finished) -> Result<()> {
    ensure!(done.success() && done.text().is_empty(), "setkey: {}", done.text());
    Ok(())
}
