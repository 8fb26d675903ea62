//! Projects: registering, reading, changing, stopping and ending them.

mod list;
mod read;
mod register;
mod stop;
mod update;
mod view;

pub use list::{GroupView, ListGroups, ListProjects};
pub use read::{GetProject, ProjectState, ProjectStateView, RegistrationRequirements, RequirementsView};
pub use register::RegisterProject;
pub use stop::{Decommission, Kill, Unkill};
pub use update::UpdateProject;
pub use view::ProjectView;

use super::Asgard;
use crate::domain::project::{Group, Rules};

crate::app::core::entry::table! {
    ListProjects,
    RegisterProject,
    GetProject,
    UpdateProject,
    ProjectState,
    Kill,
    Unkill,
    Decommission,
    RegistrationRequirements,
    ListGroups,
}

/// The schema of evidence: what [`crate::domain::project`] accepts.
fn evidence_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    use crate::{domain::project, kernel::text::PROSE};
    schemars::json_schema!({
        "type": "object",
        "maxProperties": project::MAX_EVIDENCE,
        "propertyNames": { "pattern": "^[a-z0-9_]{1,64}$" },
        "additionalProperties": { "type": "string", "maxLength": project::MAX_TEXT, "pattern": PROSE },
    })
}

/// The registration rules that the configuration sets.
pub(crate) fn rules(app: &Asgard) -> Rules<'_> {
    let config = app.config();
    Rules {
        require_manager: config.registration.require_manager,
        require_group: config.registration.require_group,
        require_cost_center: config.registration.require_cost_center,
        groups: config
            .registration
            .groups
            .iter()
            .map(|group| Group {
                key: &group.key,
                cost_center: group.cost_center.as_ref().map(crate::kernel::DisplayName::as_str),
            })
            .collect(),
        evidence: config.governance.classification_requirements.by_tier(),
    }
}
