//! Results on their way out of the lab: a line of JSON for each case.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::escape;
use super::view::View;

/// The result of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) file: PathBuf,
    pub(crate) case: String,
    /// The masked output by view, or the reason why the case could not run.
    pub(crate) seen: Result<Vec<(View, Vec<u8>)>, String>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    file: PathBuf,
    case: String,
    seen: Result<Vec<(String, String)>, String>,
}

impl Outcome {
    pub(crate) fn line(&self) -> Result<String> {
        let text = |(view, bytes): &(View, Vec<u8>)| (view.title().to_owned(), escape::write(bytes));
        let seen = self.seen.as_ref().map(|seen| seen.iter().map(text).collect()).map_err(Clone::clone);
        let line = Line { file: self.file.clone(), case: self.case.clone(), seen };
        Ok(format!("{}\n", serde_json::to_string(&line)?))
    }

    pub(crate) fn parse(line: &str) -> Result<Self> {
        let line: Line = serde_json::from_str(line)?;
        let bytes = |(title, text): (String, String)| {
            let view = View::ALL.into_iter().find(|view| view.title() == title).context("an unknown view")?;
            Ok((view, escape::read(&text)?))
        };
        let seen = match line.seen {
            Ok(seen) => Ok(seen.into_iter().map(bytes).collect::<Result<_>>()?),
            Err(trouble) => Err(trouble),
        };
        Ok(Self { file: line.file, case: line.case, seen })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_round_trip() {
        let seen = vec![(View::Exit, b"0\n".to_vec()), (View::Stdout, b"\xff\0no newline".to_vec())];
        for seen in [Ok(seen), Err("no setup".to_owned())] {
            let outcome = Outcome { file: "add.case".into(), case: "one".to_owned(), seen };
            assert_eq!(Outcome::parse(&outcome.line().expect("a line")).expect("an outcome"), outcome);
        }
    }
}
