//! `proposal_check`: what a responder agrees to at each level, and what both ends then have.

use super::*;
use crate::kernel::Lifetime;
use crate::num::{EspTransform, Group, NotifyType};
use CheckLevel::{Claim, Exact, Obey, Strict};

const ALL: [CheckLevel; 4] = [Obey, Strict, Claim, Exact];

/// What `a`, which takes whatever it is answered, comes to with `b`: the life of the SAs, the same at both ends; none if `b`
/// refuses.
fn agreed(level: CheckLevel, offered: &Sainfo, configured: &Sainfo) -> Option<(Lifetime, Net)> {
    let sainfos = [offered.clone(), configured.clone()];
    let at = |level| move |remote: &mut Remote, _: &mut Settings| remote.proposal_check = level;
    let mut net = Net::with(hosts(), &transport(), sainfos, at(Obey), at(level));
    net.acquire();
    net.settle();
    if net.kernels[1].sas.is_empty() {
        assert!(matches!(net.world.b.failures().as_slice(), [FailureReason::NoProposalChosen(_)]), "{level:?}");
        assert_eq!(net.world.a.failures(), [FailureReason::Refused(NotifyType::NO_PROPOSAL_CHOSEN)]);
        return None;
    }
    net.assert_pairs(1);
    Some((net.kernels[0].sas[0].hard, net))
}

fn with(change: impl FnOnce(&mut Sainfo)) -> Sainfo {
    let mut sainfo = sainfo();
    change(&mut sainfo);
    sainfo
}

#[test]
fn seconds_of_phase_2() {
    for (level, offered, expected) in [
        (Obey, 500, Some(500)),
        (Obey, 5000, Some(5000)),
        (Strict, 500, Some(500)),
        (Strict, 1000, Some(1000)),
        (Strict, 1001, None),
        (Claim, 500, Some(500)),
        (Claim, 1001, Some(1000)),
        (Exact, 500, None),
        (Exact, 1000, Some(1000)),
        (Exact, 1001, None),
    ] {
        let agreed = agreed(level, &with(|one| one.terms.lifetime = offered), &sainfo());
        assert_eq!(agreed.map(|(hard, _)| hard.seconds), expected, "{level:?} {offered}");
    }
}

#[test]
fn kilobytes_of_phase_2() {
    let limited = |limit| with(|one| one.terms.kilobytes = limit);
    for (level, offered, expected) in [
        (Obey, None, Some(None)),
        (Obey, Some(5000), Some(Some(5000))),
        (Strict, Some(500), Some(Some(500))),
        (Strict, Some(1001), None),
        (Strict, None, None),
        (Claim, Some(500), Some(Some(500))),
        (Claim, Some(1001), Some(Some(1000))),
        (Claim, None, Some(Some(1000))),
        (Exact, Some(1000), Some(Some(1000))),
        (Exact, Some(999), None),
        (Exact, None, None),
    ] {
        let agreed = agreed(level, &limited(offered), &limited(Some(1000)));
        assert_eq!(agreed.map(|(hard, _)| hard.kilobytes), expected, "{level:?} {offered:?}");
    }
    // Who has no limit has the highest one.
    let of_unlimited = |level| agreed(level, &limited(Some(7)), &limited(None)).map(|(hard, _)| hard.kilobytes);
    assert_eq!(ALL.map(of_unlimited), [Some(Some(7)), Some(Some(7)), Some(Some(7)), None]);
}

/// A longer key than configured is a safer one, but under `exact`.
#[test]
fn key_lengths_of_phase_2() {
    let keyed = |bits| with(|one| one.encryption[0].key_length = bits);
    for (offered, expected) in [(128, [true, false, false, false]), (192, [true; 4]), (256, [true, true, true, false])]
    {
        for (level, expected) in ALL.into_iter().zip(expected) {
            let agreed = agreed(level, &keyed(offered), &keyed(192));
            assert_eq!(agreed.is_some(), expected, "{level:?} {offered}");
            let Some((_, net)) = agreed else { continue };
            for sa in &net.kernels[1].sas {
                let SaTransform::Esp { encryption: (algorithm, key), .. } = &sa.transform else { panic!("{sa:?}") };
                assert_eq!((*algorithm, key.len() * 8), (EspTransform::AES, usize::from(offered)));
            }
        }
    }
}

#[test]
fn groups_of_phase_2() {
    let grouped = |group| with(|one| one.terms.group = group);
    let (x25519, ecp256) = (Some(Group::X25519), Some(Group::ECP256));
    for (offered, configured, expected) in [
        (None, None, [true; 4]),
        (x25519, None, [true, true, true, false]),
        (x25519, x25519, [true; 4]),
        (None, x25519, [true, false, false, false]),
        (ecp256, x25519, [true, false, false, false]),
    ] {
        for (level, expected) in ALL.into_iter().zip(expected) {
            let agreed = agreed(level, &grouped(offered), &grouped(configured));
            assert_eq!(agreed.is_some(), expected, "{level:?} {offered:?} {configured:?}");
        }
    }
}

/// In phase 1 `claim` is `strict`.
#[test]
fn lifetimes_and_key_lengths_of_phase_1() {
    let terms = |key_length, lifetime| vec![Phase1Terms { key_length, lifetime, ..TERMS }];
    for (key_length, lifetime, expected) in [
        (192, 3600, [true; 4]),
        (128, 3600, [true, false, false, false]),
        (256, 3600, [true, true, true, false]),
        (192, 60, [true, true, true, false]),
        (192, 3601, [true, false, false, false]),
        (256, 7200, [true, false, false, false]),
    ] {
        for (level, expected) in ALL.into_iter().zip(expected) {
            let mut world = World::with(
                |remote, _| remote.proposals = terms(key_length, lifetime),
                |remote, _| {
                    remote.proposals = terms(192, 3600);
                    remote.proposal_check = level;
                },
            );
            world.initiate();
            world.run();
            if expected {
                world.assert_up();
                let agreed = world.b.engine.phase1s().next().unwrap().terms;
                assert_eq!(agreed, Some(terms(key_length, lifetime)[0]), "{level:?}");
            } else {
                assert_eq!((world.b.states(), world.b.failures().len()), (vec![], 1), "{level:?}");
            }
        }
    }
}

/// The first proposal of the initiator that the responder has too is taken, in the initiator's order, whatever its own is.
#[test]
fn the_initiators_order_decides() {
    let gcm = Encryption { transform: EspTransform::AES_GCM_16, key_length: 256 };
    let cbc = sainfo().encryption[0];
    let list = |list: &[Encryption]| {
        let list = list.to_vec();
        with(|one| one.encryption = list)
    };
    for (offered, expected) in [([gcm, cbc], EspTransform::AES_GCM_16), ([cbc, gcm], EspTransform::AES)] {
        let (_, net) = agreed(Strict, &list(&offered), &list(&[cbc, gcm])).unwrap();
        let SaTransform::Esp { encryption, .. } = &net.kernels[1].sas[0].transform else { panic!() };
        assert_eq!(encryption.0, expected);
    }
}
