//! A run's log, in pages that can be polled while it grows.

use super::read::run_of;
use crate::{
    app::{Hints, Meta, Route, SimpleOperation, Tx, core::operation::Method::Get, runs::segments},
    domain::{
        access::Action,
        run::{LogLine, RunStatus},
    },
    error::{Error, Result},
    kernel::RunId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use typed_builder::TypedBuilder;

/// Reads a run's log.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct RunLog {
    /// The run's id, `run_...`, from `resource_runs` or a request's `current_run`.
    pub run_id: RunId,
    /// The `next` of an earlier answer: only lines after it are returned.
    #[serde(default)]
    #[builder(default)]
    pub after: Option<u32>,
}

/// A piece of a run's log.
#[derive(Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct LogView {
    /// The lines of this piece, oldest first.
    pub lines: Vec<LogLine>,
    /// The number to pass as `after` to get the lines that come next.
    pub next: u32,
    /// The state of the run.
    pub status: RunStatus,
    /// Whether the run is over and nothing more will come.
    pub complete: bool,
}

const SEGMENTS: u32 = 8;

impl SimpleOperation for RunLog {
    type Output = LogView;
    const META: Meta = Meta {
        name: "runs.log",
        title: "Read a run's log",
        description: "What Terraform said, with secrets taken out, in order. Poll with `after` set to the `next` of the last answer until `complete`.",
        action: Action::ReadProject,
        routes: &[Route { method: Get, path: "/runs/{run_id}/log", status: 200 }],
        tools: &["run_log"],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<LogView> {
        let run = run_of(tx, &self.run_id).await?;
        let from = self.after.unwrap_or(0);
        if from > 99_999_999 {
            return Err(Error::invalid("after", "Expected the `next` of an earlier answer."));
        }
        // The run was read before its log: one that was over by then had written all of it.
        let found = segments(tx.app(), &self.run_id, from, SEGMENTS).await?;
        let ends = found.len() < SEGMENTS as usize;
        let next = from.saturating_add(u32::try_from(found.len()).unwrap_or(SEGMENTS));
        let complete = run.status.is_over() && ends;
        let lines = found.into_iter().flat_map(|segment| segment.lines).collect();
        Ok(LogView { lines, next, status: run.status, complete })
    }
}
