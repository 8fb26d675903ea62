//! A run's log by lines: in the order of time once the run is over, and as it grows until then.

mod pages;

use super::read::run_of;
use crate::{
    app::{Hints, Meta, Route, SimpleOperation, Tx, core::operation::Method::Get},
    domain::{
        access::Action,
        run::{LogLine, RunStatus},
    },
    error::{Error, Result},
    kernel::RunId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use typed_builder::TypedBuilder;

/// Reads a run's log.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct RunLog {
    /// The run's id, `run_...`, from `resource_runs` or a request's `current_run`.
    pub run_id: RunId,
    /// The `next` of an earlier answer: only lines after it are returned. Without it the log is read from its beginning.
    #[serde(default)]
    #[builder(default)]
    #[schemars(regex(pattern = r"^(t[0-9]{1,8}|s[0-9]{1,8}\.[0-9]{1,8})$"))]
    pub after: Option<String>,
    /// How many lines are returned at most: 1 to 2000, 500 unless told. Very long lines make it fewer.
    #[serde(default = "lines")]
    #[schemars(range(min = 1, max = 2000))]
    #[builder(default = lines())]
    pub limit: u32,
    /// Only the last lines, so many: 1 to 2000. What comes after them is read with `after` set to this answer's `next`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 2000))]
    #[builder(default)]
    pub tail: Option<u32>,
}

const fn lines() -> u32 {
    500
}

/// A piece of a run's log.
#[derive(Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct LogView {
    /// The lines of this piece by their times, oldest first. A line that is late may come in a later piece as long as the run goes on,
    /// and where a log is very long.
    pub lines: Vec<LogLine>,
    /// The text to pass as `after` to get the lines that come next.
    pub next: String,
    /// The state of the run.
    pub status: RunStatus,
    /// Whether the run is over and nothing more will come.
    pub complete: bool,
}

/// The most lines of an answer.
const MAX_LINES: u32 = 2000;

/// A place in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// After so many lines of a segment, in the order in which they were stored: where a log that grows is read on, and one that is
    /// too long to be put in order.
    Stored { segment: u32, line: u32 },
    /// After so many lines in the order of time: where the beginning of a log that is whole is read on.
    InOrder(u32),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored { segment, line } => write!(f, "s{segment}.{line}"),
            Self::InOrder(lines) => write!(f, "t{lines}"),
        }
    }
}

impl FromStr for Place {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        let number = |text: &str| {
            let plain = (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| text.parse::<u32>().ok()).flatten()
        };
        let place = match text.strip_prefix('t') {
            Some(lines) => number(lines).map(Self::InOrder),
            None => text
                .strip_prefix('s')
                .and_then(|rest| rest.split_once('.'))
                .and_then(|(segment, line)| Some(Self::Stored { segment: number(segment)?, line: number(line)? })),
        };
        place.ok_or_else(|| Error::invalid("after", "Expected the `next` of an earlier answer."))
    }
}

impl SimpleOperation for RunLog {
    type Output = LogView;
    const META: Meta = Meta {
        name: "runs.log",
        title: "Read a run's log",
        description: "What Terraform said, with secrets taken out, line by line in the order of time. `tail` gives the last lines. Poll with \
                      `after` set to the `next` of the last answer until `complete`.",
        action: Action::ReadProject,
        routes: &[Route { method: Get, path: "/runs/{run_id}/log", status: 200 }],
        tools: &["run_log"],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<LogView> {
        let run = run_of(tx, &self.run_id).await?;
        let counts = |name: &'static str, lines: u32| match lines {
            1..=MAX_LINES => Ok(lines),
            _ => Err(Error::invalid(name, format!("Expected 1 to {MAX_LINES} lines."))),
        };
        let limit = counts("limit", self.limit)?;
        let tail = self.tail.map(|lines| counts("tail", lines)).transpose()?;
        let after = self.after.as_deref().map(str::parse::<Place>).transpose()?;
        if after.is_some() && tail.is_some() {
            return Err(Error::invalid("tail", "Send `tail` for the last lines or `after` to read on, not both."));
        }
        // The run was read before its log: one that was over by then had written all of it.
        let (app, over) = (tx.app(), run.status.is_over());
        let page = match (after, tail) {
            (_, Some(tail)) => pages::last(app, &self.run_id, tail).await?,
            (Some(Place::Stored { segment, line }), None) => {
                pages::as_stored(app, &self.run_id, segment, line, limit).await?
            }
            (None, None) if !over => pages::as_stored(app, &self.run_id, 0, 0, limit).await?,
            (None, None) => pages::in_order(app, &self.run_id, 0, limit).await?,
            (Some(Place::InOrder(lines)), None) => pages::in_order(app, &self.run_id, lines, limit).await?,
        };
        Ok(LogView { lines: page.lines, next: page.next.to_string(), status: run.status, complete: over && page.ends })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_text_that_reads_back() {
        for place in
            [Place::Stored { segment: 0, line: 0 }, Place::Stored { segment: 12, line: 7 }, Place::InOrder(400)]
        {
            assert_eq!(place.to_string().parse::<Place>().unwrap(), place);
        }
        for wrong in ["", "7", "s7", "s7.", "s.1", "t", "t-1", "t+1", "t123456789", "x1.2"] {
            assert_eq!(wrong.parse::<Place>().unwrap_err().field(), Some("after"), "{wrong}");
        }
    }
}
