use CheckLevel::{Claim, Exact, Obey, Strict};

use super::*;
use crate::config::{Authentication, Encryption, RemoteSide, Side};
use crate::num::{EspTransform, IpcompTransform};

const MINE: Phase2Terms = Phase2Terms { lifetime: 3600, kilobytes: Some(1000), group: Some(Group::MODP2048) };

const ESP: Phase2Transform = Phase2Transform {
    protocol: Protocol::ESP,
    id: EspTransform::AES.0,
    key_length: 192,
    authentication: AuthAlgorithm::HMAC_SHA256,
    truncated: false,
    mode: EncapsulationMode::TUNNEL,
};

fn agreed(level: CheckLevel, offered: Phase2Terms) -> Option<(Phase2Terms, bool)> {
    let agreed = check_phase2(level, &offered, &MINE).ok()?;
    Some((agreed.terms, agreed.claims_lifetime))
}

#[test]
fn lifetimes() {
    let with = |lifetime| Phase2Terms { lifetime, ..MINE };
    for (level, lifetime, expected) in [
        (Obey, 7200, Some((7200, false))),
        (Obey, 60, Some((60, false))),
        (Strict, 3600, Some((3600, false))),
        (Strict, 60, Some((60, false))),
        (Strict, 3601, None),
        (Claim, 60, Some((60, false))),
        (Claim, 3600, Some((3600, false))),
        (Claim, 7200, Some((3600, true))),
        (Exact, 3600, Some((3600, false))),
        (Exact, 3599, None),
        (Exact, 3601, None),
    ] {
        let expected = expected.map(|(lifetime, claims)| (with(lifetime), claims));
        assert_eq!(agreed(level, with(lifetime)), expected, "{level:?} {lifetime}");
    }
}

#[test]
fn kilobytes_too() {
    let with = |kilobytes| Phase2Terms { kilobytes, ..MINE };
    for (level, kilobytes, expected) in [
        (Obey, None, Some((None, false))),
        (Strict, Some(999), Some((Some(999), false))),
        (Strict, Some(1001), None),
        (Strict, None, None),
        (Claim, Some(999), Some((Some(999), false))),
        (Claim, Some(1001), Some((Some(1000), true))),
        (Claim, None, Some((Some(1000), true))),
        (Exact, Some(1000), Some((Some(1000), false))),
        (Exact, None, None),
    ] {
        let expected = expected.map(|(kilobytes, claims)| (with(kilobytes), claims));
        assert_eq!(agreed(level, with(kilobytes)), expected, "{level:?} {kilobytes:?}");
    }
    let unlimited = Phase2Terms { kilobytes: None, ..MINE };
    assert!(check_phase2(Strict, &with(Some(5)), &unlimited).is_ok());
    assert!(check_phase2(Exact, &unlimited, &unlimited).is_ok());
}

#[test]
fn groups() {
    let with = |group| Phase2Terms { group, ..MINE };
    let small = Some(Group::MODP1024);
    for (level, ours, theirs, accepted) in [
        (Obey, MINE.group, None, true),
        (Obey, MINE.group, small, true),
        (Strict, MINE.group, MINE.group, true),
        (Strict, MINE.group, None, false),
        (Strict, MINE.group, small, false),
        (Strict, None, small, true),
        (Claim, MINE.group, None, false),
        (Claim, None, small, true),
        (Exact, None, None, true),
        (Exact, None, small, false),
        (Exact, MINE.group, None, false),
    ] {
        let result = check_phase2(level, &with(theirs), &with(ours));
        assert_eq!(result.is_ok(), accepted, "{level:?} {ours:?} {theirs:?}");
        if let Ok(agreed) = result {
            assert_eq!(agreed.terms.group, theirs);
        }
    }
}

#[test]
fn a_mismatch_names_both_sides() {
    let text = |offered: Phase2Terms| check_phase2(Exact, &offered, &MINE).unwrap_err().to_string();
    assert_eq!(text(Phase2Terms { group: None, ..MINE }), "pfs_group none proposed, modp2048 configured");
    assert_eq!(
        text(Phase2Terms { kilobytes: None, ..MINE }),
        "lifetime in bytes unlimited proposed, 1000 KB configured"
    );
}

#[test]
fn key_lengths() {
    for (level, key_length, accepted) in [
        (Obey, 128, true),
        (Strict, 128, false),
        (Strict, 192, true),
        (Claim, 256, true),
        (Claim, 128, false),
        (Exact, 192, true),
        (Exact, 256, false),
    ] {
        let offered = Phase2Transform { key_length, ..ESP };
        let result = check_transform(level, false, &offered, &ESP);
        assert_eq!(result.ok(), accepted.then_some(offered), "{level:?} {key_length}");
    }
}

#[test]
fn other_algorithms_are_refused_by_every_level() {
    for other in [
        Phase2Transform { protocol: Protocol::AH, ..ESP },
        Phase2Transform { id: EspTransform::CAMELLIA.0, ..ESP },
        Phase2Transform { authentication: AuthAlgorithm::HMAC_SHA1, ..ESP },
        Phase2Transform { mode: EncapsulationMode::TRANSPORT, ..ESP },
    ] {
        for level in [Obey, Strict, Claim, Exact] {
            assert!(check_transform(level, true, &other, &ESP).is_err(), "{level:?} {other:?}");
        }
    }
}

#[test]
fn udp_only_where_a_nat_is() {
    let in_udp = Phase2Transform { mode: EncapsulationMode::UDP_TUNNEL, ..ESP };
    assert!(check_transform(Obey, false, &in_udp, &ESP).is_err());
    assert_eq!(check_transform(Exact, true, &in_udp, &ESP), Ok(in_udp));
    let transport = Phase2Transform { mode: EncapsulationMode::UDP_TRANSPORT, ..ESP };
    assert!(check_transform(Obey, true, &transport, &ESP).is_err());
}

#[test]
fn proposals_are_written_out_in_order() {
    let mut sainfo = Sainfo::new(Side::Anonymous, RemoteSide::Anonymous);
    sainfo.encryption = vec![
        Encryption { transform: EspTransform::AES, key_length: 256 },
        Encryption { transform: EspTransform::AES_GCM_16, key_length: 128 },
        Encryption { transform: EspTransform::TRIPLE_DES, key_length: 0 },
    ];
    let cut = Authentication { algorithm: AuthAlgorithm::HMAC_SHA256, truncated: true };
    sainfo.authentication = vec![cut, AuthAlgorithm::NONE.into()];
    sainfo.compression = vec![IpcompTransform::DEFLATE];
    let ids = |protocol| {
        transforms(&sainfo, protocol, EncapsulationMode::TUNNEL)
            .into_iter()
            .map(|one| (one.id, one.key_length, one.authentication.0, one.truncated))
            .collect::<Vec<_>>()
    };
    let esp = [(12, 256, 5, true), (12, 256, 0, false), (20, 128, 0, false), (3, 0, 5, true), (3, 0, 0, false)];
    assert_eq!(ids(Protocol::ESP), esp);
    assert_eq!(ids(Protocol::AH), [(5, 0, 5, true)]);
    assert_eq!(ids(Protocol::IPCOMP), [(2, 0, 0, false)]);
    assert_eq!(ids(Protocol(9)), []);
}

#[test]
fn the_peers_order_counts_and_the_cut_is_ours() {
    let ours = [ESP, Phase2Transform { id: EspTransform::TRIPLE_DES.0, key_length: 0, truncated: true, ..ESP }];
    let theirs = [Phase2Transform { key_length: 128, ..ESP }, Phase2Transform { truncated: false, ..ours[1] }, ESP];
    assert_eq!(accept_transform(Strict, false, &theirs, &ours), Some((1, ours[1])));
    assert_eq!(accept_transform(Strict, false, &[], &ours), None);
}

#[test]
fn responder_lifetime() {
    for (level, notified, expected) in [
        (Obey, 7200, Some(7200)),
        (Strict, 7200, None),
        (Strict, 3600, None),
        (Strict, 60, Some(60)),
        (Claim, 60, Some(60)),
        (Exact, 60, None),
        (Exact, 3600, Some(3600)),
    ] {
        assert_eq!(heed_responder_lifetime(level, 3600, notified), expected, "{level:?} {notified}");
    }
}
