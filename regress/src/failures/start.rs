//! Daemons that do not start: the command that was typed says why.

use super::failure::Failure;

pub(super) const FAILURES: &[Failure] = &[
    Failure::start(
        "start: syntax error",
        |start| start.config.head = "log info\n",
        &["racoon.conf:3:9", "`;` is missing"],
    ),
    Failure::start(
        "start: unknown directive",
        |start| start.config.head = "frobnicate on;",
        &["racoon.conf:3:1", "frobnicate"],
    ),
    Failure::start("start: unknown option", |start| start.arguments = &["-q"], &["invalid option", "q"]),
    Failure::start(
        "start: no such file",
        |start| start.arguments = &["-f", "/no/such/racoon.conf"],
        &["/no/such/racoon.conf"],
    ),
    Failure::start(
        "start: the file cannot be read by this user",
        |start| start.prefix = &["setpriv", "--reuid=65534", "--clear-groups"],
        &["Permission denied"],
    ),
    Failure::start(
        "start: the log cannot be written",
        |start| start.arguments = &["-l", "/no/such/log"],
        &["/no/such/log: No such file or directory"],
    ),
    Failure::start(
        "start: no folder for the control socket",
        |start| start.config.listen = "adminsock \"/no/such/racoon.sock\";",
        &["control socket", "/no/such"],
    ),
    Failure::start(
        "start: an address that is not there, under strict_address",
        |start| {
            start.config.local = "192.0.2.7";
            start.config.listen = "adminsock disabled; strict_address;";
        },
        &["192.0.2.7"],
    ),
    Failure::start(
        "start: another program has UDP port 500",
        |start| start.port_in_use = Some("192.0.2.1:500"),
        &["192.0.2.1[500]", "another process"],
    ),
    Failure::start(
        "start: the kernel has no PF_KEY",
        |start| start.config.head = "backend pfkey;",
        &["af_key", "backend xfrm"],
    ),
];
