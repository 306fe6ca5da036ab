//! An authenticated peer that asks for traffic it is not entitled to.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use super::testbed::{Settings, Side, Testbed, Topology};
use super::{Environment, Scenario};
use crate::lab::{Host, Link, Pings, Program};

pub(super) const SCENARIOS: &[Scenario] = &[("blocked forwarding stays blocked", blocked)];

/// Bob forwards to Carol, but not from this network behind Alice.
const BLOCK: &str = "spdadd 192.168.1.0/24 192.168.2.0/24 any -P fwd discard;\n";

/// Bob's racoon may generate policies without bounds.
const GENERATES: &str = "generate_policy on; generate_policy_bounds off;";

/// Carol's address, in the network behind Bob.
const CAROL: &str = "192.168.2.9";

/// Alice asks for a tunnel with the selector of a `discard` policy of Bob. The policy is neither replaced, nor deleted
/// when she leaves, and her other tunnel is established.
fn blocked(env: &Environment<'_>) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Tunnel)?;
    let lan = Link::new("lan")?;
    let carol = Host::new(&env.host_name("carol"))?;
    lan.plug(&testbed.bob, "eth1", &["192.168.2.2/24"])?;
    lan.plug(&carol, "eth0", &["192.168.2.9/24"])?;
    carol.must("ip route add 192.168.0.0/16 via 192.168.2.2")?;
    testbed.bob.must("ip route add 192.168.3.0/24 dev eth0")?;
    testbed.alice.must("ip address add 192.168.3.1/32 dev lo")?;
    testbed.alice.must("ip route replace 192.168.2.0/24 via 192.0.2.2")?;
    testbed.bob.enter(|| fs::write("/proc/sys/net/ipv4/ip_forward", "1"))?.context("ip_forward")?;
    let answered = |from| Ok::<_, anyhow::Error>(ping_carol(&testbed.alice, from)?.received);

    // Shows first that only the policy blocks, and not the routes.
    testbed.load(Side::Bob, format!("flush;\nspdflush;\n{BLOCK}"))?;
    ensure!(answered("192.168.3.1")? == 2, "Bob does not forward");
    ensure!(answered("192.168.1.1")? == 0, "Bob does not block");

    let bob = testbed.restart(Side::Bob, &Settings { remote: GENERATES, ..Settings::default() })?;
    testbed.load(Side::Alice, tunnels())?;
    let alice = testbed.restart(Side::Alice, &Settings::default())?;
    ensure!(answered("192.168.1.1")? == 0, "Alice evades the block");
    bob.wait_for_log("another program has a policy for direction fwd with this selector")?;
    testbed.wait_for("the other tunnel", || Ok(answered("192.168.3.1")? == 2))?;
    ensure!(
        policies(&testbed)? == [1, 3],
        "expected the block and three policies for the tunnel:\n{}",
        dump(&testbed)?
    );

    alice.stop()?;
    testbed.load(Side::Alice, "flush;\nspdflush;\n".into())?;
    testbed.wait_for("only the block", || Ok(policies(&testbed)? == [1, 0]))?;
    ensure!(answered("192.168.1.1")? == 0, "the block was deleted with Alice:\n{}", dump(&testbed)?);
    ensure!(answered("192.168.3.1")? == 2, "generated policies still block:\n{}", dump(&testbed)?);
    bob.stop()
}

/// Returns Alice's policies for both of her networks.
fn tunnels() -> String {
    // Each has its own reqid. Between two endpoints, Linux acquires one SA at a time, and waits if that fails.
    let tunnel = |network: &str, reqid: u32| {
        format!(
            "spdadd {network} 192.168.2.0/24 any -P out ipsec esp/tunnel/192.0.2.1-192.0.2.2/unique:{reqid};\n\
             spdadd 192.168.2.0/24 {network} any -P in ipsec esp/tunnel/192.0.2.2-192.0.2.1/unique:{reqid};\n"
        )
    };
    format!("flush;\nspdflush;\n{}{}", tunnel("192.168.1.0/24", 101), tunnel("192.168.3.0/24", 103))
}

/// Pings Carol twice from an address of Alice.
fn ping_carol(alice: &Host, from: &str) -> Result<Pings> {
    let done = alice.run(Program::new("ping", &["-n", "-I", from, "-c", "2", "-i", "0.2", "-W", "1", CAROL]))?;
    Pings::read(&done.text())
}

/// Counts Bob's blocking and protecting policies.
fn policies(testbed: &Testbed) -> Result<[usize; 2]> {
    let text = dump(testbed)?;
    Ok(["discard", "esp/tunnel/"].map(|word| text.matches(word).count()))
}

fn dump(testbed: &Testbed) -> Result<String> {
    testbed.setkey(Side::Bob, &["-NDP"])
}
