//! `plainrsa-gen`: makes and converts RSA keys without certificates.

use std::process::ExitCode;

fn main() -> ExitCode {
    racoon::plainrsa_gen::main()
}
