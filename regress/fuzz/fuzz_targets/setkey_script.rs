//! A setkey script.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::setkey_script(bytes));
