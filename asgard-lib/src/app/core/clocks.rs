//! What time it is, as far as this process and the store agree.

use crate::kernel::Timestamp;

/// Now by two clocks: the process's and the store's. They are the same where the store has none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    /// By the earlier one: what is over by this is over by both.
    pub earlier: Timestamp,
    /// By the later one: what begins at this lasts no less than it should.
    pub later: Timestamp,
}
