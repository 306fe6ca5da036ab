//! Positional arguments: prints files of PF_KEY messages as if a kernel had sent them.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::process::ExitCode;

use libpfkey::backend::MESSAGE_MAX;
use libpfkey::wire::{HEADER_LEN, peek_header};
use libpfkey::{Abi, Dialect, errno_text};
use zeroize::Zeroizing;

use crate::cli;
use crate::console::{Console, Source};
use crate::script::text_of;
use crate::view::{Style, Tag, View};

/// Prints each file. `-v` has no effect here, as in the C program.
///
/// # Errors
/// Returns the line that names the file that cannot be printed.
pub(crate) fn run(files: &[OsString], style: Style, dialect: Option<Dialect>) -> Result<ExitCode, String> {
    let abi = Abi::of(dialect.unwrap_or(Dialect::HOST));
    let style = Style { verbose: false, ..style };
    let mut view = View::new(Console::new(Source::Unnamed), style);
    for name in files {
        let shown = show(name, abi, &mut view);
        view.console.flush();
        shown.map_err(|text| format!("{}: {text}", cli::shown(name)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(name: &OsString, abi: Abi, view: &mut View) -> Result<(), String> {
    let file = File::open(name).map_err(|error| text_of(&error))?;
    let mut file = BufReader::new(file);
    let mut buffer = Zeroizing::new(vec![0; MESSAGE_MAX]);
    let mut first = true;
    loop {
        let got = fill(&mut file, buffer.get_mut(..HEADER_LEN).unwrap_or_default())?;
        // A file without a single message is an error.
        if got == 0 && !first {
            return Ok(());
        }
        first = false;
        let invalid = || errno_text(libc::EINVAL);
        let header = peek_header(abi, buffer.get(..got).unwrap_or_default()).map_err(|_| invalid())?;
        // The header gives the length in units of 64 bits.
        let length = usize::from(header.words) * 8;
        let rest = buffer.get_mut(HEADER_LEN..length).ok_or_else(invalid)?;
        if fill(&mut file, rest)? != rest.len() {
            return Err(invalid());
        }
        view.reply(abi, Tag::default(), buffer.get(..length).unwrap_or_default());
    }
}

/// Reads until the buffer is full or the file ends; returns the bytes read.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> Result<usize, String> {
    let mut got = 0;
    while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(length) => got += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(text_of(&error)),
        }
    }
    Ok(got)
}
