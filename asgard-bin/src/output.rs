//! Printing what came back: aligned tables for people, JSON and YAML as it is.

mod table;

use crate::{
    cli::Format,
    failure::{Failure, Result},
};
use asgard_lib::kernel::is_plain;
use serde_json::Value;
use std::{
    fmt::Display,
    io::{self, ErrorKind, IsTerminal, Write},
};

/// Where a terminal's width is not known.
const WIDTH: usize = 100;

/// Prints a line on stdout. A reader that has gone, such as `head`, is no failure.
pub fn line(text: impl Display) -> Result<()> {
    write(&format!("{text}\n"))
}

fn write(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::failed(format!("the output cannot be written: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Prints a value.
pub fn value(value: &Value, format: Format) -> Result<()> {
    let bug = |error: &dyn Display| Failure::failed(format!("the answer cannot be printed: {error}"));
    let text = match format {
        Format::Table => table::render(value, width()),
        Format::Json => format!("{}\n", serde_json::to_string_pretty(value).map_err(|e| bug(&e))?),
        Format::Yaml => {
            let text = serde_saphyr::to_string(value).map_err(|e| bug(&e))?;
            if text.ends_with('\n') { text } else { text + "\n" }
        }
    };
    write(&if io::stdout().is_terminal() { seen(&text, format) } else { text })
}

/// The text as it may go to a terminal, which takes C1 controls for commands. JSON escapes them; elsewhere they are replaced.
fn seen(text: &str, format: Format) -> String {
    let mut seen = String::with_capacity(text.len());
    for c in text.chars() {
        match (c, format) {
            ('\n', _) => seen.push(c),
            (c, Format::Json) if c.is_control() || !is_plain(c) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    seen.push_str(&format!("\\u{unit:04x}"));
                }
            }
            (c, Format::Yaml | Format::Table) if c.is_control() || !is_plain(c) => seen.push('\u{FFFD}'),
            (c, Format::Json | Format::Yaml | Format::Table) => seen.push(c),
        }
    }
    seen
}

/// The width to fit a table into; what is not shown on a terminal is only kept from growing without bounds.
fn width() -> Option<usize> {
    let stdout = io::stdout();
    stdout.is_terminal().then(|| {
        let columns = rustix::termios::tcgetwinsize(&stdout).map_or(0, |size| usize::from(size.ws_col));
        if columns == 0 { WIDTH } else { columns }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_no_c1_control_and_json_stays_json() {
        let hostile = serde_json::json!({"name": "a\u{9b}31m\u{85}\u{7f}\u{202e}b\u{e0041}", "fine": "Jürgen"});
        let printed = seen(&serde_json::to_string_pretty(&hostile).unwrap(), Format::Json);
        assert!(printed.chars().all(|c| c == '\n' || is_plain(c)), "{printed:?}");
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), hostile);
        assert!(seen("a\u{9b}b\n", Format::Yaml).chars().all(|c| c == '\n' || is_plain(c)));
    }
}
