//! Extended sequence numbers (RFC 4304): negotiation, installation, and counting beyond 32 bits.

use anyhow::{Context as _, Result, ensure};

use super::testbed::{Settings, Side, Testbed, Topology};
use super::{Environment, Scenario};
use crate::lab::{Host, Program, count_esn};

pub(super) const SCENARIOS: &[Scenario] = &[
    ("extended sequence numbers", extended),
    ("extended sequence numbers, preferred by the initiator only", |env| preferred(env, Side::Alice)),
    ("extended sequence numbers, preferred by the responder only", |env| preferred(env, Side::Bob)),
];

const WITHOUT: &str = "encryption_algorithm aes 256; authentication_algorithm hmac_sha256;";
const PREFERRED: &str = "encryption_algorithm aes 256; authentication_algorithm hmac_sha256; esn on;";
const REQUIRED: &str = "encryption_algorithm aes 256; authentication_algorithm hmac_sha256; esn require;";

/// Sequence number shortly before the lower 32 bits wrap around.
const BEFORE_THE_END: u32 = 0xffff_fffa;

/// Pings are answered, also when the upper half of the sequence number changes, which is not transmitted. Over PF_KEY
/// the daemon refuses to start and says why.
fn extended(env: &Environment<'_>) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Transport)?;
    let settings = Settings { sainfo: REQUIRED, ..Settings::default() };
    if env.programs.backend == "pfkey" {
        return refused(&testbed, Side::Alice, &settings);
    }
    let (alice, bob) = testbed.start_both(&settings)?;
    testbed.bring_up(Side::Alice)?;
    testbed.check_protected("ESP")?;
    for host in [&testbed.alice, &testbed.bob] {
        let states = states(host)?;
        ensure!(count_esn(&states) == 2, "{}: not two SAs with ESN:\n{states}", host.name());
    }
    // The daemons must not react when the SAs are replaced.
    alice.kill()?;
    bob.kill()?;
    for host in [&testbed.alice, &testbed.bob] {
        let old = states(host)?;
        // ip(8) sets the counters of an SA only when it adds the SA.
        host.must("ip xfrm state flush")?;
        for sa in old.split("src ").filter(|sa| count_esn(sa) == 1) {
            host.must(&near_the_end(sa)?)?;
        }
    }
    testbed.check_protected("ESP")?;
    for host in [&testbed.alice, &testbed.bob] {
        let states = states(host)?;
        for past in [" seq-hi 0x1,", " oseq-hi 0x1,"] {
            ensure!(states.matches(past).count() == 1, "{}: no{past} in\n{states}", host.name());
        }
    }
    Ok(())
}

fn refused(testbed: &Testbed, side: Side, settings: &Settings) -> Result<()> {
    const WORDS: &str = "a PF_KEY message of linux has no place for extended sequence numbers";
    let error = testbed.start(side, settings).err().context("racoon started")?;
    ensure!(format!("{error:#}").contains(WORDS), "unexpected error: {error:#}");
    Ok(())
}

/// If one side disables them and the other only prefers them, they are not used. PF_KEY cannot express the preference.
fn preferred(env: &Environment<'_>, side: Side) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Transport)?;
    let would = Settings { sainfo: PREFERRED, ..Settings::default() };
    if env.programs.backend == "pfkey" {
        return refused(&testbed, side, &would);
    }
    let other = Settings { sainfo: WITHOUT, ..Settings::default() };
    let (alice, bob) = match side {
        Side::Alice => (&would, &other),
        Side::Bob => (&other, &would),
    };
    let (alice, bob) = (testbed.start(Side::Alice, alice)?, testbed.start(Side::Bob, bob)?);
    testbed.bring_up(Side::Alice)?;
    testbed.check_protected("ESP")?;
    for host in [&testbed.alice, &testbed.bob] {
        let states = states(host)?;
        ensure!(count_esn(&states) == 0, "{}: {states}", host.name());
    }
    alice.stop()?;
    bob.stop()
}

fn states(host: &Host) -> Result<String> {
    Ok(host.run(Program::new("ip", &["xfrm", "state"]))?.text())
}

/// Returns the command that adds an SA as `ip` shows it, with sequence numbers just below 32 bits. `sa` starts with the
/// source address.
fn near_the_end(sa: &str) -> Result<String> {
    let line = |start: &str| sa.lines().map(str::trim).find(|line| line.starts_with(start));
    let ends = sa.lines().next().context("an SA has lines")?;
    let [name, authentication, encryption] = ["proto ", "auth-trunc ", "enc "].map(line);
    let parts = name.zip(authentication).zip(encryption).with_context(|| format!("not an SA: {sa}"))?;
    let ((name, authentication), encryption) = parts;
    Ok(format!(
        "ip xfrm state add src {ends} {name} replay-window 64 flag esn replay-seq {BEFORE_THE_END} \
         replay-oseq {BEFORE_THE_END} {authentication} {encryption}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sa_is_added_as_shown() {
        let shown = "192.0.2.1 dst 192.0.2.2\n\tproto esp spi 0x0a reqid 3 mode transport\n\treplay-window 0 flag esn\n\
                     \tauth-trunc hmac(sha256) 0xaa 128\n\tenc cbc(aes) 0xbb\n\tanti-replay esn context:\n";
        let expected = "ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x0a reqid 3 mode transport \
                        replay-window 64 flag esn replay-seq 4294967290 replay-oseq 4294967290 \
                        auth-trunc hmac(sha256) 0xaa 128 enc cbc(aes) 0xbb";
        assert_eq!(near_the_end(shown).expect("one"), expected);
        assert!(near_the_end("192.0.2.1 dst 192.0.2.2\n\tproto comp spi 1\n").is_err());
    }
}
