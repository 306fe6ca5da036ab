//! The command line.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;

use getopts::{Fail, Matches, Options, ParsingStyle};
use libpfkey::backend::BackendKind;
use libpfkey::num::{SCOPE_GLOBAL, SCOPE_IFNET};
use libpfkey::{Dialect, UnknownDialect, errno_text};

use crate::view::Style;

/// The first line of the usage text, and all of `-V`.
pub(crate) const VERSION_LINE: &str = concat!("setkey @(#) ipsec-tools-rs ", env!("CARGO_PKG_VERSION"));

/// What `--version` prints.
pub(crate) const LONG_VERSION: &str = concat!("setkey (ipsec-tools-rs) ", env!("CARGO_PKG_VERSION"));

/// The rest of the usage text.
const USAGE: &str = "\
usage: setkey [-vrk] file ...
       setkey [-nvrke] -c
       setkey [-nvrke] -f filename
       setkey [-nvrke] -f --replace filename ...
       setkey [-PalpvNrkgt] [--json [--keys]] -D
       setkey [-Pv] -F
       setkey [-H] -x
       setkey --check filename
       setkey [-V | --version] [-h | --help] [--json-schema]
       with --backend auto|pfkey|xfrm|memory|socket:PATH and --dialect linux|freebsd|netbsd|darwin
";

/// The mode of a run.
#[derive(Debug)]
pub(crate) enum Mode {
    /// `--check`
    Check(String),
    /// `-D`
    Dump,
    /// Positional arguments: binary files of messages.
    Files(Vec<OsString>),
    /// `-f --replace`: the files in their order, `-` is standard input.
    Replace(Vec<String>),
    /// `-F`
    Flush,
    /// `-x`, and how many times it was given.
    Monitor(usize),
    /// `-f`: the open file, or `None` for standard input, and its name as typed.
    Script(Option<File>, String),
    /// `-c`
    Stdin,
}

/// A parsed command line.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) mode: Mode,
    pub(crate) style: Style,
    /// `-P`: `-D` and `-F` act on the SPD.
    pub(crate) policies: bool,
    /// `-g`, `-t`: scopes of the policies that `-DP` prints, in the form of
    /// [`spddump_of_scope`](libpfkey::request::spddump_of_scope).
    pub(crate) scope: u8,
    /// `-n`
    pub(crate) dry: bool,
    /// Without `-k`: `in` policies get a `fwd` copy.
    pub(crate) mirror: bool,
    /// `-r` or `-k` was given.
    pub(crate) mirror_chosen: bool,
    /// `-e`: exit with 1 if a statement failed.
    pub(crate) strict: bool,
    /// `--json`
    pub(crate) json: bool,
    /// `--keys`
    pub(crate) keys: bool,
    pub(crate) backend: BackendKind,
    pub(crate) dialect: Option<Dialect>,
}

/// Reason why there is nothing to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// `-h`, `--help`: print the usage text and the explanation of the options.
    Help,
    /// `--json-schema`: print the schema of `--json`.
    JsonSchema,
    /// `--version`
    LongVersion,
    /// Print the usage text, and a line on standard error if there is a more specific reason.
    Usage(Option<String>),
    /// `-V`
    Version,
    /// Print a line on standard error.
    Failure(String),
}

fn options() -> Options {
    let mut options = Options::new();
    // A flag may be given twice, as with getopt(3).
    for flag in
        ["a", "c", "d", "e", "g", "h", "k", "l", "n", "p", "r", "t", "v", "x", "?", "D", "F", "H", "N", "P", "V"]
    {
        options.optflagmulti(flag, "", "");
    }
    options.optmulti("f", "", "", "");
    options.optmulti("", "check", "", "").optmulti("", "backend", "", "").optmulti("", "dialect", "", "");
    for flag in ["json", "json-schema", "keys", "replace", "help", "version"] {
        options.optflagmulti("", flag, "");
    }
    options.parsing_style(ParsingStyle::StopAtFirstFree);
    options
}

/// Options that take a value, as written.
const WITH_VALUE: &[&str] = &["-f", "--check", "--backend", "--dialect"];

/// Splits clusters, `-DPp` into `-D -P -p`, because `getopts` does not keep the order of the letters of one argument.
fn apart(arguments: &[OsString]) -> Vec<OsString> {
    let mut single = Vec::with_capacity(arguments.len());
    let mut rest = arguments.iter().peekable();
    while let Some(argument) = rest.next() {
        let letters = argument.to_str().and_then(|text| text.strip_prefix('-')).unwrap_or_default();
        if letters.is_empty() || letters == "-" {
            // An operand, or the end of the options: no options follow.
            single.push(argument.clone());
            break;
        }
        if letters.starts_with('-') {
            single.push(argument.clone());
        } else {
            // The rest of the letters is the value of `f`.
            let flags = letters.find('f').unwrap_or(letters.len());
            let (flags, value) = letters.split_at(flags);
            single.extend(flags.chars().map(|flag| OsString::from(format!("-{flag}"))));
            if !value.is_empty() {
                single.push(OsString::from(format!("-{value}")));
            }
        }
        let Some(option) = single.last().filter(|last| WITH_VALUE.iter().any(|option| last == option)) else {
            continue;
        };
        if rest.peek().is_some_and(|value| is_replace(option, value)) {
            // The files follow as operands.
            single.pop();
        } else {
            single.extend(rest.next().cloned());
        }
    }
    single.extend(rest.cloned());
    single
}

/// Returns whether an option and the next word are `-f --replace`. A file of this name is written `./--replace`.
fn is_replace(option: &OsString, value: &OsString) -> bool {
    option == "-f" && value == "--replace"
}

/// Parses the arguments after the program's name.
///
/// # Errors
/// Returns what to print instead of running.
pub(crate) fn parse(arguments: &[OsString]) -> Result<Invocation, Refused> {
    let given = options().parse(apart(arguments)).map_err(|fail| Refused::Usage(Some(complaint(&fail))))?;
    if given.opt_present("version") {
        return Err(Refused::LongVersion);
    }
    if given.opt_present("V") {
        return Err(Refused::Version);
    }
    if given.opt_present("help") {
        return Err(Refused::Help);
    }
    if given.opt_present("json-schema") {
        return Err(Refused::JsonSchema);
    }
    let last = |name| given.opt_strs_pos(name).pop().map(|(_, value)| value);
    let failure = |error: &dyn std::fmt::Display| Refused::Failure(format!("setkey: {error}"));
    let backend = match last("backend") {
        Some(word) => word.parse(),
        None => BackendKind::from_environment(),
    };
    let dialect = match last("dialect") {
        Some(word) => word.parse().map(Some).map_err(|error: UnknownDialect| failure(&error)),
        None => Dialect::from_environment().map_err(|error| failure(&error)),
    };
    let speaks = dialect.as_ref().ok().copied().flatten().unwrap_or(Dialect::HOST);
    let hex_too = given.opt_present("h") && is_hex(&given, speaks);
    if given.opt_present("h") && !hex_too {
        return Err(Refused::Help);
    }
    // `-d` has no meaning, so it only prints the usage.
    if given.opt_present("?") || given.opt_present("d") {
        return Err(Refused::Usage(None));
    }
    let scope = scope(&given, speaks)?;
    let position = |name: &str| given.opt_positions(name).pop();
    let mode = mode(&given)?;
    refuse_json(&given, &mode)?;
    Ok(Invocation {
        mode,
        style: Style {
            dead: given.opt_present("a"),
            hex: given.opt_present("H") || hex_too,
            hide_socket_policies: given.opt_present("N"),
            ports: given.opt_present("p"),
            short: given.opt_present("l"),
            verbose: given.opt_present("v"),
        },
        policies: given.opt_present("P"),
        scope,
        dry: given.opt_present("n"),
        mirror: position("k") <= position("r"),
        mirror_chosen: given.opt_present("r") || given.opt_present("k"),
        strict: given.opt_present("e"),
        json: given.opt_present("json"),
        keys: given.opt_present("keys"),
        backend: backend.map_err(|error| failure(&error))?,
        dialect: dialect?,
    })
}

/// Refuses `--json` with anything but listings, which would ignore it.
fn refuse_json(given: &Matches, mode: &Mode) -> Result<(), Refused> {
    if !given.opt_present("json") {
        return Ok(());
    }
    let other = match mode {
        Mode::Check(_) => "--check",
        Mode::Dump if given.opt_present("l") => "-l",
        Mode::Dump => return Ok(()),
        Mode::Files(_) => "files of messages",
        Mode::Replace(_) => "--replace",
        Mode::Flush => "-F",
        Mode::Monitor(_) => "-x",
        Mode::Script(..) => "-f",
        Mode::Stdin => "-c",
    };
    Err(Refused::Failure(format!("setkey: --json goes with -D and -DP only, not with {other}")))
}

/// Returns whether `-h` means `-H`, as in the `setkey` of FreeBSD and NetBSD. Elsewhere, and without a mode, it means help.
fn is_hex(given: &Matches, dialect: Dialect) -> bool {
    let has_mode = ["c", "f", "x", "D", "F"].into_iter().any(|name| given.opt_present(name));
    has_mode && matches!(dialect, Dialect::FreeBsd | Dialect::NetBsd)
}

/// Returns the scopes that FreeBSD's options `-g` and `-t` select.
fn scope(given: &Matches, dialect: Dialect) -> Result<u8, Refused> {
    let mut scope = 0;
    for (letter, one) in [("g", SCOPE_GLOBAL), ("t", SCOPE_IFNET)] {
        if !given.opt_present(letter) {
            continue;
        }
        if dialect != Dialect::FreeBsd {
            let text = format!("setkey: -{letter} is for FreeBSD: policies of {dialect} have no scope");
            return Err(Refused::Usage(Some(text)));
        }
        scope |= one;
    }
    Ok(scope)
}

/// Returns the mode whose option came last. Operands take precedence over all options.
fn mode(given: &Matches) -> Result<Mode, Refused> {
    if given.opt_present("replace") {
        return replace(given);
    }
    // Every file is opened here, so that a missing one is reported even if another one is run.
    let mut script = None;
    for (_, name) in given.opt_strs_pos("f") {
        let file = match name.as_str() {
            "-" => None,
            _ => Some(File::open(&name).map_err(|error| cannot_open(&name, &error))?),
        };
        script = Some((file, name));
    }
    if !given.free.is_empty() {
        return Ok(Mode::Files(given.free.iter().map(OsString::from).collect()));
    }
    let last = ["c", "f", "D", "F", "x", "check"]
        .into_iter()
        .filter_map(|name| given.opt_positions(name).pop().map(|at| (at, name)))
        .max();
    Ok(match (last.map(|(_, name)| name), script) {
        (Some("c"), _) => Mode::Stdin,
        (Some("f"), Some((file, name))) => Mode::Script(file, name),
        (Some("D"), _) => Mode::Dump,
        (Some("F"), _) => Mode::Flush,
        (Some("x"), _) => Mode::Monitor(given.opt_count("x")),
        (Some("check"), _) => Mode::Check(given.opt_strs("check").pop().unwrap_or_default()),
        _ => return Err(Refused::Usage(None)),
    })
}

/// Returns the files of `--replace`: values of `-f`, then operands. They are opened later, when all of them are read.
fn replace(given: &Matches) -> Result<Mode, Refused> {
    let refused = |text: &str| Refused::Usage(Some(format!("setkey: {text}")));
    if ["c", "D", "F", "x", "check"].into_iter().any(|name| given.opt_present(name)) {
        return Err(refused("--replace goes with -f only"));
    }
    let mut files: Vec<String> = given.opt_strs_pos("f").into_iter().map(|(_, name)| name).collect();
    files.extend(given.free.iter().cloned());
    match files.iter().filter(|name| *name == "-").count() {
        _ if files.is_empty() => Err(refused("--replace needs a file")),
        0 | 1 => Ok(Mode::Replace(files)),
        _ => Err(refused("standard input can be read only once")),
    }
}

fn cannot_open(name: &str, error: &std::io::Error) -> Refused {
    let text = error.raw_os_error().map_or_else(|| error.to_string(), errno_text);
    Refused::Failure(format!("setkey: Can't open `{name}': {text}"))
}

/// Returns the message that getopt(3) would print.
fn complaint(fail: &Fail) -> String {
    let dashed = |name: &str| if name.chars().count() == 1 { format!("'{name}'") } else { format!("'--{name}'") };
    match fail {
        Fail::ArgumentMissing(name) if name.chars().count() == 1 => {
            format!("setkey: option requires an argument -- {}", dashed(name))
        }
        Fail::ArgumentMissing(name) => format!("setkey: option {} requires an argument", dashed(name)),
        Fail::UnrecognizedOption(name) if name.chars().count() == 1 => {
            format!("setkey: invalid option -- {}", dashed(name))
        }
        Fail::UnrecognizedOption(name) => format!("setkey: unrecognized option {}", dashed(name)),
        other => format!("setkey: {other}"),
    }
}

/// Returns the usage text.
pub(crate) fn usage() -> String {
    format!("{VERSION_LINE}\n{USAGE}")
}

/// Returns a path as text for messages.
pub(crate) fn shown(path: &OsString) -> String {
    PathBuf::from(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> Result<Invocation, Refused> {
        parse(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn last_mode_takes_effect() {
        assert!(matches!(of(&["-F", "-D"]).unwrap().mode, Mode::Dump));
        assert!(matches!(of(&["-DF"]).unwrap().mode, Mode::Flush));
        assert!(matches!(of(&["-FD"]).unwrap().mode, Mode::Dump));
        assert!(matches!(of(&["-vxDc", "-n"]).unwrap().mode, Mode::Stdin));
        assert!(matches!(of(&["-cf-"]).unwrap().mode, Mode::Script(None, _)));
        assert!(matches!(of(&["-Df", "-", "-v"]).unwrap().mode, Mode::Script(None, _)));
        assert!(matches!(of(&["-D", "-f", "-", "-c"]).unwrap().mode, Mode::Stdin));
        assert!(matches!(of(&["-xx"]).unwrap().mode, Mode::Monitor(2)));
        assert!(matches!(of(&["-c", "file"]).unwrap().mode, Mode::Files(_)));
    }

    #[test]
    fn clusters() {
        let run = of(&["-DPvv", "-paN"]).unwrap();
        assert!(run.policies && run.style.verbose && run.style.ports && run.style.dead);
        assert!(run.style.hide_socket_policies && run.mirror);
        assert!(!of(&["-k", "-D"]).unwrap().mirror);
        assert!(of(&["-k", "-rD"]).unwrap().mirror);
        assert!(!of(&["-rk", "-D"]).unwrap().mirror);
    }

    #[test]
    fn values_and_operands_stay_whole() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        for (given, expected) in [
            ("-DPp", "-D -P -p"),
            ("-nf -DP -v", "-n -f -DP -v"),
            ("-nfDP -ab", "-n -fDP -a -b"),
            ("--check -DP --json -DP", "--check -DP --json -D -P"),
            ("-v -- -DP", "-v -- -DP"),
            ("-v - -DP", "-v - -DP"),
            ("-v file -DP", "-v file -DP"),
            ("-f", "-f"),
        ] {
            assert_eq!(apart(&words(given)), words(expected), "{given}");
        }
    }

    #[test]
    fn replace_loads_files() {
        let files = |arguments: &[&str]| match of(arguments) {
            Ok(Invocation { mode: Mode::Replace(files), .. }) => files.join(" "),
            other => format!("{other:?}"),
        };
        assert_eq!(files(&["-f", "--replace", "a"]), "a");
        assert_eq!(files(&["-ef", "--replace", "a", "-", "c"]), "a - c");
        assert_eq!(files(&["-f", "a", "--replace", "-f", "b"]), "a b");
        assert_eq!(files(&["--replace", "-f", "a", "b"]), "a b");
        assert_eq!(files(&["-f", "--replace", "-v", "a"]), "a");
        for (arguments, text) in [
            (&["-f", "--replace"][..], "setkey: --replace needs a file"),
            (&["-D", "-f", "--replace", "a"], "setkey: --replace goes with -f only"),
            (&["-f", "--replace", "-", "-"], "setkey: standard input can be read only once"),
        ] {
            assert_eq!(of(arguments).unwrap_err(), Refused::Usage(Some(text.into())), "{arguments:?}");
        }
        let refused = of(&["-f", "./--replace"]).unwrap_err();
        assert!(matches!(refused, Refused::Failure(_)), "a file: {refused:?}");
    }

    #[test]
    fn messages_are_those_of_getopt() {
        let complaint = |arguments: &[&str]| match of(arguments).unwrap_err() {
            Refused::Usage(line) => line.unwrap_or_default(),
            other => format!("{other:?}"),
        };
        assert_eq!(complaint(&["-Z"]), "setkey: invalid option -- 'Z'");
        assert_eq!(complaint(&["-f"]), "setkey: option requires an argument -- 'f'");
        assert_eq!(complaint(&["--frob"]), "setkey: unrecognized option '--frob'");
        assert_eq!(complaint(&["-v"]), "");
        assert_eq!(of(&["-hD"]).unwrap_err(), Refused::Help);
        assert_eq!(of(&["-V", "-h"]).unwrap_err(), Refused::Version);
    }

    #[test]
    fn options_of_freebsd() {
        let of_dialect = |dialect: &str, letters: &str| of(&["--dialect", dialect, letters]);
        let scope = |letters| of_dialect("freebsd", letters).unwrap().scope;
        assert_eq!([scope("-DP"), scope("-DPg"), scope("-DPt"), scope("-gtDP")], [0, 1, 2, 3]);
        let refused = of_dialect("netbsd", "-DPg").unwrap_err();
        let text = "setkey: -g is for FreeBSD: policies of netbsd have no scope";
        assert_eq!(refused, Refused::Usage(Some(text.into())));
        for (dialect, hex) in [("freebsd", true), ("netbsd", true), ("linux", false), ("darwin", false)] {
            let run = of_dialect(dialect, "-hx");
            assert_eq!(run.is_ok_and(|run| run.style.hex && matches!(run.mode, Mode::Monitor(1))), hex, "{dialect}");
            assert_eq!(of_dialect(dialect, "-h").unwrap_err(), Refused::Help, "{dialect}");
        }
    }

    #[test]
    fn files_are_opened_while_options_are_read() {
        let refused = of(&["-f", "/nonexistent/file", "-D"]).unwrap_err();
        let text = "setkey: Can't open `/nonexistent/file': No such file or directory";
        assert_eq!(refused, Refused::Failure(text.into()));
    }
}
