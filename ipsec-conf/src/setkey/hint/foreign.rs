//! Hints for words of other programs' configuration languages.

/// A hint for a word that begins a statement in another language.
pub(super) fn for_statement(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "del" | "remove" | "rm" => "did you mean `delete`, `deleteall` or `spddelete`?",
        "list" | "show" | "print" => "did you mean `dump` or `spddump`?",
        "clear" | "clean" | "reset" => "did you mean `flush` or `spdflush`?",
        "change" | "modify" | "replace" => "did you mean `update` or `spdupdate`?",
        "sa" | "sad" | "state" => "an SA is made by `add`",
        "policy" | "spd" => "a policy is made by `spdadd`",
        "src" | "tmpl" => "this is the form of ip-xfrm(8): here it is `add SRC DST PROTOCOL SPI ...;` or `spdadd ...;`",
        "ip" | "xfrm" => {
            "a command of iproute2? Here an SA is `add SRC DST PROTOCOL SPI ...;` and a policy `spdadd SRC DST UPPER -P ...;`"
        }
        "esp" | "ah" | "ipcomp" | "flow" | "ike" | "tcpmd5" => {
            "a rule of OpenBSD's ipsec.conf? Here an SA is `add SRC DST PROTOCOL SPI ...;`"
        }
        "conn" | "config" | "ca" | "version" => "a file of strongSwan or libreswan? This is another language",
        "connections" | "secrets" | "pools" | "authorities" => "a file of swanctl(8)? This is another language",
        "path" | "remote" | "sainfo" | "listen" | "log" | "timer" | "padding" | "privsep" | "mode_cfg" => {
            "a directive of racoon.conf, which is for racoon"
        }
        "include" => "no other file can be included: load several one after the other",
        "cat" | "echo" | "eof" | "exec" | "export" | "fi" | "if" | "setkey" | "sh" | "sudo" | "then" => {
            "a shell script? This is the language of setkey itself"
        }
        "rem" | "comment" => "comments begin with `#`",
        "help" | "man" => "the language is described in ipsec.conf(5)",
        _ => return None,
    })
}

/// A hint for a word that labels an operand in another language.
pub(super) fn for_label(word: &str) -> Option<&'static str> {
    Some(match word.to_ascii_lowercase().as_str() {
        "src" | "dst" | "from" | "to" | "source" | "destination" | "peer" | "local" => {
            "the two addresses stand without a word before them"
        }
        "proto" | "protocol" => "the protocol stands without a word before it: SRC DST PROTOCOL SPI",
        "spi" => "the SPI stands without a word before it: SRC DST PROTOCOL SPI",
        "mode" => "the mode follows -m",
        "reqid" => "the reqid follows -u",
        "replay" | "replay-window" | "window" => "the replay window follows -r",
        "mark" => "the mark follows -mark",
        "output-mark" | "set_mark" => "the output mark follows -output-mark",
        "if_id" | "if-id" => "the interface id follows -if-id",
        "offload" => "offload is requested by -offload KIND DEVICE",
        "flag" | "esn" => "extended sequence numbers are requested by -esn",
        "encap" | "espinudp" => "ESP in UDP is the protocol `esp-udp`, or -natt SRC[PORT] DST[PORT]",
        "lifetime" | "limit" | "life" => "limits are -lh and -ls (seconds), -bh and -bs (bytes), -ph and -ps (packets)",
        "comp" | "compression" => "the compression algorithm follows -C",
        "auth" | "auth-trunc" | "authkey" | "integrity" => "the authentication algorithm follows -A",
        "enc" | "enckey" | "encryption" | "cipher" | "aead" => "the encryption algorithm follows -E",
        "psk" | "rsa" | "xauth" => "keys of an IKE daemon: racoon has them in psk.txt",
        "dir" | "tmpl" | "sel" | "ptype" | "action" => "what to do with the packets follows -P: -P out ipsec ...",
        _ => return None,
    })
}

/// A hint for an option of another version of setkey; `text` begins with the dash.
pub(super) fn for_option(text: &str) -> Option<&'static str> {
    Some(match text {
        "-a" => "options are case-sensitive: the authentication algorithm follows -A",
        "-e" => "options are case-sensitive: the encryption algorithm follows -E",
        "-c" => "options are case-sensitive: the compression algorithm follows -C",
        "-p" => "options are case-sensitive: the policy follows -P",
        "-M" => "options are case-sensitive: the mode follows -m",
        "-U" => "options are case-sensitive: the reqid follows -u",
        "-l" | "-L" | "-lifetime" => "limits are -lh and -ls (seconds), -bh and -bs (bytes), -ph and -ps (packets)",
        "-s" | "-spi" => "the SPI stands without an option: SRC DST PROTOCOL SPI",
        "-D" | "-F" | "-DP" | "-FP" | "-h" | "-v" | "-x" | "-k" => {
            "an option of the command setkey: in a script there are `dump`, `flush`, `spddump` and `spdflush`"
        }
        "-d" | "-dir" => "the direction follows -P: -P out ipsec ...",
        "-hwif" => "an option of FreeBSD's setkey; for Linux there is -offload KIND DEVICE",
        "->" | "->>" | "-->" => "source and destination stand beside each other, with a blank between them",
        "-natt_mtu" => "an option of FreeBSD's setkey that this one does not have",
        "-enc" | "-esp" => "the encryption algorithm follows -E",
        "-auth" => "the authentication algorithm follows -A",
        "-mode" => "the mode follows -m",
        "-reqid" => "the reqid follows -u",
        "-replay" => "the replay window follows -r",
        _ => return None,
    })
}
