//! What the company gives instead of what Asgard's configuration says: its time, its safe for secrets, its facilities,
//! what can be asked of them, and its policy.

mod clock;
mod facilities;
mod floors;
mod safe;

pub use clock::CompanyClock;
pub use facilities::{Facilities, desk};
pub use floors::Floors;
pub use safe::Safe;
