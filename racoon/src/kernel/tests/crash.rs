//! Starts of racoon after it was killed at any moment.

use std::fs;
use std::path::{Path, PathBuf};

use libpfkey::backend::Memory;
use libpfkey::kernel_state::{KernelId, KernelState};
use libpfkey::request;
use libpfkey::{Abi, Dialect, MessageType, Request, SaId, SaType};
use racoon_proto::kernel::{
    Direction, KernelEvent, KernelRequest, Policy, PolicyAction, PolicyName, Prefix, SaName, Selector,
};
use racoon_proto::num::Protocol;
use tempfile::TempDir;

use super::memory::{Lab, policy};
use super::{aes_sha1, inbound, ip, outbound, policy_of, submit};
use crate::clock::since_1970;
use crate::kernel::{Leftovers, LogRecord};
use crate::kernel_state::StateLog;

/// Requests to the kernel, in this order.
const STEPS: [Step; 6] = [
    Step::Policy(Direction::In),
    Step::Policy(Direction::Out),
    Step::Install(0x1001),
    Step::Install(0x1002),
    Step::Delete(0x1001),
    Step::DeletePolicy(Direction::In),
];

#[derive(Clone, Copy, Debug)]
enum Step {
    Policy(Direction),
    Install(u32),
    Delete(u32),
    DeletePolicy(Direction),
}

impl Step {
    fn take(self, lab: &mut Lab) {
        match self {
            Self::Policy(direction) => drop(set(lab, policy(direction))),
            Self::Install(spi) => lab.install(outbound(spi, aes_sha1())).unwrap(),
            Self::Delete(spi) => assert!(lab.ask(KernelRequest::Delete(outbound(spi, aes_sha1()).name)).is_empty()),
            Self::DeletePolicy(direction) => unset(lab, direction),
        }
    }

    /// Returns the numbers of records before the request and after the reply.
    fn lines(self) -> (usize, usize) {
        match self {
            Self::Policy(_) | Self::Install(_) => (1, 1),
            Self::Delete(_) | Self::DeletePolicy(_) => (0, 1),
        }
    }
}

fn set(lab: &mut Lab, policy: Policy) -> PolicyName {
    match lab.add_policy(&policy).pop() {
        Some(KernelEvent::PolicyAdded(_, Ok(Some(policy)))) => policy.name(),
        other => panic!("{other:?}"),
    }
}

/// Deletes our policy of a direction.
fn unset(lab: &mut Lab, direction: Direction) {
    let listed = policies(lab).into_iter().find(|there| *there == Policy { index: there.index, ..policy(direction) });
    lab.ask(KernelRequest::DeletePolicy(listed.unwrap().name()));
}

fn policies(lab: &mut Lab) -> Vec<Policy> {
    let mut policies = Vec::new();
    lab.interface.resync(&mut |event| {
        if let KernelEvent::Policies(all) = event {
            policies = all;
        }
    });
    policies
}

fn id() -> KernelId {
    KernelId { boot: "a".into(), namespace: "1".into() }
}

fn log(path: &Path) -> StateLog {
    StateLog::open(path, id(), &mut |_| ()).unwrap()
}

/// A kernel with a policy and an SA of another program. Its clock shows `now` and stands still.
fn with_others(dialect: Dialect, now: u64) -> Lab {
    let kernel = Memory::new(Abi::of(dialect)).unwrap();
    kernel.set_time(now);
    let mut lab = Lab::on(kernel);
    let selector = Selector { destination: Prefix::host(ip("10.0.0.9")), ..policy(Direction::Out).selector };
    set(&mut lab, Policy { selector, action: PolicyAction::Discard, ..policy(Direction::Out) });
    lab.install(outbound(0x9999, aes_sha1())).unwrap();
    lab
}

/// Starts the next racoon on a kernel. Returns what it removed and logged.
fn restart(kernel: &Memory, path: &Path) -> (Lab, Leftovers, Vec<LogRecord>) {
    let mut lab = Lab::on(kernel.another_handle().unwrap());
    lab.interface.set_state_log(log(path));
    let left = lab.interface.remove_leftovers(&[]).unwrap();
    let records = std::mem::take(&mut *lab.records.lock().unwrap());
    (lab, left, records)
}

/// Returns the directions of our policies and the SPIs of our SAs in the kernel.
fn ours(lab: &mut Lab) -> (Vec<Direction>, Vec<u32>) {
    let (others, ours): (Vec<Policy>, Vec<Policy>) =
        policies(lab).into_iter().partition(|policy| policy.action == PolicyAction::Discard);
    assert_eq!(others.len(), 1, "another program's policy");
    let mut spis = lab.interface.counters().unwrap().into_iter().map(|(name, _)| name.spi).collect::<Vec<_>>();
    spis.sort_unstable();
    let others = spis.extract_if(.., |spi| *spi == 0x9999).count();
    assert_eq!(others, 1, "another program's SA");
    (ours.into_iter().map(|policy| policy.direction).collect(), spis)
}

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kernel.state");
    (directory, path)
}

/// Killed before and after each record, and before and after each request.
#[test]
fn nothing_is_left_after_a_crash() {
    for dialect in [Dialect::Linux, Dialect::FreeBsd, Dialect::NetBsd] {
        let (_directory, path) = place();
        let now = since_1970();
        let mut lab = with_others(dialect, now);
        lab.interface.set_state_log(log(&path));
        STEPS.iter().for_each(|step| step.take(&mut lab));
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.split_inclusive('\n').collect::<Vec<_>>();
        assert_eq!(lines.len(), 1 + STEPS.iter().map(|step| step.lines().0 + step.lines().1).sum::<usize>(), "{text}");

        let mut written = 1;
        for (done, step) in STEPS.iter().enumerate() {
            let (before, after) = step.lines();
            let recorded = written + before;
            // Requests that the kernel has executed, and complete lines in the file.
            for (asked, whole) in [(0, written), (0, recorded), (1, recorded), (1, recorded + after)] {
                for torn in [false, true] {
                    let mut file = lines[..whole].concat();
                    if torn {
                        file += lines.get(whole).map_or("", |line| &line[..line.len() / 2]);
                    }
                    let (_directory, path) = place();
                    fs::write(&path, file).unwrap();
                    let mut killed = with_others(dialect, now);
                    STEPS[..done + asked].iter().for_each(|step| step.take(&mut killed));
                    let (mut lab, left, records) = restart(&killed.memory, &path);
                    let at = format!("{dialect}, {step:?}, {asked}, {whole}, {torn}: {left:?}");
                    // The BSDs do not show the age of a policy, so an unconfirmed one may be another program's.
                    let is_policy = matches!(step, Step::Policy(_)) && asked == 1 && whole == recorded;
                    let ambiguous = is_policy && dialect != Dialect::Linux;
                    assert_eq!((left.ambiguous, records.len()), (ambiguous.into(), ambiguous.into()), "{at}");
                    let (policies, sas) = ours(&mut lab);
                    assert_eq!((policies.len(), sas), (ambiguous.into(), vec![]), "{at}");
                    lab.interface.close_state_log();
                    assert!(!path.exists(), "{at}: nothing is listed");
                }
            }
            written = recorded + after;
        }
    }
}

/// An equal policy and an SA of the same name that another program installed are not ours, even if we were about to
/// install them.
#[test]
fn other_programs_entries_stay() {
    for dialect in [Dialect::Linux, Dialect::FreeBsd, Dialect::NetBsd] {
        // 1. They were there before, and the kernel refused ours. Killed before that was recorded.
        let (_directory, path) = place();
        let mut lab = with_others(dialect, since_1970());
        lab.memory.set_time(since_1970() - 50);
        set(&mut lab, policy(Direction::In));
        lab.install(outbound(0x1001, aes_sha1())).unwrap();
        let mut run = Lab::new(dialect);
        run.interface.set_state_log(log(&path));
        set(&mut run, policy(Direction::In));
        run.install(outbound(0x1001, aes_sha1())).unwrap();
        let provisional = fs::read_to_string(&path).unwrap();
        let provisional = provisional.lines().filter(|line| !line.contains(" present ")).collect::<Vec<_>>().join("\n");
        drop(run);
        fs::write(&path, provisional + "\n").unwrap();
        let (mut after, left, _) = restart(&lab.memory, &path);
        assert_eq!((left.policies, left.sas.len()), (0, 0), "{dialect}");
        assert_eq!(ours(&mut after), (vec![Direction::In], vec![0x1001]), "{dialect}");

        // 2. They replaced ours.
        let (_directory, path) = place();
        let mut lab = with_others(dialect, since_1970());
        lab.interface.set_state_log(log(&path));
        set(&mut lab, policy(Direction::In));
        lab.install(outbound(0x1001, aes_sha1())).unwrap();
        let listed = fs::read(&path).unwrap();
        unset(&mut lab, Direction::In);
        lab.ask(KernelRequest::Delete(outbound(0x1001, aes_sha1()).name));
        lab.interface.close_state_log();
        fs::write(&path, listed).unwrap();
        lab.memory.set_time(since_1970() + 50);
        set(&mut lab, policy(Direction::In));
        lab.install(outbound(0x1001, aes_sha1())).unwrap();
        let (mut after, left, _) = restart(&lab.memory, &path);
        assert_eq!((left.policies, left.sas.len()), (0, 0), "{dialect}");
        assert_eq!(ours(&mut after), (vec![Direction::In], vec![0x1001]), "{dialect}");
    }
}

/// Another program replaces a policy of ours, and we delete ours before the event is read. The replacement stays,
/// although it has the same index on Linux.
#[test]
fn replacement_policy_is_not_deleted() {
    for dialect in [Dialect::Linux, Dialect::FreeBsd, Dialect::NetBsd] {
        let (_directory, path) = place();
        let mut lab = Lab::new(dialect);
        lab.interface.set_state_log(log(&path));
        let (inward, outward) = (set(&mut lab, policy(Direction::In)), set(&mut lab, policy(Direction::Out)));
        let foreign = Policy { action: PolicyAction::Discard, ..policy(Direction::In) };
        let spec = policy_of(dialect, &foreign);
        submit(&mut lab.other(), &Request::PolicyUpdate(Box::new(spec)));
        lab.ask(KernelRequest::DeletePolicy(inward));
        lab.ask(KernelRequest::DeletePolicy(outward));
        let left = policies(&mut lab);
        assert!(matches!(&left[..], [Policy { action: PolicyAction::Discard, .. }]), "{dialect}: {left:?}");
        assert_eq!(left[0].index == inward.index, dialect == Dialect::Linux, "{dialect}");
        assert_eq!(lab.interface.listed(), Some(&KernelState::default()), "{dialect}");
    }
}

/// Each way in which an SA ends is recorded, and so is a refusal.
#[test]
fn removed_entries_are_not_listed() {
    for dialect in [Dialect::Linux, Dialect::FreeBsd, Dialect::NetBsd] {
        let (_directory, path) = place();
        let mut lab = Lab::new(dialect);
        lab.interface.set_state_log(log(&path));
        let listed = |lab: &Lab| lab.interface.listed().map(|state| (state.policies.len(), state.sas.len()));
        let spi = lab.allocate(Protocol::ESP);
        lab.install(inbound(spi, aes_sha1())).unwrap();
        for spi in 0x1001..0x1005 {
            lab.install(outbound(spi, aes_sha1())).unwrap();
        }
        assert_eq!(listed(&lab), Some((0, 5)), "{dialect}");
        lab.memory.fail_next(MessageType::Add, libc::ENOMEM);
        lab.install(outbound(0x2001, aes_sha1())).unwrap_err();
        assert_eq!(listed(&lab), Some((0, 5)), "{dialect}: it was refused");
        // The kernel refuses the deletion, so the SA is still there.
        lab.memory.fail_next(MessageType::Delete, libc::ENOMEM);
        lab.ask(KernelRequest::Delete(outbound(0x1004, aes_sha1()).name));
        assert_eq!(listed(&lab), Some((0, 5)), "{dialect}: it was not deleted");
        let SaName { source, destination, .. } = outbound(0x1001, aes_sha1()).name;
        if dialect != Dialect::NetBsd {
            assert!(lab.memory.expire_hard(SaType::Esp, source, destination, 0x1001));
            lab.events();
            assert_eq!(listed(&lab), Some((0, 4)), "{dialect}: it expired");
        }
        let (mut other, mut bytes) = (lab.other(), Vec::new());
        let name = SaId::new(SaType::Esp, source, destination, 0x1002);
        let before = listed(&lab).unwrap().1;
        request::delete(other.request_header(1), &name, &mut bytes).unwrap();
        other.send(&bytes).unwrap();
        lab.events();
        assert_eq!(listed(&lab), Some((0, before - 1)), "{dialect}: deleted by another program");
        // After a flush the engine deletes each SA.
        request::flush(other.request_header(2), SaType::Esp, &mut bytes).unwrap();
        other.send(&bytes).unwrap();
        lab.ask(KernelRequest::Delete(inbound(spi, aes_sha1()).name));
        (0x1001..0x1005).for_each(|spi| drop(lab.ask(KernelRequest::Delete(outbound(spi, aes_sha1()).name))));
        assert_eq!(listed(&lab), Some((0, 0)), "{dialect}: all deleted by another program");
        let name = set(&mut lab, policy(Direction::In));
        assert_eq!(listed(&lab), Some((1, 0)), "{dialect}");
        // Refused because it exists; the entry stays.
        lab.add_policy(&policy(Direction::In));
        assert_eq!(listed(&lab), Some((1, 0)), "{dialect}");
        request::spdflush(other.request_header(3), &mut bytes).unwrap();
        other.send(&bytes).unwrap();
        lab.ask(KernelRequest::DeletePolicy(name));
        assert_eq!(listed(&lab), Some((0, 0)), "{dialect}: all policies deleted by another program");
    }
}

/// After a reboot nothing is removed: what has the same name belongs to another program.
#[test]
fn entries_of_another_boot_are_void() {
    let (_directory, path) = place();
    let mut lab = with_others(Dialect::Linux, since_1970());
    lab.interface.set_state_log(log(&path));
    STEPS[..4].iter().for_each(|step| step.take(&mut lab));
    let text = fs::read_to_string(&path).unwrap().replace("boot=a", "boot=b");
    let (_directory, path) = place();
    fs::write(&path, text).unwrap();
    let (mut after, left, _) = restart(&lab.memory, &path);
    assert_eq!(left, Leftovers::default());
    assert_eq!(ours(&mut after), (vec![Direction::Out, Direction::In], vec![0x1001, 0x1002]));
    assert_eq!(after.interface.listed(), Some(&KernelState::default()));
}
