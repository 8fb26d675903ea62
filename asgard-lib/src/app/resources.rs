//! Resources: reading them, their runs and logs; retrying, refreshing and removing them.

mod change;
mod log;
mod read;

pub use super::views::{ResourceView, RunView};
pub use change::{DeprovisionResource, RefreshResource, RefreshStarted, RetryResource};
pub use log::{LogView, RunLog};
pub use read::{GetResource, GetRun, ListResources, ResourceRuns};

use super::{Reads, core::scope::ReadMode};
use crate::{
    domain::{
        access::{Action, Subject},
        project::Project,
        resource::Resource,
    },
    error::{Error, Result},
    kernel::{ProjectId, ResourceId},
    ports::records::Stored,
};

crate::app::core::entry::table! {
    ListResources,
    GetResource,
    DeprovisionResource,
    RetryResource,
    RefreshResource,
    ResourceRuns,
    GetRun,
    RunLog,
}

/// A resource of a project, once the caller may do `action` to that project. A resource of another project is not found.
async fn load(
    reads: &mut Reads<'_>,
    project: Option<&ProjectId>,
    id: &ResourceId,
    action: Action,
    reading: ReadMode,
) -> Result<(Stored<Resource>, Stored<Project>, Subject)> {
    let (project, subject) = match (project, reads.actor()?.bound_project()) {
        (Some(_), _) | (None, Some(_)) => reads.project(project, action, reading).await?,
        (None, None) => {
            // A person may name the resource alone; its project then decides.
            let found = reads.read::<Resource>(id.as_str()).await?;
            let Some(resource) = found else {
                return Err(reads.unknown("resource"));
            };
            reads.project_of("resource", &resource.project, action, reading).await?
        }
    };
    let resource = match reading {
        ReadMode::Plain => reads.read::<Resource>(id.as_str()).await?,
        ReadMode::Checked => reads.read_checked::<Resource>(id.as_str()).await?,
    };
    let resource =
        resource.filter(|resource| resource.project == project.id).ok_or_else(|| Error::not_found("resource"))?;
    Ok((resource, project, subject))
}
