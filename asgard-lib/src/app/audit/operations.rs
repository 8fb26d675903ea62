//! Reading and verifying the audit log.

#![allow(
    missing_debug_implementations,
    unnameable_types,
    reason = "about the builders that are derived within `list_command!`"
)]

use super::verify::{VerifyReport, verify, verify_anchored};
use crate::{
    app::{
        Hints, Meta, Route, SimpleOperation, Tx,
        core::list::list_command,
        core::operation::Method::{Get, Post},
        core::scope::ReadMode,
    },
    domain::{
        access::{Action, Object},
        audit::{AuditAction, AuditEvent, AuditHead, FeedHead, PENDING},
    },
    error::{Error, Result},
    kernel::{ActorRef, EventId, Page, ProjectId, Timestamp, TraceId},
    ports::{
        kinds,
        records::{Listed, Records, Stored},
        store::{Position, Query},
    },
};
use futures_util::future::try_join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use typed_builder::TypedBuilder;

/// How many events one page looks through at most, when it filters.
const MAX_LOOKED_THROUGH: usize = 2000;
/// How many days back a page of the whole log reaches at most.
pub(super) const MAX_DAYS: usize = 128;
/// How many of them are read together at most.
const DAYS_AT_ONCE: usize = 16;
/// No event is older: the first version of Asgard is of 2026.
pub(in crate::app) const FIRST_DAY: &str = "2025-01-01";
const DAY: Duration = Duration::from_secs(86_400);

fn day_of(text: &str) -> String {
    text.chars().take(10).collect()
}

fn midnight(day: &str) -> Result<Timestamp> {
    Ok(format!("{day}T00:00:00Z").parse()?)
}

/// The days from one to another, both with it.
pub(in crate::app) fn days_from(first: &str, last: Timestamp) -> Result<Vec<String>> {
    let (mut at, mut days) = (midnight(first)?, Vec::new());
    while at <= last {
        days.push(day_of(&at.to_string()));
        at = at.plus(DAY);
    }
    Ok(days)
}

/// The first day that may have events. What waits is looked at before what is sealed, so that no event is on its way in between.
async fn first_day(tx: &Tx<'_>) -> Result<String> {
    let store = tx.app().store();
    let waits = store.list::<AuditEvent>(&Query::new(&kinds::AUDIT_PENDING, PENDING).take(1)).await?;
    let waits = waits.items.first().map(|event| day_of(&event.at.to_string()));
    let sealed = match store.read::<FeedHead>(FeedHead::ID).await?.and_then(|head| head.value.oldest) {
        Some(oldest) => Some(day_of(&oldest.to_string())),
        // An earlier version sealed, and the sealer has not looked yet; or nobody ever did.
        None => {
            let chains = store.list::<AuditHead>(&Query::new(&kinds::AUDIT_HEADS, "").take(1)).await?;
            chains.items.first().map(|_| FIRST_DAY.to_owned())
        }
    };
    // What was committed this moment may not show in an index yet.
    let newest = day_of(&tx.now().minus(DAY).to_string());
    Ok(waits.into_iter().chain(sealed).chain([newest]).min().unwrap_or_default())
}

/// An audit event.
#[derive(Debug, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct AuditView {
    /// The event's id.
    pub event_id: EventId,
    /// The time of the event.
    pub at: Timestamp,
    /// The id of the project that the event belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// Who did it: the credential, and the person behind it.
    pub actor: ActorRef,
    /// What was done, for example `request.approved`; docs/audit.md lists the actions.
    pub action: AuditAction,
    /// The id of what it was done to.
    pub object: String,
    /// The trace id of the call that caused it; `trace` of this operation finds all events of one call.
    pub trace: TraceId,
    /// Facts about the event, by name; never a secret.
    pub details: BTreeMap<String, String>,
    /// The sealed block that holds it; absent until the sealer has been.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<u64>,
}

impl AuditView {
    fn of(event: &AuditEvent) -> Self {
        Self {
            event_id: event.id.clone(),
            at: event.at,
            project_id: event.project.clone(),
            actor: event.actor.clone(),
            action: event.action.clone(),
            object: event.object.clone(),
            trace: event.trace.clone(),
            details: event.details.clone(),
            block: event.block,
        }
    }
}

list_command! {
    /// Reads the audit log.
    #[derive(TypedBuilder)]
    pub struct ListAudit {
        /// The id of the only project whose events are wanted. Owners and managers name theirs; admins and finance may
        /// leave it out.
        #[serde(default, alias = "project")]
        #[schemars(extend("x-aliases" = ["project"]))]
        #[builder(default)]
        pub project_id: Option<ProjectId>,
        /// Only what this actor did: an account's, token's or key's id, or a person's e-mail address.
        #[serde(default)]
        #[builder(default)]
        pub actor: Option<String>,
        /// Only this action, for example `request.approved`; a prefix that ends with `.` takes all below it.
        #[serde(default)]
        #[builder(default)]
        pub action: Option<String>,
        /// Only events that the call with this trace id caused; answers carry it as `x-asgard-trace-id`.
        #[serde(default)]
        #[builder(default)]
        pub trace: Option<TraceId>,
        /// Only events from this moment on, as an RFC 3339 time.
        #[serde(default)]
        #[builder(default)]
        pub from: Option<Timestamp>,
        /// Only events before this moment, as an RFC 3339 time.
        #[serde(default)]
        #[builder(default)]
        pub to: Option<Timestamp>,
    }
}

impl SimpleOperation for ListAudit {
    type Output = Page<AuditView>;
    const META: Meta = Meta {
        name: "audit.list",
        title: "Read the audit log",
        description: "What happened, newest first: a project's events for its owner and manager, everything for admins and finance. A page may hold fewer \
                      items than asked for, or none, and still have a next_cursor: go on until there is none.",
        action: Action::ReadProjectAudit,
        routes: &[Route { method: Get, path: "/audit", status: 200 }],
        tools: &[],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<Page<AuditView>> {
        if self.from.zip(self.to).is_some_and(|(from, to)| from >= to) {
            return Err(Error::invalid("to", "`to` is after `from`."));
        }
        let app = tx.app();
        let view = |event: Stored<AuditEvent>| Some(AuditView::of(&event.value));
        match &self.project_id {
            Some(project) => {
                tx.project(Some(project), Action::ReadProjectAudit, ReadMode::Plain).await?;
                let found = |after, _| self.of_project(tx, project, after);
                app.page_by(&format!("audit/{project}"), self.paging(), found, view).await
            }
            None => {
                tx.allow(Action::ReadAudit, &Object::Nothing)?;
                tx.every_project(Action::ReadProjectAudit)?;
                app.page_by("audit/all", self.paging(), |after, _| self.of_all(tx, after), view).await
            }
        }
    }
}

impl ListAudit {
    fn matches(&self, event: &AuditEvent) -> bool {
        let actor = self.actor.as_deref().is_none_or(|wanted| {
            event.actor.id == wanted
                || event.actor.person.as_ref().is_some_and(|person| person.as_str().eq_ignore_ascii_case(wanted))
        });
        let action = self.action.as_deref().is_none_or(|wanted| {
            event.action == *wanted || (wanted.ends_with('.') && event.action.name().starts_with(wanted))
        });
        let trace = self.trace.as_ref().is_none_or(|wanted| event.trace == *wanted);
        actor && action && trace
    }

    /// How many events are read at once. A filter may leave few of them, so that a small page is no reason to read few.
    fn batch(&self) -> usize {
        let filters = self.actor.is_some() || self.action.is_some() || self.trace.is_some();
        if filters { Query::MAX_LIMIT } else { self.limit.get() }
    }

    fn bounds(&self, mut query: Query) -> Query {
        if let Some(from) = self.from {
            query = query.from(from.to_string());
        }
        if let Some(to) = self.to {
            query = query.below(to.to_string());
        }
        query.newest_first()
    }

    async fn of_project(
        &self,
        tx: &Tx<'_>,
        project: &ProjectId,
        mut after: Option<Position>,
    ) -> Result<Listed<AuditEvent>> {
        let mut kept = Vec::new();
        let mut looked = 0;
        loop {
            let query = self
                .bounds(Query::new(&kinds::AUDIT_BY_PROJECT, project.as_str()))
                .after(after.take())
                .take(self.batch());
            let found = tx.app().store().list::<AuditEvent>(&query).await?;
            if let Some(full) = self.sift(found.items, &mut kept, &mut looked) {
                return Ok(Listed { items: kept, next: Some(full) });
            }
            match found.next {
                Some(next) => after = Some(next),
                None => return Ok(Listed { items: kept, next: None }),
            }
        }
    }

    /// Keeps what matches; says where to go on once the page is full or has looked far enough.
    fn sift(
        &self,
        events: Vec<Stored<AuditEvent>>,
        kept: &mut Vec<Stored<AuditEvent>>,
        looked: &mut usize,
    ) -> Option<Position> {
        for event in events {
            *looked += 1;
            let position = Position { sort: event.at.to_string(), id: event.id.to_string() };
            if self.matches(&event) {
                kept.push(event);
            }
            if kept.len() >= self.limit.get() || *looked >= MAX_LOOKED_THROUGH {
                return Some(position);
            }
        }
        None
    }

    /// Walks the days backwards, more of them together the longer nothing fills the page. A position's sort text names the day as
    /// well, so it also says where to go on.
    async fn of_all(&self, tx: &Tx<'_>, mut after: Option<Position>) -> Result<Listed<AuditEvent>> {
        // A clock may be ahead by a little, and nothing is logged in the future beyond that.
        let latest = tx.now().plus(DAY);
        let newest = self.to.map_or(latest, |to| to.min(latest));
        let mut at: Timestamp = match &after {
            Some(position) => midnight(&day_of(&position.sort))?,
            None => newest,
        };
        let first = first_day(tx).await?;
        let oldest = self.from.map_or_else(String::new, |from| day_of(&from.to_string())).max(first);
        let (mut kept, mut looked) = (Vec::new(), 0);
        let (mut walked, mut ask) = (0, 1);
        while walked < MAX_DAYS {
            let mut days = Vec::new();
            while days.len() < ask.min(MAX_DAYS - walked) {
                let day = day_of(&at.to_string());
                if day < oldest {
                    break;
                }
                days.push(day);
                at = at.minus(DAY);
            }
            let firsts = days.iter().map(|day| self.of_day(tx, day, after.take()));
            let firsts = try_join_all(firsts.collect::<Vec<_>>()).await?;
            for (day, mut found) in days.iter().zip(firsts) {
                loop {
                    if let Some(full) = self.sift(found.items, &mut kept, &mut looked) {
                        return Ok(Listed { items: kept, next: Some(full) });
                    }
                    match found.next {
                        Some(next) => found = self.of_day(tx, day, Some(next)).await?,
                        None => break,
                    }
                }
            }
            if day_of(&at.to_string()) < oldest {
                return Ok(Listed { items: kept, next: None });
            }
            walked += days.len();
            ask = (ask * 2).min(DAYS_AT_ONCE);
        }
        // The next page goes on before the days that were looked through: at the end of the one before them.
        let sort = format!("{}T24:00:00.000Z", day_of(&at.to_string()));
        Ok(Listed { items: kept, next: Some(Position { sort, id: "~".to_owned() }) })
    }

    async fn of_day(&self, tx: &Tx<'_>, day: &str, after: Option<Position>) -> Result<Listed<AuditEvent>> {
        let query = self.bounds(Query::new(&kinds::AUDIT_BY_DAY, day)).after(after).take(self.batch());
        tx.app().store().list::<AuditEvent>(&query).await
    }
}

/// Verifies the sealed audit log.
#[derive(Debug, Deserialize, JsonSchema, TypedBuilder)]
#[serde(deny_unknown_fields)]
#[builder(field_defaults(setter(into)))]
#[non_exhaustive]
pub struct VerifyAudit {
    /// The id of the only project whose chain is verified; without it every chain is.
    #[serde(default, alias = "project")]
    #[schemars(extend("x-aliases" = ["project"]))]
    #[builder(default)]
    pub project_id: Option<ProjectId>,
    /// Anchors that were kept outside: any text that has them in it, such as the process's log or the file of `audit.anchor_file`. With
    /// them, verifying also shows what was cut off or set back. Send it in the body of a POST.
    #[serde(default)]
    #[builder(default)]
    pub anchors: Option<String>,
}

impl SimpleOperation for VerifyAudit {
    type Output = VerifyReport;
    const META: Meta = Meta {
        name: "audit.verify",
        title: "Verify the audit log",
        description: "Recomputes the hashes and marks of the sealed blocks and of the events that wait, and reports every break. `cannot_know` says \
                      what could have happened to the log all the same; anchors from outside make that less.",
        action: Action::ReadAudit,
        routes: &[
            Route { method: Get, path: "/audit/verify", status: 200 },
            Route { method: Post, path: "/audit/verify", status: 200 },
        ],
        tools: &[],
        hints: Hints::READ,
        creates: false,
    };

    async fn decide(&self, tx: &mut Tx<'_>) -> Result<VerifyReport> {
        tx.allow(Action::ReadAudit, &Object::Nothing)?;
        let chain = self.project_id.as_ref().map(ProjectId::as_str);
        match &self.anchors {
            Some(anchors) => verify_anchored(tx.app(), chain, anchors).await,
            None => verify(tx.app(), chain).await,
        }
    }
}
