//! racoon: the shell around the engine `racoon-proto`. It reads files, and later opens sockets, talks to the kernel and
//! runs the engine.
//!
//! This version reads, checks, prints and compares configurations. It negotiates no keys yet.
#![forbid(unsafe_code)]

pub mod changes;
pub mod cli;
pub mod config;
pub mod files;
pub mod keys;
pub mod reload;
pub mod run;
