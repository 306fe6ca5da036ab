//! One engine and a peer that is played by hand: every message, right or wrong, in every state, and what went wrong in
//! other daemons. An attack never only fails: the honest peer gets through afterwards, and in the end nothing is left.

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

/// No address is taken for one of another family.
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
