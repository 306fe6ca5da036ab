//! One engine and a scripted peer: every message, valid or not, in every state, and the known defects of other daemons. After each
//! attack, an honest peer must connect, and at the end no state may be left.

mod authorization;
mod defects;
mod fixture;
mod flood;
mod half_open;
mod log_flood;
mod payloads;
mod reading;
mod replay;
mod script;
mod scripted_peer;
mod session;
mod states;

use proptest::prelude::*;

use fixture::Configuration;
use session::{Role, Session};

#[test]
fn the_honest_peer_gets_through() {
    for role in Role::BOTH {
        let mut session = Session::up(role);
        session.fixture.wind_up("honest");
    }
}

/// The honest peer connects over IPv6.
#[test]
fn over_ipv6() {
    for role in Role::BOTH {
        let configuration = Configuration::between("[2001:db8::1]:500", "[2001:db8::2]:500");
        let mut session = Session::new(role, configuration);
        session.finish(role.steps()[0], "IPv6");
        session.fixture.wind_up("IPv6");
    }
}

/// The seeds of the fuzz target.
#[test]
fn seeds_of_scripts() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../regress/fuzz/seeds/engine");
    let seeds = std::fs::read_dir(&dir).expect("a folder of seeds").map(|entry| entry.expect("a seed").path());
    let count = seeds.map(|path| script::run(&std::fs::read(&path).expect("a seed"))).count();
    assert!(count > 5, "no seeds in {}", dir.display());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_script(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        script::run(&bytes);
    }
}
