//! `setkey`: manual keys and policies for IPsec.

mod check;
mod cli;
mod compose;
mod console;
mod help;
mod json;
mod monitor;
mod output;
mod reason;
mod replace;
mod replay;
mod resolve;
mod run;
mod script;
mod session;
mod sys;
mod terminal;
mod validate;
mod view;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::main()
}
