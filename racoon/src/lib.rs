//! racoon: the shell around the engine `racoon-proto`. It reads files, opens sockets, talks to the kernel and runs the engine
//! ([`daemon`]); and `racoonctl`, which asks it ([`ctl`]).
#![deny(unsafe_code)]

pub mod admin;
pub mod alarm;
pub mod background;
pub mod backup;
pub mod changes;
pub mod cli;
pub mod clock;
pub mod config;
pub mod ctl;
pub mod daemon;
pub mod files;
pub mod kernel;
pub mod kernel_state;
pub mod keys;
pub mod log;
pub mod net;
mod output;
pub mod pid_file;
mod pipe;
pub mod poller;
pub mod run;
pub mod settings;
pub mod signals;
mod sys;
pub mod systemd;
mod usual;
pub mod waiting;
pub mod workers;
