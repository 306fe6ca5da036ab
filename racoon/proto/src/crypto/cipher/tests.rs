//! Tests of ciphers.
