//! Policies of the other program, as reported, and our own.

use libpfkey::backend::BackendKind;
use libpfkey::kernel_state::KernelId;
use libpfkey::num::{DIR_FWD, DIR_OUT, POLICY_DISCARD};
use libpfkey::request;
use racoon::kernel_state::StateLog;
use racoon_proto::kernel::{
    Direction, KernelError, KernelEvent, KernelRequest, Mode, Policy, PolicyAction, PolicyName, Prefix, Selector,
    Template, TemplateLevel,
};
use racoon_proto::num::Protocol;

use crate::lab::{Lab, PEER, US, ip, spd, step};
use crate::{with_all_backend_pairs, with_each_backend};

fn selector() -> Selector {
    Selector {
        source: Prefix::new(ip("10.0.1.0"), 24),
        destination: Prefix::new(ip("10.0.2.0"), 24),
        protocol: 0,
        source_port: 0,
        destination_port: 0,
    }
}

fn template(level: TemplateLevel, reqid: u32) -> Template {
    let ends = Some((ip(US), ip(PEER)));
    Template { protocol: Protocol::ESP, mode: Mode::Tunnel, level, reqid, endpoints: ends }
}

fn add(lab: &mut Lab, policy: Policy) -> Result<Policy, KernelError> {
    match lab.add_policy(&policy).pop() {
        Some(KernelEvent::PolicyAdded(_, added)) => added.map(|policy| policy.expect("a policy")),
        other => panic!("{other:?}"),
    }
}

fn resync(lab: &mut Lab) -> Vec<Policy> {
    let mut all = Vec::new();
    lab.interface.resync(&mut |event| match event {
        KernelEvent::Policies(policies) => all = policies,
        other => panic!("{other:?}"),
    });
    all
}

#[test]
fn policies_of_other_program() {
    with_all_backend_pairs(|lab| {
        let mut request = spd(DIR_FWD, ("10.0.1.0", 24), ("10.0.2.0", 24), vec![step(50, Some((US, PEER)))]);
        lab.other(|origin, buffer| request::spdadd(origin, &request, buffer));
        let KernelEvent::Policy(policy) = lab.event() else { panic!("no policy") };
        let expected = Policy {
            index: policy.index,
            direction: Direction::Forward,
            selector: selector(),
            action: PolicyAction::Protect(vec![template(TemplateLevel::Require, 0)]),
            priority: 0x8000_0000,
        };
        assert_eq!(policy, expected);
        assert_eq!(resync(lab), std::slice::from_ref(&expected));

        // A changed policy keeps its index.
        (request.policy.kind, request.policy.requests) = (POLICY_DISCARD, Vec::new());
        lab.other(|origin, buffer| request::spdupdate(origin, &request, buffer));
        let expected = Policy { action: PolicyAction::Discard, ..expected };
        assert!(matches!(lab.event(), KernelEvent::Policy(policy) if policy == expected));

        // Deleted by selector, then by index.
        lab.other(|origin, buffer| request::spddelete(origin, &request, buffer));
        let is_gone =
            |event| matches!(event, KernelEvent::PolicyDeleted(Direction::Forward, gone) if gone == selector());
        assert!(is_gone(lab.event()));
        lab.other(|origin, buffer| request::spdadd(origin, &request, buffer));
        let KernelEvent::Policy(policy) = lab.event() else { panic!("no policy") };
        lab.other(|origin, buffer| request::spddelete2(origin, policy.index, buffer));
        assert!(is_gone(lab.event()));
        assert_eq!(resync(lab), []);

        // With ports.
        let mut request = spd(DIR_OUT, (US, 32), (PEER, 32), vec![step(51, None), step(50, None)]);
        request.proto = 17;
        request.destination = libpfkey::wire::SockAddr::Inet(std::net::SocketAddr::new(ip(PEER), 53));
        lab.other(|origin, buffer| request::spdadd(origin, &request, buffer));
        let KernelEvent::Policy(policy) = lab.event() else { panic!("no policy") };
        assert_eq!((policy.selector.protocol, policy.selector.destination_port), (17, 53));
        let PolicyAction::Protect(templates) = policy.action else { panic!("not protected") };
        assert_eq!(templates.iter().map(|one| one.protocol).collect::<Vec<_>>(), [Protocol::AH, Protocol::ESP]);
        assert!(templates.iter().all(|one| one.endpoints.is_none() && one.mode == Mode::Transport));
        lab.other(request::spdflush);
        let events = lab.events();
        assert!(events.iter().all(|event| matches!(event, KernelEvent::PoliciesFlushed)), "{events:?}");
        assert!(!events.is_empty());
        assert!(lab.records.lock().unwrap().is_empty());
    });
}

#[test]
fn own_policies() {
    with_all_backend_pairs(|lab| {
        let unique = Policy {
            index: 0,
            direction: Direction::In,
            selector: selector(),
            action: PolicyAction::Protect(vec![template(TemplateLevel::Unique, 77)]),
            priority: 0x7fff_ffff,
        };
        let set = add(lab, unique.clone()).expect("there is none");
        assert_ne!(set.index, 0);
        assert_eq!(set, Policy { index: set.index, ..unique.clone() });
        assert!(matches!(lab.event(), KernelEvent::Policy(told) if told == set));
        assert_eq!(resync(lab), std::slice::from_ref(&set));

        // An existing policy is not replaced.
        let action = PolicyAction::Protect(vec![template(TemplateLevel::Unique, 20_000)]);
        let other = Policy { action, ..unique.clone() };
        assert!(add(lab, other.clone()).expect_err("it would replace another one").exists);
        assert_eq!(resync(lab), std::slice::from_ref(&set));

        lab.ask(KernelRequest::DeletePolicy(set.name()));
        assert!(matches!(lab.event(), KernelEvent::PolicyDeleted(Direction::In, gone) if gone == selector()));

        // The kernel replaces a reqid above the range for users.
        let again = add(lab, other).expect("there is none");
        let PolicyAction::Protect(templates) = &again.action else { panic!("not protected") };
        assert!(templates[0].level == TemplateLevel::Unique && templates[0].reqid >= 16_384, "{templates:?}");
        lab.events();
        // Linux hands out the first index twice: a policy with another selector is not ours.
        let other_selector = PolicyName { selector: selector().mirrored(), ..again.name() };
        lab.ask(KernelRequest::DeletePolicy(other_selector));
        assert_eq!(resync(lab), std::slice::from_ref(&again));
        lab.ask(KernelRequest::DeletePolicy(again.name()));
        assert!(matches!(lab.event(), KernelEvent::PolicyDeleted(Direction::In, gone) if gone == selector()));
        lab.ask(KernelRequest::DeletePolicy(again.name()));
        assert!(lab.events().is_empty(), "that there is none is no error");
        assert_eq!(resync(lab), []);
    });
}

/// Generated policies are deleted again, as the state file lists them. A replacement by the other program stays,
/// although it has the same index and its event was not read yet.
#[test]
fn replaced_own_policies() {
    with_all_backend_pairs(|lab| {
        let directory = tempfile::tempdir().expect("a directory");
        let id = KernelId { boot: "a".into(), namespace: "1".into() };
        let log = StateLog::open(&directory.path().join("state"), id, &mut |record| panic!("{record}"));
        lab.interface.set_state_log(log.expect("a state file"));
        let transport = |protocol| Template {
            protocol,
            mode: Mode::Transport,
            endpoints: None,
            ..template(TemplateLevel::Unique, 7)
        };
        for templates in [
            vec![template(TemplateLevel::Require, 0)],
            vec![template(TemplateLevel::Unique, 16_383)],
            vec![transport(Protocol::ESP)],
            vec![transport(Protocol::IPCOMP), transport(Protocol::ESP), transport(Protocol::AH)],
        ] {
            let policy = Policy {
                index: 0,
                direction: Direction::Out,
                selector: selector(),
                action: PolicyAction::Protect(templates),
                priority: 0x8000_0000,
            };
            let ours = add(lab, policy.clone()).expect("there is none");
            lab.ask(KernelRequest::DeletePolicy(ours.name()));
            lab.events();
            assert_eq!(resync(lab), [], "{policy:?}");

            let ours = add(lab, policy).expect("there is none");
            lab.events();
            let mut other = spd(DIR_OUT, ("10.0.1.0", 24), ("10.0.2.0", 24), Vec::new());
            other.policy.kind = POLICY_DISCARD;
            lab.other(|origin, buffer| request::spdupdate(origin, &other, buffer));
            lab.ask(KernelRequest::DeletePolicy(ours.name()));
            lab.events();
            let left = resync(lab);
            assert!(matches!(&left[..], [Policy { action: PolicyAction::Discard, .. }]), "{left:?}");
            assert_eq!(left[0].index, ours.index);
            lab.other(request::spdflush);
            lab.events();
        }
    });
}

/// More events than the buffer holds. PF_KEY drops them without any sign, which is why there is a resync.
#[test]
fn more_events_than_the_buffer_holds() {
    const MANY: u8 = 16;
    with_each_backend(|lab| {
        for (third, fourth) in (0..MANY).flat_map(|third| (0..=u8::MAX).map(move |fourth| (third, fourth))) {
            let to = format!("10.3.{third}.{fourth}");
            let request = spd(DIR_OUT, (US, 32), (&to, 32), vec![step(50, None)]);
            lab.other(|origin, buffer| request::spdadd(origin, &request, buffer));
        }
        let all = usize::from(MANY) * 256;
        let events = lab.events();
        let told = match events.last() {
            Some(KernelEvent::Policies(policies)) => {
                assert!(events.len() <= all);
                assert_eq!(lab.records.lock().expect("a log").len(), 1);
                policies.len()
            }
            _ => resync(lab).len(),
        };
        assert_eq!(lab.choice == BackendKind::Xfrm, matches!(events.last(), Some(KernelEvent::Policies(_))), "told so");
        assert_eq!(told, all);
        assert!(add(lab, one_more()).is_ok(), "requests go on");
    });
}

fn one_more() -> Policy {
    let action = PolicyAction::Protect(vec![template(TemplateLevel::Require, 0)]);
    Policy { index: 0, direction: Direction::In, selector: selector(), action, priority: 1 }
}
