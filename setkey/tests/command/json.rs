//! `--json`

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
