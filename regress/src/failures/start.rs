//! A daemon that does not start: the command that was typed says why.

use super::row::Row;

pub(super) const ROWS: &[Row] = &[
    Row::start(
        "start: syntax error",
        |start| start.station.head = "log info\n",
        &["racoon.conf:3:9", "`;` is missing"],
    ),
    Row::start(
        "start: unknown directive",
        |start| start.station.head = "frobnicate on;",
        &["racoon.conf:3:1", "frobnicate"],
    ),
    Row::start("start: unknown option", |start| start.arguments = &["-q"], &["invalid option", "q"]),
    Row::start(
        "start: no such file",
        |start| start.arguments = &["-f", "/no/such/racoon.conf"],
        &["/no/such/racoon.conf"],
    ),
    Row::start(
        "start: the file cannot be read by this user",
        |start| start.prefix = &["setpriv", "--reuid=65534", "--clear-groups"],
        &["Permission denied"],
    ),
    Row::start(
        "start: the log cannot be written",
        |start| start.arguments = &["-l", "/no/such/log"],
        &["/no/such/log: No such file or directory"],
    ),
    Row::start(
        "start: no folder for the control socket",
        |start| start.station.listen = "adminsock \"/no/such/racoon.sock\";",
        &["control socket", "/no/such"],
    ),
    Row::start(
        "start: an address that is not there, under strict_address",
        |start| {
            start.station.local = "192.0.2.7";
            start.station.listen = "adminsock disabled; strict_address;";
        },
        &["192.0.2.7"],
    ),
    Row::start(
        "start: another program has UDP port 500",
        |start| start.taken = Some("192.0.2.1:500"),
        &["192.0.2.1[500]", "another process"],
    ),
    Row::start(
        "start: the kernel has no PF_KEY",
        |start| start.station.head = "backend pfkey;",
        &["af_key", "backend xfrm"],
    ),
];
