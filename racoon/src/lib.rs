//! racoon: the shell around the engine `racoon-proto`. It reads files, and later opens sockets, talks to the kernel and
//! runs the engine.
//!
//! This version reads, checks, prints and compares configurations. It negotiates no keys yet.
#![deny(unsafe_code)]

pub mod admin;
pub mod background;
pub mod changes;
pub mod cli;
pub mod clock;
pub mod config;
pub mod ctl;
pub mod files;
pub mod kernel;
pub mod keys;
pub mod log;
pub mod net;
pub mod pid_file;
mod pipe;
pub mod poller;
pub mod reload;
pub mod run;
pub mod signals;
mod sys;
pub mod systemd;
pub mod waiting;
pub mod workers;
