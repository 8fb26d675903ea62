//! Leases: the right to work on something, for a while. Time only says when it may be tried; the fence is what makes it safe.

use crate::{
    domain::run::SupervisorLocation,
    kernel::{HolderId, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How far clocks of replicas may disagree.
pub const MARGIN: Duration = Duration::from_secs(5);
/// A clock that moved further than this between two turns of a periodic task was wrong then or is wrong now; or nobody was there.
pub const JUMP: Duration = Duration::from_secs(3 * 3600);
/// For how long a clock that jumped has to go on evenly before anything is deleted by it.
pub const STEADY: Duration = Duration::from_secs(3600);

/// What one process has seen of a lease, by its own monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// For how long it has not changed.
    pub silent: Duration,
    /// Whether it was ever seen to change: somebody was renewing it.
    pub moved: bool,
}

impl Seen {
    /// Whether a holder that renews within `ttl` is gone. A holder that was seen to renew lately is there, whatever a clock says;
    /// one that has not renewed for longer than it may is gone, however far ahead the moment is that its own clock once wrote. One
    /// that seems to have been gone for long is watched first: its clock may only be behind. Who ends with each call `cannot_watch`.
    pub fn is_gone(self, ttl: Duration, now: Timestamp, expires_at: Timestamp, cannot_watch: bool) -> bool {
        let overdue = now > expires_at.plus(MARGIN);
        let lately = now <= expires_at.plus(MARGIN).plus(ttl * 2);
        let renews = self.moved && self.silent < ttl;
        self.silent >= ttl + MARGIN || (overdue && (lately || cannot_watch) && !renews)
    }
}

/// A lease. Every batch made under it Requires the version its holder last wrote, so a holder that lost it commits nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// What it is on, for example `resource/res_...` or `loop/audit-seal`.
    pub name: String,
    /// Who has it; nobody after it was handed back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<HolderId>,
    /// Grows with every change of holder.
    pub fence: u64,
    /// When others may try to take it.
    pub expires_at: Timestamp,
    /// Where the holder runs, so that it can be proven dead.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "whereabouts")]
    pub location: Option<SupervisorLocation>,
    /// For a periodic task that a schedule starts: the newest scheduled time that was served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<Timestamp>,
    /// For a periodic task: when its last turn ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turned_at: Option<Timestamp>,
    /// For a periodic task: since when the clocks of its turns agree, if they did not a while ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsteady_since: Option<Timestamp>,
}

impl Lease {
    /// Whether `holder` may take the lease now. `gone` says that the present holder is known, or seen, to be gone.
    pub fn may_take(&self, holder: &HolderId, gone: bool) -> bool {
        self.holder.as_ref().is_none_or(|present| present == holder || gone)
    }

    /// Whether nobody is to do the task yet: its next turn is due later. A turn that is due later than a period from now was put
    /// there by a clock that was wrong.
    pub fn rests(&self, now: Timestamp, period: Duration) -> bool {
        self.holder.is_none() && self.expires_at > now && self.expires_at <= now.plus(period).plus(MARGIN)
    }

    /// The lease with what a turn at `now` says about the clocks.
    pub fn at_turn(self, now: Timestamp) -> Self {
        let jumped = self.turned_at.is_some_and(|last| now > last.plus(JUMP) || now.plus(MARGIN) < last);
        // One who died in a turn may have left a moment that is still to come.
        let still = self.unsteady_since.map(|since| since.min(now)).filter(|since| now < since.plus(STEADY));
        Self { unsteady_since: if jumped { Some(now) } else { still }, ..self }
    }

    /// Whether what is old by the clock of this turn may be deleted.
    pub const fn is_steady(&self) -> bool {
        self.unsteady_since.is_none()
    }

    /// The lease as `holder` has it, under the next fence.
    pub fn taken(
        previous: Option<&Self>,
        name: &str,
        holder: HolderId,
        location: Option<SupervisorLocation>,
        until: Timestamp,
    ) -> Self {
        let fence = previous.map_or(1, |lease| lease.fence + 1);
        let kept = |field: fn(&Self) -> Option<Timestamp>| previous.and_then(field);
        Self {
            name: name.to_owned(),
            holder: Some(holder),
            fence,
            expires_at: until,
            location,
            served: kept(|lease| lease.served),
            turned_at: kept(|lease| lease.turned_at),
            unsteady_since: kept(|lease| lease.unsteady_since),
        }
    }

    /// The same lease, longer.
    pub fn renewed(&self, until: Timestamp) -> Self {
        Self { expires_at: until, ..self.clone() }
    }

    /// The lease that nobody holds; the fence stays.
    pub fn released(&self, now: Timestamp) -> Self {
        Self { holder: None, location: None, expires_at: now, ..self.clone() }
    }

    /// The lease that nobody holds once a turn of a periodic task has ended; the next is due after `rest`.
    pub fn turned(&self, now: Timestamp, rest: Duration) -> Self {
        Self { turned_at: Some(now), ..self.released(now.plus(rest)) }
    }

    /// Whether the tick of that moment was served, or a newer one. One that is still to come was never served: a clock was wrong.
    pub fn has_served(&self, scheduled: Timestamp, now: Timestamp) -> bool {
        self.served.is_some_and(|newest| newest >= scheduled && newest <= now.plus(JUMP))
    }

    /// The lease once the tick of that moment was served.
    pub fn serving(self, scheduled: Timestamp, now: Timestamp) -> Self {
        let before = self.served.filter(|newest| *newest <= now.plus(JUMP));
        Self { served: Some(before.map_or(scheduled, |newest| newest.max(scheduled))), ..self }
    }
}

#[cfg(test)]
mod tests;
