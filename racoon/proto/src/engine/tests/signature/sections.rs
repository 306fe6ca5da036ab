//! Remote sections: selected by the identity before it is verified, and by what the peer requests.

use super::*;
use crate::config::RemoteAddress;
use crate::credentials::Trust;
use crate::identity::Expected;

/// The Certificate Request payloads of what a host has decrypted or sent in the clear are not visible here, so the traces tell.
fn has_seen(host: &Host, part: &str) -> bool {
    host.has_logged(Level::Debug2, part)
}

#[test]
fn certificates_are_requested_from_configured_authorities() {
    let authority = Pair::of("192.0.2.9".parse().unwrap(), P256).subject;
    for (has_authority, send_cr) in [(true, true), (true, false), (false, true)] {
        let change = |section: &mut Remote| {
            section.send_cr = send_cr;
            section.authorities = if has_authority { vec![authority.clone()] } else { Vec::new() };
        };
        let mut world = world_with(AuthMethod::ECDSA_256, P256, change, change);
        world.initiate();
        world.run();
        world.assert_up();
        // Message 4 requests that of the initiator, and message 5 that of the responder.
        for host in [&world.a, &world.b] {
            assert_eq!(has_seen(host, "  CR: "), has_authority && send_cr, "{:?}", host.lines(Level::Debug2));
        }
    }
}

#[test]
fn a_certificate_is_sent_only_with_send_cert() {
    let mut world = world_with(AuthMethod::ECDSA_256, P256, |section| section.send_cert = false, |_| {});
    world.initiate();
    world.run();
    assert_eq!(world.b.refused(), [PeerProblem::NoCertificate]);
}

/// The claimed identity selects the section, and that says whom to trust and what else must fit.
#[test]
fn the_identity_selects_the_section_before_it_is_verified() {
    let mut world = ecdsa();
    let section = |name: &str, identity: &str, trust: Trust| {
        let mut section = block(name);
        signing(&mut section, AuthMethod::ECDSA_256);
        section.verify_identifier = true;
        section.peers_identifiers = vec![Expected::exactly(&Identity::address(identity.parse().unwrap()))];
        section.trust = Arc::new(trust);
        section
    };
    let trust = |file: &str| Trust { authorities: Some(file.into()), verify_cert: true, ..Trust::default() };
    let sections = vec![section("other", "192.0.2.9", trust("other.pem")), section("a", "192.0.2.1", trust("a.pem"))];
    let mut settings = Settings { log: Level::Debug2, ..Settings::default() };
    settings.remotes = Remotes::new(sections);
    world.b.engine.handle_control(world.now, Control::Reload(Box::new(settings))).unwrap();
    world.initiate();
    world.run();
    world.assert_up();
    assert_eq!(world.b.engine.phase1s().next().unwrap().remote_section, Some("a"));
    assert_eq!(world.b.keeper().asked.lock().unwrap().as_deref(), Some(&trust("a.pem")));
}

/// An anonymous section that signs.
fn block(name: &str) -> Remote {
    Remote { exchange_modes: vec![ExchangeType::MAIN], ..Remote::new(name, None::<RemoteAddress>) }
}
