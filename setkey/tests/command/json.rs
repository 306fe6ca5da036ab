//! `--json`

use std::collections::BTreeSet;
use std::path::Path;

use jsonschema::Validator;
use libpfkey::Dialect;
use serde_json::{Value, json};

use crate::program::{Scratch, setkey};
use crate::server::Server;

/// The entries of a listing.
fn parsed(server: &Server, arguments: &[&str]) -> Vec<Value> {
    let ended = server.setkey(arguments);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    let all: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(all["version"], 1, "{all}");
    let table = if arguments.contains(&"-DP") { "policies" } else { "sas" };
    all[table].as_array().unwrap().clone()
}

#[test]
fn empty_table_is_an_empty_array() {
    let server = Server::new(Dialect::Linux);
    assert_eq!(server.setkey(&["--json", "-D"]).stdout, "{\"version\":1,\"sas\":[]}\n");
    assert_eq!(server.setkey(&["--json", "-DP"]).stdout, "{\"version\":1,\"policies\":[]}\n");
    assert_eq!(parsed(&server, &["--json", "-D"]), Vec::<Value>::new());
    assert_eq!(parsed(&server, &["--json", "-DP"]), Vec::<Value>::new());
}

#[test]
fn sas_without_and_with_keys() {
    for dialect in Dialect::ALL {
        let server = Server::new(dialect);
        server.load(
            "add 10.0.0.1 10.0.0.2 esp 0x1001 -m tunnel -u 9 -lh 600 -ls 480 -E aes-cbc \"sixteen byte key\" \
             -A hmac-sha1 0x000102030405060708090a0b0c0d0e0f10111213;\n\
             add ::1 ::2 ipcomp 0x1002 -C deflate;",
        );
        let all = parsed(&server, &["--json", "-D"]);
        assert_eq!(all.len(), 2);
        let esp = all.iter().find(|sa| sa["protocol"] == "esp").unwrap();
        assert_eq!(esp["source"], json!({"address": "10.0.0.1", "prefix": 32, "port": 0}));
        assert_eq!((&esp["spi"], &esp["mode"], &esp["reqid"]), (&json!(0x1001), &json!("tunnel"), &json!(9)));
        assert_eq!((&esp["state"], &esp["hard"]["add_seconds"]), (&json!("mature"), &json!(600)));
        assert_eq!(esp["encryption"], json!({"name": "aes-cbc", "key_bits": 128}));
        assert_eq!(esp["authentication"], json!({"name": "hmac-sha1", "key_bits": 160}));
        let ipcomp = all.iter().find(|sa| sa["protocol"] == "ipcomp").unwrap();
        assert_eq!(ipcomp["compression"], "deflate");
        let all = parsed(&server, &["--json", "--keys", "-D"]);
        let esp = all.iter().find(|sa| sa["protocol"] == "esp").unwrap();
        assert_eq!(esp["encryption"]["key"], "7369787465656e2062797465206b6579");
        assert_eq!(esp["authentication"]["key"], "000102030405060708090a0b0c0d0e0f10111213");
    }
}

#[test]
fn policies() {
    for dialect in Dialect::ALL {
        let server = Server::new(dialect);
        server.load("spdadd 10.1.0.0/16 10.2.0.0/16[80] tcp -P out ipsec esp/tunnel/192.0.2.1-192.0.2.2/require;");
        let all = parsed(&server, &["--json", "-DP"]);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0]["destination"], json!({"address": "10.2.0.0", "prefix": 16, "port": 80}));
        assert_eq!((&all[0]["upper_layer"], &all[0]["socket_policy"]), (&json!("tcp"), &json!(false)));
        let policy = all[0]["policy"].as_str().unwrap();
        assert!(policy.starts_with("out ") && policy.ends_with("require"), "{policy}");
        assert_eq!(all[0].get("priority").is_some(), dialect.has_priority());
    }
}

#[test]
fn json_is_refused_with_other_modes() {
    let file = Scratch::file("flush;");
    for (options, other) in [
        (&["-F"][..], "-F"),
        (&["-x"], "-x"),
        (&["-c"], "-c"),
        (&["-f", file.as_str()], "-f"),
        (&["-f", "--replace", file.as_str()], "--replace"),
        (&["-lD"], "-l"),
        (&["--check", file.as_str()], "--check"),
        (&["--", file.as_str()], "files of messages"),
    ] {
        let ended = setkey(&[&["--backend", "memory", "--json"], options].concat());
        let expected = format!("setkey: --json goes with -D and -DP only, not with {other}\n");
        assert_eq!(ended.all(), (Some(1), "", expected.as_str()), "{options:?}");
    }
}

/// The schema as setkey prints it.
fn schema() -> Validator {
    let ended = setkey(&["--json-schema"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert_eq!(ended.stdout, libpfkey::json::SCHEMA);
    jsonschema::options().should_validate_formats(true).build(&serde_json::from_str(&ended.stdout).unwrap()).unwrap()
}

/// Validates a document and returns the names of all members of its entries.
fn members(document: &str, schema: &Validator) -> BTreeSet<String> {
    let parsed = serde_json::from_str::<Value>(document).unwrap();
    if let Err(error) = schema.validate(&parsed) {
        panic!("{error} at {}: {document}", error.instance_path());
    }
    let tables = parsed.as_object().unwrap().values().filter_map(Value::as_array);
    let entries = tables.flatten().filter_map(Value::as_object);
    entries.flat_map(|entry| entry.keys().cloned()).collect()
}

/// Validates both databases of a server, with and without keys.
fn validate(server: &Server, schema: &Validator) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for arguments in [&["--json", "-aD"][..], &["--json", "--keys", "-aD"], &["--json", "-DP"]] {
        let ended = server.setkey(arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        all.extend(members(&ended.stdout, schema));
        let has_keys = ended.stdout.contains("\"key_bits\":");
        assert_eq!(ended.stdout.contains("\"key\":"), has_keys && arguments.contains(&"--keys"));
    }
    all
}

#[test]
fn output_is_valid_in_every_dialect() {
    let schema = schema();
    for dialect in Dialect::ALL {
        let server = Server::new(dialect);
        server.load(
            "add 10.0.0.1 10.0.0.2 esp 0x1001 -m tunnel -u 9 -lh 600 -ls 480 -E aes-cbc \"sixteen byte key\" \
             -A hmac-sha1 0x000102030405060708090a0b0c0d0e0f10111213;\n\
             add ::1 ::2 ah 0x1002 -A hmac-sha1 \"key of twenty octets\";\n\
             add ::1 ::2 ipcomp 0x1003 -C deflate;\n\
             add 10.0.0.1 10.0.0.2 esp 0x1004 -E null;\n\
             spdadd 10.1.0.0/16 10.2.0.0/16[80] tcp -P out ipsec esp/tunnel/192.0.2.1-192.0.2.2/require;\n\
             spdadd 2001:db8::/32 ::/0 icmp6 136,0 -P in none;\n\
             spdadd 10.3.0.0/16 10.4.0.0/16 any -P out discard;",
        );
        if matches!(dialect, Dialect::FreeBsd | Dialect::NetBsd) {
            server.load("add 10.0.0.1 10.0.0.2 tcp 0x1000 -A tcp-md5 \"secret\";");
        }
        validate(&server, &schema);
    }
}

/// Validates what the scripts of the compliance cases install in memory, and the output recorded from real kernels.
#[test]
fn output_of_the_compliance_cases_is_valid() {
    let schema = schema();
    let (mut all, mut recorded) = (BTreeSet::new(), 0);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../regress/compliance");
    for group in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for file in std::fs::read_dir(group).unwrap().map(|entry| entry.unwrap().path()) {
            let cases = String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned();
            let server = Server::new(Dialect::Linux);
            // A script on standard input continues after a statement that this kernel refuses.
            server.fed(&["-c"], &scripts(&cases));
            all.extend(validate(&server, &schema));
            for document in documents(&cases) {
                all.extend(members(&document, &schema));
                recorded += 1;
            }
        }
    }
    assert!(recorded > 5, "{recorded}");
    // No device of the lab offloads.
    let schema = serde_json::from_str::<Value>(libpfkey::json::SCHEMA).unwrap();
    let described = ["sa", "policy"].map(|name| schema["$defs"][name]["properties"].as_object().unwrap());
    let missing = described.into_iter().flat_map(|members| members.keys()).filter(|name| !all.contains(*name));
    assert_eq!(missing.collect::<Vec<_>>(), ["offload"]);
}

/// The scripts of cases without errors, without the statements that would remove what earlier ones added.
fn scripts(cases: &str) -> String {
    let mut all = String::new();
    for case in cases.split("\n=== ").filter(|case| case.is_ascii() && !case.contains("\n--- stderr")) {
        for (title, text) in case.split("\n--- ").filter_map(|section| section.split_once('\n')) {
            if ["script", "setup"].contains(&title) || title.starts_with("file ") {
                all += &text.replace("spdflush;", "").replace("flush;", "");
                all.push('\n');
            }
        }
    }
    all
}

/// The recorded documents, with numbers in place of the masks.
fn documents(cases: &str) -> Vec<String> {
    let starts = cases.match_indices("{\"version\":").map(|(at, _)| &cases[at..]);
    let whole = starts.filter_map(|text| text.split_inclusive("]}\n").next());
    whole.map(|text| text.replace(":T,", ":1790000000,").replace(":N,", ":1,")).collect()
}
