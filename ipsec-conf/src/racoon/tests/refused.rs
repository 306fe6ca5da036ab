use expect_test::{Expect, expect};

use super::*;

fn check(text: &str, expected: Expect) {
    let load = load_text(text);
    assert!(load.config.is_none(), "accepted");
    let errors: String = load.problems.iter().map(|problem| format!("{problem}\n")).collect();
    expected.assert_eq(&errors);
}

/// Returns a valid remote with these directives added.
fn in_remote(directives: &str) -> String {
    REMOTE.replace("exchange_mode main;", &format!("exchange_mode main;\n  {directives}\n "))
}

/// Returns a valid proposal with these directives added.
fn in_proposal(directives: &str) -> String {
    REMOTE.replace("proposal {", &format!("proposal {{\n  {directives}\n "))
}

#[test]
fn all_errors_are_reported() {
    check(
        "lgo debug;\nremote 192.0.2.1 {\n\texchange_mode main\n\tpassive of;\n\tnat_traversal yes;\n\tproposal {\n\
         \t\tencryption_algorithm aes255;\n\t\thash_algorithm sha3;\n\t\tauthentication_method psk;\n\t}\n}\n\
         sainfo anonymous {\n\tencryption_algorithm aes;\n\tauthentication_algorithm hmac_sha;\n}\n",
        expect![[r#"
            a.conf:1:1: syntax error at `lgo'
              lgo debug;
              ^
              did you mean `log`?
            a.conf:3:20: a `;` is missing
                      exchange_mode main
                                        ^
              `passive` in line 4 begins another statement
            a.conf:4:10: syntax error at `of'
                      passive of;
                              ^
              did you mean `off`?
            a.conf:5:16: syntax error at `yes'
                      nat_traversal yes;
                                    ^
              expected off, on or force: `yes` is `on` here
            a.conf:7:27: invalid keylen 255
                              encryption_algorithm aes255;
                                                      ^
              128, 192 or 256
            a.conf:8:18: syntax error at `sha3'
                              hash_algorithm sha3;
                                             ^
              IKEv1 has no such hash: use sha256
            a.conf:9:25: syntax error at `psk'
                              authentication_method psk;
                                                    ^
              write `pre_shared_key`
            a.conf:14:27: syntax error at `hmac_sha'
                      authentication_algorithm hmac_sha;
                                               ^
              write `hmac_sha1`
        "#]],
    );
}

#[test]
fn unclosed_and_unopened_sections() {
    check(
        "remote 192.0.2.1 {\n  exchange_mode main;\n  proposal {\n    dh_group 14;\n\nsainfo anonymous {\n  esn maybe;\n}\n",
        expect![[r#"
            a.conf:6:1: syntax error at `sainfo'
              sainfo anonymous {
              ^
              `proposal {` in line 3 is not closed by a `}`
            a.conf:7:7: syntax error at `maybe'
                esn maybe;
                    ^
              expected off, on or require
        "#]],
    );
    check(
        "listen {\n  isakmp 192.0.2.1;\n",
        expect![[r#"
            a.conf:2:20: syntax error at the end
                isakmp 192.0.2.1;
                                 ^
              `listen {` in line 1 is not closed by a `}`
        "#]],
    );
    check(
        "timer\n  counter 5;\n  interval 10;\n}\nlog info;",
        expect![[r#"
        a.conf:2:3: syntax error at `counter'
            counter 5;
            ^
          the `{` of timer is missing before it
        a.conf:3:14: syntax error at `;'
            interval 10;
                       ^
          expected a unit of time (sec, min, hour)
    "#]],
    );
    check(
        "log info;\n}\nlog infos;",
        expect![[r#"
            a.conf:2:1: syntax error at `}'
              }
              ^
              no section is open here: is there one `}` too many before it?
            a.conf:3:5: syntax error at `infos'
              log infos;
                  ^
              did you mean `info`?
        "#]],
    );
    check(
        "padding { randomize on; };",
        expect![[r#"
        a.conf:1:26: syntax error at `;'
          padding { randomize on; };
                                   ^
          a stray `;`: no statement ends here, and a closing brace needs none
    "#]],
    );
    check(
        "{ log info; } pfkey_buffer { x; }",
        expect![[r#"
        a.conf:1:1: syntax error at `{'
          { log info; } pfkey_buffer { x; }
          ^
          a word must precede the brace
        a.conf:1:28: syntax error at `{'
          { log info; } pfkey_buffer { x; }
                                     ^
          expected `;`: this is not a section
    "#]],
    );
}

#[test]
fn strings() {
    check(
        "path include \"/etc/racoon;\nlog inf;\n",
        expect![[r#"
            a.conf:1:14: syntax error at `"'
              path include "/etc/racoon;
                           ^
              this quote is not closed
            a.conf:2:5: syntax error at `inf'
              log inf;
                  ^
              did you mean `info`?
        "#]],
    );
    check(
        "path certificate /etc/racoon;\npath scripts \"/x\";\ninclude \"\";",
        expect![[r#"
        a.conf:1:18: syntax error at `/etc/racoon'
          path certificate /etc/racoon;
                           ^
          expected a path, in quotes
        a.conf:2:6: syntax error at `scripts'
          path scripts "/x";
               ^
          did you mean `script`?
        a.conf:3:9: cannot include : no such file
          include "";
                  ^
    "#]],
    );
    check(
        &in_remote("my_identifier fqdn host.example;"),
        expect![[r#"
        a.conf:2:22: syntax error at `host.example'
            my_identifier fqdn host.example;
                               ^
          expected a name, in quotes
    "#]],
    );
}

#[test]
fn algorithms() {
    check(
        &in_proposal("encryption_algorithm 3des 168;"),
        expect![[r#"
        a.conf:2:24: keylen not allowed
            encryption_algorithm 3des 168;
                                 ^
          keys of this cipher have a fixed length
    "#]],
    );
    check(
        &in_proposal("encryption_algorithm aes 100; encryption_algorithm blowfish 41;"),
        expect![[r#"
        a.conf:2:28: invalid keylen 100
            encryption_algorithm aes 100; encryption_algorithm blowfish 41;
                                     ^
          128, 192 or 256
        a.conf:2:63: invalid keylen 41
            encryption_algorithm aes 100; encryption_algorithm blowfish 41;
                                                                        ^
          a multiple of 8 in 40 to 448
    "#]],
    );
    check(
        &in_proposal("encryption_algorithm aes_gcm;"),
        expect![[r#"
            a.conf:2:24: syntax error at `aes_gcm'
                encryption_algorithm aes_gcm;
                                     ^
              aes_gcm is valid in sainfo only; in phase 1, write `aes`
        "#]],
    );
    check(
        &in_proposal("dh_group 3; dh_group modp2084; dh_group ec2n155;"),
        expect![[r#"
            a.conf:2:12: warning: ec2n155 (group 3) is not supported
                dh_group 3; dh_group modp2084; dh_group ec2n155;
                         ^
              this proposal can never be agreed on: use modp2048 or ecp256
            a.conf:2:24: syntax error at `modp2084'
                dh_group 3; dh_group modp2084; dh_group ec2n155;
                                     ^
              did you mean `modp2048`?
            a.conf:2:43: warning: ec2n155 (group 3) is not supported
                dh_group 3; dh_group modp2084; dh_group ec2n155;
                                                        ^
              this proposal can never be agreed on: use modp2048 or ecp256
        "#]],
    );
    check(
        &in_proposal("lifetime byte 5 MB;"),
        expect![[r#"
        a.conf:2:12: no byte lifetime in phase 1
            lifetime byte 5 MB;
                     ^
          a lifetime in bytes is valid in sainfo only
    "#]],
    );
    check(
        &in_remote("dh_group 14;"),
        expect![[r#"
            a.conf:2:3: syntax error at `dh_group'
                dh_group 14;
                ^
              `dh_group` belongs in proposal
        "#]],
    );
}

#[test]
fn unsupported_features() {
    check(
        "gss_id_enc latin1;",
        expect![[r#"
        a.conf:1:1: gss_id_enc is not supported
          gss_id_enc latin1;
          ^
          GSSAPI is not implemented: use certificates or pre-shared keys
    "#]],
    );
    check(
        &in_proposal(
            "gss_id \"x\"; authentication_method gssapi_krb; authentication_method dsssig; authentication_method rsaenc;
  encryption_algorithm idea; hash_algorithm tiger;",
        ),
        expect![[r#"
            a.conf:2:3: gss_id is not supported
                gss_id "x"; authentication_method gssapi_krb; authentication_method dsssig; authentication_method ...
                ^
              GSSAPI is not implemented: use certificates or pre-shared keys
            a.conf:2:37: gssapi_krb is not supported
                gss_id "x"; authentication_method gssapi_krb; authentication_method dsssig; authentication_method ...
                                                  ^
              use certificates with rsasig or ecdsasig, or pre-shared keys
            a.conf:2:71: dsssig is not supported
                gss_id "x"; authentication_method gssapi_krb; authentication_method dsssig; authentication_method ...
                                                                                    ^
              use certificates with rsasig or ecdsasig, or pre-shared keys
            a.conf:2:101: rsaenc is not supported
              ...thentication_method dsssig; authentication_method rsaenc;
                                                                   ^
              use certificates with rsasig or ecdsasig, or pre-shared keys
            a.conf:3:24: idea is not supported
                encryption_algorithm idea; hash_algorithm tiger;
                                     ^
              use aes
            a.conf:3:45: tiger is not supported
                encryption_algorithm idea; hash_algorithm tiger;
                                                          ^
              use sha256
        "#]],
    );
    check(
        &in_remote("peers_certfile dnssec; shared_secret keychain \"x\";"),
        expect![[r#"
            a.conf:2:18: dnssec is not supported
                peers_certfile dnssec; shared_secret ******** "**;
                               ^
              CERT records are not looked up: name a file
            a.conf:2:26: shared_secret is not supported
                peers_certfile dnssec; shared_secret ******** "**;
                                       ^
              a directive of Apple's racoon: keys are in the file that `path pre_shared_key` names; there is no keychain
        "#]],
    );
    check(
        "sainfo anonymous { encryption_algorithm rc4; authentication_algorithm kpdk; compression_algorithm lzs; }",
        expect![[r#"
            a.conf:1:41: rc4 is not supported
              sainfo anonymous { encryption_algorithm rc4; authentication_algorithm kpdk; compression_algorithm lz...
                                                      ^
              use aes
            a.conf:1:71: kpdk is not supported
              sainfo anonymous { encryption_algorithm rc4; authentication_algorithm kpdk; compression_algorithm lz...
                                                                                    ^
              no peer supports it: use hmac_sha256
        "#]],
    );
}

#[test]
fn sainfos() {
    let ends = [
        "address 10.0.0.1[80] icmp anonymous",
        "address 10.0.0.1 icmp6 anonymous",
        "address 10.0.0.0/33 any anonymous",
        "address 10.0.0.9-10.0.0.1 any anonymous",
        "address 10.0.0.1-::1 any anonymous",
        "address 10.0.0.1 anonymous",
        "asn1dn \"CN=a\" anonymous",
        "anonymous from asn1dn \"x\"",
        "anonymous from subnet 10.0.0.1",
        "address <net>/24 any anonymous",
        "address 10.0.0.256 any anonymous",
        "clientaddr anonymous",
        "address 10.0.0.1[70000] any anonymous",
    ];
    let text: String = ends.iter().map(|ends| format!("sainfo {ends} {SAINFO}")).collect();
    check(
        &text,
        expect![[r#"
        a.conf:1:24: port number must be "any"
          sainfo address 10.0.0.1[80] icmp anonymous { encryption_algorithm aes; authentication_algorithm hmac...
                                 ^
          ICMP has no ports
        a.conf:2:16: upper layer protocol mismatched with the address
          sainfo address 10.0.0.1 icmp6 anonymous { encryption_algorithm aes; authentication_algorithm hmac_sh...
                         ^
          icmp is for IPv4, icmp6 for IPv6
        a.conf:3:24: prefix length not in 0 to 32
          sainfo address 10.0.0.0/33 any anonymous { encryption_algorithm aes; authentication_algorithm hmac_s...
                                 ^
        a.conf:4:24: the range ends before it begins
          sainfo address 10.0.0.9-10.0.0.1 any anonymous { encryption_algorithm aes; authentication_algorithm ...
                                 ^
        a.conf:5:24: the ends of the range belong to different families
          sainfo address 10.0.0.1-::1 any anonymous { encryption_algorithm aes; authentication_algorithm hmac_...
                                 ^
        a.conf:6:25: syntax error at `anonymous'
          sainfo address 10.0.0.1 anonymous { encryption_algorithm aes; authentication_algorithm hmac_sha256; ...
                                  ^
          expected any, esp, ah, ipcomp, icmp, icmp6, tcp, udp or gre
        a.conf:7:8: asn1dn cannot be an end of an SA
          sainfo asn1dn "CN=a" anonymous { encryption_algorithm aes; authentication_algorithm hmac_sha256; com...
                 ^
          `from asn1dn` may follow the ends
        a.conf:8:30: not a distinguished name
          sainfo anonymous from asn1dn "x" { encryption_algorithm aes; authentication_algorithm hmac_sha256; c...
                                       ^
          `x` lacks `=`: an attribute is NAME=VALUE
        a.conf:9:23: a subnet cannot identify a peer
          sainfo anonymous from subnet 10.0.0.1 { encryption_algorithm aes; authentication_algorithm hmac_sha2...
                                ^
          `subnet` is valid in sainfo only: write an address here
        a.conf:10:16: syntax error at `<net>/24'
          sainfo address <net>/24 any anonymous { encryption_algorithm aes; authentication_algorithm hmac_sha2...
                         ^
          replace the placeholder with a numeric address
        a.conf:11:16: syntax error at `10.0.0.256'
          sainfo address 10.0.0.256 any anonymous { encryption_algorithm aes; authentication_algorithm hmac_sh...
                         ^
          `10.0.0.256` is not an IPv4 or IPv6 address
        a.conf:12:8: syntax error at `clientaddr'
          sainfo clientaddr anonymous { encryption_algorithm aes; authentication_algorithm hmac_sha256; compre...
                 ^
          expected address, subnet, fqdn, user_fqdn, keyid or asn1dn
        a.conf:13:24: syntax error at `[70000]'
          sainfo address 10.0.0.1[70000] any anonymous { encryption_algorithm aes; authentication_algorithm hm...
                                 ^
          expected a port, 0 to 65535, without blanks
    "#]],
    );
    let twice = format!("sainfo address 10.0.0.1 any anonymous {SAINFO}").repeat(2);
    check(
        &twice,
        expect![[r#"
        a.conf:2:1: duplicated sainfo
          sainfo address 10.0.0.1 any anonymous { encryption_algorithm aes; authentication_algorithm hmac_sha2...
          ^
          it is the same as the one in a.conf:1
    "#]],
    );
    check(
        "sainfo anonymous { }\nsainfo anonymous clientaddr;",
        expect![[r#"
        a.conf:1:20: no encryption algorithm
          sainfo anonymous { }
                             ^
          in this sainfo
        a.conf:1:20: no authentication algorithm
          sainfo anonymous { }
                             ^
          in this sainfo
        a.conf:1:20: warning: no compression algorithm
          sainfo anonymous { }
                             ^
          IPComp is not offered
        a.conf:2:28: syntax error at `;'
          sainfo anonymous clientaddr;
                                     ^
          expected `{`
    "#]],
    );
}

#[test]
fn remotes() {
    check(
        "remote anonymous { }\nremote host.example { passive on; }",
        expect![[r#"
            a.conf:1:20: no exchange mode specified.
              remote anonymous { }
                                 ^
              as in `exchange_mode main;`
            a.conf:1:20: no proposal specified.
              remote anonymous { }
                                 ^
              at least one `proposal { ... }` is needed
            a.conf:2:8: syntax error at `host.example'
              remote host.example { passive on; }
                     ^
              expected a numeric address: host names are not looked up here
        "#]],
    );
    check(
        &REMOTE.replace("fqdn \"a\"", "asn1dn"),
        expect![[r#"
        a.conf:1:167: id type mismatched due to no certificate
          ...256; authentication_method rsasig; dh_group 14; } }
                                                               ^
          my_identifier asn1dn needs a DN in quotes or certificate_type x509
    "#]],
    );
    check(
        &REMOTE.replace("main", "main, aggressive").replace(
            "proposal",
            "proposal { encryption_algorithm aes; hash_algorithm sha1; authentication_method rsasig; dh_group 15; }
    proposal",
        ),
        expect![[r#"
            a.conf:1:1: DH group must be equal in all proposals when aggressive mode is used.
              remote 192.0.2.1 { exchange_mode main, aggressive; my_identifier fqdn "a"; proposal { encryption_alg...
              ^
              in aggressive mode the first message contains the key exchange
        "#]],
    );
    check(
        &in_remote("nonce_size 4; dpd_delay 0x10; lifetime time 99999999 hours; esp_frag 65536;"),
        expect![[r#"
        a.conf:2:14: number not in 8 to 256
            nonce_size 4; dpd_delay 0x10; lifetime time 99999999 hours; esp_frag 65536;
                       ^
        a.conf:2:27: syntax error at `0x10'
            nonce_size 4; dpd_delay 0x10; lifetime time 99999999 hours; esp_frag 65536;
                                    ^
          expected a decimal number
        a.conf:2:47: not in 1 to 4294967295
            nonce_size 4; dpd_delay 0x10; lifetime time 99999999 hours; esp_frag 65536;
                                                        ^
        a.conf:2:72: number not in 0 to 65535
            nonce_size 4; dpd_delay 0x10; lifetime time 99999999 hours; esp_frag 65536;
                                                                                 ^
    "#]],
    );
    check(
        "threads 0;",
        expect![[r#"
            a.conf:1:9: number not in 1 to 1024
              threads 0;
                      ^
        "#]],
    );
    check(
        &in_remote("// a comment\n  ; exchange_mode main,; passive on off;"),
        expect![[r#"
            a.conf:2:3: `//` does not begin a comment
                // a comment
                ^
              comments begin with `#`
            a.conf:3:3: syntax error at `;'
                ; exchange_mode main,; passive on off;
                ^
              a stray `;`: no statement ends here, and a closing brace needs none
            a.conf:3:24: syntax error at `;'
                ; exchange_mode main,; passive on off;
                                     ^
              expected main, aggressive or base
            a.conf:3:37: syntax error at `off'
                ; exchange_mode main,; passive on off;
                                                  ^
              expected `;`
        "#]],
    );
}

#[test]
fn listen_and_privsep() {
    check(
        "listen { isakmp 192.0.2.1 500; adminsock \"/etc/passwd\"; adminsock \"/a/../b.sock\"; admin [1];
  adminsock \"/a.sock\" \"root\" \"root\" 0680; }",
        expect![[r#"
            a.conf:1:27: syntax error at `500'
              listen { isakmp 192.0.2.1 500; adminsock "/etc/passwd"; adminsock "/a/../b.sock"; admin [1];
                                        ^
              write the port in brackets: `[500]`
            a.conf:1:42: the name of the socket must end in .sock or .socket
              listen { isakmp 192.0.2.1 500; adminsock "/etc/passwd"; adminsock "/a/../b.sock"; admin [1];
                                                       ^
            a.conf:1:67: the path of the socket may not go through ..
              listen { isakmp 192.0.2.1 500; adminsock "/etc/passwd"; adminsock "/a/../b.sock"; admin [1];
                                                                                ^
            a.conf:1:83: admin is not supported
              ...dminsock "/etc/passwd"; adminsock "/a/../b.sock"; admin [1];
                                                                   ^
              the control socket is `adminsock "PATH"`
            a.conf:2:37: expected a mode of three octal digits
                adminsock "/a.sock" "root" "root" 0680; }
                                                  ^
        "#]],
    );
    check(
        "path script \"/s\";\nprivsep { user \"racoon\"; }",
        expect![[r#"
        a.conf:2:1: privsep needs `path certificate`
          the privileged process opens only files in that directory
    "#]],
    );
}

#[test]
fn passwords_are_not_shown() {
    check(
        "ldapcfg { bind_pw \"hidden\" \"hidden\"; }\nradiuscfg {\n auth \"h\" 1\n\"hidden\" \"hidden\"; }",
        expect![[r#"
            a.conf:1:28: syntax error at `"***"'
              ldapcfg { bind_pw "******* "*******; }
                                         ^
              expected `;`
            a.conf:4:10: syntax error at `"***"'
              "******* "*******; }
                       ^
              expected `;`
        "#]],
    );
    check(
        "ldapcfg { bind_pw \"hidden;\n}",
        expect![[r#"
            a.conf:1:19: syntax error at `"'
              ldapcfg { bind_pw "******;
                                ^
              this quote is not closed
        "#]],
    );
    check(
        "ldapcfg { bind_pw hidden; bind_pw x; }",
        expect![[r#"
            a.conf:1:19: syntax error at `***'
              ldapcfg { bind_pw ******; bind_pw *; }
                                ^
              expected a password, in quotes
            a.conf:1:35: syntax error at `***'
              ldapcfg { bind_pw ******; bind_pw *; }
                                                ^
              expected a password, in quotes
        "#]],
    );
}

#[test]
fn form_of_the_log() {
    let text = "log info\nlisten { }\nremote 192.0.2.1 { certificate_type x509 \"a.pem\" \"a.key\"; }";
    let lines: Vec<String> = load_text(text).problems.iter().map(Problem::log_line).collect();
    let expected = [
        "a.conf:1: \"info\" a `;` is missing",
        "a.conf:3: \"\"a.pem\" failed to load certificate \"a.pem\"",
        "a.conf:3: \"\"a.key\" failed to load private key \"a.key\"",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn columns_are_characters() {
    let load = load_text("# \u{e9}\n path script \"\u{e9}\u{e9}\" x;");
    assert_eq!(messages(&load), ["a.conf:2:19: syntax error at `x'"]);
}
