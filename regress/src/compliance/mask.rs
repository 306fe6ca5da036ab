//! Masking of what differs from run to run, in results and in expectations.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::bytes::Regex;

/// A rule: what varies, its pattern, and the replacement.
struct Rule {
    about: &'static str,
    pattern: &'static str,
    replacement: &'static str,
}

/// Must agree with the table in `regress/compliance/README.md`.
const RULES: &[Rule] = &[
    Rule {
        about: "dates of an SA or a policy",
        pattern: r"(created|current|last|lastused): [A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8} [0-9]{4}",
        replacement: "$1: DATE",
    },
    Rule { about: "an SA's age", pattern: r"diff: [0-9]+\(s\)", replacement: "diff: N(s)" },
    Rule { about: "the asking process", pattern: r"\bpid=[0-9]+", replacement: "pid=N" },
    Rule { about: "a policy's number in dumps", pattern: r"\bspid=[0-9]+", replacement: "spid=N" },
    Rule { about: "a policy's number in -v", pattern: r"(sadb_x_policy\{[^}]*?\bid=)[0-9a-f]+", replacement: "${1}N" },
    Rule { about: "random request numbers", pattern: r"\bseq=[2-4][0-9]{9}\b", replacement: "seq=N" },
    Rule { about: "times in -v", pattern: r"\b(addtime|usetime)=[0-9]{9,}", replacement: "$1=T" },
    Rule { about: "request ids the kernel chose", pattern: r"unique#[0-9]+", replacement: "unique#N" },
    Rule {
        about: "request ids the kernel chose, elsewhere",
        pattern: r"\breqid([= ])1(?:638[4-9]|639[0-9]|6[4-9][0-9]{2}|[7-9][0-9]{3})(?:\(0x[0-9a-f]+\))?",
        replacement: "reqid${1}N",
    },
    Rule { about: "references to a policy", pattern: r"\brefcnt=[12]\b", replacement: "refcnt=R" },
    Rule {
        about: "references to a policy, in -v",
        pattern: r"(sadb_msg\{[^}]*?len=[0-9]+ reserved=)[123]\b",
        replacement: "${1}R",
    },
    Rule {
        about: "when a message passed, in -x",
        pattern: r"(?m)^(?:[0-9]{2}:[0-9]{2}:[0-9]{2}|[0-9]{10})\.[0-9]{6} $",
        replacement: "TIME ",
    },
    Rule {
        about: "the asking process in -H: bytes 12 to 15 of a message",
        pattern: r"(?m)^(00000000: (?:[0-9a-f]{2} ){12})(?:[0-9a-f]{2} ){4}$",
        replacement: "${1}PP PP PP PP ",
    },
    Rule {
        about: "a random request number in -H: bytes 8 to 11 of a message",
        pattern: r"(?m)^(00000000: (?:[0-9a-f]{2} ){8})(?:[0-9a-f]{2} ){3}[89a-f][0-9a-f] PP",
        replacement: "${1}SS SS SS SS PP",
    },
    Rule { about: "the clock in -l", pattern: r"(?m)^[0-9]{4} (ah |esp|#[0-9]+) ", replacement: "MMSS $1 " },
    Rule { about: "the age in -l", pattern: r"(?m)^(MMSS .{3} . [0-9a-f]{8}) +[0-9]+/", replacement: "$1 AGE/" },
    Rule { about: "times in --json", pattern: r#""(add|use)_seconds":[0-9]{9,}"#, replacement: r#""${1}_seconds":T"# },
    Rule { about: "a policy's number in --json", pattern: r#""id":[0-9]+"#, replacement: r#""id":N"# },
    Rule { about: "the folder of the program", pattern: r"(?m)^/[^ :]*/setkey: ", replacement: "setkey: " },
];

static COMPILED: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    // Output may contain bytes that are not UTF-8, so patterns match bytes.
    let compile = |rule: &Rule| Regex::new(&format!("(?-u){}", rule.pattern)).map(|regex| (regex, rule.replacement));
    RULES.iter().map(|rule| compile(rule).unwrap_or_else(|error| panic!("{}: {error}", rule.about))).collect()
});

/// Returns `text` with all rules applied.
pub(crate) fn mask(text: &[u8]) -> Vec<u8> {
    let mut text = Cow::Borrowed(text);
    for (regex, instead) in COMPILED.iter() {
        // The rules build on each other: -H and -l are masked in several steps.
        if let Cow::Owned(replaced) = regex.replace_all(&text, instead.as_bytes()) {
            text = Cow::Owned(replaced);
        }
    }
    text.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        String::from_utf8(mask(text.as_bytes())).expect("text")
    }

    #[test]
    fn varying_parts_are_masked() {
        for (text, expected) in [
            ("\tcreated: Nov  1 02:03:04 2026\tcurrent: Nov 21 02:03:04 2026\n", "\tcreated: DATE\tcurrent: DATE\n"),
            ("\tdiff: 12(s)\thard: 0(s)", "\tdiff: N(s)\thard: 0(s)"),
            ("\tspid=8 seq=0 pid=77\n\trefcnt=1\n", "\tspid=N seq=0 pid=N\n\trefcnt=R\n"),
            ("sadb_x_policy{ type=2 dir=1 id=1a }", "sadb_x_policy{ type=2 dir=1 id=N }"),
            ("  len=2 reserved=0 seq=2888412319 pid=N", "  len=2 reserved=0 seq=N pid=N"),
            ("esp/transport//unique#16391", "esp/transport//unique#N"),
            ("proto esp reqid 16384(0x00004000) mode", "proto esp reqid N mode"),
            ("reqid=16399 x", "reqid=N x"),
            ("12:13:14.567890 \nx", "TIME \nx"),
            (
                "00000000: 02 0a 00 00 02 00 00 00 00 00 00 00 9a 02 00 00 \n",
                "00000000: 02 0a 00 00 02 00 00 00 00 00 00 00 PP PP PP PP \n",
            ),
            (
                "sadb_msg{ version=2 type=18\n  len=24 reserved=2 seq=0",
                "sadb_msg{ version=2 type=18\n  len=24 reserved=R seq=0",
            ),
            (
                "00000000: 02 09 00 00 02 00 00 00 9f a1 a0 99 9a 02 00 00 \n",
                "00000000: 02 09 00 00 02 00 00 00 SS SS SS SS PP PP PP PP \n",
            ),
            ("0625 ah  M 00002002   0/0   a -> b\n", "MMSS ah  M 00002002 AGE/0   a -> b\n"),
            (r#"{"id":12,"add_seconds":1795302393,"use_seconds":0}"#, r#"{"id":N,"add_seconds":T,"use_seconds":0}"#),
            ("/opt/x/setkey: no\n", "setkey: no\n"),
        ] {
            assert_eq!(masked(text), expected);
            assert_eq!(masked(expected), expected, "masking twice");
        }
    }

    #[test]
    fn other_parts_are_kept() {
        for text in
            ["\tlast:                     \thard: 0(s)", "reqid=5(0x00000005)", "refcnt=0", "unique:5", "id=3 ivlen=0"]
        {
            assert_eq!(masked(text), text);
        }
    }
}
