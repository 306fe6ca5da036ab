//! Failures of phase 1 in aggressive and base mode, with pre-shared keys.

use super::failure::Expected::Line;
use super::failure::{AFTER_RETRIES, AT_ONCE, Failure, Setup};

pub(super) const FAILURES: &[Failure] = &[
    // The responder proves first that it knows the key.
    Failure::new(
        "aggressive mode: pre-shared keys differ",
        |setup| {
            exchange(setup, "aggressive");
            setup.bob.psk = "192.0.2.1 not that one\n".into();
        },
        Line(AT_ONCE, &["authentication failed: the hash is wrong"]),
        Line(AT_ONCE, &["AUTHENTICATION-FAILED"]),
    ),
    // The responder answers with a random key in place of the missing one.
    Failure::new(
        "aggressive mode: the responder has no key for the initiator's identity",
        |setup| {
            exchange(setup, "aggressive");
            setup.alice.remote = "proposal_check obey; my_identifier user_fqdn \"carol@mail.example\";";
            setup.bob.psk = "dave@mail.example a key for two hosts in a lab\n".into();
        },
        Line(AT_ONCE, &["authentication failed: the hash is wrong"]),
        Line(AFTER_RETRIES, &["no pre-shared key for 192.0.2.1", "psk.txt"]),
    ),
    // The initiator proves first that it knows the key.
    Failure::new(
        "base mode: pre-shared keys differ",
        |setup| {
            exchange(setup, "base");
            setup.bob.psk = "192.0.2.1 not that one\n".into();
        },
        Line(AT_ONCE, &["AUTHENTICATION-FAILED"]),
        Line(AT_ONCE, &["authentication failed: the hash is wrong"]),
    ),
    Failure::new(
        "base mode: the responder has no key for the initiator's identity",
        |setup| {
            exchange(setup, "base");
            setup.alice.remote = "proposal_check obey; my_identifier user_fqdn \"carol@mail.example\";";
            setup.bob.psk = "dave@mail.example a key for two hosts in a lab\n".into();
        },
        Line(AT_ONCE, &["AUTHENTICATION-FAILED"]),
        Line(AT_ONCE, &["no pre-shared key for 192.0.2.1", "psk.txt"]),
    ),
];

/// Sets both sides to an exchange mode.
fn exchange(setup: &mut Setup, mode: &'static str) {
    setup.alice.exchange = mode;
    setup.bob.exchange = mode;
}
