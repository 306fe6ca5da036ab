//! Loading scripts at boot.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use libpfkey::Dialect;
use regress_skipped::skip;
use tempfile::TempDir;

use crate::program::Ended;
use crate::server::Server;

/// Files of strongSwan and libreswan.
const STRONGSWAN: &str = "# a comment\n\nconfig setup\n\tcharondebug=\"ike 1\"\nconn west\n\tright=192.0.2.2\n";
const LIBRESWAN: &str = "version 2.0\ninclude /etc/ipsec.d/*.conf\n";

fn boot(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ipsec-conf/boot").join(name)
}

/// A host with an `/etc` and a kernel.
struct Host {
    directory: TempDir,
    kernel: Server,
}

impl Host {
    fn new(files: &[(&str, &str)]) -> Self {
        let host = Self { directory: tempfile::tempdir().unwrap(), kernel: Server::new(Dialect::Linux) };
        fs::create_dir(host.path("ipsec-tools.d")).unwrap();
        let options = host.kernel.options().join(" ");
        let program = format!("#!/bin/sh\nexec {} {options} \"$@\"\n", env!("CARGO_BIN_EXE_setkey"));
        host.write("setkey", &program);
        fs::set_permissions(host.path("setkey"), Permissions::from_mode(0o755)).unwrap();
        files.iter().for_each(|(name, text)| host.write(name, text));
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Runs the loader. The `/etc` is `ETC` in what it says.
    fn load(&self, verb: &str) -> Ended {
        let mut command = Command::new("sh");
        command.arg(boot("systemd/setkey-load")).arg(verb);
        command.env("SETKEY_LOAD_ETC", self.directory.path()).env("SETKEY_LOAD_SETKEY", self.path("setkey"));
        command.env_remove("LIBPFKEY_BACKEND").env_remove("LIBPFKEY_DIALECT");
        let output = command.output().unwrap();
        let etc = self.directory.path().to_str().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(etc, "ETC");
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Returns the SPIs of its SAs, in order.
    fn spis(&self) -> Vec<u32> {
        let dump = self.kernel.setkey(&["-D"]).stdout;
        let spis = dump.lines().filter_map(|line| line.split_once("spi=")?.1.split_once('(')?.0.parse().ok());
        let mut spis: Vec<u32> = spis.collect();
        spis.sort_unstable();
        spis
    }
}

/// A script that flushes and adds an SA.
fn script(spi: u32) -> String {
    format!("flush;\nspdflush;\nadd 192.0.2.1 192.0.2.2 esp {spi} -E null;\n")
}

#[test]
fn scripts_are_shell() {
    for name in ["freebsd/ipsec", "netbsd/ipsec", "systemd/setkey-load"] {
        let output = Command::new("sh").arg("-n").arg(boot(name)).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{name}: {output:?}");
        let mode = fs::metadata(boot(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{name}");
    }
}

#[test]
fn files_in_the_order_of_debian() {
    let one = script(0x1000);
    let host = Host::new(&[
        ("ipsec.conf", &one),
        ("ipsec-tools.d/20-b.conf", &one),
        ("ipsec-tools.d/10 a.conf", &one),
        ("ipsec-tools.d/B.conf", &one),
        ("ipsec-tools.d/empty.conf", ""),
        ("ipsec-tools.d/30.conf.dpkg-old", &one),
        ("ipsec-tools.d/40.conf~", &one),
        ("ipsec-tools.conf", &one),
    ]);
    let expected = "ETC/ipsec-tools.conf\nETC/ipsec-tools.d/10 a.conf\nETC/ipsec-tools.d/20-b.conf\n\
                    ETC/ipsec-tools.d/B.conf\nETC/ipsec.conf\n";
    assert_eq!(host.load("list").all(), (Some(0), expected, ""));
    assert_eq!(host.load("frob").all(), (Some(2), "", "usage: setkey-load list | check | start | reload\n"));
}

/// As Debian ships it. The unit would have no purpose, and stopping it would flush the SAs of another IKE daemon.
#[test]
fn file_of_comments_is_skipped() {
    let host =
        Host::new(&[("ipsec-tools.conf", "#!/usr/sbin/setkey -f\n\n# flush;\n # spdflush;\n"), ("ipsec.conf", "\n")]);
    host.kernel.load(&script(0x1999));
    for verb in ["list", "check", "start", "reload"] {
        let ended = host.load(verb);
        assert_eq!(ended.code, Some(1), "{verb}: {ended:?}");
        assert!(ended.stderr.starts_with("setkey-load: nothing to load: "), "{verb}: {ended:?}");
    }
    assert_eq!(host.spis(), [0x1999]);
    host.write("ipsec-tools.d/a.conf", &script(0x1001));
    assert_eq!(host.load("list").all(), (Some(0), "ETC/ipsec-tools.d/a.conf\n", ""));
}

#[test]
fn ipsec_conf_of_an_ike_daemon_is_skipped() {
    let nothing = "setkey-load: nothing to load: there is no setkey script in ETC/ipsec-tools.conf, \
                   ETC/ipsec-tools.d/*.conf or ETC/ipsec.conf\n";
    let skipped =
        "setkey-load: skipping ETC/ipsec.conf: it is a file of strongSwan or libreswan, not a setkey script\n";
    let marked = format!("\u{feff}{STRONGSWAN}");
    for text in [STRONGSWAN, &marked, LIBRESWAN, "config\tsetup\r\n", "  conn a\n", "ca x\n", "\tinclude x\n"] {
        let host = Host::new(&[("ipsec.conf", text)]);
        host.kernel.load(&script(0x1999));
        for verb in ["list", "check", "start", "reload"] {
            assert_eq!(host.load(verb).all(), (Some(1), "", format!("{skipped}{nothing}").as_str()), "{verb}: {text}");
        }
        host.write("ipsec-tools.conf", &script(0x1001));
        assert_eq!(host.load("list").all(), (Some(0), "ETC/ipsec-tools.conf\n", ""), "said by what follows");
        assert_eq!(host.load("start").all(), (Some(0), "", skipped), "{text}");
        assert_eq!(host.spis(), [0x1001]);
    }
    assert_eq!(Host::new(&[]).load("list").all(), (Some(1), "", nothing));
    // A setkey script with an error is not taken for a file of another program.
    for text in ["connect;\n", "# config setup\nfrob;\n", "version;\n"] {
        let host = Host::new(&[("ipsec.conf", text)]);
        assert_eq!(host.load("list").all(), (Some(0), "ETC/ipsec.conf\n", ""), "{text}");
        for verb in ["check", "start", "reload"] {
            let ended = host.load(verb);
            assert_eq!(ended.code, Some(1), "{verb}: {text}");
            assert!(ended.stderr.contains("syntax error"), "{verb}: {ended:?}");
        }
    }
}

#[test]
fn flush_applies_to_all_files() {
    let files = [("ipsec-tools.conf", script(0x1001)), ("ipsec-tools.d/a.conf", script(0x1002))];
    let host = Host::new(&files.each_ref().map(|(name, text)| (*name, text.as_str())));
    host.kernel.load(&script(0x1999));
    assert_eq!(host.load("start").all(), (Some(0), "", ""));
    assert_eq!(host.spis(), [0x1001, 0x1002], "what was there before is gone, and nothing else");
    host.write("ipsec.conf", &script(0x1003));
    assert_eq!(host.load("reload").all(), (Some(0), "", ""));
    assert_eq!(host.spis(), [0x1001, 0x1002, 0x1003]);
    // An error changes nothing.
    host.write("ipsec-tools.d/b.conf", "flush; frob;\n");
    let ended = host.load("reload");
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("ETC/ipsec-tools.d/b.conf,1: syntax error at `frob'"), "{ended:?}");
    assert_eq!(host.spis(), [0x1001, 0x1002, 0x1003]);
    let check = host.load("check");
    assert_eq!(check.code, Some(1));
    assert!(check.stderr.contains("ETC/ipsec-tools.d/b.conf: 1 error"), "{check:?}");
}

/// At boot, partial protection is better than none.
#[test]
fn start_loads_as_much_as_possible() {
    let broken = format!("{}frob;\nadd 192.0.2.1 192.0.2.2 esp 0x1888 -E null;\n", script(0x1001));
    let (second, third) =
        (format!("# one\n flush; {}", script(0x1002)), script(0x1003).replacen("flush;", "flush  esp ;", 1));
    let host = Host::new(&[
        ("ipsec-tools.conf", &broken),
        ("ipsec-tools.d/a.conf", &second),
        ("ipsec-tools.d/b.conf", &third),
    ]);
    let ended = host.load("start");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(host.spis(), [0x1001, 0x1002, 0x1003]);
    assert!(ended.stderr.contains("loading as much as possible\nsetkey-load: loading ETC/ipsec-tools.conf\n"));
    // Statements that only --replace refuses do not fail a start.
    let host = Host::new(&[("ipsec.conf", "add 192.0.2.1 192.0.2.2 esp 0x1004 -E null; spddump;")]);
    assert_eq!((host.load("reload").code, host.spis()), (Some(1), vec![]));
    assert_eq!(host.load("start").code, Some(1), "a table that is empty is a failure of -e");
    assert_eq!(host.spis(), [0x1004]);
}

#[test]
fn unit_conditions_match_the_files() {
    let unit = fs::read_to_string(boot("systemd/setkey.service")).unwrap();
    for line in [
        "ConditionFileNotEmpty=|/etc/ipsec-tools.conf",
        "ConditionPathExistsGlob=|/etc/ipsec-tools.d/*.conf",
        "ConditionFileNotEmpty=|/etc/ipsec.conf",
        "ExecCondition=/usr/libexec/setkey-load list",
        "ExecStart=/usr/libexec/setkey-load start",
        "ExecReload=/usr/libexec/setkey-load reload",
        "ExecStop=/usr/sbin/setkey -F",
        "ExecStop=/usr/sbin/setkey -FP",
    ] {
        assert!(unit.lines().any(|other| other == line), "{line}");
    }
    assert_eq!(unit.lines().filter(|line| line.starts_with("Exec") || line.starts_with("Condition")).count(), 8);
    // Where systemd is installed, it accepts the unit.
    let directory = tempfile::tempdir().unwrap();
    let own = unit.lines().filter(|line| !line.starts_with("Documentation="));
    let own = own.map(|line| format!("{line}\n")).collect::<String>();
    let own = own.replace("/usr/libexec/setkey-load", "/bin/true").replace("/usr/sbin/setkey", "/bin/true");
    let path = directory.path().join("setkey.service");
    fs::write(&path, own).unwrap();
    let Ok(output) = Command::new("systemd-analyze").arg("verify").arg(&path).output() else {
        return skip("there is no systemd-analyze");
    };
    // It also checks other units of the system.
    let faults = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(faults.lines().filter(|line| line.contains("setkey")).collect::<Vec<_>>(), [""; 0]);
}
