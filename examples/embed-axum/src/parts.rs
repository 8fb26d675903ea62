//! What the company gives instead of what Asgard's configuration says: its time, its safe for secrets, its facilities, and
//! what can be asked of them.

mod clock;
mod facilities;
mod safe;

pub use clock::CompanyClock;
pub use facilities::{Facilities, desk};
pub use safe::Safe;
