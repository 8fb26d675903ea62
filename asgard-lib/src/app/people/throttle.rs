//! Slowing down guesses, by account, by client and, more coarsely, by connecting peer. Attempts are counted in the store, so that
//! replicas share them, before the password is looked at; a success gives its own attempt back.

use crate::{
    app::{Asgard, Call, Source, Tx, core::waiver::AuditWaiver},
    config::Throttle,
    domain::person::User,
    error::{Code, Error, Result},
    kernel::{Timestamp, UserId, Username, network::counted_text},
    ports::{
        records::{Records, store_error},
        store::Count,
    },
};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// The counters of one attempt.
pub(super) struct Attempt {
    counters: Vec<String>,
    until: Timestamp,
}

/// A part of one's account's failures that is left to each account while the peer's are used up: one in so many.
const OF_A_FULL_PEER: u32 = 5;
/// The field of an error that says that the peer's counter, and none before it, is at its ceiling.
const PEER: &str = "peer";

fn counter(kind: &str, what: &str, window: i64) -> String {
    // Hashed, because addresses and names are people's and counters are not.
    let digest = Sha256::digest(what.as_bytes());
    let short: String = data_encoding::HEXLOWER.encode(&digest).chars().take(24).collect();
    format!("throttle/{kind}/{short}/{window}")
}

/// What an attempt is counted by.
enum By<'a> {
    /// Somebody who has not signed in: by account, client and connecting peer.
    Anybody(&'a Username),
    /// The same while the account is unlocked: everything is counted, and nothing is at its ceiling.
    Unlocked(&'a Username),
    /// The same while the peer's counter is at its ceiling.
    ThroughFullPeer(&'a Username),
    /// Somebody who has a session of the account.
    SignedIn(&'a UserId),
}

impl By<'_> {
    /// Kind, what it is of, and the ceiling of each counter. The peer's is the last: it is at its ceiling only when no other is.
    fn counters(&self, rules: &Throttle, source: &Source) -> Vec<(&'static str, String, Option<i64>)> {
        let ceiling = |failures: u32| Some(i64::from(failures));
        let (client, peer) = (counted_text(&source.address), counted_text(&source.peer));
        let of_peer = |ceiling| (!peer.is_empty()).then(|| ("peer", peer.clone(), ceiling));
        match self {
            Self::Anybody(username) => {
                let mut all = vec![
                    ("source", client, ceiling(rules.source_failures)),
                    ("account", username.to_string(), ceiling(rules.account_failures)),
                ];
                // Whoever may forward addresses may forward a new one with each guess.
                all.extend(of_peer(ceiling(rules.peer_failures)));
                all
            }
            Self::Unlocked(username) => {
                let mut all = vec![("source", client, None), ("account", username.to_string(), None)];
                all.extend(of_peer(None));
                all
            }
            Self::ThroughFullPeer(username) => {
                let few = (rules.account_failures / OF_A_FULL_PEER).max(1);
                vec![
                    ("source", client, ceiling(rules.source_failures)),
                    ("account", username.to_string(), ceiling(few.min(rules.account_failures))),
                ]
            }
            Self::SignedIn(user) => vec![("signed-in", user.to_string(), ceiling(rules.account_failures))],
        }
    }
}

/// Counts an attempt on an account from a source, or refuses it.
///
/// All who come through one peer share its counter, so anybody can fill it. It keeps nobody out by itself: what it slows is trying
/// the passwords of many accounts through one peer, of which each then has a few failures left instead of all of them. So filling
/// it locks no account that was not guessed at, and guesses stay bounded by the number of accounts.
pub(super) async fn attempt(app: &Asgard, call: &Call, username: &Username) -> Result<Attempt> {
    if is_waived(app, username).await? {
        return count(app, call, By::Unlocked(username)).await;
    }
    match count(app, call, By::Anybody(username)).await {
        Err(error) if error.field() == Some(PEER) => count(app, call, By::ThroughFullPeer(username)).await,
        counted => counted,
    }
}

/// Counts an attempt of somebody who has a session of the account. Strangers who guess do not keep them from it.
pub(super) async fn attempt_signed_in(app: &Asgard, call: &Call, user: &UserId) -> Result<Attempt> {
    count(app, call, By::SignedIn(user)).await
}

async fn count(app: &Asgard, call: &Call, by: By<'_>) -> Result<Attempt> {
    let rules = &app.config().throttle;
    let secs = i64::try_from(rules.window_secs).unwrap_or(300).max(1);
    let system = Call::system("throttle", call.trace.clone());
    let counters = &by.counters(rules, &call.source);
    app.transact(&system, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::Throttle)?;
            let window = tx.now().as_secs() / secs;
            let until = tx.now().plus(Duration::from_secs(rules.window_secs * 2));
            let left = u64::try_from(secs - tx.now().as_secs().rem_euclid(secs)).unwrap_or(1);
            let mut names = Vec::with_capacity(counters.len());
            for (kind, what, ceiling) in counters {
                let name = counter(kind, what, window);
                let count =
                    Count { counter: name.clone(), delta: 1, floor: None, ceiling: *ceiling, expires_at: Some(until) };
                let error =
                    Error::new(Code::Throttled, format!("Too many failed sign-ins. Try again in {left} seconds."))
                        .retry_after(left);
                tx.count_or(count, if *kind == PEER { error.at(PEER) } else { error })?;
                names.push(name);
            }
            Ok(Attempt { counters: names, until })
        })
    })
    .await
}

/// Whether guesses of others do not lock the account: its password was set on the machine a moment ago. Whoever set it has proved
/// more than whoever guesses, from wherever that is.
async fn is_waived(app: &Asgard, username: &Username) -> Result<bool> {
    let Some(id) = app.store().holder(&User::username_claim(username)).await.map_err(store_error)? else {
        return Ok(false);
    };
    let user = app.store().read::<User>(&id).await?;
    Ok(user.is_some_and(|user| user.is_unlocked(app.world().now())))
}

/// Gives a successful attempt back, in the commit of what it led to.
pub(super) fn give_back(tx: &mut Tx<'_>, attempt: &Attempt) -> Result<()> {
    for name in &attempt.counters {
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
