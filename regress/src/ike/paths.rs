//! What a packet can ask for.

use anyhow::{Result, ensure};

use super::Play;
use super::scene::{Knobs, Scene, Shape, Side};
use crate::racoon::Ours;

pub(super) const PLAYS: &[Play] = &[
    ("transport", |ours| plain(ours, Shape::Transport)),
    ("transport over IPv6", |ours| plain(ours, Shape::Transport6)),
    ("tunnel between gateways", |ours| plain(ours, Shape::Tunnel)),
    ("IPv6 in an IPv4 tunnel", |ours| plain(ours, Shape::Tunnel6In4)),
    ("without PFS", |ours| {
        with(ours, "encryption_algorithm aes 128; authentication_algorithm hmac_sha1;", &["esp"], "ESP")
    }),
    ("AH alone", |ours| {
        with(ours, "encryption_algorithm aes 128; authentication_algorithm hmac_sha256;", &["ah"], "AH")
    }),
    ("ESP in AH", |ours| {
        with(ours, "encryption_algorithm aes 128; authentication_algorithm hmac_sha1;", &["esp", "ah"], "AH")
    }),
    ("IPComp in ESP", |ours| {
        with(ours, "encryption_algorithm aes 128; authentication_algorithm hmac_sha1;", &["ipcomp", "esp"], "ESP")
    }),
    ("elliptic curves", curves),
    ("both begin at once", both_begin),
    ("many packets, one phase 1", many),
];

fn plain(ours: &Ours, shape: Shape) -> Result<()> {
    let scene = Scene::new(ours, shape)?;
    let (alice, bob) = scene.start_both(&Knobs::default())?;
    scene.bring_up(Side::Alice)?;
    scene.protected("ESP")?;
    for side in Side::BOTH {
        let count = scene.count_sas(side)?;
        ensure!(count == 2, "{count} SAs:\n{}", scene.sas(side)?);
    }
    for (racoon, began) in [(&alice, "initiate new phase 2 negotiation"), (&bob, "respond new phase 2 negotiation")] {
        let log = racoon.log()?;
        for line in ["ISAKMP-SA established", "IPsec-SA established", began] {
            ensure!(log.contains(line), "no `{line}' in the log:\n{log}");
        }
    }
    alice.stop()?;
    bob.stop()
}

fn with(ours: &Ours, sainfo: &'static str, protocols: &[&str], outermost: &str) -> Result<()> {
    let scene = Scene::new(ours, Shape::Transport)?;
    let knobs = Knobs { sainfo, ..Knobs::default() };
    let alice = scene.start_with(Side::Alice, &knobs, protocols)?;
    let bob = scene.start_with(Side::Bob, &knobs, protocols)?;
    scene.bring_up(Side::Alice)?;
    scene.protected(outermost)?;
    let count = scene.count_sas(Side::Bob)?;
    ensure!(count == 2 * protocols.len(), "{count} SAs:\n{}", scene.sas(Side::Bob)?);
    alice.stop()?;
    bob.stop()
}

fn curves(ours: &Ours) -> Result<()> {
    let scene = Scene::new(ours, Shape::Transport)?;
    let knobs = Knobs {
        proposal: "encryption_algorithm aes 128; hash_algorithm sha512; dh_group x25519;",
        sainfo: "pfs_group ecp384; encryption_algorithm aes 256; authentication_algorithm hmac_sha512;",
        ..Knobs::default()
    };
    let (alice, bob) = scene.start_both(&knobs)?;
    scene.bring_up(Side::Bob)?;
    scene.protected("ESP")?;
    alice.stop()?;
    bob.stop()
}

/// The first packets of both cross on the wire.
fn both_begin(ours: &Ours) -> Result<()> {
    let scene = Scene::new(ours, Shape::Transport)?;
    let (alice, bob) = scene.start_both(&Knobs::default())?;
    scene.impair(Side::Alice, "delay 100ms")?;
    scene.impair(Side::Bob, "delay 100ms")?;
    let scene = &scene;
    let results = std::thread::scope(|scope| {
        Side::BOTH.map(|side| scope.spawn(move || scene.bring_up(side))).map(|thread| thread.join())
    });
    for result in results {
        result.map_err(|_| anyhow::anyhow!("a thread failed"))??;
    }
    scene.protected("ESP")?;
    alice.stop()?;
    bob.stop()
}

/// Policies for several ports to one peer: each asks for SAs of its own, under one phase 1.
fn many(ours: &Ours) -> Result<()> {
    const PORTS: std::ops::Range<u16> = 7001..7009;
    let scene = Scene::new(ours, Shape::Transport)?;
    let (alice, bob) = scene.start_both(&Knobs::default())?;
    for (side, out, inward) in [(Side::Alice, "out", "in"), (Side::Bob, "in", "out")] {
        let mut text = String::from("spdflush;\n");
        for port in PORTS {
            let request = "ipsec esp/transport//unique";
            text += &format!("spdadd 192.0.2.1 192.0.2.2[{port}] udp -P {out} {request};\n");
            text += &format!("spdadd 192.0.2.2[{port}] 192.0.2.1 udp -P {inward} {request};\n");
        }
        scene.load(side, text)?;
    }
    scene.alice.enter(|| -> std::io::Result<()> {
        let socket = std::net::UdpSocket::bind("192.0.2.1:0")?;
        PORTS.for_each(|port| {
            // The kernel refuses the packet that asks for the SA, or holds it; both are right.
            let _ = socket.send_to(b"hello", ("192.0.2.2", port));
        });
        Ok(())
    })??;
    let wanted = 2 * PORTS.len();
    scene.until("all SAs", || Ok(scene.count_sas(Side::Alice)? == wanted))?;
    let begun = alice.log()?.matches("initiate new phase 1 negotiation").count();
    ensure!(begun == 1, "phase 1 was begun {begun} times");
    alice.stop()?;
    bob.stop()
}
