//! Slowing down guesses, by account, by client and, more coarsely, by connecting peer. Attempts are counted in the store, so that
//! replicas share them, before the password is looked at; a success gives its own attempt back.

use crate::{
    app::{Asgard, Call, Tx, core::waiver::AuditWaiver},
    domain::person::User,
    error::{Code, Error, Result},
    kernel::{Timestamp, Username},
    ports::{
        records::{Records, store_error},
        store::Count,
    },
};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// The counters of one attempt.
pub(super) struct Attempt {
    counters: Vec<(String, i64)>,
    until: Timestamp,
}

fn counter(kind: &str, what: &str, window: i64) -> String {
    // Hashed, because addresses and names are people's and counters are not.
    let digest = Sha256::digest(what.as_bytes());
    let short: String = data_encoding::HEXLOWER.encode(&digest).chars().take(24).collect();
    format!("throttle/{kind}/{short}/{window}")
}

/// Counts an attempt on an account from a source, or refuses it.
pub(super) async fn attempt(app: &Asgard, call: &Call, username: &Username) -> Result<Attempt> {
    let rules = &app.config().throttle;
    let secs = i64::try_from(rules.window_secs).unwrap_or(300).max(1);
    let system = Call::system("throttle", call.trace.clone());
    let waived = is_waived(app, username).await?;
    app.transact(&system, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::Throttle)?;
            let window = tx.now().as_secs() / secs;
            let until = tx.now().plus(Duration::from_secs(rules.window_secs * 2));
            let left = u64::try_from(secs - tx.now().as_secs().rem_euclid(secs)).unwrap_or(1);
            let mut counters =
                vec![(counter("source", &call.source.address, window), i64::from(rules.source_failures))];
            if !call.source.peer.is_empty() {
                // Whoever may forward addresses may forward a new one with each guess.
                counters.push((counter("peer", &call.source.peer, window), i64::from(rules.peer_failures)));
            }
            if !waived {
                counters.push((counter("account", username.as_str(), window), i64::from(rules.account_failures)));
            }
            for (name, ceiling) in &counters {
                let count = Count {
                    counter: name.clone(),
                    delta: 1,
                    floor: None,
                    ceiling: Some(*ceiling),
                    expires_at: Some(until),
                };
                let error =
                    Error::new(Code::Throttled, format!("Too many failed sign-ins. Try again in {left} seconds."))
                        .retry_after(left);
                tx.count_or(count, error)?;
            }
            Ok(Attempt { counters, until })
        })
    })
    .await
}

/// Whether guesses of others do not lock the account: its password was set on the machine a moment ago. Whoever set it has proved
/// more than whoever guesses, and client and peer are still counted.
async fn is_waived(app: &Asgard, username: &Username) -> Result<bool> {
    let Some(id) = app.store().holder(&User::username_claim(username)).await.map_err(store_error)? else {
        return Ok(false);
    };
    let user = app.store().read::<User>(&id).await?;
    Ok(user.is_some_and(|user| user.is_unlocked(app.world().now())))
}

/// Gives a successful attempt back, in the commit of what it led to.
pub(super) fn give_back(tx: &mut Tx<'_>, attempt: &Attempt) -> Result<()> {
    for (name, _) in &attempt.counters {
        tx.count(Count {
            counter: name.clone(),
            delta: -1,
            floor: None,
            ceiling: None,
            expires_at: Some(attempt.until),
        })?;
    }
    Ok(())
}
