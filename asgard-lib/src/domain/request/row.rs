//! A request as a row of the list of all requests by state. Requests themselves have every index that a kind may have.

use super::{Request, RequestStatus};
use crate::kernel::{ProjectId, RequestId, ResourceId, ResourceName, Slug, Timestamp, Usd};
use serde::{Deserialize, Serialize};

/// The list of all requests by state.
pub const REQUEST_LIST: &str = "requests";

/// What the list shows of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRow {
    /// The request's id.
    pub id: RequestId,
    /// The state that the row is found and counted under.
    pub status: RequestStatus,
    /// The project.
    pub project: ProjectId,
    /// The resource.
    pub resource: ResourceId,
    /// The service.
    pub service: Slug,
    /// The resource's name.
    pub name: ResourceName,
    /// The estimated monthly cost.
    pub monthly: Usd,
    /// When the request was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl RequestRow {
    /// The row of a request.
    pub fn of(request: &Request) -> Self {
        Self {
            id: request.id.clone(),
            status: request.status,
            project: request.project.clone(),
            resource: request.resource.clone(),
            service: request.service.clone(),
            name: request.name.clone(),
            monthly: request.monthly,
            created_at: request.created_at,
            updated_at: request.updated_at,
        }
    }
}
