//! Every moment that is stored, and what it can do when a wrong clock wrote it.

use crate::{
    domain::{
        access::{Subject, key_flag},
        credential::{KeyFlag, NOTE_EVERY, ProjectKey, Session, UserToken},
        job::{BlockReason, Job, Waiting, Work},
        lease::Lease,
        person::{PENDING_FOR, PendingIdentity, User},
    },
    kernel::{ActorKind, ActorRef, JobId, Timestamp, TraceId, UserId, id::TimeOrdered},
};
use serde_json::json;
use std::{collections::BTreeSet, fs, path::Path, time::Duration};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// What becomes of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It is shown, and nothing is decided by it.
    Shown,
    /// What is read far ahead is not believed: a row of [`LASTING`] says so.
    Doubted,
    /// A test elsewhere, of this name.
    Shows(&'static str),
    /// What it decides fails on the safe side, for as long as the clock was ahead: why.
    Safe(&'static str),
}

use Role::{Doubted, Safe, Shown, Shows};

/// Every moment of a record.
const MOMENTS: &[(&str, Role)] = &[
    ("AuditBlock.sealed_at", Shows("a_clock_that_was_wrong_keeps_the_audit_log_neither_too_short_nor_for_ever")),
    ("AuditEvent.at", Shows("a_clock_that_was_wrong_keeps_the_audit_log_neither_too_short_nor_for_ever")),
    ("AuditStub.removed_at", Shown),
    ("Change.at", Shown),
    ("DataKey.created_at", Shown),
    ("DataKey.state_since", Shows("a_clock_that_is_wrong_retires_no_key_early_and_puts_no_rotation_to_rest")),
    ("Decision.at", Shown),
    ("FeedHead.oldest", Safe("it is the earliest of all events, so a walk through the log goes too far at most")),
    ("FeedSegment.at", Shows("what_was_appended_far_ahead_is_as_old_as_what_follows")),
    ("FormerAddress.since", Safe("the task that gives addresses up writes it anew")),
    ("Job.created_at", Doubted),
    ("Job.due_at", Doubted),
    ("KeptModule.at", Shown),
    ("KeyFlag.since", Doubted),
    ("KeyReveals.last_at", Shown),
    ("Lease.expires_at", Doubted),
    ("Lease.served", Doubted),
    ("Lease.turned_at", Shows("a_clock_that_jumped_deletes_nothing_until_it_has_gone_on_evenly_for_an_hour")),
    ("Lease.unsteady_since", Shows("a_turn_that_ended_a_year_ahead_is_over_an_hour_later")),
    ("ListState.walked_at", Shows("what_was_written_far_ahead_is_not_young")),
    ("LogLine.at", Shown),
    ("LogSegment.at", Shown),
    ("LogSegment.keep_until", Safe("a log is kept for longer")),
    ("Part.keep_until", Safe("it outlives the answer that it is a piece of")),
    ("PendingIdentity.since", Doubted),
    ("Project.created_at", Shown),
    ("Project.updated_at", Shown),
    ("ProjectKey.created_at", Doubted),
    ("ProjectKey.revoked_at", Shown),
    ("ProjectKey.valid_until", Doubted),
    ("ProjectStatus.at", Shown),
    ("Remembered.keep_until", Safe("a call that is repeated has the same answer for longer, and happens once")),
    ("Request.created_at", Shown),
    ("Request.updated_at", Shown),
    ("RequestRow.created_at", Shown),
    ("RequestRow.updated_at", Shown),
    ("Resource.created_at", Shown),
    ("Resource.provisioned_at", Shown),
    ("Resource.refreshed_at", Shown),
    ("Resource.updated_at", Shown),
    ("Run.created_at", Safe("the reason why a run was not claimed is looked for later")),
    ("Run.finished_at", Shown),
    ("Run.started_at", Shown),
    ("Secret.created_at", Shown),
    ("Secret.rotated_at", Shown),
    ("Session.created_at", Doubted),
    ("Session.revoked_at", Shown),
    ("Session.valid_until", Doubted),
    ("StatePointer.at", Shown),
    ("SupervisorLocation.noted", Safe("a task that is not found counts as unknown, and its lease decides")),
    ("Sweep.pass_from", Shows("a_clock_that_is_wrong_retires_no_key_early_and_puts_no_rotation_to_rest")),
    ("User.created_at", Shown),
    ("User.credentials_from", Safe("sessions of version 0.1.0 are refused")),
    ("User.signed_in_at", Shown),
    ("User.unlocked_until", Doubted),
    ("UserToken.created_at", Doubted),
    ("UserToken.revoked_at", Shown),
    ("UserToken.valid_until", Doubted),
    ("Waiting.since", Doubted),
];

/// Every field of a type in `text` that is stored and is a moment.
fn moments_of(text: &str, found: &mut BTreeSet<String>) {
    let (mut name, mut stored, mut derives) = ("", false, false);
    for line in text.lines() {
        let bare = line.trim().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        if line.starts_with("#[derive") {
            derives = line.contains(" Serialize") && line.contains("Deserialize");
        } else if let Some(rest) = bare.strip_prefix("struct ").or_else(|| bare.strip_prefix("enum "))
            && !line.starts_with(' ')
        {
            name = rest.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default();
            (stored, derives) = (derives, false);
        } else if line.starts_with("impl") || line.starts_with("fn") || line.starts_with("pub fn") {
            stored = false;
        } else if let Some((field, of)) = bare.split_once(": ")
            && stored
            && matches!(of.trim_end_matches(','), "Timestamp" | "Option<Timestamp>")
        {
            found.insert(format!("{name}.{field}"));
        }
    }
}

fn walk(at: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" {
            walk(&path, found);
        } else if name.ends_with(".rs") && name != "tests.rs" {
            moments_of(&fs::read_to_string(&path).unwrap(), found);
        }
    }
}

/// What is read by people only, or is not stored.
const NO_RECORDS: [&str; 3] = ["View.", "Facts.", "Judged."];

#[test]
fn every_moment_that_is_stored_is_listed_with_what_it_can_do() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeSet::new();
    for folder in ["domain", "adapters", "app", "ports"] {
        walk(&source.join(folder), &mut found);
    }
    found.retain(|moment| !NO_RECORDS.iter().any(|no| moment.contains(no)) && moment != "KeyMinted.expires_at");
    let listed: BTreeSet<String> = MOMENTS.iter().map(|(moment, _)| (*moment).to_owned()).collect();
    assert_eq!(listed.len(), MOMENTS.len());
    assert_eq!(found, listed, "say in MOMENTS what a wrong clock does with it");
    let doubted = MOMENTS.iter().filter(|(_, role)| *role == Doubted).map(|(moment, _)| *moment);
    let lasting: BTreeSet<&str> = LASTING.iter().flat_map(|row| row.moments.iter().copied()).collect();
    assert_eq!(doubted.collect::<BTreeSet<_>>(), lasting);
}

/// Something that is in force for a while.
struct Lasting {
    moments: &'static [&'static str],
    /// For how long at most.
    lasts: Duration,
    /// Whether it is in force at the second moment, when it was written at the first and first read at the third, by a clock that is right.
    holds: fn(Timestamp, Timestamp, Timestamp) -> bool,
}

fn user() -> User {
    serde_json::from_value(json!({
        "id": UserId::build(Timestamp::from_millis(0), [1; 10]), "username": "mia", "email": "mia@corp.example", "identities": [],
        "role": "member", "active": true, "credentials_from": Timestamp::from_millis(0), "created_at": Timestamp::from_millis(0),
    }))
    .unwrap()
}

fn key(created_at: Timestamp) -> ProjectKey {
    serde_json::from_value(json!({
        "id": crate::kernel::KeyId::from_digest(&[1; 32]), "project": "proj-2026-0001", "name": "agent", "hash": "", "suffix": "",
        "minted_by": "gone@corp.example", "created_at": created_at, "valid_until": created_at.plus(DAY),
    }))
    .unwrap()
}

fn session(created_at: Timestamp) -> Session {
    serde_json::from_value(json!({
        "id": crate::kernel::SessionId::from_digest(&[1; 32]), "user": user().id, "hash": "", "created_at": created_at,
        "valid_until": created_at.plus(DAY), "idle_secs": 3600, "source": "", "agent": "",
    }))
    .unwrap()
}

fn job(at: Timestamp) -> Job {
    let actor = ActorRef { kind: ActorKind::System, id: "t".into(), person: None, user: None };
    let work = Work::BindAccount { user: user().id };
    Job::new(JobId::build(at, [2; 10]), work, TraceId::build(at, [3; 10]), actor, at, at)
}

const LASTING: &[Lasting] = &[
    Lasting {
        moments: &["Session.created_at", "Session.valid_until"],
        lasts: DAY,
        holds: |written, now, _| session(written).still_good(Some(now), now).is_ok(),
    },
    Lasting {
        // The note of its use.
        moments: &[],
        lasts: Duration::from_secs(3600 + NOTE_EVERY.as_secs()),
        holds: |written, now, read| session(read.minus(HOUR)).still_good(Some(written), now).is_ok(),
    },
    Lasting {
        moments: &["UserToken.created_at", "UserToken.valid_until"],
        lasts: DAY,
        holds: |written, now, _| {
            let token: UserToken = serde_json::from_value(json!({
                "id": crate::kernel::TokenId::from_digest(&[1; 32]), "user": user().id, "name": "t", "hash": "", "suffix": "",
                "created_at": written, "valid_until": written.plus(DAY),
            }))
            .unwrap();
            token.still_good(now).is_ok()
        },
    },
    Lasting {
        moments: &["ProjectKey.created_at", "ProjectKey.valid_until"],
        lasts: DAY,
        holds: |written, now, _| key(written).still_good(now, DAY).is_ok(),
    },
    Lasting {
        moments: &["KeyFlag.since"],
        lasts: DAY,
        holds: |written, now, read| {
            let other =
                || "other@corp.example".parse::<crate::kernel::Email>().map(crate::kernel::Party::Address).unwrap();
            let subject = Subject { id: "proj-2026-0001".parse().unwrap(), owner: other(), manager: other() };
            let flagged = key(now.minus(HOUR)).flagged(Some(KeyFlag::Unattended { since: written }));
            // The review writes what it finds.
            let reviewed = flagged.flagged(key_flag(&flagged, &subject, None, read));
            !reviewed.stopped(now, DAY)
        },
    },
    Lasting {
        moments: &["PendingIdentity.since"],
        lasts: PENDING_FOR,
        holds: |since, now, _| {
            let (issuer, subject) = ("https://sso.example".parse().unwrap(), "s".parse().unwrap());
            let pending = vec![PendingIdentity { issuer, subject, email: "mia@corp.example".parse().unwrap(), since }];
            User { pending, ..user() }.waiting(now).count() > 0
        },
    },
    Lasting {
        moments: &["User.unlocked_until"],
        lasts: Duration::from_secs(900),
        holds: |written, now, _| user().unlocked(written).is_unlocked(now),
    },
    Lasting {
        // What a job waits for is given an hour.
        moments: &["Waiting.since"],
        lasts: HOUR,
        holds: |since, now, read| {
            let waiting = Some(Waiting { reason: BlockReason::Runner, since });
            let looked = Job { waiting, ..job(read) }.waits_for(BlockReason::Runner, read, read);
            looked.may_wait_for(BlockReason::Runner, now)
        },
    },
    Lasting {
        // The task `expire` recalls it.
        moments: &["Job.due_at", "Job.created_at"],
        lasts: DAY,
        holds: |written, now, read| {
            let job = job(written);
            let job = if job.is_stranded(read) { job.hurried(read) } else { job };
            job.due_at.is_some_and(|due| due > now) || job.created_at > now
        },
    },
    Lasting {
        moments: &["Lease.expires_at"],
        lasts: HOUR,
        holds: |written, now, _| lease().turned(written, HOUR).rests(now, HOUR),
    },
    Lasting {
        moments: &["Lease.served"],
        lasts: DAY,
        holds: |written, now, read| lease().serving(written, written).has_served(read, now),
    },
];

fn lease() -> Lease {
    serde_json::from_value(json!({"name": "loop/x", "fence": 1, "expires_at": Timestamp::from_millis(0)})).unwrap()
}

/// What was written by a clock that was ahead lasts no longer than what was written by one that is right, but for how far clocks may
/// be apart. It is read right away, or an hour later.
#[test]
fn what_a_clock_that_was_ahead_has_written_lasts_no_longer_for_it() {
    let (began, mut seen) = (Timestamp::from_millis(1_800_000_000_000), 0);
    for row in LASTING {
        for ahead in [HOUR * 4, DAY, DAY * 365] {
            for read_after in [Duration::ZERO, HOUR] {
                let written = began.plus(ahead);
                let read = began.plus(read_after);
                for later in [Duration::ZERO, HOUR, DAY, DAY * 30] {
                    let at = read.plus(row.lasts + Timestamp::CLOCKS_APART + later);
                    // Until the moment itself has come.
                    if written.is_far_ahead_of(at) {
                        seen += 1;
                        assert!(
                            !(row.holds)(written, at, read),
                            "{:?} {ahead:?} {read_after:?} {later:?}",
                            row.moments
                        );
                    }
                }
            }
        }
    }
    assert!(seen > 80, "{seen}");
}
