//! One engine and a peer that is played by hand: every message, right or wrong, in every state, and what went wrong in
//! other daemons. An attack never only fails: the honest peer gets through afterwards, and in the end nothing is left.

mod crowd;
mod defects;
mod dialogue;
mod payloads;
mod puppet;
mod reading;
mod replay;
mod site;
mod states;

use dialogue::{Dialogue, Role};
use site::Configuration;

#[test]
fn the_honest_peer_gets_through() {
    for role in Role::BOTH {
        let mut dialogue = Dialogue::up(role);
        dialogue.site.wind_up("honest");
    }
}

/// No address is taken for one of another family.
#[test]
fn over_ipv6() {
    for role in Role::BOTH {
        let configuration = Configuration::between("[2001:db8::1]:500", "[2001:db8::2]:500");
        let mut dialogue = Dialogue::new(role, configuration);
        dialogue.finish(role.steps()[0], "IPv6");
        dialogue.site.wind_up("IPv6");
    }
}
