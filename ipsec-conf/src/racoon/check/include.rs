//! Reading of files and of the files that they include.

use std::path::Path;
use std::sync::Arc;

use super::{Check, resolve};
use crate::racoon::operands::Operands;
use crate::racoon::parser::{Statement, parse};
use crate::racoon::place::Place;
use crate::racoon::problem::Severity;
use crate::racoon::source::{Source, is_utf16};
use crate::system_error;

/// Maximum nesting of files, including the first.
const DEPTH: usize = 10;

/// Maximum number of files.
const FILES: u32 = 10_000;

impl Check<'_> {
    /// Reads the main file, or all files that match a pattern.
    pub(super) fn main_file(&mut self, pattern: &str) {
        let fail = |check: &Self, path: &str, message: String| {
            let place = Place { file: path.into(), line: 0, column: 0 };
            check.problems.at_place(place, Severity::Error, "", message, None);
        };
        match self.loader.expand(pattern) {
            Err(error) => fail(self, pattern, system_error(&error)),
            Ok(paths) if paths.is_empty() => fail(self, pattern, "no such file".to_owned()),
            Ok(paths) => {
                for path in paths {
                    if let Err(error) = self.file(&path) {
                        fail(self, &path.to_string_lossy(), format!("cannot be read: {}", system_error(&error)));
                    }
                }
            }
        }
    }

    /// Reads the files of `include "PATTERN";`.
    pub(super) fn include(&mut self, source: &Source, statement: &Statement<'_>) -> Option<()> {
        let mut op = Operands::new(source, &self.problems, statement, 1);
        let token = op.string_token("a file name")?;
        op.finish()?;
        if self.stack.len() >= DEPTH {
            return op.fail(&token, "too many files include each other", Some(format!("at most {DEPTH}")));
        }
        let name = token.value();
        // The loader expands home directories, so `~` is not a relative name.
        let directory = self.config.paths.include.as_deref().filter(|_| !name.starts_with('~'));
        let pattern = resolve(directory, name);
        let pattern = pattern.to_string_lossy();
        let paths = match self.loader.expand(&pattern) {
            Ok(paths) => paths,
            Err(error) => return op.fail(&token, &format!("cannot include {pattern}: {}", system_error(&error)), None),
        };
        if paths.is_empty() {
            return op.fail(&token, &format!("no file matches {pattern}"), None);
        }
        for path in paths {
            if self.stack.iter().any(|open| **open == *path) {
                self.problems.error(source, &token, &format!("{} includes itself", path.display()), None);
            } else if let Err(error) = self.file(&path) {
                let message = format!("cannot include {}: {}", path.display(), system_error(&error));
                self.problems.error(source, &token, &message, None);
            }
        }
        Some(())
    }

    /// Reads a file and checks its statements.
    fn file(&mut self, path: &Path) -> std::io::Result<()> {
        if self.files >= FILES {
            return Err(std::io::Error::other("too many files"));
        }
        let bytes = self.loader.read(path)?;
        self.files += 1;
        let outer = self.problems.enter(self.files);
        // Its bytes are not a text in any encoding that racoon reads, so each line would be an error.
        if is_utf16(&bytes) {
            let place = Place { file: path.to_string_lossy().into(), line: 0, column: 0 };
            let hint = Some("save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`".to_owned());
            self.problems.at_place(place, Severity::Error, "", "the file is in UTF-16".to_owned(), hint);
            self.problems.enter(outer);
            return Ok(());
        }
        let source = Source::new(&path.to_string_lossy(), bytes);
        if source.latin1 {
            let place = Place { file: source.name.clone(), line: 0, column: 0 };
            let hint = Some("comments do not matter, but names and identities may be misread".to_owned());
            self.problems.at_place(place, Severity::Warning, "", "not UTF-8: read as ISO 8859-1".to_owned(), hint);
        }
        source.report_stray(&self.problems);
        // Checked at once, not after all files: a `path` directive changes what later names mean.
        self.stack.push(Arc::from(path));
        let statements = parse(&source, &self.problems);
        self.statements(&source, &statements);
        self.stack.pop();
        self.problems.enter(outer);
        Ok(())
    }
}
