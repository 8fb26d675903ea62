//! Requests: asking, deciding, taking back.

mod ask;
mod decide;
mod explain;
mod inputs;
mod open;
mod overview;
mod read;
#[cfg(test)]
mod tests;
mod unmade;
mod view;

pub use ask::{RequestResource, Requested};
pub use decide::{Approve, Cancel, Reject};
pub use explain::{ApprovalView, ExplainRequest, Explanation, JudgedView, PlanCounts, WeighedView};
pub use inputs::PreparedInputs;
pub use open::{Asked, Wanted, open};
pub use overview::{RequestCount, RequestRowView, RequestsOverview, RequestsOverviewView};
pub use read::{GetRequest, ListPending, ListRequests};
pub use unmade::remove_unmade;
pub use view::RequestView;

crate::app::core::entry::table! {
    RequestResource,
    ListRequests,
    GetRequest,
    ExplainRequest,
    ListPending,
    RequestsOverview,
    Approve,
    Reject,
    Cancel,
}
