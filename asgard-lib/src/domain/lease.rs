//! Leases: the right to work on something, for a while. Time only says when it may be tried; the fence is what makes it safe.

use crate::{
    domain::run::SupervisorLocation,
    kernel::{HolderId, Timestamp},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How far clocks of replicas may disagree.
pub const MARGIN: Duration = Duration::from_secs(5);

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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whereabouts: Option<SupervisorLocation>,
    /// For a periodic task that a schedule starts: the newest scheduled time that was served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<Timestamp>,
}

impl Lease {
    /// Whether `holder` may take the lease now. `proven_dead` says that the present holder is known to be gone.
    pub fn may_take(&self, holder: &HolderId, now: Timestamp, proven_dead: bool) -> bool {
        match &self.holder {
            None => true,
            Some(present) => present == holder || proven_dead || now > self.expires_at.plus(MARGIN),
        }
    }

    /// The lease in the hands of `holder`, under the next fence.
    pub fn taken(
        previous: Option<&Self>,
        name: &str,
        holder: HolderId,
        whereabouts: Option<SupervisorLocation>,
        until: Timestamp,
    ) -> Self {
        let fence = previous.map_or(1, |lease| lease.fence + 1);
        let served = previous.and_then(|lease| lease.served);
        Self { name: name.to_owned(), holder: Some(holder), fence, expires_at: until, whereabouts, served }
    }

    /// The same lease, longer.
    pub fn renewed(&self, until: Timestamp) -> Self {
        Self { expires_at: until, ..self.clone() }
    }

    /// The lease in nobody's hands; the fence stays.
    pub fn released(&self, now: Timestamp) -> Self {
        Self { holder: None, whereabouts: None, expires_at: now, ..self.clone() }
    }

    /// Whether the tick of that moment was served, or a newer one.
    pub fn has_served(&self, scheduled: Timestamp) -> bool {
        self.served.is_some_and(|newest| newest >= scheduled)
    }

    /// The lease once the tick of that moment was served.
    pub fn serving(self, scheduled: Timestamp) -> Self {
        let served = Some(self.served.map_or(scheduled, |newest| newest.max(scheduled)));
        Self { served, ..self }
    }
}
