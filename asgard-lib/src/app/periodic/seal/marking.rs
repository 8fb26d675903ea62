//! Which waiting events are sealed: those that Asgard committed, as their marks prove. What a version before left waiting has no
//! marks; it is sealed as that version would have, until none is left, and from then on an unmarked event is refused.

use super::call;
use crate::{
    app::{
        Asgard,
        audit::marks::{is_genuine_event, marked_marking, marking, refused},
    },
    domain::audit::{AuditAction, AuditEvent, AuditMarking, ORG_CHAIN, PENDING},
    error::{Error, Result},
    kernel::Actor,
    ports::{
        kinds::AUDIT_PENDING,
        records::{Records, Stored},
        store::{Batch, Query},
    },
};

/// The most events that one commit refuses.
const REFUSALS: usize = Batch::MAX_ITEMS - 5;

/// Since when events are marked. `None` as long as an event waits that a version before committed.
pub(super) async fn settled(app: &Asgard) -> Result<Option<AuditMarking>> {
    match marking(app).await? {
        Some((marking, true)) => return Ok(Some(marking)),
        Some((_, false)) => {
            return Err(Error::bug(
                "the record that says since when audit events are marked is not one that Asgard made; nothing is sealed",
            ));
        }
        None => {}
    }
    let mut query = Query::new(&AUDIT_PENDING, PENDING).take(Query::MAX_LIMIT);
    loop {
        let page = app.store().list::<AuditEvent>(&query).await?;
        if page.items.iter().any(|event| !event.has_mark()) {
            return Ok(None);
        }
        match page.next {
            Some(next) => query = query.after(Some(next)),
            None => break,
        }
    }
    begin(app).await.map(Some)
}

/// From here on every event is marked.
async fn begin(app: &Asgard) -> Result<AuditMarking> {
    let call = call(app);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.as_system()?;
            if let Some(made) = tx.read_checked::<AuditMarking>(AuditMarking::ID).await? {
                return Ok(made.value);
            }
            let actor = Actor::System { name: "audit-seal" }.reference();
            let event = tx.audit_event(actor, None, AuditAction::AuditMarkingBegan, ORG_CHAIN, &[])?;
            let marking = marked_marking(tx.app().sealer(), &event)?;
            tx.insert(&marking)?;
            Ok(marking)
        })
    })
    .await
}

/// The events that Asgard committed. The others are refused, which is an act.
pub(super) async fn genuine(app: &Asgard, events: Vec<Stored<AuditEvent>>) -> Result<Vec<Stored<AuditEvent>>> {
    let (mut good, mut bad) = (Vec::with_capacity(events.len()), Vec::new());
    for event in events {
        if is_genuine_event(app, &event).await? {
            good.push(event);
        } else {
            bad.push(event);
        }
    }
    for some in bad.chunks(REFUSALS) {
        refuse(app, some).await?;
    }
    Ok(good)
}

async fn refuse(app: &Asgard, events: &[Stored<AuditEvent>]) -> Result<()> {
    let call = call(app);
    let ids: Vec<String> = events.iter().map(|event| event.id.to_string()).collect();
    tracing::error!(
        events = ids.join(" "),
        "Waiting audit events are not as Asgard committed them: somebody else wrote to the database. They are kept, and not sealed."
    );
    app.transact(&call, |tx| {
        let ids = &ids;
        Box::pin(async move {
            tx.as_system()?;
            let mut first = None;
            for event in tx.app().store().read_many::<AuditEvent>(ids).await?.into_iter().flatten() {
                if event.unsealed.as_deref() == Some(PENDING) && !is_genuine_event(tx.app(), &event).await? {
                    tx.replace_draft(refused(&event)?, &event.version)?;
                    first = first.or_else(|| Some(event.id.clone()));
                }
            }
            let Some(first) = first else { return Ok(()) };
            let details = [("events", ids.len().to_string()), ("ids", ids.join(" "))];
            tx.audit(None, AuditAction::AuditEventRefused, first, &details)
        })
    })
    .await
}
