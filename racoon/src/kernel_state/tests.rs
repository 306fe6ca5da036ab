use std::os::unix::fs::symlink;

use libpfkey::kernel_state::ListedSa;
use libpfkey::{Mode, SaId, SaType};
use tempfile::TempDir;

use super::*;

fn id(boot: &str) -> KernelId {
    KernelId { boot: boot.into(), namespace: "1".into() }
}

fn sa(spi: u32) -> SaId {
    SaId::new(SaType::Esp, [192, 0, 2, 1].into(), [192, 0, 2, 2].into(), spi)
}

fn request(spi: u32) -> Record {
    Record::SaRequest(ListedSa { id: sa(spi), mode: Mode::Tunnel, reqid: 7, requested: 1000, confirmed: None })
}

struct Fixture {
    directory: TempDir,
    warnings: Vec<String>,
}

impl Fixture {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), warnings: Vec::new() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("racoon/kernel.state")
    }

    fn open(&mut self, boot: &str) -> io::Result<StateLog> {
        StateLog::open(&self.path(), id(boot), &mut |warning| self.warnings.push(warning))
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn entries_survive_a_crash_but_not_a_reboot() {
    let mut fixture = Fixture::new();
    let mut log = fixture.open("a").unwrap();
    log.record(request(0x100)).unwrap();
    log.record(Record::SaPresent(sa(0x100), 1001)).unwrap();
    log.record(request(0x200)).unwrap();
    log.record(request(0x300)).unwrap();
    log.record(Record::SaGone(sa(0x300))).unwrap();
    log.record(Record::SaGone(sa(0x400))).unwrap();
    let text = "racoon-kernel-state 1 boot=a namespace=1\n\
                sa request esp 192.0.2.1 192.0.2.2 0x00000100 tunnel 7 1000\n\
                sa present esp 192.0.2.1 192.0.2.2 0x00000100 1001\n\
                sa request esp 192.0.2.1 192.0.2.2 0x00000200 tunnel 7 1000\n\
                sa request esp 192.0.2.1 192.0.2.2 0x00000300 tunnel 7 1000\n\
                sa gone esp 192.0.2.1 192.0.2.2 0x00000300\n";
    assert_eq!(fixture.text(), text);
    assert_eq!((mode(&fixture.path()), mode(fixture.path().parent().unwrap())), (0o600, 0o710));
    let state = log.state().clone();
    drop(log);
    let log = fixture.open("a").unwrap();
    assert_eq!((log.state(), fixture.text().as_str()), (&state, text));
    log.remove_if_empty();
    assert!(fixture.path().exists(), "two SAs are listed");

    let log = fixture.open("b").unwrap();
    assert_eq!(log.state(), &KernelState::default());
    assert_eq!(fixture.text(), "racoon-kernel-state 1 boot=b namespace=1\n");
    log.remove_if_empty();
    assert!(!fixture.path().exists());
    assert_eq!(fixture.warnings, [""; 0]);
}

#[test]
fn bad_lines_are_reported_and_removed() {
    let mut fixture = Fixture::new();
    fixture.open("a").unwrap().record(request(0x100)).unwrap();
    let whole = fixture.text();
    fs::write(fixture.path(), format!("{whole}flush;\nsa request esp 192.0.2.1 192.0.2.2 0x000002")).unwrap();
    let log = fixture.open("a").unwrap();
    assert_eq!(log.state().sas.len(), 1);
    let name = fixture.path().display().to_string();
    let told = [format!("{name}: skipped line 3: not a record"), format!("{name}: skipped line 4: cut off")];
    assert_eq!(std::mem::take(&mut fixture.warnings), told);
    assert_eq!(fixture.text(), whole);
    drop(log);

    fs::write(fixture.path(), whole.clone() + &"?\n".repeat(100)).unwrap();
    drop(fixture.open("a").unwrap());
    assert_eq!(fixture.warnings.len(), 17);
    assert_eq!(fixture.warnings.pop().unwrap(), format!("{name}: skipped 84 more lines"));
    fixture.warnings.clear();
    for (text, reason) in [
        ("spdflush;\n", "line 1: expected `racoon-kernel-state VERSION boot=ID namespace=ID'"),
        ("racoon-kernel-state 9 x\n", "line 1: format version 9, expected 1"),
    ] {
        fs::write(fixture.path(), text).unwrap();
        assert_eq!(fixture.open("a").unwrap().state(), &KernelState::default());
        let told = fixture.warnings.pop().unwrap();
        assert_eq!(told, format!("{name}: {reason}; ignoring its entries and starting a new list"));
        assert_eq!(fixture.text(), "racoon-kernel-state 1 boot=a namespace=1\n");
    }
}

/// The file stays within a few lines per entry however long it is used, and loses nothing.
#[test]
fn the_file_stays_small() {
    let mut fixture = Fixture::new();
    let mut log = fixture.open("a").unwrap();
    log.record(request(0x100)).unwrap();
    log.record(Record::SaPresent(sa(0x100), 1001)).unwrap();
    for spi in 0x1000..0x2000 {
        log.record(request(spi)).unwrap();
        log.record(Record::SaGone(sa(spi))).unwrap();
        assert!(fixture.text().lines().count() <= LINES_MIN + 1);
    }
    // The replacement of a file is locked too.
    assert_eq!(fixture.open("a").unwrap_err().kind(), ErrorKind::ResourceBusy);
    let state = log.state().clone();
    drop(log);
    assert_eq!(fixture.open("a").unwrap().state(), &state);
    assert_eq!(state.sas[&sa(0x100)].confirmed, Some(1001));
    assert_eq!(fs::read_dir(fixture.path().parent().unwrap()).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn locked_file_is_refused() {
    let mut fixture = Fixture::new();
    let log = fixture.open("a").unwrap();
    let error = fixture.open("a").unwrap_err();
    assert_eq!(error.to_string(), format!("{}: another racoon uses it", fixture.path().display()));
    drop(log);
    fixture.open("a").unwrap();
}

#[test]
fn unsafe_files_are_refused() {
    let mut fixture = Fixture::new();
    let victim = fixture.directory.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    fs::create_dir(fixture.path().parent().unwrap()).unwrap();
    symlink(&victim, fixture.path()).unwrap();
    assert!(fixture.open("a").unwrap_err().to_string().starts_with(&fixture.path().display().to_string()));
    fs::remove_file(fixture.path()).unwrap();
    fs::write(fixture.path(), "precious").unwrap();
    fs::set_permissions(fixture.path(), Permissions::from_mode(0o622)).unwrap();
    assert_eq!(fixture.open("a").unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!((fixture.text().as_str(), fs::read_to_string(&victim).unwrap().as_str()), ("precious", "precious"));
    // A link in fixture of the new file is removed, not followed.
    fs::set_permissions(fixture.path(), Permissions::from_mode(0o644)).unwrap();
    symlink(&victim, fixture.path().with_extension("state.new")).unwrap();
    fixture.open("a").unwrap();
    assert_eq!((fs::read_to_string(&victim).unwrap().as_str(), mode(&fixture.path())), ("precious", 0o600));
    let mut nowhere = Fixture::new();
    fs::write(nowhere.directory.path().join("racoon"), "").unwrap();
    assert!(nowhere.open("a").is_err());
}
