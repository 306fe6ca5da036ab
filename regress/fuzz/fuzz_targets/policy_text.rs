//! The text of a policy.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::policy_text(bytes));
