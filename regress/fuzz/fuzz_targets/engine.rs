//! An engine of IKE, and all that can happen to it: see the tests that it shares its script with.

#![no_main]
#![allow(dead_code, unreachable_pub, reason = "the tests use more of it")]

#[path = "../../../racoon/proto/tests/hostile/dialogue.rs"]
mod dialogue;
#[path = "../../../racoon/proto/tests/hostile/puppet.rs"]
mod puppet;
#[path = "../../../racoon/proto/tests/hostile/script.rs"]
mod script;
#[path = "../../../racoon/proto/tests/hostile/site.rs"]
mod site;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| script::run(bytes));
