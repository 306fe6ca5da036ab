//! Phase 2: policies, selectors, algorithms and lifetimes that do not fit, and what the kernel refuses.

use super::row::Expected::{Line, Nothing, Warning};
use super::row::{AT_ONCE, Row, TIME_UP, tunnel};
use crate::lab::Program;

pub(super) const ROWS: &[Row] = &[
    Row::new(
        "phase 2: no sainfo at the responder",
        |row| row.bob.sainfo_of = "address 10.1.0.0/16 any address 10.2.0.0/16 any",
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["no sainfo matches 192.0.2.2/32 -> 192.0.2.1/32", "nearest: sainfo ", "10.1.0.0/16"]),
    ),
    Row::new(
        "phase 2: no sainfo at the initiator",
        |row| row.alice.sainfo_of = "",
        Line(AT_ONCE, &["no sainfo matches 192.0.2.1/32 -> 192.0.2.2/32; there is none"]),
        Nothing,
    ),
    Row::new(
        "phase 2: no policy at the responder",
        |row| row.bob.policies = String::new(),
        Line(AT_ONCE, &["INVALID-ID-INFORMATION", "offered: ["]),
        Line(
            AT_ONCE,
            &["no policy matches", "needed: 192.0.2.1/32 192.0.2.2/32 any -P in ipsec esp/transport//require"],
        ),
    ),
    Row::new(
        "phase 2: only an out policy at the responder",
        |row| row.bob.policies = "spdadd 192.0.2.2 192.0.2.1 any -P out ipsec esp/transport//require;\n".into(),
        Line(AT_ONCE, &["INVALID-ID-INFORMATION"]),
        Line(AT_ONCE, &["no policy matches", "only the other direction is there: ", "-P out ipsec"]),
    ),
    Row::new(
        "phase 2: smaller network in the responder's policy",
        |row| {
            row.tunnel();
            row.bob.policies = tunnel(["192.168.2.0/24", "192.168.1.0/25"], ["192.0.2.2", "192.0.2.1"]);
        },
        Line(AT_ONCE, &["INVALID-ID-INFORMATION"]),
        Line(AT_ONCE, &["no policy matches", "192.168.1.0/24", "nearest: 192.168.1.0/25 192.168.2.0/24 any -P "]),
    ),
    Row::new(
        "phase 2: other port in the responder's policy",
        |row| {
            row.alice.policies = "spdadd 192.0.2.1 192.0.2.2[9] udp -P out ipsec esp/transport//require;\n\
                                  spdadd 192.0.2.2[9] 192.0.2.1 udp -P in ipsec esp/transport//require;\n"
                .into();
            row.bob.policies = "spdadd 192.0.2.2[10] 192.0.2.1 udp -P out ipsec esp/transport//require;\n\
                                spdadd 192.0.2.1 192.0.2.2[10] udp -P in ipsec esp/transport//require;\n"
                .into();
        },
        Line(AT_ONCE, &["INVALID-ID-INFORMATION"]),
        Line(AT_ONCE, &["no policy matches", "192.0.2.2/32[9]", "nearest: ", "192.0.2.2/32[10] udp"]),
    ),
    Row::new(
        "phase 2: transport mode here, a tunnel at the responder",
        |row| row.bob.policies = tunnel(["192.0.2.2", "192.0.2.1"], ["192.0.2.2", "192.0.2.1"]),
        Line(AT_ONCE, &["the peer says"]),
        Line(AT_ONCE, &["transport mode proposed, tunnel mode configured", "compare the policies"]),
    ),
    Row::new(
        "phase 2: the responder's tunnel has another peer",
        |row| {
            row.tunnel();
            row.bob.policies = tunnel(["192.168.2.0/24", "192.168.1.0/24"], ["192.0.2.2", "192.0.2.9"]);
        },
        Line(AT_ONCE, &["the peer says"]),
        Line(AT_ONCE, &["192.0.2.9"]),
    ),
    Row::new(
        "phase 2: the initiator's tunnel ends at an address that is not its own",
        |row| {
            row.alice.policies = String::new();
            row.provoke = |play| {
                let policies = tunnel(["192.168.1.0/24", "192.168.2.0/24"], ["192.0.2.7", "192.0.2.2"]);
                play.hosts.load(&play.hosts.alice, &policies)?;
                play.hosts.send_inside()
            };
        },
        Warning(AT_ONCE, &["no keys can be negotiated", "192.0.2.7", "no address of this host"]),
        Nothing,
    ),
    Row::new(
        "phase 2: other protocol",
        |row| row.bob.request("ah/transport//require"),
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["esp proposed, ah configured", "compare the policies"]),
    ),
    Row::new(
        "phase 2: other cipher",
        |row| {
            row.bob.sainfo = "pfs_group modp2048; encryption_algorithm 3des; authentication_algorithm hmac_sha256;";
        },
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["esp: aes proposed, 3des configured: ", "; offered: [", "; configured: ["]),
    ),
    Row::new(
        "phase 2: other key length",
        |row| {
            row.bob.sainfo = "pfs_group modp2048; encryption_algorithm aes 192; authentication_algorithm hmac_sha256;";
            row.bob.remote = "proposal_check exact;";
        },
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["key of 256 bits proposed, 192 bits configured (proposal_check exact)"]),
    ),
    Row::new(
        "phase 2: other hash",
        |row| {
            row.bob.sainfo = "pfs_group modp2048; encryption_algorithm aes 256; authentication_algorithm hmac_sha1;";
        },
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["esp: hmac_sha256 proposed, hmac_sha1 configured"]),
    ),
    Row::new(
        "phase 2: other PFS group",
        |row| {
            row.bob.sainfo = "pfs_group modp3072; encryption_algorithm aes 256; authentication_algorithm hmac_sha256;";
            row.bob.remote = "proposal_check strict;";
        },
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["pfs_group modp2048 proposed, modp3072 configured (proposal_check strict)"]),
    ),
    Row::new(
        "phase 2: no PFS at the initiator",
        |row| {
            row.alice.sainfo = "encryption_algorithm aes 256; authentication_algorithm hmac_sha256;";
            row.bob.remote = "proposal_check strict;";
        },
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["pfs_group none proposed, modp2048 configured (proposal_check strict)"]),
    ),
    Row::new(
        "phase 2: longer lifetime than the responder's under proposal_check strict",
        |row| {
            row.bob.remote = "proposal_check strict;";
            row.bob.phase2_lifetime = 600;
        },
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["lifetime 1800 s proposed, 600 s configured (proposal_check strict)"]),
    ),
    Row::new(
        "phase 2: compression only at the responder",
        |row| row.bob.request("ipcomp/transport//use esp/transport//require"),
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["esp proposed, ipcomp+esp configured"]),
    ),
    Row::new(
        "phase 2: the peer asks for a network that generate_policy does not give",
        |row| {
            row.tunnel();
            row.alice.policies = tunnel(["192.168.0.0/16", "192.168.2.0/24"], ["192.0.2.1", "192.0.2.2"]);
            row.bob.policies = String::new();
            row.bob.remote = "generate_policy on;";
        },
        Line(AT_ONCE, &["INVALID-ID-INFORMATION"]),
        Line(AT_ONCE, &["not authorized", "192.168.0.0/16", "192.168.2.1"]),
    ),
    Row::new(
        "phase 2: the kernels lack the cipher",
        |row| {
            let sainfo = "pfs_group modp2048; encryption_algorithm camellia 256; authentication_algorithm hmac_sha256;";
            (row.alice.sainfo, row.bob.sainfo) = (sainfo, sainfo);
            row.before = |hosts| {
                // One kernel for all hosts of the lab. It may be gone already.
                hosts.alice.run(Program::new("rmmod", &["camellia_generic"]))?;
                Ok(())
            };
        },
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN", "in its words: kernel", "camellia"]),
        Line(AT_ONCE, &["kernel has no camellia-cbc (module camellia_generic?)"]),
    ),
    Row::new(
        "phase 2: the negotiation takes longer than the kernel waits",
        |row| {
            row.before = |hosts| {
                for host in [&hosts.alice, &hosts.bob] {
                    host.must("sysctl -q -w net.core.xfrm_acq_expires=1")?;
                    host.must("tc qdisc replace dev eth0 root netem delay 700ms")?;
                }
                Ok(())
            };
        },
        Line(TIME_UP, &["SPI reserved for", "expired", "net.core.xfrm_acq_expires"]),
        Line(TIME_UP, &["NO-PROPOSAL-CHOSEN", "in its words: kernel: the SPI reserved for", "expired"]),
    ),
];
