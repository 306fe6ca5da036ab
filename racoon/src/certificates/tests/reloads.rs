//! Files that change while they are in use.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use racoon_proto::credentials::CertificateProblem;

use super::pki::{DAY, Template, list, publish, root, trust, write};
use super::*;

#[test]
fn a_new_revocation_list_takes_effect() {
    let ca = root("CA");
    let host = Host::new();
    trust(host.path(), &ca);
    publish(host.path(), &ca, &list(&ca, &[], (-DAY, DAY)));
    let reported = Arc::new(Mutex::new(Vec::new()));
    let config = host.load("").config.unwrap();
    let later = Arc::clone(&reported);
    let report: super::super::Report = Arc::new(move |fault| later.lock().unwrap().push(fault));
    let (snapshot, warnings) = Snapshot::load(&config, &Files::default(), &report).unwrap();
    assert_eq!(warnings, [""; 0]);
    let peer = by_subject(&Template { serial: 7, ..Template::default() }.issued_by(&ca), &[]);
    assert!(snapshot.verify(&peer).is_ok());

    publish(host.path(), &ca, &list(&ca, &[7], (-DAY, DAY)));
    let revoked = snapshot.verify(&peer).unwrap_err();
    assert!(matches!(revoked, PeerProblem::Certificate(CertificateProblem::Revoked { .. })), "{revoked:?}");

    // A list that cannot be read leaves the old one in use, and is reported once.
    let name = format!("{:08x}.r0", ca.certificate.subject_name_hash());
    write(host.path(), &name, "-----BEGIN X509 CRL-----\n", 0o644);
    for _ in 0..3 {
        assert_eq!(snapshot.verify(&peer), Err(revoked.clone()));
    }
    let faults = std::mem::take(&mut *reported.lock().unwrap());
    let [fault] = faults.as_slice() else { panic!("{faults:?}") };
    assert!(fault.contains(&name) && fault.ends_with("its old contents stay in use"), "{fault}");

    // A new start with it is refused: ignored lists would let revoked peers pass.
    let errors = host.snapshot("").err().unwrap();
    assert!(errors.iter().all(|error| error.contains(&name)), "{errors:?}");

    publish(host.path(), &ca, &list(&ca, &[], (-DAY, DAY)));
    assert!(snapshot.verify(&peer).is_ok());
    assert_eq!(reported.lock().unwrap().len(), 0);
}

#[test]
fn an_unchanged_store_is_built_once() {
    let ca = root("CA");
    let host = Host::new();
    trust(host.path(), &ca);
    let snapshot = host.snapshot("").unwrap();
    let authorities = snapshot.authorities(None, false).unwrap();
    // As long as another change might leave the timestamps the same, it is built each time.
    assert!(!Arc::ptr_eq(&authorities.store(), &authorities.store()));
    thread::sleep(Duration::from_millis(3100));
    let first = authorities.store();
    assert!(Arc::ptr_eq(&first, &authorities.store()));
    trust(host.path(), &root("other"));
    let second = authorities.store();
    assert!(!Arc::ptr_eq(&first, &second));
    assert_eq!((first.certificates().count(), second.certificates().count()), (1, 2));
}

#[test]
fn names_in_a_hashed_directory() {
    let ca = root("CA");
    let host = Host::new();
    let pem = ca.certificate.to_pem().unwrap();
    for name in ["00000000.0", "ca.pem", "0000000.0", "00000000.x0", "00000000.r"] {
        write(host.path(), name, &pem, 0o644);
    }
    let config = host.load("").config.unwrap();
    let (snapshot, warnings) = Snapshot::load(&config, &Files::default(), &no_report()).unwrap();
    let why = "its name is not the hash of its subject, so it is not trusted: run `openssl rehash'";
    assert_eq!(warnings, [format!("{}/00000000.0: {why}", host.path().display())]);
    assert_eq!(snapshot.authorities(None, false).unwrap().store().certificates().count(), 0);
}
