//! `racoonctl`: control of the IKEv1 daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    racoon::ctl::main()
}
