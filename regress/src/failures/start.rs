//! A daemon that does not start: the command that was typed says why.

use super::row::Row;

pub(super) const ROWS: &[Row] = &[
    Row::start("start: syntax error", |station| station.head = "log info\n", &["failed to parse configuration file"]),
    Row::start(
        "start: an address that is not there, under strict_address",
        |station| {
            station.local = "192.0.2.7";
            station.head = "listen { strict_address; }";
        },
        &["192.0.2.7"],
    ),
    Row::start("start: the kernel has no PF_KEY", |station| station.head = "backend pfkey;", &["pfkey"]),
];
