//! Passwords do not appear in problems: configurations with known passwords and one mistake each.

use proptest::prelude::*;

use super::accepted::files;
use super::*;

fn password() -> impl Strategy<Value = String> {
    prop_oneof![
        "[!#-~]{8,30}",
        "[a-z'`/#;\u{201c}\u{201d}\u{2019}\u{a0}\u{2013}\r]{8,40}",
        "[a-z]{8} [a-z]{8}[;#}][a-z]{8} [a-z]{8}",
        "0x[0-9a-f]{32}"
    ]
}

fn text([bind, auth, acct]: [&str; 3]) -> String {
    format!(
        "path pre_shared_key \"/psk\";\nldapcfg {{\n  version 3;\n  bind_pw \"{bind}\";\n  bind_dn \"cn=racoon\"; }}\n\
         radiuscfg {{ auth \"one\" 1812 \"{auth}\"; acct \"two\" \"{acct}\"; timeout 3; }}\n\
         remote anonymous {{ exchange_mode main; }}\n"
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_piece_of_a_password_is_in_a_problem(
        passwords in prop::collection::vec(password(), 3),
        quote: bool,
        at: usize,
    ) {
        let [bind, auth, acct] = &passwords[..] else { unreachable!() };
        let text = text([bind, auth, acct]);
        let words: Vec<(usize, &str)> = match quote {
            true => text.match_indices('"').collect(),
            false => text.split_whitespace().map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word)).collect(),
        };
        let (offset, word) = words[at % words.len()];
        let spoilt = [&text[..offset], &text[offset + word.len()..]].concat();
        let load = load("a.conf", &files().with("a.conf", &spoilt));
        let said: String = load.problems.iter().map(|problem| format!("{problem}\n{}\n", problem.log_line())).collect();
        for password in &passwords {
            for piece in (2..password.len() - 5).filter_map(|at| password.get(at..at + 6)) {
                prop_assert!(!said.contains(piece), "{}\n---\n{}", spoilt, said);
            }
        }
    }
}
