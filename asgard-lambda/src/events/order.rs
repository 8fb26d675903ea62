//! What an event asks for: the payload of a schedule or of a commit, plain or as the detail of an EventBridge event.

use asgard_lib::{
    Error, Result,
    app::worker::WakeHint,
    kernel::{JobId, Timestamp},
    runtime::PERIODIC_TASKS,
};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The periodic tasks that a schedule may name.
pub fn loops() -> impl Iterator<Item = &'static str> {
    PERIODIC_TASKS.iter().map(|declaration| declaration.periodic.name)
}

/// How far ahead a scheduled moment may be. One that lies in the future keeps every tick before it from being served.
const AHEAD: Duration = Duration::from_secs(300);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// The periodic task of that name.
    Loop(String),
    /// The jobs that are due, above all those that a commit has just appended.
    Jobs(Option<WakeHint>),
}

/// What an event asks for, and for which moment of its schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What is to be done.
    pub work: Work,
    /// The moment, when a schedule asks.
    pub scheduled: Option<Timestamp>,
}

impl Order {
    /// Reads a payload.
    ///
    /// # Errors
    ///
    /// Which field is wrong, and what is allowed. The payload itself is not repeated.
    pub fn read(payload: &Value, now: Timestamp) -> Result<Self> {
        let Value::Object(event) = payload else {
            return Err(Error::invalid("event", "Send a JSON object with `work`."));
        };
        let (order, moment, at) = match event.get("detail-type") {
            None => (event, event.get("scheduled_at"), "scheduled_at"),
            Some(_) => match event.get("detail") {
                Some(Value::Object(detail)) if !detail.is_empty() => match detail.get("scheduled_at") {
                    Some(own) => (detail, Some(own), "detail.scheduled_at"),
                    None => (detail, event.get("time"), "time"),
                },
                _ => {
                    return Err(Error::invalid(
                        "detail",
                        "An EventBridge event says in its detail what to do: an object with `work`.",
                    ));
                }
            },
        };
        known(order)?;
        let scheduled = moment.map(|moment| read_moment(moment, at, now)).transpose()?;
        let named = jobs(order)?;
        let work = match (text(order, "work")?, text(order, "name")?) {
            (Some("jobs"), None) => match (named, scheduled) {
                (Some(named), _) => Work::Jobs(Some(WakeHint::Named(named))),
                // Nobody but a schedule names a moment; a commit has just appended a job.
                (None, None) => Work::Jobs(Some(WakeHint::Unnamed)),
                (None, Some(_)) => Work::Jobs(None),
            },
            (_, _) if named.is_some() => return Err(Error::invalid("jobs", "Only `work: jobs` takes jobs.")),
            (Some("jobs"), Some(_)) => return Err(Error::invalid("name", "Only `work: loop` takes a name.")),
            (Some("loop"), Some(name)) if loops().any(|known| known == name) => Work::Loop(name.to_owned()),
            (Some("loop"), _) => return Err(no_such_loop()),
            (Some(_) | None, _) => return Err(Error::invalid("work", "Allowed are `loop` and `jobs`.")),
        };
        Ok(Self { work, scheduled })
    }
}

/// What is said of a name that no periodic task has.
pub(super) fn no_such_loop() -> Error {
    Error::invalid("name", format!("Allowed are {}.", loops().collect::<Vec<_>>().join(", ")))
}

fn known(order: &Map<String, Value>) -> Result<()> {
    let allowed = ["work", "name", "jobs", "scheduled_at"];
    match order.keys().find(|key| !allowed.contains(&key.as_str())) {
        Some(other) => {
            let other: String = other.chars().filter(|c| !c.is_control()).take(40).collect();
            Err(Error::invalid(other, format!("There is no such field. Allowed are {}.", allowed.join(", "))))
        }
        None => Ok(()),
    }
}

/// What a commit sends: the ids of the jobs that it appended.
pub(crate) fn of_kick(woken: &WakeHint) -> Value {
    match woken {
        WakeHint::Named(jobs) => json!({"work": "jobs", "jobs": jobs}),
        WakeHint::Unnamed => json!({"work": "jobs"}),
    }
}

fn jobs(order: &Map<String, Value>) -> Result<Option<Vec<JobId>>> {
    let allowed = || Error::invalid("jobs", format!("Expected the ids of 1 to {} jobs.", WakeHint::MAX));
    let list = match order.get("jobs") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(list)) if (1..=WakeHint::MAX).contains(&list.len()) => list,
        Some(_) => return Err(allowed()),
    };
    let id = |value: &Value| value.as_str().and_then(|text| text.parse().ok()).ok_or_else(allowed);
    list.iter().map(id).collect::<Result<_>>().map(Some)
}

fn text<'a>(order: &'a Map<String, Value>, field: &'static str) -> Result<Option<&'a str>> {
    match order.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::invalid(field, "Expected text.")),
    }
}

fn read_moment(moment: &Value, field: &'static str, now: Timestamp) -> Result<Timestamp> {
    let moment: Option<Timestamp> = moment.as_str().and_then(|text| text.parse().ok());
    let allowed = "Expected the scheduled time as in 2026-11-22T10:00:00Z, which <aws.scheduler.scheduled-time> gives.";
    let moment = moment.ok_or_else(|| Error::invalid(field, allowed))?;
    if moment > now.plus(AHEAD) {
        return Err(Error::invalid(field, "This moment is more than five minutes ahead."));
    }
    Ok(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "job_01arz3ndektsv4rrffq69g5fav";

    fn read(payload: &Value) -> Result<Order> {
        Order::read(payload, "2026-11-22T10:00:30Z".parse().unwrap())
    }

    #[test]
    fn a_schedule_a_rule_and_a_commit_are_understood() {
        let at: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let expire = || Work::Loop("expire".to_owned());
        let woken = WakeHint::Named(vec![JOB.parse().unwrap(); WakeHint::MAX]);
        for (payload, work, scheduled) in [
            (json!({"work": "jobs"}), Work::Jobs(Some(WakeHint::Unnamed)), None),
            (of_kick(&woken), Work::Jobs(Some(woken)), None),
            (json!({"work": "jobs", "scheduled_at": "2026-11-22T10:00:00Z"}), Work::Jobs(None), Some(at)),
            (json!({"work": "loop", "name": "expire", "scheduled_at": "2026-11-22T10:00:00Z"}), expire(), Some(at)),
            (json!({"work": "loop", "name": "expire"}), expire(), None),
            (
                json!({"version": "0", "id": "i", "detail-type": "Scheduled Event", "source": "aws.events",
                    "account": "123456789012", "time": "2026-11-22T10:00:00Z", "region": "eu-west-1", "resources": [],
                    "detail": {"work": "loop", "name": "expire"}}),
                expire(),
                Some(at),
            ),
        ] {
            assert_eq!(read(&payload).unwrap(), Order { work, scheduled }, "{payload}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed_and_nothing_is_repeated() {
        let rule =
            |detail: Value| json!({"detail-type": "Scheduled Event", "time": "2026-11-22T10:00:00Z", "detail": detail});
        for (payload, field, allowed) in [
            (json!(null), "event", "JSON object"),
            (json!("hunter2"), "event", "JSON object"),
            (json!({}), "work", "`loop` and `jobs`"),
            (json!({"work": "hunter2"}), "work", "`loop` and `jobs`"),
            (json!({"work": 7}), "work", "text"),
            (json!({"work": "loop"}), "name", "reconcile-runs, audit-seal"),
            (json!({"work": "loop", "name": "hunter2"}), "name", "collect-orphans"),
            (json!({"work": "jobs", "name": "expire"}), "name", "loop"),
            (json!({"work": "jobs", "scheduled_at": "hunter2"}), "scheduled_at", "2026-11-22T10:00:00Z"),
            (json!({"work": "jobs", "scheduled_at": 1_795_000_000}), "scheduled_at", "2026-11-22T10:00:00Z"),
            (json!({"work": "jobs", "scheduled_at": "2026-11-22T10:06:00Z"}), "scheduled_at", "ahead"),
            (json!({"work": "jobs", "wrok": "hunter2"}), "wrok", "work, name, jobs, scheduled_at"),
            (json!({"work": "jobs", "jobs": ["hunter2"]}), "jobs", "ids of 1 to 32 jobs"),
            (json!({"work": "jobs", "jobs": []}), "jobs", "ids of 1 to 32 jobs"),
            (json!({"work": "jobs", "jobs": vec![JOB; WakeHint::MAX + 1]}), "jobs", "ids of 1 to 32 jobs"),
            (json!({"work": "loop", "name": "expire", "jobs": [JOB]}), "jobs", "`work: jobs`"),
            (json!({"detail-type": "Scheduled Event", "time": "2026-11-22T10:00:00Z"}), "detail", "`work`"),
            (rule(json!({})), "detail", "`work`"),
            (rule(json!({"work": "all"})), "work", "`loop` and `jobs`"),
        ] {
            let error = read(&payload).unwrap_err();
            assert_eq!(error.field(), Some(field), "{payload}");
            assert!(error.message().contains(allowed), "{payload}: {}", error.message());
            assert!(!format!("{} {:?}", error.message(), error.field()).contains("hunter2"));
        }
    }
}
