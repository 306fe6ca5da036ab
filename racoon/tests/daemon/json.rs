//! `racoonctl --json` with a kernel that has SAs.

use libpfkey::algorithm::{Authentication, Compression, Encryption};
use libpfkey::backend::BackendKind;
use libpfkey::json::SCHEMA;
use libpfkey::{Dialect, Kernel, SaSpec};
use serde_json::Value;

use crate::Site;
use crate::kernel::Kernel as Served;

const CIPHER_KEY: &[u8] = b"sixteen byte key";
const HASH_KEY: &[u8] = b"key of twenty octets";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Adds an SA of each protocol.
fn add_sas(site: &Site, dialect: Dialect) {
    let mut kernel = Kernel::open_kind(&BackendKind::Socket(site.path("kernel")), Some(dialect)).unwrap();
    let (source, destination) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
    let esp = SaSpec::esp(source, destination, 0x1001).encryption(Encryption::AesCbc, CIPHER_KEY);
    kernel.add(&esp.authentication(Authentication::HmacSha1, HASH_KEY).build().unwrap()).unwrap();
    let ah = SaSpec::ah(source, destination, 0x1002).authentication(Authentication::HmacSha1, HASH_KEY);
    kernel.add(&ah.build().unwrap()).unwrap();
    let ipcomp = SaSpec::ipcomp(source, destination, 0x103).compression(Compression::Deflate);
    kernel.add(&ipcomp.build().unwrap()).unwrap();
}

#[test]
fn sas_have_the_format_of_setkey() {
    let schema =
        jsonschema::options().should_validate_formats(true).build(&serde_json::from_str(SCHEMA).unwrap()).unwrap();
    for dialect in Dialect::ALL {
        let site = Site::new();
        let _served = Served::serve(&site, dialect);
        site.configure_on("socket \"DIR/kernel\"", "");
        let _daemon = site.start_with(&[("LIBPFKEY_DIALECT", dialect.name())], &[]);
        let json = |arguments: &[&str]| {
            let ran = site.ctl(&[&["--json"], arguments].concat());
            assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{dialect}");
            let document = serde_json::from_str::<Value>(&ran.stdout).unwrap();
            assert!(schema.is_valid(&document), "{:?}", schema.validate(&document));
            ran.stdout
        };
        assert_eq!(json(&["show-sa", "ipsec"]), "{\"version\":1,\"sas\":[]}\n");

        add_sas(&site, dialect);
        let all = json(&["show-sa", "ipsec"]);
        assert_eq!(all.lines().count(), 5, "{all}");
        for protocol in ["esp", "ah", "ipcomp"] {
            assert_eq!(all.matches(&format!("\"protocol\":\"{protocol}\"")).count(), 1, "{all}");
        }
        for table in ["esp", "ah"] {
            let entries = json(&["ss", table]);
            assert_eq!(entries.lines().count(), 3, "{entries}");
            assert!(entries.contains(&format!("\"protocol\":\"{table}\"")), "{entries}");
        }
        let keys = [CIPHER_KEY, HASH_KEY, HASH_KEY].map(|key| format!("\"key\":\"{}\"", hex(key)));
        assert!(!keys.iter().any(|key| all.contains(key)), "{all}");
        let with_keys = json(&["--keys", "show-sa", "ipsec"]);
        assert_eq!(with_keys.matches("\"key\":").count(), 3);
        assert!(keys.iter().all(|key| with_keys.contains(key)));
        let without = keys.iter().fold(with_keys, |text, key| text.replace(&format!(",{key}"), ""));
        assert_eq!(without, all);
    }
}

#[test]
fn phase_1s_have_no_json() {
    let site = Site::new();
    let ran = site.ctl(&["--json", "show-sa", "isakmp"]);
    let text = "racoonctl: show-sa isakmp has no JSON form yet; --json goes with esp, ah and ipsec\n";
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (Some(1), "", text));
}
