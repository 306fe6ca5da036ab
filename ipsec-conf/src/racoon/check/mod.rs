//! Semantic check: converts statements to a configuration, or reports what is wrong with them.

mod directory;
mod duplicate;
mod global;
mod identifier;
mod include;
mod keys;
mod mode_cfg;
mod proposal;
mod remote;
mod sainfo;
mod weakness;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::config::Config;
use super::directive::{Directive, Section};
use super::foreign::{Foreign, foreign, replacement};
use super::loader::Loader;
use super::meaning;
use super::operands::Operands;
use super::parser::{Body, Statement};
use super::place::Place;
use super::problem::{Problem, Problems, SYNTAX_ERROR, Severity};
use super::source::Source;
use super::suite::Suite;
use super::token::{Kind, Token};
use libpfkey::spelling;
use weakness::Weakness;

/// Result of a load.
#[derive(Debug)]
pub struct Load {
    /// The configuration; `None` when there were errors.
    pub config: Option<Config>,
    /// Errors and warnings in the order of files and places; only the first of very many.
    pub problems: Vec<Problem>,
    /// Number of errors.
    pub errors: usize,
}

/// Reads a configuration and the files that it includes, without putting it into effect.
///
/// `path` is a pattern, as in `include`. Files that the configuration names are checked through `loader`: certificates and
/// keys must exist.
pub fn load(path: &str, loader: &dyn Loader) -> Load {
    let mut check = Check::new(loader);
    check.main_file(path);
    check.finish()
}

/// A load under way.
struct Check<'l> {
    loader: &'l dyn Loader,
    problems: Problems,
    config: Config,
    /// Files that were read.
    files: u32,
    /// Files that are being read, the outermost first.
    stack: Vec<Arc<Path>>,
    remotes: remote::Drafts,
    sainfos: HashMap<sainfo::Key, Place>,
    weaknesses: HashSet<Weakness>,
    used: HashSet<(Section, &'static str)>,
    /// A remote that needs a file of pre-shared keys.
    needs_psk: Option<Place>,
    pool_size: Option<u32>,
}

impl<'l> Check<'l> {
    fn new(loader: &'l dyn Loader) -> Self {
        Self {
            loader,
            problems: Problems::default(),
            config: Config::default(),
            files: 0,
            stack: Vec::new(),
            remotes: remote::Drafts::default(),
            sainfos: HashMap::new(),
            weaknesses: HashSet::new(),
            used: HashSet::new(),
            needs_psk: None,
            pool_size: None,
        }
    }

    /// Performs the checks that need all files, and returns the result.
    fn finish(mut self) -> Load {
        self.config.remotes = std::mem::take(&mut self.remotes).into_remotes();
        // A stable sort keeps equal ones in the order of the file.
        self.config.sainfos.sort_by_key(|sainfo| std::cmp::Reverse(sainfo.priority()));
        self.finish_mode_cfg();
        // Sorts what follows after the problems of every file.
        self.problems.enter(u32::MAX);
        self.check_duplicate_remotes();
        self.check_privsep();
        self.check_psk();
        self.check_generated();
        let errors = self.problems.errors();
        Load { config: (errors == 0).then_some(self.config), problems: self.problems.into_sorted(), errors }
    }

    /// Checks the statements of a file.
    fn statements(&mut self, source: &Source, statements: &[Statement<'_>]) {
        for statement in statements {
            self.top(source, statement);
        }
    }

    fn top(&mut self, source: &Source, statement: &Statement<'_>) -> Option<()> {
        let directive = self.directive(source, Section::Top, statement)?;
        if let Some(inner) = Section::Top.inner(directive.name) {
            return self.section(source, inner, statement);
        }
        let skip = directive.name.split(' ').count();
        if statement.body.is_some() {
            return unexpected_body(&self.problems, source, statement);
        }
        if directive.name == "include" {
            return self.include(source, statement);
        }
        self.global(source, directive.name, statement, skip)
    }

    /// Checks a section of the top level.
    fn section(&mut self, source: &Source, section: Section, statement: &Statement<'_>) -> Option<()> {
        match section {
            Section::Remote => return self.remote(source, statement),
            Section::Sainfo => return self.sainfo(source, statement),
            _ => {}
        }
        let body = only_body(&self.problems, source, statement)?;
        // Its values have a place in the configuration only from here on.
        if section == Section::Privsep {
            self.begin_privsep(source, statement);
        }
        for statement in &body.statements {
            self.simple_directive(source, section, statement);
        }
        Some(())
    }

    /// Checks a directive of a section without sections inside.
    fn simple_directive(&mut self, source: &Source, section: Section, statement: &Statement<'_>) -> Option<()> {
        let directive = self.directive(source, section, statement)?;
        if statement.body.is_some() {
            return unexpected_body(&self.problems, source, statement);
        }
        let mut op = Operands::new(source, &self.problems, statement, 1);
        let config = &mut self.config;
        match section {
            Section::Privsep => global::privsep(config, directive.name, &mut op)?,
            Section::Padding => global::padding(&mut config.padding, directive.name, &mut op)?,
            Section::Listen => {
                let token = op.peek();
                global::listen(&mut config.listen, directive.name, &mut op)?;
                if let (true, Some(socket)) = (directive.name.starts_with("isakmp"), self.config.listen.sockets.last())
                {
                    self.check_scope(source, &token, &socket.address);
                }
            }
            Section::Timer => global::timer(&mut config.timer, directive.name, &mut op)?,
            Section::ModeCfg => {
                mode_cfg::mode_cfg(&mut config.mode_cfg, &mut self.pool_size, directive.name, &mut op)?;
            }
            Section::Ldap => directory::ldap(&mut config.ldap, directive.name, &mut op)?,
            _ => directory::radius(&mut config.radius, directive.name, &mut op)?,
        }
        op.finish()
    }

    /// Returns the directive of a statement and records its first place.
    fn directive(
        &mut self,
        source: &Source,
        section: Section,
        statement: &Statement<'_>,
    ) -> Option<&'static Directive> {
        let directive = find(&self.problems, source, section, statement)?;
        if self.used.insert((directive.section, directive.name)) {
            let place = statement.words.first().map_or_else(|| source.place(&statement.end), |word| source.place(word));
            self.config.directives.0.push((directive, place));
        }
        Some(directive)
    }
}

/// Returns the directive of a statement, or reports what its first word may mean.
fn find(
    problems: &Problems,
    source: &Source,
    section: Section,
    statement: &Statement<'_>,
) -> Option<&'static Directive> {
    let first = statement.words.first()?;
    let second = statement.words.get(1).map_or("", |word| word.text);
    // A string is never a directive, even if it contains the name of one.
    if first.kind == Kind::Word {
        if let Some(directive) = section.directive(first.text, second) {
            return Some(directive);
        }
        match foreign(Some(section), first.text) {
            Some(Foreign::Ignored(why)) => {
                problems.warning(source, first, &format!("{} is ignored", first.text), Some(why.to_owned()));
                return None;
            }
            Some(Foreign::Refused(why)) => {
                problems.error(source, first, &format!("{} is not supported", first.text), Some(why.to_owned()));
                return None;
            }
            None => {}
        }
    }
    // The second word of `path` is wrong, not the first.
    let (token, hint) = match section == Section::Top && first.is_word("path") {
        true => {
            let words = section.directives().iter().filter_map(|directive| directive.name.strip_prefix("path "));
            let words: Vec<&str> = words.collect();
            let Some(token) = statement.words.get(1) else {
                return no_path(problems, source, statement, &words);
            };
            (token, Some(path_hint(second, &words)))
        }
        false => (first, misplaced(section, first)),
    };
    problems.error(source, token, SYNTAX_ERROR, hint.or_else(|| Some("no such directive".to_owned())));
    None
}

/// Reports `path` without a second word.
fn no_path(
    problems: &Problems,
    source: &Source,
    statement: &Statement<'_>,
    words: &[&str],
) -> Option<&'static Directive> {
    let op = Operands::new(source, problems, statement, 1);
    op.unexpected(&spelling::either(words))
}

/// Returns a hint for an unknown second word of `path`.
fn path_hint(word: &str, words: &[&str]) -> String {
    match word {
        "psk" | "secrets" | "keys" | "preshared_key" => "write `path pre_shared_key`".to_owned(),
        "cert" | "certs" | "ca" => "write `path certificate`".to_owned(),
        "pid" => "write `path pidfile`".to_owned(),
        "logfile" | "log" => "racoon logs to syslog, or to the file of `racoon -l`".to_owned(),
        _ => meaning::choice(word, words),
    }
}

/// Returns a hint for a word that begins no directive here: where it belongs, or which word was meant.
fn misplaced(section: Section, word: &Token<'_>) -> Option<String> {
    match word.kind {
        Kind::Port => {
            return Some(
                "`[section]` is the form of isakmpd.conf: here a section is a word followed by braces".to_owned(),
            );
        }
        Kind::String | Kind::Comma => return Some("a directive begins with a word".to_owned()),
        _ => {}
    }
    let homes = Section::ALL.into_iter().filter(|home| *home != section && home.has(word.text));
    // A directive in the wrong section is more likely than a misspelt one, so it comes first.
    let homes: Vec<&str> = homes.map(Section::name).collect();
    let of_others = || replacement(section, word.text);
    match homes.as_slice() {
        [] if section == Section::Sainfo && Suite::read(word.text).is_some_and(|suite| suite.kinds() == 1) => {
            Some("write several algorithms in one list, separated by commas".to_owned())
        }
        [] => of_others().or_else(|| spelling::guess(word.text, section.words())),
        [""] => Some(format!("`{}` belongs outside of all sections", word.text)),
        // A word that is also allowed outside names a section here.
        names if of_others().is_none() => Some(format!("`{}` belongs in {}", word.text, spelling::either(names))),
        _ => of_others(),
    }
}

/// Returns the body of a section that takes no operands.
fn only_body<'a, 's>(problems: &Problems, source: &Source, statement: &'a Statement<'s>) -> Option<&'a Body<'s>> {
    if let Some(extra) = statement.words.get(1) {
        problems.error(source, extra, SYNTAX_ERROR, Some("expected `{`".to_owned()));
    }
    body(problems, source, statement)
}

fn body<'a, 's>(problems: &Problems, source: &Source, statement: &'a Statement<'s>) -> Option<&'a Body<'s>> {
    if statement.body.is_none() && statement.end.kind == Kind::Semicolon {
        problems.error(source, &statement.end, SYNTAX_ERROR, Some("expected `{`".to_owned()));
    }
    statement.body.as_ref()
}

fn unexpected_body(problems: &Problems, source: &Source, statement: &Statement<'_>) -> Option<()> {
    problems.error(source, &statement.end, SYNTAX_ERROR, Some("expected `;`: this is not a section".to_owned()));
    None
}

/// Returns a path; a relative name is resolved against the directory.
fn resolve(directory: Option<&Path>, name: &str) -> Box<Path> {
    // Joining an absolute path gives that path.
    directory.map_or_else(|| Path::new(name).into(), |directory| directory.join(name).into())
}

/// Reports a problem at a place.
fn at_place(problems: &Problems, place: &Place, severity: Severity, message: impl Into<String>, hint: Option<String>) {
    problems.at_place(place.clone(), severity, "", message.into(), hint);
}
