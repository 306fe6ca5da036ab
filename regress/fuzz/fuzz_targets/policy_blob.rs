//! A policy in binary form.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::policy_blob(bytes));
