//! Failures of phase 2: mismatched policies, selectors, algorithms and lifetimes, and refusals of the kernel.

use super::failure::Expected::{Line, Nothing, Warning};
use super::failure::{AFTER_RETRIES, AT_ONCE, Failure, tunnel};
use crate::lab::Program;

pub(super) const FAILURES: &[Failure] = &[
    Failure::new(
        "phase 2: no sainfo at the responder",
        |setup| setup.bob.sainfo_of = "address 10.1.0.0/16 any address 10.2.0.0/16 any",
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["no sainfo matches 192.0.2.2/32 -> 192.0.2.1/32", "nearest: sainfo ", "10.1.0.0/16"]),
    ),
    Failure::new(
        "phase 2: no sainfo at the initiator",
        |setup| setup.alice.sainfo_of = "",
        Line(AT_ONCE, &["no sainfo matches 192.0.2.1/32 -> 192.0.2.2/32; there is none"]),
        Nothing,
    ),
    Failure::new(
        "phase 2: no policy at the responder",
        |setup| setup.bob.policies = String::new(),
        Line(AT_ONCE, &["INVALID-ID-INFORMATION", "offered: ["]),
        Line(
            AT_ONCE,
            &["no policy matches", "needed: 192.0.2.1/32 192.0.2.2/32 any -P in ipsec esp/transport//require"],
        ),
    ),
    Failure::new(
        "phase 2: only an out policy at the responder",
        |setup| setup.bob.policies = "spdadd 192.0.2.2 192.0.2.1 any -P out ipsec esp/transport//require;\n".into(),
        Line(AT_ONCE, &["INVALID-ID-INFORMATION"]),
        Line(AT_ONCE, &["no policy matches", "only the other direction is there: ", "-P out ipsec"]),
    ),
    Failure::new(
        "phase 2: smaller network in the responder's policy",
        |setup| {
            setup.tunnel();
            setup.bob.policies = tunnel(["192.168.2.0/24", "192.168.1.0/25"], ["192.0.2.2", "192.0.2.1"]);
        },
        Line(AT_ONCE, &["INVALID-ID-INFORMATION"]),
        Line(AT_ONCE, &["no policy matches", "192.168.1.0/24", "nearest: 192.168.1.0/25 192.168.2.0/24 any -P "]),
    ),
    Failure::new(
        "phase 2: other port in the responder's policy",
        |setup| {
            setup.alice.policies = "spdadd 192.0.2.1 192.0.2.2[9] udp -P out ipsec esp/transport//require;\n\
                                  spdadd 192.0.2.2[9] 192.0.2.1 udp -P in ipsec esp/transport//require;\n"
                .into();
            setup.bob.policies = "spdadd 192.0.2.2[10] 192.0.2.1 udp -P out ipsec esp/transport//require;\n\
                                spdadd 192.0.2.1 192.0.2.2[10] udp -P in ipsec esp/transport//require;\n"
                .into();
        },
        Line(AT_ONCE, &["INVALID-ID-INFORMATION"]),
        Line(AT_ONCE, &["no policy matches", "192.0.2.2/32[9]", "nearest: ", "192.0.2.2/32[10] udp"]),
    ),
    Failure::new(
        "phase 2: transport mode here, a tunnel at the responder",
        |setup| setup.bob.policies = tunnel(["192.0.2.2", "192.0.2.1"], ["192.0.2.2", "192.0.2.1"]),
        Line(AT_ONCE, &["the peer says"]),
        Line(AT_ONCE, &["transport mode proposed, tunnel mode configured", "compare the policies"]),
    ),
    Failure::new(
        "phase 2: the responder's tunnel has another peer",
        |setup| {
            setup.tunnel();
            setup.bob.policies = tunnel(["192.168.2.0/24", "192.168.1.0/24"], ["192.0.2.2", "192.0.2.9"]);
        },
        Line(AT_ONCE, &["the peer says"]),
        Line(AT_ONCE, &["192.0.2.9"]),
    ),
    Failure::new(
        "phase 2: the initiator's tunnel ends at an address that is not its own",
        |setup| {
            setup.alice.policies = String::new();
            setup.trigger = |negotiation| {
                let policies = tunnel(["192.168.1.0/24", "192.168.2.0/24"], ["192.0.2.7", "192.0.2.2"]);
                negotiation.hosts.load(&negotiation.hosts.alice, &policies)?;
                negotiation.hosts.send_inside()
            };
        },
        Warning(AT_ONCE, &["no keys can be negotiated", "192.0.2.7", "no address of this host"]),
        Nothing,
    ),
    Failure::new(
        "phase 2: other protocol",
        |setup| setup.bob.request("ah/transport//require"),
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["esp proposed, ah configured", "compare the policies"]),
    ),
    Failure::new(
        "phase 2: other cipher",
        |setup| {
            setup.bob.sainfo = "pfs_group modp2048; encryption_algorithm 3des; authentication_algorithm hmac_sha256;";
        },
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["esp: aes proposed, 3des configured: ", "; offered: [", "; configured: ["]),
    ),
    Failure::new(
        "phase 2: other key length",
        |setup| {
            setup.bob.sainfo =
                "pfs_group modp2048; encryption_algorithm aes 192; authentication_algorithm hmac_sha256;";
            setup.bob.remote = "proposal_check exact;";
        },
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["key of 256 bits proposed, 192 bits configured (proposal_check exact)"]),
    ),
    Failure::new(
        "phase 2: other hash",
        |setup| {
            setup.bob.sainfo = "pfs_group modp2048; encryption_algorithm aes 256; authentication_algorithm hmac_sha1;";
        },
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["esp: hmac_sha256 proposed, hmac_sha1 configured"]),
    ),
    Failure::new(
        "phase 2: other PFS group",
        |setup| {
            setup.bob.sainfo =
                "pfs_group modp3072; encryption_algorithm aes 256; authentication_algorithm hmac_sha256;";
            setup.bob.remote = "proposal_check strict;";
        },
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["pfs_group modp2048 proposed, modp3072 configured (proposal_check strict)"]),
    ),
    Failure::new(
        "phase 2: no PFS at the initiator",
        |setup| {
            setup.alice.sainfo = "encryption_algorithm aes 256; authentication_algorithm hmac_sha256;";
            setup.bob.remote = "proposal_check strict;";
        },
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["pfs_group none proposed, modp2048 configured (proposal_check strict)"]),
    ),
    Failure::new(
        "phase 2: longer lifetime than the responder's under proposal_check strict",
        |setup| {
            setup.bob.remote = "proposal_check strict;";
            setup.bob.phase2_lifetime = 600;
        },
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["lifetime 1800 s proposed, 600 s configured (proposal_check strict)"]),
    ),
    Failure::new(
        "phase 2: compression only at the responder",
        |setup| setup.bob.request("ipcomp/transport//use esp/transport//require"),
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["esp proposed, ipcomp+esp configured"]),
    ),
    Failure::new(
        "phase 2: the peer asks for a network that generate_policy does not give",
        |setup| {
            setup.tunnel();
            setup.alice.policies = tunnel(["192.168.0.0/16", "192.168.2.0/24"], ["192.0.2.1", "192.0.2.2"]);
            setup.bob.policies = String::new();
            setup.bob.remote = "generate_policy on;";
        },
        Line(AT_ONCE, &["INVALID-ID-INFORMATION"]),
        Line(AT_ONCE, &["not authorized", "192.168.0.0/16", "192.168.2.1"]),
    ),
    Failure::new(
        "phase 2: the kernels lack the cipher",
        |setup| {
            let sainfo = "pfs_group modp2048; encryption_algorithm camellia 256; authentication_algorithm hmac_sha256;";
            (setup.alice.sainfo, setup.bob.sainfo) = (sainfo, sainfo);
            setup.prepare = |hosts| {
                // All hosts of the lab share one kernel, so the module may be gone already.
                hosts.alice.run(Program::new("rmmod", &["camellia_generic"]))?;
                Ok(())
            };
        },
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN", "in its words: kernel", "camellia"]),
        Line(AT_ONCE, &["kernel has no camellia-cbc (module camellia_generic?)"]),
    ),
    Failure::new(
        "phase 2: the negotiation takes longer than the kernel waits",
        |setup| {
            setup.prepare = |hosts| {
                for host in [&hosts.alice, &hosts.bob] {
                    // The SPI expires after a second, and quick mode takes three delays of 0.7 s.
                    host.must("sysctl -q -w net.core.xfrm_acq_expires=1")?;
                    host.must("tc qdisc replace dev eth0 root netem delay 700ms")?;
                }
                Ok(())
            };
        },
        Line(AFTER_RETRIES, &["SPI reserved for", "expired", "net.core.xfrm_acq_expires"]),
        Line(AFTER_RETRIES, &["NO-PROPOSAL-CHOSEN", "in its words: kernel: the SPI reserved for", "expired"]),
    ),
];
