use proptest::prelude::*;

use super::*;
use crate::num::{SaState, SaType};
use crate::policy::{Direction, Level};
use crate::sa::SaSpec;
use crate::wire::Lifetime;

const FILE: &str = "\
racoon-kernel-state 1 boot=6ad4d5ac-9a3f-4b8f-bd0b-4f0a1d7ef2a1 namespace=4026531840
policy request out 10.0.0.0/24 10.1.0.0/24 any 0 0 2147483648 1764444444 protect esp,tunnel,require,0,192.0.2.1,192.0.2.2
policy present out 10.0.0.0/24 10.1.0.0/24 any 0 0 4321 1764444445
policy request in 2001:db8::/64 2001:db8:1::1/128 17 53 0 0 1764444444 protect ipcomp,transport,use,0 ah,transport,unique,7
sa request esp 192.0.2.1 192.0.2.2 0x01234567 tunnel 7 1764444444
sa present esp 192.0.2.1 192.0.2.2 0x01234567 1764444445
sa request ah 2001:db8::1 2001:db8::2 0x00000100 transport 0 1764444446
";

fn outbound() -> ListedPolicy {
    let network = |address: [u8; 4]| (address.into(), 24);
    let selector = Selector::networks(network([10, 0, 0, 0]), network([10, 1, 0, 0])).unwrap();
    let (here, there) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
    ListedPolicy {
        spec: PolicySpec::ipsec(selector, Direction::Out)
            .template(Template::tunnel(SaType::Esp, here, there, Level::Require))
            .priority(0x8000_0000)
            .build()
            .unwrap(),
        requested: 1_764_444_444,
        confirmed: Some(Confirmation { index: 4321, time: 1_764_444_445 }),
    }
}

fn in_kernel(entry: &ListedPolicy, index: u32, added: Option<u64>) -> InstalledPolicy {
    let current = Lifetime { addtime: added.unwrap_or(0), ..Lifetime::default() };
    InstalledPolicy { spec: entry.spec.clone(), index, current }
}

#[test]
fn a_file_is_read() {
    let StateFile { id: of, state, lines, skipped, skipped_lines } = StateFile::parse(FILE.as_bytes()).unwrap();
    assert_eq!((of.boot.as_str(), of.namespace.as_str()), ("6ad4d5ac-9a3f-4b8f-bd0b-4f0a1d7ef2a1", "4026531840"));
    assert_eq!((lines, skipped, skipped_lines), (6, vec![], 0));
    assert_eq!((state.policies.len(), state.sas.len()), (2, 2));
    assert_eq!(state.policies[&outbound().spec.id], outbound());
    let id = SaId::new(SaType::Esp, [192, 0, 2, 1].into(), [192, 0, 2, 2].into(), 0x0123_4567);
    let entry = ListedSa { id, mode: Mode::Tunnel, reqid: 7, requested: 1_764_444_444, confirmed: Some(1_764_444_445) };
    assert_eq!(state.sas[&id], entry);
    // As it was written.
    let mut text = format!("{of}\n");
    state.records().for_each(|record| text += &format!("{record}\n"));
    let sorted = |text: &str| {
        let mut lines = text.lines().map(str::to_owned).collect::<Vec<_>>();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&text), sorted(FILE));
}

#[test]
fn what_is_gone_is_not_listed() {
    let more = "policy gone out 10.0.0.0/24 10.1.0.0/24 any 0 0\nsa gone esp 192.0.2.1 192.0.2.2 0x01234567\n";
    let file = StateFile::parse(format!("{FILE}{more}").as_bytes()).unwrap();
    assert_eq!((file.state.policies.len(), file.state.sas.len(), file.skipped.len()), (1, 1, 0));
    let again = StateFile::parse(format!("{FILE}{more}{more}").as_bytes()).unwrap();
    assert_eq!(again.state, file.state);
    let told = again.skipped.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(told, [10, 11].map(|line| format!("line {line}: about an entry that is not listed")));
}

#[test]
fn bad_lines_are_skipped() {
    let long = format!("sa gone esp 192.0.2.1 192.0.2.2 0x{}", "1".repeat(LINE_MAX));
    for bad in [
        "",
        "policy",
        "policy keep out 10.0.0.0/24 10.1.0.0/24 any 0 0",
        "policy gone out 10.0.0.0/24 10.1.0.0/24 any 0 0 ",
        "policy gone out  10.0.0.0/24 10.1.0.0/24 any 0 0",
        "policy gone out 10.0.0.0/33 10.1.0.0/24 any 0 0",
        "policy gone out 10.0.0.0/24 2001:db8::/24 any 0 0",
        "policy gone out 10.0.0.0/24 10.1.0.0/24 0 0 0",
        "policy gone out 10.0.0.0/24 10.1.0.0/24 any +0 0",
        "policy gone out 10.0.0.0/24 10.1.0.0/24 any 0 65536",
        "policy present out 10.0.0.0/24 10.1.0.0/24 any 0 0 4321",
        "policy request out 10.0.0.0/24 10.1.0.0/24 any 0 0 1 1 protect",
        "policy request out 10.0.0.0/24 10.1.0.0/24 any 0 0 1 1 pass esp,transport,use,0",
        "policy request out 10.0.0.0/24 10.1.0.0/24 any 0 0 1 1 protect esp,transport,use,0,192.0.2.1,192.0.2.2",
        "policy request out 10.0.0.0/24 10.1.0.0/24 any 0 0 1 1 protect esp,tunnel,use,0,192.0.2.1",
        "policy request out 10.0.0.0/24 10.1.0.0/24 any 0 0 1 1 protect esp,transport,use,7",
        "sa gone esp 192.0.2.1 192.0.2.2 0x1234567",
        "sa gone esp 192.0.2.1 192.0.2.2 0x+1234567",
        "sa gone esp 192.0.2.1 192.0.2.2 01234567",
        "sa present esp 192.0.2.1 192.0.2.2 0x01234567 18446744073709551616",
        "sa request tcp 192.0.2.1 192.0.2.2 0x01234567 tunnel 7 1",
        &long,
    ] {
        let file = StateFile::parse(format!("{FILE}{bad}\n").as_bytes()).unwrap();
        assert_eq!(file.skipped.iter().map(|skipped| skipped.line).collect::<Vec<_>>(), [8], "{bad}");
        assert_eq!(file.state, StateFile::parse(FILE.as_bytes()).unwrap().state, "{bad}");
    }
    let templates = " esp,transport,use,0".repeat(TEMPLATES_MAX + 1);
    let many = format!("{FILE}policy request out 10.0.0.0/24 10.1.0.0/24 any 0 0 1 1 protect{templates}\n");
    assert_eq!(StateFile::parse(many.as_bytes()).unwrap().skipped.len(), 1);
    assert_eq!(StateFile::parse(format!("{FILE}\u{ff}").as_bytes()).unwrap().skipped[0].reason, "cut off");
    let bytes = [FILE.as_bytes(), b"sa gone \xff\n"].concat();
    assert_eq!(StateFile::parse(&bytes).unwrap().skipped[0].reason, "not text");
}

#[test]
fn headers_that_are_refused() {
    for wrong in [
        "",
        "\n",
        "racoon-kernel-state 1 boot=a namespace=b",
        "racoon-kernel-state 1 boot=a\n",
        "racoon-kernel-state 1 boot= namespace=b\n",
        "racoon-kernel-state 1 boot=a namespace=b c\n",
        "racoon-kernel-state x boot=a namespace=b\n",
        "sa gone esp 192.0.2.1 192.0.2.2 0x01234567\n",
    ] {
        assert_eq!(StateFile::parse(wrong.as_bytes()), Err(FormatError::Header), "{wrong:?}");
    }
    let newer = StateFile::parse(b"racoon-kernel-state 2 something else\n").unwrap_err();
    assert_eq!(newer.to_string(), "line 1: format version 2, expected 1");
}

#[test]
fn which_policy_is_meant() {
    let entry = outbound();
    assert!(entry.is(&in_kernel(&entry, 4321, None)));
    assert!(!entry.is(&in_kernel(&entry, 4322, None)), "somebody replaced it by an equal one");
    let with = |change: fn(&mut PolicySpec)| {
        let mut policy = in_kernel(&entry, 4321, None);
        change(&mut policy.spec);
        policy
    };
    assert!(!entry.is(&with(|spec| spec.priority = Some(7))));
    assert!(!entry.is(&with(|spec| spec.action = Some(Action::Discard))));
    assert!(!entry.is(&with(|spec| spec.id.if_id = Some(7))));
    assert!(entry.is(&with(|spec| spec.lifetime = 7)), "which the file does not hold");
    let unnumbered = ListedPolicy { confirmed: Some(Confirmation { index: 0, time: 1_764_444_445 }), ..entry.clone() };
    assert!(unnumbered.is(&in_kernel(&entry, 4322, None)));
    assert!(entry.is(&in_kernel(&entry, 4321, Some(entry.requested))));
    assert!(!entry.is(&in_kernel(&entry, 4321, Some(entry.requested + 9))), "replaced, which keeps the index");
    // Killed between the request and its answer: an older policy is the one for which the kernel refused ours.
    let provisional = ListedPolicy { confirmed: None, ..entry.clone() };
    assert!(provisional.is(&in_kernel(&entry, 4321, Some(entry.requested))));
    assert!(provisional.is(&in_kernel(&entry, 4321, Some(entry.requested - 1))), "the kernel's clock lags");
    assert!(!provisional.is(&in_kernel(&entry, 4321, Some(entry.requested - 3))));
    assert!(!provisional.is(&in_kernel(&entry, 4321, None)));
}

#[test]
fn which_sa_is_meant() {
    let StateFile { state, .. } = StateFile::parse(FILE.as_bytes()).unwrap();
    for entry in state.sas.values() {
        let ListedSa { id, mode, reqid, requested, confirmed } = entry.clone();
        let sa = |reqid, mode, addtime| InstalledSa {
            spec: SaSpec { reqid, mode, ..SaSpec::new(id) },
            state: SaState::Mature,
            current: Lifetime { addtime, ..Lifetime::default() },
            sequence: 0,
        };
        assert!(state.has_sa(&sa(reqid, mode, requested)));
        assert!(!state.has_sa(&sa(reqid + 1, mode, requested)));
        assert!(!state.has_sa(&sa(reqid, mode, requested - 3)), "added by hand before");
        assert_eq!(state.has_sa(&sa(reqid, mode, requested + 9)), confirmed.is_none(), "added by hand afterwards");
        let other = if mode == Mode::Tunnel { Mode::Transport } else { Mode::Tunnel };
        assert!(!state.has_sa(&sa(reqid, other, requested)));
        let mut behind_nat = sa(reqid, mode, requested);
        behind_nat.spec.id.source.set_port(4500);
        assert!(state.has_sa(&behind_nat), "NetBSD shows the ports in the addresses");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>) {
        let _ = StateFile::parse(&bytes);
        let _ = StateFile::parse(&[FILE.as_bytes(), &bytes].concat());
    }

    #[test]
    fn a_prefix_of_a_file_lists_nothing_else(end in 0..FILE.len()) {
        let whole = StateFile::parse(FILE.as_bytes()).unwrap().state;
        let Ok(part) = StateFile::parse(&FILE.as_bytes()[..end]) else { return Ok(()) };
        prop_assert!(part.skipped.len() <= 1);
        let unconfirmed = |entry: &ListedPolicy| ListedPolicy { confirmed: None, ..entry.clone() };
        for (id, entry) in part.state.policies {
            prop_assert_eq!(unconfirmed(&entry), unconfirmed(&whole.policies[&id]));
        }
        for (id, entry) in part.state.sas {
            prop_assert_eq!(ListedSa { confirmed: None, ..entry }, ListedSa { confirmed: None, ..whole.sas[&id].clone() });
        }
    }
}
