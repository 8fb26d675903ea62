//! Failed sign-ins and lock-outs, in the audit log and in the operator's log. Whoever guesses must not fill either: of one account from
//! one client a window says each thing once, and of all together a bounded number of times.

use crate::{
    app::{Asgard, Call},
    domain::audit::AuditAction,
    error::{Code, Error, Result},
    kernel::{Actor, network::counted_text},
    ports::store::Count,
};
use std::time::Duration;

/// How many events one window may have. What is beyond that is said in one more event.
const MAX_EVENTS: i64 = 100;

/// What was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The name or the password was wrong.
    Failed,
    /// There were too many failures before.
    LockedOut,
}

impl Refusal {
    const fn action(self) -> AuditAction {
        match self {
            Self::Failed => AuditAction::SignInFailed,
            Self::LockedOut => AuditAction::SignInLockedOut,
        }
    }
}

/// A window's counter of what was said already.
struct WindowCounter {
    counter: String,
    ceiling: i64,
}

/// Says that a sign-in was refused. Never fails: the refusal is the answer, whatever becomes of this.
pub(super) async fn note(app: &Asgard, call: &Call, username: &str, refusal: Refusal) {
    if let Err(error) = try_note(app, call, username, refusal).await {
        tracing::warn!(error = error.chain(), "a failed sign-in could not be audited");
    }
}

/// The account as the log names it: nobody reads a name from it, and who has the keys finds every event of one name.
fn digest(app: &Asgard, username: &str) -> Result<String> {
    let name: String = username.trim().to_lowercase().chars().take(200).collect();
    let mark = app.sealer().mark("sign-in/account", name.as_bytes())?;
    Ok(data_encoding::HEXLOWER.encode(&mark.tag).chars().take(32).collect())
}

async fn try_note(app: &Asgard, call: &Call, username: &str, refusal: Refusal) -> Result<()> {
    let account = digest(app, username)?;
    let window_secs = app.config().throttle.window_secs.max(1);
    let window = app.world().now().as_secs().div_euclid(i64::try_from(window_secs).unwrap_or(300));
    let name = refusal.action().name().to_owned();
    let source: String = call.source.address.chars().take(64).collect();
    let peer: String = call.source.peer.chars().take(64).collect();
    let once = WindowCounter {
        counter: format!("refused/{name}/{account}/{}/{window}", short(&counted_text(&source))),
        ceiling: 1,
    };
    let all = WindowCounter { counter: format!("refused/all/{window}"), ceiling: MAX_EVENTS };
    let details = [("account_digest", account.clone()), ("source", source.clone()), ("peer", peer.clone())];
    match say(app, call, refusal.action(), &account, &[once, all], &details).await? {
        Outcome::Noted => {
            tracing::warn!(
                account.digest = account,
                source = source,
                peer = peer,
                "{}",
                match refusal {
                    Refusal::Failed => "A sign-in failed.",
                    Refusal::LockedOut => "A sign-in was refused, because there were too many failures before.",
                }
            );
        }
        Outcome::NotedBefore(0) => {}
        Outcome::NotedBefore(_) => {
            let more = WindowCounter { counter: format!("refused/more/{window}"), ceiling: 1 };
            let details =
                [("more", format!("More than {MAX_EVENTS} in {window_secs} seconds; the rest is not listed."))];
            if say(app, call, refusal.action(), "many", &[more], &details).await? == Outcome::Noted {
                tracing::warn!("More sign-ins are refused than the audit log lists.");
            }
        }
    }
    Ok(())
}

/// What became of saying something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It was said.
    Noted,
    /// The counter of this position was at its ceiling.
    NotedBefore(usize),
}

async fn say(
    app: &Asgard,
    call: &Call,
    action: AuditAction,
    object: &str,
    counters: &[WindowCounter],
    details: &[(&str, String)],
) -> Result<Outcome> {
    let keep = Duration::from_secs(app.config().throttle.window_secs * 2);
    let system = Call { source: call.source.clone(), ..Call::system("sign-in", call.trace.clone()) };
    let nobody = Actor::System { name: "anonymous" }.reference();
    let (action, nobody) = (&action, &nobody);
    let committed = app
        .transact(&system, |tx| {
            Box::pin(async move {
                tx.as_system()?;
                let until = Some(tx.now().plus(keep));
                for (at, WindowCounter { counter, ceiling }) in counters.iter().enumerate() {
                    let counter = counter.clone();
                    let count = Count { counter, delta: 1, floor: None, ceiling: Some(*ceiling), expires_at: until };
                    tx.count_or(count, Error::new(Code::QuotaReached, "It was said.").at(at.to_string()))?;
                }
                tx.audit_as(nobody.clone(), None, action.clone(), object, details)
            })
        })
        .await;
    match committed {
        Ok(()) => Ok(Outcome::Noted),
        Err(error) if error.code() == Code::QuotaReached => {
            Ok(Outcome::NotedBefore(error.field().and_then(|at| at.parse().ok()).unwrap_or_default()))
        }
        Err(error) => Err(error),
    }
}

fn short(text: &str) -> String {
    use sha2::{Digest, Sha256};
    data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes())).chars().take(24).collect()
}
