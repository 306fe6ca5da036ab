//! The case file: inputs and expectations in plain text, described in `regress/compliance/README.md`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::escape;
use super::view::View;

/// A file of cases, with everything needed to write it back unchanged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CaseFile {
    pub(crate) path: PathBuf,
    /// The lines before the first case.
    preamble: String,
    pub(crate) cases: Vec<Case>,
}

/// A case.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// The header lines as written, without blank ones.
    header: Vec<String>,
    sections: Vec<Section>,
}

/// A titled block of bytes: an input or an expectation.
#[derive(Debug, PartialEq, Eq)]
struct Section {
    title: String,
    body: Vec<u8>,
}

impl CaseFile {
    /// Reads and parses `path`.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(path, &text)
    }

    /// Parses the text of a case file; `path` is used in messages.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self> {
        let mut file = Self { path: path.to_owned(), preamble: String::new(), cases: Vec::new() };
        // A body is collected as text, because only its end decides whether a last blank line is a separator.
        let mut body = String::new();
        for (line, number) in text.split_inclusive('\n').zip(1..) {
            file.take(line, &mut body).with_context(|| format!("{}:{number}", path.display()))?;
        }
        file.close(&mut body, false).with_context(|| path.display().to_string())?;
        Ok(file)
    }

    /// Returns the text that `parse` reads.
    pub(crate) fn text(&self) -> String {
        let cases: Vec<_> = self.cases.iter().map(Case::text).collect();
        format!("{}{}", self.preamble, cases.join("\n"))
    }

    /// Processes one line; `body` is the text of the current section so far.
    fn take(&mut self, line: &str, body: &mut String) -> Result<()> {
        if let Some(name) = line.strip_prefix("=== ") {
            self.close(body, true)?;
            let case = Case { name: name.trim_end().to_owned(), ..Case::default() };
            ensure!(is_name(&case.name), "a case's name may contain only a-z, 0-9 and -");
            ensure!(self.cases.iter().all(|other| other.name != case.name), "the name {} is taken", case.name);
            self.cases.push(case);
            return Ok(());
        }
        if let Some(title) = line.strip_prefix("--- ") {
            self.close(body, false)?;
            return self.cases.last_mut().context("a section before the first case")?.open(title.trim_end());
        }
        match self.cases.last_mut() {
            None => self.preamble.push_str(line),
            Some(case) if case.sections.is_empty() => case.push_header(line)?,
            Some(_) => body.push_str(line),
        }
        Ok(())
    }

    /// Ends the current section.
    fn close(&mut self, body: &mut String, case_ends: bool) -> Result<()> {
        let text = if case_ends { body.strip_suffix("\n\n").map(|text| format!("{text}\n")) } else { None };
        // A body of one blank line before the next case is empty.
        let text = if case_ends && body == "\n" { Some(String::new()) } else { text };
        if let Some(section) = self.cases.last_mut().and_then(|case| case.sections.last_mut()) {
            section.body = escape::read(text.as_deref().unwrap_or(body))?;
        }
        body.clear();
        Ok(())
    }
}

impl Case {
    /// Returns the value of the header `key`.
    pub(crate) fn header(&self, key: &str) -> Option<&str> {
        self.header.iter().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim()))
    }

    /// Returns the arguments for setkey: those of the header, or `-f script` if there is a script and no header.
    pub(crate) fn arguments(&self) -> Vec<String> {
        match self.header("args") {
            Some(words) => split_words(words),
            None if self.input("script").is_some() => vec!["-f".to_owned(), "script".to_owned()],
            None => Vec::new(),
        }
    }

    /// Returns the body of the input section `title`.
    pub(crate) fn input(&self, title: &str) -> Option<&[u8]> {
        self.section(title).map(|section| section.body.as_slice())
    }

    /// Returns the files to create before the case runs.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.sections.iter().filter_map(|section| Some((section.file()?, section.body.as_slice())))
    }

    /// Returns whether the case is for `backend`.
    pub(crate) fn is_for(&self, backend: &str) -> bool {
        self.header("only").is_none_or(|only| only.split_ascii_whitespace().any(|name| name == backend))
    }

    /// Returns the expectation for `view`, or `None` if the case does not check it.
    pub(crate) fn expected(&self, view: View, backend: &str) -> Option<&[u8]> {
        let special = self.section(&special_title(view, backend));
        let section = special.or_else(|| self.section(view.title()));
        section.map(|section| section.body.as_slice()).or(view.default())
    }

    /// Makes `bytes` the expectation for every backend, unless this backend has or needs one of its own.
    pub(crate) fn bless(&mut self, view: View, backend: &str, main_backend: bool, bytes: &[u8]) {
        if self.expected(view, backend) == Some(bytes) {
            return;
        }
        let special = special_title(view, backend);
        // The plain expectation remains valid for the other backends.
        let own = self.section(&special).is_some() || !main_backend;
        self.set(if own { &special } else { view.title() }, bytes, if own { None } else { view.default() });
    }

    /// Sets the body of a section, or removes the section if the body is the default. A new section is inserted in
    /// order.
    fn set(&mut self, title: &str, bytes: &[u8], default: Option<&[u8]>) {
        if default == Some(bytes) {
            self.sections.retain(|section| section.title != title);
            return;
        }
        match self.sections.iter_mut().find(|section| section.title == title) {
            Some(section) => section.body = bytes.to_owned(),
            None => {
                let before = |section: &Section| rank(&section.title) <= rank(title);
                let at = self.sections.iter().rposition(before).map_or(0, |at| at + 1);
                self.sections.insert(at, Section { title: title.to_owned(), body: bytes.to_owned() });
            }
        }
    }

    fn section(&self, title: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.title == title)
    }

    fn open(&mut self, title: &str) -> Result<()> {
        let section = Section { title: title.to_owned(), body: Vec::new() };
        let (plain, backend) = match title.strip_suffix(']').and_then(|title| title.split_once(" [")) {
            Some((plain, backend)) => (plain, Some(backend)),
            None => (title, None),
        };
        let view = View::ALL.iter().any(|view| view.title() == plain);
        ensure!(
            view || (backend.is_none() && (title == "stdin" || section.file().is_some())),
            "unknown section {title}"
        );
        ensure!(self.section(title).is_none(), "duplicate section {title}");
        self.sections.push(section);
        Ok(())
    }

    fn push_header(&mut self, line: &str) -> Result<()> {
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(());
        }
        if !line.starts_with('#') {
            let (key, _) = line.split_once(':').context("expected `key: value`, `# comment` or `--- section`")?;
            ensure!(HEADERS.contains(&key), "unknown header {key}; expected one of: {}", HEADERS.join(", "));
            ensure!(self.header(key).is_none(), "duplicate header {key}");
        }
        self.header.push(line.to_owned());
        Ok(())
    }

    fn text(&self) -> String {
        let header: String = self.header.iter().map(|line| format!("{line}\n")).collect();
        let sections: String =
            self.sections.iter().map(|s| format!("--- {}\n{}", s.title, escape::write(&s.body))).collect();
        format!("=== {}\n{header}{sections}", self.name)
    }
}

impl Section {
    /// Returns the file name, if the section is a file.
    fn file(&self) -> Option<&str> {
        match self.title.as_str() {
            "script" | "setup" => Some(&self.title),
            title => title.strip_prefix("file ").filter(|name| !name.is_empty() && !name.contains('/')),
        }
    }
}

/// Permitted header keys.
const HEADERS: &[&str] = &["about", "args", "only", "before", "during", "stdin", "sockets"];

/// The order of sections: inputs as written, then expectations.
fn rank(title: &str) -> usize {
    let plain = title.split_once(" [").map_or(title, |(plain, _)| plain);
    View::ALL.iter().position(|view| view.title() == plain).map_or(0, |at| at + 1)
}

fn special_title(view: View, backend: &str) -> String {
    format!("{} [{backend}]", view.title())
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
}

/// Splits at blanks; `'...'` keeps blanks inside together.
fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut quoted) = (None::<String>, false);
    for c in text.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests;
