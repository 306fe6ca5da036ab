//! A CERT, CR or SIG payload.

#![no_main]

// Included here rather than in the library, whose other targets do not need racoon's engine.
#[path = "../src/certificate.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| target::certificate(bytes));
