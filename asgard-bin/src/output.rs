//! Printing what came back: aligned tables for people, JSON and YAML as it is.

mod table;

use crate::{
    cli::Format,
    failure::{Failure, Result},
};
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
    write(&text)
}

/// The width to fit a table into; what is not shown on a terminal is only kept from growing without bounds.
fn width() -> Option<usize> {
    let stdout = io::stdout();
    stdout.is_terminal().then(|| {
        let columns = rustix::termios::tcgetwinsize(&stdout).map_or(0, |size| usize::from(size.ws_col));
        if columns == 0 { WIDTH } else { columns }
    })
}
