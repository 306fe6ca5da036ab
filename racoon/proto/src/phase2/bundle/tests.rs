use super::*;
use crate::config::{Authentication, Encryption, RemoteSide, Side};
use crate::kernel::{Lifetime, TemplateLevel};
use crate::num::{EspTransform, IpcompTransform};
use crate::phase2::agreement::soft;
use crate::proposal::encoding::phase2_sa;

fn template(protocol: Protocol, mode: Mode, reqid: u32) -> Template {
    Template { protocol, mode, level: TemplateLevel::Require, reqid, endpoints: None }
}

fn sainfo() -> Sainfo {
    let aes = |key_length| Encryption { transform: EspTransform::AES, key_length };
    Sainfo {
        encryption: vec![aes(256), aes(128), Encryption { transform: EspTransform::AES_GCM_16, key_length: 128 }],
        authentication: vec![AuthAlgorithm::HMAC_SHA256.into(), AuthAlgorithm::HMAC_SHA1.into()],
        compression: vec![IpcompTransform::DEFLATE],
        terms: Phase2Terms { lifetime: 3600, kilobytes: None, group: None },
        ..Sainfo::new(Side::Anonymous, RemoteSide::Anonymous)
    }
}

fn bundle(templates: &[Template], sainfo: &Sainfo) -> Bundle {
    Bundle::new(templates, &[], sainfo, true, false).unwrap()
}

fn esp() -> [Template; 1] {
    [template(Protocol::ESP, Mode::Transport, 0)]
}

const CHAIN: [Template; 3] = {
    const fn of(protocol: Protocol, mode: Mode, reqid: u32) -> Template {
        Template { protocol, mode, level: TemplateLevel::Use, reqid, endpoints: None }
    }
    [of(Protocol::IPCOMP, Mode::Tunnel, 1), of(Protocol::ESP, Mode::Transport, 2), of(Protocol::AH, Mode::Transport, 3)]
};

#[test]
fn each_template_is_a_protocol_with_its_own_spi_and_mode() {
    let bundle = bundle(&CHAIN, &sainfo());
    let suite = bundle.suite(&[0x1000, 0x2000, 0x3000]);
    let protocols = suite.protocols.iter().map(|one| (one.protocol, one.spi, one.transforms.len()));
    let expected = [(Protocol::IPCOMP, 0x1000, 1), (Protocol::ESP, 0x2000, 5), (Protocol::AH, 0x3000, 2)];
    assert_eq!(protocols.collect::<Vec<_>>(), expected);
    let mode = |at: usize| suite.protocols[at].transforms[0].transform.mode;
    assert_eq!((mode(0), mode(1)), (EncapsulationMode::TUNNEL, EncapsulationMode::TRANSPORT));
    let simple = Bundle::new(&CHAIN, &[], &sainfo(), false, false).unwrap();
    let suite = simple.suite(&[1, 2, 3]);
    assert!(suite.protocols.iter().all(|one| one.transforms[0].transform.mode == EncapsulationMode::TUNNEL));
    assert_eq!(simple.members[1].mode, Mode::Transport, "what is installed is what the policy says");
}

#[test]
fn in_words_it_is_a_line_for_each_transform() {
    let mut sainfo = sainfo();
    sainfo.terms = Phase2Terms { lifetime: 600, kilobytes: Some(5), group: Some(Group::MODP2048) };
    sainfo.encryption.truncate(1);
    sainfo.esn = Esn::Require;
    assert_eq!(
        bundle(&esp(), &sainfo).in_words(),
        [
            "1 esp transport aes 256 hmac_sha256 pfs_group modp2048 600 s 5 KB esn",
            "1 esp transport aes 256 hmac_sha1 pfs_group modp2048 600 s 5 KB esn",
        ]
    );
}

#[test]
fn a_protocol_without_algorithm_or_twice_is_refused() {
    let mut none = sainfo();
    none.authentication = vec![AuthAlgorithm::NONE.into()];
    let ah = [template(Protocol::AH, Mode::Transport, 0)];
    let error = Bundle::new(&ah, &[], &none, true, false).unwrap_err();
    assert_eq!(error.to_string(), "no suitable proposal found: the sainfo has no algorithm for ah");
    let error = Bundle::new(&[esp(), esp()].concat(), &[], &sainfo(), true, false).unwrap_err();
    assert_eq!(error.to_string(), "a policy with esp twice is not supported");
}

#[test]
fn reqids_are_the_policies_own() {
    let out = [template(Protocol::ESP, Mode::Tunnel, 7)];
    let reqids = |inbound: &[Template]| {
        let bundle = Bundle::new(&out, inbound, &sainfo(), true, false).unwrap();
        (bundle.members[0].reqid_in, bundle.members[0].reqid_out)
    };
    assert_eq!(reqids(&[]), (7, 7));
    assert_eq!(reqids(&[template(Protocol::ESP, Mode::Tunnel, 8)]), (8, 7));
    assert_eq!(reqids(&[template(Protocol::ESP, Mode::Tunnel, 0)]), (7, 7));
    assert_eq!(reqids(&[template(Protocol::AH, Mode::Tunnel, 8)]), (7, 7));
}

/// What the peer proposes with this sainfo, through the wire.
fn peer(templates: &[Template], sainfo: &Sainfo) -> Vec<Suite> {
    let suite = bundle(templates, sainfo).suite(&vec![0x9999; templates.len()]);
    proposed(&SaBody::parse(&phase2_sa(&[suite]).encode()).unwrap(), Mode::Transport).unwrap()
}

#[test]
fn the_peers_order_comes_first_and_its_choice_is_repeated() {
    let mut theirs = sainfo();
    theirs.encryption.swap(0, 1);
    theirs.authentication.reverse();
    let agreement = bundle(&esp(), &sainfo()).choose(CheckLevel::Obey, false, &peer(&esp(), &theirs)).unwrap();
    let Phase2Transform { id, key_length, authentication, .. } = agreement.members[0].transform;
    assert_eq!((EspTransform(id), key_length, authentication), (EspTransform::AES, 128, AuthAlgorithm::HMAC_SHA1));
    assert_eq!(agreement.members[0].spi_out, 0x9999);
    let answer = agreement.answer(&[0x1111]).unwrap();
    assert_eq!(answer.proposals.len(), 1);
    assert_eq!(answer.proposals[0].spi, [0, 0, 0x11, 0x11]);
    let offered = phase2_sa(&peer(&esp(), &theirs));
    assert_eq!(answer.proposals[0].transforms, offered.proposals[0].transforms[..1]);
}

#[test]
fn a_bundle_is_accepted_in_any_order_but_only_as_a_whole() {
    let ours = bundle(&CHAIN, &sainfo());
    let turned = [CHAIN[2], CHAIN[0], CHAIN[1]];
    let agreement = ours.choose(CheckLevel::Strict, false, &peer(&turned, &sainfo())).unwrap();
    let protocols = agreement.members.iter().map(|one| (one.member.protocol, one.member.reqid_out)).collect::<Vec<_>>();
    assert_eq!(protocols, [(Protocol::AH, 3), (Protocol::IPCOMP, 1), (Protocol::ESP, 2)]);
    let error = ours.choose(CheckLevel::Strict, false, &peer(&CHAIN[..2], &sainfo())).unwrap_err();
    let text = "no suitable proposal found: ipcomp+esp proposed, ipcomp+esp+ah configured";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_mismatch_names_both_sides() {
    let refused = |change: fn(&mut Sainfo)| {
        let mut theirs = sainfo();
        theirs.encryption.truncate(1);
        theirs.authentication.truncate(1);
        let mut ours = theirs.clone();
        ours.terms.group = Some(Group::MODP2048);
        theirs.terms.group = ours.terms.group;
        change(&mut theirs);
        let error = bundle(&esp(), &ours).choose(CheckLevel::Strict, false, &peer(&esp(), &theirs)).unwrap_err();
        error.to_string().trim_start_matches("no suitable proposal found: esp: ").to_string()
    };
    for (change, expected) in [
        (
            (|one| one.encryption[0].transform = EspTransform::CAMELLIA) as fn(&mut Sainfo),
            "camellia proposed, aes configured",
        ),
        (|one| one.authentication[0] = AuthAlgorithm::HMAC_MD5.into(), "hmac_md5 proposed, hmac_sha256 configured"),
        (
            |one| one.encryption[0].key_length = 128,
            "key of 128 bits proposed, 256 bits configured (proposal_check strict)",
        ),
        (|one| one.terms.lifetime = 3601, "lifetime 3601 s proposed, 3600 s configured (proposal_check strict)"),
        (|one| one.terms.group = None, "pfs_group none proposed, modp2048 configured (proposal_check strict)"),
        (|one| one.esn = Esn::Require, "extended sequence numbers proposed, esn off configured"),
        (
            |one| {
                one.encryption[0] = Encryption { transform: EspTransform::TRIPLE_DES, key_length: 0 };
                one.authentication[0] = AuthAlgorithm::HMAC_MD5.into();
            },
            "3des proposed, aes configured and hmac_md5 proposed, hmac_sha256 configured",
        ),
    ] {
        assert_eq!(refused(change), expected);
    }
}

#[test]
fn extended_sequence_numbers_are_asked_for_first() {
    let mut ours = sainfo();
    ours.esn = Esn::On;
    ours.encryption.truncate(1);
    ours.authentication.truncate(1);
    let suite = bundle(&esp(), &ours).suite(&[1]);
    assert_eq!(suite.protocols[0].transforms.iter().map(|one| one.esn).collect::<Vec<_>>(), [true, false]);
    let agreement = bundle(&esp(), &sainfo()).choose(CheckLevel::Strict, false, &peer(&esp(), &ours)).unwrap();
    assert!(!agreement.members[0].esn, "esn is off here: the second one");
    ours.esn = Esn::Require;
    let error = bundle(&esp(), &ours).choose(CheckLevel::Strict, false, &peer(&esp(), &sainfo())).unwrap_err();
    assert!(error.to_string().contains("esn require configured"), "{error}");
}

#[test]
fn an_initiator_accepts_what_it_offered_and_nothing_else() {
    let ours = bundle(&esp(), &sainfo());
    let offered = ours.suite(&[0x1111]);
    let responder = bundle(&esp(), &sainfo());
    let received = proposed(&phase2_sa(std::slice::from_ref(&offered)), Mode::Transport).unwrap();
    let agreement = responder.choose(CheckLevel::Obey, false, &received).unwrap();
    let answer = agreement.answer(&[0x2222]).unwrap();
    let confirmed = ours.confirm(CheckLevel::Obey, false, &offered, &answer).unwrap();
    assert_eq!(confirmed.members[0].spi_out, 0x2222);
    let changed = |change: fn(&mut SaBody)| {
        let mut answer = answer.clone();
        change(&mut answer);
        ours.confirm(CheckLevel::Obey, false, &offered, &answer).map(|_| ()).unwrap_err()
    };
    for change in [
        (|body| body.proposals[0].number = 2) as fn(&mut SaBody),
        |body| body.proposals[0].transforms[0].id = EspTransform::CAMELLIA.0,
        |body| body.proposals[0].protocol = Protocol::AH,
        |body| body.proposals.push(body.proposals[0].clone()),
        |body| {
            let transform = body.proposals[0].transforms[0].clone();
            body.proposals[0].transforms.push(transform);
        },
    ] {
        assert!(matches!(changed(change), FailureReason::BadChoice(_)));
    }
}

#[test]
fn lifetimes_are_claimed_and_the_shortest_counts() {
    let mut theirs = sainfo();
    theirs.terms.lifetime = 7200;
    let ours = bundle(&CHAIN, &sainfo());
    let agreement = ours.choose(CheckLevel::Claim, false, &peer(&CHAIN, &theirs)).unwrap();
    assert_eq!((agreement.terms.lifetime, agreement.claims_lifetime), (3600, true));
    let agreement = ours.choose(CheckLevel::Obey, false, &peer(&CHAIN, &theirs)).unwrap();
    assert_eq!((agreement.terms.lifetime, agreement.claims_lifetime), (7200, false));
}

#[test]
fn it_is_renewed_at_80_percent() {
    let hard = Lifetime { seconds: 3600, kilobytes: Some(u32::MAX) };
    assert_eq!(soft(hard), Lifetime { seconds: 2880, kilobytes: Some(3_435_973_836) });
    assert_eq!(soft(Lifetime::default()), Lifetime::default());
}

#[test]
fn an_old_peers_truncation_is_ours_alone() {
    let mut ours = sainfo();
    ours.authentication = vec![Authentication { algorithm: AuthAlgorithm::HMAC_SHA256, truncated: true }];
    let agreement = bundle(&esp(), &ours).choose(CheckLevel::Obey, false, &peer(&esp(), &sainfo())).unwrap();
    assert!(agreement.members[0].transform.truncated);
}
