//! Requests: asking, deciding, taking back.

mod ask;
mod decide;
mod open;
mod read;
#[cfg(test)]
mod tests;
mod view;

pub use ask::{RequestResource, Requested};
pub use decide::{Approve, Cancel, Reject};
pub use open::{Asked, Wanted, open};
pub use read::{GetRequest, ListPending, ListRequests};
pub use view::RequestView;
