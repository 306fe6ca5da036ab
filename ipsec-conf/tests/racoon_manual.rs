//! The examples of racoon.conf(5) are valid, its defaults are those of the program, and it describes every directive.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use ipsec_conf::plainrsa;
use ipsec_conf::psk::PreSharedKeys;
use ipsec_conf::racoon::{Config, Directive, Load, Loader, Metadata, Section, load};
use zeroize::Zeroizing;

const PAGE: &str = include_str!("../../man/racoon.conf.5");

/// Beginning of a remote with only the required directives.
const REMOTE: &str = "remote anonymous { exchange_mode main; proposal { encryption_algorithm aes; \
                      hash_algorithm sha256; authentication_method rsasig; dh_group modp2048; }";

/// Beginning of a remote with a pre-shared key, up to its exchange mode.
const PRE_SHARED_KEY_AND_MODE: &str = "proposal { encryption_algorithm aes; hash_algorithm sha256; \
                                       authentication_method pre_shared_key; dh_group modp2048; } exchange_mode ";

/// Beginning of a sainfo with only the required directives.
const SAINFO: &str = "sainfo anonymous { encryption_algorithm aes_gcm; compression_algorithm deflate;";

const PRIVATE_KEY: &str = ": RSA { Modulus: 0x21 PublicExponent: 0x3 PrivateExponent: 0x7 Prime1: 0xb Prime2: 0x3 \
                           Exponent1: 0x7 Exponent2: 0x1 Coefficient: 0x4 }";

/// A display of the page with the comment before it.
struct Display {
    line: usize,
    /// `example` or `defaults`.
    kind: &'static str,
    /// Kind of text that it is an example of.
    of: &'static str,
    text: String,
}

impl Display {
    /// The text that the reader sees, completed to a whole file.
    fn file(&self) -> String {
        wrap(self.of, &self.text).unwrap_or_else(|| panic!("line {}: an example of {}?", self.line, self.of))
    }
}

/// Completes the text of a section to a whole file.
fn wrap(section: &str, text: &str) -> Option<String> {
    Some(match section {
        "racoon.conf" | "top" => text.to_owned(),
        "remote" => format!("{REMOTE}\n{text}}}"),
        "proposal" => format!("remote anonymous {{ exchange_mode main; proposal {{\n{text}}} }}"),
        "sainfo" => format!("{SAINFO}\n{text}}}"),
        _ => return None,
    })
}

/// Returns all literal displays of the page. One without a comment would escape the tests, so it is an error.
fn displays() -> Vec<Display> {
    let lines: Vec<&'static str> = PAGE.lines().collect();
    let starts = (0..lines.len()).filter(|at| lines[*at].starts_with(".Bd -literal"));
    starts
        .map(|start| {
            let line = start + 1;
            let comment = lines[start - 1].strip_prefix(".\\\" ").and_then(|comment| comment.split_once(": "));
            let (kind, of) = comment.unwrap_or_else(|| panic!("line {line}: no comment says what this shows"));
            assert_eq!(lines[start], ".Bd -literal -offset indent", "line {line}");
            let body = lines[line..].iter().take_while(|text| **text != ".Ed");
            let text: String = body.flat_map(|text| [unescape(text), "\n".to_owned()]).collect();
            Display { line, kind, of, text }
        })
        .collect()
}

/// Returns a line of a display as the reader sees it.
fn unescape(line: &str) -> String {
    assert!(!line.starts_with(['.', '\'']), "a macro in an example: {line}");
    let text = line.replace("\\(dq", "\"").replace("\\-", "-").replace("\\&", "").replace("\\e", "\u{1}");
    assert!(!text.contains('\\'), "an escape in an example: {line}");
    text.replace('\u{1}', "\\")
}

/// Returns the files that examples name.
struct Files(String);

impl Loader for Files {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let contents = match path.to_str().unwrap() {
            "/etc/racoon/racoon.conf" => &self.0,
            "/etc/racoon/peers/one.conf" => "",
            "/etc/racoon/psk.txt" => "* a key of more than 20 characters\n",
            "/etc/racoon/own.key" => PRIVATE_KEY,
            "/etc/racoon/peers.pub" => ": PUB 0x010321",
            _ => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(contents.as_bytes().to_vec())
    }

    fn expand(&self, pattern: &str) -> io::Result<Vec<PathBuf>> {
        Ok(vec![pattern.replace('*', "one").into()])
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let is_there =
            self.read(path).is_ok() || path.starts_with("/etc/racoon/certs") || path.starts_with("/etc/racoon/scripts");
        let metadata = Metadata { regular: true, owner: self.uid(), mode: 0o600 };
        if is_there { Ok(metadata) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn read_keys(&self, path: &Path) -> io::Result<(Metadata, Zeroizing<Vec<u8>>)> {
        Ok((self.metadata(path)?, self.read(path)?.into()))
    }

    fn uid(&self) -> u32 {
        0
    }
}

fn try_load(text: &str) -> Load {
    load("/etc/racoon/racoon.conf", &Files(text.to_owned()))
}

/// Loads a configuration, which must have neither errors nor warnings.
fn config(line: usize, text: &str) -> Config {
    let load = try_load(text);
    let problems: Vec<String> = load.problems.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "line {line}:\n{}", problems.join("\n"));
    load.config.unwrap()
}

#[test]
fn examples_load() {
    let mut count = 0;
    for display in displays().iter().filter(|display| display.kind == "example") {
        match display.of {
            "psk.txt" => {
                let (keys, problems) = PreSharedKeys::parse(display.text.as_bytes());
                assert_eq!(problems, []);
                assert_eq!(keys.find(b"joe"), Some(b"the password of joe".as_slice()));
                assert!(keys.find(b"gw.paris.example").is_some());
            }
            "plainrsa" => assert_eq!(plainrsa::parse(display.text.as_bytes()).unwrap().len(), 1),
            _ => drop(config(display.line, &display.file())),
        }
        count += 1;
    }
    assert!(count > 10, "{count}");
}

#[test]
fn defaults_match_the_program() {
    let mut count = 0;
    for display in displays().iter().filter(|display| display.kind == "defaults") {
        let without = config(display.line, &wrap(display.of, "").unwrap());
        assert!(config(display.line, &display.file()) == without, "line {}: other defaults", display.line);
        count += 1;
    }
    assert!(count > 5, "{count}");
}

/// Returns the directives that a configuration uses.
fn used(config: &Config) -> impl Iterator<Item = String> {
    config.used().map(|(directive, _)| full_name(directive))
}

fn full_name(directive: &Directive) -> String {
    format!("{} {}", directive.section.name(), directive.name)
}

#[test]
fn every_directive_has_an_example() {
    let displays = displays();
    let files = displays.iter().filter(|display| wrap(display.of, "").is_some());
    let shown: BTreeSet<String> =
        files.flat_map(|display| used(&config(display.line, &display.file())).collect::<Vec<_>>()).collect();
    let missing = Directive::all().map(full_name);
    let missing: Vec<String> = missing.filter(|name| !shown.contains(name)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn every_directive_has_an_entry() {
    for section in Section::ALL {
        // An entry with a long head has it in the lines after.
        let text = section_text(section).replace(".It Xo\n.Ic ", ".It Ic ");
        let heads: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(".It Ic ")).collect();
        for directive in section.directives().iter().filter(|directive| !is_section(directive.name)) {
            let is_of = |head: &&str| {
                head.strip_prefix(directive.name).is_some_and(|rest| rest.trim_start() != rest || rest.is_empty())
            };
            assert!(heads.iter().any(is_of), "{}", full_name(directive));
        }
    }
}

/// The page lists exactly the directives without effect.
#[test]
fn unimplemented_directives_are_listed() {
    let (_, text) = PAGE.split_once("\n.Ss Not yet in effect\n").unwrap();
    let entries = text.split("\n.El\n").next().unwrap().split("\n.It ").skip(1);
    let listed = entries.flat_map(|entry| {
        let (title, rest) = entry.split_once('\n').unwrap();
        let section = title.strip_prefix("in ").unwrap_or("");
        let lines = rest.lines().filter_map(|line| line.strip_prefix(".Ic "));
        let names = lines.flat_map(|line| line.split(',')).map(str::trim).filter(|name| !name.is_empty());
        names.map(move |name| format!("{section} {name}")).collect::<Vec<_>>()
    });
    // A section that does nothing at all is named as a whole.
    let is_partly = |section: &Section| section.directives().iter().any(|directive| directive.in_effect);
    let waiting = Section::ALL.into_iter().filter(is_partly).flat_map(Section::directives);
    let waiting = waiting.filter(|directive| !directive.in_effect).map(full_name);
    assert_eq!(listed.collect::<BTreeSet<_>>(), waiting.collect::<BTreeSet<_>>());
}

fn is_section(name: &str) -> bool {
    Section::ALL.iter().any(|section| section.name() == name)
}

/// Returns the text of a section of the page.
fn section_text(section: Section) -> &'static str {
    let heading = match section {
        Section::Top => "\n.Ss Directives outside of sections\n".to_owned(),
        _ => format!("\n.Ss Section {}\n", section.name()),
    };
    let (_, text) = PAGE.split_once(&heading).unwrap_or_else(|| panic!("no {heading}"));
    text.split("\n.Ss Section ").next().unwrap()
}

#[test]
fn weak_and_refused_words_match_the_program() {
    let (_, text) = PAGE.split_once("\n.Ss Weak choices\n").unwrap();
    let (weak, text) = text.split_once("\n.Ss Words that are refused\n").unwrap();
    let (refused, ignored) = text.split_once("\n.Pp\n").unwrap();
    let ignored = ignored.split("\n.S").next().unwrap();
    for (text, verdict) in [(weak, "is weak"), (refused, "not supported"), (ignored, "is ignored")] {
        let words: Vec<&str> = words(text).collect();
        assert!(words.len() > 5, "{words:?}");
        for word in words {
            assert!(verdicts(word).iter().any(|said| said.contains(verdict)), "{word}: {:?}", verdicts(word));
        }
    }
}

/// Returns the words of the language in a text of the page: of several in a row, which make one directive, the last.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().filter_map(|line| line.strip_prefix(".Cm ").or(line.strip_prefix(".Ic ")));
    let marks = |part: &&str| !matches!(*part, ":" | ";" | "." | ",");
    lines.flat_map(|line| line.split(" , ")).filter_map(move |part| part.split(' ').rfind(marks))
}

/// Returns the problems that the program reports about a word, in every place where it may be.
fn verdicts(word: &str) -> Vec<String> {
    let places = [
        ("top", ""),
        ("top", "listen { "),
        ("remote", ""),
        ("remote", "peers_certfile "),
        ("remote", "verify_cert "),
        ("remote", PRE_SHARED_KEY_AND_MODE),
        ("proposal", ""),
        ("proposal", "encryption_algorithm "),
        ("proposal", "hash_algorithm "),
        ("proposal", "authentication_method "),
        ("proposal", "dh_group "),
        ("sainfo", ""),
        ("sainfo", "authentication_algorithm "),
    ];
    let files = places.iter().filter_map(|(section, before)| {
        let close = if before.ends_with("{ ") { "}" } else { "" };
        wrap(section, &format!("{before}{word};{close}"))
    });
    let messages = files.flat_map(|file| try_load(&file).problems).map(|problem| problem.message.to_lowercase());
    messages.filter(|message| message.contains(word)).collect()
}
