//! A datagram of IKE.

#![no_main]

// Not part of the library: its other targets need nothing of racoon's engine.
#[path = "../src/isakmp.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| target::isakmp(bytes));
