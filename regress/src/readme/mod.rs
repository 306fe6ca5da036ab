//! README.md as a reader follows it: two hosts of the lab write its files and run its shell blocks, in order and
//! unchanged.
//!
//! `apt-get`, `cargo`, `systemctl` and `scp` are stubs. The first installs nothing, the second copies programs that are
//! already built, the third does what systemd would do with the installed units, and the last copies between folders.

mod blocks;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::mount::{MsFlags, mount};

use self::blocks::{Block, blocks};
use crate::lab::{Boot, Finished, Host, Link, Program, TIMEOUT, wait_until};
use crate::summary::Summary;
use crate::tree;

/// Addresses of the two hosts in README.md, starting with the host that the text addresses.
const ADDRESSES: [&str; 2] = ["192.0.2.1", "192.0.2.2"];

/// Programs that README.md uses and that are replaced in the lab.
const STUBS: [(&str, &str); 4] = [
    ("apt-get", "#!/bin/sh\n[ \"$1\" = install ]\n"),
    (
        "cargo",
        // The lab keeps files in memory, which is too small for two copies with debugging information.
        "#!/bin/sh\nset -e\ncase \"$*\" in\n'build --release')\n  mkdir -p target/release\n  \
         for name in setkey racoon racoonctl plainrsa-gen; do strip -o target/release/$name $PROGRAMS/$name; done\n  ;;\n\
         demo | regress) ;;\n*) exit 1 ;;\nesac\n",
    ),
    ("systemctl", include_str!("systemctl")),
    // The arguments are `-pr`, a folder, and the other host with a path. `/run/scp` is common to both hosts.
    ("scp", "#!/bin/sh\n[ $# = 3 ] && cp -pr \"$2\" \"/run/scp/${3##*/}\"\n"),
];

/// Folder of the stubs.
const STUB_DIRECTORY: &str = "/run/stubs";

/// Folder that takes the place of the source tree.
const SOURCE: &str = "/run/source";

/// A user other than root, and a group of that user.
const USER: u32 = 4711;
const GROUP: u32 = 4712;

/// Boots the lab and runs README.md in it.
pub(crate) fn check() -> Result<Summary> {
    let programs = tree::target().join("debug");
    let programs = programs.to_str().context("the path of the programs is not text")?;
    Boot::regress(&["readme", programs])?.limit(Duration::from_secs(600)).run(&mut std::io::stdout())?.check()?;
    Ok(Summary::PASSED)
}

/// Runs inside the lab.
pub(crate) fn run_in_lab(programs: &str) -> Result<()> {
    let text = fs::read_to_string(tree::root().join("README.md")).context("README.md")?;
    let link = Link::new("link")?;
    let hosts = [ReadmeHost::new("alice", 0, programs)?, ReadmeHost::new("bob", 1, programs)?];
    for host in &hosts {
        link.plug(&host.namespace, "eth0", &[&format!("{}/24", ADDRESSES[host.number])])?;
        host.prepare()?;
    }
    for block in blocks(&text) {
        match &block {
            Block::File { line, path, text } => {
                println!("README.md:{line}: {path}");
                for host in &hosts {
                    host.write(path, &host.adapt(path, text))?;
                }
            }
            Block::Shell { line, text, on_both } => {
                for host in hosts.iter().take(if *on_both { 2 } else { 1 }) {
                    host.shell(&format!("README.md:{line}"), text)?;
                }
                check_after(&hosts, text).with_context(|| format!("after README.md:{line}"))?;
            }
        }
    }
    Ok(())
}

/// Checks what the text promises about a block that has run.
fn check_after(hosts: &[ReadmeHost; 2], commands: &str) -> Result<()> {
    let [alice, bob] = hosts;
    if commands.contains("\nscp ") {
        bob.shell("scp", "cp -pr /run/scp/certs /etc/racoon/certs\n")?;
    } else if commands.contains("racoonctl show-sa") {
        for host in hosts {
            host.wait_for_sas()?;
        }
    } else if commands.starts_with("kill ") {
        for host in hosts {
            let gone = || !host.exists("/var/run/racoon.pid");
            ensure!(wait_until(TIMEOUT, gone, || Ok(()))?, "{}: racoon does not exit", host.namespace.name());
            host.wait_for_empty()?;
        }
    } else if commands.contains("systemctl enable") {
        ensure!(alice.ping()?.contains(" received"), "no answer with systemd units");
        for host in hosts {
            host.wait_for_sas()?;
        }
        alice.shell("reload", "systemctl reload setkey\nsystemctl reload racoon\n")?;
        alice.wait_for_sas().context("a reload of the same files")?;
        alice.check_group_access()?;
    } else if commands.contains("systemctl disable") {
        for host in hosts {
            host.wait_for_empty()?;
        }
    } else if commands.ends_with("setkey -f /etc/ipsec.conf\n") && commands.starts_with("chmod 600 /etc/ipsec.conf") {
        let pings = alice.ping()?;
        ensure!(pings.contains(" 0% packet loss"), "with keys from a file: {pings}");
    }
    Ok(())
}

/// One of the two hosts.
struct ReadmeHost {
    namespace: Host,
    number: usize,
    programs: String,
}

impl ReadmeHost {
    fn new(name: &str, number: usize, programs: &str) -> Result<Self> {
        Ok(Self { namespace: Host::new(name)?, number, programs: programs.to_owned() })
    }

    /// Gives the host what a separate machine has: folders to install to, a log, a run directory, and an empty source
    /// tree.
    fn prepare(&self) -> Result<()> {
        let name = self.namespace.name().to_owned();
        self.namespace.enter(move || prepare(&name))?.with_context(|| self.namespace.name().to_owned())
    }

    /// Adapts a file to this host.
    fn adapt(&self, path: &str, text: &str) -> String {
        if self.number == 0 {
            text.to_owned()
        } else if path == "/etc/ipsec.conf" && text.contains("\nadd ") {
            swapped(text, [" -P out ", " -P in "])
        } else {
            swapped(text, ADDRESSES)
        }
    }

    fn write(&self, path: &str, text: &str) -> Result<()> {
        let (file, text) = (path.to_owned(), text.to_owned());
        self.namespace.enter(move || fs::write(file, text))?.with_context(|| path.to_owned())
    }

    fn exists(&self, path: &str) -> bool {
        let path = path.to_owned();
        self.namespace.enter(move || Path::new(&path).exists()).unwrap_or(false)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<Finished> {
        let path = format!("{STUB_DIRECTORY}:{}", std::env::var("PATH").unwrap_or_default());
        let program = Program::new(program, arguments).dir(SOURCE).env("PATH", &path).env("PROGRAMS", &self.programs);
        self.namespace.run(program)
    }

    /// Runs commands. None may fail or write to standard error.
    fn shell(&self, place: &str, commands: &str) -> Result<String> {
        let name = self.namespace.name();
        println!("{place}: {name}:\n{}", commands.trim_end());
        let done = self.run("sh", &["-e", "-c", commands])?;
        print!("{}", done.text());
        ensure!(done.success(), "{place}: {name}: the commands ended with {}", done.exit);
        // openssl reports its progress there.
        let is_silent = done.stderr.is_empty() || commands.contains("openssl req");
        ensure!(is_silent, "{place}: {name}: the commands wrote to standard error");
        Ok(done.text())
    }

    fn ping(&self) -> Result<String> {
        // The first packets may be lost during the negotiation.
        Ok(self.run("ping", &["-n", "-c", "3", "-W", "5", ADDRESSES[1 - self.number]])?.text())
    }

    fn wait_for_sas(&self) -> Result<()> {
        let sas = || self.run("setkey", &["-D"]).map(|done| done.text()).unwrap_or_default();
        let two = || sas().matches("state=mature").count() == 2;
        ensure!(wait_until(TIMEOUT, two, || Ok(()))?, "{}: not two SAs: {}", self.namespace.name(), sas());
        let peers = self.run("racoonctl", &["show-sa", "isakmp"])?.text();
        ensure!(peers.contains(ADDRESSES[1 - self.number]), "{}: no peer: {peers}", self.namespace.name());
        let policies = self.run("setkey", &["-DPN"])?.text();
        ensure!(policies.starts_with("192.0.2."), "{}: unexpected start of -DPN: {policies}", self.namespace.name());
        Ok(())
    }

    fn wait_for_empty(&self) -> Result<()> {
        for (option, expected) in [("-D", "No SAD entries.\n"), ("-DP", "No SPD entries.\n")] {
            let table = || self.run("setkey", &[option]).map(|done| done.text()).unwrap_or_default();
            let empty = wait_until(TIMEOUT, || table() == expected, || Ok(()))?;
            ensure!(empty, "{}: setkey {option}: {}", self.namespace.name(), table());
        }
        Ok(())
    }

    /// `racoonctl` must work for a member of the group of `adminsock`, under the systemd unit and in racoon's own
    /// directory.
    fn check_group_access(&self) -> Result<()> {
        let path = "/etc/racoon/racoon.conf";
        let conf = self.run("cat", &[path])?.text();
        let listen = format!("listen {{ adminsock \"/var/run/racoon/racoon.sock\" \"root\" \"{GROUP}\" 0660; }}\n");
        self.write(path, &(conf.clone() + &listen))?;
        self.shell("adminsock", "systemctl disable --now racoon\nsystemctl enable --now racoon\n")?;
        for (group, works) in [(GROUP, true), (USER, false)] {
            let ids = [format!("--reuid={USER}"), format!("--regid={group}")];
            let words = [&ids[0], &ids[1], "--clear-groups", "racoonctl", "show-sa", "isakmp"];
            let done = self.run("setpriv", &words)?;
            ensure!(done.success() == works, "racoonctl as group {group}: {}", done.text());
            let list = self.run("setpriv", &[&ids[0], &ids[1], "--clear-groups", "ls", "/var/run/racoon"])?;
            ensure!(!list.success(), "group {group} can list the run directory");
        }
        self.write(path, &conf)
    }
}

/// Exchanges two words in a text.
fn swapped(text: &str, [one, other]: [&str; 2]) -> String {
    text.split(one).map(|part| part.replace(other, one)).collect::<Vec<_>>().join(other)
}

fn prepare(name: &str) -> Result<()> {
    let none = None::<&str>;
    // A run directory of its own, since the hosts share `/run`. What the lab keeps there remains, and a folder
    // that the hosts share.
    let own = Path::new("/run").join(name).join("run");
    for kept in ["etc", "lab", "scp"] {
        let (from, to) = (Path::new("/run").join(kept), own.join(kept));
        fs::create_dir_all(&from)?;
        fs::create_dir_all(&to)?;
        mount(Some(&from), &to, none, MsFlags::MS_BIND, none).context("bind")?;
    }
    // A writable `/usr` to install to.
    let layers = ["upper", "work"].map(|layer| Path::new("/run").join(name).join(layer));
    layers.iter().try_for_each(fs::create_dir_all)?;
    let [upper, work] = layers.each_ref().map(|layer| layer.display());
    let options = format!("lowerdir=/usr,upperdir={upper},workdir={work}");
    mount(Some("overlay"), "/usr", Some("overlay"), MsFlags::empty(), Some(options.as_str())).context("/usr")?;
    // Recursively, to include the mounts below it.
    mount(Some(&own), "/run", none, MsFlags::MS_BIND | MsFlags::MS_REC, none).context("/run")?;
    for folder in ["/var/log", "/root"] {
        mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), none).context(folder)?;
    }
    // The lab's `/etc` links to the machine's folder for systemd.
    let _ = fs::remove_file("/etc/systemd");
    fs::create_dir_all("/etc/systemd/system")?;
    fs::create_dir(SOURCE)?;
    for part in ["man", "ipsec-conf", "racoon"] {
        symlink(tree::root().join(part), Path::new(SOURCE).join(part))?;
    }
    fs::create_dir(STUB_DIRECTORY)?;
    for (name, text) in STUBS {
        let path = Path::new(STUB_DIRECTORY).join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    }
    if !Path::new("/var/run").exists() {
        bail!("/var/run does not exist");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_swapped() {
        assert_eq!(swapped("a b ab", ["a", "b"]), "b a ba");
        assert_eq!(swapped("x -P out y -P in z", [" -P out ", " -P in "]), "x -P in y -P out z");
    }
}
