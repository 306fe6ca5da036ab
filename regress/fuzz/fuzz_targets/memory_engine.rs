//! Requests to the in-memory backend.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::memory_engine(bytes));
