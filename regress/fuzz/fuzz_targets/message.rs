//! A PF_KEY message from a kernel, a file or a helper.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::message(bytes));
