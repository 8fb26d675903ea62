//! The generation of an account's credentials.

use serde::{Deserialize, Serialize};

/// Which generation of an account's credentials: each records the one that it was made under, and works while the account has the
/// same. What ends access moves the account to the next one, and nothing moves it back. No clock is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(u64);

impl Generation {
    /// The first one, and that of records which name none.
    pub const FIRST: Self = Self(0);

    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Whether it is the first one, which records leave out.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
    pub const fn is_first(&self) -> bool {
        self.0 == 0
    }
}
