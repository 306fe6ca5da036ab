//! The program from a user's point of view: command line, standard streams, exit status.

#![allow(clippy::unwrap_used)]

mod boot;
mod bsd;
mod check;
mod databases;
mod json;
mod manual;
mod messages;
mod netbsd;
mod options;
mod program;
mod recorded;
mod script;
mod secrets;
mod server;
mod stdin;
mod terminal;
