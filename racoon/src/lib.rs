//! The shell around the engine `racoon-proto`: reads files, opens sockets, talks to the kernel and runs the engine
//! ([`daemon`]). Also `racoonctl`, the client of its control socket ([`ctl`]), and `plainrsa-gen`, which makes keys
//! ([`plainrsa_gen`]).
#![deny(unsafe_code)]

pub mod admin;
pub mod backup;
pub mod boottime_timer;
pub mod certificates;
pub mod cli;
pub mod clock;
pub mod config;
mod config_defaults;
pub mod config_diff;
pub mod ctl;
pub mod daemon;
pub mod daemonize;
mod file_version;
pub mod files;
pub mod kernel;
pub mod kernel_state;
pub mod log;
pub mod net;
mod output;
pub mod pid_file;
mod plain_rsa;
pub mod plainrsa_gen;
pub mod poller;
pub mod psk_file;
pub mod run;
mod self_pipe;
pub mod settings;
pub mod signals;
mod sys;
pub mod systemd;
pub mod unimplemented;
pub mod workers;
