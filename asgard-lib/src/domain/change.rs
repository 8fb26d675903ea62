//! What a list has to catch up with. A record whose list is kept as rows says so in the commit that changes it.

use crate::kernel::{ChangeId, Timestamp};
use serde::{Deserialize, Serialize};

/// A record changed, and its list has not followed yet. The commit that brings the list up to date removes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its id.
    pub id: ChangeId,
    /// The list, for example `requests`.
    pub list: String,
    /// The id of the record.
    pub object: String,
    /// When the change was decided.
    pub at: Timestamp,
}
