//! An IKE engine driven by a script, which it shares with the tests.

#![no_main]
#![allow(dead_code, unreachable_pub, reason = "the tests use more of it")]

#[path = "../../../racoon/proto/tests/hostile/fixture.rs"]
mod fixture;
#[path = "../../../racoon/proto/tests/hostile/script.rs"]
mod script;
#[path = "../../../racoon/proto/tests/hostile/scripted_peer.rs"]
mod scripted_peer;
#[path = "../../../racoon/proto/tests/hostile/session.rs"]
mod session;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| script::run(bytes));
