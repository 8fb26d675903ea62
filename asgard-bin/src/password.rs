//! Where new passwords come from: a prompt that shows nothing, standard input, or chance.

use crate::{
    cli::PasswordArgs,
    failure::{Failure, Result},
};
use asgard_lib::kernel::SecretText;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Read, Write};
use zeroize::Zeroizing;

/// The longest line that is read as a password.
const MAX: u64 = 4096;

/// A password that somebody chose, or `None` when one is to be generated.
pub fn ask(args: &PasswordArgs) -> Result<Option<SecretText>> {
    if args.password_stdin {
        return line().map(Some);
    }
    if args.generate || !io::stdin().is_terminal() {
        return Ok(None);
    }
    let first = prompt("New password (leave empty to generate one): ")?;
    if first.reveal().is_empty() {
        return Ok(None);
    }
    let second = prompt("The same again: ")?;
    if !first.same(second.reveal()) {
        return Err(Failure::usage("the two passwords differ; nothing was changed"));
    }
    Ok(Some(first))
}

fn line() -> Result<SecretText> {
    let mut text = Zeroizing::new(String::new());
    let read = io::stdin().lock().take(MAX).read_line(&mut text);
    read.map_err(|error| Failure::failed(format!("the password cannot be read: {error}")))?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        return Err(Failure::usage("standard input holds no password").hint("Write it as the first line."));
    }
    Ok(SecretText::new(text))
}

fn prompt(question: &str) -> Result<SecretText> {
    let cannot = |error: io::Error| Failure::failed(format!("the terminal cannot be used: {error}"));
    let quiet = Quiet::start().map_err(cannot)?;
    let mut stderr = io::stderr();
    write!(stderr, "{question}").and_then(|()| stderr.flush()).map_err(cannot)?;
    let mut text = Zeroizing::new(String::new());
    let read = io::stdin().lock().take(MAX).read_line(&mut text);
    drop(quiet);
    let _ = writeln!(stderr);
    let read = read.map_err(cannot)?;
    // The terminal passes ctrl-C on as a letter while it is quiet, so that it is never left without echo.
    if read == 0 || text.contains('\u{3}') {
        return Err(Failure::usage("cancelled; nothing was changed"));
    }
    Ok(SecretText::new(text.trim_end_matches(['\n', '\r'])))
}

/// A terminal that does not show what is typed, until this is dropped.
struct Quiet(Termios);

impl Quiet {
    fn start() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes -= LocalModes::ECHO | LocalModes::ISIG;
        // Ctrl-C ends the line, so that it takes effect without another key.
        quiet.special_codes[rustix::termios::SpecialCodeIndex::VEOL] = 3;
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
