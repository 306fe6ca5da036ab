//! Files with pre-shared keys and RSA keys.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::psk(bytes));
