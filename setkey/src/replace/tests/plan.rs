//! Plans as a table: present state, wanted state, and steps.

use libpfkey::Dialect;
use libpfkey::num::{DIR_FWD, POLICY_DISCARD, POLICY_NONE};

use super::Kernel;
use crate::replace::foreign::Foreign;
use crate::replace::plan::{Plan, Present, Step, Wanted, plan};
use crate::replace::present;
use crate::replace::wanted::{self, File};

/// Returns the steps from a state to a file, one per line, with groups separated.
fn steps(dialect: Dialect, old: &str, new: &str) -> String {
    let mut kernel = Kernel::new(dialect);
    kernel.run(old);
    let files = [File { name: "a.conf".into(), bytes: new.as_bytes().to_vec().into() }];
    let read = kernel.session.with_target(|target, mirror, console| wanted::read(&files, target, mirror, console));
    let request = read.unwrap_or_else(|_| panic!("{}", kernel.lines()));
    let present = present::read(&mut kernel.session, &request, &Foreign::default()).unwrap();
    show(&plan(dialect, &present, &request.wanted), &present, &request.wanted)
}

fn show(plan: &Plan, present: &Present, wanted: &Wanted) -> String {
    let line = |step: &Step| match *step {
        Step::AddSa { sa } => format!("add {}", wanted.sas[sa].facts),
        Step::ReplaceSa { sa, .. } => format!("delete and add {}", wanted.sas[sa].facts),
        Step::UpdateSa { sa } => format!("update {}", wanted.sas[sa].facts),
        Step::PutPolicy { policy } => format!("spdupdate {}", wanted.policies[policy].name),
        Step::SetAside { policy } => format!("set aside {}", wanted.policies[policy].name),
        Step::RemovePolicy { old } => format!("spddelete {}", present.policies[old].name),
        Step::RemoveSa { old } => format!("delete {}", present.sas[old].facts),
    };
    let group = |group: &Vec<Step>| group.iter().map(|step| line(step) + "\n").collect::<String>();
    plan.groups.iter().map(group).collect::<Vec<_>>().join("--\n")
}

const KEY: &str = "0x00112233445566778899aabbccddeeff";

/// Two SAs and their policies.
fn pair() -> String {
    format!(
        "add 10.0.0.1 10.0.0.2 esp 0x1001 -m tunnel -E aes-cbc {KEY};
         add 10.0.0.2 10.0.0.1 esp 0x1002 -m tunnel -E aes-cbc {KEY};
         spdadd 10.1.0.0/16 10.2.0.0/16 any -P out ipsec esp/tunnel/10.0.0.1-10.0.0.2/require;
         spdadd 10.2.0.0/16 10.1.0.0/16 any -P in ipsec esp/tunnel/10.0.0.2-10.0.0.1/require;\n"
    )
}

const DIALECTS: [Dialect; 3] = [Dialect::Linux, Dialect::FreeBsd, Dialect::NetBsd];

#[test]
fn existing_entries_are_not_touched() {
    for dialect in Dialect::ALL {
        let flushing = format!("flush; spdflush; {}", pair());
        assert_eq!(steps(dialect, "", ""), "", "{dialect}");
        assert_eq!(steps(dialect, &pair(), &pair()), "", "{dialect}");
        let mut kernel = Kernel::new(dialect);
        kernel.replace(&flushing);
        assert!(!kernel.changes().is_empty());
        kernel.replace(&flushing);
        assert_eq!(kernel.changes(), [], "{dialect}");
    }
}

/// Everything that a kernel stores in another form than it was given.
#[test]
fn fields_that_kernels_rewrite_are_ignored() {
    let common = "
        add 10.0.0.1 10.0.0.2 ah 0x2001 -u 7 -r 4 -lh 3600 -ls 3000 -A hmac-sha1 0x0011223344556677889900112233445566778899;
        add 10.0.0.1 10.0.0.2 esp 0x2002 -f nocyclic-seq -E null;
        add ::1 2001:db8::2 esp 0x2003 -m transport -E null -A hmac-sha256
            0x00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff;
        add 10.0.0.1 10.0.0.2 ipcomp 0x0204 -C deflate;
        spdadd 10.0.0.1/8[500] 10.0.0.2/32[any] udp -P out ipsec ah/transport//use esp/transport//unique;
        spdadd 2001:db8::/64 ::/0 icmp6 135,0 -P in ipsec esp/tunnel/::1-::2/unique:9;
        spdadd 10.0.0.1 10.0.0.3 any -P out ipsec esp/transport//default;
        spdadd 10.0.0.1 10.0.0.4 any -P out discard;
        spdadd 10.0.0.1 10.0.0.5 any -P in none;\n";
    let natt = "add 10.0.0.1 10.0.0.2 esp-udp 0x2005 -natt 10.0.0.1[4500] 10.0.0.2[4501] -E null;\n";
    for dialect in DIALECTS {
        assert_eq!(
            steps(dialect, &format!("{common}{natt}"), &format!("flush; spdflush; {common}{natt}")),
            "",
            "{dialect}"
        );
    }
    let linux = "add 10.0.0.1 10.0.0.2 esp 0x2006 -r 64 -E null;
        spdadd 10.0.0.9 10.0.0.1 any -ctx 1 1 \"system_u\" -P in prio high + 3 none;\n";
    assert_eq!(steps(Dialect::FreeBsd, "add 10.0.0.1 10.0.0.2 esp 0x2006 -r 64 -E null;", "flush;").lines().count(), 1);
    assert_eq!(
        steps(Dialect::Linux, &linux.replace("64", "32"), &format!("flush; spdflush; {}", linux.replace("64", "32"))),
        ""
    );
}

#[test]
fn inbound_policies_have_forward_copies() {
    let mut kernel = Kernel::mirroring();
    kernel.replace(&format!("spdflush; {}", pair()));
    let directions = |kernel: &mut Kernel| kernel.state().1.iter().map(|(name, _)| name.direction).collect::<Vec<_>>();
    assert_eq!(directions(&mut kernel), [3, 1, 2]);
    kernel.changes();
    kernel.replace(&format!("spdflush; {}", pair()));
    assert_eq!(kernel.changes(), []);
    kernel.replace("spdflush;");
    assert!(directions(&mut kernel).is_empty());
}

/// Scripts for older versions contain `fwd` policies next to `in` policies.
#[test]
fn first_forward_policy_is_kept() {
    let policy = |direction| format!("spdadd 10.1.0.0/16 10.2.0.0/16 any -P {direction};\n");
    let (inbound, forward) = (policy("in none"), policy("fwd discard"));
    let has_copy = "WARNING: an in policy has already added a fwd policy with this selector (see -k)";
    let has_forward = "WARNING: an earlier statement has a fwd policy with this selector, which is kept (see -k)";
    for (files, place, warning, kind) in [
        ([&inbound, &forward], "b.conf,1", has_copy, POLICY_NONE),
        ([&forward, &inbound], "b.conf,1", has_forward, POLICY_DISCARD),
    ] {
        let mut kernel = Kernel::mirroring();
        let (loaded, lines) = kernel.load(&files.map(String::as_str));
        assert_eq!((loaded, lines), (Ok(()), format!("setkey: {place}: {warning} at `spdadd'\n")));
        let policies = kernel.state().1;
        let forward: Vec<_> = policies.iter().filter(|(name, _)| name.direction == DIR_FWD).collect();
        assert_eq!((policies.len(), forward.len(), forward[0].1.kind), (2, 1, kind));
        // Two statements for the same policy are an error.
        let (loaded, _) = kernel.load(&[files[0], files[1], &policy("in none")]);
        assert_eq!(loaded, Err("1 error; nothing was changed".into()));
    }
    let mut kernel = Kernel::new(Dialect::Linux);
    assert_eq!(kernel.load(&[&inbound, &forward]), (Ok(()), String::new()), "with -k");
}

#[test]
fn new_before_old_and_policies_between() {
    let new = format!(
        "flush; spdflush;
         spdadd 10.1.0.0/16 10.2.0.0/16 any -P out ipsec esp/tunnel/10.0.0.1-10.0.0.3/require;
         spdadd 10.3.0.0/16 10.1.0.0/16 any -P in ipsec esp/tunnel/10.0.0.3-10.0.0.1/require;
         add 10.0.0.1 10.0.0.3 esp 0x1003 -m tunnel -E aes-cbc {KEY};
         add 10.0.0.2 10.0.0.1 esp 0x1002 -m tunnel -E aes-cbc {KEY};\n"
    );
    for dialect in DIALECTS {
        assert_eq!(
            steps(dialect, &pair(), &new),
            "add esp 10.0.0.1 10.0.0.3 0x00001003\n--\n\
             spdupdate out 10.1.0.0/16 10.2.0.0/16 any\n\
             spdupdate in 10.3.0.0/16 10.1.0.0/16 any\n--\n\
             spddelete in 10.2.0.0/16 10.1.0.0/16 any\n--\n\
             delete esp 10.0.0.1 10.0.0.2 0x00001001\n",
            "{dialect}"
        );
    }
}

#[test]
fn without_flush_other_entries_stay() {
    let new = "add 10.0.0.1 10.0.0.3 esp 0x1003 -E null;";
    let added = "add esp 10.0.0.1 10.0.0.3 0x00001003\n";
    for (flushes, removed) in [
        ("", ""),
        ("flush esp;", "--\ndelete esp 10.0.0.2 10.0.0.1 0x00001002\ndelete esp 10.0.0.1 10.0.0.2 0x00001001\n"),
        ("flush ah;", ""),
        ("spdflush;", "--\nspddelete in 10.2.0.0/16 10.1.0.0/16 any\nspddelete out 10.1.0.0/16 10.2.0.0/16 any\n"),
    ] {
        assert_eq!(
            steps(Dialect::Linux, &pair(), &format!("{flushes}{new}")),
            format!("{added}{removed}"),
            "{flushes}"
        );
    }
}

#[test]
fn changed_sa_is_replaced() {
    let old = format!("add 10.0.0.1 10.0.0.2 esp 0x1001 -E aes-cbc {KEY};");
    let keys = "add 10.0.0.1 10.0.0.2 esp 0x1001 -E aes-cbc 0xff112233445566778899aabbccddeeff;";
    let limits = format!("add 10.0.0.1 10.0.0.2 esp 0x1001 -lh 100 -ls 80 -E aes-cbc {KEY};");
    let source = format!("add 10.0.0.9 10.0.0.2 esp 0x1001 -E aes-cbc {KEY};");
    let replaced = "delete and add esp 10.0.0.1 10.0.0.2 0x00001001\n";
    for dialect in DIALECTS {
        assert_eq!(steps(dialect, &old, keys), replaced, "{dialect}");
    }
    assert_eq!(steps(Dialect::Linux, &old, &limits), "update esp 10.0.0.1 10.0.0.2 0x00001001\n");
    assert_eq!(steps(Dialect::NetBsd, &old, &limits), replaced);
    // Linux does not distinguish SAs with the same destination and SPI by their sources.
    assert_eq!(steps(Dialect::Linux, &old, &source), "delete and add esp 10.0.0.9 10.0.0.2 0x00001001\n");
    assert_eq!(steps(Dialect::NetBsd, &old, &source), "add esp 10.0.0.9 10.0.0.2 0x00001001\n");
    // FreeBSD has a single space of SPIs.
    let elsewhere = format!("add 10.0.0.1 10.0.0.7 esp 0x1001 -E aes-cbc {KEY};");
    assert_eq!(steps(Dialect::FreeBsd, &old, &elsewhere), "delete and add esp 10.0.0.1 10.0.0.7 0x00001001\n");
    assert_eq!(steps(Dialect::Linux, &old, &elsewhere), "add esp 10.0.0.1 10.0.0.7 0x00001001\n");
}

#[test]
fn larval_sas_stay() {
    for dialect in DIALECTS {
        let larval = "getspi 10.0.0.1 10.0.0.2 esp 0x1001 -m transport;";
        assert_eq!(steps(dialect, larval, "flush;"), "", "{dialect}");
        let named = format!("flush; add 10.0.0.1 10.0.0.2 esp 0x1001 -E aes-cbc {KEY};");
        assert_eq!(steps(dialect, larval, &named), "delete and add esp 10.0.0.1 10.0.0.2 0x00001001\n", "{dialect}");
    }
}

/// A host's policy, its network's, and an exception.
const HOST: &str = "spdadd 10.1.1.1 10.2.0.0/16 any -P out ipsec esp/transport//require;";
const NETWORK: &str = "spdadd 10.1.0.0/16 10.2.0.0/16 any -P out ipsec esp/transport//require;";
const EXCEPTION: &str = "spdadd 10.1.0.0/16 10.2.0.0/16 udp -P out none;";
const OTHER: &str = "spdadd 10.9.0.0/16 10.2.0.0/16 any -P out ipsec esp/transport//require;";

#[test]
fn overlapping_policies_follow_the_order_of_the_file() {
    for dialect in DIALECTS {
        let of = |old: &[&str], new: &[&str]| steps(dialect, &old.concat(), &format!("spdflush;{}", new.concat()));
        let put = |selector: &str| format!("spdupdate out {selector}\n");
        // Linux keeps the place of a policy.
        let moved = |selector: &str| match dialect {
            Dialect::Linux => format!("set aside out {selector}\n{}", put(selector)),
            _ => put(selector),
        };
        let (host, network) = ("10.1.1.1/32 10.2.0.0/16 any", "10.1.0.0/16 10.2.0.0/16 any");
        let exception = "10.1.0.0/16 10.2.0.0/16 17";
        // A new policy that overlaps no others does not move them.
        let other = put("10.9.0.0/16 10.2.0.0/16 any");
        assert_eq!(of(&[HOST, NETWORK], &[OTHER, HOST, NETWORK]), other, "{dialect}");
        assert_eq!(of(&[HOST, NETWORK], &[HOST, NETWORK, OTHER]), other, "{dialect}");
        assert_eq!(of(&[NETWORK], &[HOST, NETWORK]), put(host) + &moved(network), "{dialect}");
        assert_eq!(of(&[NETWORK, HOST], &[HOST, NETWORK]), moved(network), "{dialect}");
        // The exception would apply first while the network's policy is moved.
        let steps = of(&[NETWORK, EXCEPTION], &[HOST, NETWORK, EXCEPTION]);
        let removed = format!("spddelete out {exception}\n--\n");
        assert_eq!(steps, format!("{removed}{}{}--\n{}", put(host), moved(network), put(exception)), "{dialect}");
    }
}

#[test]
fn pass_policies_are_removed_first() {
    let block = "spdadd 10.1.0.0/16 10.2.0.0/16 tcp -P out discard;";
    for dialect in DIALECTS {
        assert_eq!(
            steps(dialect, &[block, NETWORK, EXCEPTION].concat(), "spdflush;"),
            "spddelete out 10.1.0.0/16 10.2.0.0/16 17\n--\nspddelete out 10.1.0.0/16 10.2.0.0/16 any\n--\n\
             spddelete out 10.1.0.0/16 10.2.0.0/16 6\n",
            "{dialect}"
        );
    }
}

/// FreeBSD finds these SAs by their addresses, not by their SPI.
#[test]
fn tcp_md5_sas_of_freebsd_share_an_spi() {
    let file =
        "add 10.0.0.1 10.0.0.2 tcp 0x1000 -A tcp-md5 \"one\"; add 10.0.0.1 10.0.0.3 tcp 0x1000 -A tcp-md5 \"other\";\n";
    let mut kernel = Kernel::new(Dialect::FreeBsd);
    kernel.replace(file);
    assert_eq!(kernel.present().sas.len(), 2);
    assert_eq!(steps(Dialect::FreeBsd, file, file), "");
}
