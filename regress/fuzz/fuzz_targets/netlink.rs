//! NETLINK_XFRM datagrams.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::netlink(bytes));
