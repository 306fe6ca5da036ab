//! Requests to the engine in memory.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::memory_engine(bytes));
