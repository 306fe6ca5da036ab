use super::*;

const TEXT: &str = "\
# A file.

=== first
about: an SA
# why
--- script
add 192.0.2.1 192.0.2.2 esp 1 -E null;
--- sad

=== second
args: -D -p 'two words'
only: pfkey xfrm
--- stdout
\\no newline\\c
--- stdout [xfrm]
other

--- exit
1
";

fn parsed(text: &str) -> CaseFile {
    CaseFile::parse(Path::new("x.case"), text).expect("a case file")
}

fn refusal(text: &str) -> String {
    format!("{:#}", CaseFile::parse(Path::new("x.case"), text).expect_err("a bad case file"))
}

#[test]
fn a_file_is_written_back_unchanged() {
    let file = parsed(TEXT);
    assert_eq!(file.text(), TEXT);
    let [first, second] = file.cases.as_slice() else { panic!("two cases") };
    assert_eq!(first.arguments(), ["-f", "script"]);
    assert_eq!(first.input("script"), Some(&b"add 192.0.2.1 192.0.2.2 esp 1 -E null;\n"[..]));
    assert_eq!(first.files().map(|(name, _)| name).collect::<Vec<_>>(), ["script"]);
    assert_eq!(first.expected(View::Sad, "pfkey"), Some(&b""[..]), "the blank line separates");
    assert_eq!(first.expected(View::Spd, "pfkey"), None);
    assert_eq!(first.expected(View::Exit, "pfkey"), Some(&b"0\n"[..]));
    assert_eq!(second.arguments(), ["-D", "-p", "two words"]);
    assert_eq!(second.expected(View::Stdout, "pfkey"), Some(&b"no newline"[..]));
    assert_eq!(second.expected(View::Stdout, "xfrm"), Some(&b"other\n\n"[..]));
    assert_eq!(second.expected(View::Exit, "xfrm"), Some(&b"1\n"[..]));
    assert!(second.is_for("xfrm") && !second.is_for("memory") && first.is_for("memory"));
}

#[test]
fn bless_writes_only_differences() {
    let mut file = parsed(TEXT);
    file.cases[0].bless(View::Sad, "pfkey", true, b"No SAD entries.\n");
    file.cases[0].bless(View::Stdout, "pfkey", true, b"");
    file.cases[0].bless(View::Stderr, "xfrm", false, b"worse\n");
    file.cases[1].bless(View::Exit, "pfkey", true, b"0\n");
    file.cases[1].bless(View::Stdout, "xfrm", false, b"better\n");
    let text = file.text();
    assert!(text.contains("--- stderr [xfrm]\nworse\n--- sad\nNo SAD entries.\n\n=== second"), "{text}");
    assert!(text.ends_with("--- stdout [xfrm]\nbetter\n"), "{text}");
    assert_eq!(parsed(&text), file);
}

#[test]
fn errors_have_line_numbers() {
    assert!(refusal("=== A\n").starts_with("x.case:1: a case's name"), "{}", refusal("=== A\n"));
    assert!(refusal("=== a\n=== a\n").contains("x.case:2"));
    assert!(refusal("--- script\n").contains("before the first case"));
    assert!(refusal("=== a\ncolour: red\n").contains("unknown header colour"));
    assert!(refusal("=== a\nabout\n").contains("x.case:2"));
    assert!(refusal("=== a\n--- srcipt\n").contains("unknown section srcipt"));
    assert!(refusal("=== a\n--- script [xfrm]\n").contains("unknown section"));
    assert!(refusal("=== a\n--- exit\n--- exit\n").contains("duplicate section"));
    assert!(refusal("=== a\n--- file ../x\n").contains("unknown section"));
    assert!(refusal("=== a\n--- stdout\n\\\\q\n").contains("unknown escape"));
}
