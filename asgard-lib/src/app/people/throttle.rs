//! Slowing down guesses. Attempts are counted in the store, so that replicas share them, before the password is looked at;
//! a success gives its own attempt back.

use crate::{
    app::{Asgard, Call, Tx, core::waiver::AuditWaiver},
    error::{Code, Error, Result},
    kernel::{Timestamp, Username},
    ports::store::Count,
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
    app.transact(&system, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::Throttle)?;
            let window = tx.now().as_secs() / secs;
            let until = tx.now().plus(Duration::from_secs(rules.window_secs * 2));
            let left = u64::try_from(secs - tx.now().as_secs().rem_euclid(secs)).unwrap_or(1);
            let counters = vec![
                (counter("account", username.as_str(), window), i64::from(rules.account_failures)),
                (counter("source", &call.source.address, window), i64::from(rules.source_failures)),
            ];
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
